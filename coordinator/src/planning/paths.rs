//! From patterns to files.

use marquetry_spec::{GlobPattern, PatternError, expand_braces};
use marquetry_transport::uri::{is_uri, join};
use marquetry_transport::{FileError, FileStat, Files, StoreErrorKind};
use std::path::Path;

/// Why a pattern could not be turned into files.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// The pattern makes no sense.
    #[error("{pattern}: {error}")]
    Pattern {
        /// As written.
        pattern: String,
        /// What was found.
        #[source]
        error: PatternError,
    },
    /// A folder could not be listed, or a file not be looked at.
    #[error(transparent)]
    File(#[from] FileError),
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
    pub(crate) uri: String,
    /// Its path below the folder in which the pattern's wildcards begin, or its name.
    pub(crate) relative: String,
    /// Its version, where finding it told that too.
    pub(crate) stat: Option<FileStat>,
}

/// The files that `pattern` stands for, relative to `base`: braces in their order, each glob's files by name.
pub(crate) fn expand(files: &Files, pattern: &str, base: &str) -> Result<Vec<Match>, PathError> {
    let wrong = |error| PathError::Pattern { pattern: pattern.to_owned(), error };
    let mut found = Vec::new();
    for one in expand_braces(pattern).map_err(wrong)? {
        let (base, one) = rooted(&one, base);
        let glob = GlobPattern::new(one).map_err(wrong)?;
        let before = found.len();
        if glob.is_literal() {
            found.extend(literal(files, join(base, one))?);
        } else {
            let folder = join(base, glob.folder());
            for listed in files.list(&folder)? {
                if glob.matches(&format!("{}{}", glob.folder(), listed.relative)) {
                    let uri = join(&folder, &listed.relative);
                    found.push(Match { uri, relative: listed.relative, stat: listed.stat });
                }
            }
        }
        if found.len() == before {
            return Err(PathError::Nothing { pattern: join(base, one), glob: !glob.is_literal() });
        }
    }
    Ok(found)
}

/// A pattern in a bucket as one below that bucket: the slashes of its scheme are no folders.
fn rooted<'a>(pattern: &'a str, base: &'a str) -> (&'a str, &'a str) {
    let bucket = pattern.find("://").map(|at| at + 3);
    let key = bucket.and_then(|at| Some(at + pattern[at..].find('/')? + 1));
    key.map_or((base, pattern), |at| pattern.split_at(at))
}

fn literal(files: &Files, uri: String) -> Result<Option<Match>, FileError> {
    let relative = uri.rsplit('/').next().unwrap_or_default().to_owned();
    if !is_uri(&uri) {
        let path = Path::new(&uri);
        let relative = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(path.is_file().then_some(Match { uri, relative, stat: None }));
    }
    match files.stat(&uri) {
        Ok(stat) => Ok(Some(Match { uri, relative, stat: Some(stat) })),
        Err(error) if error.kind == StoreErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
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
        let (files, base) = (Files::local_only(), folder.path().display().to_string());
        let names = |pattern: &str| -> Vec<String> {
            expand(&files, pattern, &base).unwrap().into_iter().map(|m| m.relative).collect()
        };
        assert_eq!(names("m/f{1..0}_e2.onnx"), ["f1_e2.onnx", "f0_e2.onnx"]);
        assert_eq!(names("m/f0_*.onnx"), ["f0_e1.onnx", "f0_e2.onnx"]);
        assert_eq!(names("m/**/*.onnx"), ["f0_e1.onnx", "f0_e2.onnx", "f1_e2.onnx", "sub/x.onnx"]);
        assert!(matches!(expand(&files, "m/f{0,7}_e1.onnx", &base), Err(PathError::Nothing { .. })));
    }

    #[test]
    fn patterns_in_buckets_are_rooted_there() {
        assert_eq!(rooted("s3://bucket/a/*.png", "base"), ("s3://bucket/", "a/*.png"));
        assert_eq!(rooted("s3://bucket", "base"), ("base", "s3://bucket"));
        assert_eq!(rooted("a/*.png", "s3://bucket/x"), ("s3://bucket/x", "a/*.png"));
    }
}
