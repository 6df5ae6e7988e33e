//! One task while lanes work on it.

use crate::Failure;
use crate::context::{GroupContext, PlanContext, passes, plan_windows_together};
use crate::image::OpenImage;
use crate::ordered::{OrderedAccumulator, Ticket};
use crate::scorer::PendingSums;
use crate::tile_builder::{Outcome, TileBuilder};
use marquetry_ensemble::{Band, Canvas, take_off_greatest};
use marquetry_geometry::{Block, Grid, Rect};
use marquetry_job::{Group, StageSeconds, tile};
use marquetry_region::{Region, SampledRegion};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::Span;

/// Most bytes of sums that wait for their turn, of one task.
const PENDING_BYTES: u64 = 128 << 20;
/// The number of what goes wrong when all items were added: any failure of an item comes before it.
const AFTER_ALL_ITEMS: u64 = u64::MAX;

/// A run of windows, and the members that they go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkItem {
    /// Its turn: canvases are added to in the order of the plan, whichever lane was first.
    pub(crate) seq: u64,
    /// Places among the group's members.
    pub(crate) members: Range<usize>,
    /// Places among the block's windows that are computed, row-major.
    pub(crate) windows: Range<u64>,
}

impl WorkItem {
    /// Number of windows.
    pub(crate) const fn len(&self) -> usize {
        (self.windows.end - self.windows.start) as usize
    }
}

/// The right to add one item to a canvas.
pub(crate) type CanvasTicket<'a> = Ticket<'a, Canvas, PendingSums>;

/// What a task is about.
#[derive(Debug)]
pub(crate) struct BlockSpec {
    pub(crate) context: Arc<PlanContext>,
    pub(crate) image: Arc<OpenImage>,
    pub(crate) grid: Grid,
    /// Place of the group in the plan.
    pub(crate) group: usize,
    pub(crate) block: Block,
    /// What of it is computed; all if not given.
    pub(crate) region: Option<BlockRegion>,
    /// What lanes do for it is traced under this span.
    pub(crate) span: Span,
}

/// What of a block is computed.
#[derive(Debug)]
pub(crate) struct BlockRegion {
    region: SampledRegion,
    /// The windows that touch the region, by their places among the block's.
    windows: Vec<u64>,
}

impl BlockRegion {
    /// What of `block` touches `region`.
    pub(crate) fn new(region: Arc<Region>, grid: &Grid, block: &Block) -> Self {
        let region = SampledRegion::new(region, grid.image());
        let windows = region.windows(grid, block);
        Self { region, windows }
    }

    /// Whether nothing of the block is computed.
    pub(crate) const fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Sets scores to 0 where no pixel of the region is made of them: not all windows that cover such a pixel are computed.
    /// `mean` is `[rows, classes, W]` over `part`.
    fn clear_outside(&self, part: Rect, classes: usize, mean: &mut [f32]) {
        let width = part.size.width as usize;
        let mut inside = vec![false; width];
        for (y, row) in (part.top..).zip(mean.chunks_exact_mut(width * classes)) {
            self.region.fill_row(y, part.left, &mut inside);
            for line in row.chunks_exact_mut(width) {
                line.iter_mut()
                    .zip(&inside)
                    .filter(|(_, inside)| !**inside)
                    .for_each(|(score, _)| *score = 0.0);
            }
        }
    }
}

/// One block, its image, and its canvas.
#[derive(Debug)]
pub(crate) struct BlockTask {
    pub(crate) context: Arc<PlanContext>,
    pub(crate) image: Arc<OpenImage>,
    pub(crate) grid: Grid,
    pub(crate) span: Span,
    group: usize,
    block: Block,
    region: Option<BlockRegion>,
    item_windows: u64,
    passes: Vec<Range<usize>>,
    next: AtomicU64,
    begun: CancellationToken,
    failed: AtomicBool,
    canvas: OrderedAccumulator<Canvas, PendingSums>,
    tile: TileBuilder,
}

impl BlockTask {
    /// A task that `lanes` lanes work on, `windows_together` windows at a time, and where its outcome will come.
    pub(crate) fn new(
        spec: BlockSpec,
        lanes: usize,
        windows_together: u64,
    ) -> (Self, oneshot::Receiver<Outcome>) {
        let (done, outcome) = oneshot::channel();
        let BlockSpec { context, image, grid, group, block, region, span } = spec;
        let (planned, classes) = (&context.inference.groups[group], context.inference.classes.len());
        // Sums hang on the passes, and so they are cut by the plan's runs, not by the scorer's.
        let passes = passes(&planned.members, block.windows().div_ceil(plan_windows_together(planned)));
        // Those of the whole block, so that they are the same with a region and without.
        let windows = region.as_ref().map_or(block.windows(), |region| region.windows.len() as u64);
        let item_windows = windows_together.clamp(1, windows.max(1));
        let items = windows.div_ceil(item_windows) * passes.len() as u64;
        let item_bytes = planned.window.inner.area() * classes as u64 * 4 * item_windows;
        let pending_max = ((PENDING_BYTES / item_bytes.max(1)) as usize).min(lanes);
        let canvas = Canvas::new(block.extent(&grid), classes, tile::ROWS_PER_FRAME);
        let tile = TileBuilder::new(canvas.bands(), done);
        let canvas = OrderedAccumulator::new(canvas, items, pending_max);
        let (next, begun, failed) = (AtomicU64::new(0), CancellationToken::new(), AtomicBool::new(false));
        let task = Self {
            context,
            image,
            grid,
            span,
            group,
            block,
            region,
            item_windows,
            passes,
            next,
            begun,
            failed,
            canvas,
            tile,
        };
        (task, outcome)
    }

    pub(crate) fn group(&self) -> &Group {
        &self.context.inference.groups[self.group]
    }

    pub(crate) fn group_context(&self) -> &GroupContext {
        &self.context.groups[self.group]
    }

    /// Number of classes.
    pub(crate) fn classes(&self) -> usize {
        self.context.inference.classes.len()
    }

    /// Model runs of one window each.
    pub(crate) fn forwards(&self) -> u64 {
        self.windows() * self.group().members.len() as u64 * self.group().views.len() as u64
    }

    /// Number of windows that are computed.
    fn windows(&self) -> u64 {
        self.region.as_ref().map_or(self.block.windows(), |region| region.windows.len() as u64)
    }

    /// The kept part of window number `window` of those that are computed, row-major.
    pub(crate) fn rect(&self, window: u64) -> Rect {
        let window = self.region.as_ref().map_or(window, |region| region.windows[window as usize]);
        let cols = self.block.cols.len() as u64;
        let (row, col) = ((window / cols) as usize, (window % cols) as usize);
        self.grid.inner(self.block.rows.start + row, self.block.cols.start + col)
    }

    /// The next item that no lane has taken; `None` once all are taken.
    pub(crate) fn take(&self) -> Option<WorkItem> {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        if seq == 0 {
            self.begun.cancel();
        }
        self.item(seq)
    }

    /// Item number `seq`: passes one after the other, runs of windows row-major within each.
    fn item(&self, seq: u64) -> Option<WorkItem> {
        let windows = self.windows();
        let runs = windows.div_ceil(self.item_windows);
        let members = self.passes.get((seq / runs) as usize)?.clone();
        let start = seq % runs * self.item_windows;
        Some(WorkItem { seq, members, windows: start..(start + self.item_windows).min(windows) })
    }

    /// The right to add `item`, which whoever took it must come back with: see [`add`](Self::add), [`fail`](Self::fail)
    /// and [`leave_out`](Self::leave_out).
    pub(crate) fn ticket(&self, item: &WorkItem) -> CanvasTicket<'_> {
        self.canvas.ticket(item.seq)
    }

    /// Ends when a lane begins with it.
    pub(crate) async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Leaves out what no lane has begun.
    pub(crate) fn abandon(&self) {
        self.fail(AFTER_ALL_ITEMS, Failure::passing("the task was given up"));
    }

    /// Whether there is no use in computing more of it.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Adds an item's sums to the canvas when its turn has come, and what other lanes handed over before where its turn
    /// follows. Returns memory for other sums, and the bands that are ready, for [`encode`](Self::encode).
    pub(crate) fn add(&self, ticket: CanvasTicket<'_>, sums: PendingSums) -> (PendingSums, Vec<Band>) {
        let (mut bands, mut seconds) = (Vec::new(), StageSeconds::default());
        let spent = ticket.submit(sums, |canvas, seq, pending| {
            let started = Instant::now();
            let item = self.item(seq).expect("an item that was taken");
            if !pending.added_in_place {
                for (window, sums) in item.windows.clone().zip(&pending.sums) {
                    canvas.add(self.rect(window), &self.group_context().importance, sums);
                }
            }
            bands.extend(canvas.take_above(self.ready_above(&item)));
            seconds.stitch += started.elapsed().as_secs_f64();
        });
        self.spend(seconds);
        self.end_if_over();
        (spent, bands)
    }

    /// The row above which nothing is added any more once `item` was.
    fn ready_above(&self, item: &WorkItem) -> i64 {
        if self.passes.last() != Some(&item.members) {
            i64::MIN
        } else if item.windows.end == self.windows() {
            i64::MAX
        } else {
            self.rect(item.windows.end).top
        }
    }

    /// Gives an item back that is not computed, since the task has failed.
    pub(crate) fn leave_out(&self, ticket: CanvasTicket<'_>) {
        drop(ticket);
        self.end_if_over();
    }

    /// Notes that item `seq` failed; its ticket must be gone. The task ends with the failure of its earliest item as
    /// soon as no lane is at work on any.
    pub(crate) fn fail(&self, seq: u64, failure: Failure) {
        self.failed.store(true, Ordering::Relaxed);
        self.canvas.abort();
        self.tile.fail(seq, failure);
        self.end_if_over();
    }

    fn end_if_over(&self) {
        if self.canvas.is_over() {
            self.tile.end_if_failed();
        }
    }

    /// Counts time that was spent on it.
    pub(crate) fn spend(&self, seconds: StageSeconds) {
        self.tile.spend(seconds);
    }

    /// Makes a band's frame of the tile; the last one ends the task.
    pub(crate) fn encode(&self, band: Band) {
        let started = Instant::now();
        let index = band.index;
        let importance = self.group_context().importance.sum_over(&self.grid, &self.block, band.part);
        let part = band.part;
        let width = part.size.width as usize;
        let mut mean = band.into_mean(&importance, &self.group_context().weights);
        if self.context.inference.centred {
            take_off_greatest(&mut mean, self.classes(), width);
        }
        if let Some(region) = &self.region {
            region.clear_outside(part, self.classes(), &mut mean);
        }
        match tile::encode_rows(&mean, self.context.inference.tile) {
            Ok(frame) => {
                let store = started.elapsed().as_secs_f64();
                self.spend(StageSeconds { store, ..StageSeconds::default() });
                self.tile.insert(index, frame);
            }
            Err(error) => self.fail(AFTER_ALL_ITEMS, error.into()),
        }
    }

    /// Ends it because a lane panicked at a band or, if given, an item of it.
    pub(crate) fn fail_by_panic(&self, item: Option<u64>, words: &str) {
        let reason = format!("a bug: a lane panicked ({words}); the log above says where");
        self.fail(item.unwrap_or(AFTER_ALL_ITEMS), Failure::bug(reason));
    }
}
