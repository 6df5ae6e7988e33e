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
    #[error("{pattern}: there is no such file{}{hint}", if *glob { " (nothing matches)" } else { "" })]
    Nothing {
        /// As written, made absolute or relative to the working folder.
        pattern: String,
        /// Whether it is a glob.
        glob: bool,
        /// What may be meant, as words that go on: `; …`, or nothing.
        hint: String,
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

/// What makes a path a pattern.
const SPECIAL: [char; 5] = ['*', '?', '[', '{', '\\'];

/// The files that `pattern` stands for, relative to `base`: braces in their order, each glob's files by name. A file or
/// folder that is called as the pattern, or its beginning, is written is that one.
pub(crate) fn expand(files: &Files, pattern: &str, base: &str) -> Result<Vec<Match>, PathError> {
    expand_saying(files, pattern, base, &mut Vec::new())
}

/// [`expand`]; `notes` gets a sentence where files would match but for capital and small letters.
pub(crate) fn expand_saying(
    files: &Files,
    pattern: &str,
    base: &str,
    notes: &mut Vec<String>,
) -> Result<Vec<Match>, PathError> {
    let wrong = |error| PathError::Pattern { pattern: pattern.to_owned(), error };
    let (base, rest) = as_written(files, pattern, base)?;
    if let Some(file) = file_as_written(files, &rest, &base)? {
        return Ok(vec![file]);
    }
    let mut found = Vec::new();
    for one in expand_braces(&rest).map_err(wrong)? {
        let (base, one) = as_written(files, &one, &base)?;
        if let Some(file) = file_as_written(files, &one, &base)? {
            found.push(file);
            continue;
        }
        let glob = GlobPattern::new(&one).map_err(wrong)?;
        let before = found.len();
        let mut hint = String::new();
        if glob.is_literal() {
            found.extend(literal(files, join(&base, &one))?);
        } else {
            let folder = join(&base, glob.folder());
            let (any_case, mut but_for_case) = (glob.ignoring_case(), Vec::new());
            for listed in files.list(&folder)? {
                let path = format!("{}{}", glob.folder(), listed.relative);
                if glob.matches(&path) {
                    let uri = join(&folder, &listed.relative);
                    found.push(Match { uri, relative: listed.relative, stat: listed.stat });
                } else if any_case.matches(&path) {
                    but_for_case.push(listed.relative);
                }
            }
            if let Some(words) = other_letters(&one, &but_for_case) {
                if found.len() == before { hint = format!("; {words}") } else { notes.push(words) }
            }
        }
        if found.len() == before {
            if one.contains('[') && hint.is_empty() {
                hint = format!(
                    "; `[…]` stands for one of its characters: for brackets in a name write `{}`",
                    one.replace('[', "\0").replace(']', "[]]").replace('\0', "[[]")
                );
            }
            return Err(PathError::Nothing { pattern: join(&base, &one), glob: !glob.is_literal(), hint });
        }
    }
    Ok(found)
}

/// What there is to say of files that match `pattern` but for capital and small letters.
fn other_letters(pattern: &str, files: &[String]) -> Option<String> {
    let first = files.first()?;
    let either = |c: char| format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase());
    let both =
        pattern.rsplit_once('.').filter(|(_, ending)| ending.chars().all(|c| c.is_ascii_alphanumeric()));
    let both = both.map_or_else(String::new, |(stem, ending)| {
        let ending: String =
            ending.chars().map(|c| if c.is_ascii_alphabetic() { either(c) } else { c.to_string() }).collect();
        format!(": `{stem}.{ending}` stands for both")
    });
    let (count, noun) = (files.len(), if files.len() == 1 { "file matches" } else { "files match" });
    Some(format!("{count} {noun} `{pattern}` but for capital and small letters ({first}){both}"))
}

/// `pattern` and `base` with the folders of the pattern that are there as they are written, brackets and all, moved to the
/// base.
fn as_written(files: &Files, pattern: &str, base: &str) -> Result<(String, String), FileError> {
    let (base, pattern) = rooted(pattern, base);
    let mut start = 0;
    while let Some(at) = pattern[start..].find(SPECIAL)
        && let Some(length) = pattern[start + at..].find('/')
    {
        let end = start + at + length;
        let folder = join(base, &pattern[..end]);
        // To look into a bucket is a request; stars are no part of its keys.
        let may_be = !is_uri(&folder) || pattern[start..end].contains(['[', '{']);
        if !may_be || !files.is_folder(&folder)? {
            break;
        }
        start = end + 1;
    }
    let base = if start == 0 { base.to_owned() } else { join(base, &pattern[..start]) };
    Ok((base, pattern[start..].to_owned()))
}

/// The file that is called as a pattern is written.
fn file_as_written(files: &Files, pattern: &str, base: &str) -> Result<Option<Match>, FileError> {
    let uri = join(base, pattern);
    let may_be = pattern.contains(SPECIAL) && (!is_uri(&uri) || pattern.contains(['[', '{']));
    if may_be { literal(files, uri) } else { Ok(None) }
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
    fn what_is_there_as_it_is_written_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["data [v2]/a.png", "data [v2]/b[1].png", "{x}/c.png", "data v/d.png", "IMG.JPG", "p.jpg"]
        {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let (files, base) = (Files::local_only(), folder.path().display().to_string());
        let mut notes = Vec::new();
        let mut names = |pattern: &str| -> Result<Vec<String>, String> {
            let found = expand_saying(&files, pattern, &base, &mut notes).map_err(|e| e.to_string())?;
            Ok(found.into_iter().map(|m| m.uri[base.len() + 1..].to_owned()).collect())
        };
        for (pattern, found) in [
            ("data [v2]/a.png", "data [v2]/a.png"),
            ("data [v2]/b[1].png", "data [v2]/b[1].png"),
            ("{x}/*.png", "{x}/c.png"),
            ("data [[]v2[]]/a*", "data [v2]/a.png"),
            ("data [vw]/*.png", "data v/d.png"),
            ("*.jpg", "p.jpg"),
        ] {
            assert_eq!(names(pattern).unwrap(), [found], "{pattern}");
        }
        assert_eq!(names("data [v2]/*.png").unwrap().len(), 2);
        let message = names("data [w3]/*.png").unwrap_err();
        assert!(message.contains("`data [[]w3[]]/*.png`"), "{message}");
        let message = names("img*.jpg").unwrap_err();
        assert!(message.contains("IMG.JPG") && message.contains("`img*.[jJ][pP][gG]`"), "{message}");
        assert!(notes.len() == 1 && notes[0].starts_with("1 file matches `*.jpg` but for"), "{notes:?}");
    }

    #[test]
    fn patterns_in_buckets_are_rooted_there() {
        assert_eq!(rooted("s3://bucket/a/*.png", "base"), ("s3://bucket/", "a/*.png"));
        assert_eq!(rooted("s3://bucket", "base"), ("base", "s3://bucket"));
        assert_eq!(rooted("a/*.png", "s3://bucket/x"), ("s3://bucket/x", "a/*.png"));
    }
}
