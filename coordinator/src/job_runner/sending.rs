//! What follows from what was heard is sent: tasks, images, dead letters.

use super::events::back_off;
use super::{JobRunner, PICTURES_MAX, RunState};
use crate::in_flight::InFlightKey;
use crate::losses::Lost;
use bytes::Bytes;
use marquetry_failure::FailureClass;
use marquetry_job::message::short_reason;
use marquetry_job::{Action, AggregateMessage, DeadLetter, Loss, RunId, TaskMessage, TaskPlace, message};
use marquetry_telemetry::DeadLetterKind;
use marquetry_transport::Topic;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// When an action is carried out.
#[derive(Clone, Copy)]
pub(super) enum When {
    Now,
    /// After a pause, and a look for what may be gone.
    AfterFailure(FailureClass),
}

impl JobRunner<'_> {
    pub(super) fn carry_out(&self, action: Action, when: When, state: &mut RunState<'_>) {
        let (pause, gone) = match when {
            When::Now => (Duration::ZERO, None),
            When::AfterFailure(class) => (back_off(&action), self.look_for_inputs(&action, class, state)),
        };
        let run = state.run.clone();
        let alone = InFlightKey::of(&action).is_some_and(|key| state.in_flight.is_alone(key));
        let (topic, bytes) = match &action {
            Action::Compute { task, attempt, replace } => {
                let (plan, image) = (state.plan.clone(), state.tasks.image(task.image).clone());
                let (kind, attempt, replace) = (state.tasks.id(*task).kind, *attempt, *replace);
                let message = TaskMessage { run, plan, image, task: kind, attempt, replace, alone };
                (Topic::Tasks, message::encode(&message))
            }
            Action::Aggregate { image, attempt, partial } => {
                let (plan, outputs) = (state.plan.clone(), self.outputs.to_owned());
                let (picture, attempt, partial) = (*image < PICTURES_MAX, *attempt, *partial);
                let image = state.tasks.image(*image).clone();
                let message =
                    AggregateMessage { run, plan, outputs, image, picture, attempt, partial, alone };
                (Topic::Aggregate, message::encode(&message))
            }
            Action::GiveUp(loss) => (Topic::Dead, message::encode(&self.give_up(run, loss, state))),
        };
        let partition = state.in_flight.on_sent(action, Instant::now() + pause);
        let (queue, payload) = (Arc::clone(&self.queue), Bytes::from(bytes));
        let way = if topic == Topic::Dead { &mut state.letters } else { &mut state.publishing };
        way.spawn(async move {
            if let Some(gone) = gone {
                gone.await;
            }
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            match partition {
                Some(partition) => queue.publish_to(topic, partition, payload).await,
                None => queue.publish(topic, "", payload).await,
            }
        });
    }

    /// Stores again what a task or an image reads and what is not in the store any more, where its failure may come of that.
    fn look_for_inputs(
        &self,
        action: &Action,
        class: FailureClass,
        state: &RunState<'_>,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let image = match action {
            Action::Compute { task, .. } => task.image,
            Action::Aggregate { image, .. } => *image,
            Action::GiveUp(_) => return None,
        };
        let image = (class == FailureClass::Passing).then(|| state.tasks.image(image).clone())?;
        let (inputs, store) = (Arc::clone(&self.inputs), Arc::clone(&self.store));
        Some(async move {
            match inputs.put_missing(&*store, &image).await {
                Ok(keys) if keys.is_empty() => {}
                Ok(keys) => tracing::warn!(
                    "{} went from the store while the job runs; stored again: nothing but Marquetry may delete below jobs/",
                    keys.join(", ")
                ),
                // The next try finds out.
                Err(error) => tracing::warn!(%error, "what the job reads could not be looked for"),
            }
        })
    }

    fn give_up(&self, run: RunId, loss: &Loss, state: &mut RunState<'_>) -> DeadLetter {
        let Loss { attempts, class, only_pixels, .. } = *loss;
        let image = state.tasks.image(loss.image);
        let task = loss.task.map(|place| TaskPlace { image: loss.image, place });
        state.in_flight.on_given_up(task.map_or(InFlightKey::Image(loss.image), InFlightKey::Task));
        let task = task.map(|task| state.tasks.id(task).kind);
        let (reason, from) = (loss.reason.clone(), loss.from.clone());
        let lost = Lost {
            image: image.id.clone(),
            task,
            only_pixels,
            attempts,
            class,
            reason: reason.clone(),
            from: from.clone(),
        };
        // Told once for each reason; how many there were is told at the end.
        if state.tally.losses.add(&lost) {
            let what = if only_pixels { "pixels are missing" } else { "gave up" };
            tracing::error!(image = %image.id, attempts, %class, from, "{what}: {reason}");
        }
        let kind = if task.is_some() { DeadLetterKind::Task } else { DeadLetterKind::Image };
        self.metrics.dead_letters.of(kind).increment();
        let (image_id, image) = (short_reason(&image.id), image.key.clone());
        DeadLetter { run, image_id, image, task, only_pixels, attempts, class, reason, from }
    }
}
