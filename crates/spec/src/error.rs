//! What is wrong with a job file: where, what was given, what is allowed.

use super::pattern::PatternError;
use marquetry_failure::{Classify, FailureClass};
use std::fmt;

/// All that is wrong with a job file, in the order of its lines; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecErrors(Vec<SpecError>);

impl SpecErrors {
    /// All of `errors`, in the order of their lines.
    pub(super) fn new(mut errors: Vec<SpecError>) -> Self {
        errors.sort_by_key(|e| e.line);
        errors.dedup();
        Self(errors)
    }
}

impl std::ops::Deref for SpecErrors {
    type Target = [SpecError];

    fn deref(&self) -> &[SpecError] {
        &self.0
    }
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if n == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for SpecErrors {}

impl Classify for SpecErrors {
    fn class(&self) -> FailureClass {
        FailureClass::Input
    }
}

/// One thing that is wrong with a job file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// The keys that lead to it: `members[1].window.overlap`; empty for the whole text.
    pub path: String,
    /// Its line in the text, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub kind: SpecErrorKind,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "line {}: {}", self.line, self.kind)
        } else {
            write!(f, "line {}: {}: {}", self.line, self.path, self.kind)
        }
    }
}

impl std::error::Error for SpecError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.kind)
    }
}

impl Classify for SpecError {
    fn class(&self) -> FailureClass {
        FailureClass::Input
    }
}

/// The kinds of things that are wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecErrorKind {
    /// The text is no YAML, or uses a part of YAML that job files leave out.
    #[error("{0}")]
    Syntax(String),
    /// A key that means nothing there.
    #[error("unknown key{}; allowed are {}", suggestion(.nearest.as_deref()), .known.join(", "))]
    UnknownKey {
        /// The known key that looks most like it, if any does.
        nearest: Option<String>,
        /// The keys that mean something there.
        known: Vec<String>,
    },
    /// A key given twice in one map.
    #[error("given twice, first in line {first}; keep one of them")]
    Duplicate {
        /// The line of the first one.
        first: usize,
    },
    /// A key that must be there.
    #[error("missing; needed is {allowed}")]
    Missing {
        /// What it may be.
        allowed: String,
    },
    /// A value of the wrong type, or out of range.
    #[error("given {given}; allowed is {allowed}{}", suggestion(.nearest.as_deref()))]
    Value {
        /// What is written there, shortened.
        given: String,
        /// What may be.
        allowed: String,
        /// The allowed word that looks most like it, if any does.
        nearest: Option<String>,
    },
    /// A pattern for paths that means nothing.
    #[error("given {given}; allowed is {source}")]
    Pattern {
        /// What is written there, shortened.
        given: String,
        /// Why it means nothing.
        source: PatternError,
    },
    /// Values that are fine alone and contradict each other.
    #[error("{0}")]
    Conflict(String),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |word| format!(" (did you mean `{word}`?)"))
}

/// The one of `known` that looks most like `given`, if it is near enough to be a slip of the finger.
pub(super) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let given = given.to_lowercase();
    let distance = |word: &str| strsim::osa_distance(&given, &word.to_lowercase());
    let (steps, word) =
        known.into_iter().map(|word| (distance(word), word)).min_by_key(|(steps, _)| *steps)?;
    let near = steps <= (word.chars().count() / 3).max(1) || (given.len() > 2 && word.starts_with(&given));
    near.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["window", "weight", "batch"];
        assert_eq!(nearest("windw", known), Some("window".to_owned()));
        assert_eq!(nearest("Weight", known), Some("weight".to_owned()));
        assert_eq!(nearest("win", known), Some("window".to_owned()));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
