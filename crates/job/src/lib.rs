//! Jobs as values: what is computed, what is said about it, what is stored.
//!
//! This crate must not know: files, clocks, the environment, models' runtimes, pixels.

mod failures;
pub mod key;
mod ledger;
pub mod message;
mod plan;
mod signature;
pub mod tile;

pub use ledger::{Action, Ledger, Loss, Progress};
pub use message::{
    AggregateMessage, DeadLetter, Event, MessageError, ResultMessage, RunId, StageSeconds, TaskId,
    TaskMessage,
};
pub use plan::{Cost, Fit, Group, Input, Member, PLAN_FORMAT, Plan, PlannedImage, Scaling, Scoring, hash};
pub use signature::{Element, Layout, OutputForm, Signature};
pub use tile::{TileDtype, TileError, TileHeader, TileIndex};
