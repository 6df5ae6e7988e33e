//! The circuit breaker of a whole job: when all fails alike from the beginning, going on would only cost time.

use marquetry_failure::{FailureClass, gist};
use marquetry_job::Event;
use std::collections::HashSet;

/// Failures in the same way, with nothing done, after which a job stops.
const FAILURES_MAX: usize = 100;

/// A job of which nothing succeeds and everything fails alike.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("all {failures} failures are alike, and nothing succeeds: {reason}")]
pub struct AllFail {
    /// Failures that are alike.
    pub failures: usize,
    /// Who is to blame.
    pub class: FailureClass,
    /// Why the last one failed.
    pub reason: String,
}

/// Looks at the first failures of a job until something is done or they differ.
#[derive(Debug, Default)]
pub(crate) struct JobBreaker {
    /// Whether the job has shown that it is not hopeless.
    closed_for_good: bool,
    alike: Option<(FailureClass, String)>,
    failures: usize,
    /// Images that failed. Where an image or time is to blame, one image of many blocks says nothing of the others.
    images: HashSet<String>,
}

impl JobBreaker {
    /// Takes an event in; what the job is to be stopped for.
    pub(crate) fn note(&mut self, event: &Event) -> Option<AllFail> {
        if self.closed_for_good {
            return None;
        }
        let (image, class, reason) = match event {
            Event::TaskFailed { task, class, reason, .. } => (&task.image, *class, reason),
            Event::ImageFailed { image, class, reason, .. } => (image, *class, reason),
            Event::TaskBegun { .. }
            | Event::TaskLeft { .. }
            | Event::ImageBegun { .. }
            | Event::Unread { .. } => return None,
            Event::TaskDone { .. } | Event::Image { .. } => {
                *self = Self { closed_for_good: true, ..Self::default() };
                return None;
            }
            Event::Retry => {
                *self = Self::default();
                return None;
            }
        };
        let found = (class, gist(reason));
        if *self.alike.get_or_insert_with(|| found.clone()) != found {
            *self = Self { closed_for_good: true, ..Self::default() };
            return None;
        }
        self.failures += 1;
        self.images.insert(image.clone());
        let count = if class.counts_against_task() { self.images.len() } else { self.failures };
        (count >= FAILURES_MAX).then(|| AllFail { failures: self.failures, class, reason: reason.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_job::{StageSeconds, TaskId, TaskKind};

    fn failed(image: u32, block: u32, class: FailureClass, reason: &str) -> Event {
        let task = TaskId { image: image.to_string(), kind: TaskKind::Block { group: 0, block } };
        Event::TaskFailed { task, attempt: 1, reason: reason.into(), class, damaged: Vec::new() }
    }

    fn done() -> Event {
        let task = TaskId { image: "0".into(), kind: TaskKind::Statistics };
        Event::TaskDone { task, stored_bytes: 1, forwards: 1, seconds: StageSeconds::default() }
    }

    #[test]
    fn a_hundred_failures_alike_stop_a_job_in_which_nothing_was_done() {
        let mut breaker = JobBreaker::default();
        let config =
            |n: u32| failed(0, n, FailureClass::Config, &format!("cannot write tiles/{n}: not allowed"));
        assert!((1..100).all(|n| breaker.note(&config(n)).is_none()));
        let stop = breaker.note(&config(100)).expect("the hundredth");
        assert_eq!((stop.failures, stop.class), (100, FailureClass::Config));
        assert!(stop.to_string().contains("not allowed"));
    }

    #[test]
    fn one_thing_done_or_another_reason_keeps_a_job_going() {
        let sick = |n| failed(0, n, FailureClass::Worker, "no device");
        for other in [done(), failed(0, 0, FailureClass::Worker, "no memory")] {
            let mut breaker = JobBreaker::default();
            assert!((0..99).all(|n| breaker.note(&sick(n)).is_none()));
            assert!(breaker.note(&other).is_none());
            assert!((0..500).all(|n| breaker.note(&sick(n)).is_none()));
        }
    }

    #[test]
    fn a_damaged_image_of_many_blocks_does_not_stop_the_others() {
        let mut breaker = JobBreaker::default();
        let cut = |image, block| failed(image, block, FailureClass::Input, "the file is cut off");
        assert!((0..5000).all(|block| breaker.note(&cut(0, block)).is_none()));
        assert!((1..99).all(|image| breaker.note(&cut(image, 0)).is_none()));
        assert!(breaker.note(&cut(99, 0)).is_some());
    }
}
