//! Work that waits for a disk, away from the threads that drive messages.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Result as Outcome;
use tokio::sync::oneshot;
use tokio::task::JoinError;

thread_local! {
    /// Whether this thread may wait.
    static MAY_WAIT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on a thread that may wait for as long as it likes. A store in a folder then does on that thread what is asked of it
/// there ([`Handle::block_on`](tokio::runtime::Handle::block_on)): to hand each small thing to another thread takes longer than the thing.
///
/// # Errors
/// When the work panicked, or the runtime is about to end.
pub async fn waiting<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    tokio::task::spawn_blocking(move || {
        MAY_WAIT.set(true);
        let done = catch_unwind(AssertUnwindSafe(work));
        // The thread goes on to other work, some of which leaves waiting to others.
        MAY_WAIT.set(false);
        done.unwrap_or_else(|panic| resume_unwind(panic))
    })
    .await
}

/// Whether this thread may wait: it runs what was given to [`waiting`] or to [`WaitingThreads`].
pub(crate) fn may_wait() -> bool {
    MAY_WAIT.get()
}

/// A few threads that may wait, for much work that is short: on many threads each thing would meet memory that others have had in
/// hand, and each thread would keep memory of its own. What comes while all are busy waits for its turn, so nothing may be given to
/// them that waits for other work of theirs.
#[derive(Debug)]
pub struct WaitingThreads {
    shared: Arc<Shared>,
    name: &'static str,
    threads_max: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    work: VecDeque<Box<dyn FnOnce() + Send>>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("threads", &self.threads)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

impl WaitingThreads {
    /// At most `threads_max` threads called `name`, each begun when there is work for it.
    pub fn new(name: &'static str, threads_max: usize) -> Self {
        Self { shared: Arc::default(), name, threads_max: threads_max.max(1) }
    }

    /// Runs `work` on one of them, or here where the system gives no thread at all.
    ///
    /// # Errors
    /// Its panic, if it panics.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
        let (send, receive) = oneshot::channel();
        let work = move || {
            // Nobody waits any more where whoever asked was stopped.
            let _ = send.send(catch_unwind(AssertUnwindSafe(work)));
        };
        if let Some(work) = self.hand_over(Box::new(work)) {
            work();
        }
        receive.await.unwrap_or_else(|lost| Err(Box::new(lost)))
    }

    /// Has a thread do it; gives it back where there is none.
    fn hand_over(&self, work: Box<dyn FnOnce() + Send>) -> Option<Box<dyn FnOnce() + Send>> {
        let mut state = self.shared.state();
        state.work.push_back(work);
        if state.work.len() > state.idle && state.threads < self.threads_max {
            let shared = Arc::clone(&self.shared);
            let begun = std::thread::Builder::new().name(self.name.to_owned()).spawn(move || shared.work());
            state.threads += usize::from(begun.is_ok());
        }
        if state.threads == 0 {
            return state.work.pop_back();
        }
        drop(state);
        self.shared.changed.notify_one();
        None
    }
}

impl Drop for WaitingThreads {
    fn drop(&mut self) {
        self.shared.state().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// What each thread does: all work there is, until nobody can give any more.
    fn work(&self) {
        MAY_WAIT.set(true);
        let mut state = self.state();
        loop {
            if let Some(work) = state.work.pop_front() {
                drop(state);
                work();
                state = self.state();
            } else if state.is_closed {
                return;
            } else {
                state.idle += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[tokio::test]
    async fn only_what_was_given_for_that_may_wait() {
        assert!(!may_wait(), "a thread that drives messages");
        let runtime = tokio::runtime::Handle::current();
        assert!(waiting(move || runtime.block_on(async { may_wait() })).await.unwrap());
        assert!(WaitingThreads::new("w", 1).run(may_wait).await.unwrap());
        // A thread that has waited, or has panicked at it, goes on to other work.
        assert!(waiting(|| -> () { panic!("on purpose") }).await.unwrap_err().is_panic());
        for _ in 0..8 {
            assert!(!tokio::task::spawn_blocking(may_wait).await.unwrap());
        }
    }

    #[tokio::test]
    async fn much_work_is_done_by_few_threads() {
        let threads = WaitingThreads::new("w", 3);
        let at_once = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let all = join_all((0..60_usize).map(|n| {
            let at_once = Arc::clone(&at_once);
            threads.run(move || {
                let now = at_once[0].fetch_add(1, Ordering::SeqCst) + 1;
                at_once[1].fetch_max(now, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(1));
                at_once[0].fetch_sub(1, Ordering::SeqCst);
                assert!(n % 7 != 3, "on purpose");
                (n, std::thread::current().id())
            })
        }));
        let done = all.await;
        let said: Vec<usize> = done.iter().flatten().map(|(n, _)| *n).collect();
        assert_eq!(
            said,
            (0..60).filter(|n| n % 7 != 3).collect::<Vec<_>>(),
            "one that panics takes no other along"
        );
        assert_eq!(at_once[1].load(Ordering::SeqCst), 3);
        assert_eq!(done.iter().flatten().map(|(_, id)| *id).collect::<HashSet<_>>().len(), 3);
    }

    #[tokio::test]
    async fn the_threads_go_with_what_they_are_for() {
        let threads = WaitingThreads::new("w", 2);
        threads.run(|| ()).await.unwrap();
        let shared = Arc::downgrade(&threads.shared);
        drop(threads);
        while shared.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
