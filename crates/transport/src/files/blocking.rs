//! Requests to the network from threads that wait.

use crate::StoreErrorKind;
use crate::error::RequestError;
use crate::retry::{Tries, growing_pauses};
use backon::BlockingRetryable;
use std::future::Future;
use std::time::Duration;
use tokio::runtime::Handle;

/// Runs requests on a runtime for threads that are not its own.
#[derive(Debug, Clone)]
pub(super) struct Blocking {
    runtime: Handle,
    retry_timeout: Duration,
}

impl Blocking {
    /// On `runtime`; requests to a service that is away may be made again for as long as `retry_timeout`.
    pub(super) const fn new(runtime: Handle, retry_timeout: Duration) -> Self {
        Self { runtime, retry_timeout }
    }

    /// Makes a request again, with growing pauses, while the service is away.
    pub(super) fn retry<T>(
        &self,
        request: impl FnMut() -> Result<T, RequestError>,
    ) -> Result<T, RequestError> {
        let mut tries = Tries::new(self.retry_timeout);
        let mut is_told = false;
        let result = request
            .retry(growing_pauses())
            .when(|error| tries.go_on_after(error.kind))
            .notify(|error, _| {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!("{}; trying again until the store is back", error.reason);
                }
            })
            .call();
        result.map_err(|error| error.after(&tries))
    }

    /// Waits for `work`. Also on a thread of the runtime this would not panic, but keep that thread from anything else.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, RequestError>> + Send + 'static,
    ) -> Result<T, RequestError> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // Nobody listens any more when the thread is gone; then nobody needs the answer.
            let _ = sender.send(work.await);
        });
        let ending = |_| Err(RequestError::new(StoreErrorKind::Unavailable, "the process is about to end"));
        receiver.recv().unwrap_or_else(ending)
    }
}
