//! Values from inside of a model: what its layers give.

use crate::network::Packed;
use crate::session::{self, Device, SessionOptions};
use crate::{IoContract, ModelError, ModelRef, Runtime};
use half::f16;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session};
use ort::value::DynValue;
use std::borrow::Cow;

/// A model of which other values are asked for than scores.
pub struct Activations {
    session: Session,
    contract: IoContract,
    device: Device,
    names: Vec<String>,
    options: RunOptions<HasSelectedOutputs>,
    packed: Packed,
}

/// What a layer gives for one batch.
#[derive(Debug, Clone, Copy)]
pub struct LayerOutput<'a> {
    /// Its dimensions: `[batch, channels, …]`.
    pub dims: &'a [u64],
    /// Its numbers, in C order; of doubles those nearest in single precision.
    pub numbers: &'a [f32],
}

impl Activations {
    /// Opens `model`, which gives the values `names` as outputs, and takes what `contract` says.
    ///
    /// # Errors
    /// When it is no model, takes another type, or memory runs out.
    pub fn open<'a>(
        runtime: &Runtime,
        model: impl Into<ModelRef<'a>>,
        contract: &IoContract,
        names: &[&str],
        options: &SessionOptions,
    ) -> Result<Self, ModelError> {
        let packed = Packed::of(&contract.element_in)?;
        let options = &options.for_backend(contract.backend)?;
        let session = session::open(runtime, model.into(), options, &contract.dims)?;
        let device = options.device;
        let selected = names.iter().fold(OutputSelector::no_default(), |selector, name| selector.with(*name));
        let options =
            RunOptions::new().map_err(|error| ModelError::from_run(&error, device))?.with_outputs(selected);
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Ok(Self { session, contract: contract.clone(), device, names, options, packed })
    }

    /// Runs one batch, `[batch, channels, H, W]`, planar, and hands each value to `each` with its place in the list of names.
    ///
    /// # Errors
    /// When the input has another length than the contract says, a value is no tensor of floats, or the model fails.
    pub fn run(
        &mut self,
        input: &[f32],
        mut each: impl FnMut(usize, LayerOutput<'_>),
    ) -> Result<(), ModelError> {
        let expected = self.contract.input_len();
        if input.len() != expected {
            return Err(ModelError::WrongShape {
                what: "input".into(),
                found: format!("{} numbers", input.len()),
                expected: format!("{expected}"),
            });
        }
        let device = self.device;
        let outputs = self.packed.run(input, &mut self.session, &self.options, &self.contract, &self.names);
        let outputs = outputs.map_err(|error| ModelError::from_run(&error, device))?;
        for (place, output) in outputs.iter().enumerate() {
            let (dims, numbers) = floats(output).ok_or_else(|| ModelError::WrongShape {
                what: format!("value `{}`", self.names[place]),
                found: output.dtype().to_string(),
                expected: "floats".into(),
            })?;
            each(place, LayerOutput { dims: &dims, numbers: &numbers });
        }
        Ok(())
    }
}

fn floats(output: &DynValue) -> Option<(Vec<u64>, Cow<'_, [f32]>)> {
    let dims = |shape: &ort::value::Shape| shape.iter().map(|dim| *dim as u64).collect();
    if let Ok((shape, numbers)) = output.try_extract_tensor::<f32>() {
        return Some((dims(shape), Cow::Borrowed(numbers)));
    }
    if let Ok((shape, numbers)) = output.try_extract_tensor::<f16>() {
        return Some((dims(shape), numbers.iter().map(|n| n.to_f32()).collect()));
    }
    let (shape, numbers) = output.try_extract_tensor::<f64>().ok()?;
    Some((dims(shape), numbers.iter().map(|n| *n as f32).collect()))
}
