//! Tasks and images that are in flight: sent, and neither done nor given up.

use crate::least_loaded::LeastLoadedPartitions;
use marquetry_job::{Action, TaskId};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Round trips that are remembered.
const REMEMBERED: usize = 256;
/// Something is out too long after this many times the round trip that one in twenty is slower than.
const FACTOR: u32 = 4;
/// Most things that are sent again at once.
const AT_ONCE: usize = 32;

/// A block or an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum InFlightKey {
    Task(TaskId),
    Image(u32),
}

impl InFlightKey {
    pub(crate) fn of(action: &Action) -> Option<Self> {
        match action {
            Action::Compute { task, .. } => Some(Self::Task(*task)),
            Action::Aggregate { image, .. } => Some(Self::Image(*image)),
            Action::GiveUp(_) => None,
        }
    }
}

#[derive(Debug)]
struct Sent {
    action: Action,
    at: Instant,
    /// Where it was sent to: all of these hold it until it is back.
    partitions: Vec<u32>,
    /// How often it was sent again for being late.
    again: u32,
}

/// The partitions of the topics that things are sent to.
#[derive(Debug)]
struct Topics {
    tasks: LeastLoadedPartitions,
    images: LeastLoadedPartitions,
}

impl Topics {
    const fn of(&mut self, key: InFlightKey) -> &mut LeastLoadedPartitions {
        match key {
            InFlightKey::Task(_) => &mut self.tasks,
            InFlightKey::Image(_) => &mut self.images,
        }
    }
}

/// Everything that is out, and how long things take to come back.
#[derive(Debug)]
pub(crate) struct InFlight {
    out: HashMap<InFlightKey, Sent>,
    topics: Topics,
    tasks: usize,
    round_trips: VecDeque<Duration>,
    /// Nothing is late before this.
    overdue_after: Duration,
}

impl InFlight {
    /// Nothing is out. `partitions`: of the topic of tasks, and of that of images.
    pub(crate) fn new(overdue_after: Duration, partitions: [u32; 2]) -> Self {
        let [tasks, images] = partitions.map(LeastLoadedPartitions::new);
        let topics = Topics { tasks, images };
        Self { out: HashMap::new(), topics, tasks: 0, round_trips: VecDeque::new(), overdue_after }
    }

    /// Blocks that are out.
    pub(crate) const fn tasks(&self) -> usize {
        self.tasks
    }

    /// Notes that `action` is sent, and says to which partition. Another try goes to another one, and so to another worker
    /// where there are several.
    pub(crate) fn on_sent(&mut self, action: Action, now: Instant) -> Option<u32> {
        let key = InFlightKey::of(&action)?;
        let (mut partitions, again) =
            self.out.remove(&key).map_or_else(Default::default, |sent| (sent.partitions, sent.again));
        self.tasks += usize::from(partitions.is_empty() && matches!(key, InFlightKey::Task(_)));
        let partition = self.topics.of(key).choose(partitions.last().copied());
        partitions.push(partition);
        self.out.insert(key, Sent { action, at: now, partitions, again });
        Some(partition)
    }

    /// Notes that something is done.
    pub(crate) fn on_done(&mut self, key: InFlightKey, now: Instant) {
        let Some(sent) = self.remove(key) else { return };
        if self.round_trips.len() == REMEMBERED {
            self.round_trips.pop_front();
        }
        self.round_trips.push_back(now.duration_since(sent.at));
    }

    /// Notes that something has failed.
    pub(crate) fn on_failed(&mut self, key: InFlightKey) {
        self.remove(key);
    }

    fn remove(&mut self, key: InFlightKey) -> Option<Sent> {
        let sent = self.out.remove(&key)?;
        self.tasks -= usize::from(matches!(key, InFlightKey::Task(_)));
        sent.partitions.iter().for_each(|partition| self.topics.of(key).release(*partition));
        Some(sent)
    }

    /// What has been out for too long, oldest first. Each time that it is sent again it may take twice as long.
    ///
    /// The measure is what is usual in this job, waiting in the queue and all: while nothing comes back, nothing is late.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<Action> {
        let Some(usual) = self.usual() else { return Vec::new() };
        let limit = (usual * FACTOR).max(self.overdue_after);
        let late = |sent: &Sent| now.duration_since(sent.at) > limit * 2_u32.pow(sent.again.min(16));
        let mut found: Vec<(Instant, InFlightKey)> =
            self.out.iter().filter(|(_, sent)| late(sent)).map(|(key, sent)| (sent.at, *key)).collect();
        found.sort_unstable();
        found.truncate(AT_ONCE);
        let mut actions = Vec::new();
        for (_, key) in found {
            if let Some(sent) = self.out.get_mut(&key) {
                sent.again += 1;
                actions.push(sent.action.clone());
            }
        }
        actions
    }

    /// The round trip that one in twenty is slower than.
    fn usual(&self) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.round_trips.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get((sorted.len() * 19 / 20).min(sorted.len().saturating_sub(1))).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(block: u32) -> Action {
        Action::Compute { task: TaskId { image: 0, group: 0, block }, attempt: 1, replace: false }
    }

    fn key(block: u32) -> InFlightKey {
        InFlightKey::Task(TaskId { image: 0, group: 0, block })
    }

    #[test]
    fn what_takes_far_longer_than_usual_is_late_and_then_twice_as_patient() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut out = InFlight::new(Duration::from_secs(5), [4, 4]);
        for block in 0..21 {
            out.on_sent(action(block), start);
        }
        assert!(out.overdue(at(1000)).is_empty(), "nothing has come back: the workers may not be there yet");
        for block in 0..20 {
            out.on_done(key(block), at(10));
        }
        assert_eq!(out.tasks(), 1);
        assert!(out.overdue(at(40)).is_empty());
        assert_eq!(out.overdue(at(41)), [action(20)]);
        // Sent again at 41 s: patient for 80 s from then on.
        out.on_sent(action(20), at(41));
        assert!(out.overdue(at(120)).is_empty());
        assert_eq!(out.overdue(at(122)), [action(20)]);
        out.on_done(key(20), at(123));
        assert!(out.overdue(at(100_000)).is_empty());
    }

    #[test]
    fn what_was_sent_twice_is_out_in_both_places_until_it_is_back() {
        let start = Instant::now();
        let mut out = InFlight::new(Duration::from_secs(5), [3, 1]);
        let sent = |out: &mut InFlight, block| out.on_sent(action(block), start).unwrap();
        let (first, second) = (sent(&mut out, 0), sent(&mut out, 0));
        let third = sent(&mut out, 1);
        let mut all = [first, second, third];
        all.sort_unstable();
        assert_eq!(
            (all, out.tasks()),
            ([0, 1, 2], 2),
            "its second try went elsewhere, the next task to the third partition"
        );
        out.on_done(key(0), start);
        let mut next = [sent(&mut out, 2), sent(&mut out, 3)];
        next.sort_unstable();
        let mut free = [first, second];
        free.sort_unstable();
        assert_eq!(next, free);
    }

    #[test]
    fn short_tasks_are_not_late_at_once() {
        let start = Instant::now();
        let mut out = InFlight::new(Duration::from_mins(1), [4, 4]);
        out.on_sent(action(0), start);
        out.on_sent(action(1), start);
        out.on_done(key(0), start + Duration::from_millis(1));
        assert!(out.overdue(start + Duration::from_secs(59)).is_empty());
        assert_eq!(out.overdue(start + Duration::from_secs(61)).len(), 1);
    }
}
