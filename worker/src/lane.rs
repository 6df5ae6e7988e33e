//! The threads that compute.

use crate::Failure;
use crate::block::{BlockTask, Unit};
use crate::network::{NetworkSource, Networks};
use crate::unit::UnitRunner;
use marquetry_ensemble::Band;
use marquetry_telemetry::Metrics;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A fixed number of threads that take units of the oldest task first, and make the bands that are ready into frames
/// of the tile: all of a block's work is shared by all lanes up to its end.
pub(crate) struct Lanes {
    shared: Arc<Shared>,
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
    tasks: VecDeque<Arc<BlockTask>>,
    closed: bool,
}

enum Work {
    Band(Band),
    Unit(Unit),
}

impl Shared {
    /// The next piece of work, once there is one; `None` when the lanes are to stop.
    fn next(&self) -> Option<(Arc<BlockTask>, Work)> {
        let mut waiting = self.waiting();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some((task, band)) = waiting.bands.pop_front() {
                return Some((task, Work::Band(band)));
            }
            let Some(task) = waiting.tasks.front().map(Arc::clone) else {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if let Some(unit) = task.take() {
                return Some((task, Work::Unit(unit)));
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
    /// Starts `n` lanes, each of which keeps networks of up to `bytes_max` bytes.
    pub(crate) fn start(
        n: usize,
        source: &Arc<dyn NetworkSource>,
        bytes_max: u64,
        metrics: &Metrics,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let spawn = |k| {
            let (shared, networks) = (Arc::clone(&shared), Networks::new(Arc::clone(source), bytes_max));
            let metrics = metrics.clone();
            let lane = std::thread::Builder::new().name(format!("lane-{k}"));
            lane.spawn(move || run(&shared, networks, n, &metrics))
        };
        let threads = (0..n).map(spawn).collect::<Result<_, _>>()?;
        Ok(Self { shared, threads, given_up: AtomicBool::new(false) })
    }

    /// Model runs of one window each so far.
    pub(crate) fn forwards(&self) -> u64 {
        self.shared.forwards.load(Ordering::Relaxed)
    }

    /// Does not wait for the lanes when they are dropped.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Gives a task to the lanes.
    pub(crate) fn submit(&self, task: Arc<BlockTask>) {
        self.shared.waiting().tasks.push_back(task);
        self.shared.changed.notify_all();
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        {
            let mut waiting = self.shared.waiting();
            waiting.closed = true;
            waiting.tasks.clear();
            waiting.bands.clear();
        }
        self.shared.changed.notify_all();
        if self.given_up.load(Ordering::Relaxed) {
            return;
        }
        for thread in self.threads.drain(..) {
            // A lane that panicked has already failed its task.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, mut networks: Networks, lanes: usize, metrics: &Metrics) {
    let mut runner = UnitRunner::new(metrics);
    while let Some((task, work)) = shared.next() {
        let unit = match work {
            Work::Band(band) => {
                task.store(band);
                continue;
            }
            Work::Unit(unit) => unit,
        };
        let result = if task.has_failed() {
            Err(Failure::reject("an earlier window of this block failed"))
        } else {
            // A bug in one model's path must not take other tasks with it.
            catch_unwind(AssertUnwindSafe(|| runner.run(&task, &unit, &mut networks))).unwrap_or_else(|_| {
                runner = UnitRunner::new(metrics);
                Err(Failure::bug("a bug: computing a window panicked; the log above says where"))
            })
        };
        if result.is_ok() {
            let forwards = unit.windows.clone().count() * unit.members.len() * task.group().views.len();
            shared.forwards.fetch_add(forwards as u64, Ordering::Relaxed);
        }
        let bands = task.settle(unit, result, runner.straight, &mut runner.sums, lanes);
        shared.submit_bands(&task, bands);
    }
}
