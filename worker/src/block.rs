//! One task while lanes work on it.

use crate::Failure;
use crate::image::OpenImage;
use crate::unit::Transfers;
use marquetry_ensemble::{Canvas, ImportanceMap, Transfer, WindowScores};
use marquetry_geometry::{Block, Grid, Rect};
use marquetry_job::{Group, Plan, StageSeconds};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A plan with what every task of it needs.
#[derive(Debug)]
pub(crate) struct PlanContext {
    pub(crate) plan: Plan,
    /// Hash of the plan's scoring.
    pub(crate) scoring: String,
    groups: Vec<GroupContext>,
}

/// What every task of one group needs.
#[derive(Debug)]
pub(crate) struct GroupContext {
    pub(crate) importance: ImportanceMap,
    pub(crate) transfers: Vec<Transfers>,
    pub(crate) to_merge_space: Transfer,
}

impl PlanContext {
    pub(crate) fn new(plan: Plan) -> Result<Self, Failure> {
        let groups =
            plan.scoring.groups.iter().map(|g| GroupContext::new(&plan, g)).collect::<Result<_, _>>()?;
        Ok(Self { scoring: plan.scoring.hash(), groups, plan })
    }
}

impl GroupContext {
    fn new(plan: &Plan, group: &Group) -> Result<Self, Failure> {
        let scoring = &plan.scoring;
        let classes = scoring.classes.len();
        let mut transfers = Vec::new();
        for member in &group.members {
            let channels = member.signatures.first().map_or(0, |s| s.classes as usize);
            let upright =
                Transfer::new(member.applied, scoring.labelling, channels, classes, scoring.view_space)
                    .ok_or_else(|| {
                        let name = &member.name;
                        Failure::reject(format!(
                            "member {name}: {channels} channels cannot be {classes} classes"
                        ))
                    })?;
            let mirrored = match &scoring.mirrored {
                Some(order) if order.len() == channels => upright.mirrored(order),
                _ => upright.clone(),
            };
            transfers.push(Transfers { upright, mirrored });
        }
        let to_merge_space = Transfer::between(scoring.view_space, scoring.space, scoring.labelling, classes);
        Ok(Self { importance: group.importance.map(group.window.inner), transfers, to_merge_space })
    }
}

/// A run of windows of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Its turn: canvases are added to in the order of the plan, whichever lane was first.
    seq: u64,
    pub(crate) member: usize,
    /// Places among the block's windows, row-major.
    pub(crate) windows: Range<u64>,
}

/// What came of a task: the block's mean scores, `[H, C, W]`, and where the time went.
pub(crate) type Outcome = Result<(Vec<f32>, StageSeconds), Failure>;

/// One block, its image, and its canvas.
#[derive(Debug)]
pub(crate) struct BlockTask {
    pub(crate) context: Arc<PlanContext>,
    pub(crate) image: Arc<OpenImage>,
    pub(crate) grid: Grid,
    group: usize,
    block: Block,
    next: AtomicU64,
    failed: AtomicBool,
    fold: Mutex<Fold>,
    turn_changed: Condvar,
}

#[derive(Debug)]
struct Fold {
    turn: u64,
    canvas: Option<Canvas>,
    seconds: StageSeconds,
    failure: Option<Failure>,
    done: Option<oneshot::Sender<Outcome>>,
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
        let canvas = Canvas::new(block.extent(&grid), context.plan.scoring.classes.len());
        let fold = Fold {
            turn: 0,
            canvas: Some(canvas),
            seconds: StageSeconds::default(),
            failure: None,
            done: Some(done),
        };
        let task = Self {
            context,
            image,
            grid,
            group,
            block,
            next: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            fold: Mutex::new(fold),
            turn_changed: Condvar::new(),
        };
        (task, outcome)
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

    /// Windows in one unit of `member`: as many as fill a batch with their views, or one.
    fn run_length(&self, member: usize) -> u64 {
        let batch = self.group().members[member].signatures.first().map_or(1, |s| u64::from(s.batch));
        (batch / self.group().views.len() as u64).max(1)
    }

    /// The next unit that no lane has taken; `None` once all are taken.
    pub(crate) fn take(&self) -> Option<Unit> {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        let mut first = 0;
        for member in 0..self.group().members.len() {
            let length = self.run_length(member);
            let runs = self.block.windows().div_ceil(length);
            if seq < first + runs {
                let start = (seq - first) * length;
                return Some(Unit {
                    seq,
                    member,
                    windows: start..(start + length).min(self.block.windows()),
                });
            }
            first += runs;
        }
        None
    }

    fn units(&self) -> u64 {
        (0..self.group().members.len()).map(|m| self.block.windows().div_ceil(self.run_length(m))).sum()
    }

    /// Whether there is no use in computing more of it.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn fold(&self) -> MutexGuard<'_, Fold> {
        self.fold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a unit's scores when its turn has come; the last unit ends the task.
    ///
    /// A lane waits here for the units before its own. Those were taken earlier, by lanes that are at work on them, so
    /// the first of them never waits.
    pub(crate) fn settle(&self, unit: &Unit, result: Result<StageSeconds, Failure>, scores: &[WindowScores]) {
        let mut fold = self.fold();
        while fold.turn != unit.seq {
            fold = self.turn_changed.wait(fold).unwrap_or_else(PoisonError::into_inner);
        }
        match result {
            Ok(seconds) => {
                fold.seconds += seconds;
                if fold.failure.is_none() {
                    let started = std::time::Instant::now();
                    self.add(&mut fold, unit, scores);
                    fold.seconds.stitch += started.elapsed().as_secs_f64();
                }
            }
            Err(failure) => {
                self.failed.store(true, Ordering::Relaxed);
                fold.failure.get_or_insert(failure);
            }
        }
        fold.turn += 1;
        if fold.turn == self.units() {
            self.finish(&mut fold);
        }
        drop(fold);
        self.turn_changed.notify_all();
    }

    fn add(&self, fold: &mut Fold, unit: &Unit, scores: &[WindowScores]) {
        let Some(canvas) = &mut fold.canvas else { return };
        let weights = &self.group().members[unit.member].weights;
        for (place, scores) in unit.windows.clone().zip(scores) {
            canvas.add(self.window(place), &self.group_context().importance, weights, scores);
        }
    }

    fn finish(&self, fold: &mut Fold) {
        let (Some(canvas), Some(done)) = (fold.canvas.take(), fold.done.take()) else { return };
        let mean = || {
            let importance =
                self.group_context().importance.sum_over(&self.grid, &self.block, canvas.extent());
            let weights = self.group().weights(self.context.plan.scoring.classes.len());
            canvas.into_mean(&importance, &weights)
        };
        let outcome = fold.failure.take().map_or_else(|| Ok((mean(), fold.seconds)), Err);
        // Nobody waits any more if the worker is being stopped.
        let _ = done.send(outcome);
    }
}
