//! How quickly each of a job's models runs by itself, in several ways of using the cores.

use crate::exit::Fatal;
use crate::threads::Threads;
use marquetry_coordinator::{ModelReadError, Planned, read_model};
use marquetry_failure::Classify as _;
use marquetry_job::{Member, Provider};
use marquetry_model::{Device, ModelFiles, Runtime, SessionOptions, architecture, rate};
use marquetry_transport::Files;

/// Sessions side by side, at most.
const LANES_MAX: usize = 16;

/// The work around models takes time too, and less of it where it is done by several threads: a way in which they take at most so many
/// times as long may be the quickest with all of it.
const NOT_MUCH: f64 = 1.5;

/// One way of running a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ModelRate {
    pub(super) device: Device,
    /// Whose kernels the plan has it computed by.
    pub(super) provider: Provider,
    /// Sessions side by side, and the threads of each; on a GPU one of one.
    pub(super) threads: Threads,
    pub(super) per_second: f64,
}

/// Models of one architecture under one contract.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ModelKind {
    /// The first of them.
    pub(super) name: String,
    pub(super) count: usize,
    /// Model runs of one window each that the job takes of all of them.
    pub(super) forwards: u64,
    /// In the order in which they were measured, the one that the job uses or would use first.
    pub(super) rates: Vec<ModelRate>,
}

impl ModelRate {
    /// As `--device` takes it.
    pub(super) fn device(&self) -> String {
        match self.provider {
            Provider::OpenVino => self.provider.to_string(),
            Provider::Any | Provider::Cpu | Provider::Cuda => self.device.to_string(),
        }
    }
}

impl ModelKind {
    /// Windows a second in the quickest of the ways that were measured on the device that it runs on.
    pub(super) fn best(&self) -> f64 {
        let own = self.rates.first().map(|rate| rate.device);
        let of = self.rates.iter().filter(|rate| Some(rate.device) == own);
        of.map(|rate| rate.per_second).fold(0.0, f64::max)
    }
}

/// All kinds of a job.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ModelRates {
    pub(super) kinds: Vec<ModelKind>,
}

impl ModelRates {
    /// Seconds that all model runs of the job take by themselves, each kind in its quickest way.
    pub(super) fn seconds(&self) -> f64 {
        self.kinds.iter().map(|kind| kind.forwards as f64 / kind.best().max(1e-9)).sum()
    }

    /// The ways of using the cores in which all model runs of the job on the processor take least time together, the best of them first; one
    /// that takes much longer than that is left out. None where there is no choice.
    pub(super) fn good_ways(&self) -> Vec<Threads> {
        let on_processor = self.kinds.iter().filter(|kind| {
            kind.rates.first().is_some_and(|rate| rate.device == Device::Cpu) && kind.rates.len() > 1
        });
        let kinds: Vec<&ModelKind> = on_processor.collect();
        let seconds = |threads: Threads| -> f64 {
            let of = |kind: &&ModelKind| {
                let rate = kind.rates.iter().find(|rate| rate.threads == threads);
                rate.map_or(f64::INFINITY, |rate| kind.forwards as f64 / rate.per_second)
            };
            kinds.iter().map(of).sum()
        };
        let Some(first) = kinds.first() else { return Vec::new() };
        let mut ways: Vec<(f64, Threads)> =
            first.rates.iter().map(|rate| (seconds(rate.threads), rate.threads)).collect();
        ways.sort_by(|a, b| a.0.total_cmp(&b.0));
        let best = ways[0].0;
        ways.into_iter()
            .filter(|(seconds, _)| *seconds <= best * NOT_MUCH)
            .map(|(_, threads)| threads)
            .collect()
    }
}

/// Measures one model of each kind. `asked`: the only way of using the cores that is of interest.
pub(super) fn model_rates(
    planned: &Planned,
    files: &Files,
    runtime: &Runtime,
    (device, asked): (Device, Option<Threads>),
) -> Result<ModelRates, Fatal> {
    let mut kinds: Vec<(String, ModelKind)> = Vec::new();
    for (member, forwards) in members(planned) {
        let model = read(files, member)?;
        let shape = architecture(&model.onnx).unwrap_or_else(|_| member.content_hash());
        let key = format!("{shape} {:?}", member.signatures);
        if let Some((_, kind)) = kinds.iter_mut().find(|(known, _)| *known == key) {
            kind.count += 1;
            kind.forwards += forwards;
            continue;
        }
        let rates = rates(runtime, member, &model, device, asked)?;
        kinds.push((key, ModelKind { name: member.name.clone(), count: 1, forwards, rates }));
    }
    Ok(ModelRates { kinds: kinds.into_iter().map(|(_, kind)| kind).collect() })
}

/// Members, each with the model runs that the job takes of it.
fn members(planned: &Planned) -> Vec<(&Member, u64)> {
    let plan = &planned.plan;
    let mut all: Vec<(&Member, u64)> = plan.inference.members().map(|member| (member, 0)).collect();
    for image in &planned.images {
        for (group, of) in plan.inference.groups.iter().enumerate() {
            let first = plan.inference.first_member(group);
            let scored: Vec<usize> =
                (first..first + of.members.len()).filter(|place| image.is_scored_by(*place)).collect();
            let each = plan.forwards_of_group(image, group) / scored.len().max(1) as u64;
            scored.iter().for_each(|place| all[*place].1 += each);
        }
    }
    all
}

fn read(files: &Files, member: &Member) -> Result<ModelFiles, Fatal> {
    read_model(files, &member.onnx, None).map_err(|error| match error {
        ModelReadError::File(error) => Fatal::of_file(&error, &error),
        ModelReadError::Model(error) => Fatal::new(error.class().into(), error),
    })
}

fn rates(
    runtime: &Runtime,
    member: &Member,
    model: &ModelFiles,
    device: Device,
    asked: Option<Threads>,
) -> Result<Vec<ModelRate>, Fatal> {
    let Some(contract) = member.signatures.first() else { return Ok(Vec::new()) };
    let measured = |device: Device, threads: Threads| {
        let options = SessionOptions::on(device, threads.each);
        let per_second = rate(runtime, model, contract, &options, threads.lanes).map_err(|error| {
            Fatal::new(error.class().into(), format!("measuring member {}: {error}", member.name))
        })?;
        Ok::<_, Fatal>(ModelRate { device, provider: contract.backend.provider, threads, per_second })
    };
    if device != Device::Cpu && !contract.backend.provider.is_on_processor() {
        return Ok(vec![measured(device, Threads { lanes: 1, each: 1 })?]);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let ways = asked.map_or_else(|| ways(cores), |threads| vec![threads]);
    ways.into_iter().map(|threads| measured(Device::Cpu, threads)).collect()
}

/// From a session for each core to one session with all of them, by halves.
fn ways(cores: usize) -> Vec<Threads> {
    let mut ways = Vec::new();
    let mut lanes = cores.min(LANES_MAX);
    while lanes > 0 {
        ways.push(Threads { lanes, each: (cores / lanes).max(1) });
        lanes /= 2;
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(forwards: u64, rates: &[(usize, usize, f64)]) -> ModelKind {
        let rate = |&(lanes, each, per_second): &(usize, usize, f64)| ModelRate {
            device: Device::Cpu,
            provider: Provider::Any,
            threads: Threads { lanes, each },
            per_second,
        };
        ModelKind { name: "m".into(), count: 1, forwards, rates: rates.iter().map(rate).collect() }
    }

    #[test]
    fn cores_are_used_from_a_session_each_to_one_of_all() {
        let of = |cores| ways(cores).into_iter().map(|way| (way.lanes, way.each)).collect::<Vec<_>>();
        assert_eq!(of(1), [(1, 1)]);
        assert_eq!(of(6), [(6, 1), (3, 2), (1, 6)]);
        assert_eq!(of(64), [(16, 4), (8, 8), (4, 16), (2, 32), (1, 64)]);
    }

    #[test]
    fn ways_are_ordered_by_what_all_kinds_together_take_in_them() {
        // The first runs ten times as often, so what is best for it is best for both.
        let kinds =
            vec![kind(1000, &[(2, 1, 100.0), (1, 2, 50.0)]), kind(100, &[(2, 1, 10.0), (1, 2, 15.0)])];
        let rates = ModelRates { kinds };
        let way = |lanes, each| Threads { lanes, each };
        assert_eq!(rates.good_ways(), [way(2, 1), way(1, 2)]);
        assert!((rates.seconds() - (10.0 + 100.0 / 15.0)).abs() < 1e-9);
        let lone = ModelRates { kinds: vec![kind(10, &[(2, 1, 5.0)])] };
        assert_eq!(lone.good_ways(), [], "there is no choice");
        let far = ModelRates { kinds: vec![kind(10, &[(2, 1, 5.0), (1, 2, 2.0)])] };
        assert_eq!(far.good_ways(), [way(2, 1)]);
    }
}
