//! A model in half precision, made when it is opened: weights and what bears it in 16 bits, between casts.

use crate::{Activations, ModelError, ModelFiles, Runtime, SessionOptions};
use marquetry_job::IoContract;
use marquetry_onnx::{HalfType, Halving, giving, with_all_data, with_folded_norms};

/// Values may be no greater on the windows that are looked at, to be computed in half precision: that ends at 65,504, and other windows have
/// greater ones.
pub const HALF_PRECISION_MAGNITUDE_MAX: f64 = 16_384.0;

/// Values that are looked at in one run: each has to be kept until it ends.
const VALUES_AT_ONCE: usize = 8;

/// `onnx` with what bears it computed in half precision; inputs and outputs stay as they are.
///
/// # Errors
/// When the file is damaged, or nothing of it bears half precision.
pub(crate) fn halved(onnx: &[u8]) -> Result<Vec<u8>, ModelError> {
    // A variance below 6e-5 would be no normal number of half precision: normalisation is folded first, in single.
    let (onnx, _) = with_folded_norms(onnx)?;
    let halved = Halving::new(&onnx, HalfType::F16)?.write()?;
    if halved.tensors == 0 {
        let reason = "nothing of it bears half precision".to_owned();
        return Err(ModelError::Device { device: "f16".into(), reason });
    }
    Ok(halved.onnx)
}

/// The greatest size of a number that would be in half precision, over `batches`, each `[batch, channels, H, W]`: half precision
/// ends at 65,504. Infinite where one is no number.
///
/// # Errors
/// When the model is none, or does not run as `contract` and `options` say.
pub fn half_precision_magnitude(
    runtime: &Runtime,
    model: &ModelFiles,
    contract: &IoContract,
    options: &SessionOptions,
    batches: &[Vec<f32>],
) -> Result<f64, ModelError> {
    let whole = with_all_data(&model.onnx, &model.external)?;
    let (onnx, _) = with_folded_norms(&whole)?;
    let halving = Halving::new(&onnx, HalfType::F16)?;
    let mut most = 0.0_f64;
    let mut note =
        |number: f32| most = most.max(if number.is_nan() { f64::INFINITY } else { number.abs().into() });
    for names in halving.values()?.chunks(VALUES_AT_ONCE) {
        let tapped = giving(&onnx, names)?;
        let mut session = Activations::open(runtime, tapped.as_slice(), contract, names, options)?;
        for batch in batches {
            session.run(batch, |_, output| output.numbers.iter().for_each(|number| note(*number)))?;
        }
    }
    Ok(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InspectOptions, IoRequest, Network as _, OrtNetwork, inspect, resolve};
    use marquetry_geometry::Size;
    use marquetry_job::{Backend, Precision, Provider};
    use marquetry_onnx::toy::Net;

    /// A network, a contract of two windows, and numbers to show it.
    fn network() -> (Runtime, ModelFiles, IoContract, Vec<f32>) {
        let runtime = crate::runtime::for_tests();
        let model = ModelFiles { onnx: Net::seeded(3, 4).bytes(), external: Vec::new() };
        let facts = inspect(&runtime, &model, &InspectOptions::default()).unwrap();
        let wanted = IoRequest {
            head: None,
            channels_out: Vec::new(),
            layout: None,
            channels: None,
            size: Size::square(32),
            batch: 2,
        };
        let contract = resolve(&facts, &wanted).unwrap().signature;
        let shown = crate::probe::Noise::fill(5, contract.input_len(), -2.0, 2.0);
        (runtime, model, contract, shown)
    }

    #[test]
    fn a_network_in_half_precision_says_nearly_the_same() {
        let (runtime, model, contract, shown) = network();
        let said = |precision| {
            let backend = Backend { provider: Provider::Any, precision };
            let contract = IoContract { backend, ..contract.clone() };
            let options = SessionOptions::default();
            let mut network = OrtNetwork::open(&runtime, &model, &contract, &options).unwrap();
            network.run(&shown).unwrap().to_vec()
        };
        let (single, half) = (said(Precision::F32), said(Precision::F16));
        let largest = single.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        let apart = single.iter().zip(&half).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart > 0.0 && apart < 0.01 * largest, "{apart} of {largest}");
    }

    #[test]
    fn the_greatest_number_is_found() {
        let (runtime, model, contract, shown) = network();
        let most = |shown: &[f32]| {
            let options = SessionOptions::default();
            half_precision_magnitude(&runtime, &model, &contract, &options, &[shown.to_vec()]).unwrap()
        };
        let louder: Vec<f32> = shown.iter().map(|v| v * 1e5).collect();
        assert!((1.0..1e4).contains(&most(&shown)) && most(&louder) > 65_504.0);
        assert!(matches!(halved(b"no model"), Err(ModelError::NotAModel { .. })));
    }
}
