//! What this machine computes with: its processor, by ONNX Runtime or OpenVINO, and a GPU if one works.

use crate::exit::Fatal;
use crate::job::JobFile;
use crate::say;
use crate::threads::Threads;
use clap::Args;
use marquetry_coordinator::Hardware;
use marquetry_failure::{Classify as _, FailureClass};
use marquetry_job::{Precision, Provider};
use marquetry_model::{Device, OpenVino, OpenVinoPrecision, Runtime, RuntimeError, SessionOptions};
use marquetry_spec::DeviceKind;
use marquetry_telemetry::gpus;
use marquetry_worker::{Failure, try_device};
use std::fmt;
use std::fs;
use std::str::FromStr;

/// Brings ONNX Runtime with CUDA's kernels.
const CUDA_WHEEL: &str = "pip install onnxruntime-gpu==1.31.1";

/// Where members run on this machine.
#[derive(Args)]
pub(crate) struct DeviceArgs {
    /// Where members run: auto (the quickest, as measured), cpu, openvino, cuda or cuda:N [default: the job's `device`].
    #[arg(long, value_name = "DEVICE", env = "MARQUETRY_DEVICE")]
    device: Option<AskedDevice>,
}

/// What the option says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AskedDevice {
    Auto,
    OpenVino,
    Is(Device),
}

impl fmt::Display for AskedDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::OpenVino => f.write_str("openvino"),
            Self::Is(device) => write!(f, "{device}"),
        }
    }
}

impl FromStr for AskedDevice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "openvino" => Ok(Self::OpenVino),
            _ => text
                .parse()
                .map(Self::Is)
                .map_err(|_| format!("`{text}` is no device: write auto, cpu, openvino, cuda or cuda:N")),
        }
    }
}

impl DeviceArgs {
    /// Looks at what there is of what `job` wants, and has `job` planned for that. The device of this process's sessions.
    ///
    /// # Errors
    /// When a GPU or OpenVINO is asked for, by the job or the option, and cannot be used.
    pub(crate) fn settle(&self, job: &mut JobFile, runtime: &Runtime) -> Result<Device, Fatal> {
        match self.device {
            None => {}
            Some(AskedDevice::Auto) => job.spec.device = DeviceKind::Auto,
            Some(AskedDevice::OpenVino) => job.spec.device = DeviceKind::OpenVino,
            Some(AskedDevice::Is(Device::Cpu)) => job.spec.device = DeviceKind::Cpu,
            Some(AskedDevice::Is(Device::Cuda(_))) => job.spec.device = DeviceKind::Cuda,
        }
        let gpu = self.gpu(job.spec.device, runtime)?;
        let openvino = openvino(job.spec.device, runtime)?;
        // Measured as this machine would compute by itself: how a run uses its cores changes no byte.
        let Threads { lanes, each: threads } = Threads::choose(None, None);
        let library = openvino.as_ref().and_then(|_| runtime.openvino().ok());
        job.hardware = Some(Hardware { gpu, openvino, name: name(gpu, library), lanes, threads });
        Ok(gpu.unwrap_or(Device::Cpu))
    }

    /// What the option said, if it was given.
    pub(crate) fn asked(&self) -> Option<String> {
        self.device.map(|asked| asked.to_string())
    }

    /// [`settle`](Self::settle), for a plan that nothing follows: a job for other machines' GPUs is planned as a coordinator does it.
    ///
    /// # Errors
    /// When the option asks for a GPU or OpenVINO, and it cannot be used.
    pub(crate) fn settle_plan(&self, job: &mut JobFile, runtime: &Runtime) -> Result<(), Fatal> {
        let settled = self.settle(job, runtime);
        match (settled, self.device) {
            (Err(fatal), None) => {
                let reason = fatal.message;
                say::note(&format!("note: device: planned as for a cluster, since on this machine {reason}"));
                Ok(())
            }
            (settled, _) => settled.map(drop),
        }
    }

    /// The GPU that a job of this kind may use.
    fn gpu(&self, kind: DeviceKind, runtime: &Runtime) -> Result<Option<Device>, Fatal> {
        let id = match self.device {
            Some(AskedDevice::Is(Device::Cuda(id))) => id,
            _ => 0,
        };
        let gpu = Device::Cuda(id);
        match kind {
            DeviceKind::Cpu | DeviceKind::OpenVino => Ok(None),
            DeviceKind::Auto if runtime.cuda().is_none() => Ok(None),
            DeviceKind::Cuda => match require(runtime, gpu) {
                Ok(()) => Ok(Some(gpu)),
                Err(failure) => Err(Fatal::new(failure.class().into(), failure.reason)),
            },
            DeviceKind::Auto => match require(runtime, gpu) {
                Ok(()) => Ok(Some(gpu)),
                Err(failure) => {
                    say::note(&format!("note: device: members run on the processor: {}", failure.reason));
                    Ok(None)
                }
            },
        }
    }
}

/// What OpenVINO computes in beside single precision, if a job of this kind may use it: whether it computes what it should is looked at
/// for each architecture.
fn openvino(kind: DeviceKind, runtime: &Runtime) -> Result<Option<Vec<Precision>>, Fatal> {
    if matches!(kind, DeviceKind::Cpu | DeviceKind::Cuda) {
        return Ok(None);
    }
    let refused = match runtime.openvino().map_err(|error| (is_refused(&error), error.to_string())) {
        Ok(openvino) => match precisions(openvino) {
            Ok(precisions) => return Ok(Some(precisions)),
            Err(reason) => (true, reason),
        },
        Err(refused) => refused,
    };
    match refused {
        (_, reason) if kind == DeviceKind::OpenVino => {
            Err(Fatal::new(FailureClass::Config.into(), format!("openvino cannot be used: {reason}")))
        }
        (true, reason) => {
            say::note(&format!("note: device: members are not computed by OpenVINO: {reason}"));
            Ok(None)
        }
        (false, _) => Ok(None),
    }
}

/// Whether there was one at all.
fn is_refused(error: &RuntimeError) -> bool {
    matches!(error, RuntimeError::NoOpenVino { is_refused: true, .. })
}

/// Those that the processor has instructions for, beside single.
pub(crate) fn precisions(openvino: &OpenVino) -> Result<Vec<Precision>, String> {
    let all = [(Precision::Bf16, OpenVinoPrecision::Bf16), (Precision::F16, OpenVinoPrecision::F16)];
    let mut found = Vec::new();
    for (precision, arithmetic) in all {
        if openvino.computes(arithmetic).map_err(|error| error.to_string())? {
            found.push(precision);
        }
    }
    Ok(found)
}

/// Makes sure that models are computed by OpenVINO.
///
/// # Errors
/// When it is not there, or computes wrong numbers.
pub(crate) fn require_openvino(runtime: &Runtime) -> Result<(), Failure> {
    runtime.openvino().map_err(|error| Failure::new(FailureClass::Config, error.to_string()))?;
    try_device(runtime, Provider::OpenVino, &SessionOptions::on(Device::Cpu, 1))
}

/// Makes sure that models run on `device`.
///
/// # Errors
/// When ONNX Runtime has no kernels for it, there is none, or it computes wrong numbers.
pub(crate) fn require(runtime: &Runtime, device: Device) -> Result<(), Failure> {
    if matches!(device, Device::Cuda(_)) && runtime.cuda().is_none() {
        return Err(Failure::new(
            FailureClass::Config,
            format!(
                "{device} cannot be used: ONNX Runtime {} in {} has no kernels for GPUs. `{CUDA_WHEEL}` in place of the package onnxruntime \
             brings one that has; it needs an NVIDIA driver for CUDA 13",
                runtime.version(),
                runtime.path().parent().unwrap_or(runtime.path()).display()
            ),
        ));
    }
    try_device(runtime, Provider::Any, &SessionOptions::on(device, 1))
}

/// Names the processor, the GPU, and the version of OpenVINO.
fn name(gpu: Option<Device>, openvino: Option<&OpenVino>) -> String {
    let gpu = match gpu {
        Some(Device::Cuda(id)) => gpus().into_iter().find(|gpu| gpu.index == id).map(|gpu| gpu.name),
        _ => None,
    };
    let openvino = openvino.map(|openvino| format!("OpenVINO {}", openvino.version()));
    [Some(processor()), gpu, openvino].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What the processor is called, where the system says it.
pub(crate) fn processor() -> String {
    let said = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = said.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": ")).map(|(_, name)| name.trim().to_owned());
    model.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read() {
        for (text, device) in [
            ("auto", AskedDevice::Auto),
            ("openvino", AskedDevice::OpenVino),
            ("cpu", AskedDevice::Is(Device::Cpu)),
            ("cuda:3", AskedDevice::Is(Device::Cuda(3))),
        ] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string(), text);
        }
        assert_eq!("cpu".parse(), Ok(AskedDevice::Is(Device::Cpu)));
        for text in ["", "gpu", "cuda:", "Auto"] {
            assert!(text.parse::<AskedDevice>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_processor_has_a_name() {
        assert!(!processor().is_empty());
    }
}
