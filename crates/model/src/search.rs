//! Where ONNX Runtime's library may lie.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest ONNX Runtime, as its minor version, that has every call made here.
pub(crate) const MINOR_MIN: u32 = ort::MINOR_VERSION;

/// Where to look for the ONNX Runtime library, in this order. The first place that names a file decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeSearch {
    /// The library itself. When given, nothing else is tried.
    pub explicit: Option<PathBuf>,
    /// A folder that may hold it: that of the running program.
    pub beside: Option<PathBuf>,
    /// Python commands whose `onnxruntime` package may hold it. They are asked where it lies, it is not imported.
    pub pythons: Vec<PathBuf>,
}

/// Why ONNX Runtime could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No library that can be used was found.
    #[error(
        "ONNX Runtime 1.{MINOR_MIN} or newer was not found\n{}\nthis command brings it: pip install onnxruntime==1.31.1",
        looked.join("\n")
    )]
    NotFound {
        /// One line for each place: where it is and what was there.
        looked: Vec<String>,
    },
    /// Another library is loaded already, and a process can hold only one.
    #[error("ONNX Runtime is already loaded from {}, {} cannot be loaded beside it", loaded.display(), asked.display())]
    AlreadyLoaded {
        /// The library in use.
        loaded: PathBuf,
        /// The library that was asked for.
        asked: PathBuf,
    },
    /// The library was loaded but would not start.
    #[error("ONNX Runtime from {} did not start: {reason}", path.display())]
    Start {
        /// The library.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
}

/// One place that was looked at: its description, and the libraries there or what was found instead.
pub(crate) struct SearchLocation {
    pub(crate) what: String,
    pub(crate) found: Result<Vec<PathBuf>, String>,
}

impl RuntimeSearch {
    /// What this process would look at: the library named by `ORT_DYLIB_PATH`, the folder of the program, the Python
    /// of the active environment (`VIRTUAL_ENV`, `CONDA_PREFIX`), then `python3` and `python`.
    pub fn from_process() -> Self {
        let named = |key: &str| std::env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from);
        let bin = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
        let environments =
            [named("VIRTUAL_ENV").map(|dir| dir.join(bin)), named("CONDA_PREFIX").map(|dir| dir.join(bin))];
        Self {
            explicit: named("ORT_DYLIB_PATH"),
            beside: std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf)),
            pythons: environments.into_iter().flatten().chain(["python3".into(), "python".into()]).collect(),
        }
    }

    /// All places in order. Python is only asked when the iterator gets there, since that takes tens of milliseconds.
    pub(crate) fn places(&self) -> impl Iterator<Item = SearchLocation> + '_ {
        let explicit = self.explicit.iter().map(|path| SearchLocation {
            what: "named by ORT_DYLIB_PATH or an option".to_owned(),
            found: if path.is_file() {
                Ok(vec![path.clone()])
            } else {
                Err(format!("{}: no such file", path.display()))
            },
        });
        let others = self.beside.iter().map(|dir| SearchLocation {
            what: format!("beside the program: {}", dir.display()),
            found: libraries_in(dir),
        });
        let pythons = self.pythons.iter().map(|python| SearchLocation {
            what: format!("package of {}", python.display()),
            found: package_folder(python).and_then(|dir| libraries_in(&dir)),
        });
        let take_others = self.explicit.is_none();
        explicit.chain(others.chain(pythons).filter(move |_| take_others))
    }
}

/// The ONNX Runtime libraries in `dir`, newest name first.
fn libraries_in(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(dir).map_err(|e| format!("cannot list {}: {e}", dir.display()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_library))
        .collect();
    found.sort_by_key(|path| std::cmp::Reverse(version_in_name(path)));
    if found.is_empty() { Err(format!("no ONNX Runtime library in {}", dir.display())) } else { Ok(found) }
}

/// Whether a file of this name is the main library: not a provider, not a debug file.
fn is_library(name: &str) -> bool {
    let versioned = |rest: &str, end: &str| {
        rest.strip_suffix(end).is_some_and(|v| {
            v.is_empty()
                || v.strip_prefix('.').is_some_and(|v| v.chars().all(|c| c == '.' || c.is_ascii_digit()))
        })
    };
    match name.strip_prefix("libonnxruntime") {
        Some(rest) => {
            versioned(rest, ".dylib")
                || rest == ".so"
                || rest.strip_prefix(".so").is_some_and(|v| versioned(v, ""))
        }
        None => name == "onnxruntime.dll",
    }
}

/// The version a file name carries: `[1, 31, 1]` for `libonnxruntime.so.1.31.1`; empty where it carries none.
pub(crate) fn version_in_name(path: &Path) -> Vec<u32> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split('.').filter_map(|part| part.parse().ok()).collect()
}

/// The folder of `python`'s `onnxruntime` package that holds its libraries.
fn package_folder(python: &Path) -> Result<PathBuf, String> {
    const ASK: &str = "import importlib.util as u; s = u.find_spec('onnxruntime'); \
                       print(s.submodule_search_locations[0] if s and s.submodule_search_locations else '')";
    let answer = Command::new(python)
        .args(["-c", ASK])
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|e| format!("not run: {e}"))?;
    let folder = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    if !answer.status.success() {
        return Err(format!("failed: {}", String::from_utf8_lossy(&answer.stderr).trim()));
    }
    if folder.is_empty() { Err("has no onnxruntime".into()) } else { Ok(Path::new(&folder).join("capi")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_main_library_is_taken() {
        for name in [
            "libonnxruntime.so",
            "libonnxruntime.so.1.31.1",
            "libonnxruntime.1.31.1.dylib",
            "libonnxruntime.dylib",
            "onnxruntime.dll",
        ] {
            assert!(is_library(name), "{name}");
        }
        for name in [
            "libonnxruntime_providers_shared.so",
            "libonnxruntime.so.1.31.1.debug",
            "onnxruntime.lib",
            "libonnxruntime.txt",
        ] {
            assert!(!is_library(name), "{name}");
        }
    }

    #[test]
    fn the_newest_name_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["libonnxruntime.so.1.9.0", "libonnxruntime.so.1.31.1", "other.so"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names = libraries_in(dir.path()).unwrap();
        assert_eq!(
            names,
            [dir.path().join("libonnxruntime.so.1.31.1"), dir.path().join("libonnxruntime.so.1.9.0")]
        );
    }

    #[test]
    fn an_explicit_path_is_the_only_place() {
        let search = RuntimeSearch {
            explicit: Some("/nowhere/libonnxruntime.so".into()),
            beside: Some("/".into()),
            pythons: vec!["python3".into()],
        };
        let places: Vec<_> = search.places().collect();
        assert_eq!(places.len(), 1);
        assert_eq!(places[0].found, Err("/nowhere/libonnxruntime.so: no such file".into()));
    }

    #[test]
    fn a_python_that_is_not_there_is_said_so() {
        let reason = package_folder(Path::new("/nowhere/python")).unwrap_err();
        assert!(reason.starts_with("not run: "), "{reason}");
    }
}
