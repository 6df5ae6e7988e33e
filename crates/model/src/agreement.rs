//! Whether OpenVINO computes what ONNX Runtime computes.

use crate::facts::Element;
use crate::probe::Noise;
use crate::{ModelError, ModelFiles, Network as _, OpenVinoNetwork, OrtNetwork, Runtime, SessionOptions};
use marquetry_job::{Backend, IoContract, Provider};

/// Scores may be apart by so much of the greatest of them: what single precision comes to in deep networks, many times over.
const APART_MAX: f32 = 1e-3;
/// So large a share of labels must be the same, of a model that gives labels: where two classes are level, either is right.
const SAME_MIN: f64 = 0.999;
/// What is shown, for models that take normalised numbers, and for those that take pixels.
const SPREADS: [(f32, f32); 2] = [(-2.0, 2.0), (0.0, 255.0)];

/// Makes sure that OpenVINO, in single precision, gives the scores that ONNX Runtime gives on the processor for `model` under `contract`.
///
/// # Errors
/// When one of them does not run it, or they give different scores.
pub fn check_openvino(
    runtime: &Runtime,
    model: &ModelFiles,
    contract: &IoContract,
    options: &SessionOptions,
) -> Result<(), ModelError> {
    let by = |provider| IoContract { backend: Backend::exact(provider), ..contract.clone() };
    let mut found = OpenVinoNetwork::open(runtime, model, &by(Provider::OpenVino), options)?;
    let mut wanted = OrtNetwork::open(runtime, model, &by(Provider::Cpu), options)?;
    for (low, high) in SPREADS {
        let shown = Noise::fill(3, contract.input_len(), low, high);
        let difference = difference(&contract.element_out, found.run(&shown)?, wanted.run(&shown)?);
        if let Some(difference) = difference {
            let reason = format!("it does not compute what ONNX Runtime computes: {difference}");
            return Err(ModelError::Device { device: "openvino".into(), reason });
        }
    }
    Ok(())
}

/// In which way scores are not those that were wanted; none where they are.
fn difference(element: &Element, found: &[f32], wanted: &[f32]) -> Option<String> {
    let pairs = || found.iter().zip(wanted);
    if !element.is_float() {
        let same =
            pairs().filter(|(found, wanted)| found == wanted).count() as f64 / wanted.len().max(1) as f64;
        return (same < SAME_MIN).then(|| format!("{:.2} % of its labels are the same", same * 100.0));
    }
    let greatest = wanted.iter().filter(|v| v.is_finite()).fold(0.0_f32, |most, v| most.max(v.abs()));
    let apart = |(found, wanted): (&f32, &f32)| {
        if found.to_bits() == wanted.to_bits() || (found.is_nan() && wanted.is_nan()) {
            return 0.0;
        }
        let apart = (found - wanted).abs();
        if apart.is_nan() { f32::INFINITY } else { apart }
    };
    let most = pairs().map(apart).fold(0.0, f32::max);
    (most > APART_MAX * greatest)
        .then(|| format!("scores of up to {greatest:.3e} are up to {most:.3e} apart"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::{Toy, Weights};
    use crate::{InspectOptions, IoRequest, inspect, resolve};
    use marquetry_geometry::Size;

    #[test]
    fn scores_may_be_apart_by_rounding_and_no_more() {
        let wanted = [0.5, -10.0, f32::NAN, f32::INFINITY];
        let of = |found: &[f32]| difference(&Element::F32, found, &wanted);
        assert_eq!(of(&[0.509, -10.009, f32::NAN, f32::INFINITY]), None);
        assert_eq!(
            of(&[0.5, -10.02, f32::NAN, f32::INFINITY]).unwrap(),
            "scores of up to 1.000e1 are up to 2.000e-2 apart"
        );
        for other in [
            [f32::NAN, -10.0, f32::NAN, f32::INFINITY],
            [0.5, -10.0, 1.0, f32::INFINITY],
            [0.5, -10.0, f32::NAN, 3.0],
        ] {
            assert!(of(&other).is_some(), "{other:?}");
        }
        let labels = |other: usize| {
            let found: Vec<f32> = (0..1000).map(|n| if n < other { 7.0 } else { 1.0 }).collect();
            difference(&Element::I64, &found, &[1.0; 1000])
        };
        assert_eq!(labels(1), None);
        assert_eq!(labels(2).unwrap(), "99.80 % of its labels are the same");
    }

    #[test]
    fn a_model_is_computed_as_by_onnx_runtime() {
        let (runtime, size) = (crate::runtime::for_tests(), Size::square(24));
        let toy = Toy { classes: 4, kernel: 3, weights: Weights::Seeded(4), ..Toy::default() };
        let model = ModelFiles { onnx: toy.bytes(), external: Vec::new() };
        let facts =
            inspect(&runtime, &model, &InspectOptions { size: Some(size), ..Default::default() }).unwrap();
        let wanted =
            IoRequest { head: None, channels_out: Vec::new(), layout: None, channels: None, size, batch: 1 };
        let contract = resolve(&facts, &wanted).unwrap().signature;
        check_openvino(&runtime, &model, &contract, &SessionOptions::default()).unwrap();
    }
}
