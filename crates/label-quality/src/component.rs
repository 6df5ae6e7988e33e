//! Error components: areas where the prediction differs from the label, and of what kind they are.

use crate::depth::{DEEPEST, depths};
use crate::evidence::STEPS;
use marquetry_evaluation::{LEFT_OUT, LabelPair, Regions, Segment, Segments};
use marquetry_geometry::{Rect, Size};
use serde::{Deserialize, Serialize};

/// Smaller components are nothing that anybody would draw, px.
const LEAST_AREA_PX: u64 = 4;
/// Components of which no pixel is so deep are the rim of a boundary, px.
const LEAST_DEPTH_PX: u8 = 2;

/// What may be wrong with the label of an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An object is not labelled.
    Missing,
    /// An object is labelled that is not there.
    Extra,
    /// An area has the label of another class.
    Swapped,
    /// An outline is off.
    Boundary,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Missing, Self::Extra, Self::Swapped, Self::Boundary];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Swapped => "swapped",
            Self::Boundary => "boundary",
        }
    }
}

/// A connected set (sides and corners) of pixels with one label and one predicted class that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// What may be wrong.
    pub kind: Kind,
    /// The class of its label.
    pub given: u16,
    /// The predicted class.
    pub suggested: u16,
    /// How many pixels it has.
    pub area_px: u64,
    /// The depth of its deepest pixel, px, at most 4.
    pub depth_px: u8,
    /// What holds it.
    pub bounds: Rect,
    /// Σ depth over its pixels.
    depths: u64,
    /// Σ depth · evidence, in steps of 1/25 nat.
    evidence: u64,
}

impl Component {
    /// The mean evidence of its pixels, weighted by their depth, times its own depth: nats · px, 0 to 36.8.
    pub fn evidence(&self) -> f64 {
        (self.evidence * u64::from(self.depth_px)) as f64 / (self.depths * STEPS) as f64
    }

    /// Whether some pixel of it is as deep as is looked at: it is no outline.
    pub(crate) const fn is_deep(&self) -> bool {
        self.depth_px >= DEEPEST
    }
}

/// Whether a pixel's label is a class and not the predicted one.
pub(crate) const fn is_error(label: u16, predicted: u16) -> bool {
    label != LEFT_OUT && label != predicted
}

/// The error components of an image, with the segments they are made of.
#[derive(Debug)]
pub(crate) struct ErrorComponents {
    pub(crate) segments: Segments,
    /// The component of each segment. Segments that are right have numbers too.
    pub(crate) of_segment: Vec<u32>,
    /// By number: those that are large and deep enough.
    pub(crate) components: Vec<Option<Component>>,
}

impl ErrorComponents {
    /// Finds them. `evidence` is `[height, width]`; `background` the class that has no objects, if there is one. Memory:
    /// 2 bytes a pixel, and about 60 for each piece of a row in which neither side changes.
    pub(crate) fn new(pair: &LabelPair<'_>, evidence: &[u8], background: Option<u16>) -> Self {
        let segments = Segments::new(pair);
        let wrong = |segment: &Segment| is_error(segment.truth, segment.predicted);
        let alike = |a: &Segment, b: &Segment| wrong(a) && (a.truth, a.predicted) == (b.truth, b.predicted);
        let (of_segment, number) = segments.components(alike);
        let mut components: Vec<Option<Component>> = vec![None; number];
        if !segments.list().iter().any(wrong) {
            return Self { segments, of_segment, components };
        }
        let regions = Regions::new(&segments);
        let depths = depths(pair);
        let mut of_component = vec![[0; 2]; number];
        for (at, segment) in segments.list().iter().enumerate().filter(|(_, segment)| wrong(segment)) {
            let number = of_segment[at] as usize;
            of_component[number] = [regions.of_segment[0][at], regions.of_segment[1][at]];
            let row = segment.row as usize * pair.width as usize;
            let pixels = row + segment.start as usize..row + segment.end as usize;
            components[number].get_or_insert_with(|| Component::at(segment)).take(
                segment,
                &depths[pixels.clone()],
                &evidence[pixels],
            );
        }
        for (slot, [given, suggested]) in components.iter_mut().zip(of_component) {
            let large = |c: &Component| c.area_px >= LEAST_AREA_PX && c.depth_px >= LEAST_DEPTH_PX;
            *slot = slot.filter(large);
            if let Some(component) = slot {
                let areas =
                    [regions.truth[given as usize].pixels, regions.predicted[suggested as usize].counted()];
                component.kind = kind(component, areas, background);
            }
        }
        Self { segments, of_segment, components }
    }
}

impl Component {
    /// Nothing yet, where `segment` begins.
    const fn at(segment: &Segment) -> Self {
        Self {
            kind: Kind::Boundary,
            given: segment.truth,
            suggested: segment.predicted,
            area_px: 0,
            depth_px: 0,
            bounds: Rect::new(segment.row as i64, segment.start as i64, Size::new(0, 0)),
            depths: 0,
            evidence: 0,
        }
    }

    /// Takes another segment, below or right of those before or in their rows.
    fn take(&mut self, segment: &Segment, depths: &[u8], evidence: &[u8]) {
        self.area_px += segment.pixels();
        for (&depth, &evidence) in depths.iter().zip(evidence) {
            self.depth_px = self.depth_px.max(depth);
            self.depths += u64::from(depth);
            self.evidence += u64::from(depth) * u64::from(evidence);
        }
        let Rect { top, left, size } = self.bounds;
        let right = (left + i64::from(size.width)).max(i64::from(segment.end));
        let left = left.min(i64::from(segment.start));
        let height = (i64::from(segment.row) + 1 - top) as u32;
        self.bounds = Rect::new(top, left, Size::new(height, (right - left) as u32));
    }
}

/// What may be wrong, by how much of the labelled and of the predicted region the component lies in is of it. A whole object
/// is one half or more of its region; what is less, and thin, is a boundary.
fn kind(component: &Component, [given_px, suggested_px]: [u64; 2], background: Option<u16>) -> Kind {
    let most_of_given = 2 * component.area_px >= given_px;
    let most_of_suggested = 2 * component.area_px >= suggested_px;
    let (no_object, no_other) =
        (Some(component.given) == background, Some(component.suggested) == background);
    let whole = (most_of_given && !no_object) || (most_of_suggested && !no_other);
    if !whole && !component.is_deep() {
        Kind::Boundary
    } else if no_object || (background.is_none() && most_of_suggested && !most_of_given) {
        Kind::Missing
    } else if no_other || (background.is_none() && most_of_given && !most_of_suggested) {
        Kind::Extra
    } else {
        Kind::Swapped
    }
}

#[cfg(test)]
#[path = "component_tests.rs"]
mod tests;
