//! What two files of one architecture have in common: as one word, and to the last attribute.

use crate::OnnxError;
use crate::element::FloatType;
use crate::graph::Model;
use crate::tensor::numbers;
use crate::wire::{Kind, fields, map_tensors};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a network is made of: how many there are of each operator, and of tensors of each type and dimensions. Files of one training
/// have the same, and run at the same speed; whether two that have the same are one network, [`Averaging`](crate::Averaging) tells.
///
/// # Errors
/// When the file is damaged.
pub fn architecture(onnx: &[u8]) -> Result<String, OnnxError> {
    let graph = Model::read(onnx)?.graph;
    let mut parts: BTreeMap<String, usize> = BTreeMap::new();
    for node in &graph.nodes {
        *parts.entry(format!("{}{}", node.domain, node.operator)).or_default() += 1;
    }
    for message in graph.initialisers.values() {
        let (mut element, mut dims) = (0, Vec::new());
        for field in fields(message) {
            let field = field?;
            match field.number {
                1 => numbers(&field, |dim| dims.push(dim))?,
                2 => element = field.number_value().unwrap_or_default(),
                _ => {}
            }
        }
        *parts.entry(format!("{element}{dims:?}")).or_default() += 1;
    }
    let mut text = String::new();
    for (part, count) in parts {
        let _ = write!(text, "{count} {part} ");
    }
    Ok(text)
}

/// A network without its weights: all of a file but the numbers of its floating-point tensors and what is written about it. Files of one
/// training that were exported alike have the same. Numbers that may steer what is computed are no weights: those of tensors of one
/// number, and of small tensors inside of nodes.
///
/// # Errors
/// When the file is damaged.
pub fn skeleton(onnx: &[u8]) -> Result<Vec<u8>, OnnxError> {
    let without = map_tensors::<OnnxError>(onnx, &mut |tensor, kind| {
        let (mut kept, mut is_float, mut elements) = (Vec::new(), false, 1_u64);
        for field in fields(tensor) {
            let field = field?;
            match field.number {
                FLOAT_DATA | INT32_DATA | RAW_DATA | DOUBLE_DATA | EXTERNAL_DATA => {}
                _ => kept.extend_from_slice(field.raw),
            }
            match field.number {
                DIMS => numbers(&field, |dim| elements = elements.saturating_mul(dim))?,
                DATA_TYPE => is_float = field.number_value().and_then(FloatType::of).is_some(),
                _ => {}
            }
        }
        let steering_max = if kind == Kind::Initializer { 1 } else { CONSTANT_MAX };
        Ok((is_float && elements > steering_max).then_some(kept))
    })?;
    let mut out = Vec::new();
    for field in fields(without.as_deref().unwrap_or(onnx)) {
        let field = field?;
        if matches!(field.number, GRAPH | OPSETS | FUNCTIONS) {
            out.extend_from_slice(field.raw);
        }
    }
    Ok(out)
}

/// Tensors inside of nodes that have more numbers are weights.
const CONSTANT_MAX: u64 = 64;

// Fields of `TensorProto`. Half precision lies in `int32_data`.
const DIMS: u64 = 1;
const DATA_TYPE: u64 = 2;
const FLOAT_DATA: u64 = 4;
const INT32_DATA: u64 = 5;
const RAW_DATA: u64 = 9;
const DOUBLE_DATA: u64 = 10;
const EXTERNAL_DATA: u64 = 13;
// Fields of `ModelProto`.
const GRAPH: u64 = 7;
const OPSETS: u64 = 8;
const FUNCTIONS: u64 = 25;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy_graph::{Setting, ToyGraph};

    #[test]
    fn weights_make_no_other_architecture_and_dimensions_do() {
        let net = |side: u64, number: f32, operator: &str| {
            let weights = vec![number; (2 * 3 * side * side) as usize];
            let graph =
                ToyGraph::default().takes("x", 1, &[None; 4]).floats("w", &[2, 3, side, side], &weights);
            architecture(&graph.node(operator, &["x", "w"], &["y"], &[]).bytes(17)).unwrap()
        };
        assert_eq!(net(3, 1.0, "Conv"), "1 1[2, 3, 3, 3] 1 Conv ");
        assert_eq!(net(3, 1.0, "Conv"), net(3, 2.0, "Conv"));
        assert_ne!(net(3, 1.0, "Conv"), net(5, 1.0, "Conv"));
        assert_ne!(net(3, 1.0, "Conv"), net(3, 1.0, "ConvTranspose"));
        assert!(architecture(b"no model").is_err());
    }

    #[test]
    fn a_skeleton_has_all_but_the_weights() {
        use crate::toy::Net;
        let of = |net: &[u8]| skeleton(net).unwrap();
        let (a, b) = (Net::seeded(3, 4).bytes(), Net::seeded(8, 4).bytes());
        assert_ne!(a, b);
        assert_eq!(of(&a), of(&b), "another seed");
        assert!(of(&a).len() < a.len());
        let noted = crate::with_metadata(&a, &[("epoch".to_owned(), "7".to_owned())]).unwrap();
        assert_eq!(of(&noted), of(&a), "what is written about it");
        let net = |axis: i64, size: i64| {
            let graph = ToyGraph::default().takes("x", 1, &[None; 4]).ints("s", &[size]);
            graph.node("Flatten", &["x", "s"], &["y"], &[Setting::Int("axis", axis)]).bytes(17)
        };
        assert_eq!(of(&net(1, 2)), of(&net(1, 2)));
        assert_ne!(of(&net(1, 2)), of(&net(2, 2)), "an attribute");
        assert_ne!(of(&net(1, 2)), of(&net(1, 3)), "whole numbers are no weights");
        let scaled = |numbers: &[f32]| {
            let graph =
                ToyGraph::default().takes("x", 1, &[None; 4]).floats("w", &[numbers.len() as u64], numbers);
            graph.node("Mul", &["x", "w"], &["y"], &[]).bytes(17)
        };
        assert_eq!(of(&scaled(&[1.0, 2.0])), of(&scaled(&[3.0, 4.0])));
        assert_ne!(of(&scaled(&[1.0])), of(&scaled(&[3.0])), "one number may be a threshold");
        let inside = |number: f32| {
            let graph = ToyGraph::default().takes("x", 1, &[None; 4]).constant("w", &[3], &[number; 3]);
            graph.node("Mul", &["x", "w"], &["y"], &[]).bytes(17)
        };
        assert_ne!(of(&inside(1.0)), of(&inside(2.0)), "so may a few in a node");
        assert!(skeleton(b"no model").is_err());
    }
}
