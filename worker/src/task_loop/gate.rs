//! Which classes an image has at all: what the models of the gate say of it, stored.

use super::compute::{blocking, measures};
use super::{Done, Worker};
use crate::Failure;
use crate::context::PlanContext;
use crate::gate_run::GateRun;
use crate::image::OpenImage;
use bytes::Bytes;
use marquetry_job::{GateModel, ImageGate, StageSeconds, TaskMessage, key};
use marquetry_transport::ObjectStore;
use std::sync::Arc;
use std::time::Instant;

impl Worker {
    /// Shows an image to the models of the gate, and stores what they say. `None` where the lanes do not come back.
    pub(super) async fn find_gate(
        &self,
        message: &TaskMessage,
        context: &Arc<PlanContext>,
        image: &Arc<OpenImage>,
        store: &dyn ObjectStore,
    ) -> Result<Option<Done>, Failure> {
        let started = Instant::now();
        let inference = &context.inference;
        let models: Vec<_> = inference.gate.iter().map(GateModel::member).cloned().collect();
        let wanted = measures(&models);
        if !wanted.is_empty() {
            self.fetch_statistics(message, image, measures(inference.models()), &wanted, store).await?;
        }
        // Before the deadline begins: a model may take longer to fetch than an image to be shown.
        let scorers = Arc::clone(&self.scorers);
        blocking(move || scorers.fetch(&models)).await??;
        let opened = started.elapsed().as_secs_f64();
        let span = tracing::debug_span!("gate", image = %message.image.id);
        let (run, outcome) = GateRun::new(Arc::clone(context), Arc::clone(image), span);
        let (begun, abandoned) = (run.begun.clone(), run.abandoned.clone());
        self.lanes.submit_gate(run);
        let stopped = |_| Failure::passing("the worker was stopped");
        let outcome = self.in_time(begun.cancelled(), || abandoned.cancel(), outcome).await;
        let Some(outcome) = outcome.map_err(stopped)? else { return Ok(None) };
        let (said, mut seconds) = outcome?;
        // All of the image that this hangs on was read by now.
        self.check(message).await?;
        let said: Vec<(&GateModel, Vec<f32>)> = inference.gate.iter().zip(said).collect();
        let gate = ImageGate::new(&message.image.key, inference.classes.len(), &said);
        let bytes = Bytes::from(gate.to_bytes());
        let (stored_bytes, before) = (bytes.len() as u64, Instant::now());
        store.put(&key::gate(&message.run.job, &message.image.key), bytes).await?;
        let store = before.elapsed().as_secs_f64();
        seconds = StageSeconds { read: seconds.read + opened, store, ..seconds };
        Ok(Some(Done { stored_bytes, forwards: said.len() as u64, seconds }))
    }
}
