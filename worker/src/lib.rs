//! The worker: receives blocks, reads pixels, runs members, stitches windows, stores tiles, says so.
//!
//! A task goes through [`pump`](crate::Worker): its image is opened, its windows are computed by *lanes* (threads that
//! each own their sessions and take one run of windows after the other) and encoded band by band, its tile is stored,
//! and only then announced and acknowledged. While the lanes compute one task, the image of the next is opened and the
//! tile of the one before is stored.
//!
//! This crate must not know: the coordinator, decisions, outputs.

mod block;
mod context;
mod failure;
mod fold;
mod health;
mod image;
mod lane;
mod network;
mod plans;
mod prepare;
mod pump;
mod read;
mod unit;

pub use failure::Failure;
pub use image::{ImageOptions, Images};
pub use network::{NetworkSource, OrtSource};
pub use pump::{Worker, WorkerError, WorkerOptions};
