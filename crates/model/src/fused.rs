//! A model with views, activation and their mean in one graph, run on memory that it keeps.
//!
//! On a GPU what goes in lies in pinned memory, and what comes out too where the runtime does that right: the card copies from and to it by
//! itself.

use crate::denormals::flushed;
use crate::facts::Element;
use crate::probe::Noise;
use crate::session::{self, Device, SessionOptions};
use crate::{IoContract, Layout, ModelError, ModelRef, Runtime};
use half::f16;
use half::slice::HalfFloatSliceExt as _;
use marquetry_onnx::{FloatType, FusedHead, FusedInput, FusedSpec, Fusing, Refusal, fused};

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, Session};
use ort::value::{DynValue, Tensor};
use std::collections::BTreeMap;

/// A network that takes windows and gives their merged scores. It stays on the thread that opened it.
pub struct FusedNetwork {
    // Memory goes before the session that it was taken from.
    /// The runtime copies it to the device, or looks at it where it lies.
    input: Tensor<f32>,
    /// Where scores come back to pinned memory; else they come to any.
    pinned: Option<PinnedOutput>,
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

/// Has an output come back to memory that the device writes to by itself.
struct PinnedOutput {
    binding: IoBinding,
    memory: MemoryInfo<'static>,
}

/// A network, or why the model has to be run by itself.
pub enum FusedOpening {
    /// Ready to run.
    Opened(Box<FusedNetwork>),
    /// It cannot be one graph with what is done around it.
    Refused(Refusal),
}

/// The scores of some windows, `[windows, classes, H, W]`.
#[derive(Debug)]
pub struct MergedScores {
    dims: [usize; 4],
    /// Memory of its own: the next run takes other.
    value: DynValue,
    half: bool,
}

/// Numbers of either type.
enum Numbers<'a> {
    F16(&'a [f16]),
    F32(&'a [f32]),
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
        // What is done around the model stays in single precision, whatever that is in.
        let (model, external) = session::as_computed(model.into(), options.precision)?;
        let onnx = match fused(&model, spec)? {
            Fusing::Fused(onnx) => onnx,
            Fusing::Refused(refusal) => return Ok(FusedOpening::Refused(refusal)),
        };
        let session = match session::open_computed(runtime, &onnx, &external, options, &BTreeMap::new()) {
            Ok(session) => session,
            Err(error) => return refused_by_runtime(error),
        };
        let network = Self::with_memory(session, spec, options.device);
        network
            .map(|network| FusedOpening::Opened(Box::new(network)))
            .map_err(|error| ModelError::from_run(&error, options.device))
    }

    fn with_memory(session: Session, spec: &FusedSpec, device: Device) -> ort::Result<Self> {
        let name = |outlets: &[ort::value::Outlet]| match outlets {
            [one] => Ok(one.name().to_owned()),
            _ => Err(ort::Error::new("the graph has not one input and one output")),
        };
        let names = Names { input: name(session.inputs())?, output: name(session.outputs())? };
        let (taken, dims) = (spec.input_dims().map(|d| d as usize), spec.output_dims().map(|d| d as usize));
        let input = input(&session, device, taken)?;
        let half = spec.scores.half;
        let mut network = Self { input, pinned: None, session, device, names, dims, half };
        if let Device::Cuda(id) = device {
            // The first run takes what memory it needs too: where there is none, that is known now.
            if let Err(error) = network.infer() {
                tracing::debug!(reason = error.message(), "windows do not go out of pinned memory");
                network.input = Tensor::new(&Allocator::default(), taken)?;
                network.infer()?;
            }
            network.pinned = network.tried_pinned(id);
        }
        Ok(network)
    }

    /// Pinned memory for the output, if what comes back to it is what comes back without it: which runtime does that how was different
    /// from version to version, and a copy that is read too early is no error.
    fn tried_pinned(&mut self, id: u32) -> Option<PinnedOutput> {
        let mut noise = Noise::new(11);
        self.input.extract_tensor_mut().1.fill_with(|| noise.unit());
        let tried = || -> ort::Result<bool> {
            let plain = self.infer()?;
            let kind = MemoryType::CPUOutput;
            let memory =
                MemoryInfo::new(AllocationDevice::CUDA_PINNED, id as i32, AllocatorType::Device, kind)?;
            self.pinned = Some(PinnedOutput { binding: self.session.create_binding()?, memory });
            // Twice, since memory of the first run may be used again.
            let (first, second) = (self.infer()?, self.infer()?);
            Ok(plain.is_same(&first)? && plain.is_same(&second)?)
        };
        let mut tried = tried;
        let outcome = tried();
        let pinned = self.pinned.take();
        match outcome {
            Ok(true) => pinned,
            Ok(false) => {
                tracing::debug!("scores that come back to pinned memory are others: it is not used");
                None
            }
            Err(error) => {
                tracing::debug!(reason = error.message(), "scores do not come back to pinned memory");
                None
            }
        }
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
        self.infer().map_err(|error| ModelError::from_run(&error, self.device))
    }

    fn infer(&mut self) -> ort::Result<MergedScores> {
        let Self { input, pinned, session, names, dims, half, .. } = self;
        let mut outputs = match pinned {
            None => flushed(|| session.run(ort::inputs![names.input.as_str() => &*input]))?,
            Some(PinnedOutput { binding, memory }) => {
                binding.bind_input(names.input.as_str(), &*input)?;
                // Bound anew, so that it does not come to the memory of the last run, which others may still read.
                binding.clear_outputs();
                binding.bind_output_to_device(names.output.as_str(), memory)?;
                binding.synchronize_inputs()?;
                let outputs = flushed(|| session.run_binding(binding))?;
                binding.synchronize_outputs()?;
                outputs
            }
        };
        let output = outputs.remove(&names.output);
        let value = output.ok_or_else(|| ort::Error::new("the output did not come back"))?;
        let scores = MergedScores { dims: *dims, value, half: *half };
        scores.numbers()?;
        Ok(scores)
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

/// Memory that the device copies from: pinned where it is a card, and any where the system has no more of that.
fn input(session: &Session, device: Device, dims: [usize; 4]) -> ort::Result<Tensor<f32>> {
    let Device::Cuda(id) = device else { return Tensor::new(&Allocator::default(), dims) };
    let pinned = || {
        let kind = MemoryType::CPUInput;
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

    fn numbers(&self) -> ort::Result<Numbers<'_>> {
        let (shape, numbers) = if self.half {
            let (shape, values) = self.value.try_extract_tensor::<f16>()?;
            (shape, Numbers::F16(values))
        } else {
            let (shape, values) = self.value.try_extract_tensor::<f32>()?;
            (shape, Numbers::F32(values))
        };
        if shape.iter().map(|dim| *dim as usize).eq(self.dims) {
            return Ok(numbers);
        }
        Err(ort::Error::new(format!("the output has dimensions {shape}, not {:?}", self.dims)))
    }

    /// Those of both are the same bits.
    fn is_same(&self, other: &Self) -> ort::Result<bool> {
        Ok(match (self.numbers()?, other.numbers()?) {
            (Numbers::F16(a), Numbers::F16(b)) => {
                a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
            }
            (Numbers::F32(a), Numbers::F32(b)) => {
                a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
            }
            _ => false,
        })
    }

    /// What was looked at when it came.
    fn checked(&self) -> Numbers<'_> {
        self.numbers().expect("its type and dimensions were looked at")
    }

    /// Whether the first `windows` of them hold nothing but numbers.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn is_finite(&self, windows: usize) -> bool {
        const EXPONENT: u16 = 0x7c00;
        let count = windows * self.dims[1..].iter().product::<usize>();
        // No early exit: all of them are checked faster than a branch for each is taken.
        match self.checked() {
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
        let (plane, len, all) = (height * width, rows * width, self.checked());
        out.resize(classes * len, 0.0);
        for (class, to) in out.chunks_exact_mut(len).enumerate() {
            let from = (window * classes + class) * plane + first * width;
            match all {
                Numbers::F16(all) => all[from..from + len].convert_to_f32_slice(to),
                Numbers::F32(all) => to.copy_from_slice(&all[from..from + len]),
            }
        }
    }
}

#[cfg(test)]
#[path = "fused_tests.rs"]
mod tests;
