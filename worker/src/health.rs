//! Whether this worker is well: it notices when it only fails, and stops before it does harm.

use marquetry_failure::{FailureClass, gist};
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// A worker stops after so many failures in a row that it is to blame for itself.
const SICK_AFTER: u32 = 3;
/// Kinds of failure that are remembered as told.
const TOLD_MAX: usize = 1000;

/// Counts failures that this machine or its rights are to blame for.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<State>,
    sick: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    in_a_row: u32,
    last: Option<(FailureClass, String)>,
    told: HashSet<(FailureClass, String)>,
}

impl Health {
    /// A task is done.
    pub(crate) fn on_done(&self) {
        self.state().in_a_row = 0;
    }

    /// A task has failed; whether for a reason that was not seen before. What a task or time is to blame for says
    /// nothing of this machine.
    pub(crate) fn on_failed(&self, class: FailureClass, reason: &str) -> bool {
        let mut state = self.state();
        let first = state.told.len() < TOLD_MAX && state.told.insert((class, gist(reason)));
        if !class.counts_against_task() {
            state.in_a_row += 1;
            state.last = Some((class, reason.to_owned()));
            if state.in_a_row >= SICK_AFTER {
                self.sick.cancel();
            }
        }
        first
    }

    /// Whether something like this was not told before.
    pub(crate) fn is_news(&self, words: &str) -> bool {
        let mut state = self.state();
        state.told.len() < TOLD_MAX && state.told.insert((FailureClass::Input, gist(words)))
    }

    /// Cancelled when the worker is to stop.
    pub(crate) fn sick(&self) -> CancellationToken {
        self.sick.clone()
    }

    /// Why the worker stops, if it does: how often it failed in a row, who is to blame, and the last reason.
    pub(crate) fn diagnosis(&self) -> Option<(u32, FailureClass, String)> {
        if !self.sick.is_cancelled() {
            return None;
        }
        let state = self.state();
        state.last.clone().map(|(class, reason)| (state.in_a_row.max(SICK_AFTER), class, reason))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_of_its_own_in_a_row_stop_a_worker() {
        let health = Health::default();
        for _ in 0..2 {
            health.on_failed(FailureClass::Worker, "no device");
        }
        health.on_done();
        assert!(health.on_failed(FailureClass::Input, "a.png is cut off"));
        assert!(!health.on_failed(FailureClass::Input, "b.png is cut off"), "told once");
        for _ in 0..2 {
            health.on_failed(FailureClass::Config, "not allowed");
        }
        assert!(health.diagnosis().is_none());
        health.on_failed(FailureClass::Worker, "no device");
        assert_eq!(health.diagnosis(), Some((3, FailureClass::Worker, "no device".into())));
        assert!(health.sick().is_cancelled());
    }
}
