use super::*;
use crate::{Input, Scaling};
use marquetry_ensemble::{ClassMap, Importance, OutputActivation, View};
use marquetry_geometry::{Edges, Resample, Size, WindowSpec};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A model whose channel for each class is one of `channels`.
fn model(channels: &[Option<u16>]) -> GateModel {
    let inner = Size::square(1);
    let window = WindowSpec { inner, margin: Size::square(0), stride: inner, edges: Edges::Shift };
    let member = Member {
        name: "g".into(),
        onnx: "g.onnx".into(),
        sha256: String::new(),
        external: Vec::new(),
        model_bytes: 1,
        tags: BTreeMap::new(),
        weights: Vec::new(),
        input: Input::default(),
        applied: OutputActivation::Sigmoid,
        classes: ClassMap::default(),
        fit: crate::Fit::Resize,
        signatures: Vec::new(),
    };
    let group = Group {
        scaling: Scaling::Whole(Size::square(8)),
        resample: Resample::Linear,
        window,
        importance: Importance::Constant,
        views: vec![View::IDENTITY],
        members: vec![member],
    };
    GateModel { group, labelling: Labelling::Multilabel, channels: channels.to_vec() }
}

proptest! {
    /// Every bit comes back: whether a class is denied hangs on it.
    #[test]
    fn bits_survive(said in prop::collection::vec(prop::collection::vec(0.0_f32..=1.0, 3), 1..5)) {
        let of = model(&[None, Some(2), Some(0)]);
        let said: Vec<(&GateModel, Vec<f32>)> = said.into_iter().map(|p| (&of, p)).collect();
        let gate = ImageGate::new("k", 3, &said);
        let read = ImageGate::from_bytes(&gate.to_bytes(), "k", 3).unwrap();
        let bits = |gate: &ImageGate| -> Vec<_> {
            gate.probabilities().iter().map(|p| p.map(f64::to_bits)).collect()
        };
        prop_assert_eq!(bits(&read), bits(&gate));
    }

    /// A threshold of 0 denies nothing, and a greater one denies no less.
    #[test]
    fn thresholds_deny(probabilities in prop::collection::vec(prop::option::of(0.0_f64..=1.0), 3), a in 0.0_f32..=1.0, b in 0.0_f32..=1.0) {
        prop_assert_eq!(denied(&probabilities, &[0.0; 3], None), [false; 3]);
        let [low, high] = [a.min(b), a.max(b)].map(|t| denied(&probabilities, &[t; 3], Some(0)));
        prop_assert!(!low[0] && !high[0], "the background is always allowed");
        prop_assert!(low.iter().zip(&high).all(|(low, high)| !low || *high));
    }
}

#[test]
fn several_models_are_averaged_where_they_speak() {
    let (both, one) = (model(&[None, Some(0), Some(1)]), model(&[None, None, Some(0)]));
    let gate = ImageGate::new("k", 3, &[(&both, vec![0.25, 0.5]), (&one, vec![1.0])]);
    assert_eq!(gate.probabilities(), [None, Some(0.25), Some(0.75)]);
    assert_eq!(denied(gate.probabilities(), &[1.0, 0.25, 0.76], Some(0)), [false, false, true]);
}

#[test]
fn what_is_of_another_image_or_damaged_is_not_used() {
    let stored = ImageGate::new("k", 2, &[(&model(&[None, Some(0)]), vec![0.25])]).to_bytes();
    assert!(ImageGate::from_bytes(&stored, "k", 2).is_ok());
    assert!(ImageGate::from_bytes(&stored, "other", 2).is_err());
    assert!(ImageGate::from_bytes(&stored, "k", 3).is_err());
    assert!(ImageGate::from_bytes(&stored[..stored.len() - 3], "k", 2).is_err());
    let text = String::from_utf8(stored).unwrap();
    for (from, to) in [("0.25", "0.75"), ("\"version\":1", "\"version\":2"), ("null", "1.0")] {
        assert!(text.contains(from), "{text}");
        assert!(ImageGate::from_bytes(text.replace(from, to).as_bytes(), "k", 2).is_err());
    }
}
