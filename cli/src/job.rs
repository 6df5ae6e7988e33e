//! What `run` and `plan` have in common: reading the job file, loading the runtime, planning.

use crate::args::TRY_OPENVINO;
use crate::exit::{Exit, Fatal};
use crate::say;
use marquetry_coordinator::{
    Hardware, Machine, PlanMemory, Planned, PlannedTruth, Rejected, TableError, Tables, Watcher, plan,
};
use marquetry_evaluator::census_of;
use marquetry_failure::gist;
use marquetry_job::key;
use marquetry_model::{OpenVinoTrial, Runtime, RuntimeSearch};
use marquetry_raster::read::Limits;
use marquetry_spec::JobSpec;
use marquetry_transport::uri::{Location, is_uri, join, parent};
use marquetry_transport::{Files, ObjectStore, StoreErrorKind};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;

/// Where what planning sees is kept from one run to the next: in the store, so that a coordinator on another machine has it.
pub(crate) struct StoredMemory {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) runtime: Handle,
}

impl StoredMemory {
    fn recall(&self, key: &str) -> Result<PlanMemory, Fatal> {
        match self.runtime.block_on(self.store.get(key)) {
            Ok(stored) => Ok(PlanMemory::from_bytes(&stored)),
            Err(error) if error.kind == StoreErrorKind::NotFound => Ok(PlanMemory::default()),
            Err(error) => Err(Fatal::of_store(&error)),
        }
    }

    fn keep(&self, key: &str, memory: &PlanMemory, was_cut_short: bool) -> Result<(), Fatal> {
        let stored = memory.to_bytes(was_cut_short).map_err(|error| {
            Fatal::new(Exit::Unavailable, format!("what planning saw cannot be kept: {error}"))
        })?;
        self.runtime.block_on(self.store.put(key, stored)).map_err(|error| Fatal::of_store(&error))
    }
}

/// A job file, read.
pub(crate) struct JobFile {
    pub(crate) spec: JobSpec,
    /// Its folder, or `s3://bucket/prefix/`: relative paths in it are relative to this.
    pub(crate) base: String,
    /// This machine, if it is the one that computes the job.
    pub(crate) hardware: Option<Hardware>,
}

impl JobFile {
    pub(crate) fn read(uri: &str, files: &Files) -> Result<Self, Fatal> {
        let bytes = files.read(uri);
        let bytes = bytes.map_err(|error| Fatal::of_file(&error, format!("the job file: {error}")))?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Fatal::new(Exit::BadJob, format!("{uri} is no job file: it is not UTF-8")))?;
        let spec = JobSpec::parse(text)
            .map_err(|errors| Fatal::new(Exit::BadJob, format!("{uri} is not right\n{errors}")))?;
        Ok(Self { spec, base: parent(uri), hardware: None })
    }

    /// The folder or `s3://bucket/prefix` where tiles and outputs are kept.
    pub(crate) fn store(&self) -> Result<String, Fatal> {
        let uri = join(&self.base, &self.spec.store);
        Location::parse(&uri).map_err(|reason| Fatal::new(Exit::BadJob, format!("store: {reason}")))?;
        Ok(uri)
    }

    /// [`store`](Self::store), and of a folder its whole path, so that others can find it.
    pub(crate) fn store_uri(&self) -> Result<String, Fatal> {
        let uri = self.store()?;
        if is_uri(&uri) {
            return Ok(uri);
        }
        let failed = |e| Fatal::new(Exit::Unavailable, format!("cannot make {uri}: {e}"));
        std::fs::create_dir_all(&uri).map_err(failed)?;
        Ok(Path::new(&uri).canonicalize().map_err(failed)?.display().to_string())
    }

    /// Where relative paths of images and models begin, whichever folder a process works in: others of a cluster find
    /// the same files, and the same job goes on when it is started from elsewhere.
    pub(crate) fn root(&self) -> String {
        if is_uri(&self.base) {
            return self.base.clone();
        }
        let folder = if self.base.is_empty() { "." } else { &self.base };
        Path::new(folder).canonicalize().map_or_else(|_| self.base.clone(), |path| path.display().to_string())
    }

    /// Looks at all images and members that have changed since the store remembers them, and lets it remember them.
    /// `scratch` is a folder for pixels that do not fit into memory.
    pub(crate) fn plan_for(
        &mut self,
        stored: &StoredMemory,
        files: &Files,
        runtime: &Runtime,
        scratch: PathBuf,
    ) -> Result<Planned, Fatal> {
        let key = self.memory();
        let memory = stored.recall(&key)?;
        let planned = self.plan(files, runtime, scratch, Some(&memory));
        // What a part of the job did not ask for is not forgotten.
        stored.keep(&key, &memory, planned.is_err() || !self.spec.subset.is_all())?;
        planned
    }

    /// Plans a part of what `plan_for` has looked at, and says nothing of it again. The rest is not forgotten.
    pub(crate) fn plan_part(
        &mut self,
        stored: &StoredMemory,
        files: &Files,
        runtime: &Runtime,
        scratch: PathBuf,
    ) -> Result<Planned, Fatal> {
        let key = self.memory();
        let memory = stored.recall(&key)?;
        let planned = self.plan_with(files, runtime, scratch, Some(&memory), &Silent)?;
        planned.settle_outputs(&mut self.spec);
        stored.keep(&key, &memory, true)?;
        Ok(planned)
    }

    /// Where the store remembers what planning has seen.
    fn memory(&self) -> String {
        let spec = &self.spec;
        // Where the same files are looked at by two jobs, each has a memory of its own.
        key::memory(&format!("{:?}", (&spec.name, self.root(), &spec.images.from, &spec.truth)))
    }

    /// Looks at all images and members, and says what there is to say of them. `scratch` is a folder for pixels that do not fit
    /// into memory. Without a `memory` the plan tells what a job would be.
    pub(crate) fn plan(
        &mut self,
        files: &Files,
        runtime: &Runtime,
        scratch: PathBuf,
        memory: Option<&PlanMemory>,
    ) -> Result<Planned, Fatal> {
        let planned = self.plan_with(files, runtime, scratch, memory, &Teller)?;
        if let Some(said) = planned.settle_outputs(&mut self.spec) {
            say::note(&format!("note: {said}"));
        }
        for note in &planned.findings.notes {
            say::note(&format!("note: {note}"));
        }
        for warning in &planned.findings.warnings {
            say::note(&format!("warning: {warning}"));
        }
        for line in left_out(&planned.rejected) {
            say::note(&format!("warning: {line}"));
        }
        if planned.images.is_empty() {
            return Err(Fatal::new(Exit::BadJob, "no image of the job can be used; the reasons stand above"));
        }
        Ok(planned)
    }

    /// What reading its images may cost; `scratch` is a folder for pixels that do not fit into memory.
    pub(crate) fn limits(&self, scratch: PathBuf) -> Limits {
        Limits {
            pixels_max: self.spec.limits.image_pixels,
            memory_bytes: self.spec.limits.image_bytes(),
            scratch_dir: scratch,
        }
    }

    /// Looks at all images and members; what there is to say of them is for the caller, and `watcher` hears how it goes.
    pub(crate) fn plan_with(
        &self,
        files: &Files,
        runtime: &Runtime,
        scratch: PathBuf,
        memory: Option<&PlanMemory>,
        watcher: &impl Watcher,
    ) -> Result<Planned, Fatal> {
        let limits = self.limits(scratch);
        let machine = Machine { runtime, hardware: self.hardware.as_ref() };
        let planned = plan(&self.spec, &self.root(), files, &machine, &limits, memory, watcher);
        planned.map_err(|error| match error.file() {
            Some(file) => Fatal::of_file(file, &error),
            None if error.may_pass() => Fatal::new(Exit::Unavailable, error),
            None => Fatal::new(Exit::BadJob, error),
        })
    }
}

/// Tells how planning goes.
struct Teller;

impl Watcher for Teller {
    fn truth(&self, truth: &PlannedTruth) {
        let (source, census, settlement) = &truth.found;
        say::note(&format!("truth: {source}"));
        census_of(census, settlement).iter().for_each(|line| say::note(&format!("  {line}")));
    }

    fn trying(&self, model: &str) {
        tracing::info!("trying {model}");
    }
}

/// What there is to say of images and labels is said elsewhere.
pub(crate) struct Silent;

impl Watcher for Silent {
    fn truth(&self, _: &PlannedTruth) {}

    fn trying(&self, _: &str) {}
}

/// What there is to say of images that are left out: one line for each kind of reason, with that of the first image.
fn left_out(rejected: &[Rejected]) -> Vec<String> {
    const NAMED: usize = 10;
    let mut kinds: Vec<(String, Vec<&Rejected>)> = Vec::new();
    for image in rejected {
        let gist = gist(&image.reason);
        match kinds.iter_mut().find(|(known, _)| *known == gist) {
            Some((_, images)) => images.push(image),
            None => kinds.push((gist, vec![image])),
        }
    }
    let line = |(_, images): &(String, Vec<&Rejected>)| {
        let (first, count) = (images[0], images.len());
        let named = images.iter().take(NAMED).map(|image| image.id.as_str()).collect::<Vec<_>>().join(", ");
        if count == 1 {
            return format!("image {named} is left out: {}", first.reason);
        }
        let more = if count > NAMED { ", …" } else { "" };
        format!("{count} images are left out ({named}{more}): {}", first.reason)
    };
    kinds.iter().map(line).collect()
}

/// This program, also where its file was replaced since.
fn own_program() -> Option<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Some(running) } else { std::env::current_exe().ok() }
}

/// Finds and loads ONNX Runtime.
pub(crate) fn load_runtime(explicit: Option<&Path>) -> Result<Runtime, Fatal> {
    let search = RuntimeSearch::from_process();
    let trial = |program| OpenVinoTrial { program, command: TRY_OPENVINO.to_owned() };
    let search = RuntimeSearch {
        explicit: explicit.map(Path::to_path_buf).or(search.explicit),
        openvino_trial: own_program().map(trial),
        ..search
    };
    if let Some(path) = search.explicit.as_ref().filter(|path| !path.is_file()) {
        let message = format!(
            "{}: there is no such ONNX Runtime library (--onnxruntime or ORT_DYLIB_PATH)",
            path.display()
        );
        return Err(Fatal::new(Exit::BadConfig, message));
    }
    Runtime::load(&search).map_err(|error| Fatal::new(Exit::Unavailable, error))
}

/// The tables of a job, checked against its sample submissions.
pub(crate) fn tables(job: &JobFile, files: &Files, planned: &Planned) -> Result<Tables, Fatal> {
    let ids = planned.images.iter().map(|i| i.id.clone());
    let ids = ids.chain(planned.rejected.iter().map(|r| r.id.clone()));
    let none = BTreeMap::new();
    let labels = planned.truth.as_ref().map_or(&none, |truth| &truth.labels);
    Tables::prepare(&job.spec, &job.base, files, ids.collect(), labels).map_err(|error| match &error {
        TableError::Sample { source, .. } => Fatal::of_file(source, &error),
        _ => Fatal::new(Exit::BadJob, error),
    })
}

/// The threads that messages and requests run on.
pub(crate) fn start_tokio() -> Result<tokio::runtime::Runtime, Fatal> {
    crate::threads::require(0)?;
    tokio::runtime::Runtime::new()
        .map_err(|e| Fatal::new(Exit::Unavailable, format!("cannot start threads: {e}")))
}
