//! The stored tiles of one group of one image, read by rows.

use crate::known_groups::{KnownGroup, KnownGroups};
use crate::score_error::{ScoreError, TileFault};
use marquetry_ensemble::{BadScore, ScoreTransform, blend, normalise};
use marquetry_geometry::{Block, Blocks, Grid, Rect, Size};
use marquetry_job::tile::MissingPixels;
use marquetry_job::{Plan, PlannedImage, TaskId, TaskKind, TileHeader, TileIndex, key, tile};
use marquetry_job::{TileError, UnreadPart};
use marquetry_transport::{ObjectStore, StoreError, StoreErrorKind};
use ndarray::{Array2, Array3, ArrayView, ArrayViewMut, Axis, Dimension};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// Where tiles are read from.
#[derive(Clone)]
pub struct TileSource {
    /// The job's store.
    pub store: Arc<dyn ObjectStore>,
    /// Runs the store's requests. Readers block: they belong on threads of their own, not on the runtime's.
    pub runtime: Handle,
    /// Whether a tile that is not in the store is a block that was given up, whose pixels are missing. Otherwise it is an
    /// error.
    pub may_miss: bool,
    /// What the tiles that were opened say could not be read of the image.
    pub unread: UnreadParts,
    /// What is known of the groups of its plan.
    pub known: Arc<KnownGroups>,
}

/// Parts of an image that could not be read, as its tiles say; clones share one list.
#[derive(Debug, Clone, Default)]
pub struct UnreadParts(Arc<Mutex<Vec<UnreadPart>>>);

impl UnreadParts {
    /// Each part once, from the top left.
    pub fn joined(&self) -> Vec<UnreadPart> {
        UnreadPart::joined(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn note(&self, parts: &[UnreadPart]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(parts);
    }
}

/// Rows of one group's image, in the group's own pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRows {
    /// Mean scores over windows, views and members, `[rows, C, W]`, in the space that tiles hold; 0 where `weights` is.
    pub scores: Array3<f32>,
    /// Sum of importances, `[rows, W]`; 0 where no tile covers a pixel.
    pub weights: Array2<f32>,
}

impl GroupRows {
    fn zeros(rows: usize, classes: usize, width: usize) -> Self {
        Self { scores: Array3::zeros((rows, classes, width)), weights: Array2::zeros((rows, width)) }
    }

    /// The same in another space.
    pub(crate) fn transformed(mut self, transform: &ScoreTransform) -> Result<Self, BadScore> {
        if !transform.is_identity() {
            self.scores.outer_iter_mut().try_for_each(|row| transform.apply_in_place(whole_mut(row)))?;
        }
        Ok(self)
    }
}

/// The tiles of one group of one image.
///
/// Rows may be read in any order. Top to bottom is cheapest: each frame of rows is decoded once and kept until the reader
/// is past it. Memory: the frames that the last rows came from.
pub struct GroupTiles {
    source: TileSource,
    job: String,
    known: Arc<KnownGroup>,
    /// What tiles call the image.
    content_key: String,
    image_key: String,
    group: u32,
    classes: usize,
    grid: Grid,
    blocks: Vec<(Block, Rect)>,
    open: HashMap<u32, Option<OpenTile>>,
}

struct OpenTile {
    key: String,
    index: TileIndex,
    header: TileHeader,
    frames: HashMap<usize, Vec<f32>>,
    /// Pixels of the image that are none, where there are such.
    missing: Option<MissingPixels>,
}

impl GroupTiles {
    /// The tiles of group `group` of `image`; `None` if `plan` has no such ones.
    pub(crate) fn new(source: TileSource, plan: &Plan, image: &PlannedImage, group: u32) -> Option<Self> {
        let (grid, blocks): (Grid, Blocks) = plan.layout(image, group)?;
        let known = source.known.group(plan, image, group as usize);
        Some(Self {
            source,
            job: plan.job.clone(),
            known,
            content_key: image.content_key().to_owned(),
            image_key: image.key.clone(),
            group,
            classes: plan.inference.classes.len(),
            blocks: blocks
                .iter()
                .map(|block| {
                    let extent = block.extent(&grid);
                    (block, extent)
                })
                .collect(),
            grid,
            open: HashMap::new(),
        })
    }

    /// The size of the image for this group, px.
    pub const fn size(&self) -> Size {
        self.grid.image()
    }

    /// Rows `rows` of the whole width, put together from all tiles that reach into them, in the plan's order.
    ///
    /// # Errors
    /// When the image has no such rows, a tile is damaged or gone, or the store is in trouble.
    pub fn rows(&mut self, rows: Range<u32>) -> Result<GroupRows, ScoreError> {
        let size = self.size();
        if rows.end > size.height || rows.is_empty() {
            return Err(ScoreError::NoSuchRows { rows, size });
        }
        let (width, n) = (size.width as usize, rows.len());
        let mut out = GroupRows::zeros(n, self.classes, width);
        let wanted = Rect::new(i64::from(rows.start), 0, Size::new(n as u32, size.width));
        for at in 0..self.blocks.len() {
            let (block, extent) = self.blocks[at].clone();
            if extent.bottom() <= wanted.top || extent.top >= wanted.bottom() {
                self.open.remove(&block.index);
                continue;
            }
            self.add(&block, extent, extent.intersect(wanted), &rows, &mut out)?;
        }
        for (row, weights) in out.scores.outer_iter_mut().zip(out.weights.outer_iter()) {
            normalise(whole_mut(row), whole(weights));
        }
        Ok(out)
    }

    /// Marks the pixels of row `y` of the *image*, `[W]`, that the tiles say are missing: those that the rows were made of
    /// which were read last.
    pub(crate) fn mark_missing(&self, y: u32, row: &mut [bool]) {
        let tiles = self.open.values().flatten();
        tiles.filter_map(|tile| tile.missing.as_ref()).for_each(|missing| missing.mark_row(y, row));
    }

    fn add(
        &mut self,
        block: &Block,
        extent: Rect,
        part: Rect,
        rows: &Range<u32>,
        out: &mut GroupRows,
    ) -> Result<(), ScoreError> {
        self.load(block, extent, part)?;
        let Some(Some(tile)) = self.open.get(&block.index) else { return Ok(()) };
        let importance = self.known.importance.sum_over(&self.grid, block, part);
        let n = extent.size.width as usize;
        if tile.header.skipped {
            // No pixel of the region is made of these: they are covered, and have no scores.
            for (k, importance) in importance.chunks_exact(n).enumerate() {
                let row = part.top as usize + k - rows.start as usize;
                let weights = whole_mut(out.weights.index_axis_mut(Axis(0), row));
                let own = &mut weights[extent.left as usize..][..n];
                own.iter_mut().zip(importance).for_each(|(weight, more)| *weight += more);
            }
            return Ok(());
        }
        for (k, importance) in importance.chunks_exact(n).enumerate() {
            let y = part.top as usize + k;
            let inside = y - extent.top as usize;
            let frame = inside / tile::ROWS_PER_FRAME as usize;
            let at = inside % tile::ROWS_PER_FRAME as usize * self.classes * n;
            let scores = &tile.frames[&frame][at..at + self.classes * n];
            let row = y - rows.start as usize;
            let sums = whole_mut(out.scores.index_axis_mut(Axis(0), row));
            let weights = whole_mut(out.weights.index_axis_mut(Axis(0), row));
            blend(scores, importance, extent.left as usize, sums, weights);
        }
        Ok(())
    }

    /// Makes sure that the frames of `part` are decoded, and forgets the others.
    fn load(&mut self, block: &Block, extent: Rect, part: Rect) -> Result<(), ScoreError> {
        if !self.open.contains_key(&block.index) {
            let opened = self.open_tile(block.index, extent)?;
            self.open.insert(block.index, opened);
        }
        let task = self.task(block.index);
        let Some(Some(tile)) = self.open.get_mut(&block.index) else { return Ok(()) };
        if tile.header.skipped {
            return Ok(());
        }
        let frame = |y: i64| ((y - extent.top) as usize) / tile::ROWS_PER_FRAME as usize;
        let wanted = frame(part.top)..frame(part.bottom() - 1) + 1;
        tile.frames.retain(|k, _| wanted.contains(k));
        for k in wanted {
            if !tile.frames.contains_key(&k) {
                let range = tile.index.rows_range(k);
                let bytes = self.source.runtime.block_on(self.source.store.get_range(&tile.key, range));
                let bytes = bytes.map_err(|error| unreadable(&task, error))?;
                let scores = tile.index.decode_rows(&tile.header, k, &bytes);
                tile.frames.insert(k, scores.map_err(|error| unusable(&task, error))?);
            }
        }
        Ok(())
    }

    fn task(&self, block: u32) -> TaskId {
        TaskId { image: self.image_key.clone(), kind: TaskKind::Block { group: self.group, block } }
    }

    /// Opens the tile of a block; `None` if it was given up.
    fn open_tile(&self, block: u32, extent: Rect) -> Result<Option<OpenTile>, ScoreError> {
        let task = self.task(block);
        let TileSource { store, runtime, may_miss, unread, .. } = &self.source;
        let key = key::tile(&self.job, &self.known.scores, &self.content_key, block);
        let bytes = match runtime.block_on(store.head(&key)) {
            Ok(meta) => meta.size_bytes,
            Err(error) if error.kind == StoreErrorKind::NotFound && *may_miss => return Ok(None),
            Err(error) if error.kind == StoreErrorKind::NotFound => {
                return Err(damaged(&task, TileFault::NotThere));
            }
            Err(error) => return Err(error.into()),
        };
        let read =
            |range| runtime.block_on(store.get_range(&key, range)).map_err(|error| unreadable(&task, error));
        let tail = tile::index_bytes(extent.size.height);
        let index = TileIndex::parse(&read(bytes.saturating_sub(tail)..bytes)?, bytes)
            .map_err(|error| unusable(&task, error))?;
        let header =
            index.decode_header(&read(index.header_range())?).map_err(|error| unusable(&task, error))?;
        let same = (&header.scores, &header.image, header.block, header.extent)
            == (&self.known.scores, &self.content_key, block, extent);
        if !same || header.classes as usize != self.classes {
            return Err(damaged(&task, TileFault::OtherPlan));
        }
        unread.note(&header.unread);
        let missing = match index.missing_range(&header) {
            None => None,
            Some(range) => {
                let missing = index.decode_missing(&header, &read(range)?);
                missing.map_err(|error| unusable(&task, error))?
            }
        };
        Ok(Some(OpenTile { key, index, header, frames: HashMap::new(), missing }))
    }
}

/// A row of an array as one piece of memory, which it is: arrays here are made row by row.
#[expect(clippy::needless_pass_by_value, reason = "a view is a reference, and what comes out lives as long")]
pub(crate) fn whole<T, D: Dimension>(row: ArrayView<'_, T, D>) -> &[T] {
    row.to_slice().expect("a row is one piece of memory")
}

/// [`whole`], to be written to.
pub(crate) fn whole_mut<T, D: Dimension>(row: ArrayViewMut<'_, T, D>) -> &mut [T] {
    row.into_slice().expect("a row is one piece of memory")
}

/// A tile that went or changed while it was read is damaged; anything else is the store's trouble.
fn unreadable(task: &TaskId, error: StoreError) -> ScoreError {
    match error.kind {
        StoreErrorKind::NotFound | StoreErrorKind::TooShort => damaged(task, error),
        _ => ScoreError::Store(error),
    }
}

/// A tile that is not what was stored is damaged; one for which there is no memory may be sound.
fn unusable(task: &TaskId, fault: TileError) -> ScoreError {
    match fault {
        fault @ TileError::Memory(_) => ScoreError::Memory { task: task.clone(), fault },
        fault => damaged(task, fault),
    }
}

fn damaged(task: &TaskId, fault: impl Into<TileFault>) -> ScoreError {
    ScoreError::Damaged { task: task.clone(), fault: Box::new(fault.into()) }
}
