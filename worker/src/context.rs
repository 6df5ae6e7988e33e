//! A plan with what every task of it needs.

use crate::Failure;
use crate::network::NetworkKey;
use marquetry_ensemble::{ClassMap, ImportanceMap, ScoreSpace, ScoreTransform};
use marquetry_geometry::{Blocks, D4, Grid, Size};
use marquetry_job::{GateModel, Group, Inference, Input, IoContract, Member, Plan, PlannedImage, Provider};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Bytes of models that one pass over a block's windows may take turns with: a lane keeps them all open.
const PASS_BYTES: u64 = 512 << 20;
/// About what OpenVINO keeps for each pixel of a window to compute with, for each network by itself, bytes: 300 to 540 for U-Nets
/// of 16 to 32 channels.
const OPENVINO_PIXEL_BYTES: u64 = 512;
/// Runs of windows through a pass that a block should come to, so that several lanes find work in a small one.
const RUNS_MIN: u64 = 16;

/// What is inferred for some images of a plan, with what every task of them needs.
#[derive(Debug)]
pub(crate) struct PlanContext {
    /// With the members that score these images, and no others; a group of which there are none is empty.
    pub(crate) inference: Inference,
    /// What the scores of each group's tiles are called.
    pub(crate) scores: Vec<String>,
    pub(crate) groups: Vec<GroupContext>,
    /// For each model of the gate.
    pub(crate) gate: Vec<GateContext>,
    /// The plan, where some members look only at what others are unsure of.
    pub(crate) in_rounds: Option<Arc<Plan>>,
}

/// What every task of one group needs.
#[derive(Debug)]
pub(crate) struct GroupContext {
    pub(crate) importance: ImportanceMap,
    /// Set once this machine has the models of all its members.
    pub(crate) is_fetched: AtomicBool,
    pub(crate) members: Vec<MemberContext>,
    pub(crate) to_merge_space: ScoreTransform,
    /// Sum of the members' weights in the group's tile, per class.
    pub(crate) weights: Vec<f32>,
    /// A weight of 1 for each class, for sums that have their weights in them.
    pub(crate) unit_weights: Vec<f32>,
}

/// What every run of one model of the gate needs.
#[derive(Debug)]
pub(crate) struct GateContext {
    /// Names the network among all that a lane has open.
    pub(crate) network: NetworkKey,
    /// From what the model says to a probability for each of its channels.
    pub(crate) transform: ScoreTransform,
}

/// What every run of one member needs.
#[derive(Debug)]
pub(crate) struct MemberContext {
    pub(crate) transforms: ScoreTransforms,
    /// One for each of the member's signatures.
    pub(crate) sizes: Vec<SizeContext>,
}

/// What every run of one member at one size needs.
#[derive(Debug)]
pub(crate) struct SizeContext {
    /// Names the network among all that a lane has open.
    pub(crate) network: NetworkKey,
    /// Equal for all of a group's members and sizes that want a window's pixels alike.
    pub(crate) preparation: usize,
    /// Places among the group's views of those that are shown at this size.
    pub(crate) views: Vec<usize>,
}

/// The transforms of one member: for views in which classes are what they are called, and for those in which some change
/// places.
#[derive(Debug)]
pub(crate) struct ScoreTransforms {
    upright: ScoreTransform,
    swapped: BTreeMap<D4, ScoreTransform>,
}

impl ScoreTransforms {
    fn new(inference: &Inference, member: &Member) -> Result<Self, Failure> {
        let classes = inference.classes.len();
        let channels = member.signatures.first().map_or(0, |s| s.classes as usize);
        let (labelling, space) = (inference.labelling, inference.view_space);
        let upright =
            ScoreTransform::new(member.applied, labelling, channels, classes, &member.classes, space);
        let upright = upright.ok_or_else(|| {
            let name = &member.name;
            Failure::reject(format!("member {name}: {channels} channels cannot be {classes} classes"))
        })?;
        let swapped = inference.swapped.iter().map(|(d4, order)| (*d4, upright.mirrored(order))).collect();
        Ok(Self { upright, swapped })
    }

    pub(crate) fn of(&self, d4: D4) -> &ScoreTransform {
        self.swapped.get(&d4).unwrap_or(&self.upright)
    }
}

impl PlanContext {
    /// For images that are scored by the same members as `image`.
    pub(crate) fn new(plan: &Plan, image: &PlannedImage) -> Result<Self, Failure> {
        let inference = plan.inference.scored_by(image);
        let groups = inference.groups.iter().map(|g| GroupContext::new(&inference, g));
        let groups = groups.collect::<Result<_, _>>()?;
        let in_rounds = plan.cascade_of(image).map(|_| Arc::new(plan.clone()));
        let gate = inference.gate.iter().map(GateContext::new).collect::<Result<_, _>>()?;
        Ok(Self { groups, gate, scores: plan.scores_of(image), inference, in_rounds })
    }

    /// Whether the members of `group` look only at what others are unsure of.
    pub(crate) fn is_later(&self, group: u32) -> bool {
        let rule = self.in_rounds.as_ref().and_then(|plan| plan.inference.cascade.as_ref());
        rule.is_some_and(|rule| rule.is_later(group as usize))
    }

    /// The windows and blocks of an image of `size` px for `group`; `None` if there is no such group, or no member in it.
    pub(crate) fn layout(&self, size: Size, group: u32) -> Option<(Grid, Blocks)> {
        let group = self.inference.groups.get(group as usize).filter(|group| !group.members.is_empty())?;
        let grid = group.grid(size).ok()?;
        let blocks = Blocks::new(&grid, self.inference.block_pixels);
        Some((grid, blocks))
    }
}

impl GateContext {
    fn new(model: &GateModel) -> Result<Self, Failure> {
        let member = model.member();
        let unfit = || Failure::reject(format!("model {} of the gate: it has no scores", member.name));
        let signature = member.signatures.first().ok_or_else(unfit)?;
        let (channels, by_channel) = (signature.classes as usize, ClassMap::default());
        let to = ScoreSpace::Probabilities;
        let transform =
            ScoreTransform::new(member.applied, model.labelling, channels, channels, &by_channel, to);
        let is_named = model.channels.iter().flatten().all(|channel| usize::from(*channel) < channels);
        let transform = transform.filter(|_| is_named).ok_or_else(unfit)?;
        Ok(Self { network: NetworkKey::new(member, signature), transform })
    }
}

impl GroupContext {
    pub(crate) fn new(inference: &Inference, group: &Group) -> Result<Self, Failure> {
        let classes = inference.classes.len();
        let mut preparations = Vec::new();
        let member = |member| MemberContext::new(inference, group, member, &mut preparations);
        Ok(Self {
            importance: group.importance.map(group.window.inner),
            is_fetched: AtomicBool::new(false),
            members: group.members.iter().map(member).collect::<Result<_, _>>()?,
            to_merge_space: ScoreTransform::between(
                inference.view_space,
                inference.tile_space,
                inference.labelling,
                classes,
            ),
            weights: group.tile_weights(classes),
            unit_weights: vec![1.0; classes],
        })
    }
}

impl MemberContext {
    /// `preparations` are the ways of preparing pixels that members before this one have, and become this one's too.
    fn new<'a>(
        inference: &Inference,
        group: &Group,
        member: &'a Member,
        preparations: &mut Vec<(&'a Input, u32)>,
    ) -> Result<Self, Failure> {
        let outer = group.shown_size();
        let mut sizes = Vec::new();
        for signature in &member.signatures {
            let wanted = (&member.input, signature.channels);
            let preparation = preparations.iter().position(|p| *p == wanted).unwrap_or_else(|| {
                preparations.push(wanted);
                preparations.len() - 1
            });
            let shown = |&v: &usize| group.views[v].input_size(outer) == signature.size;
            sizes.push(SizeContext {
                network: NetworkKey::new(member, signature),
                preparation,
                views: (0..group.views.len()).filter(shown).collect(),
            });
        }
        Ok(Self { transforms: ScoreTransforms::new(inference, member)?, sizes })
    }
}

/// Windows that fill a batch of the plan with their views, at least 1.
pub(crate) fn plan_windows_together(group: &Group) -> u64 {
    let batch = |m: &Member| m.signatures.first().map_or(1, |s| u64::from(s.batch));
    let batch = group.members.iter().map(batch).max().unwrap_or(1);
    (batch / group.views.len() as u64).max(1)
}

/// The members in passes, each of which goes over all windows of a block; `runs` of them, each as long as fills the
/// plan's batch.
///
/// Mostly there is one pass: a window's pixels are read once for all members, and the canvas is added to once. It
/// follows from the plan alone, since sums of floats hang on it: how many windows a scorer wants at once does not enter.
pub(crate) fn passes(members: &[Member], runs: u64) -> Vec<Range<usize>> {
    let most = (members.len() as u64 * runs).div_ceil(RUNS_MIN) as usize;
    let (mut passes, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, member) in members.iter().enumerate() {
        let own = network_bytes(member);
        if at > start && (at - start >= most || bytes + own > PASS_BYTES) {
            passes.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += own;
    }
    passes.push(start..members.len());
    passes
}

/// About how many bytes a member takes while it is open.
fn network_bytes(member: &Member) -> u64 {
    let own = |contract: &IoContract| match contract.backend.provider {
        Provider::OpenVino => contract.size.area() * u64::from(contract.batch) * OPENVINO_PIXEL_BYTES,
        Provider::Any | Provider::Cpu | Provider::Cuda => 0,
    };
    member.model_bytes + member.signatures.iter().map(own).sum::<u64>()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use marquetry_ensemble::{
        ClassMap, Importance, Labelling, OutputActivation, ScoreSpace, View, ViewMerge,
    };
    use marquetry_geometry::{Edges, WindowSpec};
    use marquetry_job::{
        Backend, Element, Fit, IoContract, Layout, OutputForm, PLAN_FORMAT, Scaling, TileDtype,
    };

    /// A model of three classes that takes squares.
    pub(crate) fn signature(channels: u32, side_px: u32) -> IoContract {
        IoContract {
            input: "image".into(),
            layout: Layout::Nchw,
            channels,
            size: Size::square(side_px),
            batch: 1,
            element_in: Element::F32,
            dims: std::collections::BTreeMap::new(),
            head: "scores".into(),
            form: OutputForm::Nchw,
            classes: 3,
            output_size: Size::square(side_px),
            element_out: Element::F32,
            backend: Backend::default(),
        }
    }

    /// One group of members over windows of `side_px` px that share nothing, in logits.
    pub(crate) fn inference(side_px: u32, views: Vec<View>, members: Vec<Member>) -> Inference {
        let window = WindowSpec {
            inner: Size::square(side_px),
            margin: Size::new(0, 0),
            stride: Size::square(side_px),
            edges: Edges::Shift,
        };
        let scaling = Scaling::Factor(1.0);
        Inference {
            format: PLAN_FORMAT,
            reading: marquetry_geometry::Reading::default(),
            classes: vec!["r".into(), "g".into(), "b".into()],
            labelling: Labelling::Multilabel,
            view_merge: ViewMerge::Mean,
            view_space: ScoreSpace::Logits,
            tile_space: ScoreSpace::Logits,
            centred: false,
            swapped: std::collections::BTreeMap::new(),
            tile: TileDtype::F32,
            block_pixels: 1 << 20,
            region: None,
            cascade: None,
            gate: Vec::new(),
            groups: vec![Group {
                scaling,
                resample: marquetry_geometry::Resample::Linear,
                window,
                importance: Importance::Gaussian,
                views,
                members,
            }],
        }
    }

    /// Members of these sizes that have no signature yet.
    pub(crate) fn members(megabytes: &[u64]) -> Vec<Member> {
        let input = Input::default();
        let member = |mb: &u64| Member {
            name: String::new(),
            onnx: String::new(),
            sha256: String::new(),
            external: Vec::new(),
            model_bytes: mb << 20,
            tags: std::collections::BTreeMap::new(),
            weights: Vec::new(),
            input: input.clone(),
            applied: OutputActivation::None,
            classes: ClassMap::default(),
            fit: Fit::Resize,
            signatures: Vec::new(),
        };
        megabytes.iter().map(member).collect()
    }

    #[test]
    fn small_models_go_together_and_large_ones_apart() {
        assert_eq!(passes(&members(&[1, 1, 1]), 225).len(), 1);
        assert_eq!(passes(&members(&[300, 300, 100, 900, 10]), 225), [0..1, 1..3, 3..4, 4..5]);
        // 128 MB each at 512 px, which networks of ONNX Runtime share.
        let by = |provider| {
            let mut members = members(&[10; 8]);
            for member in &mut members {
                member.signatures =
                    vec![IoContract { backend: Backend::exact(provider), ..signature(3, 512) }];
            }
            passes(&members, 225)
        };
        assert_eq!(by(Provider::Cpu).len(), 1);
        assert_eq!(by(Provider::OpenVino), [0..3, 3..6, 6..8]);
    }

    #[test]
    fn members_that_want_pixels_alike_share_a_preparation() {
        let mut all = members(&[1, 1, 1, 1]);
        all[1].input.mean = vec![0.5];
        all[2].input.mean = vec![0.5];
        for (k, member) in all.iter_mut().enumerate() {
            let (channels, sha256) = (if k == 3 { 1 } else { 3 }, ["a", "b", "b", "a"][k]);
            member.sha256 = sha256.into();
            member.signatures = vec![signature(channels, 8), signature(channels, 16)];
        }
        let views = vec![View::IDENTITY, View { scale: 2.0, ..View::IDENTITY }, View::of(D4::HFLIP)];
        let inference = inference(8, views, all);
        let group = &inference.groups[0];
        let mut preparations = Vec::new();
        let contexts: Vec<_> = group
            .members
            .iter()
            .map(|m| MemberContext::new(&inference, group, m, &mut preparations).unwrap().sizes)
            .collect();
        let of = |k: usize, size: usize| (contexts[k][size].preparation, contexts[k][size].network);
        assert_eq!([of(0, 0).0, of(0, 1).0, of(1, 0).0, of(2, 1).0, of(3, 0).0], [0, 0, 1, 1, 2]);
        assert_eq!(of(1, 0).1, of(2, 0).1, "one model of one size is one network, whatever its input is");
        assert_ne!(of(1, 0).1, of(1, 1).1);
        assert_ne!(of(0, 0).1, of(1, 0).1);
        assert_eq!((&contexts[0][0].views[..], &contexts[0][1].views[..]), (&[0, 2][..], &[1][..]));
    }

    #[test]
    fn a_small_block_still_has_work_for_several_lanes() {
        assert_eq!(passes(&members(&[1; 15]), 1).len(), 15);
        assert_eq!(passes(&members(&[1; 15]), 4), [0..4, 4..8, 8..12, 12..15]);
        assert_eq!(passes(&members(&[1; 2]), 9).len(), 1);
    }
}
