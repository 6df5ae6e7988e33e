//! Messages, as workers and aggregators speak them.

use bytes::Bytes;
use marquetry_failure::FailureClass;
use marquetry_job::{AggregateMessage, ResultMessage, StageSeconds, TaskMessage, message};
use marquetry_transport::{TaskQueue, Topic};

pub(crate) use marquetry_job::{Event, RunId, TaskId};

/// What a worker is asked.
pub(crate) fn task(payload: &[u8]) -> Option<TaskMessage> {
    message::decode(payload).ok()
}

/// What an aggregator is asked.
pub(crate) fn aggregate(payload: &[u8]) -> Option<AggregateMessage> {
    message::decode(payload).ok()
}

/// That a tile is stored.
pub(crate) fn tile_done(task: TaskId, tile_bytes: u64) -> Event {
    Event::Tile { task, tile_bytes, forwards: 1, seconds: StageSeconds::default() }
}

/// That a task failed, and who is to blame.
pub(crate) fn task_failed(task: TaskId, attempt: u32, class: FailureClass, reason: &str) -> Event {
    Event::TaskFailed { task, attempt, reason: reason.to_owned(), class }
}

/// That an image's outputs are stored.
pub(crate) fn image_done(image: u32, partial: bool) -> Event {
    Event::Image { image, partial, seconds: 0.1 }
}

/// That an image could not be put together, because a tile is damaged or gone.
pub(crate) fn image_damaged(image: u32, attempt: u32, tile: TaskId) -> Event {
    let reason = format!("the tile of {tile} is not in the store");
    Event::ImageFailed { image, attempt, reason, damaged: vec![tile], class: FailureClass::Passing }
}

/// Tells the coordinator of `run` what happened.
pub(crate) async fn announce(queue: &dyn TaskQueue, run: &RunId, from: &str, event: Event) {
    let said = ResultMessage { run: run.clone(), from: from.to_owned(), event };
    // A queue that is closed has nobody left who would hear it.
    let _ = queue.publish(Topic::Results, from, Bytes::from(message::encode(&said))).await;
}
