//! How the process ends.

use marquetry_failure::{Classify, FailureClass};
use marquetry_transport::uri::is_uri;
use marquetry_transport::{FileError, StoreError, StoreErrorKind};
use std::process::ExitCode;

/// What the exit code says; after `sysexits.h`, so that schedulers can tell a bad job from a passing trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything is done.
    Done = 0,
    /// Done, but some images failed; they are listed.
    Partial = 1,
    /// Nothing is handed back: no image could be finished, or a failure ended it, as its policy asks.
    Failed = 2,
    /// The command line makes no sense.
    Usage = 64,
    /// The job file, an image list or a model is not right: nothing was started, or nothing could be done.
    BadJob = 65,
    /// A service, a library, a device or a disk is not there, fails or has no room.
    Unavailable = 69,
    /// A bug in Marquetry.
    Bug = 70,
    /// Stopped before the end; the same command goes on.
    TryAgain = 75,
    /// The machine's configuration is not right, or a service refuses for good.
    BadConfig = 78,
}

/// The list for `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  done, but some images failed (they are listed)
   2  nothing is handed back: no image could be finished, or `failures.policy: fail` met a failure
  64  the command line makes no sense
  65  the job file, an image list or a model is not right; nothing was started, or nothing could be done
  69  a service, a library, a device or a disk is not there, fails or has no room
  70  a bug in Marquetry
  75  stopped before the end: the same command goes on where it stopped
  78  the machine's configuration is not right, or a service refuses for good";

impl Exit {
    /// What it says, as `--help` has it.
    pub(crate) fn meaning(self) -> &'static str {
        let code = format!("{:>4}  ", self as u8);
        EXIT_CODES.lines().find_map(|line| line.strip_prefix(&code)).unwrap_or_default()
    }

    /// Whether the same command may come further, with nothing mended by a person.
    pub(crate) const fn is_worth_another_try(self) -> bool {
        matches!(self, Self::Unavailable | Self::TryAgain)
    }

    /// For schedulers.
    pub(crate) fn to_json(self) -> serde_json::Value {
        serde_json::json!({
            "code": self as u8,
            "meaning": self.meaning(),
            "retry": self.is_worth_another_try(),
        })
    }
}

impl From<FailureClass> for Exit {
    fn from(class: FailureClass) -> Self {
        match class {
            FailureClass::Input => Self::BadJob,
            FailureClass::Worker | FailureClass::Passing => Self::Unavailable,
            FailureClass::Config => Self::BadConfig,
            FailureClass::Bug => Self::Bug,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that ends the process: what to print, and with which code.
#[derive(Debug)]
pub(crate) struct Fatal {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Fatal {
    pub(crate) fn new(exit: Exit, message: impl std::fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }

    /// An error about a file that the job names: its own fault, unless its store is away or does not let us in.
    pub(crate) fn of_file(error: &FileError, message: impl std::fmt::Display) -> Self {
        let exit = match error.kind {
            _ if matches!(error.class(), FailureClass::Passing | FailureClass::Worker)
                && is_uri(&error.uri) =>
            {
                Exit::Unavailable
            }
            StoreErrorKind::Denied | StoreErrorKind::Refused if is_uri(&error.uri) => Exit::BadConfig,
            _ => Exit::BadJob,
        };
        Self::new(exit, message)
    }

    /// An error of a store that is opened for the first time: one that is not there has the wrong name.
    pub(crate) fn of_named_store(error: &StoreError) -> Self {
        if error.kind == StoreErrorKind::NoStore {
            Self::new(Exit::BadJob, error)
        } else {
            Self::of_store(error)
        }
    }

    /// An error of the store that the job is kept in.
    pub(crate) fn of_store(error: &StoreError) -> Self {
        let exit = match error.kind {
            // A bad key: a store that no build knows, or a job that no store can have. No bucket: it is gone.
            StoreErrorKind::BadKey | StoreErrorKind::Refused | StoreErrorKind::NoStore => Exit::BadConfig,
            StoreErrorKind::Denied if is_uri(&error.store) => Exit::BadConfig,
            _ => Exit::Unavailable,
        };
        Self::new(exit, error)
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn every_code_has_a_meaning_and_two_are_worth_another_try() {
        use Exit::{BadConfig, BadJob, Bug, Done, Failed, Partial, TryAgain, Unavailable, Usage};
        let all = [Done, Partial, Failed, Usage, BadJob, Unavailable, Bug, TryAgain, BadConfig];
        assert!(all.iter().all(|exit| !exit.meaning().is_empty()), "{all:?}");
        assert_eq!(TryAgain.meaning(), "stopped before the end: the same command goes on where it stopped");
        let again: Vec<Exit> = all.into_iter().filter(|exit| exit.is_worth_another_try()).collect();
        assert_eq!(again, [Unavailable, TryAgain]);
    }
}
