//! What two files of one architecture have in common, as one word.

use crate::OnnxError;
use crate::graph::Model;
use crate::tensor::numbers;
use crate::wire::fields;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy_graph::ToyGraph;

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
}
