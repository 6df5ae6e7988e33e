//! A model file that is made of others: shown windows of a job, judged, tried and written.

mod output;
mod score;
mod windows;

pub(crate) use output::{Output, Said};
pub(crate) use score::Scores;
pub(crate) use windows::{Windows, put_aside, with_one_member};

use crate::args::Common;
use crate::exit::{Exit, Fatal};
use crate::job::{load_runtime, start_tokio};
use crate::storage::{Storage, StorageArgs};
use marquetry_coordinator::{ModelReadError, read_model};
use marquetry_failure::Classify;
use marquetry_model::{ModelFiles, Runtime, external_locations};
use marquetry_onnx::{OnnxError, with_all_data};
use marquetry_telemetry::Metrics;
use marquetry_transport::uri::{is_uri, join, parent};
use output::is_one_of;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// Where files are read, the runtime, a folder for what is not finished, and where the file will stand.
pub(crate) struct Bench<'a> {
    pub(crate) storage: &'a Storage,
    pub(crate) runtime: &'a Runtime,
    pub(crate) tokio: &'a tokio::runtime::Runtime,
    pub(crate) scratch: &'a Path,
    pub(crate) output: &'a Output,
}

/// What a bench is made of.
pub(crate) struct Setup {
    scratch: TempDir,
    pub(crate) runtime: Runtime,
    pub(crate) output: Output,
    storage: Storage,
    tokio: tokio::runtime::Runtime,
}

impl Setup {
    /// For a file that will stand at `out`.
    pub(crate) fn open(storage: &StorageArgs, out: &Path, common: &Common) -> Result<Self, Fatal> {
        let tokio = start_tokio()?;
        let storage = storage.open(&tokio, Duration::ZERO, &Metrics::new());
        let output = Output::new(out)?;
        let runtime = load_runtime(common.onnxruntime.as_deref())?;
        Ok(Self { scratch: scratch()?, runtime, output, storage, tokio })
    }

    pub(crate) fn bench(&self) -> Bench<'_> {
        let Self { scratch, runtime, output, storage, tokio } = self;
        Bench { storage, runtime, tokio, scratch: scratch.path(), output }
    }
}

impl Bench<'_> {
    /// Reads a model. No file of it may be the one that is written.
    pub(crate) fn read(&self, uri: &str) -> Result<ModelFiles, Fatal> {
        let failed = |error: marquetry_model::ModelError| Fatal::new(Exit::BadJob, format!("{uri}: {error}"));
        let model = read_model(&self.storage.files, uri, None).map_err(|error| match error {
            ModelReadError::File(error) => Fatal::of_file(&error, &error),
            ModelReadError::Model(error) => failed(error),
        })?;
        if is_uri(uri) {
            return Ok(model);
        }
        let beside = external_locations(&model.onnx).map_err(failed)?;
        let beside = beside.iter().map(|location| join(&parent(uri), location));
        let out = &self.output.path;
        match std::iter::once(uri.to_owned()).chain(beside).find(|path| is_one_of(out, path)) {
            None => Ok(model),
            Some(path) => Err(Fatal::new(
                Exit::Usage,
                format!("--out {} is {path}, which is read: name another file", out.display()),
            )),
        }
    }

    /// A model as one file.
    pub(crate) fn whole(&self, uri: &str) -> Result<Vec<u8>, Fatal> {
        let model = self.read(uri)?;
        with_all_data(&model.onnx, &model.external)
            .map(std::borrow::Cow::into_owned)
            .map_err(|error| of_file(uri, &error))
    }
}

/// The name of a file: where it lay says nothing of what is in it.
pub(crate) fn file_name(uri: &str) -> &str {
    uri.rsplit('/').next().unwrap_or(uri)
}

/// A temporary folder.
fn scratch() -> Result<TempDir, Fatal> {
    let scratch = tempfile::Builder::new().prefix("marquetry-").tempdir();
    scratch.map_err(|error| Fatal::new(Exit::Unavailable, format!("cannot make a temporary folder: {error}")))
}

pub(crate) fn fatal(error: &OnnxError) -> Fatal {
    Fatal::new(error.class().into(), error)
}

pub(crate) fn of_file(uri: &str, error: &OnnxError) -> Fatal {
    Fatal::new(error.class().into(), format!("{uri}: {error}"))
}
