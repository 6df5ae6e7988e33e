//! Members that look only at what the first ones are unsure of.
//!
//! The groups of the first round are the plan's first ones. When their tiles are stored, a task finds the pixels of the image at
//! which they are unsure; the blocks of the other groups are computed within these, as within a region. A pixel at which the
//! first round is sure has its scores, and any other those of all members.

use crate::{Inference, Merge, Plan, PlannedImage, RegionForwards};
use marquetry_ensemble::{Rule, ScoreSpace, SurePixels, Sureness};
use marquetry_region::{Region, SampledRegion};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which pixels only the first members look at. It is a part of what the scores of the others hang on: their tiles hold nothing
/// elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CascadeRule {
    /// How many groups are of the first round.
    pub groups: u32,
    /// The space in which they are merged.
    pub space: ScoreSpace,
    /// The weight of each of their members, per class.
    pub weights: Vec<Vec<f32>>,
    /// How labels are decided: a pixel is sure when its label is.
    pub decide: Rule,
    /// The class of pixels of no other; nothing where classes share pixels.
    pub background: Option<usize>,
    /// Where the first round is sure.
    pub sure: Sureness,
    /// How far around unsure pixels the others look too, px.
    pub around_px: u32,
}

impl CascadeRule {
    /// Whether the group at place `group` looks only at what is unsure.
    pub const fn is_later(&self, group: usize) -> bool {
        group >= self.groups as usize
    }

    /// What tells at which pixels the first round is sure.
    pub fn sure_pixels(&self, classes: usize) -> SurePixels {
        SurePixels::new(self.sure, self.decide.clone(), classes, self.background)
    }
}

impl Plan {
    /// The plan of the first round alone: that of a job of its members, whose tiles have the same names.
    pub fn first_round(&self) -> Option<Self> {
        let rule = self.inference.cascade.as_ref()?;
        let groups = self.inference.groups[..rule.groups as usize].to_vec();
        let inference = Inference { cascade: None, groups, ..self.inference.clone() };
        let merge = Merge { space: rule.space, weights: rule.weights.clone() };
        Some(Self { job: self.job.clone(), inference, merge })
    }

    /// The rule by which some members look at parts of `image` only; `None` where all that score it are of one round.
    pub fn cascade_of(&self, image: &PlannedImage) -> Option<&CascadeRule> {
        let rule = self.inference.cascade.as_ref()?;
        let scores = |group: usize| !self.members_of(image, group).is_empty();
        let (first, all) = (rule.groups as usize, self.inference.groups.len());
        ((0..first).any(scores) && (first..all).any(scores)).then_some(rule)
    }

    /// Model runs that `image` takes where the members after the first round look at `unsure` alone, and those that it would take
    /// if they looked at all of `region`, which is the whole image if not given.
    pub fn forwards_where_unsure(
        &self,
        image: &PlannedImage,
        unsure: &Arc<Region>,
        region: Option<&Arc<Region>>,
    ) -> RegionForwards {
        let mut forwards = RegionForwards::default();
        for (place, group) in self.inference.groups.iter().enumerate() {
            let Some((grid, _)) = self.layout(image, place as u32) else { continue };
            let each = (self.members_of(image, place).len() * group.views.len()) as u64;
            let within = |region: &Arc<Region>| {
                SampledRegion::new(Arc::clone(region), grid.image()).count(&grid) * each
            };
            let all = region.map_or(grid.len() * each, within);
            let is_later = self.inference.cascade.as_ref().is_some_and(|rule| rule.is_later(place));
            forwards.all += all;
            forwards.inside += if is_later { within(unsure) } else { all };
        }
        forwards
    }
}
