//! Why members cannot be used.

use crate::planning::paths::PathError;
use marquetry_failure::{Classify, FailureClass};
use marquetry_model::ModelError;
use marquetry_transport::FileError;

/// Why the members of a job cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    /// The files cannot be found.
    #[error("members[{entry}].onnx: {error}")]
    Path {
        /// Place in the job file.
        entry: usize,
        /// What was found.
        #[source]
        error: PathError,
    },
    /// No member has the tags that are asked for.
    #[error("subset.members: no member is {asked}; there are members of {known}")]
    NoneOfSubset {
        /// The tags.
        asked: String,
        /// Those that there are.
        known: String,
    },
    /// A model cannot be fetched.
    #[error("members[{entry}].onnx: {error}")]
    File {
        /// Place in the job file.
        entry: usize,
        /// What was found.
        #[source]
        error: FileError,
    },
    /// A model cannot be read, or is not what the job says.
    #[error("members[{entry}]: {uri}: {error}")]
    Model {
        /// Place in the job file.
        entry: usize,
        /// The model.
        uri: String,
        /// What was found.
        #[source]
        error: Box<ModelError>,
    },
    /// A model that does not go with the rest of the job.
    #[error("members[{entry}]: {uri}: {reason}")]
    Unfit {
        /// Place in the job file.
        entry: usize,
        /// The model.
        uri: String,
        /// Why it does not go.
        reason: String,
    },
    /// Two members of one name.
    #[error(
        "members[{entry}].name: two members are called `{name}`: give each of two entries of the same model, or of the \
         same name, a `name` of its own"
    )]
    Name {
        /// Place in the job file.
        entry: usize,
        /// The name.
        name: String,
    },
    /// More than one cannot be used; in the order of the job file.
    #[error("{}", one_a_line(errors))]
    Several {
        /// What is wrong with each.
        errors: Vec<MembersError>,
    },
}

impl MembersError {
    /// Place in the job file, of several the first.
    pub(crate) fn entry(&self) -> usize {
        match self {
            Self::Path { entry, .. }
            | Self::File { entry, .. }
            | Self::Model { entry, .. }
            | Self::Unfit { entry, .. }
            | Self::Name { entry, .. } => *entry,
            Self::NoneOfSubset { .. } => 0,
            Self::Several { errors } => errors.first().map_or(0, Self::entry),
        }
    }

    /// The trouble with a file or store behind this error, if that is what it is, and all that it is.
    pub(crate) fn file(&self) -> Option<&FileError> {
        match self {
            Self::File { error, .. } | Self::Path { error: PathError::File(error), .. } => Some(error),
            Self::Several { errors } => {
                let files: Option<Vec<_>> = errors.iter().map(Self::file).collect();
                files?.into_iter().next()
            }
            _ => None,
        }
    }

    /// Whether the service that keeps the files is away: no other model could be had either.
    pub(crate) fn is_passing(&self) -> bool {
        self.file().is_some_and(|error| error.class() == FailureClass::Passing)
    }

    /// All of them as one: what several entries have wrong is told at once. Nothing where there are none.
    pub(crate) fn all(mut errors: Vec<Self>) -> Result<(), Self> {
        if let Some(away) = errors.iter().position(Self::is_passing) {
            return Err(errors.swap_remove(away));
        }
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Several { errors }),
        }
    }
}

/// Errors that are written out where several members are wrong, and bytes of each.
const ERRORS_SHOWN: usize = 100;
const ERROR_BYTES: usize = 600;

fn one_a_line(errors: &[MembersError]) -> String {
    let mut text = format!("{} members cannot be used:", errors.len());
    for error in errors.iter().take(ERRORS_SHOWN) {
        let line = error.to_string();
        let end = line.floor_char_boundary(ERROR_BYTES.min(line.len()));
        text += &format!("\n  {}{}", &line[..end], if end < line.len() { "…" } else { "" });
    }
    if errors.len() > ERRORS_SHOWN {
        text += &format!("\n  and {} more", errors.len() - ERRORS_SHOWN);
    }
    text
}
