//! On which device each model runs, and how many windows at once: as the job says, or as measured.

use crate::planning::findings::{Choice, Origin};
use crate::planning::memory::PlanMemory;
use marquetry_job::{Backend, IoContract, Provider, hash};
use marquetry_model::{Device, ModelError, ModelFiles, SessionOptions};
use marquetry_spec::DeviceKind;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many windows a model may be shown at once on a GPU. Small ones leave most of it idle with one.
pub(crate) const BATCHES: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Where it cannot be measured, as many fill a GPU with models of usual sizes.
const UNMEASURED: u32 = 16;
/// The smallest batch that comes so near to the best is taken: memory is for others too.
const NEAR: f64 = 0.95;
/// Most bytes of input and output of one run: more takes memory on both sides of the bus and gains nothing.
const RUN_BYTES_MAX: usize = 512 << 20;
/// Counted up whenever something else would be measured.
const RATES_FORMAT: u32 = 1;

/// The machine that computes a job, where it is the one that plans it.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// Its GPU, which works; none where members run on the processor anyhow.
    pub gpu: Option<Device>,
    /// Names processor and GPU: what was measured on others is not used.
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
    /// Why it does not run on the GPU at all.
    refusal: Option<String>,
}

impl Measured {
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
    /// It in words, and where it came from.
    pub(crate) fn choice(&self) -> Choice<String> {
        let from = if self.measured.is_some() { Origin::Measured } else { Origin::Said };
        let value = match self.batch {
            _ if self.backend == Backend::default() => "cpu in f32".to_owned(),
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
        write!(f, "{}", self.backend)?;
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
        self.said == DeviceKind::Auto && self.gpu().is_none()
    }

    fn gpu(&self) -> Option<(&Hardware, Device)> {
        self.hardware.and_then(|hardware| Some((hardware, hardware.gpu?)))
    }

    /// Where `model` runs. Models of one `architecture` are measured once.
    ///
    /// # Errors
    /// When it runs on no device that it may run on.
    pub(crate) fn settle(&self, model: &Model<'_>, architecture: &str) -> Result<Settled, ModelError> {
        let said = |provider, batch| Settled { backend: Backend::exact(provider), batch, measured: None };
        match (self.said, self.gpu()) {
            (DeviceKind::Cpu, _) => Ok(said(Provider::Cpu, None)),
            (DeviceKind::Auto, None) => Ok(said(Provider::Any, None)),
            (DeviceKind::Cuda, None) => {
                let batches = model.contracts.iter().map(|contract| contract.batch);
                let taken = batches.filter(|batch| *batch <= UNMEASURED).max();
                // Of one alone the job or the model has said it.
                Ok(said(Provider::Cuda, taken.filter(|_| model.contracts.len() > 1)))
            }
            (kind, Some((hardware, gpu))) => {
                let measured = self.measured(model, architecture, hardware, gpu)?;
                let (here, there) = (measured.best(Provider::Cpu), measured.best(Provider::Cuda));
                if kind == DeviceKind::Auto && here >= there {
                    // Unsaid it would run on this process's own device, which is the GPU.
                    let backend = Backend::exact(Provider::Cpu);
                    return Ok(Settled { backend, batch: None, measured: Some(measured) });
                }
                let enough =
                    |rate: &&Rate| rate.provider == Provider::Cuda && rate.per_second >= NEAR * there;
                let batch = measured.rates.iter().filter(enough).map(|rate| rate.batch).min();
                Ok(Settled { backend: Backend::exact(Provider::Cuda), batch, measured: Some(measured) })
            }
        }
    }

    /// Remembered, or measured now.
    fn measured(
        &self,
        model: &Model<'_>,
        architecture: &str,
        hardware: &Hardware,
        gpu: Device,
    ) -> Result<Measured, ModelError> {
        let Hardware { name, lanes, threads, .. } = hardware;
        let asked = (RATES_FORMAT, self.version, name, gpu, lanes, threads, self.said == DeviceKind::Auto);
        let asked = format!("{:?}", (asked, architecture, model.contracts.first()));
        let look = || self.measure(model, hardware, gpu);
        match self.memory {
            Some(memory) => memory.seen(&format!("rates {}", hash(&[asked.as_bytes()])), "", look),
            None => look(),
        }
    }

    fn measure(&self, model: &Model<'_>, hardware: &Hardware, gpu: Device) -> Result<Measured, ModelError> {
        let (mut measured, mut failed, mut idle) = (Measured::default(), None, 0);
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
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if measured.rates.is_empty()
            && let Some(error) = failed
        {
            if self.said != DeviceKind::Auto {
                return Err(error);
            }
            measured.refusal = Some(error.to_string());
        }
        if self.said == DeviceKind::Auto
            && let Some(contract) = model.contracts.first()
        {
            let options = SessionOptions::on(Device::Cpu, hardware.threads);
            let per_second = (self.rate)(model.files, contract, &options, hardware.lanes)?;
            measured.rates.push(Rate { provider: Provider::Cpu, batch: contract.batch, per_second });
        }
        Ok(measured)
    }
}

/// What there is to tell of models that were measured: of each sort the first, and how many others are like it.
pub(crate) fn told(settled: &[(String, Settled)]) -> Vec<String> {
    let mut sorts: Vec<(&str, &Settled, &Measured, usize)> = Vec::new();
    for (name, of) in settled {
        let Some(measured) = &of.measured else { continue };
        match sorts.iter_mut().find(|(_, _, known, _)| *known == measured) {
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
        let rates = [rate("the GPU", Provider::Cuda), rate("the processor", Provider::Cpu)];
        let rates = rates.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let refusal = measured.refusal.as_ref().map(|why| format!("; the GPU: {why}")).unwrap_or_default();
        format!("device: {name}{others}: {of} (windows a second: {rates}{refusal})")
    };
    sorts.into_iter().map(line).collect()
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
