//! A member run by OpenVINO on the processor.

use crate::facts::Element;
use crate::network::{Packed, Shown, check_dims, check_len};
use crate::pack::{ToScore, unpack};
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
        if contract.element_out == Element::F32 && !(contract.form.is_interleaved() && contract.classes > 1) {
            return compiled.output(contract.output_len()).map_err(ModelError::of_openvino);
        }
        match &contract.element_out {
            Element::F32 => read::<f32>(compiled, contract, planes),
            Element::F16 => read::<f16>(compiled, contract, planes),
            Element::F64 => read::<f64>(compiled, contract, planes),
            Element::I64 => read::<i64>(compiled, contract, planes),
            Element::I32 => read::<i32>(compiled, contract, planes),
            Element::I16 => read::<i16>(compiled, contract, planes),
            Element::I8 => read::<i8>(compiled, contract, planes),
            Element::U64 => read::<u64>(compiled, contract, planes),
            Element::U32 => read::<u32>(compiled, contract, planes),
            Element::U16 => read::<u16>(compiled, contract, planes),
            // A truth value is a byte.
            Element::U8 | Element::Bool => read::<u8>(compiled, contract, planes),
            Element::Other(other) => {
                let reason = format!("its numbers are {other}");
                return Err(ModelError::UnusableHead { head: contract.head.clone(), reason });
            }
        }
        .map_err(ModelError::of_openvino)?;
        Ok(planes)
    }
}

/// Writes the output into `planes`, `[batch, classes, pixels]`, as numbers of single precision.
fn read<T: Number + ToScore>(
    compiled: &Compiled,
    contract: &IoContract,
    planes: &mut Vec<f32>,
) -> Result<(), OpenVinoError> {
    let (interleaved, classes) = (contract.form.is_interleaved(), contract.classes as usize);
    let values = compiled.output::<T>(contract.output_len())?;
    unpack(values, planes, interleaved, classes, contract.output_size.area() as usize);
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
