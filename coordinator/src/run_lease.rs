//! The lease that a coordinator holds on its job, from the first look into the store to the last deletion.
//!
//! The object `jobs/<job>/run` names the run that counts. Whoever writes its name there has the job; a coordinator that
//! finds another's name has lost it, and writes and deletes nothing any more.

use crate::control::set_state;
use crate::job_runner::RunError;
use crate::leased_store::{CONFLICTS_MAX, LeasedStore, after_conflict};
use crate::status::{JobFailure, JobState, Status, unix_now};
use bytes::Bytes;
use marquetry_failure::{Classify, FailureClass};
use marquetry_job::{RunId, key};
use marquetry_transport::{Condition, ObjectStore, StoreError, StoreErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Between two looks at which run counts, and two statuses written.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// The name of no run: a job under it is cancelled.
pub(crate) const CANCELLED: &str = "cancelled";
/// The name under which a job has ended: one for each run, so that a run knows its own last word.
fn ended(run: &RunId) -> String {
    format!("ended {}", run.run)
}

/// Heartbeats that a store may refuse for good, one after the other, before the run ends: rights may be on their way.
const REFUSALS_MAX: u32 = 3;

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
/// The heartbeat beats beside the work: a store that is slow or away does not hold up a single message. It stops when
/// the lease is dropped.
pub(crate) struct RunLease {
    store: Arc<dyn ObjectStore>,
    run: RunId,
    /// The name that stands there now, of this life.
    name: watch::Sender<RunId>,
    status: watch::Sender<Option<Status>>,
    lost: watch::Receiver<Option<Lost>>,
    heartbeat: JoinHandle<()>,
}

/// Why a lease is lost.
#[derive(Debug, Clone)]
enum Lost {
    Stopped(Stopped),
    /// The store refuses for good.
    Refused(StoreError),
}

impl RunLease {
    /// Makes this run the one that counts, whoever had the job before.
    pub(crate) async fn acquire(store: Arc<dyn ObjectStore>, run: RunId) -> Result<Self, StoreError> {
        store.put(&key::run(&run.job), Bytes::from(run.run.clone())).await?;
        let (status, shown) = watch::channel(None);
        let (lose, lost) = watch::channel(None);
        let (name, named) = watch::channel(run.clone());
        let heartbeat = tokio::spawn(beat(Arc::clone(&store), named, shown, lose));
        Ok(Self { store, run, name, status, lost, heartbeat })
    }

    /// Lets the job go on under another name of this life: what was sent before is dropped by whoever receives it.
    pub(crate) async fn renew(&self, run: &RunId) -> Result<(), RunError> {
        // Known before it is written: whoever looks meanwhile writes this name too.
        self.name.send_replace(run.clone());
        match put_while_ours(&*self.store, run, Bytes::from(run.run.clone())).await? {
            Some(stopped) => Err(stopped.into()),
            None => Ok(()),
        }
    }

    /// Has this written with the next heartbeat.
    pub(crate) fn publish_status(&self, status: Status) {
        self.status.send_replace(Some(status));
    }

    /// Writes what was published last, at once. A status that cannot be written holds up no job.
    pub(crate) async fn write_status(&self) {
        let status = self.status.borrow().clone();
        if let Some(status) = status
            && let Err(error) = status.write(&*self.store).await
        {
            tracing::warn!(%error, "the status was not written");
        }
    }

    /// Publishes the last status again, now in this state.
    pub(crate) fn enter(&self, state: JobState) {
        self.status.send_modify(|status| {
            if let Some(status) = status {
                status.enter(state);
            }
        });
    }

    /// Ends when the run does not count any more, or the store lets it in no longer.
    pub(crate) async fn lost(&mut self) -> RunError {
        let lost = self.lost.wait_for(Option::is_some).await.ok().and_then(|lost| lost.clone());
        match lost {
            Some(Lost::Stopped(stopped)) => stopped.into(),
            Some(Lost::Refused(error)) => error.into(),
            // The heartbeat never ends by itself; if it did, nothing would say that this run does not count.
            None => std::future::pending().await,
        }
    }

    /// Looks into the store whether the run still counts. To be asked before anything is written over or deleted.
    pub(crate) async fn check(&self) -> Result<(), RunError> {
        let name = self.name.borrow().clone();
        match stopped(&*self.store, &name).await? {
            Some(stopped) => Err(stopped.into()),
            None => Ok(()),
        }
    }

    /// Writes down that the job was cancelled.
    pub(crate) async fn note_cancelled(&self) -> Result<(), StoreError> {
        set_state(&*self.store, &self.run.job, JobState::Cancelled).await
    }

    /// The store, which takes nothing any more once the lease is lost.
    pub(crate) fn guard(&self) -> Arc<dyn ObjectStore> {
        Arc::new(LeasedStore::new(Arc::clone(&self.store), self.name.subscribe()))
    }

    /// Gives the job back in its last state: what is still out is not worked on any more. Writes nothing over the name of
    /// another run, nor over its status.
    pub(crate) async fn release(self, state: JobState, failure: Option<JobFailure>) -> Result<(), RunError> {
        self.heartbeat.abort();
        let ended = Bytes::from(ended(&self.run));
        if let Some(stopped) = put_while_ours(&*self.store, &self.run, ended).await? {
            return Err(stopped.into());
        }
        let status = self.status.borrow().clone();
        if let Some(mut status) = status {
            status.enter(state);
            status.failure = failure.unwrap_or_default();
            status.write(&*self.store).await?;
        }
        Ok(())
    }
}

impl Drop for RunLease {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

/// Why `run` does not count any more, if it does not. Where no name stands, or an older one of the same life, its name is put
/// there: of two that believe to have the job, one finds the other's.
pub(crate) async fn stopped(store: &dyn ObjectStore, run: &RunId) -> Result<Option<Stopped>, StoreError> {
    match store.get(&key::run(&run.job)).await {
        // As mostly: nothing need be written, nor what waits to be.
        Ok(name) if name == run.run.as_bytes() => Ok(None),
        Err(error) if error.kind != StoreErrorKind::NotFound => Err(error),
        _ => put_while_ours(store, run, Bytes::from(run.run.clone())).await,
    }
}

/// Why `run` does not count where `name` stands.
fn other_name(name: &[u8], run: &RunId) -> Option<Stopped> {
    if std::str::from_utf8(name).is_ok_and(|name| run.is_life_of(name)) {
        None
    } else if name == CANCELLED.as_bytes() {
        Some(Stopped::Cancelled)
    } else {
        Some(Stopped::Replaced)
    }
}

/// Writes `name` in the place of `run`, unless another name stands there: then why. A name that comes between reading and
/// writing is not written over, where the store can see to that.
async fn put_while_ours(
    store: &dyn ObjectStore,
    run: &RunId,
    name: Bytes,
) -> Result<Option<Stopped>, StoreError> {
    let key = key::run(&run.job);
    let mut conflicts = 0;
    loop {
        let condition = match store.get_versioned(&key).await {
            // Written by a try whose answer was lost.
            Ok((found, _)) if found == name => return Ok(None),
            Ok((found, version)) => match other_name(&found, run) {
                Some(stopped) => return Ok(Some(stopped)),
                None => Condition::Version(version),
            },
            Err(error) if error.kind == StoreErrorKind::NotFound => Condition::Absent,
            Err(error) => return Err(error),
        };
        match store.put_if(&key, name.clone(), &condition).await {
            Ok(_) => return Ok(None),
            // Somebody else was faster: what stands there now is looked at.
            Err(error) if error.kind == StoreErrorKind::Conflict && conflicts < CONFLICTS_MAX => {
                conflicts += 1;
                after_conflict(conflicts).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn beat(
    store: Arc<dyn ObjectStore>,
    named: watch::Receiver<RunId>,
    mut shown: watch::Receiver<Option<Status>>,
    lose: watch::Sender<Option<Lost>>,
) {
    let mut refusals = 0;
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let run = named.borrow().clone();
        match stopped(&*store, &run).await {
            Ok(None) => refusals = 0,
            Ok(Some(stopped)) => {
                lose.send_replace(Some(Lost::Stopped(stopped)));
                return;
            }
            Err(error) if error.class() == FailureClass::Config && refusals + 1 >= REFUSALS_MAX => {
                lose.send_replace(Some(Lost::Refused(error)));
                return;
            }
            Err(error) if error.class() == FailureClass::Config => refusals += 1,
            Err(error) => tracing::warn!(%error, "could not see whether the job still counts"),
        }
        let status = shown.borrow_and_update().clone();
        let Some(mut status) = status else { continue };
        // While tasks are followed the loop itself says when it was last alive; after that only this does.
        if status.state != JobState::Running {
            status.updated = unix_now();
        }
        if let Err(error) = status.write(&*store).await {
            tracing::warn!(%error, "the status was not written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_transport::FolderStore;

    fn run(name: &str) -> RunId {
        RunId { job: "job-1".into(), store: "s".into(), run: name.into() }
    }

    async fn named(store: &dyn ObjectStore) -> Bytes {
        store.get(&key::run("job-1")).await.unwrap()
    }

    #[tokio::test]
    async fn who_lost_the_job_writes_nothing_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(FolderStore::open(folder.path()).unwrap());
        let old = RunLease::acquire(Arc::clone(&store), run("old")).await.unwrap();
        let guarded = old.guard();
        old.check().await.unwrap();
        guarded.put("jobs/job-1/out/a.csv", Bytes::from_static(b"old")).await.unwrap();

        let new = RunLease::acquire(Arc::clone(&store), run("new")).await.unwrap();
        assert!(matches!(old.check().await, Err(RunError::Stopped(Stopped::Replaced))));
        assert!(guarded.put("jobs/job-1/out/a.csv", Bytes::from_static(b"older")).await.is_err());
        assert_eq!(store.get("jobs/job-1/out/a.csv").await.unwrap(), "old");
        let released = old.release(JobState::Done, None).await;
        assert!(matches!(released, Err(RunError::Stopped(Stopped::Replaced))));
        assert_eq!(named(&*store).await, "new");
        new.release(JobState::Done, None).await.unwrap();
        assert_eq!(named(&*store).await, "ended new");
    }

    #[tokio::test]
    async fn another_name_of_the_same_life_keeps_the_lease() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(FolderStore::open(folder.path()).unwrap());
        let lease = RunLease::acquire(Arc::clone(&store), run("one")).await.unwrap();
        lease.renew(&run("one").renewed(1)).await.unwrap();
        assert_eq!(named(&*store).await, "one.1");
        lease.check().await.unwrap();
        let other = RunLease::acquire(Arc::clone(&store), run("two")).await.unwrap();
        assert!(lease.renew(&run("one").renewed(2)).await.is_err());
        assert_eq!(named(&*store).await, "two");
        drop(other);
    }

    /// Something has deleted the name: whoever looks first has the job again, and the other one not.
    #[tokio::test]
    async fn a_name_that_is_gone_is_put_back_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(FolderStore::open(folder.path()).unwrap());
        let old = RunLease::acquire(Arc::clone(&store), run("old")).await.unwrap();
        let new = RunLease::acquire(Arc::clone(&store), run("new")).await.unwrap();
        new.renew(&run("new").renewed(1)).await.unwrap();
        store.delete(&key::run("job-1")).await.unwrap();
        new.guard().put("jobs/job-1/out/a.csv", Bytes::from_static(b"new")).await.unwrap();
        assert_eq!(named(&*store).await, "new.1");
        assert!(old.guard().put("jobs/job-1/out/a.csv", Bytes::from_static(b"old")).await.is_err());

        store.delete(&key::run("job-1")).await.unwrap();
        old.check().await.unwrap();
        assert!(matches!(new.check().await, Err(RunError::Stopped(Stopped::Replaced))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_job_is_noticed_by_the_heartbeat() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(FolderStore::open(folder.path()).unwrap());
        let mut lease = RunLease::acquire(Arc::clone(&store), run("r")).await.unwrap();
        store.put(&key::run("job-1"), Bytes::from_static(CANCELLED.as_bytes())).await.unwrap();
        assert!(matches!(lease.lost().await, RunError::Stopped(Stopped::Cancelled)));
    }
}
