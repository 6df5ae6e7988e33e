//! OpenVINO's C library, found at run time: a model of one input compiled for the processor, and run.
//!
//! What is used of the library is as it has been since 2024.6. Numbers of its enumerations have changed since, so none is relied on.
//!
//! This crate must not know: contracts, members, images; where the library is looked for.

mod c_api;
mod compiled;
mod error;
mod library;
mod trial;

pub use compiled::{Compiled, Number};
pub use error::OpenVinoError;
pub use library::{CompileOptions, OpenVino, Precision};
pub use trial::{Trial, TrialRequest, answer};
