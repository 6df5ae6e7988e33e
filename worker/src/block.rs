//! One task while lanes work on it.

use crate::Failure;
use crate::context::{GroupContext, PlanContext, passes, run_length};
use crate::fold::{Fold, Outcome};
use crate::image::OpenImage;
use marquetry_ensemble::{Band, Canvas, WindowSums};
use marquetry_geometry::{Block, Grid, Rect};
use marquetry_job::{Group, StageSeconds, tile};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Instant;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Most bytes of sums that wait for their turn, of one task.
const HANDED_BYTES: u64 = 128 << 20;

/// A run of windows, and the members that they go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Its turn: canvases are added to in the order of the plan, whichever lane was first.
    pub(crate) seq: u64,
    pub(crate) members: Range<usize>,
    /// Places among the block's windows, row-major.
    pub(crate) windows: Range<u64>,
}

/// One block, its image, and its canvas.
#[derive(Debug)]
pub(crate) struct BlockTask {
    pub(crate) context: Arc<PlanContext>,
    pub(crate) image: Arc<OpenImage>,
    pub(crate) grid: Grid,
    group: usize,
    block: Block,
    run_length: u64,
    passes: Vec<Range<usize>>,
    next: AtomicU64,
    begun: CancellationToken,
    failed: AtomicBool,
    fold: Fold,
}

impl BlockTask {
    /// A task, and where its outcome will come.
    pub(crate) fn new(
        context: Arc<PlanContext>,
        image: Arc<OpenImage>,
        grid: Grid,
        group: usize,
        block: Block,
    ) -> (Self, oneshot::Receiver<Outcome>) {
        let (done, outcome) = oneshot::channel();
        let planned = &context.plan.scoring.groups[group];
        let run_length = run_length(planned);
        let runs = block.windows().div_ceil(run_length);
        let passes = passes(&planned.members, runs);
        let classes = context.plan.scoring.classes.len();
        let canvas = Canvas::new(block.extent(&grid), classes, tile::ROWS_PER_FRAME);
        let fold = Fold::new(canvas, runs * passes.len() as u64, done);
        let (next, begun, failed) = (AtomicU64::new(0), CancellationToken::new(), AtomicBool::new(false));
        (Self { context, image, grid, group, block, run_length, passes, next, begun, failed, fold }, outcome)
    }

    pub(crate) fn group(&self) -> &Group {
        &self.context.plan.scoring.groups[self.group]
    }

    pub(crate) fn group_context(&self) -> &GroupContext {
        &self.context.groups[self.group]
    }

    /// Model runs of one window each.
    pub(crate) fn forwards(&self) -> u64 {
        self.block.windows() * self.group().members.len() as u64 * self.group().views.len() as u64
    }

    /// The kept part of the window at `place`, row-major in the block.
    pub(crate) fn window(&self, place: u64) -> Rect {
        let cols = self.block.cols.len() as u64;
        let (row, col) = ((place / cols) as usize, (place % cols) as usize);
        self.grid.inner(self.block.rows.start + row, self.block.cols.start + col)
    }

    /// The next unit that no lane has taken; `None` once all are taken.
    pub(crate) fn take(&self) -> Option<Unit> {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        if seq == 0 {
            self.begun.cancel();
        }
        let windows = self.block.windows();
        let runs = windows.div_ceil(self.run_length);
        let members = self.passes.get((seq / runs) as usize)?.clone();
        let start = seq % runs * self.run_length;
        Some(Unit { seq, members, windows: start..(start + self.run_length).min(windows) })
    }

    /// Ends when a lane begins with it.
    pub(crate) async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Leaves out what no lane has begun.
    pub(crate) fn abandon(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Whether there is no use in computing more of it.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// The canvas, if it is `unit`'s turn to be added to it. It stays its turn until the unit is settled.
    pub(crate) fn canvas_for(&self, unit: &Unit) -> Option<MutexGuard<'_, Canvas>> {
        self.fold.is_turn(unit.seq).then(|| self.fold.canvas())
    }

    /// Adds a unit's sums to the canvas when its turn has come, unless `straight` says that they are there already.
    /// What other lanes handed over before is added too where its turn follows. The bands that are ready then, for
    /// [`store`](Self::store).
    ///
    /// A lane whose unit is too early hands it over and goes on, in exchange for other memory. Where too much is handed
    /// over already it waits here for the units before its own: those were taken earlier, by lanes that are at work
    /// on them, so the first of them never waits.
    pub(crate) fn settle(
        &self,
        unit: Unit,
        result: Result<StageSeconds, Failure>,
        straight: bool,
        sums: &mut Vec<WindowSums>,
        lanes: usize,
    ) -> Vec<Band> {
        if result.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        let classes = self.context.plan.scoring.classes.len() as u64;
        let unit_bytes = self.group().window.inner.area() * classes * 4 * self.run_length;
        let handed_max = ((HANDED_BYTES / unit_bytes.max(1)) as usize).min(lanes);
        let add = |canvas: &mut Canvas, unit: &Unit, sums: &[WindowSums]| {
            for (place, sums) in unit.windows.clone().zip(sums) {
                canvas.add(self.window(place), &self.group_context().importance, sums);
            }
        };
        let bottom = |unit: &Unit| self.ready_above(unit);
        self.fold.settle(unit, result, straight, sums, handed_max, add, bottom)
    }

    /// The row above which nothing is added any more once `unit` was.
    fn ready_above(&self, unit: &Unit) -> i64 {
        if self.passes.last() != Some(&unit.members) {
            i64::MIN
        } else if unit.windows.end == self.block.windows() {
            i64::MAX
        } else {
            self.window(unit.windows.end).top
        }
    }

    /// Makes a band's frame of the tile; the last one ends the task.
    pub(crate) fn store(&self, band: Band) {
        let started = Instant::now();
        let index = band.index;
        let importance = self.group_context().importance.sum_over(&self.grid, &self.block, band.part);
        let mean = band.into_mean(&importance, &self.group_context().weights);
        let frame = tile::encode_rows(&mean, self.context.plan.scoring.tile);
        self.fold.keep(index, frame, started.elapsed().as_secs_f64());
    }
}
