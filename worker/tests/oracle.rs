//! The worker with a model that says exactly what it sees: whatever goes in through windows, padding, views, batches,
//! members and blocks must come out in the tiles unchanged, pixel for pixel.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use bytes::Bytes;
use marquetry_ensemble::{
    ClassMap, Importance, Labelling, OutputActivation, ScoreSpace, View, ViewMerge, Views,
};
use marquetry_failure::FailureClass;
use marquetry_geometry::{Edges, Reading, Size, WindowSpec};
use marquetry_job::{
    Backend, Element, Event, Fit, Group, ImageTasks, Inference, Input, IoContract, Layout, Member, Merge,
    OutputForm, PLAN_FORMAT, Plan, PlannedImage, ResultMessage, RunId, Scale, Scaling, TaskKind, TaskMessage,
    TileDtype, TileIndex, key, message, tile,
};
use marquetry_model::{ModelError, Network};
use marquetry_telemetry::Metrics;
use marquetry_transport::{
    Drain, Files, FolderStore, MemoryQueue, ObjectStore, S3, S3Options, Stores, TaskQueue, Topic,
};
use marquetry_worker::{
    Failure, HostScorers, ImageOptions, NetworkSource, ScorerSource, SelfTest, Worker, WorkerError,
    WorkerOptions,
};
use std::path::Path;
use std::sync::Arc;

#[path = "oracle/fused.rs"]
mod fused;
#[path = "oracle/scorers.rs"]
mod scorers;

const IMAGE: Size = Size::new(61, 83);
const BANDS: usize = 3;

/// Says what it sees, or NaN, or nothing at all, or never comes back.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Oracle {
    Honest,
    Nan,
    Panics,
    Hangs,
}

struct Echo {
    signature: IoContract,
    kind: Oracle,
    output: Vec<f32>,
}

impl Network for Echo {
    fn signature(&self) -> &IoContract {
        &self.signature
    }

    fn run(&mut self, input: &[f32]) -> Result<&[f32], ModelError> {
        assert_eq!(input.len(), self.signature.input_len(), "batches have one fixed shape");
        assert!(self.kind != Oracle::Panics, "the oracle is silent");
        if self.kind == Oracle::Hangs {
            loop {
                std::thread::park();
            }
        }
        self.output = input.to_vec();
        if self.kind == Oracle::Nan {
            self.output[7] = f32::NAN;
        }
        Ok(&self.output)
    }
}

/// Scorers that ask the oracle.
fn asking(kind: Oracle) -> Arc<dyn ScorerSource> {
    Arc::new(HostScorers::new(Arc::new(kind), Metrics::new()))
}

impl NetworkSource for Oracle {
    fn open(&self, _: &Member, signature: &IoContract) -> Result<Box<dyn Network>, Failure> {
        Ok(Box::new(Echo { signature: signature.clone(), kind: *self, output: Vec::new() }))
    }

    fn bytes(&self, _: &Member) -> u64 {
        1
    }
}

fn pixel(band: usize, y: usize, x: usize) -> u8 {
    ((y * 7 + x * 3 + band * 50) % 256) as u8
}

fn write_image(path: &Path) {
    let (height, width) = (IMAGE.height as usize, IMAGE.width as usize);
    let bytes: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| (0..BANDS).map(move |b| pixel(b, y, x))))
        .collect();
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), IMAGE.width, IMAGE.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
}

fn member(name: &str, outer: Size, views: &[View], weight: f32, batch: u32) -> Member {
    let signature = |size: Size| IoContract {
        input: "image".into(),
        layout: Layout::Nchw,
        channels: BANDS as u32,
        size,
        batch,
        element_in: Element::F32,
        dims: std::collections::BTreeMap::new(),
        head: "scores".into(),
        form: OutputForm::Nchw,
        classes: BANDS as u32,
        output_size: size,
        element_out: Element::F32,
        backend: Backend::default(),
    };
    let mut sizes = vec![outer];
    for size in views.iter().map(|v| v.input_size(outer)) {
        if !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    Member {
        name: name.into(),
        onnx: String::new(),
        sha256: name.into(),
        external: Vec::new(),
        model_bytes: 1,
        tags: std::collections::BTreeMap::new(),
        weights: vec![weight, weight * 2.0, weight],
        input: Input { scale: Scale::Factor(1.0), ..Input::default() },
        applied: OutputActivation::None,
        classes: ClassMap::default(),
        fit: Fit::Resize,
        signatures: sizes.into_iter().map(signature).collect(),
    }
}

fn plan(path: &Path, window: WindowSpec, views: &[View], batch: u32) -> Job {
    let group = Group {
        scaling: Scaling::Factor(1.0),
        resample: marquetry_geometry::Resample::Linear,
        window,
        importance: Importance::Gaussian,
        views: views.to_vec(),
        members: vec![
            member("a", window.outer(), views, 1.0, batch),
            member("b", window.outer(), views, 3.0, batch),
        ],
    };
    let inference = Inference {
        format: PLAN_FORMAT,
        reading: Reading::default(),
        classes: vec!["r".into(), "g".into(), "b".into()],
        labelling: Labelling::Multilabel,
        view_merge: ViewMerge::Mean,
        view_space: ScoreSpace::Logits,
        tile_space: ScoreSpace::Logits,
        centred: false,
        swapped: std::collections::BTreeMap::new(),
        tile: TileDtype::F32,
        block_pixels: 40 * 40,
        region: None,
        cascade: None,
        gate: Vec::new(),
        groups: vec![group],
    };
    let image = PlannedImage {
        id: "i".into(),
        uri: path.to_string_lossy().into_owned(),
        sidecars: Vec::new(),
        version: String::new(),
        key: "0123456789abcdef".into(),
        content: None,
        size: IMAGE,
        bands: BANDS as u16,
        tags: std::collections::BTreeMap::new(),
        members: None,
        truth: None,
    };
    let weights = inference.members().map(|m| m.weights.clone()).collect();
    Job { plan: Plan::new("oracle", inference, Merge { space: ScoreSpace::Logits, weights }), image }
}

/// A plan and its one image.
struct Job {
    plan: Plan,
    image: PlannedImage,
}

impl Job {
    /// Where the tile of a block of its only group lies.
    fn tile(&self, block: u32) -> String {
        let scores = self.plan.scores_of_group(&self.image, 0);
        key::tile(&self.plan.job, &scores, &self.image.key, block)
    }
}

impl std::ops::Deref for Job {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}

impl Job {
    fn tasks(&self) -> Vec<TaskKind> {
        ImageTasks::new(&self.plan, &self.image).iter().collect()
    }
}

const RUN: &str = "r1";

fn task_message(plan: &Job, store: &Path, task: TaskKind) -> TaskMessage {
    let store = store.to_string_lossy().into_owned();
    let run = RunId { job: plan.job.clone(), store, run: RUN.into() };
    let (hash, image) = (plan.hash(), plan.image.clone());
    TaskMessage { run, plan: hash, image, task, attempt: 1, replace: false, alone: false }
}

/// Runs every task of the plan; what was announced.
async fn work(folder: &Path, plan: &Job, kind: Oracle, lanes: usize) -> (FolderStore, Vec<Event>) {
    let folder = folder.join(format!("store-{lanes}"));
    work_with(&folder, plan, kind, asking(kind), lanes).await
}

async fn work_with(
    folder: &Path,
    plan: &Job,
    kind: Oracle,
    scorers: Arc<dyn ScorerSource>,
    lanes: usize,
) -> (FolderStore, Vec<Event>) {
    let tasks: Vec<TaskMessage> =
        plan.tasks().into_iter().map(|task| task_message(plan, folder, task)).collect();
    let store = FolderStore::open(folder).unwrap();
    let events = send_to(&store, plan, (kind, scorers), lanes, &tasks, tasks.len()).await;
    (store, events)
}

/// Sends tasks to a worker of its own, and waits until it has announced something `answers` times.
async fn send(
    store: &FolderStore,
    plan: &Job,
    kind: Oracle,
    lanes: usize,
    tasks: &[TaskMessage],
    answers: usize,
) -> Vec<Event> {
    send_to(store, plan, (kind, asking(kind)), lanes, tasks, answers).await
}

async fn send_to(
    store: &FolderStore,
    plan: &Job,
    (kind, scorers): (Oracle, Arc<dyn ScorerSource>),
    lanes: usize,
    tasks: &[TaskMessage],
    answers: usize,
) -> Vec<Event> {
    store.put(&key::plan(&plan.job, &plan.hash()), Bytes::from(plan.to_bytes())).await.unwrap();
    store.put(&key::run(&plan.job), Bytes::from_static(RUN.as_bytes())).await.unwrap();
    let queue = MemoryQueue::new();
    let mut results = queue.follow(Topic::Results).await.unwrap();
    for task in tasks {
        queue.publish(Topic::Tasks, "", Bytes::from(message::encode(task))).await.unwrap();
    }
    let options = WorkerOptions {
        lanes,
        canvas_bytes: 1 << 20,
        model_bytes: 1 << 20,
        images: ImageOptions {
            pixels_max: 1 << 20,
            memory_bytes: 1 << 20,
            scratch_dir: store.scratch(),
            files: Files::local_only(),
            planned_here: false,
        },
        deadline: (kind == Oracle::Hangs).then_some(std::time::Duration::from_millis(200)),
        self_test: SelfTest::new(),
        metrics: Metrics::new(),
    };
    let stores = Stores::new(S3::new(S3Options::default()), Metrics::new());
    let worker = Worker::start("oracle", stores, Arc::new(queue.clone()), &scorers, &options).unwrap();
    let running = tokio::spawn(async move { Arc::new(worker).run(&Drain::never()).await });
    let (mut events, mut begun) = (Vec::new(), std::collections::HashSet::new());
    while events.len() < answers {
        let said: ResultMessage = message::decode(&results.next().await.unwrap()).unwrap();
        assert_eq!((said.from.as_str(), said.run.run.as_str()), ("oracle", RUN));
        // That a task begins is said before all else of it.
        if let Event::TaskBegun { task, .. } = said.event {
            begun.insert(task);
            continue;
        }
        if let Event::TaskFailed { task, .. } | Event::TaskDone { task, .. } = &said.event {
            assert!(begun.contains(task), "{task} ends, and was not begun");
        }
        events.push(said.event);
    }
    queue.close();
    match running.await.unwrap() {
        Err(WorkerError::Stuck(_)) => assert!(kind == Oracle::Hangs, "{kind:?}"),
        ended => ended.unwrap(),
    }
    events
}

async fn tile_of(store: &FolderStore, plan: &Job, block: u32) -> (tile::TileHeader, Vec<f32>, Bytes) {
    let bytes = store.get(&plan.tile(block)).await.unwrap();
    let (grid, blocks) = plan.layout(&plan.image, 0).unwrap();
    let rows = blocks.get(block).unwrap().extent(&grid).size.height;
    let tail = bytes.len() - tile::index_bytes(rows) as usize;
    let index = TileIndex::parse(&bytes[tail..], bytes.len() as u64).unwrap();
    let slice = |r: std::ops::Range<u64>| &bytes[r.start as usize..r.end as usize];
    let header = index.decode_header(slice(index.header_range())).unwrap();
    let scores = (0..index.row_frames())
        .flat_map(|k| index.decode_rows(&header, k, slice(index.rows_range(k))).unwrap())
        .collect();
    (header, scores, bytes.clone())
}

fn window(inner: Size, margin: u32, edges: Edges) -> WindowSpec {
    let stride = Size::new((inner.height / 2).max(1), (inner.width / 3).max(1));
    WindowSpec { inner, margin: Size::square(margin), stride, edges }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_in_comes_out() {
    let d4 = Views { names: vec!["d4".into()], product: false, identity: true };
    let cases = [
        (window(Size::new(24, 24), 0, Edges::Shift), vec![View::IDENTITY], 1),
        (window(Size::new(17, 30), 3, Edges::Spread), d4.resolve(Size::new(23, 36), false).unwrap(), 3),
        (window(Size::new(40, 28), 2, Edges::Pad), d4.resolve(Size::new(44, 32), false).unwrap(), 8),
        (window(Size::new(90, 100), 0, Edges::Shift), vec![View::IDENTITY], 4),
    ];
    for (window, views, batch) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("i.png");
        write_image(&path);
        let plan = plan(&path, window, &views, batch);
        let (store, events) = work(folder.path(), &plan, Oracle::Honest, 3).await;
        assert!(events.iter().all(|e| matches!(e, Event::TaskDone { .. })), "{events:?}");
        let (alone, _) = work(folder.path(), &plan, Oracle::Honest, 1).await;
        for block in 0..plan.tasks().len() as u32 {
            let (header, scores, bytes) = tile_of(&store, &plan, block).await;
            let extent = header.extent;
            let width = extent.size.width as usize;
            for (i, &score) in scores.iter().enumerate() {
                let (y, class, x) = (i / (BANDS * width), i / width % BANDS, i % width);
                let want = f32::from(pixel(class, extent.top as usize + y, extent.left as usize + x));
                assert!(
                    (score - want).abs() < 1e-3,
                    "block {block} ({y}, {class}, {x}): {score}, not {want}"
                );
            }
            assert_eq!(
                tile_of(&alone, &plan, block).await.2,
                bytes,
                "one lane and three give the same bytes"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_says_nan_or_panics_is_reported_and_nothing_hangs() {
    // Another try of what is a bug may go better; it counts as one.
    for (kind, word, whose) in
        [(Oracle::Nan, "NaN", FailureClass::Input), (Oracle::Panics, "panicked", FailureClass::Bug)]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("i.png");
        write_image(&path);
        let plan = plan(&path, window(Size::square(24), 0, Edges::Shift), &[View::IDENTITY], 1);
        let (_, events) = work(folder.path(), &plan, kind, 2).await;
        for event in events {
            let Event::TaskFailed { reason, class, .. } = event else { panic!("{event:?}") };
            assert!(class == whose && reason.contains(word), "{class}: {reason}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_changed_since_the_plan_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("i.png");
    write_image(&path);
    let mut plan = plan(&path, window(Size::square(24), 0, Edges::Shift), &[View::IDENTITY], 1);
    plan.image.size = Size::new(60, 83);
    let (_, events) = work(folder.path(), &plan, Oracle::Honest, 1).await;
    let changed = |e: &Event| matches!(e, Event::TaskFailed { reason, class: FailureClass::Input, .. } if reason.contains("when the job was planned"));
    assert!(events.iter().all(changed), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_said_and_not_computed_unless_it_is_to_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("i.png");
    write_image(&path);
    let plan = plan(&path, window(Size::square(24), 0, Edges::Shift), &[View::IDENTITY], 1);
    let (store, _) = work(folder.path(), &plan, Oracle::Honest, 1).await;
    let first = task_message(&plan, &folder.path().join("store-1"), plan.tasks()[0]);
    // The silent oracle would panic if it were asked.
    let events = send(&store, &plan, Oracle::Panics, 1, std::slice::from_ref(&first), 1).await;
    assert!(matches!(events[..], [Event::TaskDone { forwards: 0, stored_bytes: 1.., .. }]), "{events:?}");
    let again = TaskMessage { replace: true, ..first };
    let events = send(&store, &plan, Oracle::Panics, 1, &[again], 1).await;
    assert!(matches!(events[..], [Event::TaskFailed { .. }]), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_a_run_that_has_ended_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("i.png");
    write_image(&path);
    let plan = plan(&path, window(Size::square(24), 0, Edges::Shift), &[View::IDENTITY], 1);
    let place = folder.path().join("store");
    let store = FolderStore::open(&place).unwrap();
    let mut tasks: Vec<TaskMessage> =
        plan.tasks().into_iter().map(|t| task_message(&plan, &place, t)).collect();
    let last = tasks.len() - 1;
    assert!(last > 2);
    for task in &mut tasks[..last] {
        task.run.run = "an earlier one".into();
    }
    // Only the last one counts: one answer comes, and one tile.
    let events = send(&store, &plan, Oracle::Honest, 1, &tasks, 1).await;
    assert!(
        matches!(events[..], [Event::TaskDone { ref task, .. }] if *task == tasks[last].id()),
        "{events:?}"
    );
    assert_eq!(store.list(&key::tiles(&plan.job)).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_hangs_is_given_up_and_the_worker_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("i.png");
    write_image(&path);
    let plan = plan(&path, window(Size::square(24), 0, Edges::Shift), &[View::IDENTITY], 1);
    let store = FolderStore::open(&folder.path().join("store")).unwrap();
    let first = task_message(&plan, &folder.path().join("store"), plan.tasks()[0]);
    let events = send(&store, &plan, Oracle::Hangs, 2, &[first], 1).await;
    let late = |e: &Event| matches!(e, Event::TaskFailed { reason, class: FailureClass::Passing, .. } if reason.contains("--deadline-seconds"));
    assert!(events.iter().all(late), "{events:?}");
}
