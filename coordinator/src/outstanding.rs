//! What is out: sent, and neither done nor given up.

use crate::spread::Spread;
use marquetry_job::{Step, TaskId};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Round trips that are remembered.
const REMEMBERED: usize = 256;
/// Something is out too long after this many times the round trip that one in twenty is slower than.
const FACTOR: u32 = 4;
/// Most things that are sent again at once.
const AT_ONCE: usize = 32;

/// A block or an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    Task(TaskId),
    Image(u32),
}

impl Work {
    pub(crate) fn of(step: &Step) -> Option<Self> {
        match step {
            Step::Compute { task, .. } => Some(Self::Task(*task)),
            Step::Aggregate { image, .. } => Some(Self::Image(*image)),
            Step::GiveUp(_) => None,
        }
    }
}

#[derive(Debug)]
struct Sent {
    step: Step,
    at: Instant,
    /// Where it was sent to: all of these hold it until it is back.
    partitions: Vec<u32>,
    /// How often it was sent again for being late.
    again: u32,
}

/// The partitions of the topics that things are sent to.
#[derive(Debug)]
struct Topics {
    tasks: Spread,
    images: Spread,
}

impl Topics {
    const fn of(&mut self, work: Work) -> &mut Spread {
        match work {
            Work::Task(_) => &mut self.tasks,
            Work::Image(_) => &mut self.images,
        }
    }
}

/// Everything that is out, and how long things take to come back.
#[derive(Debug)]
pub(crate) struct Outstanding {
    out: HashMap<Work, Sent>,
    topics: Topics,
    tasks: usize,
    round_trips: VecDeque<Duration>,
    /// Nothing is late before this.
    patience: Duration,
}

impl Outstanding {
    /// Nothing is out. `partitions`: of the topic of tasks, and of that of images.
    pub(crate) fn new(patience: Duration, partitions: [u32; 2]) -> Self {
        let [tasks, images] = partitions.map(Spread::new);
        let topics = Topics { tasks, images };
        Self { out: HashMap::new(), topics, tasks: 0, round_trips: VecDeque::new(), patience }
    }

    /// Blocks that are out.
    pub(crate) const fn tasks(&self) -> usize {
        self.tasks
    }

    /// Notes that `step` is sent, and says to which partition. Another try goes to another one, and so to another worker
    /// where there are several.
    pub(crate) fn sent(&mut self, step: Step, now: Instant) -> Option<u32> {
        let work = Work::of(&step)?;
        let (mut partitions, again) =
            self.out.remove(&work).map_or_else(Default::default, |sent| (sent.partitions, sent.again));
        self.tasks += usize::from(partitions.is_empty() && matches!(work, Work::Task(_)));
        let partition = self.topics.of(work).choose(partitions.last().copied());
        partitions.push(partition);
        self.out.insert(work, Sent { step, at: now, partitions, again });
        Some(partition)
    }

    /// Notes that something has come back; `well` says that it is done.
    pub(crate) fn back(&mut self, work: Work, well: bool, now: Instant) {
        let Some(sent) = self.out.remove(&work) else { return };
        self.tasks -= usize::from(matches!(work, Work::Task(_)));
        sent.partitions.into_iter().for_each(|partition| self.topics.of(work).back(partition));
        if well {
            if self.round_trips.len() == REMEMBERED {
                self.round_trips.pop_front();
            }
            self.round_trips.push_back(now.duration_since(sent.at));
        }
    }

    /// What has been out for too long, oldest first. Each time that it is sent again it may take twice as long.
    ///
    /// The measure is what is usual in this job, waiting in the queue and all: while nothing comes back, nothing is late.
    pub(crate) fn late(&mut self, now: Instant) -> Vec<Step> {
        let Some(usual) = self.usual() else { return Vec::new() };
        let limit = (usual * FACTOR).max(self.patience);
        let late = |sent: &Sent| now.duration_since(sent.at) > limit * 2_u32.pow(sent.again.min(16));
        let mut found: Vec<(Instant, Work)> =
            self.out.iter().filter(|(_, sent)| late(sent)).map(|(work, sent)| (sent.at, *work)).collect();
        found.sort_by_key(|(at, _)| *at);
        found.truncate(AT_ONCE);
        let mut steps = Vec::new();
        for (_, work) in found {
            if let Some(sent) = self.out.get_mut(&work) {
                sent.again += 1;
                steps.push(sent.step.clone());
            }
        }
        steps
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

    fn step(block: u32) -> Step {
        Step::Compute { task: TaskId { image: 0, group: 0, block }, attempt: 1, replace: false }
    }

    fn work(block: u32) -> Work {
        Work::Task(TaskId { image: 0, group: 0, block })
    }

    #[test]
    fn what_takes_far_longer_than_usual_is_late_and_then_twice_as_patient() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut out = Outstanding::new(Duration::from_secs(5), [4, 4]);
        for block in 0..21 {
            out.sent(step(block), start);
        }
        assert!(out.late(at(1000)).is_empty(), "nothing has come back: the workers may not be there yet");
        for block in 0..20 {
            out.back(work(block), true, at(10));
        }
        assert_eq!(out.tasks(), 1);
        assert!(out.late(at(40)).is_empty());
        assert_eq!(out.late(at(41)), [step(20)]);
        // Sent again at 41 s: patient for 80 s from then on.
        out.sent(step(20), at(41));
        assert!(out.late(at(120)).is_empty());
        assert_eq!(out.late(at(122)), [step(20)]);
        out.back(work(20), true, at(123));
        assert!(out.late(at(100_000)).is_empty());
    }

    #[test]
    fn what_was_sent_twice_is_out_in_both_places_until_it_is_back() {
        let start = Instant::now();
        let mut out = Outstanding::new(Duration::from_secs(5), [3, 1]);
        let sent = |out: &mut Outstanding, block| out.sent(step(block), start).unwrap();
        let (first, second) = (sent(&mut out, 0), sent(&mut out, 0));
        let third = sent(&mut out, 1);
        let mut all = [first, second, third];
        all.sort_unstable();
        assert_eq!(
            (all, out.tasks()),
            ([0, 1, 2], 2),
            "its second try went elsewhere, the next task to the third place"
        );
        out.back(work(0), true, start);
        let mut next = [sent(&mut out, 2), sent(&mut out, 3)];
        next.sort_unstable();
        let mut free = [first, second];
        free.sort_unstable();
        assert_eq!(next, free);
    }

    #[test]
    fn short_tasks_are_not_late_at_once() {
        let start = Instant::now();
        let mut out = Outstanding::new(Duration::from_mins(1), [4, 4]);
        out.sent(step(0), start);
        out.sent(step(1), start);
        out.back(work(0), true, start + Duration::from_millis(1));
        assert!(out.late(start + Duration::from_secs(59)).is_empty());
        assert_eq!(out.late(start + Duration::from_secs(61)).len(), 1);
    }
}
