//! The coordinator: plans a job, publishes its blocks, follows them to the end, and finishes what is made of all images
//! together.
//!
//! This crate must not know: the worker, how members are run, terminals.

mod control;
mod in_flight;
mod job_runner;
mod lag;
mod least_loaded;
mod planning;
mod recovery;
pub mod report;
mod run_lease;
mod status;
mod tables;

pub use control::{cancel, new_run, retry, set_state};
pub use job_runner::{JobRunner, RunError, Tally};
pub use planning::{ImagesError, MembersError, PathError, PlanError, Planned, Rejected, outputs_hash, plan};
pub use report::{Finished, RunFacts, describe_grid};
pub use run_lease::Stopped;
pub use status::{JobState, LossShown, Status, unix_now};
pub use tables::{TableError, Tables};
