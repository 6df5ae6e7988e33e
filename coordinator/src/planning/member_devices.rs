//! Where each member runs: its model's files, its contracts and what was settled, put together.

use crate::planning::candidate::{Candidate, Probed};
use crate::planning::device::{Devices, Model, Settled};
use crate::planning::members_error::MembersError;
use crate::planning::models::Models;
use marquetry_job::Member;
use marquetry_model::{architecture, rate};
use marquetry_spec::JobSpec;

/// Settles where members run.
pub(crate) struct MemberDevices<'a> {
    spec: &'a JobSpec,
    models: &'a Models<'a>,
}

impl<'a> MemberDevices<'a> {
    pub(crate) fn new(spec: &'a JobSpec, models: &'a Models<'a>) -> Self {
        Self { spec, models }
    }

    /// Where the one member of `probed` runs, and at which batch: it stands in its contracts then. Nothing where the plan says nothing
    /// of devices.
    ///
    /// # Errors
    /// When it runs on no device that it may run on.
    pub(crate) fn settle(
        &self,
        candidate: &Candidate<'_>,
        probed: &mut Probed,
    ) -> Result<Option<Settled>, MembersError> {
        let Models { runtime, memory, hardware, .. } = *self.models;
        let rate = |model: &_, contract: &_, options: &_, sessions| {
            rate(runtime, model, contract, options, sessions)
        };
        let devices =
            Devices { said: self.spec.device, hardware, memory, version: runtime.version(), rate: &rate };
        if devices.are_unsaid() {
            return Ok(None);
        }
        let read = candidate.read(self.models)?;
        let Probed { group, at_batches, choices, .. } = probed;
        let Some(member) = group.members.first_mut() else { return Ok(None) };
        // Where the batch is settled, or the model takes no other, there is one contract: the member's own.
        let first: Vec<_> = match at_batches.as_slice() {
            [] => member.signatures.first().cloned().into_iter().collect(),
            several => several.iter().filter_map(|sizes| sizes.first().cloned()).collect(),
        };
        let architecture = architecture(&read.files.onnx).unwrap_or_else(|_| member.content_hash());
        let model = Model { files: &read.files, contracts: &first };
        let settled = devices.settle(&model, &architecture).map_err(|error| candidate.failed(error))?;
        if let Some(batch) = settled.batch
            && let Some(sizes) = at_batches.iter().find(|sizes| sizes.iter().all(|size| size.batch == batch))
        {
            member.signatures.clone_from(sizes);
        }
        settle_backend(member, &settled);
        choices.device = Some(settled.choice());
        Ok(Some(settled))
    }
}

fn settle_backend(member: &mut Member, settled: &Settled) {
    for signature in &mut member.signatures {
        signature.backend = settled.backend;
    }
}
