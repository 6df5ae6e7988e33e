//! Patterns for paths: braces stand for several paths, `*` and its kin for whatever a listing holds.

use globset::{GlobBuilder, GlobMatcher};
use marquetry_failure::{Classify, FailureClass};

/// Most paths that one pattern's braces may stand for.
const PATHS_MAX: usize = 10_000;
/// Longest pattern, bytes: as long as a path may be on most systems.
const LENGTH_MAX: usize = 4096;

/// Why a pattern means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A brace without its other half.
    #[error("a pattern in which every `{{` has its `}}` (position {at})")]
    Unbalanced {
        /// Where the brace is, in characters, counted from 1.
        at: usize,
    },
    /// Braces that hold neither a list nor a range.
    #[error("a list such as {{a,b}} or a range such as {{0..4}} in braces, not {{{content}}}")]
    Braces {
        /// What they hold.
        content: String,
    },
    /// Braces that stand for too many paths.
    #[error("a pattern whose braces stand for at most {PATHS_MAX} paths")]
    TooMany,
    /// A pattern longer than any path.
    #[error("a pattern of at most {LENGTH_MAX} bytes")]
    TooLong,
    /// `[` without `]`, and the like.
    #[error("a pattern of *, ?, ** and [abc] ({})", .0.kind())]
    Glob(#[from] globset::Error),
}

impl Classify for PatternError {
    fn class(&self) -> FailureClass {
        FailureClass::Input
    }
}

/// The paths or globs that a pattern's braces stand for, the first brace changing slowest: `f{0..1}_{a,b}` is `f0_a`,
/// `f0_b`, `f1_a`, `f1_b`. Ranges may fall, and keep leading zeros (`{08..10}`); lists may hold braces themselves.
///
/// # Errors
/// When braces do not pair up, hold neither a list nor a range, or stand for more than 10,000 paths; when the
/// pattern is longer than any path.
pub fn expand_braces(pattern: &str) -> Result<Vec<String>, PatternError> {
    if pattern.len() > LENGTH_MAX {
        return Err(PatternError::TooLong);
    }
    let chars: Vec<char> = pattern.chars().collect();
    let mut parser = Braces { chars: &chars, at: 0, depth: 0 };
    let paths = parser.sequence()?;
    match chars.get(parser.at) {
        None => Ok(paths),
        Some(_) => Err(PatternError::Unbalanced { at: parser.at + 1 }),
    }
}

struct Braces<'a> {
    chars: &'a [char],
    at: usize,
    depth: usize,
}

impl Braces<'_> {
    /// What stands before the end, or within braces before `,` or `}`.
    fn sequence(&mut self) -> Result<Vec<String>, PatternError> {
        let mut paths = vec![String::new()];
        while let Some(&c) = self.chars.get(self.at) {
            match c {
                '}' => break,
                ',' if self.depth > 0 => break,
                '{' => {
                    let options = self.braces()?;
                    if paths.len() * options.len() > PATHS_MAX {
                        return Err(PatternError::TooMany);
                    }
                    let joined =
                        paths.iter().flat_map(|path| options.iter().map(move |o| format!("{path}{o}")));
                    paths = joined.collect();
                }
                c => {
                    for path in &mut paths {
                        path.push(c);
                    }
                    self.at += 1;
                }
            }
        }
        Ok(paths)
    }

    /// `{a,b}` or `{0..4}`.
    fn braces(&mut self) -> Result<Vec<String>, PatternError> {
        let start = self.at;
        self.at += 1;
        self.depth += 1;
        if self.depth > 16 {
            return Err(PatternError::TooMany);
        }
        let mut options = self.sequence()?;
        let mut listed = false;
        while self.chars.get(self.at) == Some(&',') {
            self.at += 1;
            listed = true;
            options.extend(self.sequence()?);
            if options.len() > PATHS_MAX {
                return Err(PatternError::TooMany);
            }
        }
        if self.chars.get(self.at) != Some(&'}') {
            return Err(PatternError::Unbalanced { at: start + 1 });
        }
        let content: String = self.chars[start + 1..self.at].iter().collect();
        self.at += 1;
        self.depth -= 1;
        if listed { Ok(options) } else { range(&content) }
    }
}

/// The numbers of `0..4`, both ends included.
fn range(content: &str) -> Result<Vec<String>, PatternError> {
    let bad = || PatternError::Braces { content: content.to_owned() };
    let number = |text: &str| -> Option<i64> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let sound = (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        sound.then(|| text.parse().ok()).flatten()
    };
    let (first, last) = content.split_once("..").ok_or_else(bad)?;
    let (from, to) = (number(first).ok_or_else(bad)?, number(last).ok_or_else(bad)?);
    if from.abs_diff(to) >= PATHS_MAX as u64 {
        return Err(PatternError::TooMany);
    }
    let padded =
        |text: &str| text.trim_start_matches('-').len() > 1 && text.trim_start_matches('-').starts_with('0');
    let width = if padded(first) || padded(last) { first.len().max(last.len()) } else { 0 };
    let show = |n: i64| format!("{n:0width$}");
    Ok(if from <= to { (from..=to).map(show).collect() } else { (to..=from).rev().map(show).collect() })
}

/// A path, or a glob over a listing of paths: `*` and `?` stay within a folder, `**` goes through folders, `[abc]` is
/// one of these, `\` takes the next character as it is.
#[derive(Debug, Clone)]
pub struct GlobPattern {
    text: String,
    glob: Option<GlobMatcher>,
}

impl GlobPattern {
    /// A pattern without braces (see [`expand_braces`]).
    ///
    /// # Errors
    /// When it is no glob.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let text = bare(pattern).to_owned();
        if !is_glob(&text) {
            return Ok(Self { text, glob: None });
        }
        let glob = GlobBuilder::new(&text).literal_separator(true).backslash_escape(true).build()?;
        Ok(Self { text, glob: Some(glob.compile_matcher()) })
    }

    /// The pattern without a leading `./`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it names exactly one path, which must then exist.
    pub const fn is_literal(&self) -> bool {
        self.glob.is_none()
    }

    /// The folder that holds everything it can match, ending in `/`, or empty: what to list.
    pub fn folder(&self) -> &str {
        let wild = self.text.find(['*', '?', '[', '\\']).unwrap_or(self.text.len());
        self.text[..wild].rfind('/').map_or("", |slash| &self.text[..=slash])
    }

    /// The same pattern, to which capital and small letters are one.
    #[must_use]
    pub fn ignoring_case(&self) -> Self {
        let mut builder = GlobBuilder::new(&self.text);
        let glob = builder.literal_separator(true).backslash_escape(true).case_insensitive(true).build();
        Self { text: self.text.clone(), glob: glob.ok().map(|glob| glob.compile_matcher()) }
    }

    /// Whether `path` is meant.
    pub fn matches(&self, path: &str) -> bool {
        let path = bare(path);
        self.glob.as_ref().map_or_else(|| path == self.text, |glob| glob.is_match(path))
    }
}

fn bare(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path)
}

/// Whether a text is a glob rather than a path.
pub(super) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
