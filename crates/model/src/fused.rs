//! A model with views, activation and their mean in one graph, run on memory that is bound to it once.
//!
//! On a GPU that memory is pinned: the card copies from and to it by itself, and nothing is copied on the way.

use crate::facts::Element;
use crate::session::{self, Device, SessionOptions};
use crate::{IoContract, Layout, ModelError, ModelRef, Runtime};
use half::f16;
use half::slice::HalfFloatSliceExt as _;
use marquetry_onnx::{FloatType, FusedHead, FusedInput, FusedSpec, Fusing, Refusal, fused};

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, Session};
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor};
use std::collections::BTreeMap;

/// A network that takes windows and gives their merged scores. It stays on the thread that opened it.
pub struct FusedNetwork {
    // Memory goes before the session that it was taken from.
    /// Bound before each run: the runtime copies it to the device then, or looks at it where it lies.
    input: Tensor<f32>,
    binding: IoBinding,
    session: Session,
    device: Device,
    names: Names,
    dims: [usize; 4],
    half: bool,
}

struct Names {
    input: String,
    output: String,
}

/// A network, or why the model has to be run by itself.
pub enum FusedOpening {
    /// Ready to run.
    Opened(Box<FusedNetwork>),
    /// It cannot be one graph with what is done around it.
    Refused(Refusal),
}

/// The scores of some windows, `[windows, classes, H, W]`.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedScores {
    dims: [usize; 4],
    numbers: Numbers,
}

#[derive(Debug, Clone, PartialEq)]
enum Numbers {
    F16(Vec<f16>),
    F32(Vec<f32>),
}

/// The image input of a model with this contract; none for types that are no floats.
pub fn fused_input(contract: &IoContract) -> Option<FusedInput> {
    let element = match contract.element_in {
        Element::F32 => FloatType::F32,
        Element::F16 => FloatType::F16,
        Element::F64 => FloatType::F64,
        _ => return None,
    };
    Some(FusedInput {
        name: contract.input.clone(),
        channels_last: contract.layout == Layout::Nhwc,
        element,
        channels: contract.channels.into(),
        height: contract.size.height.into(),
        width: contract.size.width.into(),
    })
}

/// The scores of a model with this contract; none for labels and truth values.
pub fn fused_head(contract: &IoContract) -> Option<FusedHead> {
    contract.element_out.is_float().then(|| FusedHead {
        name: contract.head.clone(),
        channels_last: contract.form.is_interleaved(),
        channels: contract.classes.into(),
        height: contract.output_size.height.into(),
        width: contract.output_size.width.into(),
    })
}

impl FusedNetwork {
    /// Puts what `spec` says around `model`, and opens that.
    ///
    /// # Errors
    /// When it is damaged, a file with weights was not given along with it, or memory runs out. What the runtime or the
    /// device does not take is refused, since the model by itself may run.
    pub fn open<'a>(
        runtime: &Runtime,
        model: impl Into<ModelRef<'a>>,
        spec: &FusedSpec,
        options: &SessionOptions,
    ) -> Result<FusedOpening, ModelError> {
        let model = model.into();
        let onnx = match fused(model.onnx, spec)? {
            Fusing::Fused(onnx) => onnx,
            Fusing::Refused(refusal) => return Ok(FusedOpening::Refused(refusal)),
        };
        let whole = ModelRef { onnx: &onnx, external: model.external };
        let session = match session::open(runtime, whole, options, &BTreeMap::new()) {
            Ok(session) => session,
            Err(error) => return refused_by_runtime(error),
        };
        let network = Self::bound(session, spec, options.device);
        network
            .map(|network| FusedOpening::Opened(Box::new(network)))
            .map_err(|error| ModelError::from_run(&error, options.device))
    }

    fn bound(session: Session, spec: &FusedSpec, device: Device) -> ort::Result<Self> {
        let name = |outlets: &[ort::value::Outlet]| match outlets {
            [one] => Ok(one.name().to_owned()),
            _ => Err(ort::Error::new("the graph has not one input and one output")),
        };
        let names = Names { input: name(session.inputs())?, output: name(session.outputs())? };
        let (taken, given) = (spec.input_dims().map(|d| d as usize), spec.output_dims().map(|d| d as usize));
        let half = spec.scores.half;
        let input = tensor::<f32>(&session, device, MemoryType::CPUInput, taken)?;
        let mut binding = session.create_binding()?;
        let output = MemoryType::CPUOutput;
        if half {
            binding.bind_output(names.output.as_str(), tensor::<f16>(&session, device, output, given)?)?;
        } else {
            binding.bind_output(names.output.as_str(), tensor::<f32>(&session, device, output, given)?)?;
        }
        Ok(Self { session, device, binding, input, names, dims: given, half })
    }

    /// Runs some windows, `[N, C, H, W]`, with `N` as the graph was made for.
    ///
    /// # Errors
    /// When there are more or fewer, memory runs out, or the model fails.
    pub fn run(&mut self, windows: &[f32]) -> Result<MergedScores, ModelError> {
        let (_, numbers) = self.input.extract_tensor_mut();
        if numbers.len() != windows.len() {
            return Err(ModelError::WrongShape {
                what: "input".into(),
                found: format!("{} numbers", windows.len()),
                expected: format!("{}", numbers.len()),
            });
        }
        numbers.copy_from_slice(windows);
        let numbers = self.infer().map_err(|error| ModelError::from_run(&error, self.device))?;
        Ok(MergedScores { dims: self.dims, numbers })
    }

    fn infer(&mut self) -> ort::Result<Numbers> {
        self.binding.bind_input(self.names.input.as_str(), &self.input)?;
        self.binding.synchronize_inputs()?;
        let mut outputs = self.session.run_binding(&self.binding)?;
        self.binding.synchronize_outputs()?;
        let output = outputs.remove(&self.names.output);
        let output = output.ok_or_else(|| ort::Error::new("the output did not come back"))?;
        if self.half {
            numbers(&output, &self.dims).map(Numbers::F16)
        } else {
            numbers(&output, &self.dims).map(Numbers::F32)
        }
    }
}

/// A graph that the runtime or the device does not take, though the model by itself may do: whoever runs that will be told.
fn refused_by_runtime(error: ModelError) -> Result<FusedOpening, ModelError> {
    match error {
        ModelError::NotAModel { .. } | ModelError::Device { .. } => {
            Ok(FusedOpening::Refused(Refusal(error.to_string())))
        }
        other => Err(other),
    }
}

/// The numbers of an output that has these dimensions.
fn numbers<T: PrimitiveTensorElementType + Copy>(
    output: &DynValue,
    dims: &[usize; 4],
) -> ort::Result<Vec<T>> {
    let (shape, values) = output.try_extract_tensor::<T>()?;
    if shape.iter().map(|dim| *dim as usize).eq(dims.iter().copied()) {
        return Ok(values.to_vec());
    }
    Err(ort::Error::new(format!("the output has dimensions {shape}, not {dims:?}")))
}

/// Memory that the device copies from or to: pinned where it is a card, and any where the system has no more of that.
fn tensor<T: PrimitiveTensorElementType + std::fmt::Debug>(
    session: &Session,
    device: Device,
    kind: MemoryType,
    dims: [usize; 4],
) -> ort::Result<Tensor<T>> {
    let Device::Cuda(id) = device else { return Tensor::new(&Allocator::default(), dims) };
    let pinned = || {
        let info = MemoryInfo::new(AllocationDevice::CUDA_PINNED, id as i32, AllocatorType::Device, kind)?;
        Tensor::new(&Allocator::new(session, info)?, dims)
    };
    pinned().or_else(|error| {
        tracing::warn!(reason = error.message(), "memory is not pinned, and copies to {device} are slower");
        Tensor::new(&Allocator::default(), dims)
    })
}

impl MergedScores {
    /// Windows, classes, rows and columns.
    pub const fn dims(&self) -> [usize; 4] {
        self.dims
    }

    /// Whether the first `windows` of them hold nothing but numbers.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn is_finite(&self, windows: usize) -> bool {
        const EXPONENT: u16 = 0x7c00;
        let count = windows * self.dims[1..].iter().product::<usize>();
        // No early exit: all of them are checked faster than a branch for each is taken.
        match &self.numbers {
            Numbers::F16(all) => {
                all[..count].iter().fold(true, |fine, v| fine & (v.to_bits() & EXPONENT != EXPONENT))
            }
            Numbers::F32(all) => all[..count].iter().fold(true, |fine, v| fine & v.is_finite()),
        }
    }

    /// Writes `rows` rows of a window from row `first` on to `out`, `[classes, rows · W]`.
    ///
    /// # Panics
    /// When there is no such window, or it has no such rows.
    pub fn rows(&self, window: usize, first: usize, rows: usize, out: &mut Vec<f32>) {
        let [_, classes, height, width] = self.dims;
        assert!(first + rows <= height, "rows of a window");
        let (plane, len) = (height * width, rows * width);
        out.resize(classes * len, 0.0);
        for (class, to) in out.chunks_exact_mut(len).enumerate() {
            let from = (window * classes + class) * plane + first * width;
            match &self.numbers {
                Numbers::F16(all) => all[from..from + len].convert_to_f32_slice(to),
                Numbers::F32(all) => to.copy_from_slice(&all[from..from + len]),
            }
        }
    }
}

#[cfg(test)]
#[path = "fused_tests.rs"]
mod tests;
