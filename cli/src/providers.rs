//! `marquetry providers`: what models can run on here, each tried.

use crate::args::{Format, ProvidersArgs};
use crate::exit::{Exit, Fatal};
use crate::hardware::{precisions, processor, require, require_openvino};
use crate::job::load_runtime;
use crate::say;
use marquetry_model::{Device, Runtime};
use marquetry_telemetry::{Gpu, gpus};
use serde_json::{Value, json};

/// One device, and whether models run on it.
struct Provider {
    /// As `--device` takes it.
    device: String,
    /// What it is, where anybody tells.
    name: Option<String>,
    /// Whether a small model ran on it and gave right numbers.
    works: bool,
    /// What is in the way.
    reason: Option<String>,
}

impl Provider {
    fn json(&self) -> Value {
        let Self { device, name, works, reason } = self;
        json!({"device": device, "name": name, "works": works, "reason": reason})
    }
}

pub(crate) fn run(args: &ProvidersArgs) -> Result<Exit, Fatal> {
    let runtime = load_runtime(args.common.onnxruntime.as_deref())?;
    let providers = providers(&runtime, &gpus());
    match args.common.format {
        Format::Json => {
            let openvino = runtime.openvino().ok();
            let found = json!({
                "onnxruntime": {"version": runtime.version(), "path": runtime.path()},
                "openvino": openvino.map(|openvino| json!({"version": openvino.version(), "path": openvino.path()})),
                "providers": providers.iter().map(Provider::json).collect::<Vec<_>>(),
            });
            say::data(&format!("{found:#}\n"));
        }
        Format::Text => say::data(&text(&runtime, &providers)),
    }
    Ok(Exit::Done)
}

fn providers(runtime: &Runtime, gpus: &[Gpu]) -> Vec<Provider> {
    let tried = |device: Device, name: Option<String>| {
        let reason = require(runtime, device).err().map(|failure| failure.reason);
        Provider { device: device.to_string(), name, works: reason.is_none(), reason }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut found = vec![tried(Device::Cpu, Some(format!("{}, {cores} threads", processor())))];
    let reason = require_openvino(runtime).err().map(|failure| failure.reason);
    let name = runtime.openvino().ok().map(|openvino| {
        let others = precisions(openvino).unwrap_or_default();
        let others: String = others.iter().map(|precision| format!(" and {precision}")).collect();
        format!("the same by OpenVINO, in f32{others}")
    });
    found.push(Provider { device: "openvino".to_owned(), name, works: reason.is_none(), reason });
    for gpu in gpus {
        let name = format!("{}, {} of memory, driver {}", gpu.name, say::bytes(gpu.memory_bytes), gpu.driver);
        found.push(tried(Device::Cuda(gpu.index), Some(name)));
    }
    if gpus.is_empty() {
        found.push(tried(Device::Cuda(0), None));
    }
    found
}

fn text(runtime: &Runtime, providers: &[Provider]) -> String {
    let mut lines = format!("ONNX Runtime {} in {}\n", runtime.version(), runtime.path().display());
    if let Ok(openvino) = runtime.openvino() {
        lines += &format!("OpenVINO {} in {}\n", openvino.version(), openvino.path().display());
    }
    for Provider { device, name, works, reason } in providers {
        let state = if *works { "works" } else { "does not work" };
        let nobody = if device == "openvino" { "it is not there" } else { "no NVIDIA driver tells of it" };
        lines += &format!("{device:<8}  {state}: {}\n", name.as_deref().unwrap_or(nobody));
        for reason in reason.iter().flat_map(|reason| reason.lines()) {
            lines += &format!("          {reason}\n");
        }
    }
    lines
}
