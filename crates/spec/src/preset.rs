//! Names for sets of defaults, so that a job starts from what another tool does.

use super::window::{Fill, Slide, Spacing};
use marquetry_ensemble::{Importance, ScoreSpace, Views};
use marquetry_geometry::{Edges, Padding};

/// A set of defaults for windows, views and merging. Fields that the job gives itself come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// nnU-Net v2's predictor: evenly spaced windows at half steps, its Gaussian, zeros after normalisation beyond the
    /// border, all flips, and everything merged as logits.
    Nnunet,
    /// MONAI's sliding window: overlap ¼, its Gaussian, zeros after normalisation beyond the border.
    Monai,
    /// mmsegmentation's `slide` mode: overlap ⅓, every pixel of a window of equal weight.
    MmsegSlide,
}

pub(super) const PRESETS: [(&str, Preset); 3] =
    [("nnunet", Preset::Nnunet), ("monai", Preset::Monai), ("mmseg-slide", Preset::MmsegSlide)];

/// What holds where the job says nothing, as far as it hangs on the preset.
pub(super) struct Defaults {
    pub(super) slide: Slide,
    pub(super) views: Views,
    /// The space of views, where it is not simply that of the merge.
    pub(super) view_space: Option<ScoreSpace>,
    pub(super) merge: ScoreSpace,
}

impl Defaults {
    pub(super) fn of(preset: Option<Preset>) -> Self {
        let slide = Slide::default();
        let zeros = Fill { padding: Padding::Constant, value: 0.0 };
        let slide = match preset {
            None => slide,
            Some(Preset::Nnunet) => {
                Slide { edges: Edges::Spread, importance: Importance::GaussianNnunet, fill: zeros, ..slide }
            }
            Some(Preset::Monai) => Slide { spacing: Spacing::Overlap([0.25; 2]), fill: zeros, ..slide },
            Some(Preset::MmsegSlide) => {
                let spacing = Spacing::Overlap([1.0 / 3.0; 2]);
                Slide { spacing, importance: Importance::Constant, ..slide }
            }
        };
        let nnunet = preset == Some(Preset::Nnunet);
        let names = if nnunet { vec!["flips".to_owned()] } else { Vec::new() };
        Self {
            slide,
            views: Views { names, ..Views::none() },
            view_space: nnunet.then_some(ScoreSpace::Logits),
            merge: if nnunet { ScoreSpace::Logits } else { ScoreSpace::Probabilities },
        }
    }
}
