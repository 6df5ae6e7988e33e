//! Work that waits for a disk, away from the threads that drive messages.

use std::cell::Cell;
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
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // The thread goes on to other work, some of which leaves waiting to others.
        MAY_WAIT.set(false);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
    .await
}

/// The same, at once where this thread may wait.
pub(crate) async fn waiting_here<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if MAY_WAIT.get() { Ok(work()) } else { tokio::task::spawn_blocking(work).await }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::{ThreadId, current};

    async fn id() -> ThreadId {
        waiting_here(|| current().id()).await.unwrap()
    }

    #[tokio::test]
    async fn what_may_wait_stays_on_its_thread() {
        let runtime = tokio::runtime::Handle::current();
        let other = runtime.clone();
        let (own, there) = waiting(move || (current().id(), other.block_on(id()))).await.unwrap();
        assert_eq!(own, there);
        assert_ne!(id().await, current().id(), "a thread that drives messages does not wait");
        // Also not one that has waited before, or has panicked at it.
        assert!(waiting(|| -> () { panic!("on purpose") }).await.unwrap_err().is_panic());
        for _ in 0..8 {
            let other = runtime.clone();
            let work = move || (current().id(), other.block_on(id()));
            let (own, there) = tokio::task::spawn_blocking(work).await.unwrap();
            assert_ne!(own, there);
        }
    }
}
