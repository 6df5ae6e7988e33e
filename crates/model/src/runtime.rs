//! Loading ONNX Runtime, once a process, and OpenVINO when it is wanted.

use crate::arena::share_cpu_arena;
use crate::search::{
    MINOR_MIN, OpenVinoSearch, RuntimeError, RuntimeSearch, SearchLocation, version_in_name,
};
use crate::{ModelFiles, ModelRef};
use marquetry_job::{IoContract, hash};
use marquetry_onnx::skeleton;
use marquetry_openvino::{OpenVino, OpenVinoError, TrialRequest};
use ort::environment::Environment;
use ort::logging::LogLevel;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// ONNX Runtime allows one environment a process, so this is the one place that remembers it.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// ONNX Runtime, loaded and started. Clones are the same one.
///
/// It sends no telemetry, logs through `tracing` under the targets `ort::*`, and gives all CPU sessions one arena.
#[derive(Debug, Clone)]
pub struct Runtime {
    environment: Environment,
    path: PathBuf,
    version: String,
    openvino: Arc<LazyOpenVino>,
}

/// OpenVINO, looked for when it is first wanted.
#[derive(Debug)]
struct LazyOpenVino {
    search: RuntimeSearch,
    found: OnceLock<Result<OpenVino, RuntimeError>>,
    /// Models that were tried, with the bytes of memory that one takes where that is known, and whether it was the end of who tried it.
    tried: Mutex<HashMap<String, Result<Option<u64>, OpenVinoError>>>,
}

impl Runtime {
    /// Finds and starts ONNX Runtime; the same one again when this process has done so before.
    ///
    /// # Errors
    /// When no library is found that is new enough (the error lists each place and what was there), when it does not
    /// start, or when `search` names another library than the one in use.
    pub fn load(search: &RuntimeSearch) -> Result<Self, RuntimeError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            return match &search.explicit {
                Some(asked) if !same_file(asked, &runtime.path) => {
                    Err(RuntimeError::AlreadyLoaded { loaded: runtime.path.clone(), asked: asked.clone() })
                }
                _ => Ok(runtime.clone()),
            };
        }
        let runtime = Self::find(search)?;
        tracing::info!(version = runtime.version, path = %runtime.path.display(), "ONNX Runtime loaded");
        Ok(loaded.insert(runtime).clone())
    }

    fn find(search: &RuntimeSearch) -> Result<Self, RuntimeError> {
        let load = |path: &Path| ort::init_from(path).map_err(|error| refusal(&error));
        let (path, builder) =
            first_of(search.places(), load).map_err(|looked| RuntimeError::NotFound { looked })?;
        Self::start(path, builder, search)
    }

    fn start(
        path: PathBuf,
        builder: ort::environment::EnvironmentBuilder,
        search: &RuntimeSearch,
    ) -> Result<Self, RuntimeError> {
        let build = || -> ort::Result<Environment> {
            let environment = builder.with_name("marquetry").with_telemetry(false).build()?;
            // The environment starts at its most verbose, which formats thousands of lines a session only for the
            // subscriber to drop them.
            if !tracing::enabled!(target: "ort::logging", tracing::Level::TRACE) {
                environment.set_log_level(LogLevel::Warning);
            }
            share_cpu_arena(&environment)?;
            Ok(environment)
        };
        match build() {
            Ok(environment) => {
                let openvino = Arc::new(LazyOpenVino {
                    search: search.clone(),
                    found: OnceLock::new(),
                    tried: Mutex::default(),
                });
                Ok(Self { environment, version: version_of(&path), path, openvino })
            }
            Err(error) => Err(RuntimeError::Start { path, reason: error.to_string() }),
        }
    }

    /// Version, as `1.31.1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The library that was loaded.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The library of CUDA's kernels that belongs to it, if it is there. Whether there is a GPU, opening a session tells.
    pub fn cuda(&self) -> Option<PathBuf> {
        let real = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let name =
            if cfg!(windows) { "onnxruntime_providers_cuda.dll" } else { "libonnxruntime_providers_cuda.so" };
        real.parent().map(|folder| folder.join(name)).filter(|library| library.is_file())
    }

    /// OpenVINO, which is looked for and loaded the first time.
    ///
    /// # Errors
    /// When no library is found that can be used; the error lists each place and what was there.
    pub fn openvino(&self) -> Result<&OpenVino, RuntimeError> {
        let LazyOpenVino { search, found, .. } = &*self.openvino;
        found.get_or_init(|| find_openvino(search, &self.path)).as_ref().map_err(Clone::clone)
    }

    /// Tries a model by OpenVINO in a process of its own, if this process has a way to do so: once for all that are alike but for their
    /// weights, under each contract. `onnx`: what is tried of `model`. The bytes of memory that it keeps, where they are known.
    pub(crate) fn try_openvino(
        &self,
        model: ModelRef<'_>,
        contract: &IoContract,
        onnx: &[u8],
        request: impl FnOnce(&OpenVino) -> TrialRequest,
    ) -> Result<Option<u64>, OpenVinoError> {
        let LazyOpenVino { search, found, .. } = &*self.openvino;
        // Others wait: they would try the same.
        let mut tried = self.tried();
        let key = trial_key(model.onnx, contract);
        match (tried.get(&key), &search.openvino_trial, found.get()) {
            (Some(once), ..) => once.clone(),
            (None, Some(trial), Some(Ok(openvino))) => {
                let once = trial.run(onnx, &request(openvino));
                if !matches!(once, Err(OpenVinoError::NotTried { .. })) {
                    tried.insert(key, once.clone());
                }
                once
            }
            _ => Ok(None),
        }
    }

    /// Bytes of memory that OpenVINO keeps for `model` under `contract`, if it was tried.
    pub fn openvino_bytes(&self, model: &ModelFiles, contract: &IoContract) -> Option<u64> {
        self.tried()
            .get(&trial_key(&model.onnx, contract))
            .and_then(|once| once.as_ref().ok().copied().flatten())
    }

    /// Says that OpenVINO has computed `model` under `contract`, on such a machine and in this version, with so many bytes of memory: it is
    /// not tried in a process of its own.
    pub fn trust_openvino(&self, model: &ModelFiles, contract: &IoContract, bytes: Option<u64>) {
        self.tried().entry(trial_key(&model.onnx, contract)).or_insert(Ok(bytes));
    }

    fn tried(&self) -> MutexGuard<'_, HashMap<String, Result<Option<u64>, OpenVinoError>>> {
        self.openvino.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// Whether the library bears a model hangs on its nodes, and on what they are compiled for.
fn trial_key(onnx: &[u8], contract: &IoContract) -> String {
    let skeleton = skeleton(onnx).unwrap_or_else(|_| onnx.to_vec());
    hash(&[&skeleton, format!("{contract:?}").as_bytes()])
}

fn find_openvino(search: &RuntimeSearch, runtime: &Path) -> Result<OpenVino, RuntimeError> {
    let mut is_refused = matches!(search.openvino, OpenVinoSearch::Named(_));
    let load = |path: &Path| {
        OpenVino::load(path).map_err(|error| {
            is_refused = true;
            error.to_string()
        })
    };
    let found = first_of(search.openvino_places(runtime).into_iter(), load);
    let (path, openvino) = found.map_err(|looked| RuntimeError::NoOpenVino { looked, is_refused })?;
    tracing::info!(version = openvino.version(), path = %path.display(), "OpenVINO loaded");
    Ok(openvino)
}

/// The first library that can be loaded, and where it is; else a line for each place: where it is and what was there.
fn first_of<T>(
    places: impl Iterator<Item = SearchLocation>,
    mut load: impl FnMut(&Path) -> Result<T, String>,
) -> Result<(PathBuf, T), Vec<String>> {
    let mut looked = Vec::new();
    for place in places {
        match place.found {
            Ok(paths) => {
                for path in paths {
                    match load(&path) {
                        Ok(loaded) => return Ok((path, loaded)),
                        Err(reason) => looked.push(format!("  {}: {}: {reason}", place.what, path.display())),
                    }
                }
            }
            Err(reason) => looked.push(format!("  {}: {reason}", place.what)),
        }
    }
    Err(looked)
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn refusal(error: &ort::LoadDynamicError) -> String {
    match error {
        ort::LoadDynamicError::BadVersion { version_str, .. } => {
            format!("is version {version_str}, 1.{MINOR_MIN} or newer is needed")
        }
        ort::LoadDynamicError::Dlopen { error, .. } => format!("cannot be loaded: {error}"),
        ort::LoadDynamicError::MissingApi { .. } => "is not ONNX Runtime".to_owned(),
        other @ ort::LoadDynamicError::InvalidVersionString => other.to_string(),
    }
}

/// The version of the loaded library: from the name of the file, or else from the branch it was built from.
fn version_of(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let in_name = version_in_name(&real);
    if in_name.len() >= 2 {
        return in_name.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
    }
    let branch = ort::info().split("git-branch=rel-").nth(1).unwrap_or("unknown");
    branch.split(',').next().unwrap_or(branch).trim().to_owned()
}

/// The runtime of the tests of this crate: they fail with the reason where it is missing.
#[cfg(test)]
pub(crate) fn for_tests() -> Runtime {
    Runtime::load(&RuntimeSearch::from_process()).unwrap_or_else(|error| panic!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_is_found_and_is_one_a_process() {
        let search = RuntimeSearch::from_process();
        let first = Runtime::load(&search).unwrap();
        let again = Runtime::load(&RuntimeSearch::default()).unwrap();
        assert_eq!((first.path(), first.version()), (again.path(), again.version()));
        assert!(first.version().starts_with("1."), "{}", first.version());
        let other = RuntimeSearch { explicit: Some("/nowhere/else.so".into()), ..Default::default() };
        let error = Runtime::load(&other).unwrap_err();
        assert!(error.to_string().contains("/nowhere/else.so cannot be loaded beside it"), "{error}");
    }

    #[test]
    fn what_is_no_openvino_is_told_with_its_place() {
        let named =
            |path: &str| RuntimeSearch { openvino: OpenVinoSearch::Named(path.into()), ..Default::default() };
        let file = tempfile::NamedTempFile::new().unwrap();
        for (search, is_wrong) in [
            (named("/nowhere/libopenvino_c.so"), true),
            (named(file.path().to_str().unwrap()), true),
            (RuntimeSearch::default(), false),
        ] {
            let error = find_openvino(&search, Path::new("/opt/libonnxruntime.so")).unwrap_err();
            let RuntimeError::NoOpenVino { is_refused, .. } = error else { panic!("{error}") };
            assert_eq!(is_refused, is_wrong);
            assert!(error.to_string().contains("pip install openvino=="), "{error}");
        }
    }
}
