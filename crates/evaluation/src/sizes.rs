//! How well objects of different sizes are found. An object is a connected component of a class.

use crate::overlaps::{Region, Regions};
use crate::panoptic::Matches;
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Objects by class and size. Sizes are kept in steps of an eighth of an octave, so that limits can be chosen when all
/// images are counted; 32² and 96² px are among the steps.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct SizeCounts {
    #[serde(with = "crate::entries")]
    steps: BTreeMap<(u16, Step), Objects>,
}

/// Sizes from an eighth of an octave to the next, counted from one pixel: 0 to 511.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u16")]
struct Step(u16);

impl TryFrom<u16> for Step {
    type Error = &'static str;

    fn try_from(step: u16) -> Result<Self, Self::Error> {
        if step < 64 * 8 { Ok(Self(step)) } else { Err("a size that nothing has") }
    }
}

/// Objects of some sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Objects {
    /// Objects of the truth.
    pub truth: u64,
    /// Those with a predicted one of their class, IoU above one half.
    pub found: u64,
    /// Pixels of the truth's objects.
    pub truth_pixels: u64,
    /// Those predicted as their class.
    pub found_pixels: u64,
    /// Objects of the prediction.
    pub predicted: u64,
    /// Those with a true one of their class, IoU above one half.
    pub right: u64,
    /// Pixels of the prediction's objects, where the truth says anything.
    pub predicted_pixels: u64,
    /// Those that are of the class.
    pub right_pixels: u64,
}

/// Objects between two sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Stratum {
    /// Objects have at least so many pixels.
    pub from_px: u64,
    /// Objects have fewer pixels; none: without end.
    pub below_px: Option<u64>,
    /// What they are.
    #[serde(flatten)]
    pub objects: Objects,
}

impl AddAssign for Objects {
    fn add_assign(&mut self, more: Self) {
        self.truth += more.truth;
        self.found += more.found;
        self.truth_pixels += more.truth_pixels;
        self.found_pixels += more.found_pixels;
        self.predicted += more.predicted;
        self.right += more.right;
        self.predicted_pixels += more.predicted_pixels;
        self.right_pixels += more.right_pixels;
    }
}

impl SizeCounts {
    pub(crate) fn new(regions: &Regions, matches: &Matches, classes: usize) -> Self {
        let mut counts = Self::default();
        let known = |region: &Region| usize::from(region.label) < classes;
        for (region, matched) in regions.truth.iter().zip(&matches.truth).filter(|(r, _)| known(r)) {
            let own = counts.steps.entry((region.label, step(region.pixels))).or_default();
            own.truth += 1;
            own.found += u64::from(matched.is_some());
            own.truth_pixels += region.pixels;
            own.found_pixels += region.right;
        }
        for (region, &matched) in regions.predicted.iter().zip(&matches.predicted).filter(|(r, _)| known(r)) {
            if !matched && 2 * region.left_out > region.pixels {
                continue;
            }
            let own = counts.steps.entry((region.label, step(region.pixels))).or_default();
            own.predicted += 1;
            own.right += u64::from(matched);
            own.predicted_pixels += region.counted();
            own.right_pixels += region.right;
        }
        counts
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (key, more) in &other.steps {
            *self.steps.entry(*key).or_default() += *more;
        }
    }

    /// Objects of the classes that are `counted`, in strata between ascending `limits_px`, which are whole steps.
    pub fn strata(&self, limits_px: &[u64], counted: impl Fn(u16) -> bool) -> Vec<Stratum> {
        let ends = limits_px.iter().copied().map(Some).chain([None]);
        let starts = [0].into_iter().chain(limits_px.iter().copied());
        let mut strata: Vec<_> = starts
            .zip(ends)
            .map(|(from_px, below_px)| Stratum { from_px, below_px, objects: Objects::default() })
            .collect();
        for (&(_, step), objects) in self.steps.iter().filter(|((label, _), _)| counted(*label)) {
            let from = start_of(step);
            strata[limits_px.partition_point(|&limit| limit <= from)].objects += *objects;
        }
        strata
    }

    /// Two limits between which about a third of the truth's objects lies, px; both 0 where there is none.
    pub fn terciles_px(&self, counted: impl Fn(u16) -> bool) -> [u64; 2] {
        let mut by_step: BTreeMap<Step, u64> = BTreeMap::new();
        for (&(label, step), objects) in &self.steps {
            if counted(label) {
                *by_step.entry(step).or_default() += objects.truth;
            }
        }
        let all: u64 = by_step.values().sum();
        [1, 2].map(|third| {
            let mut below = 0;
            let reached = by_step.iter().find(|&(_, &n)| {
                below += n;
                n > 0 && below * 3 >= all * third
            });
            reached.map_or(0, |(&Step(step), _)| start_of(Step(step + 1)))
        })
    }
}

/// The step of an area: eight between a power of two and the next.
const fn step(pixels: u64) -> Step {
    let power = pixels.ilog2();
    Step((power * 8) as u16 + ((pixels as u128 * 8) >> power) as u16 % 8)
}

/// The least area of a step, px.
const fn start_of(Step(step): Step) -> u64 {
    let scaled = (8 + step % 8) as u128;
    let start = (scaled << (step / 8)).div_ceil(8);
    if start > u64::MAX as u128 { u64::MAX } else { start as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_in_the_step_that_begins_before_it() {
        for area in (1..20_000).chain([1 << 40, u64::MAX]) {
            assert!(start_of(step(area)) <= area, "{area}");
            assert!(area == u64::MAX || start_of(Step(step(area).0 + 1)) > area, "{area}");
        }
        for limit in [32 * 32, 96 * 96] {
            assert_eq!(start_of(step(limit)), limit);
        }
    }
}
