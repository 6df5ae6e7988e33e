//! Where the libraries of ONNX Runtime and OpenVINO may lie.

use marquetry_openvino::Trial;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest ONNX Runtime, as its minor version, that has every call made here.
pub(crate) const MINOR_MIN: u32 = ort::MINOR_VERSION;

/// Where to look for the ONNX Runtime library, in this order, and for OpenVINO's. The first place that names a file decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeSearch {
    /// The library itself. When given, nothing else is tried.
    pub explicit: Option<PathBuf>,
    /// Where OpenVINO's is.
    pub openvino: OpenVinoSearch,
    /// What tries models in a process of its own before OpenVINO is given them in this one, which it would take along in its fall.
    pub openvino_trial: Option<Trial>,
    /// A folder that may hold it: that of the running program.
    pub beside: Option<PathBuf>,
    /// Python commands whose `onnxruntime` package may hold it. They are asked where it lies, it is not imported.
    pub pythons: Vec<PathBuf>,
}

/// Where to look for OpenVINO's C library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenVinoSearch {
    /// This file and no other.
    Named(PathBuf),
    /// In these folders, beside the program, and in the packages of Python: beside ONNX Runtime's, if that is a package.
    Folders(Vec<PathBuf>),
    /// Nowhere: it is not to be used.
    Off,
}

impl Default for OpenVinoSearch {
    fn default() -> Self {
        Self::Folders(Vec::new())
    }
}

/// Why ONNX Runtime or OpenVINO could not be used.
#[derive(Debug, Clone, thiserror::Error)]
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
    /// No library of OpenVINO that can be used was found.
    #[error("OpenVINO 2024.6 or newer was not found\n{}\nthis command brings it: pip install openvino==2026.4.1", looked.join("\n"))]
    NoOpenVino {
        /// One line for each place: where it is and what was there.
        looked: Vec<String>,
        /// Whether one was named, or was there and could not be loaded.
        is_refused: bool,
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

/// A library, by its file's name and by the package of Python that holds it.
struct Sought {
    /// Without `lib` and what comes after.
    name: &'static str,
    package: &'static str,
    /// Its folder in the package.
    folder: &'static str,
}

const ONNXRUNTIME: Sought = Sought { name: "onnxruntime", package: "onnxruntime", folder: "capi" };
const OPENVINO: Sought = Sought { name: "openvino_c", package: "openvino", folder: "libs" };

impl RuntimeSearch {
    /// What this process would look at: the library named by `ORT_DYLIB_PATH`, the folder of the program, the Python
    /// of the active environment (`VIRTUAL_ENV`, `CONDA_PREFIX`), then `python3` and `python`; for OpenVINO the library named by
    /// `OPENVINO_DYLIB_PATH` (none at all if that is set and empty), and what its own scripts and Conda set.
    pub fn from_process() -> Self {
        let named = |key: &str| std::env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from);
        let bin = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
        let environments =
            [named("VIRTUAL_ENV").map(|dir| dir.join(bin)), named("CONDA_PREFIX").map(|dir| dir.join(bin))];
        let openvino = match std::env::var_os("OPENVINO_DYLIB_PATH") {
            Some(path) if path.is_empty() => OpenVinoSearch::Off,
            Some(path) => OpenVinoSearch::Named(path.into()),
            None => {
                let arch = if cfg!(target_arch = "aarch64") { "aarch64" } else { "intel64" };
                let own = named("INTEL_OPENVINO_DIR").map(|dir| dir.join("runtime").join("lib").join(arch));
                let conda = named("CONDA_PREFIX").map(|dir| dir.join("lib"));
                OpenVinoSearch::Folders([own, conda].into_iter().flatten().collect())
            }
        };
        Self {
            openvino,
            openvino_trial: None,
            explicit: named("ORT_DYLIB_PATH"),
            beside: std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf)),
            pythons: environments.into_iter().flatten().chain(["python3".into(), "python".into()]).collect(),
        }
    }

    /// All places in order. Python is only asked when the iterator gets there, since that takes tens of milliseconds.
    pub(crate) fn places(&self) -> impl Iterator<Item = SearchLocation> + '_ {
        let explicit = self.explicit.iter().map(|path| named(path, "named by ORT_DYLIB_PATH or an option"));
        // An iterator of no places asks nobody.
        let (beside, pythons) = if self.explicit.is_some() {
            (None, &[][..])
        } else {
            (self.beside.as_deref(), &self.pythons[..])
        };
        explicit.chain(ONNXRUNTIME.places(beside, pythons))
    }

    /// All places of OpenVINO's library in order, where ONNX Runtime's is the file `runtime`.
    pub(crate) fn openvino_places(&self, runtime: &Path) -> Vec<SearchLocation> {
        let folders = match &self.openvino {
            OpenVinoSearch::Named(path) => return vec![named(path, "named by OPENVINO_DYLIB_PATH")],
            OpenVinoSearch::Off => {
                let what = "OPENVINO_DYLIB_PATH".to_owned();
                return vec![SearchLocation { what, found: Err("is empty: it is not to be used".into()) }];
            }
            OpenVinoSearch::Folders(folders) => folders,
        };
        let own = folders.iter().map(|dir| OPENVINO.place("folder", dir));
        // `site-packages/onnxruntime/capi/libonnxruntime.so`
        let packages = runtime.parent().filter(|dir| dir.ends_with("onnxruntime/capi"));
        let packages = packages.and_then(|dir| dir.parent()?.parent());
        let beside =
            packages.map(|dir| OPENVINO.place("package", &dir.join(OPENVINO.package).join(OPENVINO.folder)));
        let pythons = if packages.is_some() { &[][..] } else { &self.pythons[..] };
        own.chain(beside).chain(OPENVINO.places(self.beside.as_deref(), pythons)).collect()
    }
}

impl Sought {
    fn place(&self, what: &str, dir: &Path) -> SearchLocation {
        SearchLocation { what: format!("{what} {}", dir.display()), found: self.libraries_in(dir) }
    }

    fn places<'a>(
        &'a self,
        beside: Option<&'a Path>,
        pythons: &'a [PathBuf],
    ) -> impl Iterator<Item = SearchLocation> + 'a {
        let beside = beside.into_iter().map(|dir| self.place("beside the program:", dir));
        let pythons = pythons.iter().map(|python| SearchLocation {
            what: format!("package of {}", python.display()),
            found: self.package_folder(python).and_then(|dir| self.libraries_in(&dir)),
        });
        beside.chain(pythons)
    }

    /// The libraries in `dir`, newest name first.
    fn libraries_in(&self, dir: &Path) -> Result<Vec<PathBuf>, String> {
        let entries = std::fs::read_dir(dir).map_err(|e| format!("cannot list {}: {e}", dir.display()))?;
        let mut found: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| {
                path.file_name()
                    .and_then(|name| name.to_str())
                    .is_some_and(|name| is_library(name, self.name))
            })
            .collect();
        found.sort_by_key(|path| std::cmp::Reverse(version_in_name(path)));
        if found.is_empty() {
            Err(format!("no {} library in {}", self.name, dir.display()))
        } else {
            Ok(found)
        }
    }

    /// The folder of `python`'s package that holds the libraries.
    fn package_folder(&self, python: &Path) -> Result<PathBuf, String> {
        const ASK: &str = "import importlib.util as u, sys; s = u.find_spec(sys.argv[1]); \
                       print(s.submodule_search_locations[0] if s and s.submodule_search_locations else '')";
        let answer = Command::new(python)
            .args(["-c", ASK, self.package])
            .stdin(std::process::Stdio::null())
            .output()
            .map_err(|e| format!("not run: {e}"))?;
        let folder = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        if !answer.status.success() {
            return Err(format!("failed: {}", String::from_utf8_lossy(&answer.stderr).trim()));
        }
        if folder.is_empty() {
            return Err(format!("has no {}", self.package));
        }
        Ok(Path::new(&folder).join(self.folder))
    }
}

/// The place of a library that was named.
fn named(path: &Path, what: &str) -> SearchLocation {
    let found = if path.is_file() {
        Ok(vec![path.to_owned()])
    } else {
        Err(format!("{}: no such file", path.display()))
    };
    SearchLocation { what: what.to_owned(), found }
}

/// Whether a file of this name is the main library: not a provider, not a debug file.
fn is_library(name: &str, of: &str) -> bool {
    let versioned = |rest: &str, end: &str| {
        rest.strip_suffix(end).is_some_and(|v| {
            v.is_empty()
                || v.strip_prefix('.').is_some_and(|v| v.chars().all(|c| c == '.' || c.is_ascii_digit()))
        })
    };
    match name.strip_prefix("lib").and_then(|name| name.strip_prefix(of)) {
        Some(rest) => {
            versioned(rest, ".dylib")
                || rest == ".so"
                || rest.strip_prefix(".so").is_some_and(|v| versioned(v, ""))
        }
        None => name.strip_suffix(".dll") == Some(of),
    }
}

/// The version a file name carries: `[1, 31, 1]` for `libonnxruntime.so.1.31.1`; empty where it carries none.
pub(crate) fn version_in_name(path: &Path) -> Vec<u32> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split('.').filter_map(|part| part.parse().ok()).collect()
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
            assert!(is_library(name, "onnxruntime"), "{name}");
        }
        for name in [
            "libonnxruntime_providers_shared.so",
            "libonnxruntime.so.1.31.1.debug",
            "onnxruntime.lib",
            "libonnxruntime.txt",
        ] {
            assert!(!is_library(name, "onnxruntime"), "{name}");
        }
        for name in
            ["libopenvino_c.so.2641", "libopenvino_c.so", "libopenvino_c.2641.dylib", "openvino_c.dll"]
        {
            assert!(is_library(name, "openvino_c"), "{name}");
        }
        for name in ["libopenvino.so.2641", "libopenvino_intel_cpu_plugin.so", "libopenvino_c.so.txt"] {
            assert!(!is_library(name, "openvino_c"), "{name}");
        }
    }

    #[test]
    fn openvino_is_looked_for_beside_the_package_of_the_runtime() {
        let site = tempfile::tempdir().unwrap();
        let (capi, libs) = (site.path().join("onnxruntime/capi"), site.path().join("openvino/libs"));
        std::fs::create_dir_all(&libs).unwrap();
        let library = libs.join("libopenvino_c.so.2641");
        std::fs::write(&library, "").unwrap();
        // Nobody is asked who cannot be.
        let search = RuntimeSearch { pythons: vec!["/nowhere/python".into()], ..Default::default() };
        let places = search.openvino_places(&capi.join("libonnxruntime.so.1"));
        assert_eq!(
            places.iter().map(|place| place.found.clone()).collect::<Vec<_>>(),
            [Ok(vec![library.clone()])]
        );
        let elsewhere = search.openvino_places(Path::new("/opt/libonnxruntime.so"));
        assert!(elsewhere[0].found.as_ref().unwrap_err().starts_with("not run: "), "the Python is asked");
        let found = |openvino| {
            RuntimeSearch { openvino, ..Default::default() }.openvino_places(&capi)[0].found.clone()
        };
        assert_eq!(found(OpenVinoSearch::Folders(vec![libs])), Ok(vec![library.clone()]));
        assert_eq!(found(OpenVinoSearch::Named(library.clone())), Ok(vec![library]));
        assert!(found(OpenVinoSearch::Named("/nowhere/a.so".into())).unwrap_err().contains("no such file"));
        assert!(found(OpenVinoSearch::Off).unwrap_err().contains("not to be used"));
    }

    #[test]
    fn the_newest_name_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["libonnxruntime.so.1.9.0", "libonnxruntime.so.1.31.1", "other.so"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names = ONNXRUNTIME.libraries_in(dir.path()).unwrap();
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
            ..Default::default()
        };
        let places: Vec<_> = search.places().collect();
        assert_eq!(places.len(), 1);
        assert_eq!(places[0].found, Err("/nowhere/libonnxruntime.so: no such file".into()));
    }

    #[test]
    fn a_python_that_is_not_there_is_said_so() {
        let reason = ONNXRUNTIME.package_folder(Path::new("/nowhere/python")).unwrap_err();
        assert!(reason.starts_with("not run: "), "{reason}");
    }
}
