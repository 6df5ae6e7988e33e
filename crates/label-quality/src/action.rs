//! What to do with a label, and why.

use crate::component::Kind;
use crate::verdict::{BoundaryDoubt, Doubt};
use serde::{Deserialize, Serialize};

/// Something is done where it is more likely than not that something is wrong.
const LIKELY: f64 = 0.5;
/// Components of this strength, nats, are named, and the strongest always.
const NAMED: f64 = 2.0;
/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Train on it as it is.
    Keep,
    /// Look at it, and mend it.
    Relabel,
    /// Leave it out: there is nothing to mend.
    Delete,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No pixel is labelled.
    NothingToSay,
    /// Label and prediction differ no more than is usual.
    UsualMistakes,
    /// So many areas are in doubt.
    Components {
        /// Objects that are not labelled.
        missing: u32,
        /// Objects that are not there.
        extra: u32,
        /// Areas of another class.
        swapped: u32,
        /// Outlines that are far off.
        boundary: u32,
    },
    /// Outlines are off all over the image.
    Boundaries {
        /// How far the label is to be moved to mend the most, px: rows down and columns right; none where that mends nothing.
        shift_px: Option<[i32; 2]>,
    },
    /// So large a share of its pixels differs, 0 to 1, far more than is usual.
    DiffersFar {
        /// The share.
        share: f64,
    },
    /// Label and prediction agree hardly better than by chance: another image's label, or none that makes sense.
    AgreesByChance {
        /// Cohen's kappa.
        kappa: f64,
    },
}

/// What to do, and why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Suggestion {
    /// What to do.
    pub action: Action,
    /// Why.
    pub reason: Reason,
}

/// Comes to a suggestion. `quality` is none where no pixel is labelled, `by_chance` is kappa, where the label agrees with
/// the prediction by chance and has several classes; `differing` the share of pixels that differ; `doubts` are in descending
/// order of strength.
pub(crate) fn suggest(
    quality: Option<f64>,
    by_chance: Option<f64>,
    differing: f64,
    doubts: &[Doubt],
    boundaries: Option<&BoundaryDoubt>,
) -> Suggestion {
    let Some(quality) = quality else {
        return Suggestion { action: Action::Keep, reason: Reason::NothingToSay };
    };
    if 1.0 - quality < LIKELY {
        return Suggestion { action: Action::Keep, reason: Reason::UsualMistakes };
    }
    if let Some(kappa) = by_chance {
        return Suggestion { action: Action::Delete, reason: Reason::AgreesByChance { kappa } };
    }
    let of_boundaries = boundaries.filter(|b| b.probability >= 1.0 - quality - 1e-9);
    let reason = if let Some(boundaries) = of_boundaries {
        Reason::Boundaries { shift_px: boundaries.shift_px }
    } else if doubts.is_empty() {
        Reason::DiffersFar { share: differing }
    } else {
        let named = doubts.iter().enumerate().filter(|(at, doubt)| *at == 0 || doubt.strength >= NAMED);
        let kinds: Vec<Kind> = named.map(|(_, doubt)| doubt.component.kind).collect();
        let number = |kind| kinds.iter().filter(|k| **k == kind).count() as u32;
        Reason::Components {
            missing: number(Kind::Missing),
            extra: number(Kind::Extra),
            swapped: number(Kind::Swapped),
            boundary: number(Kind::Boundary),
        }
    };
    Suggestion { action: Action::Relabel, reason }
}
