//! Whether OpenVINO computes what ONNX Runtime computes.

use crate::probe::Noise;
use crate::{
    Difference, ModelError, ModelFiles, Network as _, OpenVinoNetwork, OrtNetwork, Runtime, SessionOptions,
};
use marquetry_job::{Backend, IoContract, Provider};

/// Scores of a channel may be apart by so much of its greatest: what single precision comes to in deep networks, many times over.
const APART_MAX: f64 = 1e-3;
/// Of channels that are next to nothing so much of what scores mostly are, or less.
const NOTHING: f64 = 1e-6;
/// So large a share of labels must be the same, of a model that gives labels: where two classes are level, either is right.
const SAME_MIN: f64 = 0.999;
/// What is shown beside windows, for models that take normalised numbers, shares, and pixels.
const SPREADS: [(f32, f32); 3] = [(-2.0, 2.0), (0.0, 1.0), (0.0, 255.0)];

/// Makes sure that OpenVINO, in single precision, gives the scores that ONNX Runtime gives on the processor for `model` under `contract`: for
/// `windows`, each `[channels, H, W]` as the model sees it, and, with `has_noise`, for noise.
///
/// # Errors
/// When one of them does not run it, or they give different scores.
pub fn check_openvino(
    runtime: &Runtime,
    model: &ModelFiles,
    contract: &IoContract,
    (windows, has_noise): (&[Vec<f32>], bool),
    options: &SessionOptions,
) -> Result<(), ModelError> {
    let by = |provider| IoContract { backend: Backend::exact(provider), ..contract.clone() };
    let mut found = OpenVinoNetwork::open(runtime, model, &by(Provider::OpenVino), options)?;
    let mut wanted = OrtNetwork::open(runtime, model, &by(Provider::Cpu), options)?;
    let spreads = if has_noise { &SPREADS[..] } else { &[] };
    let noise = spreads.iter().map(|(low, high)| Noise::fill(3, contract.input_len(), *low, *high));
    let batches = windows.iter().map(|window| window.repeat(contract.batch as usize));
    for shown in noise.chain(batches) {
        let found = found.run(&shown).map_err(|error| other(&error.to_string()))?;
        if let Some(difference) = difference(contract, found, wanted.run(&shown)?) {
            return Err(other(&difference));
        }
    }
    Ok(())
}

fn other(difference: &str) -> ModelError {
    let reason = format!("it does not compute what ONNX Runtime computes: {difference}");
    ModelError::Device { device: "openvino".into(), reason }
}

/// In which way scores, `[batch, classes, pixels]`, are not those that were wanted; none where they are.
fn difference(contract: &IoContract, found: &[f32], wanted: &[f32]) -> Option<String> {
    if !contract.element_out.is_float() {
        let same = found.iter().zip(wanted).filter(|(found, wanted)| found == wanted).count();
        let same = same as f64 / wanted.len().max(1) as f64;
        return (same < SAME_MIN).then(|| format!("{:.2} % of its labels are the same", same * 100.0));
    }
    let classes = contract.classes.max(1) as usize;
    let pixels = (contract.output_size.area() as usize).max(1);
    let mut channels = vec![Difference::default(); classes];
    for (at, (found, wanted)) in found.chunks(pixels).zip(wanted.chunks(pixels)).enumerate() {
        let channel = &mut channels[at % classes];
        found.iter().zip(wanted).for_each(|(found, wanted)| channel.add(*wanted, *found));
    }
    // One channel may stand out by far: a class that is never to be, or a distance.
    let mut ordered: Vec<f64> = channels.iter().map(|channel| channel.largest).collect();
    ordered.sort_by(f64::total_cmp);
    let usual = ordered[classes / 2].min(1.0);
    let is_off = |of: &Difference| of.most > (APART_MAX * of.largest).max(NOTHING * usual);
    let channel = channels.iter().position(is_off)?;
    let Difference { largest, most, .. } = channels[channel];
    if most.is_infinite() {
        return Some(format!("some scores of channel {channel} are numbers of one of them only"));
    }
    Some(format!("scores of channel {channel} of up to {largest:.3e} are up to {most:.3e} apart"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Element;
    use crate::toy::{Toy, Weights};
    use crate::{InspectOptions, IoRequest, inspect, resolve};
    use marquetry_geometry::Size;

    fn contract(classes: u32, element_out: Element) -> IoContract {
        IoContract {
            input: "image".into(),
            layout: crate::Layout::Nchw,
            channels: 3,
            size: Size::new(1, 4),
            batch: 1,
            element_in: Element::F32,
            dims: std::collections::BTreeMap::new(),
            head: "scores".into(),
            form: crate::OutputForm::Nchw,
            classes,
            output_size: Size::new(1, 4),
            element_out,
            backend: Backend::default(),
        }
    }

    #[test]
    fn scores_may_be_apart_by_rounding_and_no_more() {
        let wanted = [0.5, -10.0, f32::NAN, f32::INFINITY];
        let of = |found: &[f32]| difference(&contract(1, Element::F32), found, &wanted);
        assert_eq!(of(&[0.509, -10.009, f32::NAN, f32::INFINITY]), None);
        assert_eq!(
            of(&[0.5, -10.02, f32::NAN, f32::INFINITY]).unwrap(),
            "scores of channel 0 of up to 1.000e1 are up to 2.000e-2 apart"
        );
        for other in [
            [f32::NAN, -10.0, f32::NAN, f32::INFINITY],
            [0.5, -10.0, 1.0, f32::INFINITY],
            [0.5, -10.0, f32::NAN, 3.0],
        ] {
            assert_eq!(
                of(&other).unwrap(),
                "some scores of channel 0 are numbers of one of them only",
                "{other:?}"
            );
        }
        let labels = |other: usize| {
            let found: Vec<f32> = (0..1000).map(|n| if n < other { 7.0 } else { 1.0 }).collect();
            difference(&contract(1, Element::I64), &found, &[1.0; 1000])
        };
        assert_eq!(labels(1), None);
        assert_eq!(labels(2).unwrap(), "99.80 % of its labels are the same");
    }

    #[test]
    fn a_channel_that_stands_out_hides_no_other() {
        let wanted = [[1.0, 2.0, 3.0, 4.0], [-1e9; 4], [1e-9, 0.0, 0.0, 0.0]].concat();
        let of = |at: usize, by: f32| {
            let mut found = wanted.clone();
            found[at] += by;
            difference(&contract(3, Element::F32), &found, &wanted)
        };
        assert_eq!(of(0, 0.003), None);
        assert!(
            of(0, 0.005).unwrap().starts_with("scores of channel 0 of up to 4.000e0"),
            "its own greatest counts"
        );
        assert_eq!(of(4, 1e5), None);
        assert_eq!(of(9, 5e-7), None, "next to nothing");
        assert!(of(9, 5e-6).is_some());
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
        let windows = [vec![0.25; 3 * 24 * 24]];
        check_openvino(&runtime, &model, &contract, (&windows, true), &SessionOptions::default()).unwrap();
    }
}
