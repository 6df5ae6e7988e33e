//! What a subscription has received and not finished.

use super::tracker::Tracker;
use crate::{Delivery, QueueError};
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Messages received and not handed out. More wait in the client library, partition by partition: this only takes what
/// is fetched from there in turns.
const ROOM: usize = 16;

/// Shared by the tasks that poll and the subscription's user.
#[derive(Debug)]
pub(super) struct Backlog {
    state: Mutex<State>,
    room: Arc<Semaphore>,
    arrived: Notify,
    /// Notified when partitions came or went.
    pub(super) partitions_changed: Notify,
}

/// The right to put one message into the backlog.
pub(super) type Room = OwnedSemaphorePermit;

/// A partition that came or went. Its era tells this time of having it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartitionChange {
    Assigned { partition: i32, era: u64 },
    Revoked { partition: i32 },
}

#[derive(Debug, Default)]
struct State {
    /// Those that came before their partition had a reader have no room of their own.
    waiting: VecDeque<(Position, Bytes, Option<Room>)>,
    changes: Vec<PartitionChange>,
    /// Handed out and not acknowledged, by token.
    open: HashMap<u64, Position>,
    next_token: u64,
    trackers: HashMap<i32, Tracker>,
    /// Counts how often each partition was lost: a message from before is not ours any more.
    eras: HashMap<i32, u64>,
    broken: Option<QueueError>,
}

#[derive(Debug, Clone, Copy)]
struct Position {
    partition: i32,
    offset: i64,
    era: u64,
}

impl Backlog {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            room: Arc::new(Semaphore::new(ROOM)),
            arrived: Notify::new(),
            partitions_changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock, so a poisoned one still holds a sound state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what came from partitions that others have now.
    pub(super) fn revoke(&self, partitions: &[i32]) {
        let mut state = self.state();
        state.waiting.retain(|(position, ..)| !partitions.contains(&position.partition));
        for &partition in partitions {
            state.trackers.remove(&partition);
            *state.eras.entry(partition).or_default() += 1;
            state.changes.push(PartitionChange::Revoked { partition });
        }
        self.partitions_changed.notify_one();
    }

    /// Partitions came.
    pub(super) fn assign(&self, partitions: &[i32]) {
        let mut state = self.state();
        for &partition in partitions {
            let era = state.era(partition);
            state.changes.push(PartitionChange::Assigned { partition, era });
        }
        self.partitions_changed.notify_one();
    }

    /// The partitions that came and went since this was last asked, in order.
    pub(super) fn changes(&self) -> Vec<PartitionChange> {
        std::mem::take(&mut self.state().changes)
    }

    /// Waits for room for one message. All who wait take turns.
    pub(super) async fn room(&self) -> Option<Room> {
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    /// Takes in a message of a partition that has been ours since `era`, unless it is known, or not ours any more.
    pub(super) fn receive(
        &self,
        (partition, era): (i32, u64),
        offset: i64,
        payload: Bytes,
        room: Option<Room>,
    ) {
        let mut state = self.state();
        if era == state.era(partition) && state.trackers.entry(partition).or_default().receive(offset) {
            state.waiting.push_back((Position { partition, offset, era }, payload, room));
            drop(state);
            self.arrived.notify_one();
        }
    }

    /// Which time of having a partition this is.
    pub(super) fn era(&self, partition: i32) -> u64 {
        self.state().era(partition)
    }

    /// No message will come any more, for this reason.
    pub(super) fn fail(&self, error: QueueError) {
        self.state().broken = Some(error);
        self.arrived.notify_one();
    }

    /// The next message, when there is one.
    pub(super) async fn next(&self) -> Result<Delivery, QueueError> {
        loop {
            {
                let mut state = self.state();
                if let Some((position, payload, _room)) = state.waiting.pop_front() {
                    let token = state.next_token;
                    state.next_token += 1;
                    state.open.insert(token, position);
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
        let position = state.open.remove(&token)?;
        let is_ours = state.era(position.partition) == position.era;
        let tracker = state.trackers.get_mut(&position.partition).filter(|_| is_ours);
        tracker.and_then(|t| t.finish(position.offset)).map(|prefix| (position.partition, prefix))
    }
}

impl State {
    fn era(&self, partition: i32) -> u64 {
        self.eras.get(&partition).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[tokio::test]
    async fn there_is_room_for_a_few_messages_and_more_when_they_are_taken_or_lost() {
        let backlog = Backlog::new();
        for offset in 0..ROOM as i64 {
            let room = backlog.room().await;
            backlog.receive(((offset % 2) as i32, 0), offset, Bytes::new(), room);
        }
        assert_eq!(backlog.room.available_permits(), 0);
        let first = backlog.next().await.unwrap();
        assert_eq!(backlog.room.available_permits(), 1, "what is in hand does not wait");
        assert_eq!(backlog.finish(first.token), Some((0, 1)), "offset 2 is the next one");
        assert_eq!(backlog.room.available_permits(), 1);
        backlog.revoke(&[1]);
        assert_eq!(backlog.room.available_permits(), 1 + ROOM / 2);
    }

    #[tokio::test]
    async fn what_came_from_a_lost_partition_is_not_handed_out_and_not_committed() {
        let backlog = Backlog::new();
        backlog.receive((0, 0), 10, message("a"), None);
        let before = backlog.next().await.unwrap();
        backlog.receive((0, 0), 11, message("b"), None);
        backlog.receive((1, 0), 5, message("c"), None);
        backlog.revoke(&[0]);
        // Its reader does not know yet.
        backlog.receive((0, 0), 12, message("d"), None);
        assert_eq!(backlog.next().await.unwrap().payload, "c");
        assert_eq!(backlog.finish(before.token), None);
        // It may come back, from where the last owner left it.
        backlog.assign(&[0]);
        let changes =
            [PartitionChange::Revoked { partition: 0 }, PartitionChange::Assigned { partition: 0, era: 1 }];
        assert_eq!(backlog.changes(), changes);
        backlog.receive((0, 1), 10, message("a"), None);
        let again = backlog.next().await.unwrap();
        assert_eq!((&again.payload[..], backlog.finish(again.token)), (&b"a"[..], Some((0, 10))));
    }
}
