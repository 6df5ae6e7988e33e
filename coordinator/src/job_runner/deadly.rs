//! Tasks, and images, that end whoever begins them.

use super::sending::When;
use super::{JobRunner, RunError, RunState};
use crate::in_flight::InFlightKey;
use crate::run_lease::RunLease;
use crate::starts::Verdict;

impl JobRunner<'_> {
    /// Does what follows from the starts of a task or an image.
    pub(super) async fn judge(
        &self,
        key: InFlightKey,
        verdict: Verdict,
        lease: &RunLease,
        state: &mut RunState<'_>,
    ) -> Result<(), RunError> {
        let Some(starts) = state.in_flight.starts(key) else { return Ok(()) };
        let (what, role) = match key {
            InFlightKey::Task(task) => (state.tasks.id(task).to_string(), "worker"),
            InFlightKey::Image(image) => {
                (format!("putting together image {}", state.tasks.image(image).id), "aggregator")
            }
        };
        let (count, reason, last) = (starts.count(), starts.reason(role), starts.last().to_owned());
        match verdict {
            Verdict::Fine => Ok(()),
            Verdict::Suspect => {
                tracing::warn!(
                    "{what} was started {count} times and has not ended: it may be what ends {role}s, and is sent to \
                     be worked on alone"
                );
                self.send_all_anew(true, lease, state).await
            }
            Verdict::Guilty => {
                let actions = match key {
                    InFlightKey::Task(task) => state.ledger.give_up(task, count, &last, &reason),
                    InFlightKey::Image(image) => state.ledger.give_up_image(image, count, &last, &reason),
                };
                for action in actions {
                    self.carry_out(action, When::Now, state);
                }
                state.tally.progress = state.ledger.progress();
                self.show(state.tally.progress);
                // Its messages must not reach anybody else.
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
            self.carry_out(action, When::Now, state);
        }
        Ok(())
    }
}
