//! A member run by OpenVINO on the processor.

use crate::facts::Element;
use crate::network::{Packed, Shown, check_dims, check_len};
use crate::pack::unpack;
use crate::probe::input_dims;
use crate::{IoContract, ModelError, ModelRef, Network, Runtime, SessionOptions};
use half::f16;
use marquetry_job::Precision;
use marquetry_onnx::{giving, with_all_data};
use marquetry_openvino::{CompileOptions, Compiled, Number, OpenVino, OpenVinoError, TrialRequest};

/// A model run by OpenVINO, on threads of its own.
pub struct OpenVinoNetwork {
    compiled: Compiled,
    contract: IoContract,
    packed: Packed,
    planes: Vec<f32>,
    bytes: Option<u64>,
}

impl OpenVinoNetwork {
    /// Opens `model` under `contract`.
    ///
    /// # Errors
    /// When OpenVINO is not there or does not know the model, a file with weights was not given along with it, it lacks what the contract
    /// names, or memory runs out.
    pub fn open<'a>(
        runtime: &Runtime,
        model: impl Into<ModelRef<'a>>,
        contract: &IoContract,
        options: &SessionOptions,
    ) -> Result<Self, ModelError> {
        let packed = Packed::of(&contract.element_in)?;
        let openvino = runtime.openvino().map_err(|error| refused(&error))?;
        let model = model.into();
        let onnx = with_all_data(model.onnx, model.external)?;
        // It computes all outputs that a model has.
        let onnx = giving(&onnx, &[&contract.head])?;
        let dims = input_dims(contract.layout, contract.batch, contract.channels, contract.size);
        let options = CompileOptions {
            threads: options.intra_threads,
            precision: arithmetic(contract.backend.precision)?,
        };
        let dims = dims.map(|dim| dim as u64);
        let request =
            |of: &OpenVino| TrialRequest { library: of.path().to_owned(), options, dims: dims.to_vec() };
        let bytes = runtime.try_openvino(model, contract, &onnx, request).map_err(ModelError::of_openvino)?;
        let compiled = openvino.compile(&onnx, &dims, options).map_err(ModelError::of_openvino)?;
        Ok(Self { compiled, contract: contract.clone(), packed, planes: Vec::new(), bytes })
    }
}

impl Network for OpenVinoNetwork {
    fn signature(&self) -> &IoContract {
        &self.contract
    }

    fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    fn run(&mut self, input: &[f32]) -> Result<&[f32], ModelError> {
        let Self { compiled, contract, packed, planes, .. } = self;
        check_len(input, contract)?;
        match packed.show(input, contract) {
            Shown::F32(shown) => compiled.run(shown),
            Shown::F16(shown) => compiled.run(shown),
            Shown::F64(shown) => compiled.run(shown),
            Shown::U8(shown) => compiled.run(shown),
        }
        .map_err(ModelError::of_openvino)?;
        check_dims(Some(compiled.output_dims().map_err(ModelError::of_openvino)?), contract)?;
        let count = contract.output_len();
        if contract.element_out == Element::F32 && !(contract.form.is_interleaved() && contract.classes > 1) {
            return compiled.output(count).map_err(ModelError::of_openvino);
        }
        read(compiled, contract, planes).map_err(ModelError::of_openvino)?;
        Ok(planes)
    }
}

/// Writes the output into `planes`, `[batch, classes, pixels]`, as numbers of single precision.
fn read(compiled: &Compiled, contract: &IoContract, planes: &mut Vec<f32>) -> Result<(), OpenVinoError> {
    let (interleaved, classes) = (contract.form.is_interleaved(), contract.classes as usize);
    let (count, pixels) = (contract.output_len(), contract.output_size.area() as usize);
    match contract.element_out {
        Element::F32 => unpack(compiled.output::<f32>(count)?, planes, interleaved, classes, pixels),
        Element::F16 => unpack(compiled.output::<f16>(count)?, planes, interleaved, classes, pixels),
        Element::F64 => unpack(compiled.output::<f64>(count)?, planes, interleaved, classes, pixels),
        Element::I64 => whole(compiled, count, planes, |v: i64| v as f32)?,
        Element::I32 => whole(compiled, count, planes, |v: i32| v as f32)?,
        Element::I16 => whole(compiled, count, planes, |v: i16| f32::from(v))?,
        Element::I8 => whole(compiled, count, planes, |v: i8| f32::from(v))?,
        Element::U64 => whole(compiled, count, planes, |v: u64| v as f32)?,
        Element::U32 => whole(compiled, count, planes, |v: u32| v as f32)?,
        Element::U16 => whole(compiled, count, planes, |v: u16| f32::from(v))?,
        // A truth value is a byte.
        Element::U8 | Element::Bool | Element::Other(_) => {
            whole(compiled, count, planes, |v: u8| f32::from(v))?;
        }
    }
    Ok(())
}

fn whole<T: Number>(
    compiled: &Compiled,
    count: usize,
    planes: &mut Vec<f32>,
    number: impl Fn(T) -> f32,
) -> Result<(), OpenVinoError> {
    planes.clear();
    planes.extend(compiled.output::<T>(count)?.iter().map(|&v| number(v)));
    Ok(())
}

fn arithmetic(precision: Precision) -> Result<marquetry_openvino::Precision, ModelError> {
    match precision {
        Precision::F32 => Ok(marquetry_openvino::Precision::F32),
        Precision::F16 => Ok(marquetry_openvino::Precision::F16),
        Precision::Bf16 => Ok(marquetry_openvino::Precision::Bf16),
        Precision::Tf32 => Err(refused(&"it has no arithmetic in tf32")),
    }
}

fn refused(reason: &dyn std::fmt::Display) -> ModelError {
    ModelError::Device { device: "openvino".into(), reason: reason.to_string() }
}

#[cfg(test)]
#[path = "openvino_network_tests.rs"]
mod tests;
