//! Models as files: read whole, with the weights that lie beside them, and what was seen of them remembered.

use crate::planning::device::Hardware;
use crate::planning::memory::PlanMemory;
use marquetry_job::{ExternalFile, hash};
use marquetry_model::{
    ExternalData, InspectOptions, ModelError, ModelFacts, ModelFiles, Runtime, ScoresOf, ShownWindows,
    external_locations, inspect_with,
};
use marquetry_transport::uri::{join, parent};
use marquetry_transport::{FileError, FileStat, Files, StoreErrorKind};

/// Counted up whenever other facts would be found of the same model, or are written in another way.
const FACTS_FORMAT: u32 = 10;

/// Why the files of a model cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelReadError {
    /// One cannot be fetched.
    #[error(transparent)]
    File(#[from] FileError),
    /// One cannot be read, or is not there.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// The model at `uri`, in the version `stat` if that is given: its file, and the files beside it that hold weights.
///
/// # Errors
/// When a file is not there or cannot be read, or the model names one outside of its own folder.
pub fn read_model(files: &Files, uri: &str, stat: Option<&FileStat>) -> Result<ModelFiles, ModelReadError> {
    let onnx = marquetry_model::read_model(files.local(uri, stat, None)?.path())?;
    let mut external = Vec::new();
    for location in external_locations(&onnx)? {
        let beside = join(&parent(uri), &location);
        let missing = || ModelError::external_missing(&location, &beside);
        let file = files.local(&beside, None, None).map_err(|error| match error.kind {
            StoreErrorKind::NotFound => missing().into(),
            _ => ModelReadError::from(error),
        })?;
        let bytes = marquetry_model::read_model(file.path()).map_err(|error| match error {
            ModelError::Unreadable { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                missing()
            }
            other => other,
        })?;
        external.push(ExternalData { location, bytes: bytes.into() });
    }
    Ok(ModelFiles { onnx, external })
}

/// A model that was read, and what names its content.
pub(crate) struct PlannedModel {
    pub(crate) files: ModelFiles,
    /// SHA-256 of the model's own file.
    pub(crate) sha256: String,
    pub(crate) external: Vec<ExternalFile>,
}

impl PlannedModel {
    pub(crate) fn new(files: ModelFiles) -> Self {
        let external = files
            .external
            .iter()
            .map(|file| ExternalFile { location: file.location.clone(), sha256: hash(&[&file.bytes]) });
        Self { sha256: hash(&[&files.onnx]), external: external.collect(), files }
    }
}

/// Looks into models, and remembers what it saw: trying a large model takes seconds, and a restart would do it again.
pub(crate) struct Models<'a> {
    pub(crate) files: &'a Files,
    pub(crate) runtime: &'a Runtime,
    /// What was seen before.
    pub(crate) memory: Option<&'a PlanMemory>,
    /// The machine's.
    pub(crate) cores: usize,
    /// The machine, if it is the one that computes.
    pub(crate) hardware: Option<&'a Hardware>,
}

impl Models<'_> {
    /// What is seen of a model when it is tried so, on `windows` of images too. It hangs on the model, the question, the
    /// windows, which `shown` names, and the runtime: these name what is remembered.
    pub(crate) fn facts(
        &self,
        model: &PlannedModel,
        options: &InspectOptions,
        shown: &str,
        windows: ShownWindows<'_>,
    ) -> Result<ModelFacts, ModelError> {
        let InspectOptions { size, layout, channels, threads: _, of } = options;
        let asked = (FACTS_FORMAT, &model.sha256, &model.external, self.runtime.version());
        let asked = format!("{:?}", (asked, size, layout, channels, shown));
        let what = match of {
            ScoresOf::Pixels => "model",
            ScoresOf::Image => "classifier",
        };
        let name = format!("{what} {}", hash(&[asked.as_bytes()]));
        let look = || inspect_with(self.runtime, &model.files, options, windows);
        match self.memory {
            Some(memory) => memory.seen(&name, "", look),
            None => look(),
        }
    }
}
