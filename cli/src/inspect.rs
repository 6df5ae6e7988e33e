//! `marquetry inspect`: what a model takes and gives.

use crate::args::{Format, InspectArgs};
use crate::exit::{Exit, Fatal};
use crate::job::{load_runtime, start_tokio};
use crate::say;
use marquetry_coordinator::{ModelReadError, read_model};
use marquetry_model::{InspectOptions, inspect};
use marquetry_telemetry::Metrics;
use std::time::Duration;

pub(crate) fn run(args: &InspectArgs) -> Result<Exit, Fatal> {
    let path = args.model.clone();
    let failed = |error: marquetry_model::ModelError| Fatal::new(Exit::BadJob, format!("{path}: {error}"));
    let tokio = start_tokio()?;
    let files = args.storage.open(&tokio, Duration::ZERO, &Metrics::new()).files;
    let model = read_model(&files, &path, None).map_err(|error| match error {
        ModelReadError::File(error) => Fatal::of_file(&error, &error),
        ModelReadError::Model(error) => failed(error),
    })?;
    let runtime = load_runtime(args.common.onnxruntime.as_deref())?;
    let options = InspectOptions { size: args.window, ..InspectOptions::default() };
    let facts = inspect(&runtime, &model, &options).map_err(failed)?;
    let is_usable = facts.refusal.is_none() && facts.doubt.is_none();
    match args.common.format {
        Format::Json => say::data(&serde_json::to_string_pretty(&facts).unwrap_or_default()),
        Format::Text => {
            say::data(&facts.report(&path));
            if is_usable {
                say::data(&format!("\nMember entry for a job file:\n\n{}", facts.member_yaml(&path)));
            }
        }
    }
    Ok(if is_usable { Exit::Done } else { Exit::BadJob })
}
