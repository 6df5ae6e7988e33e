//! The coordinator: plans a job, publishes its blocks, follows them to the end, and finishes what is made of all images
//! together.
//!
//! This crate must not know: the worker, how members are run, terminals.

mod beacon;
mod collected_results;
mod control;
mod follow;
mod lag;
mod lookup;
mod outstanding;
mod planning;
pub mod report;
mod spread;
mod status;
mod tables;

pub use beacon::Stopped;
pub use collected_results::{CollectedResults, TableRows};
pub use control::{cancel, new_run, retry, settle};
pub use follow::{Follow, FollowError, Tally};
pub use planning::{ImagesError, MembersError, PathError, PlanError, Planned, Rejected, outputs_hash, plan};
pub use report::{Finished, RunFacts, describe_grid};
pub use status::{JobState, LossShown, Status, unix_now};
pub use tables::{TableError, Tables};
