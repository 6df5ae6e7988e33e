//! What lanes call: windows in, merged class scores out.
//!
//! A lane knows which windows are next and where their sums go; how pixels become scores is behind one trait. A
//! [`Scorer`] gets a [`ScoreRequest`] (some windows, their samples, the group's views, some of its members) and gives
//! what it computed to a [`ScoreSink`]: for each window the scores of all classes, views merged, in the plan's space,
//! in the image's orientation.
//!
//! Scorers differ in how much they do themselves:
//!
//! - The host scorer ([`HostScorers`]) prepares each view in code, runs one network for each member and size, brings the
//!   views back and merges them in code, and gives the sink one member after the other ([`ScoreSink::add`]).
//! - The fused scorer ([`FusedScorers`]) has views, activation, their inverses and the mean in one graph with each model, run by
//!   threads that own the device. What such a graph cannot do, and the gate, it leaves to the host scorer.
//! - One that has all members in one graph would give the sink one sum over all of them ([`ScoreSink::add_sum`]).
//!
//! **What is chosen at run time, and what in the plan.** How many windows come in one request is for the scorer to say
//! ([`ScorerSource::windows_together`]): windows are added one by one and in the same order, so no bit hangs on it. The
//! *shape* in which a network runs is in the plan (`IoContract::batch`), because kernels are chosen by shape, and with
//! them the last bits of what a model says; the host scorer keeps to it, and fills up what is short. Which members come
//! together (`passes` in `context.rs`) follows from the plan too, since their scores are summed before they meet the
//! canvas. A scorer that batches otherwise than the plan says must know that its device gives the same bits for any
//! batch, or be a choice of the plan. The fused scorer is neither: its shapes follow from the plan, so that all workers that
//! have it give the same bits on one kind of device, but they are not the host scorer's. On the processor scores are within
//! 1e-5 of those, and probabilities in half precision within 5e-4. Who chooses it must choose it for all workers of a job.

mod device;
mod fused;
mod fused_spec;
mod gate;
mod host;
mod of_device;
mod request;
mod sink;

pub use fused::{FusedOptions, FusedScorers, Returned};
pub use gate::GateRequest;
pub use host::HostScorers;
pub use of_device::scorers;
pub use request::ScoreRequest;
pub(crate) use sink::PendingSums;
pub use sink::ScoreSink;

use crate::Failure;
use marquetry_job::{Group, Member, StageSeconds};

/// Computes the scores of windows. Each lane owns one, and drops it when it panics.
pub trait Scorer: Send {
    /// Scores all windows of `request`, shown in all of the group's views to each of the requested members, and gives
    /// them to `sink`, windows in order (see there). Returns how long it took to prepare, infer and stitch; reading is
    /// counted by the request.
    ///
    /// # Errors
    /// When pixels cannot be read, or a model does not run or says something that is no number.
    fn score(
        &mut self,
        request: &mut ScoreRequest<'_>,
        sink: &mut ScoreSink<'_>,
    ) -> Result<StageSeconds, Failure>;

    /// What a model of the gate says of the image of `request`: the probability of each of its channels. Returns how long it took
    /// to prepare and infer too; reading is counted by the request.
    ///
    /// # Errors
    /// When pixels cannot be read, or the model does not run or says something that is no number.
    fn score_image(&mut self, request: &mut GateRequest<'_>) -> Result<(Vec<f32>, StageSeconds), Failure>;
}

/// Makes the scorers of a worker's lanes.
pub trait ScorerSource: Send + Sync {
    /// A scorer for the lane that asks, which keeps about `model_bytes` bytes of models open.
    ///
    /// # Errors
    /// When the device does not let itself be used. The lane's task fails with that, and its next one asks again.
    fn open(&self, model_bytes: u64) -> Result<Box<dyn Scorer>, Failure>;

    /// Has all that the members need on this machine, so that computing begins with computing. May take long, and is no part
    /// of any deadline.
    ///
    /// # Errors
    /// When it cannot be had.
    fn fetch(&self, _members: &[Member]) -> Result<(), Failure> {
        Ok(())
    }

    /// How many windows of `group` are best scored together, at least 1. Sums of so many windows wait in memory, for
    /// each lane; no byte of a tile hangs on it.
    fn windows_together(&self, group: &Group) -> u64;
}
