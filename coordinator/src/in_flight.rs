//! Tasks and images that are in flight: sent, and neither done nor given up.

use crate::breaker::AllFail;
use crate::least_loaded::LeastLoadedPartitions;
use crate::starts::{Start, Starts, Verdict};
use crate::worker_health::{SickWorker, WorkerHealth};
use marquetry_failure::FailureClass;
use marquetry_job::{Action, TaskPlace};
use marquetry_transport::lag::Lag;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Round trips that are remembered.
const REMEMBERED: usize = 256;
/// Something is out too long after this many times the round trip that one in twenty is slower than.
const FACTOR: u32 = 4;
/// What was begun is taken for lost after so many times the patience for what was not.
const BEGUN_FACTOR: u32 = 10;
/// Most things that are sent again at once.
const AT_ONCE: usize = 32;
/// Whoever was not heard of for so long is taken to be gone.
const GONE_AFTER: Duration = Duration::from_mins(5);

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
    history: History,
}

#[derive(Debug, Clone, Copy)]
struct Try {
    attempt: u32,
    partition: u32,
}

/// What is known of something from its tries so far.
#[derive(Debug, Default)]
struct History {
    /// Where it has failed: its next try goes elsewhere.
    partitions: Vec<u32>,
    workers: Vec<String>,
    starts: Starts,
}

/// The partitions of one topic, and who was heard of to read each.
#[derive(Debug)]
struct Consumers {
    partitions: LeastLoadedPartitions,
    workers: Vec<Option<String>>,
    /// When each was heard of last.
    heard_at: BTreeMap<String, Instant>,
}

impl Consumers {
    fn new(partitions: u32) -> Self {
        let workers = vec![None; partitions.max(1) as usize];
        let partitions = LeastLoadedPartitions::new(partitions);
        Self { partitions, workers, heard_at: BTreeMap::new() }
    }

    /// Something that was sent to `partition` was answered by `from`.
    fn heard(&mut self, partition: u32, from: &str) {
        if let Some(worker) = self.workers.get_mut(partition as usize)
            && worker.as_deref() != Some(from)
        {
            *worker = Some(from.to_owned());
        }
    }

    fn note(&mut self, from: &str, now: Instant) {
        match self.heard_at.get_mut(from) {
            Some(at) => *at = now,
            None => drop(self.heard_at.insert(from.to_owned(), now)),
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
    /// Of what was sent before and is not out now.
    histories: HashMap<InFlightKey, History>,
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
            histories: HashMap::new(),
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

    /// Images that are out.
    pub(crate) fn images(&self) -> usize {
        self.out.len() - self.tasks
    }

    /// Whether somebody is known to be at work.
    pub(crate) fn is_any_begun(&self) -> bool {
        self.out.values().any(|sent| sent.history.starts.is_begun())
    }

    /// Whether `key` is to be worked on alone.
    pub(crate) fn is_alone(&self, key: InFlightKey) -> bool {
        let history = self.out.get(&key).map(|sent| &sent.history).or_else(|| self.histories.get(&key));
        history.is_some_and(|history| history.starts.is_alone())
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
        let (mut tries, again, history) = match self.out.remove(&key) {
            Some(Sent { tries, again, history, .. }) => (tries, again, history),
            None => (Vec::new(), 0, self.histories.remove(&key).unwrap_or_default()),
        };
        self.tasks += usize::from(tries.is_empty() && matches!(key, InFlightKey::Task(_)));
        let last = tries.last().map(|t| t.partition).or_else(|| history.partitions.last().copied());
        let health = &self.health;
        let Consumers { partitions, workers, .. } = self.topics.of(key);
        let rank = |partition: u32| {
            let worker = workers.get(partition as usize).and_then(Option::as_deref);
            if worker.is_some_and(|worker| health.is_sick(worker, now)) {
                return 3;
            }
            let met = worker.is_some_and(|worker| history.workers.iter().any(|met| met == worker));
            if Some(partition) == last { 2 } else { u8::from(met || history.partitions.contains(&partition)) }
        };
        let partition = partitions.choose(rank);
        if let Some(Some(worker)) = workers.get(partition as usize) {
            self.health.on_sent(worker, now);
        }
        tries.push(Try { attempt, partition });
        self.out.insert(key, Sent { action, at: now, tries, again, history });
        Some(partition)
    }

    /// Notes that somebody begins with something; what its starts say of it.
    pub(crate) fn on_begun(
        &mut self,
        key: InFlightKey,
        start: Start<'_>,
        deaths_max: u32,
        now: Instant,
    ) -> Verdict {
        self.topics.of(key).note(start.from, now);
        let Some(sent) = self.out.get_mut(&key) else { return Verdict::Fine };
        let Some(Try { partition, .. }) = sent.tries.iter().find(|t| t.attempt == start.attempt).copied()
        else {
            return Verdict::Fine;
        };
        let verdict = sent.history.starts.note(start, deaths_max);
        self.topics.of(key).heard(partition, start.from);
        verdict
    }

    /// Notes that a task is given back by whoever had begun with it.
    pub(crate) fn on_left(&mut self, key: InFlightKey, attempt: u32, process: u64) {
        if let Some(sent) = self.out.get_mut(&key) {
            sent.history.starts.leave(attempt, process);
        }
    }

    /// The starts of what is out.
    pub(crate) fn starts(&self, key: InFlightKey) -> Option<&Starts> {
        self.out.get(&key).map(|sent| &sent.history.starts)
    }

    /// Takes back all that is out, since none of its messages counts any more; it is to be sent anew. With `suspects`, all
    /// that somebody began and nobody ended is to be worked on alone from now on.
    pub(crate) fn recall(&mut self, suspects: bool) -> Vec<Action> {
        let mut keys: Vec<InFlightKey> = self.out.keys().copied().collect();
        keys.sort_unstable();
        let mut actions = Vec::new();
        for key in keys {
            let Some(Sent { action, mut history, .. }) = self.remove(key) else { continue };
            if suspects && history.starts.deaths() > 0 {
                history.starts.isolate();
            } else {
                history.starts.renew();
            }
            self.histories.insert(key, history);
            actions.push(action);
        }
        actions
    }

    /// Whether a service refuses everyone who is there: then no other worker is better.
    pub(crate) fn refused_to_all(&mut self, now: Instant) -> Option<AllFail> {
        let Topics { tasks, images } = &mut self.topics;
        [tasks, images].into_iter().find_map(|consumers| {
            consumers.heard_at.retain(|_, at| now.duration_since(*at) < GONE_AFTER);
            self.health.refused_to_all(consumers.heard_at.keys().map(String::as_str), now)
        })
    }

    /// Notes that `from` has done something.
    pub(crate) fn on_done(&mut self, key: InFlightKey, from: &str, now: Instant) {
        self.health.on_done(from);
        self.topics.of(key).note(from, now);
        self.histories.remove(&key);
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
        self.topics.of(key).note(from, now);
        if let Some(sent) = self.out.get(&key)
            && let Some(Try { partition, .. }) = sent.tries.iter().find(|t| t.attempt == attempt).copied()
        {
            self.topics.of(key).heard(partition, from);
        }
        if !counts {
            // Another try is out; whoever tells of the end of this one has survived it.
            if let Some(sent) = self.out.get_mut(&key) {
                sent.history.starts.end(attempt);
            }
            return;
        }
        let Some(mut sent) = self.remove(key) else { return };
        sent.history.partitions.extend(sent.tries.iter().map(|t| t.partition));
        if !sent.history.workers.iter().any(|worker| worker == from) {
            sent.history.workers.push(from.to_owned());
        }
        // Whoever tells of its failure has survived it.
        sent.history.starts = Starts::default();
        self.histories.insert(key, sent.history);
    }

    /// Notes that something is given up.
    pub(crate) fn on_given_up(&mut self, key: InFlightKey) {
        self.histories.remove(&key);
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
    /// The measure is what is usual in this job, waiting in the queue and all. While nothing has come back, only what was
    /// lost on its way is late: less waits in the queue than is out.
    pub(crate) fn overdue(&mut self, now: Instant, waiting: Option<Lag>) -> Vec<Action> {
        let usual = self.usual();
        let limit = usual.map_or(Duration::ZERO, |usual| usual * FACTOR).max(self.overdue_after);
        let tasks = self.tasks as u64;
        let is_lost = |key: &InFlightKey, sent: &Sent| {
            // What was sent after the look into the queue says nothing.
            let seen = waiting.is_none_or(|lag| lag.messages < tasks && lag.at > sent.at);
            matches!(key, InFlightKey::Task(_)) && seen
        };
        let late = |(key, sent): &(&InFlightKey, &Sent)| {
            let mut patience = limit * 2_u32.pow(sent.again.min(16));
            if usual.is_none() && sent.history.starts.is_begun() {
                // Who has begun may be at it still, with a queue that has forgotten.
                patience *= BEGUN_FACTOR;
            }
            now.saturating_duration_since(sent.at) > patience && (usual.is_some() || is_lost(key, sent))
        };
        let mut found: Vec<(Instant, InFlightKey)> =
            self.out.iter().filter(late).map(|(key, sent)| (sent.at, *key)).collect();
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
