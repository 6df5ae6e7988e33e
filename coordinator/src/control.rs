//! What a person does to a job from anywhere.

use crate::run_lease::CANCELLED;
use crate::status::{JobState, Status, unix_now};
use bytes::Bytes;
use marquetry_job::{Event, ResultMessage, RunId, key, message};
use marquetry_transport::{ObjectStore, QueueError, StoreError, StoreErrorKind, TaskQueue, Topic};

/// A run of `job` in `store` that nobody has begun before.
pub fn new_run(job: &str, store: &str) -> RunId {
    let run = format!("{:x}-{:08x}", unix_now(), fastrand::u32(..));
    RunId { job: job.to_owned(), store: store.to_owned(), run }
}

/// Cancels `job`: workers and aggregators drop what is queued of it, its coordinator ends. What is stored stays.
///
/// # Errors
/// When the store is away.
pub async fn cancel(store: &dyn ObjectStore, job: &str) -> Result<(), StoreError> {
    store.put(&key::run(job), Bytes::from_static(CANCELLED.as_bytes())).await?;
    set_state(store, job, JobState::Cancelled).await
}

/// Writes down where `job` stands now.
///
/// # Errors
/// When the store is away.
pub async fn set_state(store: &dyn ObjectStore, job: &str, state: JobState) -> Result<(), StoreError> {
    let status = match Status::read(store, job).await {
        Err(error) if error.kind == StoreErrorKind::NotFound => None,
        read => read?,
    };
    // A job that never showed how far it is has no state to change.
    let Some(mut status) = status else { return Ok(()) };
    status.enter(state);
    status.write(store).await
}

/// Asks the coordinator that is at work on `run` for another try of everything it has given up.
///
/// # Errors
/// When the queue refuses.
pub async fn retry(queue: &dyn TaskQueue, run: &RunId) -> Result<(), QueueError> {
    let wanted = ResultMessage { run: run.clone(), from: "a person".into(), event: Event::Retry };
    queue.publish(Topic::Results, "retry", Bytes::from(message::encode(&wanted))).await
}
