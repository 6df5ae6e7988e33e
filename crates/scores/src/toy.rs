//! Images of known scores for tests: a plan, its tiles in a folder, and the same scores the plain way. What goes wrong
//! panics.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "made for tests: what goes wrong panics")]

use crate::{ScoreReader, TileSource, UnreadParts};
use bytes::Bytes;
use marquetry_ensemble::{
    ClassMap, Importance, Labelling, OutputActivation, Rule, ScoreSpace, Sureness, View, ViewMerge,
    resize_planes,
};
use marquetry_geometry::{Edges, Reading, Rect, Size, WindowSpec};
use marquetry_job::{
    CascadeRule, Fit, Group, ImageTasks, Inference, Input, Member, Merge, PLAN_FORMAT, Plan, PlannedImage,
    Scaling, TaskId, TaskKind, TileDtype, TileHeader, tile,
};
use marquetry_transport::{FolderStore, ObjectStore};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Number of classes.
pub const CLASSES: usize = 3;
/// So large that every group has several blocks, some of more rows than a frame has.
pub const SIZE: Size = Size::new(300, 61);

/// A job of one image whose tiles are stored.
pub struct TestImage {
    /// Its plan.
    pub plan: Plan,
    /// The image.
    pub image: PlannedImage,
    /// Where all of it lies.
    pub folder: TempDir,
    /// The store with its tiles.
    pub store: Arc<dyn ObjectStore>,
    /// What runs requests.
    pub runtime: Runtime,
}

/// Probability of class `class` at a pixel of group `group`. Every block says something else, so that it shows which
/// of them a pixel was made of.
fn score(group: u32, block: u32, class: usize, y: i64, x: i64) -> f32 {
    let wave = ((y * 7 + x * 3 + i64::from(group) * 11 + i64::from(block) * 5) % 17) as f32 / 17.0;
    let share = [0.5, 0.3, 0.2][(class + (y as usize / 9) + (x as usize / 7)) % CLASSES];
    share * (0.8 + 0.2 * wave)
}

/// A group of one member, over windows of `side` px of the image by `factor`.
pub fn group(factor: f64, side: u32, importance: Importance, weights: [f32; CLASSES]) -> Group {
    let window = Size::square(side);
    Group {
        scaling: Scaling::Factor(factor),
        resample: marquetry_geometry::Resample::Linear,
        window: WindowSpec {
            inner: window,
            margin: Size::square(0),
            stride: Size::square(side - side / 4),
            edges: Edges::Shift,
        },
        importance,
        views: vec![View::IDENTITY],
        members: vec![member(weights)],
    }
}

fn member(weights: [f32; CLASSES]) -> Member {
    Member {
        name: "m".into(),
        onnx: String::new(),
        sha256: "00".into(),
        external: Vec::new(),
        model_bytes: 1,
        tags: std::collections::BTreeMap::new(),
        weights: weights.to_vec(),
        input: Input::default(),
        applied: OutputActivation::Softmax,
        classes: ClassMap::default(),
        fit: Fit::Resize,
        signatures: vec![],
    }
}

impl TestImage {
    /// An image with tiles of all `groups`. It lies at `image` below the job's folder, where nothing is yet.
    pub fn new(groups: Vec<Group>, labelling: Labelling) -> Self {
        let weights = groups.iter().flat_map(|g| &g.members).map(|m| m.weights.clone()).collect();
        let merge = Merge { space: ScoreSpace::Probabilities, weights };
        let inference = Inference {
            format: PLAN_FORMAT,
            reading: Reading::default(),
            classes: vec!["a".into(), "b".into(), "c".into()],
            labelling,
            view_merge: ViewMerge::Mean,
            view_space: ScoreSpace::Probabilities,
            tile_space: ScoreSpace::Probabilities,
            centred: false,
            swapped: std::collections::BTreeMap::new(),
            tile: TileDtype::F32,
            block_pixels: 2600,
            region: None,
            cascade: None,
            gate: Vec::new(),
            groups,
        };
        let folder = tempfile::tempdir().unwrap();
        let image = PlannedImage {
            id: "plate/1".into(),
            uri: folder.path().join("image").to_string_lossy().into_owned(),
            sidecars: Vec::new(),
            version: String::new(),
            key: "0123456789abcdef".into(),
            content: None,
            size: SIZE,
            bands: 3,
            tags: std::collections::BTreeMap::new(),
            members: None,
            truth: None,
        };
        let plan = Plan::new("test", inference, merge);
        let store = Arc::new(FolderStore::open(&folder.path().join("store")).unwrap());
        let made = Self { plan, image, folder, store, runtime: Runtime::new().unwrap() };
        made.tasks().into_iter().for_each(|task| made.put(&made.key_of(task), made.tile(task)));
        made
    }

    /// With two groups, of which one sees the image at half its size.
    pub fn two_scales() -> Self {
        let groups = vec![
            group(1.0, 16, Importance::Gaussian, [1.0, 2.0, 1.0]),
            group(0.5, 12, Importance::Constant, [3.0, 1.0, 1.0]),
        ];
        Self::new(groups, Labelling::Multiclass)
    }

    /// The same, whose groups after the first one look only at what it is unsure of, and have stored their tiles.
    #[must_use]
    pub fn in_rounds(self, sure: Sureness) -> Self {
        let rule = CascadeRule {
            groups: 1,
            space: ScoreSpace::Probabilities,
            weights: self.plan.merge.weights[..1].to_vec(),
            decide: Rule::Argmax,
            background: Some(0),
            sure,
            around_px: 0,
        };
        let inference = Inference { cascade: Some(rule), ..self.plan.inference.clone() };
        let made = Self { plan: Plan::new("test", inference, self.plan.merge.clone()), ..self };
        let tiles = made.tasks().into_iter().filter(|task| matches!(task, TaskKind::Block { .. }));
        tiles.for_each(|task| made.put(&made.key_of(task), made.tile(task)));
        made
    }

    /// Where all of it lies.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// All tasks of the image.
    pub fn tasks(&self) -> Vec<TaskKind> {
        ImageTasks::new(&self.plan, &self.image).iter().collect()
    }

    /// The key of what a task stores.
    pub fn key_of(&self, task: TaskKind) -> String {
        task.produces(&self.plan.job, &self.image, &self.plan.scores_of(&self.image)).unwrap()
    }

    /// A task as messages name it.
    pub fn id(&self, kind: TaskKind) -> TaskId {
        TaskId { image: self.image.key.clone(), kind }
    }

    /// Stores `bytes`.
    pub fn put(&self, key: &str, bytes: Vec<u8>) {
        self.runtime.block_on(self.store.put(key, Bytes::from(bytes))).unwrap();
    }

    /// What is stored under `key`.
    pub fn get(&self, key: &str) -> Vec<u8> {
        self.runtime.block_on(self.store.get(key)).unwrap().to_vec()
    }

    /// Deletes what is stored under `key`.
    pub fn delete(&self, key: &str) {
        self.runtime.block_on(self.store.delete(key)).unwrap();
    }

    fn extent(&self, group: u32, block: u32) -> Rect {
        let (grid, blocks) = self.plan.layout(&self.image, group).unwrap();
        blocks.get(block).unwrap().extent(&grid)
    }

    /// The header of the tile of `task`.
    pub fn header(&self, task: TaskKind) -> TileHeader {
        let (group, block) = parts(task);
        TileHeader {
            scores: self.plan.scores_of_group(&self.image, group as usize),
            image: self.image.content_key().to_owned(),
            block,
            extent: self.extent(group, block),
            classes: CLASSES as u32,
            space: ScoreSpace::Probabilities,
            dtype: TileDtype::F32,
            models: vec!["00".into()],
            missing: None,
            unread: Vec::new(),
            skipped: false,
        }
    }

    /// The tile of `task`.
    pub fn tile(&self, task: TaskKind) -> Vec<u8> {
        tile_with(&self.header(task), parts(task).0)
    }

    /// Where its tiles are read from.
    pub fn source(&self, may_miss: bool) -> TileSource {
        let (store, runtime) = (Arc::clone(&self.store), self.runtime.handle().clone());
        TileSource { store, runtime, may_miss, unread: UnreadParts::default(), known: Arc::default() }
    }

    /// A reader of its scores.
    pub fn reader(&self) -> ScoreReader {
        ScoreReader::open(&self.source(false), &self.plan, &self.image).unwrap()
    }

    /// A group's mean, `[C, H, W]`, and its weights, `[H, W]`, window by window, without the blocks in `lost`.
    pub fn plain_group(&self, number: u32, lost: &[u32]) -> (Vec<f32>, Vec<f32>, Size) {
        let group = &self.plan.inference.groups[number as usize];
        let (grid, blocks) = self.plan.layout(&self.image, number).unwrap();
        let size = grid.image();
        let importance = group.importance.map(group.window.inner);
        let area = size.area() as usize;
        let (mut sums, mut weights) = (vec![0.0_f64; CLASSES * area], vec![0.0_f64; area]);
        for block in blocks.iter().filter(|block| !lost.contains(&block.index)) {
            let windows = block.rows.clone().flat_map(|row| block.cols.clone().map(move |col| (row, col)));
            for window in windows.map(|(row, col)| grid.inner(row, col)) {
                for y in window.top..window.bottom() {
                    for x in window.left..window.right() {
                        let weight = importance.row((y - window.top) as usize)[(x - window.left) as usize];
                        let at = y as usize * size.width as usize + x as usize;
                        weights[at] += f64::from(weight);
                        for class in 0..CLASSES {
                            let score = score(number, block.index, class, y, x);
                            sums[class * area + at] += f64::from(weight) * f64::from(score);
                        }
                    }
                }
            }
        }
        let mean = |(at, sum): (usize, &f64)| {
            let weight = weights[at % area];
            if weight > 0.0 { (sum / weight) as f32 } else { 0.0 }
        };
        let means = sums.iter().enumerate().map(mean).collect();
        (means, weights.iter().map(|w| *w as f32).collect(), size)
    }

    /// All scores, `[C, H, W]`, and the missing pixels, `[H, W]`, without the blocks in `lost`.
    pub fn plain(&self, lost: &[TaskKind]) -> (Vec<f32>, Vec<bool>) {
        let area = SIZE.area() as usize;
        let (mut sums, mut missing) = (vec![0.0_f32; CLASSES * area], vec![false; area]);
        let total = self.plan.total_weights(&self.image);
        for number in 0..self.plan.inference.groups.len() {
            let gone = lost.iter().map(|task| parts(*task)).filter(|(group, _)| *group as usize == number);
            let gone = gone.map(|(_, block)| block);
            let (means, weights, size) = self.plain_group(number as u32, &gone.collect::<Vec<_>>());
            let means = resize_planes(&means, size, SIZE);
            let holes: Vec<f32> = weights.iter().map(|w| f32::from(u8::from(*w == 0.0))).collect();
            let holes = resize_planes(&holes, size, SIZE);
            missing.iter_mut().zip(&holes).for_each(|(missing, hole)| *missing |= *hole > 0.0);
            for (class, weight) in self.plan.group_weights(&self.image, number).unwrap().iter().enumerate() {
                let planes = sums[class * area..][..area].iter_mut().zip(&means[class * area..]);
                planes.for_each(|(sum, mean)| *sum += weight / total[class] * mean);
            }
        }
        (sums, missing)
    }
}

/// A block of a group.
pub const fn block(group: u32, block: u32) -> TaskKind {
    TaskKind::Block { group, block }
}

fn parts(task: TaskKind) -> (u32, u32) {
    let TaskKind::Block { group, block } = task else { panic!("{task} has no tile") };
    (group, block)
}

/// A tile with this header, of group number `group`.
pub fn tile_with(header: &TileHeader, group: u32) -> Vec<u8> {
    let extent = header.extent;
    let mut scores = Vec::new();
    for y in extent.top..extent.bottom() {
        for class in 0..CLASSES {
            let line = (extent.left..extent.right()).map(|x| score(group, header.block, class, y, x));
            scores.extend(line);
        }
    }
    tile::encode(header, &scores).unwrap()
}
