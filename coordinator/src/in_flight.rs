//! Tasks and images that are in flight: sent, and neither done nor given up.

use crate::least_loaded::LeastLoadedPartitions;
use crate::worker_health::{SickWorker, WorkerHealth};
use marquetry_failure::FailureClass;
use marquetry_job::{Action, TaskPlace};
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
    Task(TaskPlace),
    Image(u32),
}

/// A try that has failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FailedTry<'a> {
    pub(crate) key: InFlightKey,
    pub(crate) attempt: u32,
    pub(crate) from: &'a str,
    pub(crate) class: FailureClass,
    pub(crate) reason: &'a str,
    /// Whether it is the try that counts now; an old one must not touch what is out.
    pub(crate) counts: bool,
}

const fn attempt(action: &Action) -> Option<u32> {
    match action {
        Action::Compute { attempt, .. } | Action::Aggregate { attempt, .. } => Some(*attempt),
        Action::GiveUp(_) => None,
    }
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
    /// Where each try was sent to: all of these hold it until it is back.
    tries: Vec<Try>,
    /// How often it was sent again for being late.
    again: u32,
    failed: FailedBefore,
}

#[derive(Debug, Clone, Copy)]
struct Try {
    attempt: u32,
    partition: u32,
}

/// Where something has failed: its next try goes elsewhere.
#[derive(Debug, Default)]
struct FailedBefore {
    partitions: Vec<u32>,
    workers: Vec<String>,
}

/// The partitions of one topic, and who was heard of to read each.
#[derive(Debug)]
struct Consumers {
    partitions: LeastLoadedPartitions,
    workers: Vec<Option<String>>,
}

impl Consumers {
    fn new(partitions: u32) -> Self {
        let workers = vec![None; partitions.max(1) as usize];
        Self { partitions: LeastLoadedPartitions::new(partitions), workers }
    }

    /// Something that was sent to `partition` was answered by `from`.
    fn heard(&mut self, partition: u32, from: &str) {
        if let Some(worker) = self.workers.get_mut(partition as usize)
            && worker.as_deref() != Some(from)
        {
            *worker = Some(from.to_owned());
        }
    }
}

/// The partitions of the topics that things are sent to.
#[derive(Debug)]
struct Topics {
    tasks: Consumers,
    images: Consumers,
}

impl Topics {
    const fn of(&mut self, key: InFlightKey) -> &mut Consumers {
        match key {
            InFlightKey::Task(_) => &mut self.tasks,
            InFlightKey::Image(_) => &mut self.images,
        }
    }
}

/// Everything that is in flight, and how long things take to come back.
#[derive(Debug)]
pub(crate) struct InFlight {
    out: HashMap<InFlightKey, Sent>,
    /// What has failed and is not sent again yet.
    failed: HashMap<InFlightKey, FailedBefore>,
    topics: Topics,
    health: WorkerHealth,
    tasks: usize,
    round_trips: VecDeque<Duration>,
    /// Nothing is late before this.
    overdue_after: Duration,
}

impl InFlight {
    /// Nothing is out. `partitions`: of the topic of tasks, and of that of images.
    pub(crate) fn new(overdue_after: Duration, partitions: [u32; 2]) -> Self {
        let [tasks, images] = partitions.map(Consumers::new);
        Self {
            out: HashMap::new(),
            failed: HashMap::new(),
            topics: Topics { tasks, images },
            health: WorkerHealth::default(),
            tasks: 0,
            round_trips: VecDeque::new(),
            overdue_after,
        }
    }

    /// Blocks that are out.
    pub(crate) const fn tasks(&self) -> usize {
        self.tasks
    }

    /// Where the last try of `key` is out.
    #[cfg(test)]
    pub(crate) fn partition(&self, key: InFlightKey) -> Option<u32> {
        Some(self.out.get(&key)?.tries.last()?.partition)
    }

    /// Workers that only fail what they are sent.
    pub(crate) fn sick_workers(&self) -> Vec<SickWorker> {
        self.health.sick()
    }

    /// Notes that `action` is sent at `now`, and says to which partition.
    ///
    /// Sick workers get nothing while others are there. Another try goes elsewhere than those before it, where there is
    /// an elsewhere: not to a worker that failed it, and not to the partition that was last.
    pub(crate) fn on_sent(&mut self, action: Action, now: Instant) -> Option<u32> {
        let (key, attempt) = InFlightKey::of(&action).zip(attempt(&action))?;
        let (mut tries, again, failed) = match self.out.remove(&key) {
            Some(Sent { tries, again, failed, .. }) => (tries, again, failed),
            None => (Vec::new(), 0, self.failed.remove(&key).unwrap_or_default()),
        };
        self.tasks += usize::from(tries.is_empty() && matches!(key, InFlightKey::Task(_)));
        let last = tries.last().map(|t| t.partition).or_else(|| failed.partitions.last().copied());
        let health = &self.health;
        let Consumers { partitions, workers } = self.topics.of(key);
        let rank = |partition: u32| {
            let worker = workers.get(partition as usize).and_then(Option::as_deref);
            if worker.is_some_and(|worker| health.is_sick(worker, now)) {
                return 3;
            }
            let met = worker.is_some_and(|worker| failed.workers.iter().any(|met| met == worker));
            if Some(partition) == last { 2 } else { u8::from(met || failed.partitions.contains(&partition)) }
        };
        let partition = partitions.choose(rank);
        if let Some(Some(worker)) = workers.get(partition as usize) {
            self.health.on_sent(worker, now);
        }
        tries.push(Try { attempt, partition });
        self.out.insert(key, Sent { action, at: now, tries, again, failed });
        Some(partition)
    }

    /// Notes that `from` has done something.
    pub(crate) fn on_done(&mut self, key: InFlightKey, from: &str, now: Instant) {
        self.health.on_done(from);
        self.failed.remove(&key);
        let Some(sent) = self.remove(key) else { return };
        // Of several tries nobody knows which one this was.
        if let [Try { partition, .. }] = sent.tries[..] {
            self.topics.of(key).heard(partition, from);
        }
        if self.round_trips.len() == REMEMBERED {
            self.round_trips.pop_front();
        }
        self.round_trips.push_back(now.duration_since(sent.at));
    }

    /// Notes that `from` has failed at something, whether or not that try still counts.
    pub(crate) fn on_failed(&mut self, failure: &FailedTry<'_>, now: Instant) {
        let FailedTry { key, attempt, from, class, reason, counts } = *failure;
        self.health.on_failed(from, class, reason, now);
        if let Some(sent) = self.out.get(&key)
            && let Some(Try { partition, .. }) = sent.tries.iter().find(|t| t.attempt == attempt).copied()
        {
            self.topics.of(key).heard(partition, from);
        }
        if !counts {
            return;
        }
        let Some(mut sent) = self.remove(key) else { return };
        sent.failed.partitions.extend(sent.tries.iter().map(|t| t.partition));
        if !sent.failed.workers.iter().any(|worker| worker == from) {
            sent.failed.workers.push(from.to_owned());
        }
        self.failed.insert(key, sent.failed);
    }

    /// Notes that something is given up.
    pub(crate) fn on_given_up(&mut self, key: InFlightKey) {
        self.failed.remove(&key);
        self.remove(key);
    }

    fn remove(&mut self, key: InFlightKey) -> Option<Sent> {
        let sent = self.out.remove(&key)?;
        self.tasks -= usize::from(matches!(key, InFlightKey::Task(_)));
        sent.tries.iter().for_each(|t| self.topics.of(key).partitions.release(t.partition));
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
#[path = "in_flight_tests.rs"]
mod tests;
