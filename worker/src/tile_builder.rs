//! The frames of one tile as they are made, and the end of the task that makes it.

use crate::Failure;
use marquetry_job::StageSeconds;
use marquetry_job::tile::Frame;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// What came of a task: the frames of its tile, and where the time went.
pub(crate) type Outcome = Result<(Vec<Frame>, StageSeconds), Failure>;

/// Collects the frames of a tile, which come in any order from any thread, and says once what came of the task.
#[derive(Debug)]
pub(crate) struct TileBuilder(Mutex<State>);

#[derive(Debug)]
struct State {
    frames: Vec<Option<Frame>>,
    seconds: StageSeconds,
    /// The one that happened to the earliest item, whichever was heard of first.
    failure: Option<(u64, Failure)>,
    done: Option<oneshot::Sender<Outcome>>,
}

impl TileBuilder {
    /// For a tile of `frames` frames; `done` hears what came of it.
    pub(crate) fn new(frames: usize, done: oneshot::Sender<Outcome>) -> Self {
        let seconds = StageSeconds::default();
        Self(Mutex::new(State { frames: vec![None; frames], seconds, failure: None, done: Some(done) }))
    }

    /// Keeps frame number `index`. The last one ends the task, unless it has failed.
    pub(crate) fn insert(&self, index: usize, frame: Frame) {
        let mut state = self.state();
        state.frames[index] = Some(frame);
        if state.failure.is_none() && state.frames.iter().all(Option::is_some) {
            let frames = std::mem::take(&mut state.frames).into_iter().flatten().collect();
            let seconds = state.seconds;
            state.say(Ok((frames, seconds)));
        }
    }

    /// Counts time that was spent on the task.
    pub(crate) fn spend(&self, seconds: StageSeconds) {
        self.state().seconds += seconds;
    }

    /// Notes that item `seq` failed. The task ends with it only when [`end_if_failed`](Self::end_if_failed) is called:
    /// until then others may be at work on it.
    pub(crate) fn fail(&self, seq: u64, failure: Failure) {
        let mut state = self.state();
        if state.failure.as_ref().is_none_or(|(earliest, _)| seq < *earliest) {
            state.failure = Some((seq, failure));
        }
    }

    /// Ends a task that failed; nothing happens to one that did not, or has ended.
    pub(crate) fn end_if_failed(&self) {
        let mut state = self.state();
        if let Some((_, failure)) = state.failure.clone() {
            state.say(Err(failure));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn say(&mut self, outcome: Outcome) {
        if let Some(done) = self.done.take() {
            // Nobody waits any more if the worker is being stopped.
            let _ = done.send(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_job::TileDtype;
    use marquetry_job::tile::encode_rows;

    fn frame(value: f32) -> Frame {
        encode_rows(&[value], TileDtype::F32).unwrap()
    }

    #[test]
    fn frames_come_in_any_order_and_the_last_one_ends_the_task() {
        let (done, mut outcome) = oneshot::channel();
        let tile = TileBuilder::new(3, done);
        for (index, value) in [(2, 2.0), (0, 0.0)] {
            tile.insert(index, frame(value));
            tile.end_if_failed();
            assert!(outcome.try_recv().is_err(), "not all frames are there");
        }
        tile.spend(StageSeconds { infer: 1.5, ..StageSeconds::default() });
        tile.spend(StageSeconds { infer: 0.5, ..StageSeconds::default() });
        tile.insert(1, frame(1.0));
        let (frames, seconds) = outcome.try_recv().unwrap().unwrap();
        assert_eq!(frames, [0.0, 1.0, 2.0].map(frame));
        assert_eq!(seconds.infer, 2.0);
    }

    #[test]
    fn a_task_that_failed_says_the_failure_of_its_earliest_item_however_many_frames_come() {
        let (done, mut outcome) = oneshot::channel();
        let tile = TileBuilder::new(1, done);
        for (seq, reason) in [(4, "later"), (2, "earliest"), (9, "last")] {
            tile.fail(seq, Failure::reject(reason));
        }
        tile.insert(0, frame(0.0));
        assert!(outcome.try_recv().is_err(), "others are still at work");
        tile.end_if_failed();
        assert_eq!(outcome.try_recv().unwrap().unwrap_err().reason, "earliest");
    }
}
