//! Small jobs, and the tiles, statistics and files that must come of them.

use super::cluster::Cluster;
use bytes::Bytes;
use marquetry_coordinator::outputs_hash;
use marquetry_ensemble::{
    ClassMap, Importance, Labelling, OutputActivation, Rule, ScoreSpace, Sureness, View, ViewMerge,
};
use marquetry_geometry::{Edges, Reading, Size, WindowSpec};
use marquetry_job::{
    BandStatistics, CascadeRule, Fit, GateModel, Group, ImageGate, ImageRegion, ImageStatistics, ImageTasks,
    Inference, Input, Measured, MeasuredBands, Member, Merge, PLAN_FORMAT, Plan, PlannedImage, RegionRule,
    Scaling, TaskKind, TileDtype, TileHeader, hash, key, tile,
};
use marquetry_region::{Finding, Region};
use marquetry_spec::{JobSpec, Priority};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Pixels of the side of a window, which is a block too.
const WINDOW: u32 = 8;
const CLASSES: u32 = 2;
const BANDS: u16 = 3;
const SPEC: &str = "
version: 1
images: nowhere
classes: [a, b]
members: [{onnx: none.onnx}]
outputs: [{masks: png}, {submission: kaggle-rle, file: rows.csv}]
";

/// A job, as a coordinator is given it.
#[derive(Clone)]
pub(crate) struct JobOf {
    pub(crate) plan: Arc<Plan>,
    pub(crate) images: Arc<[PlannedImage]>,
    pub(crate) spec: Arc<JobSpec>,
    /// Names its decisions and outputs.
    pub(crate) outputs: String,
}

/// An image of `blocks` blocks in one row.
pub(crate) fn image(id: &str, blocks: u32) -> PlannedImage {
    image_of(id, blocks, "first version")
}

/// The same image, with the content that `version` names.
pub(crate) fn image_of(id: &str, blocks: u32, version: &str) -> PlannedImage {
    let uri = format!("nowhere/{id}.png");
    let key = PlannedImage::key_of(id, &format!("{version} of {blocks} blocks"), None);
    let size = Size::new(WINDOW, blocks * WINDOW);
    PlannedImage {
        id: id.to_owned(),
        uri,
        sidecars: Vec::new(),
        version: String::new(),
        key,
        content: None,
        size,
        bands: BANDS,
        tags: BTreeMap::new(),
        members: None,
        truth: None,
    }
}

/// A job of these images: always the same job, whatever they are. `scales` has the scale of each group, of which each has
/// one member.
pub(crate) fn job_of(scales: &[f64], images: Vec<PlannedImage>) -> JobOf {
    let group = |(n, &scale): (usize, &f64)| group(scale, vec![member(&format!("member-{n}"), false)]);
    job(scales.iter().enumerate().map(group).collect(), images)
}

/// A job in stages. The first group has two members, of which the second one wants each image's statistics; the other
/// group's one member does not.
///
/// ```text
/// group    0               1
/// member   0  1            2
///             statistics
/// ```
pub(crate) fn staged_job_of(images: Vec<PlannedImage>) -> JobOf {
    let first = group(1.0, vec![member("member-0", false), member("member-1", true)]);
    job(vec![first, group(0.5, vec![member("member-2", false)])], images)
}

impl JobOf {
    /// The same, of which images tell which part of them is computed.
    pub(crate) fn of_what_is_not_blank(self) -> Self {
        let region = Some(RegionRule::Nonblank { margin_px: 64 });
        let inference = Inference { region, ..self.plan.inference.clone() };
        let plan = Plan::new("schedule", inference, self.plan.merge.clone());
        Self { plan: Arc::new(plan), ..self }
    }

    /// The same, whose members after the first group look only at what it is unsure of.
    pub(crate) fn in_rounds(self) -> Self {
        let first: usize = self.plan.inference.groups[0].members.len();
        let cascade = CascadeRule {
            groups: 1,
            space: ScoreSpace::Probabilities,
            weights: self.plan.merge.weights[..first].to_vec(),
            decide: Rule::Argmax,
            background: Some(0),
            sure: Sureness { margin: 0.5, agreement: None },
            around_px: 0,
        };
        let inference = Inference { cascade: Some(cascade), ..self.plan.inference.clone() };
        let plan = Plan::new("schedule", inference, self.plan.merge.clone());
        Self { plan: Arc::new(plan), ..self }
    }

    /// The same, with a model that says which classes an image has.
    pub(crate) fn with_gate(self) -> Self {
        let one = Size::square(1);
        let mut group = group(1.0, vec![member("gate", false)]);
        group.scaling = Scaling::Whole(Size::square(WINDOW));
        group.window = WindowSpec { inner: one, margin: Size::square(0), stride: one, edges: Edges::Shift };
        let model = GateModel { group, labelling: Labelling::Multilabel, channels: vec![None, Some(0)] };
        let inference = Inference { gate: vec![model], ..self.plan.inference.clone() };
        let plan = Plan::new("schedule", inference, self.plan.merge.clone());
        Self { plan: Arc::new(plan), ..self }
    }

    /// The same job, of another priority.
    pub(crate) fn of_priority(self, priority: Priority) -> Self {
        Self { spec: Arc::new(JobSpec { priority, ..(*self.spec).clone() }), ..self }
    }
}

fn job(groups: Vec<Group>, images: Vec<PlannedImage>) -> JobOf {
    let inference = Inference {
        format: PLAN_FORMAT,
        reading: Reading::default(),
        classes: vec!["a".into(), "b".into()],
        labelling: Labelling::Multiclass,
        view_merge: ViewMerge::Mean,
        view_space: ScoreSpace::Probabilities,
        tile_space: ScoreSpace::Probabilities,
        centred: false,
        swapped: std::collections::BTreeMap::new(),
        tile: TileDtype::F16,
        block_pixels: Size::square(WINDOW).area(),
        region: None,
        cascade: None,
        gate: Vec::new(),
        groups,
    };
    let weights = vec![vec![1.0; CLASSES as usize]; inference.members().count()];
    let merge = Merge { space: ScoreSpace::Probabilities, weights };
    let spec = JobSpec::parse(SPEC).expect("a job file");
    let outputs = outputs_hash(&spec, &merge);
    let plan = Plan::new("schedule", inference, merge);
    JobOf { plan: Arc::new(plan), images: images.into(), spec: Arc::new(spec), outputs }
}

fn group(scale: f64, members: Vec<Member>) -> Group {
    let window = Size::square(WINDOW);
    Group {
        scaling: Scaling::Factor(scale),
        resample: marquetry_geometry::Resample::Linear,
        window: WindowSpec { inner: window, margin: Size::square(0), stride: window, edges: Edges::Shift },
        importance: Importance::Constant,
        views: vec![View::IDENTITY],
        members,
    }
}

fn member(name: &str, measures: bool) -> Member {
    Member {
        name: name.to_owned(),
        onnx: format!("nowhere/{name}.onnx"),
        sha256: hash(&[name.as_bytes()]),
        external: Vec::new(),
        model_bytes: 1,
        tags: BTreeMap::new(),
        weights: vec![1.0; CLASSES as usize],
        input: Input { measured: measures.then_some(Measured::STANDARD), ..Input::default() },
        applied: OutputActivation::None,
        classes: ClassMap::default(),
        fit: Fit::Resize,
        signatures: Vec::new(),
    }
}

impl JobOf {
    /// The same tiles, merged with other weights.
    pub(crate) fn merged_otherwise(&self) -> Self {
        let mut plan = Plan::clone(&self.plan);
        plan.merge.weights.iter_mut().flatten().for_each(|weight| *weight += 1.0);
        let outputs = outputs_hash(&self.spec, &plan.merge);
        Self { plan: Arc::new(plan), outputs, ..self.clone() }
    }

    /// The image whose id is `id`.
    pub(crate) fn image(&self, id: &str) -> &PlannedImage {
        self.images.iter().find(|image| image.id == id).expect("an image of the job")
    }
}

/// The tasks of `image` that are put together.
pub(crate) fn blocks_of(plan: &Plan, image: &PlannedImage) -> Vec<TaskKind> {
    let is_block = |task: &TaskKind| matches!(task, TaskKind::Block { .. });
    ImageTasks::new(plan, image).iter().filter(is_block).collect()
}

/// The blocks of `image` whose tiles tell what its first round is unsure of; none where it has no other round.
pub(crate) fn first_blocks_of(plan: &Plan, image: &PlannedImage) -> Vec<TaskKind> {
    let rule = plan.cascade_of(image);
    let is_first = |task: &TaskKind| matches!(task, TaskKind::Block { group, .. } if rule.is_some_and(|rule| !rule.is_later(*group as usize)));
    blocks_of(plan, image).into_iter().filter(is_first).collect()
}

/// Whether a member that scores `image` in this task wants the image's statistics.
pub(crate) fn reads_statistics(plan: &Plan, image: &PlannedImage, task: TaskKind) -> bool {
    let TaskKind::Block { group, .. } = task else { return false };
    let groups = plan.inference.scored_by(image).groups;
    groups.get(group as usize).is_some_and(|group| group.members.iter().any(|m| m.input.wants().is_some()))
}

/// A job, and the members that score an image.
type ScoredBy = (String, Option<Vec<u32>>);

thread_local! {
    /// What the scores of tiles are called, by job and members: it is asked for over and over.
    static SCORES: RefCell<HashMap<ScoredBy, Vec<String>>> = RefCell::default();

    /// What [`object_of`] has made, by job, image and task: it is asked for the same things over and over.
    static MADE: RefCell<HashMap<(String, String, TaskKind), Option<Bytes>>> = RefCell::default();
}

/// Where a task of `image` stores what it makes.
pub(crate) fn key_of(plan: &Plan, image: &PlannedImage, task: TaskKind) -> String {
    let name = (plan.job.clone(), image.members.clone());
    let key = SCORES.with_borrow_mut(|known| {
        let scores = known.entry(name).or_insert_with(|| plan.scores_of(image));
        task.produces(&plan.job, image, scores)
    });
    key.expect("a task of the plan")
}

/// What every honest worker stores for a task of `image`; `None` if the plan has no such task.
pub(crate) fn object_of(plan: &Plan, image: &PlannedImage, task: TaskKind) -> Option<Bytes> {
    let make = || {
        ImageTasks::new(plan, image).place(task)?;
        match task {
            TaskKind::Statistics => Some(statistics_of(image)),
            TaskKind::Region => Some(region_of(image, image.content_key())),
            TaskKind::Gate => Some(gate_of(plan, image)),
            TaskKind::Unsure => Some(region_of(image, &image.key)),
            TaskKind::Block { group, block } => tile_of(plan, image, group, block),
        }
    };
    let name = (plan.job.clone(), image.key.clone(), task);
    MADE.with_borrow_mut(|made| made.entry(name).or_insert_with(make).clone())
}

fn statistics_of(image: &PlannedImage) -> Bytes {
    let bands = vec![BandStatistics { offset: 127.5, spread: 3.25 }; usize::from(BANDS)];
    let measured = vec![MeasuredBands { measure: Measured::STANDARD.measure(None), bands }];
    ImageStatistics::new(&image.key, measured).to_bytes().into()
}

fn gate_of(plan: &Plan, image: &PlannedImage) -> Bytes {
    let said: Vec<_> = plan.inference.gate.iter().map(|model| (model, vec![0.75])).collect();
    ImageGate::new(&image.key, CLASSES as usize, &said).to_bytes().into()
}

fn region_of(image: &PlannedImage, name: &str) -> Bytes {
    let region = ImageRegion { region: Region::whole(image.size), finding: Finding::TooMuch };
    region.to_bytes(name).expect("a small region").into()
}

fn tile_of(plan: &Plan, image: &PlannedImage, group: u32, block: u32) -> Option<Bytes> {
    let (grid, blocks) = plan.layout(image, group)?;
    let extent = blocks.get(block)?.extent(&grid);
    let scored = plan.inference.scored_by(image);
    let header = TileHeader {
        scores: plan.scores_of_group(image, group as usize),
        image: image.content_key().to_owned(),
        block,
        extent,
        classes: CLASSES,
        space: ScoreSpace::Probabilities,
        dtype: TileDtype::F16,
        models: scored.groups[group as usize].members.iter().map(|member| member.sha256.clone()).collect(),
        missing: None,
        unread: Vec::new(),
        skipped: false,
    };
    let scores = vec![0.5; (extent.size.area() * u64::from(CLASSES)) as usize];
    Some(tile::encode(&header, &scores).expect("scores of one half").into())
}

/// What every honest aggregator writes into the files of `image`: which tiles it saw, which it did not, and the weights
/// with which they are merged.
pub(crate) fn file_of(plan: &Plan, image: &PlannedImage, missing: &BTreeSet<TaskKind>) -> String {
    let row = |task: &TaskKind| {
        let tile = object_of(plan, image, *task).filter(|_| !missing.contains(task));
        let saw = tile.map_or_else(|| "missing".to_owned(), |tile| hash(&[&tile]));
        format!("{task}: {saw}\n")
    };
    let rows: String = blocks_of(plan, image).iter().map(row).collect();
    format!("{} {} {:?}\n{rows}", image.id, image.key, plan.total_weights(image))
}

/// How many tiles of `image` are stored.
pub(crate) async fn tiles_of(cluster: &Cluster, job: &JobOf, image: &PlannedImage) -> usize {
    let mut stored = 0;
    for task in blocks_of(&job.plan, image) {
        let tile = cluster.objects.head(&key_of(&job.plan, image, task)).await;
        stored += usize::from(tile.is_ok());
    }
    stored
}

/// What is left in the store of all that tasks of `job` have stored: keys, ascending.
pub(crate) async fn left_of_tasks(cluster: &Cluster, job: &JobOf) -> Vec<String> {
    let mut left = Vec::new();
    for folder in [
        key::all_statistics(&job.plan.job),
        key::all_regions(&job.plan.job),
        key::all_gates(&job.plan.job),
        key::all_unsure(&job.plan.job),
        key::tiles(&job.plan.job),
    ] {
        // This store has no faults.
        let objects = cluster.objects.list(&folder).await.unwrap_or_default();
        left.extend(objects.into_iter().map(|object| object.key));
    }
    left
}
