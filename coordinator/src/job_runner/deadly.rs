//! Tasks that end whoever begins them.

use super::{JobRunner, RunError, RunState};
use crate::in_flight::InFlightKey;
use crate::run_lease::RunLease;
use crate::starts::Verdict;
use marquetry_job::TaskPlace;
use std::time::Duration;

impl JobRunner<'_> {
    /// Does what follows from the starts of a task.
    pub(super) async fn judge(
        &self,
        task: TaskPlace,
        verdict: Verdict,
        lease: &RunLease,
        state: &mut RunState<'_>,
    ) -> Result<(), RunError> {
        let key = InFlightKey::Task(task);
        let Some(starts) = state.in_flight.starts(key) else { return Ok(()) };
        let (count, reason, last) = (starts.count(), starts.reason(), starts.last().to_owned());
        let what = state.tasks.id(task);
        match verdict {
            Verdict::Fine => Ok(()),
            Verdict::Suspect => {
                tracing::warn!(
                    "{what} was started {count} times and has not ended: it may be what ends workers, and is sent to be \
                     worked on alone"
                );
                self.send_all_anew(true, lease, state).await
            }
            Verdict::Guilty => {
                for action in state.ledger.give_up(task, count, &last, &reason) {
                    self.carry_out(action, Duration::ZERO, state);
                }
                state.tally.progress = state.ledger.progress();
                self.show(state.tally.progress);
                // Its messages must not reach another worker.
                self.send_all_anew(false, lease, state).await
            }
        }
    }

    /// Renames the run, so that whoever receives what was sent before drops it, and sends all that is out once more.
    async fn send_all_anew(
        &self,
        suspects: bool,
        lease: &RunLease,
        state: &mut RunState<'_>,
    ) -> Result<(), RunError> {
        state.renewed += 1;
        let run = self.run.renewed(state.renewed);
        lease.renew(&run).await?;
        state.run = run;
        // The same attempts: what is told of those that are under way counts.
        for action in state.in_flight.recall(suspects) {
            self.carry_out(action, Duration::ZERO, state);
        }
        Ok(())
    }
}
