//! What a subscription has received and not finished.

use super::tracker::Tracker;
use crate::{Delivery, QueueError};
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Messages received and not handed out at which partitions pause, and at which they resume. Pausing throws away what
/// was fetched: it must be rare. What one worker holds, another cannot do: it must be few.
const PAUSE_AT: usize = 32;
const RESUME_AT: usize = 8;

/// Shared by the task that polls and the subscription's user.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    state: Mutex<State>,
    arrived: Notify,
    /// Notified when something was handed out or partitions came.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(Place, Bytes)>,
    /// Handed out and not acknowledged, by token.
    open: HashMap<u64, Place>,
    next_token: u64,
    trackers: HashMap<i32, Tracker>,
    /// Counts how often each partition was lost: a message from before is not ours any more.
    eras: HashMap<i32, u64>,
    paused: bool,
    broken: Option<QueueError>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    partition: i32,
    offset: i64,
    era: u64,
}

/// What to do about the flow of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Pause,
    Resume,
}

impl Backlog {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock, so a poisoned one still holds a sound state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what came from partitions that others have now.
    pub(super) fn lose(&self, partitions: &[i32]) {
        let mut state = self.state();
        state.waiting.retain(|(place, _)| !partitions.contains(&place.partition));
        for partition in partitions {
            state.trackers.remove(partition);
            *state.eras.entry(*partition).or_default() += 1;
        }
    }

    /// Partitions came. They flow, whatever the others do.
    pub(super) fn gain(&self) {
        self.state().paused = false;
        self.changed.notify_one();
    }

    /// Takes a message in, unless it is known.
    pub(super) fn receive(&self, partition: i32, offset: i64, payload: Bytes) {
        let mut state = self.state();
        if state.trackers.entry(partition).or_default().receive(offset) {
            let era = state.eras.get(&partition).copied().unwrap_or(0);
            state.waiting.push_back((Place { partition, offset, era }, payload));
            drop(state);
            self.arrived.notify_one();
        }
    }

    /// No message will come any more, for this reason.
    pub(super) fn break_off(&self, error: QueueError) {
        self.state().broken = Some(error);
        self.arrived.notify_one();
    }

    /// What must change in the flow of messages; it is taken to be done.
    pub(super) fn turn(&self) -> Option<Flow> {
        let mut state = self.state();
        let flow = match state.paused {
            false if state.waiting.len() >= PAUSE_AT => Flow::Pause,
            true if state.waiting.len() <= RESUME_AT => Flow::Resume,
            _ => return None,
        };
        state.paused = flow == Flow::Pause;
        Some(flow)
    }

    /// The next message, when there is one.
    pub(super) async fn next(&self) -> Result<Delivery, QueueError> {
        loop {
            {
                let mut state = self.state();
                if let Some((place, payload)) = state.waiting.pop_front() {
                    let token = state.next_token;
                    state.next_token += 1;
                    state.open.insert(token, place);
                    drop(state);
                    self.changed.notify_one();
                    return Ok(Delivery { payload, token });
                }
                if let Some(error) = &state.broken {
                    return Err(error.clone());
                }
            }
            self.arrived.notified().await;
        }
    }

    /// Finishes a message; the partition and the end of its finished prefix, when that moved.
    pub(super) fn finish(&self, token: u64) -> Option<(i32, i64)> {
        let mut state = self.state();
        let place = state.open.remove(&token)?;
        let is_ours = state.eras.get(&place.partition).copied().unwrap_or(0) == place.era;
        let tracker = state.trackers.get_mut(&place.partition).filter(|_| is_ours);
        tracker.and_then(|t| t.finish(place.offset)).map(|prefix| (place.partition, prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn flow_stops_when_much_is_in_hand_and_goes_on_when_little_is() {
        let backlog = Backlog::default();
        for offset in 0..PAUSE_AT as i64 {
            assert_eq!(backlog.turn(), None);
            backlog.receive(0, offset, Bytes::new());
        }
        assert_eq!(backlog.turn(), Some(Flow::Pause));
        assert_eq!(backlog.turn(), None, "once is enough");
        let mut turned = 0;
        for n in 0..PAUSE_AT {
            // Nothing is finished yet of what was handed out: only what waits counts.
            let delivery = backlog.next().await.unwrap();
            assert_eq!(backlog.turn().is_some(), n + 1 == PAUSE_AT - RESUME_AT);
            turned += u32::from(backlog.finish(delivery.token).is_some());
        }
        assert_eq!(turned as usize, PAUSE_AT);
    }

    #[tokio::test]
    async fn what_came_from_a_lost_partition_is_not_handed_out_and_not_committed() {
        let backlog = Backlog::default();
        backlog.receive(0, 10, Bytes::from_static(b"a"));
        let before = backlog.next().await.unwrap();
        backlog.receive(0, 11, Bytes::from_static(b"b"));
        backlog.receive(1, 5, Bytes::from_static(b"c"));
        backlog.lose(&[0]);
        assert_eq!(backlog.next().await.unwrap().payload, "c");
        assert_eq!(backlog.finish(before.token), None);
        // It may come back, from where the last owner left it.
        backlog.receive(0, 10, Bytes::from_static(b"a"));
        let again = backlog.next().await.unwrap();
        assert_eq!((&again.payload[..], backlog.finish(again.token)), (&b"a"[..], Some((0, 10))));
    }
}
