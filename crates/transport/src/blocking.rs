//! Asking the network from threads that wait.

use crate::StoreErrorKind;
use crate::s3::Trouble;
use std::future::Future;
use tokio::runtime::Handle;

/// Runs requests on a runtime for threads that are not its own.
#[derive(Debug, Clone)]
pub(crate) struct Blocking {
    runtime: Handle,
}

impl Blocking {
    pub(crate) const fn new(runtime: Handle) -> Self {
        Self { runtime }
    }

    /// Waits for `work`. Also on a thread of the runtime this would not panic, but keep that thread from anything else.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Trouble>> + Send + 'static,
    ) -> Result<T, Trouble> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // Nobody listens any more when the thread is gone; then nobody needs the answer.
            let _ = sender.send(work.await);
        });
        receiver
            .recv()
            .unwrap_or_else(|_| Err(Trouble::new(StoreErrorKind::Unavailable, "the process is about to end")))
    }
}
