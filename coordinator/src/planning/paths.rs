//! From patterns to files.

use marquetry_job::spec::{GlobPattern, PatternError, expand_braces};
use std::path::{Path, PathBuf};

/// Why a pattern could not be turned into files.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// The pattern makes no sense.
    #[error("{pattern}: {error}")]
    Pattern {
        /// As written.
        pattern: String,
        /// Why.
        error: PatternError,
    },
    /// A folder could not be listed.
    #[error("cannot list {}: {error}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A path or glob that nothing matches.
    #[error("{pattern}: there is no such file{}", if *glob { " (nothing matches)" } else { "" })]
    Nothing {
        /// As written, made absolute or relative to the working folder.
        pattern: String,
        /// Whether it is a glob.
        glob: bool,
    },
}

/// A file that a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Match {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its path below the folder in which the pattern's wildcards begin, or its name.
    pub(crate) relative: String,
}

/// The files that `pattern` stands for, relative to `base`: braces in their order, each glob's files by name.
pub(crate) fn expand(pattern: &str, base: &Path) -> Result<Vec<Match>, PathError> {
    let wrong = |error| PathError::Pattern { pattern: pattern.to_owned(), error };
    let mut found = Vec::new();
    for one in expand_braces(pattern).map_err(wrong)? {
        let glob = GlobPattern::new(&one).map_err(wrong)?;
        let before = found.len();
        if glob.is_literal() {
            let path = base.join(&one);
            if path.is_file() {
                let relative = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                found.push(Match { path, relative });
            }
        } else {
            let folder = base.join(glob.folder());
            let prefix = if glob.folder().is_empty() { String::new() } else { format!("{}/", glob.folder()) };
            for relative in list(&folder)? {
                if glob.matches(&format!("{prefix}{relative}").replace("//", "/")) {
                    found.push(Match { path: folder.join(&relative), relative });
                }
            }
        }
        if found.len() == before {
            let pattern = base.join(&one).display().to_string();
            return Err(PathError::Nothing { pattern, glob: !glob.is_literal() });
        }
    }
    Ok(found)
}

/// All files below `folder`, with `/` between the parts of their paths, in ascending order. Hidden ones are left out.
pub(crate) fn list(folder: &Path) -> Result<Vec<String>, PathError> {
    let mut found = Vec::new();
    // A job file named without a folder lies in the working folder, whose path is empty.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut open = vec![(folder.to_path_buf(), String::new())];
    while let Some((folder, prefix)) = open.pop() {
        let failed = |error| PathError::Folder { folder: folder.clone(), error };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let relative = format!("{prefix}{name}");
            if entry.path().is_dir() {
                open.push((entry.path(), format!("{relative}/")));
            } else {
                found.push(relative);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_find_files_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["m/f1_e2.onnx", "m/f0_e1.onnx", "m/f0_e2.onnx", "m/.hidden.onnx", "m/sub/x.onnx"] {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            expand(pattern, folder.path()).unwrap().into_iter().map(|m| m.relative).collect()
        };
        assert_eq!(names("m/f{1..0}_e2.onnx"), ["f1_e2.onnx", "f0_e2.onnx"]);
        assert_eq!(names("m/f0_*.onnx"), ["f0_e1.onnx", "f0_e2.onnx"]);
        assert_eq!(names("m/**/*.onnx"), ["f0_e1.onnx", "f0_e2.onnx", "f1_e2.onnx", "sub/x.onnx"]);
        assert!(matches!(expand("m/f{0,7}_e1.onnx", folder.path()), Err(PathError::Nothing { .. })));
    }
}
