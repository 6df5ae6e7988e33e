//! The threads that compute.

use crate::Failure;
use crate::block::{BlockSpec, BlockTask, CanvasTicket, WorkItem};
use crate::gate_run::{GateOutcome, GateRun};
use crate::read::WindowSamples;
use crate::scorer::{GateRequest, PendingSums, ScoreRequest, ScoreSink, Scorer, ScorerSource};
use crate::tile_builder::Outcome;
use marquetry_ensemble::Band;
use marquetry_job::StageSeconds;
use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A fixed number of threads that take items of the oldest task first, and make the bands that are ready into frames
/// of the tile: all of a block's work is shared by all lanes up to its end.
pub(crate) struct Lanes {
    shared: Arc<Shared>,
    scorers: Arc<dyn ScorerSource>,
    threads: Vec<JoinHandle<()>>,
    /// A lane will not come back: nobody waits for it.
    given_up: AtomicBool,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    forwards: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    /// What only waits to be stored: it comes first, since it holds memory.
    bands: VecDeque<(Arc<BlockTask>, Band)>,
    /// Images before the gate: their blocks wait for it.
    gates: VecDeque<GateRun>,
    tasks: VecDeque<Arc<BlockTask>>,
    closed: bool,
}

enum LaneWork {
    Gate(Box<GateRun>),
    Of(Arc<BlockTask>, BlockWork),
}

enum BlockWork {
    Band(Band),
    Item(WorkItem),
}

impl Shared {
    /// The next piece of work, once there is one; `None` when the lanes are to stop.
    fn next(&self) -> Option<LaneWork> {
        let mut waiting = self.waiting();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some((task, band)) = waiting.bands.pop_front() {
                return Some(LaneWork::Of(task, BlockWork::Band(band)));
            }
            if let Some(gate) = waiting.gates.pop_front() {
                return Some(LaneWork::Gate(Box::new(gate)));
            }
            let Some(task) = waiting.tasks.front().map(Arc::clone) else {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if let Some(item) = task.take() {
                return Some(LaneWork::Of(task, BlockWork::Item(item)));
            }
            waiting.tasks.pop_front();
        }
    }

    fn submit_bands(&self, task: &Arc<BlockTask>, bands: Vec<Band>) {
        if !bands.is_empty() {
            self.waiting().bands.extend(bands.into_iter().map(|band| (Arc::clone(task), band)));
            self.changed.notify_all();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    /// Starts `n` lanes, each of which keeps models of up to `model_bytes` bytes open.
    pub(crate) fn start(
        n: usize,
        scorers: &Arc<dyn ScorerSource>,
        model_bytes: u64,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let spawn = |k| {
            let mut lane = Lane::new(Arc::clone(&shared), Arc::clone(scorers), model_bytes);
            std::thread::Builder::new().name(format!("lane-{k}")).spawn(move || lane.run())
        };
        let threads = (0..n).map(spawn).collect::<Result<_, _>>()?;
        Ok(Self { shared, scorers: Arc::clone(scorers), threads, given_up: AtomicBool::new(false) })
    }

    /// Model runs of one window each so far.
    pub(crate) fn forwards(&self) -> u64 {
        self.shared.forwards.load(Ordering::Relaxed)
    }

    /// Does not wait for the lanes when they are dropped.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Gives a block to the lanes; the task that it is now, and where its outcome will come.
    pub(crate) fn submit(&self, spec: BlockSpec) -> (Arc<BlockTask>, oneshot::Receiver<Outcome>) {
        let windows_together = self.scorers.windows_together(&spec.context.inference.groups[spec.group]);
        let (task, outcome) = BlockTask::new(spec, self.threads.len(), windows_together);
        let task = Arc::new(task);
        self.shared.waiting().tasks.push_back(Arc::clone(&task));
        self.shared.changed.notify_all();
        (task, outcome)
    }

    /// Gives an image to the lanes that the models of the gate are to be shown.
    pub(crate) fn submit_gate(&self, run: GateRun) {
        self.shared.waiting().gates.push_back(run);
        self.shared.changed.notify_all();
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        {
            let mut waiting = self.shared.waiting();
            waiting.closed = true;
            waiting.tasks.clear();
            waiting.gates.clear();
            waiting.bands.clear();
        }
        self.shared.changed.notify_all();
        if self.given_up.load(Ordering::Relaxed) {
            return;
        }
        for thread in self.threads.drain(..) {
            // What panics in a lane is caught there; nothing more is to be done about one that ended all the same.
            let _ = thread.join();
        }
    }
}

/// What one thread keeps from one item to the next.
struct Lane {
    shared: Arc<Shared>,
    scorers: Arc<dyn ScorerSource>,
    model_bytes: u64,
    /// Made when it is first needed, and again after a panic.
    scorer: Option<Box<dyn Scorer>>,
    samples: WindowSamples,
    /// Memory for sums.
    sums: PendingSums,
}

impl Lane {
    fn new(shared: Arc<Shared>, scorers: Arc<dyn ScorerSource>, model_bytes: u64) -> Self {
        let (samples, sums) = (WindowSamples::default(), PendingSums::default());
        Self { shared, scorers, model_bytes, scorer: None, samples, sums }
    }

    /// Works until the lanes are to stop. A panic ends the task that it happens in, and nothing else.
    fn run(&mut self) {
        while let Some(work) = Arc::clone(&self.shared).next() {
            match work {
                LaneWork::Gate(run) => self.run_gate(*run),
                LaneWork::Of(task, work) => self.run_block(&task, work),
            }
        }
    }

    fn run_block(&mut self, task: &Arc<BlockTask>, work: BlockWork) {
        let _span = task.span.enter();
        let seq = match &work {
            BlockWork::Band(_) => None,
            BlockWork::Item(item) => Some(item.seq),
        };
        let done = catch_unwind(AssertUnwindSafe(|| match work {
            BlockWork::Band(band) => task.encode(band),
            BlockWork::Item(item) => {
                let bands = self.compute(task, &item);
                self.shared.submit_bands(task, bands);
            }
        }));
        if let Err(panic) = done {
            self.forget();
            task.fail_by_panic(seq, words(&*panic));
        }
    }

    fn run_gate(&mut self, run: GateRun) {
        run.begun.cancel();
        let _span = run.span.enter();
        let done = catch_unwind(AssertUnwindSafe(|| self.gate(&run)));
        let outcome = done.unwrap_or_else(|panic| {
            self.forget();
            let words = words(&*panic);
            Err(Failure::bug(format!("a bug: a lane panicked ({words}); the log above says where")))
        });
        // Nobody waits any more where the worker was stopped.
        let _ = run.done.send(outcome);
    }

    /// Begins anew: what a panic left half-done is not used again.
    fn forget(&mut self) {
        *self = Self::new(Arc::clone(&self.shared), Arc::clone(&self.scorers), self.model_bytes);
    }

    /// What each model of the gate says of an image.
    fn gate(&mut self, run: &GateRun) -> GateOutcome {
        let scorer = match &mut self.scorer {
            Some(scorer) => scorer,
            None => self.scorer.insert(self.scorers.open(self.model_bytes)?),
        };
        let (mut said, mut all) = (Vec::new(), StageSeconds::default());
        for of in run.context.inference.gate.iter().zip(&run.context.gate) {
            if run.abandoned.is_cancelled() {
                return Err(Failure::passing("the task was given up"));
            }
            let (probabilities, seconds) =
                scorer.score_image(&mut GateRequest::new(of, &run.image, &mut self.samples))?;
            self.shared.forwards.fetch_add(1, Ordering::Relaxed);
            said.push(probabilities);
            all.read += self.samples.seconds();
            all.prepare += seconds.prepare;
            all.infer += seconds.infer;
        }
        Ok((said, all))
    }

    /// Computes an item and adds it to the canvas; the bands that are ready then.
    fn compute(&mut self, task: &BlockTask, item: &WorkItem) -> Vec<Band> {
        let ticket = task.ticket(item);
        if task.has_failed() {
            task.leave_out(ticket);
            return Vec::new();
        }
        match self.score(task, item, &ticket) {
            Ok(sums) => {
                let forwards = item.len() * item.members.len() * task.group().views.len();
                self.shared.forwards.fetch_add(forwards as u64, Ordering::Relaxed);
                let (spent, bands) = task.add(ticket, sums);
                self.sums = spent;
                bands
            }
            Err(failure) => {
                drop(ticket);
                task.fail(item.seq, failure);
                Vec::new()
            }
        }
    }

    fn score(
        &mut self,
        task: &BlockTask,
        item: &WorkItem,
        ticket: &CanvasTicket<'_>,
    ) -> Result<PendingSums, Failure> {
        let scorer = match &mut self.scorer {
            Some(scorer) => scorer,
            None => self.scorer.insert(self.scorers.open(self.model_bytes)?),
        };
        let mut request = ScoreRequest::new(task, item, &mut self.samples);
        let mut sink = ScoreSink::new(task, item, ticket, std::mem::take(&mut self.sums));
        let seconds = scorer.score(&mut request, &mut sink)?;
        task.spend(StageSeconds { read: seconds.read + self.samples.seconds(), ..seconds });
        sink.finish()
    }
}

/// What a panic said.
pub(crate) fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it said nothing")
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
