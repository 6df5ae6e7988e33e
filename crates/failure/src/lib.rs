//! Classes of failure: who is to blame, and so whether another try helps, where, and what it counts against.
//!
//! An error says its class where it is made ([`Classify`]); the class travels with it to the ledger, the status and the
//! exit code. Nobody reads a class out of a text.
//!
//! This crate must not know: anything else.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Who is to blame for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// This image, this model, this job file: every worker would fail as well. Given up at once.
    Input,
    /// This machine: its device, disk, memory or rights. Another worker is asked; it counts against the worker, not
    /// against the task.
    Worker,
    /// The store, the broker or time: it may go better later, and counts as one try.
    Passing,
    /// A service refuses for good, whoever asks again: rights, a bucket that is not there, a key that it does not take.
    /// Neither the image nor time is to blame; someone must change a setting.
    Config,
    /// Marquetry itself. It counts as one try, since most often another one fails alike.
    Bug,
}

impl FailureClass {
    /// Whether the same thing may go better when it is tried once more, here or elsewhere.
    pub const fn may_be_retried(self) -> bool {
        matches!(self, Self::Worker | Self::Passing | Self::Config | Self::Bug)
    }

    /// Whether a try that failed like this is one of the tries that a task has.
    pub const fn counts_against_task(self) -> bool {
        matches!(self, Self::Input | Self::Passing | Self::Bug)
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Worker => "worker",
            Self::Passing => "passing",
            Self::Config => "config",
            Self::Bug => "bug",
        })
    }
}

/// An error that knows who is to blame for it.
pub trait Classify: std::error::Error {
    /// Who is to blame.
    fn class(&self) -> FailureClass;
}

/// So many of something, in a message: `1 image`, `20 images`.
pub fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// An error's own words and those of all its causes, each once: `reading a.png: the file is cut off`.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

/// A reason without what differs from one case to the next: words that hold digits, dots or slashes (names, places,
/// sizes) are left out. Two failures with the same gist are alike.
pub fn gist(reason: &str) -> String {
    let varies = |word: &&str| word.chars().any(|c| c.is_ascii_digit() || matches!(c, '/' | '\\' | '.'));
    reason.split_whitespace().filter(|word| !varies(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("reading a.png")
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_chain_has_every_cause_once() {
        let error = Outer(std::io::Error::other("the file is cut off"));
        assert_eq!(chain(&error), "reading a.png: the file is cut off");
        assert_eq!(chain(&error.0), "the file is cut off");
    }

    #[test]
    fn names_and_numbers_do_not_make_a_failure_another_one() {
        assert_eq!(
            gist("cannot read images/a.png: 12 bytes are missing"),
            gist("cannot read b.png: 7 bytes are missing")
        );
        assert_ne!(gist("cannot read a.png: no such file"), gist("cannot read a.png: not allowed"));
    }

    #[test]
    fn classes_are_written_as_one_word() {
        for class in [
            FailureClass::Input,
            FailureClass::Worker,
            FailureClass::Passing,
            FailureClass::Config,
            FailureClass::Bug,
        ] {
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{class}\""));
        }
    }
}
