//! The coordinator: plans a job, publishes its blocks, follows them to the end, and finishes what is made of all images
//! together.
//!
//! This crate must not know: the worker, how members are run, terminals.

mod breaker;
mod control;
mod ended_run;
mod in_flight;
mod job_runner;
mod lag;
mod leased_store;
mod least_loaded;
mod losses;
mod planning;
mod recovery;
pub mod report;
mod run_lease;
mod status;
mod tables;
mod worker_health;

pub use breaker::AllFail;
pub use control::{cancel, new_run, retry, set_state};
pub use ended_run::EndedRun;
pub use job_runner::{JobRunner, RunError, Tally};
pub use losses::{LossCount, Losses};
pub use planning::{ImagesError, MembersError, PathError, PlanError, Planned, Rejected, outputs_hash, plan};
pub use report::{Finished, RunFacts, describe_grid};
pub use run_lease::Stopped;
pub use status::{JobState, LossShown, Status, unix_now};
pub use tables::{TableError, Tables};
pub use worker_health::SickWorker;
