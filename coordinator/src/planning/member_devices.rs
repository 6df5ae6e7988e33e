//! Where and how exactly each member runs: its model's files, its contracts and what was settled, put together.

use crate::planning::candidate::{Candidate, Probed};
use crate::planning::device::{self, Devices, Hardware, Model, Settled};
use crate::planning::members_error::MembersError;
use crate::planning::models::{Models, PlannedModel};
use crate::planning::precision::{self, PrecisionTrial, Tried, quickest};
use crate::planning::vouched::{Voucher, by_openvino};
use marquetry_ensemble::LabelRule;
use marquetry_geometry::Size;
use marquetry_job::{Backend, Group, IoContract, Precision, Provider, hash};
use marquetry_model::{Device, ModelError, SessionOptions, rate, skeleton};
use marquetry_spec::{DeviceKind, Exactness, JobSpec};
use std::collections::HashSet;

/// Windows on which precisions are compared, at most.
const WINDOWS: usize = 24;
/// Windows on which OpenVINO is compared with ONNX Runtime, at most.
const WINDOWS_VOUCHED: usize = 8;
/// Pixels of all windows on which precisions are compared, about, and of those on which OpenVINO is: more say no more.
const PIXELS_COMPARED: u64 = 2 << 20;
const PIXELS_VOUCHED: u64 = 1 << 19;
/// A job that has fewer pixels of windows, for each processor, is not measured for a gain on the same processor: it takes about a second, and
/// such a job is done in a few.
const PIXELS_MIN: u64 = 48 << 20;
/// Likewise what each member must have, since each is compared, and compiled in each lane.
const PIXELS_MIN_EACH: u64 = 24 << 20;

/// Settles where members run, and how exactly.
pub(crate) struct MemberDevices<'a> {
    spec: &'a JobSpec,
    models: &'a Models<'a>,
    /// How many members the job has.
    members: u64,
    /// What was settled of each member, by name.
    settled: Vec<(String, Settled)>,
    /// And what was found of other precisions, where the job wants it quick.
    tried: Vec<(String, Vec<Tried>)>,
    /// Networks that OpenVINO was seen to compute rightly, by all but their weights.
    vouched: HashSet<String>,
}

impl<'a> MemberDevices<'a> {
    pub(crate) fn new(spec: &'a JobSpec, models: &'a Models<'a>, members: usize) -> Self {
        let members = members as u64;
        Self { spec, models, members, settled: Vec::new(), tried: Vec::new(), vouched: HashSet::new() }
    }

    /// Where the one member of `probed` runs, and at which batch: it stands in its contracts then. Nothing stands there where the plan
    /// says nothing of devices.
    ///
    /// # Errors
    /// When it runs on no device that it may run on.
    pub(crate) fn settle(
        &mut self,
        candidate: &Candidate<'_>,
        probed: &mut Probed,
    ) -> Result<(), MembersError> {
        let Models { runtime, memory, hardware, .. } = *self.models;
        let without = hardware.filter(|hardware| !self.is_worth_it(candidate, &probed.group, hardware));
        let without = without.map(|hardware| Hardware { openvino: None, ..hardware.clone() });
        let hardware = without.as_ref().or(hardware);
        let rate = |model: &_, contract: &_, options: &_, sessions| {
            rate(runtime, model, contract, options, sessions)
        };
        let devices =
            Devices { said: self.spec.device, hardware, memory, version: runtime.version(), rate: &rate };
        if devices.are_unsaid() {
            return Ok(());
        }
        let model = candidate.read(self.models)?;
        let Probed { group, at_batches, choices, .. } = probed;
        let Some(member) = group.members.first_mut() else { return Ok(()) };
        // Where the batch is settled, or the model takes no other, there is one contract: the member's own.
        let first: Vec<_> = match at_batches.as_slice() {
            [] => member.signatures.first().cloned().into_iter().collect(),
            several => several.iter().filter_map(|sizes| sizes.first().cloned()).collect(),
        };
        let architecture =
            skeleton(&model.files.onnx).map_or_else(|_| member.content_hash(), |one| hash(&[&one]));
        let measured = Model { files: &model.files, contracts: &first };
        let mut settled =
            devices.settle(&measured, &architecture).map_err(|error| candidate.failed(error))?;
        if let Some(batch) = settled.batch
            && let Some(sizes) = at_batches.iter().find(|sizes| sizes.iter().all(|size| size.batch == batch))
        {
            member.signatures.clone_from(sizes);
        }
        member.signatures.iter_mut().for_each(|signature| signature.backend = settled.backend);
        let others = self.others(settled.backend);
        if self.spec.precision == Exactness::Fast && !others.is_empty() {
            // Values inside of it are looked at one window at a time: all of them come back.
            let one = at_batches.first().and_then(|sizes| sizes.first());
            let tried = self.precisions(candidate, (&model, &architecture), (group, one), &others)?;
            if let Some(quickest) = quickest(&tried) {
                settled.backend = quickest.backend;
            }
            self.tried.push((candidate.name.clone(), tried));
        }
        if settled.backend.provider == Provider::OpenVino
            && let Some(hardware) = hardware
        {
            let refusal =
                self.vouch(candidate, (&model, &architecture), (group, hardware), settled.backend)?;
            if let Some(reason) = refusal {
                let tried = self.tried.iter_mut().filter(|(name, _)| *name == candidate.name);
                let by_openvino = tried.flat_map(|(_, tried)| tried);
                by_openvino.for_each(|tried| tried.refusal = Some("OpenVINO does not compute it".to_owned()));
                settled.refuse_openvino(reason, hardware);
            }
        }
        let signatures = group.members.iter_mut().flat_map(|member| &mut member.signatures);
        signatures.for_each(|signature| signature.backend = settled.backend);
        choices.device = Some(settled.choice());
        self.settled.push((candidate.name.clone(), settled));
        Ok(())
    }

    /// Whether the job computes for long enough that it gains something to look whether OpenVINO is quicker. Who asks for it has it.
    fn is_worth_it(&self, candidate: &Candidate<'_>, group: &Group, hardware: &Hardware) -> bool {
        if self.spec.device != DeviceKind::Auto || self.spec.precision == Exactness::Fast {
            return true;
        }
        let sizes = candidate.looked_at.images.iter().map(|image| image.size);
        is_long(sizes, group, pixels_min(self.members, hardware.lanes))
    }

    /// Makes sure that OpenVINO computes the member as it should, at every size; why not, where the job leaves the choice.
    ///
    /// # Errors
    /// When it does not, and the job insists.
    fn vouch(
        &mut self,
        candidate: &Candidate<'_>,
        (model, architecture): (&PlannedModel, &str),
        (group, hardware): (&Group, &Hardware),
        backend: Backend,
    ) -> Result<Option<String>, MembersError> {
        let Models { runtime, memory, .. } = *self.models;
        let (member, shown) = (&group.members[0], candidate.looked_at.shown);
        let contracts = by_openvino(&member.signatures, backend.precision);
        let windows = contracts.first().map_or_else(Vec::new, |contract| {
            let most = windows_of(PIXELS_VOUCHED, contract.size).clamp(1, WINDOWS_VOUCHED);
            shown.spread(&member.input, group.scaling, (contract.channels, contract.size), most)
        });
        let alike = format!("{architecture} {contracts:?}");
        let voucher = Voucher {
            runtime,
            model: &model.files,
            content: &member.content_hash(),
            contracts: &contracts,
            windows: &windows,
            is_like_another: self.vouched.contains(&alike),
            shown: &format!("{} {}", hardware.name, shown.key(&member.input, group.scaling)),
            options: SessionOptions::on(Device::Cpu, hardware.threads),
        };
        let is_choice = self.spec.device == DeviceKind::Auto;
        match voucher.vouch(memory) {
            Ok(Some(reason)) if !is_choice => {
                Err(candidate.failed(ModelError::Device { device: "openvino".into(), reason }))
            }
            Err(error) if !is_choice => Err(candidate.failed(error)),
            Ok(refusal) => {
                if refusal.is_none() {
                    self.vouched.insert(alike);
                }
                Ok(refusal)
            }
            Err(error) => Ok(Some(error.to_string())),
        }
    }

    /// What else a model may be computed by that is settled to be computed by `backend`, in single precision.
    fn others(&self, backend: Backend) -> Vec<Backend> {
        let Some(hardware) = self.models.hardware else { return Vec::new() };
        if backend.provider == Provider::Cuda {
            let of = |precision| Backend { precision, ..backend };
            let here = hardware.gpu.map(|_| [Precision::Tf32, Precision::F16].map(of));
            return here.into_iter().flatten().collect();
        }
        // In single precision it may be the slower one, and in others the quicker one.
        let is_let_in = matches!(self.spec.device, DeviceKind::Auto | DeviceKind::OpenVino);
        let openvino = hardware.openvino.iter().filter(|_| is_let_in);
        openvino.flatten().map(|&precision| Backend { provider: Provider::OpenVino, precision }).collect()
    }

    /// What they come to, on windows of the job's images.
    fn precisions(
        &self,
        candidate: &Candidate<'_>,
        (model, architecture): (&PlannedModel, &str),
        (group, one): (&Group, Option<&IoContract>),
        others: &[Backend],
    ) -> Result<Vec<Tried>, MembersError> {
        let Models { runtime, memory, hardware, .. } = *self.models;
        let member = &group.members[0];
        let (contract, shown) = (&member.signatures[0], candidate.looked_at.shown);
        let seen = (contract.channels, contract.size);
        let most = windows_of(PIXELS_COMPARED, contract.size).clamp(4, WINDOWS);
        let windows = shown.spread(&member.input, group.scaling, seen, most);
        if windows.is_empty() {
            return Ok(Vec::new());
        }
        let Some(hardware) = hardware else { return Ok(Vec::new()) };
        let (options, sessions) = match hardware.gpu {
            Some(gpu) if contract.backend.provider == Provider::Cuda => (SessionOptions::on(gpu, 1), 1),
            _ => (SessionOptions::on(Device::Cpu, hardware.threads), hardware.lanes),
        };
        let trial = PrecisionTrial {
            runtime,
            model: &model.files,
            content: &member.content_hash(),
            architecture,
            contract,
            one: &IoContract { backend: contract.backend, ..one.unwrap_or(contract).clone() },
            others,
            options,
            sessions,
            rule: LabelRule::of(member.applied, self.spec.labelling, contract.classes as usize),
            windows: &windows,
            machine: &hardware.name,
            shown: &format!("{hardware:?} {}", shown.key(&member.input, group.scaling)),
        };
        trial.all(memory).map_err(|error| candidate.failed(error))
    }

    /// What there is to tell.
    pub(crate) fn told(&self) -> Vec<String> {
        let mut lines = device::told(&self.settled);
        lines.extend(precision::told(&self.tried));
        if self.spec.precision == Exactness::Fast && self.tried.is_empty() {
            let where_to = if self.models.hardware.is_some() {
                "members run on the processor, which has no other here (with OpenVINO it may: docs/devices.md)"
            } else {
                "it is measured where the job is computed, by marquetry run; for a cluster, marquetry convert writes models in half precision"
            };
            lines.push(format!("precision: fast: all is computed in f32: {where_to}"));
        }
        lines
    }
}

/// How many windows of this size have so many pixels.
fn windows_of(pixels: u64, size: Size) -> usize {
    pixels.div_ceil(size.area().max(1)) as usize
}

/// Pixels of windows that each of a job's `members` must have to be measured, where so many lanes compute.
fn pixels_min(members: u64, lanes: usize) -> u64 {
    lanes as u64 * (PIXELS_MIN / members.max(1)).max(PIXELS_MIN_EACH)
}

/// Whether the one member of `group` is shown so many pixels in images of these sizes, in all windows and views.
fn is_long(sizes: impl Iterator<Item = Size>, group: &Group, pixels_min: u64) -> bool {
    let contract = group.members.first().and_then(|member| member.signatures.first());
    let window = contract.map_or(0, |contract| contract.size.area()) * group.views.len() as u64;
    let mut pixels = 0_u64;
    // A few large images or many small ones: no more of them are looked at than it takes.
    sizes.map(|size| group.grid(size).map_or(0, |grid| grid.len())).any(|windows| {
        pixels = pixels.saturating_add(windows.saturating_mul(window));
        pixels >= pixels_min
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_members_need_more_work_together_and_many_lanes_each() {
        assert_eq!(pixels_min(1, 1), 48 << 20);
        assert_eq!(pixels_min(2, 1), 24 << 20);
        assert_eq!(pixels_min(30, 1), 24 << 20, "each is compared");
        assert_eq!(pixels_min(1, 8), 384 << 20);
    }
}
