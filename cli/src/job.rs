//! What `run` and `plan` have in common: reading the job file, loading the runtime, planning.

use crate::exit::{Exit, Fatal};
use crate::say;
use marquetry_coordinator::{Planned, plan};
use marquetry_job::spec::JobSpec;
use marquetry_model::{Runtime, RuntimeSearch};
use marquetry_raster::read::Limits;
use std::path::{Path, PathBuf};

/// A job file, read.
pub(crate) struct JobFile {
    pub(crate) spec: JobSpec,
    /// Its folder: relative paths in it are relative to this.
    pub(crate) base: PathBuf,
}

impl JobFile {
    pub(crate) fn read(path: &Path) -> Result<Self, Fatal> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|e| Fatal::new(Exit::BadJob, format!("cannot read the job file {shown}: {e}")))?;
        let spec = JobSpec::parse(&text)
            .map_err(|errors| Fatal::new(Exit::BadJob, format!("{shown} is not right\n{errors}")))?;
        let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Ok(Self { spec, base })
    }

    /// The folder where tiles and outputs are kept.
    pub(crate) fn store(&self) -> Result<PathBuf, Fatal> {
        if self.spec.store.contains("://") {
            let message = format!(
                "store: `{}` is no folder; this command keeps everything in a folder",
                self.spec.store
            );
            return Err(Fatal::new(Exit::BadJob, message));
        }
        let folder = self.base.join(&self.spec.store);
        // Without `..` where it is there already, so that printed paths can be read.
        Ok(folder.canonicalize().unwrap_or(folder))
    }

    /// Where the job is stored: a URI, or a folder by its whole path, so that others can find it.
    pub(crate) fn store_uri(&self) -> Result<String, Fatal> {
        if self.spec.store.contains("://") {
            return Ok(self.spec.store.clone());
        }
        let folder = self.base.join(&self.spec.store);
        let failed = |e| Fatal::new(Exit::Unavailable, format!("cannot make {}: {e}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(failed)?;
        Ok(folder.canonicalize().map_err(failed)?.display().to_string())
    }

    /// Looks at all images and members. `scratch` is a folder for pixels that do not fit into memory, `memory` one for
    /// what is seen of models.
    pub(crate) fn plan(
        &self,
        runtime: &Runtime,
        scratch: PathBuf,
        memory: Option<&Path>,
    ) -> Result<Planned, Fatal> {
        let limits = Limits {
            pixels_max: self.spec.limits.image_pixels,
            memory_bytes: self.spec.limits.image_bytes(),
            spool_dir: scratch,
        };
        let planned =
            plan(&self.spec, &self.base, runtime, &limits, memory, |name| tracing::info!("trying {name}"))
                .map_err(|error| Fatal::new(Exit::BadJob, error))?;
        for note in &planned.notes {
            say::note(&format!("note: {note}"));
        }
        for image in &planned.rejected {
            say::note(&format!("warning: image {} is left out: {}", image.id, image.reason));
        }
        if planned.plan.images.is_empty() {
            return Err(Fatal::new(Exit::BadJob, "no image of the job can be used; the reasons stand above"));
        }
        Ok(planned)
    }
}

/// Finds and loads ONNX Runtime.
pub(crate) fn load_runtime(explicit: Option<&Path>) -> Result<Runtime, Fatal> {
    let search = RuntimeSearch::from_process();
    let search = RuntimeSearch { explicit: explicit.map(Path::to_path_buf).or(search.explicit), ..search };
    if let Some(path) = search.explicit.as_ref().filter(|path| !path.is_file()) {
        let message = format!(
            "{}: there is no such ONNX Runtime library (--onnxruntime or ORT_DYLIB_PATH)",
            path.display()
        );
        return Err(Fatal::new(Exit::BadConfig, message));
    }
    Runtime::load(&search).map_err(|error| Fatal::new(Exit::Unavailable, error))
}
