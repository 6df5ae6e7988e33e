//! The stored tiles of one group of one image, read by rows.

use marquetry_ensemble::{ImportanceMap, blend, normalise};
use marquetry_geometry::{Block, Blocks, Grid, Rect, Size};
use marquetry_job::{Plan, TaskId, TileError, TileHeader, TileIndex, key, tile};
use marquetry_transport::{ObjectStore, StoreError, StoreErrorKind};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Why rows of tiles cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TilesError {
    /// The tile is not there or not what was stored; it must be computed again.
    #[error("the tile of {task} cannot be used: {reason}")]
    Damaged {
        /// Whose.
        task: TaskId,
        /// What was found.
        reason: String,
    },
    /// The store is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rows of one group's image, in the group's own pixels.
pub(crate) struct Rows {
    /// Mean scores, `[rows, C, W]`.
    pub(crate) scores: Vec<f32>,
    /// Sum of importances, `[rows, W]`; 0 where no tile covers a pixel.
    pub(crate) weights: Vec<f32>,
}

/// The tiles of one group of one image. Reads go from top to bottom; each frame of rows is decoded once and kept until
/// the reader is past it.
pub(crate) struct GroupTiles {
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
    job: String,
    scoring: String,
    image_key: String,
    image: u32,
    group: u32,
    classes: usize,
    grid: Grid,
    blocks: Vec<(Block, Rect)>,
    importance: ImportanceMap,
    may_miss: bool,
    open: HashMap<u32, Option<OpenTile>>,
}

struct OpenTile {
    key: String,
    index: TileIndex,
    header: TileHeader,
    frames: HashMap<usize, Vec<f32>>,
}

impl GroupTiles {
    /// The tiles of group `group` of image `image`. `may_miss` says that blocks may have been given up.
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        runtime: Handle,
        plan: &Plan,
        image: u32,
        group: u32,
        may_miss: bool,
    ) -> Option<Self> {
        let (grid, blocks): (Grid, Blocks) = plan.layout(image, group)?;
        let window = plan.scoring.groups[group as usize].window.inner;
        Some(Self {
            store,
            runtime,
            job: plan.job.clone(),
            scoring: plan.scoring.hash(),
            image_key: plan.images[image as usize].key.clone(),
            image,
            group,
            classes: plan.scoring.classes.len(),
            blocks: blocks
                .iter()
                .map(|b| {
                    let extent = b.extent(&grid);
                    (b, extent)
                })
                .collect(),
            importance: plan.scoring.groups[group as usize].importance.map(window),
            grid,
            may_miss,
            open: HashMap::new(),
        })
    }

    /// The size of the image for this group, px.
    pub(crate) const fn size(&self) -> Size {
        self.grid.image()
    }

    /// Rows `rows` of the whole width, put together from all tiles that reach into them, in the plan's order.
    pub(crate) fn rows(&mut self, rows: Range<u32>) -> Result<Rows, TilesError> {
        let width = self.grid.image().width as usize;
        let n = rows.len();
        let mut out = Rows { scores: vec![0.0; n * self.classes * width], weights: vec![0.0; n * width] };
        let band = Rect::new(i64::from(rows.start), 0, Size::new(n as u32, width as u32));
        for at in 0..self.blocks.len() {
            let (block, extent) = self.blocks[at].clone();
            if extent.bottom() <= band.top {
                self.open.remove(&block.index);
                continue;
            }
            if extent.top >= band.bottom() {
                break;
            }
            let part = extent.intersect(band);
            self.add(&block, extent, part, &rows, &mut out)?;
        }
        for (row, weights) in
            out.scores.chunks_exact_mut(self.classes * width).zip(out.weights.chunks_exact(width))
        {
            normalise(row, weights);
        }
        Ok(out)
    }

    fn add(
        &mut self,
        block: &Block,
        extent: Rect,
        part: Rect,
        rows: &Range<u32>,
        out: &mut Rows,
    ) -> Result<(), TilesError> {
        self.load(block, extent, part)?;
        let Some(Some(tile)) = self.open.get(&block.index) else { return Ok(()) };
        let importance = self.importance.sum_over(&self.grid, block, part);
        let (width, n) = (self.grid.image().width as usize, extent.size.width as usize);
        for (k, importance) in importance.chunks_exact(n).enumerate() {
            let y = part.top as usize + k;
            let inside = y - extent.top as usize;
            let frame = inside / tile::ROWS_PER_FRAME as usize;
            let at = inside % tile::ROWS_PER_FRAME as usize * self.classes * n;
            let scores = &tile.frames[&frame][at..at + self.classes * n];
            let row = y - rows.start as usize;
            let sums = &mut out.scores[row * self.classes * width..][..self.classes * width];
            let weights = &mut out.weights[row * width..][..width];
            blend(scores, importance, extent.left as usize, sums, weights);
        }
        Ok(())
    }

    /// Makes sure that the frames of `part` are decoded, and forgets those above it.
    fn load(&mut self, block: &Block, extent: Rect, part: Rect) -> Result<(), TilesError> {
        let task = TaskId { image: self.image, group: self.group, block: block.index };
        if !self.open.contains_key(&block.index) {
            let opened = self.open_tile(task, extent)?;
            self.open.insert(block.index, opened);
        }
        let Some(Some(tile)) = self.open.get_mut(&block.index) else { return Ok(()) };
        let frame = |y: i64| ((y - extent.top) as usize) / tile::ROWS_PER_FRAME as usize;
        let wanted = frame(part.top)..frame(part.bottom() - 1) + 1;
        tile.frames.retain(|k, _| wanted.contains(k));
        for k in wanted {
            if !tile.frames.contains_key(&k) {
                let bytes = self
                    .runtime
                    .block_on(self.store.get_range(&tile.key, tile.index.rows_range(k)))
                    .map_err(|e| unreadable(task, e))?;
                let scores =
                    tile.index.decode_rows(&tile.header, k, &bytes).map_err(|e| damaged(task, &e))?;
                tile.frames.insert(k, scores);
            }
        }
        Ok(())
    }

    fn open_tile(&self, task: TaskId, extent: Rect) -> Result<Option<OpenTile>, TilesError> {
        let key = key::tile(&self.job, &self.image_key, self.group, task.block);
        let bytes = match self.runtime.block_on(self.store.head(&key)) {
            Ok(meta) => meta.size_bytes,
            Err(e) if e.kind == StoreErrorKind::NotFound && self.may_miss => return Ok(None),
            Err(e) if e.kind == StoreErrorKind::NotFound => {
                return Err(TilesError::Damaged { task, reason: "it is not in the store".into() });
            }
            Err(e) => return Err(e.into()),
        };
        let read =
            |range| self.runtime.block_on(self.store.get_range(&key, range)).map_err(|e| unreadable(task, e));
        let tail = tile::index_bytes(extent.size.height);
        let index = TileIndex::parse(&read(bytes.saturating_sub(tail)..bytes)?, bytes)
            .map_err(|e| damaged(task, &e))?;
        let header = index.decode_header(&read(index.header_range())?).map_err(|e| damaged(task, &e))?;
        let same = (&header.scoring, &header.image, header.group, header.block, header.extent)
            == (&self.scoring, &self.image_key, self.group, task.block, extent);
        if !same || header.classes as usize != self.classes {
            return Err(TilesError::Damaged { task, reason: "it is of another plan".into() });
        }
        Ok(Some(OpenTile { key, index, header, frames: HashMap::new() }))
    }
}

/// A tile that went or changed while it was read is damaged; anything else is the store's trouble.
fn unreadable(task: TaskId, error: StoreError) -> TilesError {
    match error.kind {
        StoreErrorKind::NotFound | StoreErrorKind::TooShort => {
            TilesError::Damaged { task, reason: error.to_string() }
        }
        _ => TilesError::Store(error),
    }
}

fn damaged(task: TaskId, error: &TileError) -> TilesError {
    TilesError::Damaged { task, reason: error.to_string() }
}
