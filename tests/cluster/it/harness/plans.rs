//! Small jobs, and the tiles and files that must come of them.

use super::cluster::Cluster;
use bytes::Bytes;
use marquetry_coordinator::outputs_hash;
use marquetry_ensemble::{Importance, Labelling, Space, View, ViewMerge};
use marquetry_geometry::{Edges, Size, WindowSpec};
use marquetry_job::{
    Group, PLAN_FORMAT, Plan, PlannedImage, Scaling, Scoring, TaskId, TileDtype, TileHeader, hash, key, tile,
};
use marquetry_spec::JobSpec;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Pixels of the side of a window, which is a block too.
const WINDOW: u32 = 8;
const CLASSES: u32 = 2;
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
    pub(crate) spec: Arc<JobSpec>,
    /// Names its decisions and outputs.
    pub(crate) outputs: String,
}

/// An image of `blocks` blocks in one row.
pub(crate) fn image(id: &str, blocks: u32) -> PlannedImage {
    let uri = format!("nowhere/{id}.png");
    let key = PlannedImage::key_of(&uri, "first version");
    PlannedImage { id: id.to_owned(), key, uri, size: Size::new(WINDOW, blocks * WINDOW), bands: 3 }
}

/// A job of these images: always the same job, whatever they are. `scales` has the scale of each group.
pub(crate) fn job_of(scales: &[f64], images: Vec<PlannedImage>) -> JobOf {
    let window = Size::square(WINDOW);
    let group = |&scale: &f64| Group {
        scaling: Scaling::Factor(scale),
        window: WindowSpec { inner: window, margin: Size::square(0), stride: window, edges: Edges::Shift },
        importance: Importance::Constant,
        views: vec![View::IDENTITY],
        members: Vec::new(),
    };
    let scoring = Scoring {
        format: PLAN_FORMAT,
        classes: vec!["a".into(), "b".into()],
        labelling: Labelling::Multiclass,
        view_merge: ViewMerge::Mean,
        view_space: Space::Probabilities,
        space: Space::Probabilities,
        mirrored: None,
        tile: TileDtype::F16,
        block_pixels: window.area(),
        groups: scales.iter().map(group).collect(),
    };
    let spec = JobSpec::parse(SPEC).expect("a job file");
    let outputs = outputs_hash(&spec);
    JobOf { plan: Arc::new(Plan::new("schedule", scoring, images)), spec: Arc::new(spec), outputs }
}

/// Where the tile of `task` lies.
pub(crate) fn tile_key(plan: &Plan, task: TaskId) -> Option<String> {
    let image = plan.images.get(task.image as usize)?;
    Some(key::tile(&plan.job, &image.key, task.group, task.block))
}

/// The tile that every honest worker stores for `task`; `None` if the plan has no such task.
pub(crate) fn tile_of(plan: &Plan, task: TaskId) -> Option<Bytes> {
    let image = plan.images.get(task.image as usize)?;
    let (grid, blocks) = plan.layout(task.image, task.group)?;
    let extent = blocks.get(task.block)?.extent(&grid);
    let header = TileHeader {
        scoring: plan.scoring.hash(),
        image: image.key.clone(),
        group: task.group,
        block: task.block,
        extent,
        classes: CLASSES,
        space: Space::Probabilities,
        dtype: TileDtype::F16,
        models: Vec::new(),
    };
    let scores = vec![0.5; (extent.size.area() * u64::from(CLASSES)) as usize];
    Some(tile::encode(&header, &scores).expect("scores of one half").into())
}

/// What every honest aggregator writes into the files of image number `image`: which tiles it saw, and which it did not.
pub(crate) fn file_of(plan: &Plan, image: u32, missing: &BTreeSet<TaskId>) -> String {
    let planned = &plan.images[image as usize];
    let row = |task: TaskId| {
        let tile = tile_of(plan, task).filter(|_| !missing.contains(&task));
        let saw = tile.map_or_else(|| "missing".to_owned(), |tile| hash(&[&tile]));
        format!("{}-{} {saw}\n", task.group, task.block)
    };
    let rows: String = plan.tasks_of(image).map(row).collect();
    format!("{} {}\n{rows}", planned.id, planned.key)
}

/// How many tiles of image number `image` are stored.
pub(crate) async fn tiles_of(cluster: &Cluster, job: &JobOf, image: u32) -> usize {
    let mut stored = 0;
    for key in job.plan.tasks_of(image).filter_map(|task| tile_key(&job.plan, task)) {
        stored += usize::from(cluster.objects.head(&key).await.is_ok());
    }
    stored
}
