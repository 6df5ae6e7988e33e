//! Running a member.

use crate::denormals::flushed;
use crate::facts::Element;
use crate::openvino_network::OpenVinoNetwork;
use crate::pack::{FromPixel, ToScore, pack, unpack};
use crate::probe::input_dims;
use crate::session::{self, Device, SessionOptions};
use crate::{IoContract, ModelError, ModelRef, Runtime};
use half::f16;
use marquetry_job::Provider;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session};
use ort::value::{DynValue, PrimitiveTensorElementType, TensorRef};

/// A model that is ready to run.
pub trait Network: Send {
    /// Its contract.
    fn signature(&self) -> &IoContract;

    /// Bytes of memory that it keeps between runs, where more than its weights count: what networks of ONNX Runtime compute with is
    /// shared by all of them.
    fn bytes(&self) -> Option<u64> {
        None
    }

    /// Runs one batch. `input` is `[batch, channels, H, W]`, planar; the answer is `[batch, classes, h, w]`, planar, and
    /// lives until the next run.
    ///
    /// # Errors
    /// When `input` has another length than the signature says, the output comes with other dimensions, memory runs
    /// out, or the model fails.
    fn run(&mut self, input: &[f32]) -> Result<&[f32], ModelError>;
}

/// Opens `model` under `contract`, computed by what that names.
///
/// # Errors
/// When it is no model, when a file with weights was not given along with it, when it lacks what the contract names, when memory runs out, or
/// when the device or the library cannot be used: nothing falls back in silence.
pub fn open_network<'a>(
    runtime: &Runtime,
    model: impl Into<ModelRef<'a>>,
    contract: &IoContract,
    options: &SessionOptions,
) -> Result<Box<dyn Network>, ModelError> {
    Ok(match contract.backend.provider {
        Provider::OpenVino => Box::new(OpenVinoNetwork::open(runtime, model, contract, options)?),
        Provider::Any | Provider::Cpu | Provider::Cuda => {
            Box::new(OrtNetwork::open(runtime, model, contract, options)?)
        }
    })
}

/// A model run by ONNX Runtime, on one thread of the caller at a time.
///
/// A model of planar `f32` is run without a copy on either side; any other layout or type goes through a buffer.
pub struct OrtNetwork {
    session: Session,
    signature: IoContract,
    device: Device,
    /// Asks for the one output, so that other heads are not even computed.
    options: RunOptions<HasSelectedOutputs>,
    packed: Packed,
    /// Kept because its memory is what a run without a copy lends out.
    output: Option<DynValue>,
    planes: Vec<f32>,
}

/// The input as the model wants it, where that is not planar `f32`.
pub(crate) enum Packed {
    F32(Vec<f32>),
    F16(Vec<f16>),
    F64(Vec<f64>),
    U8(Vec<u8>),
}

/// One batch as the model wants it.
pub(crate) enum Shown<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
    F64(&'a [f64]),
    U8(&'a [u8]),
}

impl OrtNetwork {
    /// Opens `model` under `signature`.
    ///
    /// # Errors
    /// When it is no model, when a file with weights was not given along with it, when it lacks what the signature names, when memory runs out, or when the device
    /// cannot be used: nothing falls back to the processor in silence.
    pub fn open<'a>(
        runtime: &Runtime,
        model: impl Into<ModelRef<'a>>,
        signature: &IoContract,
        options: &SessionOptions,
    ) -> Result<Self, ModelError> {
        let packed = Packed::of(&signature.element_in)?;
        let options = &options.for_backend(signature.backend)?;
        let session = session::open(runtime, model.into(), options, &signature.dims)?;
        check(&session, signature)?;
        let selected = OutputSelector::no_default().with(signature.head.as_str());
        let device = options.device;
        let options =
            RunOptions::new().map_err(|error| ModelError::from_run(&error, device))?.with_outputs(selected);
        let (signature, planes) = (signature.clone(), Vec::new());
        Ok(Self { session, signature, device, options, packed, output: None, planes })
    }

    fn infer(&mut self, input: &[f32]) -> ort::Result<DynValue> {
        let wanted = std::slice::from_ref(&self.signature.head);
        let mut outputs =
            self.packed.run(input, &mut self.session, &self.options, &self.signature, wanted)?;
        outputs.pop().ok_or_else(|| ort::Error::new("the output did not come back"))
    }
}

impl Packed {
    pub(crate) fn of(element: &Element) -> Result<Self, ModelError> {
        Ok(match element {
            Element::F32 => Self::F32(Vec::new()),
            Element::F16 => Self::F16(Vec::new()),
            Element::F64 => Self::F64(Vec::new()),
            Element::U8 => Self::U8(Vec::new()),
            other => {
                return Err(ModelError::NotSegmentation { reason: format!("its input takes {other}") });
            }
        })
    }

    /// One batch, `[batch, channels, H, W]`, planar, as the model wants it.
    pub(crate) fn show<'a>(&'a mut self, input: &'a [f32], s: &IoContract) -> Shown<'a> {
        let (channels, pixels) = (s.channels as usize, s.size.area() as usize);
        match self {
            Self::F32(_) if s.layout == crate::Layout::Nchw || channels == 1 => Shown::F32(input),
            Self::F32(packed) => Shown::F32(pack(input, packed, s.layout, channels, pixels)),
            Self::F16(packed) => Shown::F16(pack(input, packed, s.layout, channels, pixels)),
            Self::F64(packed) => Shown::F64(pack(input, packed, s.layout, channels, pixels)),
            Self::U8(packed) => Shown::U8(pack(input, packed, s.layout, channels, pixels)),
        }
    }

    /// Runs one batch, `[batch, channels, H, W]`, planar; the outputs that are `wanted`, in their order.
    pub(crate) fn run(
        &mut self,
        input: &[f32],
        session: &mut Session,
        options: &RunOptions<HasSelectedOutputs>,
        s: &IoContract,
        wanted: &[String],
    ) -> ort::Result<Vec<DynValue>> {
        match self.show(input, s) {
            Shown::F32(shown) => call(session, options, s, shown, wanted),
            Shown::F16(shown) => call(session, options, s, shown, wanted),
            Shown::F64(shown) => call(session, options, s, shown, wanted),
            Shown::U8(shown) => call(session, options, s, shown, wanted),
        }
    }
}

fn call<T>(
    session: &mut Session,
    options: &RunOptions<HasSelectedOutputs>,
    signature: &IoContract,
    packed: &[T],
    wanted: &[String],
) -> ort::Result<Vec<DynValue>>
where
    T: FromPixel + PrimitiveTensorElementType + std::fmt::Debug + 'static,
{
    let dims = input_dims(signature.layout, signature.batch, signature.channels, signature.size);
    let input = TensorRef::from_array_view((dims, packed))?;
    let mut outputs = flushed(|| session.run_with_options(ort::inputs![input], options))?;
    let wanted = wanted.iter().map(|name| outputs.remove(name));
    wanted.map(|value| value.ok_or_else(|| ort::Error::new("the output did not come back"))).collect()
}

impl Network for OrtNetwork {
    fn signature(&self) -> &IoContract {
        &self.signature
    }

    fn run(&mut self, input: &[f32]) -> Result<&[f32], ModelError> {
        check_len(input, &self.signature)?;
        // The last output goes back to the arena first, so that this one takes its place.
        self.output = None;
        let device = self.device;
        let failed = |error: ort::Error| ModelError::from_run(&error, device);
        let output = self.infer(input).map_err(failed)?;
        let output = &*self.output.insert(output);
        let s = &self.signature;
        check_dims(
            output.dtype().tensor_shape().map(|shape| shape.iter().map(|&dim| dim as u64).collect()),
            s,
        )?;
        let (interleaved, classes) = (s.form.is_interleaved() && s.classes > 1, s.classes as usize);
        let pixels = s.output_size.area() as usize;
        if s.element_out == Element::F16 {
            let (_, values) = output.try_extract_tensor::<f16>().map_err(failed)?;
            unpack(values, &mut self.planes, interleaved, classes, pixels);
            return Ok(&self.planes);
        }
        if s.element_out == Element::F64 {
            let (_, values) = output.try_extract_tensor::<f64>().map_err(failed)?;
            unpack(values, &mut self.planes, interleaved, classes, pixels);
            return Ok(&self.planes);
        }
        if let Some(labels) = whole_numbers(output, &s.element_out).map_err(failed)? {
            self.planes = labels;
            return Ok(&self.planes);
        }
        let (_, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
        if interleaved {
            unpack(values, &mut self.planes, interleaved, classes, pixels);
            return Ok(&self.planes);
        }
        Ok(values)
    }
}

/// The numbers of an output that holds whole numbers or truth values; nothing for one of another type.
pub(crate) fn whole_numbers(output: &DynValue, element: &Element) -> ort::Result<Option<Vec<f32>>> {
    fn of<T: PrimitiveTensorElementType + ToScore>(output: &DynValue) -> ort::Result<Option<Vec<f32>>> {
        Ok(Some(output.try_extract_tensor::<T>()?.1.iter().map(|v| v.to_score()).collect()))
    }
    match element {
        Element::I64 => of::<i64>(output),
        Element::I32 => of::<i32>(output),
        Element::I16 => of::<i16>(output),
        Element::I8 => of::<i8>(output),
        Element::U64 => of::<u64>(output),
        Element::U32 => of::<u32>(output),
        Element::U16 => of::<u16>(output),
        Element::U8 => of::<u8>(output),
        Element::Bool => of::<bool>(output),
        Element::F32 | Element::F16 | Element::F64 | Element::Other(_) => Ok(None),
    }
}

/// Whether the session has the input and the output that the signature names.
fn check(session: &Session, signature: &IoContract) -> Result<(), ModelError> {
    let heads: Vec<String> = session.outputs().iter().map(|outlet| outlet.name().to_owned()).collect();
    if !heads.contains(&signature.head) {
        return Err(ModelError::UnknownHead { head: signature.head.clone(), heads });
    }
    let inputs: Vec<&str> = session.inputs().iter().map(ort::value::Outlet::name).collect();
    if inputs != [signature.input.as_str()] {
        return Err(ModelError::WrongShape {
            what: "model".into(),
            found: format!("the inputs {inputs:?}"),
            expected: format!("{:?}", signature.input),
        });
    }
    Ok(())
}

/// Whether an input is as long as the contract says.
pub(crate) fn check_len(input: &[f32], contract: &IoContract) -> Result<(), ModelError> {
    let expected = contract.input_len();
    if input.len() == expected {
        return Ok(());
    }
    Err(ModelError::WrongShape {
        what: "input".into(),
        found: format!("{} numbers", input.len()),
        expected: format!("{expected}"),
    })
}

/// Whether an output has the dimensions that the contract says; none: it is no tensor.
pub(crate) fn check_dims(found: Option<Vec<u64>>, contract: &IoContract) -> Result<(), ModelError> {
    let (batch, classes, size) = (contract.batch, contract.classes, contract.output_size);
    if found.as_ref().is_some_and(|found| contract.form.fits(found, batch, classes, size)) {
        return Ok(());
    }
    let expected = contract.form.dims(batch, classes, size);
    Err(ModelError::WrongShape {
        what: format!("output `{}`", contract.head),
        found: found.map_or_else(|| "no tensor".into(), |found| format!("dimensions {found:?}")),
        expected: format!("{expected:?}"),
    })
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
