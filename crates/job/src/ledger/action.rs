//! What follows from what the ledger hears.

use super::TaskPlace;
use marquetry_failure::FailureClass;

/// What the coordinator must do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Have a task done.
    Compute {
        /// The task.
        task: TaskPlace,
        /// 1 for the first try.
        attempt: u32,
        /// Whether what is stored of it is damaged.
        replace: bool,
    },
    /// Have an image put together.
    Aggregate {
        /// Place of the image.
        image: u32,
        /// 1 for the first try.
        attempt: u32,
        /// Whether something is missing in it.
        partial: bool,
    },
    /// Write down that something was given up.
    GiveUp(Loss),
}

/// Something that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Place of the image.
    pub image: u32,
    /// Place of the task, unless the whole image is lost, or pixels alone.
    pub task: Option<u32>,
    /// Whether only pixels are missing, which cannot be read: the image is done.
    pub only_pixels: bool,
    /// Attempts made; 0 where it only follows from other losses, which are listed themselves.
    pub attempts: u32,
    /// Who is to blame.
    pub class: FailureClass,
    /// Why the last one failed; where machines are to blame, what each of them said.
    pub reason: String,
    /// Who said so last; empty where it only follows from other losses.
    pub from: String,
}

impl Loss {
    /// Whether it only follows from other losses, which are listed themselves.
    pub const fn is_consequence(&self) -> bool {
        self.attempts == 0
    }
}
