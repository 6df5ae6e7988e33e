//! What this machine computes with: its processor, and a GPU if one works.

use crate::exit::Fatal;
use crate::job::JobFile;
use crate::say;
use crate::threads::Threads;
use clap::Args;
use marquetry_coordinator::Hardware;
use marquetry_failure::{Classify as _, FailureClass};
use marquetry_model::{Device, Runtime, SessionOptions};
use marquetry_spec::DeviceKind;
use marquetry_telemetry::gpus;
use marquetry_worker::{Failure, try_device};
use std::fs;
use std::str::FromStr;

/// Brings ONNX Runtime with CUDA's kernels.
const CUDA_WHEEL: &str = "pip install onnxruntime-gpu==1.31.1";

/// Where members run on this machine.
#[derive(Args)]
pub(crate) struct DeviceArgs {
    /// Where members run: auto (the quickest, as measured), cpu, cuda or cuda:N [default: the job's `device`].
    #[arg(long, value_name = "DEVICE", env = "MARQUETRY_DEVICE")]
    device: Option<AskedDevice>,
}

/// What the option says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AskedDevice {
    Auto,
    Is(Device),
}

impl FromStr for AskedDevice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse()
            .map(Self::Is)
            .map_err(|_| format!("`{text}` is no device: write auto, cpu, cuda or cuda:N"))
    }
}

impl DeviceArgs {
    /// Looks at what there is of what `job` wants, and has `job` planned for that. The device of this process's sessions.
    ///
    /// # Errors
    /// When a GPU is asked for, by the job or the option, and cannot be used.
    pub(crate) fn settle(
        &self,
        job: &mut JobFile,
        runtime: &Runtime,
        threads: Threads,
    ) -> Result<Device, Fatal> {
        match self.device {
            None => {}
            Some(AskedDevice::Auto) => job.spec.device = DeviceKind::Auto,
            Some(AskedDevice::Is(Device::Cpu)) => job.spec.device = DeviceKind::Cpu,
            Some(AskedDevice::Is(Device::Cuda(_))) => job.spec.device = DeviceKind::Cuda,
        }
        let gpu = self.gpu(job.spec.device, runtime)?;
        let (lanes, threads) = (threads.lanes, threads.each);
        job.hardware = Some(Hardware { gpu, name: name(gpu), lanes, threads });
        Ok(gpu.unwrap_or(Device::Cpu))
    }

    /// Whether the option was given.
    pub(crate) const fn is_asked(&self) -> bool {
        self.device.is_some()
    }

    /// [`settle`](Self::settle), for a plan that nothing follows: a job for other machines' GPUs is planned as a coordinator does it.
    ///
    /// # Errors
    /// When the option asks for a GPU that cannot be used.
    pub(crate) fn settle_plan(&self, job: &mut JobFile, runtime: &Runtime) -> Result<(), Fatal> {
        let settled = self.settle(job, runtime, Threads::choose(None, None));
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
            DeviceKind::Cpu => Ok(None),
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
    try_device(runtime, &SessionOptions::on(device, 1))
}

/// Names the processor and the GPU.
fn name(gpu: Option<Device>) -> String {
    let gpu = match gpu {
        Some(Device::Cuda(id)) => gpus().into_iter().find(|gpu| gpu.index == id).map(|gpu| gpu.name),
        _ => None,
    };
    [Some(processor()), gpu].into_iter().flatten().collect::<Vec<_>>().join(", ")
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
        assert_eq!("auto".parse(), Ok(AskedDevice::Auto));
        assert_eq!("cuda:3".parse(), Ok(AskedDevice::Is(Device::Cuda(3))));
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
