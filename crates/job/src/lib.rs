//! Jobs as values: what is computed, what is said about it, what is stored.
//!
//! This crate must not know: files, clocks, the environment, models' runtimes, pixels.

mod backend;
mod cascade;
mod gate;
mod image;
mod inference;
mod io_contract;
pub mod key;
mod ledger;
mod measured;
pub mod message;
mod plan;
mod region;
mod scale;
mod statistics;
mod task;
pub mod tile;
mod truth_labels;
mod unread;
mod zstd_frame;

pub use backend::{Backend, Precision, Provider};
pub use cascade::CascadeRule;
pub use gate::{GateModel, ImageGate, ImageGateError, denied};
pub use image::PlannedImage;
pub use inference::{Channels, ExternalFile, Fit, Group, Inference, Input, Member, PLAN_FORMAT, Scaling};
pub use io_contract::{Element, IoContract, Layout, OutputForm};
pub use ledger::{Action, Failed, Ledger, Loss, Progress, Stages, TaskPlace};
pub use measured::{By, Mask, Measure, Measured, Over, Per};
pub use message::{
    AggregateMessage, DeadLetter, Event, MessageError, ResultMessage, RunId, StageSeconds, TaskMessage,
};
pub use plan::{Cost, Merge, Plan, StoredPlanError, hash};
pub use region::{ImageRegion, RegionError, RegionForwards, RegionRule};
pub use scale::Scale;
pub use statistics::{BandStatistics, ImageStatistics, MeasuredBands, StatisticsError};
pub use task::{ImageTasks, TaskId, TaskKind};
pub use tile::{TileDtype, TileError, TileHeader, TileIndex};
pub use truth_labels::{LabelWriter, NO_TRUTH, TruthError, TruthLabels, TruthRows};
pub use unread::UnreadPart;
