//! Messages, as workers and aggregators speak them.

use bytes::Bytes;
use marquetry_failure::FailureClass;
use marquetry_job::{AggregateMessage, ResultMessage, StageSeconds, TaskMessage, message};
use marquetry_transport::{TaskQueue, Topic};

pub(crate) use marquetry_job::{Event, RunId, TaskId, TaskKind};

/// What a worker is asked.
pub(crate) fn task(payload: &[u8]) -> Option<TaskMessage> {
    message::decode(payload).ok()
}

/// What an aggregator is asked.
pub(crate) fn aggregate(payload: &[u8]) -> Option<AggregateMessage> {
    message::decode(payload).ok()
}

/// That a worker begins with a task.
pub(crate) fn task_begun(task: TaskId, attempt: u32, process: u64) -> Event {
    Event::TaskBegun { task, attempt, process, takes: None }
}

/// That what a task computes is stored.
pub(crate) fn task_done(task: TaskId) -> Event {
    Event::TaskDone { task, stored_bytes: 1, forwards: 1, seconds: StageSeconds::default() }
}

/// That a task failed, and who is to blame.
pub(crate) fn task_failed(task: TaskId, attempt: u32, class: FailureClass, reason: &str) -> Event {
    Event::TaskFailed { task, attempt, reason: reason.to_owned(), class, damaged: Vec::new() }
}

/// That a task failed because a tile that it hangs on is damaged or gone.
pub(crate) fn task_damaged(task: TaskId, attempt: u32, tile: TaskKind) -> Event {
    let damaged = TaskId { image: task.image.clone(), kind: tile };
    let reason = format!("the tile of {damaged} is not in the store");
    Event::TaskFailed { task, attempt, reason, class: FailureClass::Passing, damaged: vec![damaged] }
}

/// That an aggregator begins with an image.
pub(crate) fn image_begun(image: &str, attempt: u32, process: u64) -> Event {
    Event::ImageBegun { image: image.to_owned(), attempt, process }
}

/// That an image's outputs are stored.
pub(crate) fn image_done(image: &str, partial: bool) -> Event {
    Event::Image { image: image.to_owned(), partial, seconds: 0.1, unread: None }
}

/// That an image could not be put together, because a tile is damaged or gone.
pub(crate) fn image_damaged(image: &str, attempt: u32, tile: TaskKind) -> Event {
    let damaged = TaskId { image: image.to_owned(), kind: tile };
    let reason = format!("the tile of {damaged} is not in the store");
    let class = FailureClass::Passing;
    Event::ImageFailed { image: image.to_owned(), attempt, reason, damaged: vec![damaged], class }
}

/// Tells the coordinator of `run` what happened.
pub(crate) async fn announce(queue: &dyn TaskQueue, run: &RunId, from: &str, event: Event) {
    let said = ResultMessage { run: run.clone(), from: from.to_owned(), event };
    // A queue that is closed has nobody left who would hear it.
    let _ = queue.publish(Topic::Results, from, Bytes::from(message::encode(&said))).await;
}
