//! Opening sessions.

use crate::denormals::flushed;
use crate::external_data::resolved;
use crate::half_precision::halved;
use crate::{ExternalData, ModelError, ModelRef, Runtime};
use marquetry_job::{Backend, Precision, Provider};
use ort::ep::{self, ArenaExtendStrategy};
use ort::session::Session;
use ort::session::builder::{AutoDevicePolicy, GraphOptimizationLevel};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

/// Sessions are opened one at a time: opening several at once on one GPU has crashed.
static OPENING: Mutex<()> = Mutex::new(());

/// Where a model runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU, by its number.
    Cuda(u32),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(id) => write!(f, "cuda:{id}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    /// Reads `cpu`, `cuda` (the first GPU) or `cuda:N`.
    fn from_str(text: &str) -> Result<Self, String> {
        let gpu = match text {
            "cpu" => return Ok(Self::Cpu),
            "cuda" => Some(0),
            _ => text.strip_prefix("cuda:").and_then(|id| id.parse::<u16>().ok()),
        };
        gpu.map(|id| Self::Cuda(id.into()))
            .ok_or_else(|| format!("`{text}` is no device: write cpu, cuda or cuda:N"))
    }
}

/// How a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionOptions {
    /// Threads one operator may use. With 1 everything runs on the thread that calls, and no pool is made.
    pub intra_threads: usize,
    /// Where it runs.
    pub device: Device,
    /// How exactly.
    pub precision: Precision,
}

impl Default for SessionOptions {
    /// One thread on the processor.
    fn default() -> Self {
        Self::on(Device::Cpu, 1)
    }
}

impl SessionOptions {
    /// In single precision.
    pub const fn on(device: Device, intra_threads: usize) -> Self {
        Self { intra_threads, device, precision: Precision::F32 }
    }

    /// Options for what a plan wants computed by `backend`, by a process whose device is that of these options.
    ///
    /// # Errors
    /// When the process has no such device.
    pub fn for_backend(self, backend: Backend) -> Result<Self, ModelError> {
        let device = match (backend.provider, self.device) {
            (Provider::Any, device) | (Provider::Cuda, device @ Device::Cuda(_)) => device,
            (Provider::Cpu | Provider::OpenVino, _) => Device::Cpu,
            (Provider::Cuda, Device::Cpu) => {
                let reason = "the plan has its members computed there, and this process computes on the processor: start it with \
                              --device cuda, or let the job say `device: auto`";
                return Err(ModelError::Device {
                    device: backend.provider.to_string(),
                    reason: reason.into(),
                });
            }
        };
        Ok(Self { device, precision: backend.precision, ..self })
    }
}

/// Opens a session on a model. `dims` gives values to named dimensions, so that shapes are worked out
/// once here instead of at every run.
pub(crate) fn open(
    runtime: &Runtime,
    model: ModelRef<'_>,
    options: &SessionOptions,
    dims: &BTreeMap<String, u32>,
) -> Result<Session, ModelError> {
    let (onnx, external) = as_computed(model, options.precision)?;
    open_computed(runtime, &onnx, &external, options, dims)
}

/// The model as it is computed in this precision, and the files beside it whose weights it refers to.
pub(crate) fn as_computed(
    model: ModelRef<'_>,
    precision: Precision,
) -> Result<(Cow<'_, [u8]>, Vec<ExternalData>), ModelError> {
    let (onnx, external) = resolved(model)?;
    match precision {
        Precision::F16 => Ok((halved(&onnx)?.into(), external)),
        Precision::F32 | Precision::Tf32 => Ok((onnx, external)),
        Precision::Bf16 => Err(ModelError::Device {
            device: precision.to_string(),
            reason: "ONNX Runtime has no arithmetic in it".into(),
        }),
    }
}

/// [`open`], of a model that is as it is computed, or of a graph around it.
pub(crate) fn open_computed(
    runtime: &Runtime,
    onnx: &[u8],
    external: &[ExternalData],
    options: &SessionOptions,
    dims: &BTreeMap<String, u32>,
) -> Result<Session, ModelError> {
    let _one_at_a_time = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    let opened = |fallback| -> Result<Session, ModelError> {
        let builder = builder(runtime, options, fallback).map_err(|error| match options.device {
            Device::Cpu => ModelError::from_load(&error, onnx, runtime.version()),
            device @ Device::Cuda(_) => device_error(device, &error),
        })?;
        commit(builder, onnx, external.to_vec(), dims).map_err(|error| match options.device {
            Device::Cuda(_) if error.message().contains(NODES_LEFT) => device_error(options.device, &error),
            _ => ModelError::from_load(&error, onnx, runtime.version()),
        })
    };
    match opened(Fallback::Refused) {
        Err(ModelError::Device { reason, .. }) if reason.contains(NODES_LEFT) => {
            let session = opened(Fallback::Taken)?;
            tracing::warn!("{}: some nodes of a model run on the processor: {reason}", options.device);
            Ok(session)
        }
        other => other,
    }
}

/// What becomes of nodes that a device has no kernels for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fallback {
    /// The model is not opened.
    Refused,
    /// They run on the processor: mostly those that compute shapes. Scores are the same, and it is told.
    Taken,
}

/// What ONNX Runtime says of a model of which some nodes would run on the processor.
const NODES_LEFT: &str = "fallback to CPU EP";

fn device_error(device: Device, error: &ort::Error) -> ModelError {
    ModelError::Device { device: device.to_string(), reason: error.message().trim().to_owned() }
}

// Chains of the builder stay in functions that return `ort::Result`: its own error type is neither `Send` nor `Sync`.
fn builder(
    runtime: &Runtime,
    options: &SessionOptions,
    fallback: Fallback,
) -> ort::Result<ort::session::builder::SessionBuilder> {
    let builder = Session::builder(runtime.environment())?
        .with_auto_device(AutoDevicePolicy::PreferCPU)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(options.intra_threads.max(1))?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_env_allocators()?
        .with_flush_to_zero()?;
    let Device::Cuda(id) = options.device else { return Ok(builder) };
    let cuda = ep::CUDA::default()
        .with_device_id(id as i32)
        // The exhaustive search of the default is run anew for every shape, and takes whatever was quickest that time: other bits.
        .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
        .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
        .with_tf32(options.precision == Precision::Tf32)
        // What matrix units multiply lies with channels last: 1.2 to 1.3 times as fast for two of three networks on an H200, and half as fast
        // in single precision, for which they are not used.
        .with_prefer_nhwc(options.precision != Precision::F32);
    // Both are needed: without them a GPU that cannot be used means a silent run on the processor.
    let builder = builder
        .with_deterministic_compute(true)?
        .with_execution_providers([cuda.build().error_on_failure()])?;
    if fallback == Fallback::Taken { Ok(builder) } else { Ok(builder.with_disable_cpu_fallback()?) }
}

fn commit(
    mut builder: ort::session::builder::SessionBuilder,
    onnx: &[u8],
    external: Vec<ExternalData>,
    dims: &BTreeMap<String, u32>,
) -> ort::Result<Session> {
    for file in external {
        builder = builder.with_external_initializer_file_in_memory(file.location, file.bytes)?;
    }
    for (name, value) in dims {
        builder = builder.with_dimension_override(name, i64::from(*value))?;
    }
    // It keeps the flag on the thread that opens the first session, which has other things to compute too.
    flushed(|| builder.commit_from_memory(onnx))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_computed_where_it_says_or_not_at_all() {
        let on = |device, provider| SessionOptions::on(device, 2).for_backend(Backend::exact(provider));
        for (device, provider, taken) in [
            (Device::Cpu, Provider::Any, Device::Cpu),
            (Device::Cuda(3), Provider::Any, Device::Cuda(3)),
            (Device::Cuda(3), Provider::Cuda, Device::Cuda(3)),
            (Device::Cuda(3), Provider::Cpu, Device::Cpu),
            (Device::Cpu, Provider::Cpu, Device::Cpu),
            (Device::Cuda(3), Provider::OpenVino, Device::Cpu),
        ] {
            assert_eq!(on(device, provider).unwrap(), SessionOptions::on(taken, 2));
        }
        let refused = on(Device::Cpu, Provider::Cuda).unwrap_err();
        assert!(refused.to_string().contains("--device cuda"), "{refused}");
    }

    #[test]
    fn devices_read_what_they_write() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(7)] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for text in ["", "gpu", "cuda:", "cuda:-1", "cpu:0"] {
            assert!(text.parse::<Device>().is_err(), "{text}");
        }
    }
}
