//! Fused graphs against the host scorer, tile by tile, with models that ONNX Runtime runs.

use super::*;
use marquetry_ensemble::Rest;
use marquetry_geometry::D4;
use marquetry_job::hash;
use marquetry_model::toy::{Toy, Weights};
use marquetry_model::{Activation, Runtime, RuntimeSearch, SessionOptions};
use marquetry_worker::{FusedOptions, FusedScorers, Returned, RuntimeSource};
use proptest::prelude::*;

/// Apart at most, of scores in single precision: other orders of sums, other kernels.
const SINGLE: f32 = 1e-5;
/// Of probabilities in half precision: half a step below 1, and what single precision is off.
const HALF: f32 = 5e-4;

/// How one model is made and what the plan says of it.
#[derive(Debug, Clone)]
struct Model {
    toy: Toy,
    applied: OutputActivation,
    classes: ClassMap,
    fit: Fit,
    output: Size,
    /// Channels of what it says.
    channels: u32,
    batch: u32,
}

impl Model {
    /// A convolution that says another thing in every view.
    fn new(classes: u32, outer: Size, batch: u32) -> Self {
        let toy = Toy { classes, kernel: 3, weights: Weights::Seeded(7), ..Toy::default() };
        let (applied, classes) = (OutputActivation::None, ClassMap::default());
        let fit = Fit::Resize;
        let channels = toy.classes;
        Self { toy, applied, classes, fit, output: outer, channels, batch }
    }

    /// Writes the file.
    fn member(&self, folder: &Path, name: &str, outer: Size, views: &[View], classes: usize) -> Member {
        let bytes = self.toy.bytes();
        let path = folder.join(format!("{name}.onnx"));
        std::fs::write(&path, &bytes).unwrap();
        let member = member(name, outer, views, 1.0, self.batch);
        let signatures = member.signatures.iter().map(|signature| IoContract {
            layout: self.toy.layout,
            element_in: self.toy.element_in.clone(),
            element_out: self.toy.element_out.clone(),
            form: self.toy.form,
            classes: self.channels,
            output_size: if signature.size == outer { self.output } else { signature.size },
            ..signature.clone()
        });
        Member {
            onnx: path.to_string_lossy().into_owned(),
            sha256: hash(&[&bytes]),
            model_bytes: bytes.len() as u64,
            weights: (0..classes).map(|class| 1.0 + class as f32 / 2.0).collect(),
            input: Input::default(),
            applied: self.applied,
            classes: self.classes.clone(),
            fit: self.fit,
            signatures: signatures.collect(),
            ..member
        }
    }
}

/// A plan over the image at `path` of these members and classes.
fn plan_of(
    path: &Path,
    window: WindowSpec,
    views: &[View],
    classes: usize,
    members: Vec<Member>,
    change: impl FnOnce(&mut Inference),
) -> Job {
    let Job { plan, image } = plan(path, window, views, 1);
    let mut inference = plan.inference.clone();
    inference.classes = (0..classes).map(|class| class.to_string()).collect();
    inference.labelling = Labelling::Multiclass;
    (inference.view_space, inference.tile_space) = (ScoreSpace::Probabilities, ScoreSpace::Probabilities);
    inference.groups[0].members = members;
    change(&mut inference);
    let weights = inference.members().map(|member| member.weights.clone()).collect();
    let space = inference.tile_space;
    Job { plan: Plan::new("oracle", inference, Merge { space, weights }), image }
}

fn runtime() -> Runtime {
    Runtime::load(&RuntimeSearch::from_process()).unwrap_or_else(|error| panic!("{error}"))
}

fn host() -> Arc<dyn ScorerSource> {
    let files = Files::local_only();
    let source = RuntimeSource::new(runtime(), SessionOptions::default(), files, Metrics::new());
    Arc::new(HostScorers::new(Arc::new(source), Metrics::new()))
}

fn fused(half: bool) -> Arc<dyn ScorerSource> {
    let returned = if half { Returned::Half } else { Returned::Single };
    fused_with(FusedOptions { returned, ..FusedOptions::default() })
}

fn fused_with(options: FusedOptions) -> Arc<dyn ScorerSource> {
    let (files, session) = (Files::local_only(), SessionOptions::default());
    Arc::new(FusedScorers::new(runtime(), session, files, Metrics::new(), options).unwrap())
}

/// The scores and bytes of all tiles.
async fn scored(
    folder: &Path,
    name: &str,
    plan: &Job,
    scorers: Arc<dyn ScorerSource>,
) -> Vec<(Vec<f32>, Bytes)> {
    let (store, events) = work_with(&folder.join(name), plan, Oracle::Honest, scorers, 2).await;
    assert!(events.iter().all(|event| matches!(event, Event::TaskDone { .. })), "{events:?}");
    let mut tiles = Vec::new();
    for block in 0..plan.tasks().len() as u32 {
        let (_, scores, bytes) = tile_of(&store, plan, block).await;
        tiles.push((scores, bytes));
    }
    tiles
}

/// What went wrong with every task.
async fn reasons(folder: &Path, name: &str, plan: &Job, scorers: Arc<dyn ScorerSource>) -> Vec<String> {
    let (_, events) = work_with(&folder.join(name), plan, Oracle::Honest, scorers, 1).await;
    let failed = events.into_iter().map(|event| match event {
        Event::TaskFailed { task, class, reason, .. } => format!("{task}: {class}: {reason}"),
        other => panic!("{other:?}"),
    });
    let mut failed: Vec<String> = failed.collect();
    failed.sort();
    failed
}

/// Scores of a tile are within `tolerance`, and labels differ only where two classes are nearly equal.
fn compare(plan: &Job, block: u32, got: &[f32], want: &[f32], tolerance: f32) {
    let (grid, blocks) = plan.layout(&plan.image, 0).unwrap();
    let width = blocks.get(block).unwrap().extent(&grid).size.width as usize;
    let classes = plan.inference.classes.len();
    assert_eq!(got.len(), want.len());
    for (got, want) in got.chunks_exact(classes * width).zip(want.chunks_exact(classes * width)) {
        for x in 0..width {
            let at = |row: &[f32]| (0..classes).map(|c| row[c * width + x]).collect::<Vec<_>>();
            let (got, want) = (at(got), at(want));
            let apart = got.iter().zip(&want).map(|(a, b)| (a - b).abs() / b.abs().max(1.0));
            let apart = apart.fold(0.0, f32::max);
            assert!(apart <= tolerance, "block {block}: {got:?}, not {want:?}");
            let label = |row: &[f32]| (0..classes).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
            let (first, second) = (label(&got), label(&want));
            let close = (want[first] - want[second]).abs() <= 2.0 * tolerance * want[second].abs().max(1.0);
            assert!(first == second || close, "block {block}: {got:?}, not {want:?}");
        }
    }
}

/// One job in many ways.
#[derive(Debug, Clone)]
struct Case {
    views: Vec<View>,
    inner: u32,
    margin: u32,
    batch: u32,
    classes: u32,
    activation: Activation,
    labelling: Labelling,
    spaces: (ScoreSpace, ScoreSpace),
    layout: Layout,
    form: OutputForm,
    element: Element,
    how: How,
    swapped: bool,
}

/// How what a model says lies to what it sees.
#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Same,
    Coarse,
    Valid,
    Around,
}

fn cases() -> impl Strategy<Value = Case> {
    let views = proptest::sample::subsequence(D4::ALL.to_vec(), 1..=8);
    let spaces = [ScoreSpace::Logits, ScoreSpace::Probabilities];
    let model = (
        1_u32..=4,
        prop::sample::select(vec![Activation::None, Activation::Softmax, Activation::Sigmoid]),
        prop::sample::select(vec![Labelling::Multiclass, Labelling::Multilabel]),
        prop::sample::select(vec![Layout::Nchw, Layout::Nhwc]),
        prop::sample::select(vec![OutputForm::Nchw, OutputForm::Nhwc, OutputForm::Flat]),
        prop::sample::select(vec![Element::F32, Element::F16]),
        prop::sample::select(vec![How::Same, How::Coarse, How::Valid, How::Around]),
    );
    let plan = (
        prop::sample::select(vec![20_u32, 24, 30]),
        0_u32..=2,
        2_u32..=20,
        prop::sample::select(spaces.to_vec()),
        prop::sample::select(spaces.to_vec()),
        any::<bool>(),
    );
    (views, model, plan).prop_filter_map("no such model", |(views, model, plan)| {
        let (classes, activation, labelling, layout, form, element, how) = model;
        let (inner, margin, batch, view_space, tile_space, swapped) = plan;
        let is_softmax = activation == Activation::Softmax;
        let possible = !(is_softmax && (classes == 1 || labelling == Labelling::Multilabel));
        // What is coarse is a whole number of pixels, and what is cut around has no margin of the job.
        let margin = if how == How::Same { margin } else { 0 };
        possible.then(|| Case {
            views: views.into_iter().map(View::of).collect(),
            inner,
            margin,
            batch,
            classes,
            activation,
            labelling,
            spaces: (view_space, tile_space),
            layout,
            form,
            element,
            how,
            swapped,
        })
    })
}

impl Case {
    /// The model, what it sees of a window, and the window.
    fn model(&self) -> (Model, WindowSpec) {
        let size = Size::square(self.inner);
        let inner = if self.how == How::Valid { Size::square(self.inner - 2) } else { size };
        let margin = if self.how == How::Valid { 1 } else { self.margin };
        let window = super::window(inner, margin, Edges::Pad);
        let mut model = Model::new(self.classes, window.outer(), self.batch);
        model.toy.layout = self.layout;
        model.toy.form = self.form;
        model.toy.element_in = self.element.clone();
        model.toy.element_out = self.element.clone();
        model.toy.activation = self.activation;
        model.applied = match self.activation {
            Activation::Softmax => OutputActivation::Softmax,
            Activation::Sigmoid => OutputActivation::Sigmoid,
            _ => OutputActivation::None,
        };
        match self.how {
            How::Same => {}
            How::Coarse => {
                model.toy.stride = 2;
                model.output = Size::square(self.inner / 2);
            }
            How::Valid => {
                model.toy.valid = true;
                model.fit = Fit::Centre;
                model.output = inner;
            }
            How::Around => {
                model.toy.around = [0, 3];
                model.fit = Fit::Crop;
                model.output = Size::square(self.inner + 3);
            }
        }
        (model, window)
    }
}

async fn fused_as_host(case: &Case) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("i.png");
    write_image(&path);
    let (model, window) = case.model();
    let is_binary = case.classes == 1 && case.labelling == Labelling::Multiclass;
    let classes = if is_binary { 2 } else { case.classes as usize };
    let members = ["a", "b"].map(|name| {
        let mut model = model.clone();
        model.toy.weights = Weights::Seeded(u64::from(name.as_bytes()[0]));
        model.member(folder.path(), name, window.outer(), &case.views, classes)
    });
    let plan = plan_of(&path, window, &case.views, classes, members.to_vec(), |inference| {
        inference.labelling = case.labelling;
        (inference.view_space, inference.tile_space) = case.spaces;
        if case.swapped {
            let order: Vec<u16> = (0..classes as u16).map(|c| (c + 1) % classes as u16).collect();
            inference.swapped.insert(D4::HFLIP, order);
        }
    });
    let want = scored(folder.path(), "host", &plan, host()).await;
    for (name, half, tolerance) in [("single", false, SINGLE), ("half", true, HALF)] {
        let got = scored(folder.path(), name, &plan, fused(half)).await;
        for (block, (got, want)) in (0..).zip(got.iter().zip(&want)) {
            let is_half = half && case.spaces.1 == ScoreSpace::Probabilities;
            compare(&plan, block, &got.0, &want.0, if is_half { tolerance } else { SINGLE });
            // What a model says in half precision may be there already.
            let is_rounded = is_half && case.element == Element::F32;
            assert!(!is_rounded || got.0 != want.0, "it was no fused graph that scored");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fused_graphs_score_as_the_host_does(case in cases()) {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(fused_as_host(&case));
    }
}

/// Whether a job of one member, or of it between two others, has the host scorer's very bytes.
async fn left_to_the_host(
    what: &str,
    window: WindowSpec,
    views: &[View],
    model: &Model,
    change: impl Fn(&mut Inference),
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("i.png");
    write_image(&path);
    let alone = model.member(folder.path(), "alone", window.outer(), views, 3);
    let plan = plan_of(&path, window, views, 3, vec![alone], change);
    let want = scored(folder.path(), "host", &plan, host()).await;
    let got = scored(folder.path(), "fused", &plan, fused(true)).await;
    assert!(got == want, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_graph_can_do_has_the_bytes_of_the_host_scorer() {
    let square = window(Size::square(20), 2, Edges::Pad);
    let (outer, flat) = (square.outer(), window(Size::new(20, 26), 0, Edges::Pad));
    let plain = || Model::new(3, outer, 4);
    let turned = vec![View::IDENTITY, View::of(D4::ROT90)];
    let summed = ClassMap { channels: vec![vec![0], vec![1, 3], vec![2]], rest: Rest::None };
    let with = |change: fn(&mut Model)| {
        let mut model = plain();
        change(&mut model);
        model
    };
    let nothing = |_: &mut Inference| {};
    let scaled = vec![View::IDENTITY, View { scale: 0.5, ..View::IDENTITY }];
    left_to_the_host("a scale", square, &scaled, &plain(), nothing).await;
    let light = vec![View::IDENTITY, View { brightness: 1.2, ..View::IDENTITY }];
    left_to_the_host("light", square, &light, &plain(), nothing).await;
    left_to_the_host("the greatest", square, &turned, &plain(), |i| i.view_merge = ViewMerge::Max).await;
    left_to_the_host("one at a time", square, &turned, &with(|model| model.batch = 1), nothing).await;
    let fixed = with(|model| (model.toy.batch, model.batch) = (Some(3), 3));
    left_to_the_host("three at a time", square, &turned, &fixed, nothing).await;
    left_to_the_host("bytes", square, &turned, &with(|model| model.toy.element_in = Element::U8), nothing)
        .await;
    let mut sums = Model { classes: summed, ..Model::new(4, outer, 4) };
    left_to_the_host("sums of channels", square, &turned, &sums, nothing).await;
    sums.toy.form = OutputForm::Nhwc;
    left_to_the_host("sums of channels that lie last", square, &turned, &sums, nothing).await;
    let labels = with(|model| {
        (model.toy.activation, model.toy.element_out) = (Activation::Labels, Element::I64);
        (model.applied, model.channels) = (OutputActivation::Labels, 1);
    });
    left_to_the_host("labels", square, &turned, &labels, nothing).await;
    left_to_the_host("a flat window on its side", flat, &turned, &Model::new(3, flat.outer(), 4), nothing)
        .await;
    let uneven = WindowSpec { inner: Size::new(20, 22), margin: Size::new(2, 1), ..square };
    left_to_the_host("an uneven margin on its side", uneven, &turned, &plain(), nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_keep_their_order_whoever_computes_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("i.png");
    write_image(&path);
    let (window, views) = (window(Size::square(20), 2, Edges::Pad), [View::IDENTITY, View::of(D4::ROT270)]);
    let outer = window.outer();
    let mut labels = Model::new(3, outer, 5);
    (labels.toy.activation, labels.toy.element_out) = (Activation::Labels, Element::I64);
    (labels.applied, labels.channels) = (OutputActivation::Labels, 1);
    // Runs of two windows, of three, and of one, of requests of three.
    let mut members: Vec<Member> = [(1, 5), (2, 7), (3, 2)]
        .iter()
        .map(|(seed, batch)| {
            let mut model = Model::new(3, outer, *batch);
            model.toy.weights = Weights::Seeded(*seed);
            model.member(folder.path(), &format!("m{seed}"), outer, &views, 3)
        })
        .collect();
    members[1].input.mean = vec![0.4];
    members.insert(1, labels.member(folder.path(), "labels", outer, &views, 3));
    members.push(labels.member(folder.path(), "last", outer, &views, 3));
    let plan = plan_of(&path, window, &views, 3, members, |_| {});
    let want = scored(folder.path(), "host", &plan, host()).await;
    for (name, half, tolerance) in [("single", false, SINGLE), ("half", true, HALF)] {
        let got = scored(folder.path(), name, &plan, fused(half)).await;
        for (block, (got, want)) in (0..).zip(got.iter().zip(&want)) {
            compare(&plan, block, &got.0, &want.0, tolerance);
        }
        // With room for no model beside another, each run opens its own.
        let returned = if half { Returned::Half } else { Returned::Single };
        let alone = fused_with(FusedOptions { threads: 1, model_bytes: 1, returned });
        let again = scored(folder.path(), &format!("{name} again"), &plan, alone).await;
        assert!(again == got, "no byte hangs on which thread is quicker");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_in_the_same_words() {
    let window = window(Size::square(20), 2, Edges::Pad);
    let (outer, views) = (window.outer(), [View::IDENTITY, View::of(D4::VFLIP)]);
    let mut nan = Model::new(3, outer, 4);
    nan.toy.weights = Weights::Constant(vec![0.0, f32::NAN, 1.0]);
    let mut infinite = nan.clone();
    infinite.toy.weights = Weights::Constant(vec![0.0, f32::NEG_INFINITY, 1.0]);
    let mut beyond = nan.clone();
    beyond.toy.weights = Weights::Constant(vec![0.0, 1.5, 1.0]);
    beyond.applied = OutputActivation::Sigmoid;
    for (model, word) in [(nan, "NaN"), (infinite, "infinity"), (beyond, "1.5")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("i.png");
        write_image(&path);
        let member = model.member(folder.path(), "m", outer, &views, 3);
        let plan = plan_of(&path, window, &views, 3, vec![member.clone()], |_| {});
        let want = reasons(folder.path(), "host", &plan, host()).await;
        assert!(
            want.iter().all(|reason| reason.contains(word) && reason.contains("in the window")),
            "{want:?}"
        );
        assert_eq!(reasons(folder.path(), "fused", &plan, fused(true)).await, want);
        std::fs::remove_file(&member.onnx).unwrap();
        let want = reasons(folder.path(), "absent", &plan, host()).await;
        assert_eq!(reasons(folder.path(), "absent too", &plan, fused(true)).await, want);
    }
}
