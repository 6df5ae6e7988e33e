//! Dimensions of the image input that are open, fixed.

use crate::OnnxError;
use crate::edit::replaced;
use crate::graph::{Declared, Model};
use crate::wire::{Damaged, Value, fields, put_bytes, put_number};
use std::collections::BTreeMap;

/// The file with these dimensions of its one input fixed: axes, counted from 0, and their lengths. A name that such a
/// dimension has is fixed wherever the input has it, and what the file says of other values under that name is open: it follows
/// when the file is loaded, and cannot be wrong then.
///
/// # Errors
/// When the file is damaged, has not one input, or a dimension is fixed at another length.
pub fn with_dimensions(onnx: &[u8], lengths: &BTreeMap<usize, u64>) -> Result<Vec<u8>, OnnxError> {
    let model = Model::read(onnx)?;
    let given: Vec<&Declared<'_>> = model.graph.given().collect();
    let [input] = given.as_slice() else {
        return Err(OnnxError::Unsupported(format!(
            "the model has {} inputs, and dimensions of one image input are fixed here",
            given.len()
        )));
    };
    let dims = dimensions(input.ty)?;
    let (mut wanted, mut named) = (BTreeMap::<usize, u64>::new(), BTreeMap::<&str, u64>::new());
    for (axis, length) in lengths {
        match dims.get(*axis) {
            None => {
                return Err(OnnxError::Unsupported(format!(
                    "its input `{}` has {} axes, and axis {axis} is none of them",
                    input.name,
                    dims.len()
                )));
            }
            Some(Dim::Fixed(fixed)) if fixed != length => {
                return Err(OnnxError::Unsupported(format!(
                    "axis {axis} of its input `{}` is fixed at {fixed}, and cannot become {length}: export the model for that",
                    input.name
                )));
            }
            Some(Dim::Fixed(_)) => {}
            Some(Dim::Open(name)) => {
                wanted.insert(*axis, *length);
                if !name.is_empty() && named.insert(name, *length).is_some_and(|other| other != *length) {
                    return Err(OnnxError::Unsupported(format!(
                        "two axes of its input `{}` are both called `{name}`, and cannot be {} and {length}",
                        input.name,
                        lengths.values().find(|other| *other != length).copied().unwrap_or_default()
                    )));
                }
            }
        }
    }
    for (axis, dim) in dims.iter().enumerate() {
        if let Dim::Open(name) = dim
            && let Some(length) = named.get(name)
        {
            wanted.insert(axis, *length);
        }
    }
    replaced(onnx, 7, &mut |graph| {
        let mut out = Vec::with_capacity(graph.len());
        for field in fields(graph) {
            let field = field?;
            let Some(info) = field.bytes().filter(|_| matches!(field.number, 11..=13)) else {
                out.extend_from_slice(field.raw);
                continue;
            };
            let is_input = Declared::read(info)?.name == input.name && field.number == 11;
            let mut axis = 0;
            let other = each_dimension(info, &mut |dim| {
                axis += 1;
                if is_input {
                    return wanted.get(&(axis - 1)).map(|length| {
                        let mut fixed = Vec::new();
                        put_number(&mut fixed, 1, *length);
                        fixed
                    });
                }
                matches!(dim, Dim::Open(name) if named.contains_key(name)).then(Vec::new)
            })?;
            put_bytes(&mut out, field.number, &other);
        }
        Ok(out)
    })
}

#[derive(Clone, Copy)]
enum Dim<'a> {
    Fixed(u64),
    /// With its name, or none.
    Open(&'a str),
}

impl<'a> Dim<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Damaged> {
        let mut dim = Self::Open("");
        for field in fields(message) {
            let field = field?;
            match (field.number, field.value) {
                (1, Value::Number(length)) => dim = Self::Fixed(length),
                (2, Value::Bytes(_)) => dim = Self::Open(field.text().ok_or(Damaged)?),
                _ => {}
            }
        }
        Ok(dim)
    }
}

fn dimensions(ty: &[u8]) -> Result<Vec<Dim<'_>>, OnnxError> {
    let mut dims = Vec::new();
    for tensor in fields(ty) {
        let tensor = tensor?;
        let Some(tensor) = tensor.bytes().filter(|_| tensor.number == 1) else { continue };
        for shape in fields(tensor) {
            let shape = shape?;
            let Some(shape) = shape.bytes().filter(|_| shape.number == 2) else { continue };
            for dim in fields(shape) {
                let dim = dim?;
                dims.push(Dim::read(dim.bytes().ok_or(Damaged)?)?);
            }
        }
    }
    Ok(dims)
}

/// A `ValueInfoProto` with other dimensions, where `each` gives one.
fn each_dimension(
    info: &[u8],
    each: &mut dyn FnMut(Dim<'_>) -> Option<Vec<u8>>,
) -> Result<Vec<u8>, OnnxError> {
    replaced(info, 2, &mut |ty| {
        replaced(ty, 1, &mut |tensor| {
            replaced(tensor, 2, &mut |shape| {
                replaced(shape, 1, &mut |dim| Ok(each(Dim::read(dim)?).unwrap_or_else(|| dim.to_vec())))
            })
        })
    })
}
