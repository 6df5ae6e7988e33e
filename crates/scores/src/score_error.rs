//! Why scores cannot be had from the store.

use marquetry_ensemble::BadScore;
use marquetry_failure::{Classify, FailureClass};
use marquetry_geometry::Size;
use marquetry_job::{TaskId, TileError};
use marquetry_transport::StoreError;
use std::ops::Range;

/// Why rows of scores cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// A tile is not there or not what was stored; it must be computed again.
    #[error("the tile of {task} cannot be used: {fault}")]
    Damaged {
        /// The task that made it.
        task: TaskId,
        /// What was found.
        #[source]
        fault: Box<TileFault>,
    },
    /// There is not enough memory for a tile, which may be sound.
    #[error("the tile of {task} cannot be read here")]
    Memory {
        /// The task that made it.
        task: TaskId,
        /// What was found.
        #[source]
        fault: TileError,
    },
    /// The store is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No member of the plan scores the image.
    #[error("no member of the plan scores image {0}")]
    NoMember(String),
    /// The scores of a tile cannot be brought into the space in which groups are merged.
    #[error("scores cannot be merged")]
    BadScore(#[from] BadScore),
    /// Rows were asked for that the image does not have.
    #[error("there are no rows {rows:?} in an image of {size} px")]
    NoSuchRows {
        /// The rows, half-open.
        rows: Range<u32>,
        /// The image's size, px.
        size: Size,
    },
}

/// What is wrong with a tile.
#[derive(Debug, thiserror::Error)]
pub enum TileFault {
    /// It is gone, and was not given up.
    #[error("it is not in the store")]
    NotThere,
    /// Its header speaks of other scores, another block or other classes.
    #[error("it is of another plan")]
    OtherPlan,
    /// It went or became shorter while it was read.
    #[error(transparent)]
    Changed(#[from] StoreError),
    /// Its bytes are not those that were stored.
    #[error(transparent)]
    Bytes(#[from] TileError),
}

impl Classify for ScoreError {
    fn class(&self) -> FailureClass {
        match self {
            // It is computed again, and then put together again.
            Self::Damaged { .. } => FailureClass::Passing,
            Self::Memory { .. } => FailureClass::Worker,
            Self::Store(error) => class_of_store(error),
            Self::BadScore(_) => FailureClass::Input,
            Self::NoMember(_) | Self::NoSuchRows { .. } => FailureClass::Bug,
        }
    }
}

/// The store that tiles are read from. What is missing there may be on its way, or belongs to a run that has ended.
pub fn class_of_store(error: &StoreError) -> FailureClass {
    match error.class() {
        FailureClass::Input => FailureClass::Passing,
        class => class,
    }
}
