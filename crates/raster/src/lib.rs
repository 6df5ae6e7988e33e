//! Images in, by windows, and rasters out.
//!
//! This crate must not know: jobs, models, queues.

pub mod read;
pub mod rle;
pub mod thumbnail;
pub mod write;
