//! The failures of one task or image, and whether another try is due.

use crate::message::{short_reason, shortened};
use marquetry_failure::FailureClass;

/// A machine's failure does not count against a task, but nothing is tried for ever: after this many times the tries that
/// a task has, it is given up for what the machines said.
const MACHINE_FAILURES_EACH: u32 = 3;
/// Workers whose last words about one task are kept, and how much of them, bytes.
const WORKERS_QUOTED: usize = 4;
const QUOTE_BYTES: usize = 200;

/// Failures of one task or image.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures {
    /// Those that count against it.
    counted: u32,
    /// Those that machines or services are to blame for.
    of_machines: u32,
    /// Workers that failed, each with its last reason.
    quotes: Vec<(String, String)>,
}

impl Failures {
    /// Takes a failure in; whether another try is due. `excused` ones count for nothing.
    pub(crate) fn note(&mut self, failure: &Failed<'_>, attempts_max: u32, excused: bool) -> bool {
        if !failure.class.may_be_retried() {
            self.counted += 1;
            return false;
        }
        if failure.class.counts_against_task() {
            self.counted += u32::from(!excused);
            return self.counted < attempts_max;
        }
        self.of_machines += 1;
        self.quote(failure);
        self.of_machines < attempts_max.saturating_mul(MACHINE_FAILURES_EACH)
    }

    fn quote(&mut self, failure: &Failed<'_>) {
        let reason = shortened(failure.reason, QUOTE_BYTES);
        if let Some((_, last)) = self.quotes.iter_mut().find(|(from, _)| from == failure.from) {
            *last = reason;
        } else if self.quotes.len() < WORKERS_QUOTED {
            self.quotes.push((failure.from.to_owned(), reason));
        }
    }

    /// Tries made.
    pub(crate) const fn all(&self) -> u32 {
        self.counted + self.of_machines
    }

    /// The reason to give it up for, after `last`.
    pub(crate) fn reason(&self, last: &Failed<'_>) -> String {
        if last.class.counts_against_task() {
            return last.reason.to_owned();
        }
        let told: Vec<String> =
            self.quotes.iter().map(|(from, reason)| format!("{from}: {reason}")).collect();
        short_reason(&told.join("; "))
    }
}

/// A failure, as an event tells it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed<'a> {
    pub(crate) from: &'a str,
    pub(crate) attempt: u32,
    pub(crate) class: FailureClass,
    pub(crate) reason: &'a str,
}
