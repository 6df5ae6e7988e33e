//! What a schedule is made of. `coordinator.rs` alone knows how a coordinator is run, `protocol.rs` the shapes of
//! messages, `plans.rs` those of plans, `aggregator.rs` what an image leaves in the store.

mod aggregator;
mod check;
mod cluster;
mod coordinator;
mod faults;
mod journal;
mod plans;
mod protocol;
mod queue;
mod schedules;
mod worker;

pub(crate) use aggregator::Made;
pub(crate) use check::check;
pub(crate) use cluster::Cluster;
pub(crate) use coordinator::{Coordinating, End, Options};
pub(crate) use faults::{Effect, Fault, Gate, Verb};
pub(crate) use journal::Entry;
pub(crate) use plans::{JobOf, image, image_of, job_of, key_of, left_of_tasks, staged_job_of, tiles_of};
pub(crate) use protocol::{TaskId, TaskKind};
pub(crate) use schedules::{Seeds, schedules};
pub(crate) use worker::{Script, Sickness, Worker, say_stored};
