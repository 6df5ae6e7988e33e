//! What the tiles of all images of a plan have in common.

use marquetry_ensemble::ImportanceMap;
use marquetry_job::{Plan, PlannedImage};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most groups that are remembered: images that other members score have other ones.
const GROUPS_MAX: usize = 1024;

/// What follows from a plan and a group alone, and would take longer than a small image to find out for each image anew.
/// For one plan, and the first round of it.
#[derive(Debug, Default)]
pub struct KnownGroups(Mutex<HashMap<GroupName, Arc<KnownGroup>>>);

/// Which group: how many the plan has (its first round has fewer), which of them, and who scores the image.
type GroupName = (usize, usize, Option<Vec<u32>>);

/// What all tiles of a group have in common.
#[derive(Debug)]
pub(crate) struct KnownGroup {
    /// What the scores of its tiles are called ([`Plan::scores_of_group`]).
    pub(crate) scores: String,
    /// The weights of a window's pixels.
    pub(crate) importance: ImportanceMap,
}

impl KnownGroups {
    /// What the tiles of `image` are called, group by group, as [`Plan::scores_of`] says.
    pub fn scores_of(&self, plan: &Plan, image: &PlannedImage) -> Vec<String> {
        let groups = 0..plan.inference.groups.len();
        groups.map(|group| self.group(plan, image, group).scores.clone()).collect()
    }

    /// What is known of group `group` of a plan, of which an image has tiles.
    pub(crate) fn group(&self, plan: &Plan, image: &PlannedImage, group: usize) -> Arc<KnownGroup> {
        let name = (plan.inference.groups.len(), group, image.members.clone());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= GROUPS_MAX && !known.contains_key(&name) {
            known.clear();
        }
        let found = known.entry(name).or_insert_with(|| {
            let planned = &plan.inference.groups[group];
            let importance = planned.importance.map(planned.window.inner);
            Arc::new(KnownGroup { scores: plan.scores_of_group(image, group), importance })
        });
        Arc::clone(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::TestImage;

    #[test]
    fn what_is_known_is_what_the_plan_says() {
        let TestImage { plan, image, .. } = &TestImage::two_scales();
        let known = KnownGroups::default();
        let of_one = image.clone().scored_by(vec![0]);
        for image in [image, &of_one, image] {
            assert_eq!(known.scores_of(plan, image), plan.scores_of(image));
        }
        assert_ne!(plan.scores_of(image), plan.scores_of(&of_one), "other members, other names");
    }
}
