//! Asking the network from threads that wait.

use crate::StoreErrorKind;
use crate::s3::Trouble;
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Runs requests on a runtime for threads that are not its own.
#[derive(Debug, Clone)]
pub(crate) struct Blocking {
    runtime: Handle,
    patience: Duration,
}

impl Blocking {
    /// On `runtime`; a service that is away is waited for as long as `patience`.
    pub(crate) const fn new(runtime: Handle, patience: Duration) -> Self {
        Self { runtime, patience }
    }

    /// Asks again, with growing pauses that differ from caller to caller, while the service is away.
    pub(crate) fn patiently<T>(&self, ask: impl Fn() -> Result<T, Trouble>) -> Result<T, Trouble> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            match ask() {
                Err(trouble)
                    if trouble.kind == StoreErrorKind::Unavailable && started.elapsed() < self.patience =>
                {
                    if pause == FIRST_PAUSE {
                        tracing::warn!("{}; trying again until the store is back", trouble.reason);
                    }
                    std::thread::sleep(pause.mul_f64(0.5 + fastrand::f64()));
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                answer => return answer,
            }
        }
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
