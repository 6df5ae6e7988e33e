//! Scaling inside a graph: what its first nodes do to the samples that they are given.

use crate::facts::InsideScaling;
use half::f16;
use marquetry_onnx::wire::{Damaged, Value, fields};
use std::collections::BTreeMap;

/// Nodes that are followed from the input, at most.
const NODES_MAX: usize = 8;
/// More numbers than that are no mean or deviation of bands.
const NUMBERS_MAX: usize = 1024;

/// What the first nodes do to samples, where they scale them; `None` where they do not, or it cannot be read.
pub(crate) fn inside_scaling(onnx: &[u8], input: &str) -> Option<InsideScaling> {
    let graph = Graph::read(onnx).ok()??;
    let mut name = input;
    for _ in 0..NODES_MAX {
        let node = graph.nodes.iter().find(|node| node.inputs.contains(&name))?;
        let numbers = || {
            let other = node.inputs.iter().find(|other| **other != name)?;
            graph.numbers.get(other).cloned()
        };
        let largest = |numbers: &[f64]| numbers.iter().map(|v| v.abs()).fold(0.0, f64::max);
        match node.operator {
            // The order of bands changes no range, and bands that go ways of their own are all scaled.
            "Cast" | "Identity" | "Transpose" | "Pad" | "Dropout" | "Unsqueeze" | "Squeeze" | "Gather"
            | "Slice" | "Split" | "Concat" | "Reshape" => {}
            // What changes nothing is looked through.
            "Mul" | "Div" if numbers().is_some_and(|all| all.iter().all(|v| *v == 1.0)) => {}
            "Add" | "Sub" if numbers().is_some_and(|all| all.iter().all(|v| *v == 0.0)) => {}
            "Div" if node.inputs.first() == Some(&name) => {
                let by = largest(&numbers()?);
                return said(full(by, 100.0), by < 1.0, &format!("divides samples by {}", short(by)));
            }
            "Mul" => {
                let by = largest(&numbers()?);
                return said(
                    if by > 0.0 { full(1.0 / by, 100.0) } else { None },
                    by > 1.0,
                    &format!("multiplies samples by {}", short(by)),
                );
            }
            "Sub" if node.inputs.first() == Some(&name) => {
                let mean = largest(&numbers()?);
                return said(
                    full(mean, 2.0),
                    mean > 0.0 && mean <= 1.0,
                    &format!("takes {} off samples", short(mean)),
                );
            }
            "Add" => {
                let mean = largest(&numbers()?);
                return said(full(mean, 2.0), false, &format!("takes {} off samples", short(mean)));
            }
            "BatchNormalization" => {
                let mean = largest(graph.numbers.get(node.inputs.get(3)?)?);
                return said(full(mean, 4.0), false, &format!("takes a mean of {} off samples", short(mean)));
            }
            _ => return None,
        }
        name = node.outputs.first()?;
    }
    None
}

/// Samples that go far beyond 1.
#[derive(Clone, Copy)]
enum Full {
    /// To 255.
    Bytes,
    /// As far as they are stored.
    Stored,
}

/// How far samples go of which `number` is taken off, or which are divided by it; nothing below `least`, where it could be of
/// samples of 0 to 1.
fn full(number: f64, least: f64) -> Option<Full> {
    // 256 divides samples of 8 bits too.
    let beyond = if number > 256.5 { Full::Stored } else { Full::Bytes };
    (number > least).then_some(beyond)
}

fn said(full: Option<Full>, unit: bool, what: &str) -> Option<InsideScaling> {
    let what = format!("the graph itself {what}");
    match full {
        Some(Full::Bytes) => Some(InsideScaling::Bytes(what)),
        Some(Full::Stored) => Some(InsideScaling::Stored(what)),
        None => unit.then_some(InsideScaling::Unit(what)),
    }
}

fn short(value: f64) -> String {
    let text = format!("{value:.5}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[derive(Default)]
struct Graph<'a> {
    nodes: Vec<Node<'a>>,
    /// Tensors of few numbers, by name.
    numbers: BTreeMap<&'a str, Vec<f64>>,
}

#[derive(Default)]
struct Node<'a> {
    operator: &'a str,
    inputs: Vec<&'a str>,
    outputs: Vec<&'a str>,
}

impl<'a> Graph<'a> {
    fn read(onnx: &'a [u8]) -> Result<Option<Self>, Damaged> {
        for field in fields(onnx) {
            let field = field?;
            if let (7, Some(graph)) = (field.number, field.bytes()) {
                return Self::of(graph).map(Some);
            }
        }
        Ok(None)
    }

    fn of(message: &'a [u8]) -> Result<Self, Damaged> {
        let mut graph = Self::default();
        for field in fields(message) {
            let field = field?;
            match (field.number, field.bytes()) {
                (1, Some(node)) => graph.add_node(node)?,
                (5, Some(tensor)) => {
                    let (name, numbers) = numbers(tensor)?;
                    graph.numbers.insert(name, numbers);
                }
                _ => {}
            }
        }
        Ok(graph)
    }

    fn add_node(&mut self, message: &'a [u8]) -> Result<(), Damaged> {
        let (mut node, mut constant) = (Node::default(), None);
        for field in fields(message) {
            let field = field?;
            match (field.number, field.text(), field.bytes()) {
                (1, Some(input), _) => node.inputs.push(input),
                (2, Some(output), _) => node.outputs.push(output),
                (4, Some(operator), _) => node.operator = operator,
                (5, _, Some(attribute)) => constant = constant.or(value(attribute)?),
                _ => {}
            }
        }
        if let ("Constant", Some(numbers), Some(name)) = (node.operator, constant, node.outputs.first()) {
            self.numbers.insert(name, numbers);
        } else {
            self.nodes.push(node);
        }
        Ok(())
    }
}

/// The numbers in an attribute: a tensor, or one float.
fn value(attribute: &[u8]) -> Result<Option<Vec<f64>>, Damaged> {
    for field in fields(attribute) {
        let field = field?;
        match (field.number, field.value) {
            (5, Value::Bytes(tensor)) => return numbers(tensor).map(|(_, numbers)| Some(numbers)),
            (2, Value::Fixed(bytes)) => return Ok(Some(floats(bytes))),
            _ => {}
        }
    }
    Ok(None)
}

/// A tensor's name and its numbers; none where they are many, of a type that is no number of samples, or in another file.
fn numbers(tensor: &[u8]) -> Result<(&str, Vec<f64>), Damaged> {
    let (mut name, mut element, mut found, mut raw) = ("", 0, Vec::new(), None);
    for field in fields(tensor) {
        let field = field?;
        match (field.number, field.value) {
            (2, Value::Number(code)) => element = code,
            (4, Value::Bytes(packed)) if packed.len() <= 4 * NUMBERS_MAX => found.extend(floats(packed)),
            (4, Value::Fixed(bytes)) => found.extend(floats(bytes)),
            (8, Value::Bytes(text)) => name = std::str::from_utf8(text).map_err(|_| Damaged)?,
            (9, Value::Bytes(bytes)) if bytes.len() <= 8 * NUMBERS_MAX => raw = Some(bytes),
            (10, Value::Bytes(packed)) if packed.len() <= 8 * NUMBERS_MAX => {
                found.extend(
                    packed.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap_or_default())),
                );
            }
            _ => {}
        }
    }
    if let Some(raw) = raw {
        found = match element {
            1 => floats(raw),
            6 => raw
                .chunks_exact(4)
                .map(|b| f64::from(i32::from_le_bytes(b.try_into().unwrap_or_default())))
                .collect(),
            7 => raw
                .chunks_exact(8)
                .map(|b| i64::from_le_bytes(b.try_into().unwrap_or_default()) as f64)
                .collect(),
            10 => raw
                .chunks_exact(2)
                .map(|b| f16::from_le_bytes(b.try_into().unwrap_or_default()).to_f64())
                .collect(),
            11 => raw.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap_or_default())).collect(),
            _ => Vec::new(),
        };
    }
    Ok((name, found))
}

fn floats(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap_or_default()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::{InputScaling, Toy};

    fn inside(scaling: InputScaling) -> Option<InsideScaling> {
        inside_scaling(&Toy { scaling: Some(scaling), kernel: 3, ..Toy::default() }.bytes(), "image")
    }

    #[test]
    fn the_first_nodes_are_read() {
        let bytes = |found: Option<InsideScaling>, word: &str| match found {
            Some(InsideScaling::Bytes(what)) => assert!(what.contains(word), "{what}"),
            other => panic!("{other:?}"),
        };
        bytes(inside(InputScaling::Div(255.0)), "divides samples by 255");
        bytes(inside(InputScaling::Mul(1.0 / 255.0)), "multiplies samples by 0.00392");
        bytes(inside(InputScaling::Sub(123.675)), "takes 123.675 off");
        for (scaling, word) in [
            (InputScaling::Div(65_535.0), "divides samples by 65535"),
            (InputScaling::Mul(1.0 / 4095.0), "multiplies samples by 0.00024"),
            (InputScaling::Sub(32_767.5), "takes 32767.5 off"),
        ] {
            assert!(
                matches!(inside(scaling), Some(InsideScaling::Stored(what)) if what.contains(word)),
                "{word}"
            );
        }
        assert!(matches!(inside(InputScaling::Sub(0.485)), Some(InsideScaling::Unit(_))));
        assert_eq!(inside_scaling(&Toy::default().bytes(), "image"), None);
        let whole = Toy { scaling: Some(InputScaling::Div(255.0)), ..Toy::default() }.bytes();
        for end in 0..whole.len() {
            let _ = inside_scaling(&whole[..end], "image");
        }
    }
}
