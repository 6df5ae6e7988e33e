//! Which workers do their tasks, and which only fail them.

use crate::breaker::AllFail;
use marquetry_failure::{FailureClass, gist};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

/// A worker is sick after so many failures in a row that it is to blame for itself.
const SICK_AFTER: u32 = 3;
/// A sick worker is given one more task after this long, and if it is still sick, after twice as long.
const PAUSE: Duration = Duration::from_mins(1);
const PAUSE_MAX: Duration = Duration::from_mins(16);
/// A service that refuses everyone for so long refuses for good: others who may be let in had time to come.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// Kinds of failure that are remembered as told.
const TOLD_MAX: usize = 1000;

/// A worker that gets no tasks while others are there, because it fails them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SickWorker {
    /// Its name.
    pub name: String,
    /// Failures in a row.
    pub failures: u32,
    /// Why the last one failed.
    pub reason: String,
}

#[derive(Debug)]
struct Sickness {
    failures: u32,
    class: FailureClass,
    reason: String,
    /// The first of these failures.
    since: Instant,
    /// No tasks until then.
    until: Instant,
    pause: Duration,
}

/// A circuit breaker for each worker: it opens after a few failures of the worker's own in a row, lets a task through
/// once in a while, and closes when one is done.
#[derive(Debug, Default)]
pub(crate) struct WorkerHealth {
    failing: HashMap<String, Sickness>,
    /// Worker and gist of each failure that was logged.
    told: HashSet<(String, String)>,
}

impl WorkerHealth {
    /// `from` has done something.
    pub(crate) fn on_done(&mut self, from: &str) {
        if self.failing.remove(from).is_some_and(|sickness| sickness.failures >= SICK_AFTER) {
            tracing::warn!(worker = from, "a worker that was sick does its tasks again");
        }
    }

    /// `from` has failed at something. Failures of the task itself or of passing trouble say nothing of a worker.
    pub(crate) fn on_failed(&mut self, from: &str, class: FailureClass, reason: &str, now: Instant) {
        if class.counts_against_task() {
            return;
        }
        let first = self.told.len() < TOLD_MAX && self.told.insert((from.to_owned(), gist(reason)));
        if first {
            tracing::warn!(worker = from, %class, "a worker fails for reasons of its own: {reason}");
        }
        let sickness = self.failing.entry(from.to_owned()).or_insert_with(|| Sickness {
            failures: 0,
            class,
            reason: String::new(),
            since: now,
            until: now,
            pause: PAUSE,
        });
        sickness.failures += 1;
        sickness.class = class;
        reason.clone_into(&mut sickness.reason);
        if sickness.failures == SICK_AFTER {
            sickness.until = now + sickness.pause;
            tracing::warn!(
                worker = from,
                "it failed {SICK_AFTER} times in a row: it gets no tasks for a while"
            );
        }
    }

    /// `worker` is sent something: a sick one only to see whether it is well again, and then nothing for twice as long.
    pub(crate) fn on_sent(&mut self, worker: &str, now: Instant) {
        if let Some(sickness) = self.failing.get_mut(worker)
            && sickness.failures >= SICK_AFTER
        {
            sickness.pause = (sickness.pause * 2).min(PAUSE_MAX);
            sickness.until = now + sickness.pause;
        }
    }

    /// Whether `worker` is to get nothing now.
    pub(crate) fn is_sick(&self, worker: &str, now: Instant) -> bool {
        self.failing.get(worker).is_some_and(|sickness| sickness.until > now)
    }

    /// Whether all of these workers fail since a service refuses, and have done nothing else for a while.
    pub(crate) fn refused_to_all<'a>(
        &self,
        workers: impl Iterator<Item = &'a str>,
        now: Instant,
    ) -> Option<AllFail> {
        let (mut failures, mut since, mut reason) = (0, now, None);
        for worker in workers {
            let sickness = self.failing.get(worker).filter(|s| s.class == FailureClass::Config)?;
            failures += sickness.failures as usize;
            since = since.min(sickness.since);
            reason = Some(format!("{worker}: {}", sickness.reason));
        }
        let is_sure = failures >= SICK_AFTER as usize && now.duration_since(since) >= REFUSED_FOR;
        let reason = reason.filter(|_| is_sure)?;
        Some(AllFail { failures, class: FailureClass::Config, reason })
    }

    /// All workers that have failed several times in a row and done nothing since, by name.
    pub(crate) fn sick(&self) -> Vec<SickWorker> {
        let sick = self.failing.iter().filter(|(_, sickness)| sickness.failures >= SICK_AFTER);
        let mut sick: Vec<SickWorker> = sick
            .map(|(name, Sickness { failures, reason, .. })| SickWorker {
                name: name.clone(),
                failures: *failures,
                reason: reason.clone(),
            })
            .collect();
        sick.sort_by(|a, b| a.name.cmp(&b.name));
        sick
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_refuses_to_all_who_are_there_stops_a_job() {
        let start = Instant::now();
        let mut health = WorkerHealth::default();
        let all = ["a", "b"];
        for _ in 0..3 {
            health.on_failed("a", FailureClass::Config, "not allowed", start);
        }
        let later = start + REFUSED_FOR;
        assert!(health.refused_to_all(all.into_iter(), later).is_none(), "b may be let in");
        health.on_failed("b", FailureClass::Config, "not allowed", later);
        assert!(health.refused_to_all(all.into_iter(), start).is_none(), "it is too early");
        let all_fail = health.refused_to_all(all.into_iter(), later).expect("nobody is let in");
        assert_eq!((all_fail.failures, all_fail.class), (4, FailureClass::Config));
        assert!(all_fail.reason.contains("not allowed"), "{all_fail}");
        health.on_done("b");
        assert!(health.refused_to_all(all.into_iter(), later).is_none());
        assert!(health.refused_to_all([].into_iter(), later).is_none());
    }

    #[test]
    fn three_in_a_row_make_a_worker_sick_until_it_is_tried_again() {
        let start = Instant::now();
        let mut health = WorkerHealth::default();
        for _ in 0..2 {
            health.on_failed("w", FailureClass::Worker, "no device", start);
        }
        health.on_failed("w", FailureClass::Input, "cut off", start);
        assert!(!health.is_sick("w", start) && health.sick().is_empty());
        health.on_failed("w", FailureClass::Worker, "no device", start);
        assert!(health.is_sick("w", start) && !health.is_sick("other", start));
        assert_eq!(health.sick()[0].failures, 3);
        let later = start + PAUSE;
        assert!(!health.is_sick("w", later), "it gets another chance");
        health.on_sent("w", later);
        assert!(health.is_sick("w", later + PAUSE), "one task, and twice the pause");
        health.on_failed("w", FailureClass::Worker, "no device", later);
        assert_eq!(health.sick()[0].failures, 4);
        health.on_done("w");
        assert!(!health.is_sick("w", later) && health.sick().is_empty());
    }
}
