//! The worker with a model that says exactly what it sees: whatever goes in through windows, padding, views, batches,
//! members and blocks must come out in the tiles unchanged, pixel for pixel.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use bytes::Bytes;
use marquetry_ensemble::{Applied, Importance, Labelling, Space, View, ViewMerge, Views};
use marquetry_geometry::{Edges, Padding, Size, WindowSpec};
use marquetry_job::{
    Element, Fit, Group, Input, Layout, Member, OutputForm, PLAN_FORMAT, Plan, PlannedImage, ResultMessage,
    Scaling, Scoring, Signature, TaskMessage, TileDtype, TileIndex, key, message, tile,
};
use marquetry_model::{ModelError, Network};
use marquetry_transport::{Drain, Files, FolderStore, MemoryQueue, ObjectStore, TaskQueue, Topic};
use marquetry_worker::{Failure, ImageOptions, NetworkSource, Worker, WorkerOptions};
use std::path::Path;
use std::sync::Arc;

const IMAGE: Size = Size::new(61, 83);
const BANDS: usize = 3;

/// Says what it sees, or NaN, or nothing at all.
#[derive(Clone, Copy, PartialEq)]
enum Oracle {
    Honest,
    Nan,
    Panics,
}

struct Echo {
    signature: Signature,
    kind: Oracle,
    output: Vec<f32>,
}

impl Network for Echo {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn run(&mut self, input: &[f32]) -> Result<&[f32], ModelError> {
        assert_eq!(input.len(), self.signature.input_len(), "batches have one fixed shape");
        assert!(self.kind != Oracle::Panics, "the oracle is silent");
        self.output = input.to_vec();
        if self.kind == Oracle::Nan {
            self.output[7] = f32::NAN;
        }
        Ok(&self.output)
    }
}

impl NetworkSource for Oracle {
    fn open(&self, _: &Member, signature: &Signature) -> Result<Box<dyn Network>, Failure> {
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
    let signature = |size: Size| Signature {
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
        tags: std::collections::BTreeMap::new(),
        weights: vec![weight, weight * 2.0, weight],
        input: Input {
            bands: None,
            reversed: false,
            scale: Some(1.0),
            mean: vec![],
            std: vec![],
            per_image: false,
            padding: Padding::Reflect,
            padding_value: 0.0,
        },
        applied: Applied::None,
        fit: Fit::Resize,
        signatures: sizes.into_iter().map(signature).collect(),
    }
}

fn plan(path: &Path, window: WindowSpec, views: &[View], batch: u32) -> Plan {
    let group = Group {
        scaling: Scaling::Factor(1.0),
        window,
        importance: Importance::Gaussian,
        views: views.to_vec(),
        members: vec![
            member("a", window.outer(), views, 1.0, batch),
            member("b", window.outer(), views, 3.0, batch),
        ],
    };
    let scoring = Scoring {
        format: PLAN_FORMAT,
        classes: vec!["r".into(), "g".into(), "b".into()],
        labelling: Labelling::Multilabel,
        view_merge: ViewMerge::Mean,
        view_space: Space::Logits,
        space: Space::Logits,
        mirrored: None,
        tile: TileDtype::F32,
        block_pixels: 40 * 40,
        groups: vec![group],
    };
    let image = PlannedImage {
        id: "i".into(),
        uri: path.to_string_lossy().into_owned(),
        key: "0123456789abcdef".into(),
        size: IMAGE,
        bands: BANDS as u16,
    };
    Plan::new("oracle", scoring, vec![image])
}

/// Runs every task of the plan; what was announced.
async fn work(folder: &Path, plan: &Plan, kind: Oracle, lanes: usize) -> (FolderStore, Vec<ResultMessage>) {
    let store = FolderStore::open(&folder.join(format!("store-{lanes}"))).unwrap();
    store.put(&key::plan(&plan.job), Bytes::from(serde_json::to_vec(plan).unwrap())).await.unwrap();
    let queue = MemoryQueue::new();
    let mut results = queue.subscribe(Topic::Results, "test").await.unwrap();
    let mut open = 0;
    for task in plan.tasks_of(0) {
        let task = TaskMessage { job: plan.job.clone(), task, attempt: 1 };
        queue.publish(Topic::Tasks, "", Bytes::from(message::encode(&task))).await.unwrap();
        open += 1;
    }
    let networks: Arc<dyn NetworkSource> = Arc::new(kind);
    let options = WorkerOptions {
        lanes,
        canvas_bytes: 1 << 20,
        model_bytes: 1 << 20,
        images: ImageOptions {
            pixels_max: 1 << 20,
            memory_bytes: 1 << 20,
            spool_dir: folder.to_path_buf(),
            files: Files::local_only(),
        },
    };
    let worker =
        Worker::start(Arc::new(store.clone()), Arc::new(queue.clone()), &networks, &options).unwrap();
    let running = tokio::spawn(async move { Arc::new(worker).run(&Drain::never()).await });
    let mut events = Vec::new();
    while events.len() < open {
        let delivery = results.receive().await.unwrap();
        events.push(message::decode(&delivery.payload).unwrap());
    }
    queue.close();
    running.await.unwrap().unwrap();
    (store, events)
}

async fn tile_of(store: &FolderStore, plan: &Plan, block: u32) -> (tile::TileHeader, Vec<f32>, Bytes) {
    let bytes = store.get(&key::tile(&plan.job, &plan.images[0].key, 0, block)).await.unwrap();
    let (grid, blocks) = plan.layout(0, 0).unwrap();
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
        assert!(events.iter().all(|e| matches!(e, ResultMessage::Tile { .. })), "{events:?}");
        let (alone, _) = work(folder.path(), &plan, Oracle::Honest, 1).await;
        for block in 0..plan.blocks_of(0)[0] {
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
    for (kind, word) in [(Oracle::Nan, "NaN"), (Oracle::Panics, "panicked")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("i.png");
        write_image(&path);
        let plan = plan(&path, window(Size::square(24), 0, Edges::Shift), &[View::IDENTITY], 1);
        let (_, events) = work(folder.path(), &plan, kind, 2).await;
        for event in events {
            let ResultMessage::TaskFailed { reason, retry, .. } = event else { panic!("{event:?}") };
            assert!(!retry && reason.contains(word), "{reason}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_changed_since_the_plan_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("i.png");
    write_image(&path);
    let mut plan = plan(&path, window(Size::square(24), 0, Edges::Shift), &[View::IDENTITY], 1);
    plan.images[0].size = Size::new(60, 83);
    let (_, events) = work(folder.path(), &plan, Oracle::Honest, 1).await;
    let changed = |e: &ResultMessage| matches!(e, ResultMessage::TaskFailed { reason, retry: false, .. } if reason.contains("when the job was planned"));
    assert!(events.iter().all(changed), "{events:?}");
}
