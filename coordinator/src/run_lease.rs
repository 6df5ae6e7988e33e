//! The signs that a coordinator gives while it is at work, and those it looks out for.

use crate::status::Status;
use bytes::Bytes;
use marquetry_job::{RunId, key};
use marquetry_transport::{ObjectStore, StoreError, StoreErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Between two looks at which run counts, and two statuses written.
const EVERY: Duration = Duration::from_secs(2);
/// The name of no run: a job under it is cancelled.
pub(crate) const CANCELLED: &str = "cancelled";
/// The name under which a job has ended.
const ENDED: &str = "ended";

/// Someone wants this coordinator to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The job was cancelled.
    #[error("the job was cancelled; what is finished is kept, and the same command goes on")]
    Cancelled,
    /// Another coordinator has the job now.
    #[error("another coordinator has taken this job over")]
    Replaced,
}

/// Says in the store that this run counts, writes how far it is, and notices when it does not count any more.
///
/// All of it happens beside the work: a store that is slow or away does not hold up a single message.
pub(crate) struct RunLease {
    store: Arc<dyn ObjectStore>,
    run: RunId,
    status: watch::Sender<Option<Status>>,
    stopped: watch::Receiver<Option<Stopped>>,
    keeping: JoinHandle<()>,
}

impl RunLease {
    /// Makes this run the one that counts.
    pub(crate) async fn acquire(store: Arc<dyn ObjectStore>, run: RunId) -> Result<Self, StoreError> {
        store.put(&key::run(&run.job), Bytes::from(run.run.clone())).await?;
        let (status, shown) = watch::channel(None);
        let (stop, stopped) = watch::channel(None);
        let keeping = tokio::spawn(keep(Arc::clone(&store), run.clone(), shown, stop));
        Ok(Self { store, run, status, stopped, keeping })
    }

    /// Has this written as soon as the store takes it.
    pub(crate) fn publish_status(&self, status: Status) {
        self.status.send_replace(Some(status));
    }

    /// Ends when the run does not count any more.
    pub(crate) async fn lost(&mut self) -> Stopped {
        match self.stopped.wait_for(Option::is_some).await {
            Ok(stopped) => stopped.unwrap_or(Stopped::Replaced),
            // The keeper never ends by itself; if it did, nothing would say that this run does not count.
            Err(_) => std::future::pending().await,
        }
    }

    /// Ends the run: tasks that are still out are not worked on any more. Only a courtesy: failing it costs time alone.
    pub(crate) async fn release(self, status: Status) {
        self.keeping.abort();
        let ended = self.store.put(&key::run(&self.run.job), Bytes::from_static(ENDED.as_bytes())).await;
        if let Err(error) = ended.and(status.write(&*self.store).await) {
            tracing::warn!(%error, "the end of the job was not written down");
        }
    }
}

impl Drop for RunLease {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

async fn keep(
    store: Arc<dyn ObjectStore>,
    run: RunId,
    mut shown: watch::Receiver<Option<Status>>,
    stop: watch::Sender<Option<Stopped>>,
) {
    loop {
        tokio::time::sleep(EVERY).await;
        match store.get(&key::run(&run.job)).await {
            Ok(name) if name == run.run.as_bytes() => {}
            Ok(name) => {
                let cancelled = name == CANCELLED.as_bytes();
                stop.send_replace(Some(if cancelled { Stopped::Cancelled } else { Stopped::Replaced }));
                return;
            }
            Err(error) if error.kind == StoreErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "could not see whether the job still counts"),
        }
        let status = shown.borrow_and_update().clone();
        if let Some(status) = status
            && let Err(error) = status.write(&*store).await
        {
            tracing::warn!(%error, "the status was not written");
        }
    }
}
