//! A plan with what every task of it needs.

use crate::Failure;
use marquetry_ensemble::{ImportanceMap, Transfer};
use marquetry_geometry::D4;
use marquetry_job::{Group, Member, Plan};
use std::ops::Range;

/// Bytes of models that one pass over a block's windows may take turns with: a lane keeps them all open.
const PASS_BYTES: u64 = 512 << 20;
/// Units that a block should come to, so that several lanes find work in a small one.
const UNITS_MIN: u64 = 16;

/// A plan with what every task of it needs.
#[derive(Debug)]
pub(crate) struct PlanContext {
    pub(crate) plan: Plan,
    /// Hash of the plan's scoring.
    pub(crate) scoring: String,
    pub(crate) groups: Vec<GroupContext>,
}

/// What every task of one group needs.
#[derive(Debug)]
pub(crate) struct GroupContext {
    pub(crate) importance: ImportanceMap,
    pub(crate) transfers: Vec<Transfers>,
    pub(crate) to_merge_space: Transfer,
    /// Sum of the members' weights, per class.
    pub(crate) weights: Vec<f32>,
}

/// The transfers of one member: for views that keep left and right, and for those that swap them.
#[derive(Debug)]
pub(crate) struct Transfers {
    upright: Transfer,
    mirrored: Transfer,
}

impl Transfers {
    pub(crate) const fn of(&self, d4: D4) -> &Transfer {
        if d4.is_reflection() { &self.mirrored } else { &self.upright }
    }
}

impl PlanContext {
    pub(crate) fn new(plan: Plan) -> Result<Self, Failure> {
        let groups =
            plan.scoring.groups.iter().map(|g| GroupContext::new(&plan, g)).collect::<Result<_, _>>()?;
        Ok(Self { scoring: plan.scoring.hash(), groups, plan })
    }
}

impl GroupContext {
    fn new(plan: &Plan, group: &Group) -> Result<Self, Failure> {
        let scoring = &plan.scoring;
        let classes = scoring.classes.len();
        let mut transfers = Vec::new();
        for member in &group.members {
            let channels = member.signatures.first().map_or(0, |s| s.classes as usize);
            let upright =
                Transfer::new(member.applied, scoring.labelling, channels, classes, scoring.view_space)
                    .ok_or_else(|| {
                        let name = &member.name;
                        Failure::reject(format!(
                            "member {name}: {channels} channels cannot be {classes} classes"
                        ))
                    })?;
            let mirrored = match &scoring.mirrored {
                Some(order) if order.len() == channels => upright.mirrored(order),
                _ => upright.clone(),
            };
            transfers.push(Transfers { upright, mirrored });
        }
        Ok(Self {
            importance: group.importance.map(group.window.inner),
            transfers,
            to_merge_space: Transfer::between(scoring.view_space, scoring.space, scoring.labelling, classes),
            weights: group.weights(classes),
        })
    }
}

/// Windows that go through the members together: as many as fill a batch with their views, or one.
pub(crate) fn run_length(group: &Group) -> u64 {
    let batch = |m: &Member| m.signatures.first().map_or(1, |s| u64::from(s.batch));
    let batch = group.members.iter().map(batch).max().unwrap_or(1);
    (batch / group.views.len() as u64).max(1)
}

/// The members in passes, each of which goes over all `runs` runs of windows of a block.
///
/// Mostly there is one pass: a window's pixels are read once for all members, and the canvas is added to once. It
/// follows from the plan alone, since sums of floats hang on it.
pub(crate) fn passes(members: &[Member], runs: u64) -> Vec<Range<usize>> {
    let most = (members.len() as u64 * runs).div_ceil(UNITS_MIN) as usize;
    let (mut passes, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, member) in members.iter().enumerate() {
        if at > start && (at - start >= most || bytes + member.model_bytes > PASS_BYTES) {
            passes.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += member.model_bytes;
    }
    passes.push(start..members.len());
    passes
}

#[cfg(test)]
mod tests {
    use super::passes;
    use marquetry_ensemble::Applied;
    use marquetry_geometry::Padding;
    use marquetry_job::{Fit, Input, Member};

    fn members(megabytes: &[u64]) -> Vec<Member> {
        let input = Input {
            bands: None,
            reversed: false,
            scale: None,
            mean: Vec::new(),
            std: Vec::new(),
            per_image: false,
            padding: Padding::Reflect,
            padding_value: 0.0,
        };
        let member = |mb: &u64| Member {
            name: String::new(),
            onnx: String::new(),
            sha256: String::new(),
            model_bytes: mb << 20,
            tags: std::collections::BTreeMap::new(),
            weights: Vec::new(),
            input: input.clone(),
            applied: Applied::None,
            fit: Fit::Resize,
            signatures: Vec::new(),
        };
        megabytes.iter().map(member).collect()
    }

    #[test]
    fn small_models_go_together_and_large_ones_apart() {
        assert_eq!(passes(&members(&[1, 1, 1]), 225), [0..3]);
        assert_eq!(passes(&members(&[300, 300, 100, 900, 10]), 225), [0..1, 1..3, 3..4, 4..5]);
    }

    #[test]
    fn a_small_block_still_has_work_for_several_lanes() {
        assert_eq!(passes(&members(&[1; 15]), 1).len(), 15);
        assert_eq!(passes(&members(&[1; 15]), 4), [0..4, 4..8, 8..12, 12..15]);
        assert_eq!(passes(&members(&[1; 2]), 9), [0..2]);
    }
}
