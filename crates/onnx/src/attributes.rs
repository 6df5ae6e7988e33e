//! Whether two nodes are set to the same.

use crate::OnnxError;
use crate::graph::Node;
use crate::tensor::{Tensor, numbers};
use crate::wire::{Damaged, Value, fields};

/// The first attribute in which two nodes of one operator differ.
pub(crate) fn same_attributes(a: &Node<'_>, b: &Node<'_>) -> Result<Option<String>, OnnxError> {
    let names =
        a.attributes.keys().chain(b.attributes.keys().filter(|name| !a.attributes.contains_key(*name)));
    for name in names {
        if is_idle(a.operator, name) {
            continue;
        }
        let value = |node: &Node<'_>| -> Result<Option<Settled>, OnnxError> {
            match node.attributes.get(name) {
                Some(message) => Settled::read(message).map(Some),
                None => Ok(default(node.operator, name)),
            }
        };
        if value(a)? != value(b)? {
            return Ok(Some((*name).to_owned()));
        }
    }
    Ok(None)
}

/// What changes nothing when a model is run.
fn is_idle(operator: &str, name: &str) -> bool {
    operator == "BatchNormalization" && matches!(name, "momentum" | "spatial")
}

/// What some exporters write out, and others leave to the operator.
fn default(operator: &str, name: &str) -> Option<Settled> {
    let float = |value: f32| Some(Settled { floats: vec![value.to_bits()], ..Settled::default() });
    let int = |value: u64| Some(Settled { ints: vec![value], ..Settled::default() });
    match (operator, name) {
        ("BatchNormalization" | "InstanceNormalization" | "LayerNormalization", "epsilon") => float(1e-5),
        ("Gemm", "alpha" | "beta") => float(1.0),
        ("BatchNormalization", "training_mode") | ("Gemm", "transA" | "transB") => int(0),
        ("Conv" | "ConvTranspose", "group") => int(1),
        _ => None,
    }
}

/// An attribute's value, in one form for all ways to write it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Settled {
    floats: Vec<u32>,
    ints: Vec<u64>,
    texts: Vec<Vec<u8>>,
    tensors: Vec<(Vec<u64>, u64, Vec<u8>)>,
    /// Graphs, types, sparse tensors, references to a function's attributes.
    others: Vec<Vec<u8>>,
}

impl Settled {
    fn read(message: &[u8]) -> Result<Self, OnnxError> {
        let mut settled = Self::default();
        for field in fields(message) {
            let field = field?;
            match (field.number, field.value) {
                // Its name, its type, and a text for people.
                (1 | 13 | 20, _) => {}
                (2 | 7, Value::Fixed(bytes) | Value::Bytes(bytes)) => {
                    let (floats, rest) = bytes.as_chunks();
                    if !rest.is_empty() {
                        return Err(Damaged.into());
                    }
                    settled.floats.extend(floats.iter().map(|float| u32::from_le_bytes(*float)));
                }
                (3 | 8, _) => numbers(&field, |number| settled.ints.push(number))?,
                (4 | 9, Value::Bytes(text)) => settled.texts.push(text.to_vec()),
                (5 | 10, Value::Bytes(tensor)) => {
                    let tensor = Tensor::read(tensor)?;
                    settled.tensors.push((tensor.dims, tensor.element, tensor.data.into_owned()));
                }
                _ => settled.others.push(field.raw.to_vec()),
            }
        }
        Ok(settled)
    }
}
