//! One tensor of a file: its type, dimensions and numbers.

use crate::OnnxError;
use crate::element::FloatType;
use crate::external::{ExternalReference, needed_bytes};
use crate::wire::{Damaged, Field, Value, fields, put_bytes, varint};
use std::borrow::Cow;

/// A tensor, with its numbers as little-endian bytes wherever and however the file holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor<'a> {
    /// Its name; empty inside of a node.
    pub name: &'a str,
    /// Its dimensions.
    pub dims: Vec<u64>,
    /// Its type, a number of `TensorProto.DataType`.
    pub element: u64,
    /// Its numbers, little endian, in C order.
    pub data: Cow<'a, [u8]>,
}

impl<'a> Tensor<'a> {
    /// Reads a `TensorProto` that holds its numbers itself.
    ///
    /// # Errors
    /// When the message is damaged, holds another number of values than its dimensions say, or refers to another file.
    pub fn read(message: &'a [u8]) -> Result<Self, OnnxError> {
        let mut tensor = Self { name: "", dims: Vec::new(), element: 0, data: Cow::Borrowed(&[]) };
        // Texts do not lie in one piece, and have no fixed length.
        let (mut typed, mut texts) = (Vec::new(), None::<Vec<u8>>);
        for field in fields(message) {
            let field = field?;
            match (field.number, field.value) {
                (1, _) => numbers(&field, |dim| tensor.dims.push(dim))?,
                (2, Value::Number(code)) => tensor.element = code,
                (8, Value::Bytes(_)) => tensor.name = field.text().ok_or(Damaged)?,
                (9, Value::Bytes(raw)) => tensor.data = Cow::Borrowed(raw),
                (4..=7 | 10 | 11, _) if field.number != 6 => typed.push(field),
                (6, Value::Bytes(text)) => put_bytes(texts.get_or_insert_default(), 6, text),
                (14, Value::Number(1)) => {
                    let location = ExternalReference::of(message)?.map_or_else(String::new, |r| r.location);
                    let reason = "it was not read along with the model".to_owned();
                    return Err(OnnxError::External { location, reason });
                }
                _ => {}
            }
        }
        if tensor.dims.iter().try_fold(1_u64, |count, dim| count.checked_mul(*dim)).is_none() {
            return Err(OnnxError::Invalid(format!(
                "the tensor `{}` has impossible dimensions {:?}",
                tensor.name, tensor.dims
            )));
        }
        if let Some(texts) = texts {
            tensor.data = Cow::Owned(texts);
            return Ok(tensor);
        }
        if tensor.data.is_empty() && !typed.is_empty() {
            tensor.data = Cow::Owned(bytes_of(&typed, tensor.element)?);
        }
        let needed = needed_bytes(tensor.element, &tensor.dims);
        if needed.is_some_and(|needed| needed != tensor.data.len() as u64) {
            return Err(OnnxError::Invalid(format!(
                "the tensor `{}` of dimensions {:?} holds {} bytes, and {} are needed",
                tensor.name,
                tensor.dims,
                tensor.data.len(),
                needed.unwrap_or_default()
            )));
        }
        Ok(tensor)
    }

    /// Its type, where that can be averaged.
    pub fn float(&self) -> Option<FloatType> {
        FloatType::of(self.element)
    }

    /// How many numbers it has.
    pub fn len(&self) -> usize {
        self.dims.iter().product::<u64>() as usize
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.dims.contains(&0)
    }

    /// Its numbers, if it is of floats.
    pub fn numbers(&self) -> Option<Vec<f64>> {
        let mut numbers = Vec::with_capacity(self.len());
        self.float()?.read(&self.data, |n| numbers.push(n));
        Some(numbers)
    }
}

/// A `TensorProto` of the same type and dimensions under the same or another name, with these bytes.
pub(crate) fn with_data(message: &[u8], name: Option<&str>, data: &[u8]) -> Result<Vec<u8>, OnnxError> {
    let mut out = Vec::with_capacity(data.len() + 64);
    for field in fields(&ExternalReference::without_data(message)?) {
        let field = field?;
        if field.number != 8 || name.is_none() {
            out.extend_from_slice(field.raw);
        }
    }
    if let Some(name) = name {
        put_bytes(&mut out, 8, name.as_bytes());
    }
    put_bytes(&mut out, 9, data);
    Ok(out)
}

/// Hands the whole numbers of a repeated field to `each`: packed or one by one.
pub(crate) fn numbers(field: &Field<'_>, mut each: impl FnMut(u64)) -> Result<(), Damaged> {
    match field.value {
        Value::Number(number) => each(number),
        Value::Bytes(mut packed) => {
            while !packed.is_empty() {
                each(varint(&mut packed).ok_or(Damaged)?);
            }
        }
        Value::Fixed(_) => return Err(Damaged),
    }
    Ok(())
}

/// What `float_data`, `int32_data`, `int64_data`, `double_data` and `uint64_data` hold, as `raw_data` would.
fn bytes_of(typed: &[Field<'_>], element: u64) -> Result<Vec<u8>, OnnxError> {
    let mut out = Vec::new();
    // Types of four bits and fewer are packed into bytes before they come here.
    let width = match element {
        2 | 3 | 9 | 17..=26 => 1,
        4 | 5 | 10 | 16 => 2,
        6 | 12 => 4,
        _ => 8,
    };
    for field in typed {
        match (field.number, field.value) {
            (4 | 10, Value::Fixed(bytes) | Value::Bytes(bytes)) => out.extend_from_slice(bytes),
            (5 | 7 | 11, _) => {
                numbers(field, |number| out.extend_from_slice(&number.to_le_bytes()[..width]))?;
            }
            _ => return Err(OnnxError::Damaged),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::put_number;

    fn message(element: u64, dims: &[u64], put: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        dims.iter().for_each(|dim| put_number(&mut out, 1, *dim));
        put_number(&mut out, 2, element);
        put_bytes(&mut out, 8, b"w");
        put(&mut out);
        out
    }

    fn numbers_in(message: &[u8]) -> Vec<f64> {
        Tensor::read(message).unwrap().numbers().unwrap()
    }

    #[test]
    fn numbers_are_read_however_they_are_stored() {
        let floats = [1.5_f32, -2.0].map(f32::to_le_bytes);
        let raw = message(1, &[2], |out| put_bytes(out, 9, floats.as_flattened()));
        let packed = message(1, &[2], |out| put_bytes(out, 4, floats.as_flattened()));
        let single = message(1, &[2], |out| {
            for number in floats {
                out.push(4 << 3 | 5);
                out.extend(number);
            }
        });
        assert_eq!([&raw, &packed, &single].map(|m| numbers_in(m)), [[1.5, -2.0]; 3]);
        assert_eq!(Tensor::read(&raw).unwrap(), Tensor::read(&single).unwrap());
        // Halves lie in `int32_data`, one a number.
        let halves = message(10, &[3], |out| {
            [0x3c00_u64, 0xc000, 0x3555].iter().for_each(|bits| put_number(out, 5, *bits));
        });
        assert_eq!(numbers_in(&halves), [1.0, -2.0, 0.333_251_953_125]);
        let halves = message(16, &[1], |out| put_bytes(out, 5, &[0x80, 0x7f]));
        assert_eq!(numbers_in(&halves), [1.0], "bf16, packed");
        let doubles = message(11, &[1], |out| put_bytes(out, 10, &0.1_f64.to_le_bytes()));
        assert_eq!(numbers_in(&doubles), [0.1]);
        let whole = message(7, &[2], |out| [3, u64::MAX].iter().for_each(|n| put_number(out, 7, *n)));
        let whole = Tensor::read(&whole).unwrap();
        assert_eq!((whole.numbers(), &*whole.data), (None, [3_i64, -1].map(i64::to_le_bytes).as_flattened()));
    }

    #[test]
    fn tensors_that_lack_numbers_are_damaged() {
        let short = message(1, &[3], |out| put_bytes(out, 9, &[0; 8]));
        let error = Tensor::read(&short).unwrap_err().to_string();
        assert_eq!(
            error,
            "the model is damaged: the tensor `w` of dimensions [3] holds 8 bytes, and 12 are needed"
        );
        assert!(Tensor::read(&short[..short.len() - 1]).is_err());
        let vast = message(7, &[u64::MAX, 3], |_| {});
        assert!(Tensor::read(&vast).unwrap_err().to_string().contains("impossible dimensions"));
    }

    #[test]
    fn other_bytes_keep_the_rest() {
        let before = message(10, &[1, 2], |out| put_bytes(out, 5, &[0, 0]));
        let after = with_data(&before, Some("v"), &[0, 0x3c, 0, 0x40]).unwrap();
        let read = Tensor::read(&after).unwrap();
        assert_eq!(
            (read.name, read.dims.as_slice(), read.numbers()),
            ("v", &[1, 2][..], Some(vec![1.0, 2.0]))
        );
    }
}
