//! The threads that compute.

use crate::Failure;
use crate::block::BlockTask;
use crate::network::{NetworkSource, Networks};
use crate::unit::UnitRunner;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A fixed number of threads that take units of the oldest task first.
pub(crate) struct Lanes {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    forwards: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Arc<BlockTask>>,
    closed: bool,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    /// Starts `n` lanes, each of which keeps networks of up to `bytes_max` bytes.
    pub(crate) fn start(n: usize, source: &Arc<dyn NetworkSource>, bytes_max: u64) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let spawn = |k| {
            let (shared, networks) = (Arc::clone(&shared), Networks::new(Arc::clone(source), bytes_max));
            std::thread::Builder::new().name(format!("lane-{k}")).spawn(move || run(&shared, networks))
        };
        let threads = (0..n).map(spawn).collect::<Result<_, _>>()?;
        Ok(Self { shared, threads })
    }

    /// Model runs of one window each so far.
    pub(crate) fn forwards(&self) -> u64 {
        self.shared.forwards.load(Ordering::Relaxed)
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
        }
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A lane that panicked has already failed its task.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, mut networks: Networks) {
    let mut runner = UnitRunner::new();
    loop {
        let mut waiting = shared.waiting();
        let (task, unit) = loop {
            if waiting.closed {
                return;
            }
            let Some(task) = waiting.tasks.front().map(Arc::clone) else {
                waiting = shared.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if let Some(unit) = task.take() {
                break (task, unit);
            }
            waiting.tasks.pop_front();
        };
        drop(waiting);
        let result = if task.has_failed() {
            Err(Failure::reject("an earlier window of this block failed"))
        } else {
            // A bug in one model's path must not take other tasks with it.
            catch_unwind(AssertUnwindSafe(|| runner.run(&task, &unit, &mut networks))).unwrap_or_else(|_| {
                runner = UnitRunner::new();
                Err(Failure::reject("a bug: computing a window panicked; the log above says where"))
            })
        };
        if result.is_ok() {
            let forwards = unit.windows.clone().count() * task.group().views.len();
            shared.forwards.fetch_add(forwards as u64, Ordering::Relaxed);
        }
        task.settle(&unit, result, &runner.scores);
    }
}
