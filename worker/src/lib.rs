//! The worker: receives blocks, reads pixels, runs members, stitches windows, stores tiles, says so.
//!
//! A task goes through [`Worker`] (`task_loop.rs`): its image is opened, its windows are computed by *lanes* (threads
//! that each own a [`Scorer`] and take one run of windows after the other), added to its canvas in the order of the plan
//! (`ordered.rs`, the place to begin reading), and encoded band by band; its tile is stored, and only then announced and
//! acknowledged. While the lanes compute one task, the image of the next is opened and the tile of the one before is
//! stored.
//!
//! This crate must not know: the coordinator, decisions, outputs.

mod block;
mod context;
mod failure;
mod gate_run;
mod health;
mod image;
mod lane;
mod measure;
mod network;
mod ordered;
mod planned_models;
mod plans;
mod prepare;
mod read;
mod scorer;
mod self_test;
mod task_loop;
mod tile_builder;
mod windows;

pub use failure::Failure;
pub use image::{ImageOptions, Images};
pub use network::{NetworkSource, RuntimeSource};
pub use scorer::{
    FusedOptions, FusedScorers, GateRequest, HostScorers, Returned, ScoreRequest, ScoreSink, Scorer,
    ScorerSource, scorers,
};
pub use self_test::{SelfTest, try_device};
pub use task_loop::{Worker, WorkerError, WorkerOptions};
pub use windows::{PlannedWindows, WindowBuffers, WindowPlace};
