//! Which scorers a device has.

use super::{FusedOptions, FusedScorers, HostScorers, ScorerSource};
use crate::network::RuntimeSource;
use marquetry_model::{Device, Runtime, SessionOptions};
use marquetry_telemetry::Metrics;
use marquetry_transport::Files;
use std::sync::Arc;

/// Scorers for sessions on `runtime` that run as `session` says, of models that are read from `files` and of which about `model_bytes` bytes
/// are kept open; their runs are counted in `metrics`. A GPU does all around a model in one graph with it, since the bus is what it
/// waits for; on a processor that is slower than doing it in code.
///
/// # Errors
/// When threads cannot be started.
pub fn scorers(
    runtime: Runtime,
    session: SessionOptions,
    files: Files,
    metrics: Metrics,
    model_bytes: u64,
) -> std::io::Result<Arc<dyn ScorerSource>> {
    Ok(match session.device {
        Device::Cpu => {
            let networks = Arc::new(RuntimeSource::new(runtime, session, files, metrics.clone()));
            Arc::new(HostScorers::new(networks, metrics))
        }
        Device::Cuda(_) => {
            let options = FusedOptions::default();
            let model_bytes = model_bytes / options.threads as u64;
            let options = FusedOptions { model_bytes, ..options };
            Arc::new(FusedScorers::new(runtime, session, files, metrics, options)?)
        }
    })
}
