//! On which device each model runs, and how many windows at once: as the job says, or as measured.

use crate::planning::findings::{Choice, Origin};
use crate::planning::memory::PlanMemory;
use marquetry_job::{Backend, IoContract, Precision, Provider, hash};
use marquetry_model::{Device, ModelError, ModelFiles, SessionOptions};
use marquetry_spec::DeviceKind;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;

/// How many windows a model may be shown at once on a GPU. Small ones leave most of it idle with one.
pub(crate) const BATCHES: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Where it cannot be measured, as many fill a GPU with models of usual sizes.
const UNMEASURED: u32 = 16;
/// The smallest batch that comes so near to the best is taken: memory is for others too.
const NEAR: f64 = 0.95;
/// Most bytes of input and output of one run: more takes memory on both sides of the bus and gains nothing.
const RUN_BYTES_MAX: usize = 512 << 20;
/// So much quicker than ONNX Runtime must OpenVINO be on the same processor, or compiling each network, in memory of
/// its own, takes what it gains.
const GAIN_MIN: f64 = 1.1;
/// Counted up whenever something else would be measured.
const RATES_FORMAT: u32 = 2;

/// The machine that computes a job, where it is the one that plans it.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// Its GPU, which works; none where members are not to run on one.
    pub gpu: Option<Device>,
    /// The precisions, beside single, that OpenVINO has instructions of the processor for; none where members are not to be computed by it.
    pub openvino: Option<Vec<Precision>>,
    /// Names processor, GPU and OpenVINO's version: what was measured on others is not used.
    pub name: String,
    /// Sessions side by side on the processor.
    pub lanes: usize,
    /// Threads of each.
    pub threads: usize,
}

/// Windows a second of one model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rate {
    provider: Provider,
    batch: u32,
    per_second: f64,
}

/// What was measured of a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    rates: Vec<Rate>,
    /// Why it does not run by some of them at all.
    refusals: Vec<(Provider, String)>,
}

impl Measured {
    /// How many ways of computing it there were.
    fn ways(&self) -> usize {
        let providers = self.rates.iter().map(|rate| rate.provider);
        providers.chain(self.refusals.iter().map(|(provider, _)| *provider)).collect::<HashSet<_>>().len()
    }

    /// The smallest batch that is nearly as good as the best.
    fn batch_on_gpu(&self) -> Option<u32> {
        let enough = NEAR * self.best(Provider::Cuda);
        let of =
            self.rates.iter().filter(|rate| rate.provider == Provider::Cuda && rate.per_second >= enough);
        of.map(|rate| rate.batch).min()
    }

    /// Windows a second at the best batch; 0 where it does not run.
    fn best(&self, provider: Provider) -> f64 {
        let of = self.rates.iter().filter(move |rate| rate.provider == provider);
        of.map(|rate| rate.per_second).fold(0.0, f64::max)
    }
}

/// What was settled on for a model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settled {
    /// Whose kernels.
    pub(crate) backend: Backend,
    /// How many windows at once; none where that was settled already.
    pub(crate) batch: Option<u32>,
    /// What it was chosen by; none where nothing was measured.
    pub(crate) measured: Option<Measured>,
}

impl Settled {
    /// ONNX Runtime computes it instead, for a reason that is told.
    pub(crate) fn refuse_openvino(&mut self, reason: String, hardware: &Hardware) {
        self.backend = Backend::exact(on_processor(hardware));
        self.measured.get_or_insert_default().refusals.push((Provider::OpenVino, reason));
    }

    /// It in words, and where it came from.
    pub(crate) fn choice(&self) -> Choice<String> {
        // Of one way alone the job has said it, and a batch is measured all the same.
        let is_choice = self.measured.as_ref().is_some_and(|measured| measured.ways() > 1);
        let from = if is_choice || (self.batch.is_some() && self.measured.is_some()) {
            Origin::Measured
        } else {
            Origin::Said
        };
        let value = match self.batch {
            Some(batch) if self.measured.is_none() => {
                format!("{}; {batch} windows at once, which is not measured", self.backend)
            }
            _ => self.to_string(),
        };
        Choice { value, from }
    }
}

impl fmt::Display for Settled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A worker's own device is the processor, where the plan says nothing of it.
        let backend =
            if self.backend == Backend::default() { Backend::exact(Provider::Cpu) } else { self.backend };
        write!(f, "{backend}")?;
        self.batch.map_or(Ok(()), |batch| write!(f, ", {batch} windows at once"))
    }
}

/// A model to settle on: its files, and its contract at each batch that it takes, by rising batches.
pub(crate) struct Model<'a> {
    pub(crate) files: &'a ModelFiles,
    pub(crate) contracts: &'a [IoContract],
}

/// Windows a second of a model that is run so, in so many sessions side by side.
pub(crate) type RateOf<'a> =
    &'a dyn Fn(&ModelFiles, &IoContract, &SessionOptions, usize) -> Result<f64, ModelError>;

/// What a job says of devices, and the machine if it is the one that computes.
pub(crate) struct Devices<'a> {
    pub(crate) said: DeviceKind,
    pub(crate) hardware: Option<&'a Hardware>,
    pub(crate) memory: Option<&'a PlanMemory>,
    pub(crate) version: &'a str,
    pub(crate) rate: RateOf<'a>,
}

impl Devices<'_> {
    /// Whether nothing needs to be looked at: the plan says nothing of devices.
    pub(crate) fn are_unsaid(&self) -> bool {
        self.said == DeviceKind::Auto && self.here().is_none()
    }

    /// The machine, if there is something of it to measure.
    fn here(&self) -> Option<&Hardware> {
        self.hardware.filter(|hardware| hardware.gpu.is_some() || hardware.openvino.is_some())
    }

    /// Where `model` runs. Models of one `architecture` are measured once.
    ///
    /// # Errors
    /// When it runs on no device that it may run on.
    pub(crate) fn settle(&self, model: &Model<'_>, architecture: &str) -> Result<Settled, ModelError> {
        let said = |provider, batch| Settled { backend: Backend::exact(provider), batch, measured: None };
        match (self.said, self.here()) {
            (DeviceKind::Cpu, _) => Ok(said(Provider::Cpu, None)),
            (DeviceKind::Auto, None) => Ok(said(Provider::Any, None)),
            (DeviceKind::OpenVino, None) => Ok(said(Provider::OpenVino, None)),
            (DeviceKind::Cuda, None) => {
                let batches = model.contracts.iter().map(|contract| contract.batch);
                let taken = batches.filter(|batch| *batch <= UNMEASURED).max();
                // Of one alone the job or the model has said it.
                Ok(said(Provider::Cuda, taken.filter(|_| model.contracts.len() > 1)))
            }
            (_, Some(hardware)) => {
                let measured = match self.measured(model, architecture, hardware) {
                    // Not remembered: another time it may be seen.
                    Err(ModelError::NotTried { reason }) if self.said == DeviceKind::Auto => {
                        let mut settled = said(on_processor(hardware), None);
                        settled.refuse_openvino(reason, hardware);
                        return Ok(settled);
                    }
                    measured => measured?,
                };
                let provider = self.chosen(&measured, hardware);
                let batch = if provider == Provider::Cuda { measured.batch_on_gpu() } else { None };
                Ok(Settled { backend: Backend::exact(provider), batch, measured: Some(measured) })
            }
        }
    }

    /// Whose kernels, by what was measured.
    fn chosen(&self, measured: &Measured, hardware: &Hardware) -> Provider {
        match self.said {
            DeviceKind::Cuda => return Provider::Cuda,
            DeviceKind::OpenVino => return Provider::OpenVino,
            DeviceKind::Auto | DeviceKind::Cpu => {}
        }
        let [cpu, openvino, cuda] =
            [Provider::Cpu, Provider::OpenVino, Provider::Cuda].map(|p| measured.best(p));
        let quick = openvino > cpu * GAIN_MIN;
        match (quick, hardware.gpu) {
            (_, Some(_)) if cuda > cpu.max(openvino) => Provider::Cuda,
            (true, _) => Provider::OpenVino,
            (false, _) => on_processor(hardware),
        }
    }

    /// Remembered, or measured now.
    fn measured(
        &self,
        model: &Model<'_>,
        architecture: &str,
        hardware: &Hardware,
    ) -> Result<Measured, ModelError> {
        let asked = format!(
            "{:?}",
            (RATES_FORMAT, self.version, hardware, self.said, architecture, model.contracts.first())
        );
        let look = || self.measure(model, hardware);
        match self.memory {
            Some(memory) => memory.seen(&format!("rates {}", hash(&[asked.as_bytes()])), "", look),
            None => look(),
        }
    }

    fn measure(&self, model: &Model<'_>, hardware: &Hardware) -> Result<Measured, ModelError> {
        let is_auto = self.said == DeviceKind::Auto;
        let mut measured = Measured::default();
        // What cannot run it is no error where something else can.
        let refused = |provider, error: ModelError| {
            if !is_auto || matches!(error, ModelError::NotTried { .. }) {
                return Err(error);
            }
            // Which device it is of stands before it.
            let reason =
                if let ModelError::Device { reason, .. } = error { reason } else { error.to_string() };
            Ok((provider, reason))
        };
        let mut refusals = Vec::new();
        if let Some(gpu) = hardware.gpu
            && let Err(error) = self.measure_gpu(model, gpu, &mut measured)
        {
            refusals.push(refused(Provider::Cuda, error)?);
        }
        let on_processor = [(Provider::OpenVino, hardware.openvino.is_some()), (Provider::Cpu, is_auto)];
        let options = SessionOptions::on(Device::Cpu, hardware.threads);
        for (provider, _) in on_processor.into_iter().filter(|(_, is_wanted)| *is_wanted) {
            let Some(contract) = model.contracts.first() else { break };
            let contract = IoContract { backend: Backend::exact(provider), ..contract.clone() };
            match (self.rate)(model.files, &contract, &options, hardware.lanes) {
                Ok(per_second) => measured.rates.push(Rate { provider, batch: contract.batch, per_second }),
                Err(error) if provider == Provider::Cpu => return Err(error),
                Err(error) => refusals.push(refused(provider, error)?),
            }
        }
        measured.refusals = refusals;
        Ok(measured)
    }

    /// Measures it on the GPU at ever larger batches, as long as that gains something.
    ///
    /// # Errors
    /// When it does not run there at all.
    fn measure_gpu(&self, model: &Model<'_>, gpu: Device, measured: &mut Measured) -> Result<(), ModelError> {
        let mut idle = 0;
        for contract in model.contracts {
            let bytes = (contract.input_len() + contract.output_len()) * size_of::<f32>();
            if bytes > RUN_BYTES_MAX && !measured.rates.is_empty() {
                break;
            }
            let best = measured.best(Provider::Cuda);
            match (self.rate)(model.files, contract, &SessionOptions::on(gpu, 1), 1) {
                Ok(per_second) => {
                    measured.rates.push(Rate { provider: Provider::Cuda, batch: contract.batch, per_second });
                    // More at once gain ever less; one that gains nothing may be chance.
                    idle = if per_second < best / NEAR { idle + 1 } else { 0 };
                    if idle == 2 {
                        break;
                    }
                }
                // Most often it has no room; a smaller batch has been measured already, if there is one.
                Err(error) if measured.rates.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(())
    }
}

/// ONNX Runtime on the processor: unsaid it would run on the process's own device, which is the GPU where there is one.
fn on_processor(hardware: &Hardware) -> Provider {
    if hardware.gpu.is_some() { Provider::Cpu } else { Provider::Any }
}

/// What there is to tell of models that were measured: of each sort the first, and how many others are like it.
pub(crate) fn told(settled: &[(String, Settled)]) -> Vec<String> {
    let mut sorts: Vec<(&str, &Settled, &Measured, usize)> = Vec::new();
    for (name, of) in settled {
        let Some(measured) = &of.measured else { continue };
        let is_alike = |like: &Settled, known: &Measured| known == measured && like.backend == of.backend;
        match sorts.iter_mut().find(|(_, like, known, _)| is_alike(like, known)) {
            Some((.., others)) => *others += 1,
            None => sorts.push((name, of, measured, 0)),
        }
    }
    let line = |(name, of, measured, others): (&str, &Settled, &Measured, usize)| {
        let others = if others == 0 { String::new() } else { format!(" and {others} like it") };
        let rate = |what: &str, provider| {
            let best = measured.best(provider);
            (best > 0.0).then(|| format!("{best:.0} on {what}"))
        };
        let rates = [
            rate("the GPU", Provider::Cuda),
            rate("the processor", Provider::Cpu),
            rate("the processor by OpenVINO", Provider::OpenVino),
        ];
        let rates = rates.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let refused = |(provider, why): &(Provider, String)| {
            let what = if *provider == Provider::Cuda { "the GPU" } else { "OpenVINO" };
            format!("; {what}: {why}")
        };
        let refusals: String = measured.refusals.iter().map(refused).collect();
        let rates =
            if rates.is_empty() { "not measured".to_owned() } else { format!("windows a second: {rates}") };
        format!("device: {name}{others}: {of} ({rates}{refusals})")
    };
    sorts.into_iter().map(line).collect()
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
