//! Weights that lie in files beside a model.

use crate::OnnxError;
use crate::wire::{Damaged, Kind, fields, map_tensors, put_bytes, put_number, varint};
use std::borrow::Cow;
use std::path::{Component, Path};
use std::sync::Arc;

/// A file beside a model that holds weights of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalData {
    /// Its path from the model's folder, as the model writes it.
    pub location: String,
    /// All its bytes.
    pub bytes: Arc<[u8]>,
}

/// The model with all its weights in it.
///
/// # Errors
/// When the bytes are no model, or a file is missing from `external` or too short.
pub fn with_all_data<'a>(onnx: &'a [u8], external: &[ExternalData]) -> Result<Cow<'a, [u8]>, OnnxError> {
    let changed = map_tensors::<OnnxError>(onnx, &mut |tensor: &[u8], _: Kind| {
        let Some(reference) = ExternalReference::of(tensor)? else { return Ok(None) };
        let file = external.iter().find(|file| file.location == reference.location);
        let file = file.ok_or_else(|| reference.wrong("it was not given along with the model"))?;
        ExternalReference::inlined(tensor, reference.slice(&file.bytes)?).map(Some)
    })?;
    Ok(changed.map_or(Cow::Borrowed(onnx), Cow::Owned))
}

/// Where a tensor's numbers lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalReference {
    tensor: String,
    /// The file: its path from the model's folder.
    pub location: String,
    offset: u64,
    /// Bytes, as the file says.
    length: Option<u64>,
    /// Bytes, as type and dimensions say.
    needed: Option<u64>,
}

impl ExternalReference {
    /// What a tensor says of a second file; none where it holds its numbers itself.
    ///
    /// # Errors
    /// When the message is damaged, or names a file outside of the model's folder.
    pub fn of(tensor: &[u8]) -> Result<Option<Self>, OnnxError> {
        let (mut dims, mut element, mut is_external) = (Vec::new(), 0, false);
        let mut reference =
            Self { tensor: String::new(), location: String::new(), offset: 0, length: None, needed: None };
        for field in fields(tensor) {
            let field = field?;
            match (field.number, field.number_value(), field.bytes()) {
                (1, Some(dim), _) => dims.push(dim),
                (1, _, Some(mut packed)) => {
                    while !packed.is_empty() {
                        dims.push(varint(&mut packed).ok_or(Damaged)?);
                    }
                }
                (2, Some(code), _) => element = code,
                (8, _, Some(name)) => reference.tensor = String::from_utf8_lossy(name).into_owned(),
                (13, _, Some(pair)) => reference.add(pair)?,
                (14, Some(place), _) => is_external = place == 1,
                _ => {}
            }
        }
        if !is_external {
            return Ok(None);
        }
        reference.needed = needed_bytes(element, &dims);
        reference.check_location()?;
        Ok(Some(reference))
    }

    /// Takes in one pair of `location`, `offset`, `length` and others.
    fn add(&mut self, pair: &[u8]) -> Result<(), OnnxError> {
        let (mut key, mut text) = ("", "");
        for field in fields(pair) {
            let field = field?;
            match field.number {
                1 => key = field.text().ok_or(Damaged)?,
                2 => text = field.text().ok_or(Damaged)?,
                _ => {}
            }
        }
        let number = || text.trim().parse::<u64>().map_err(|_| Damaged);
        match key {
            "location" => text.clone_into(&mut self.location),
            "offset" => self.offset = number()?,
            "length" => self.length = Some(number()?),
            _ => {}
        }
        Ok(())
    }

    /// This is wrong with the file.
    pub fn wrong(&self, reason: impl Into<String>) -> OnnxError {
        OnnxError::External { location: self.location.clone(), reason: reason.into() }
    }

    /// A model is often somebody else's: it may name files of its own folder and no others.
    fn check_location(&self) -> Result<(), OnnxError> {
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        let parts = || self.location.split(['/', '\\']);
        let names_a_file = parts().next_back().is_some_and(|name| !matches!(name, "" | "." | ".."));
        let stays = Path::new(&self.location).components().all(inside)
            && !parts().any(|part| part == "..")
            && !self.location.contains("://")
            && self.location.as_bytes().get(1) != Some(&b':')
            && !self.location.contains(char::is_control)
            && !self.location.starts_with('\\');
        if stays && names_a_file {
            return Ok(());
        }
        Err(self.wrong(
            "only a file in the model's own folder, or below it, is read: put it there and save the model anew",
        ))
    }

    /// This tensor's part of the file.
    ///
    /// # Errors
    /// When the file is too short, or the model gives the tensor more or fewer bytes than it needs.
    pub fn slice<'a>(&self, file: &'a [u8]) -> Result<&'a [u8], OnnxError> {
        let all = file.len() as u64;
        let length = self.length.filter(|length| *length > 0 || self.needed == Some(0)).or(self.needed);
        let length = length.unwrap_or_else(|| all.saturating_sub(self.offset));
        if self.needed.is_some_and(|needed| needed != length) {
            let needed = self.needed.unwrap_or_default();
            return Err(self.wrong(format!(
                "the model gives the tensor `{}` {length} bytes of it, and {needed} are needed: the model is damaged",
                self.tensor
            )));
        }
        let end = self.offset.checked_add(length).filter(|end| *end <= all);
        end.map(|end| &file[self.offset as usize..end as usize]).ok_or_else(|| {
            self.wrong(format!(
                "it has {all} bytes, and the tensor `{}` lies at {} to {}: it is cut short, or belongs to another model",
                self.tensor,
                self.offset,
                self.offset.saturating_add(length)
            ))
        })
    }

    /// A tensor with its numbers in it.
    ///
    /// # Errors
    /// When the message is damaged.
    pub fn inlined(tensor: &[u8], bytes: &[u8]) -> Result<Vec<u8>, OnnxError> {
        let mut out = Self::without_data(tensor)?;
        put_bytes(&mut out, 9, bytes);
        Ok(out)
    }

    /// The tensor with this reference, to so many bytes, and no other.
    ///
    /// # Errors
    /// When the message is damaged.
    pub fn referring(&self, tensor: &[u8], length: usize) -> Result<Vec<u8>, OnnxError> {
        let mut out = Self::without_data(tensor)?;
        let pairs = [
            ("location", self.location.clone()),
            ("offset", self.offset.to_string()),
            ("length", length.to_string()),
        ];
        for (key, text) in pairs {
            let mut pair = Vec::new();
            put_bytes(&mut pair, 1, key.as_bytes());
            put_bytes(&mut pair, 2, text.as_bytes());
            put_bytes(&mut out, 13, &pair);
        }
        put_number(&mut out, 14, 1);
        Ok(out)
    }

    /// Type, dimensions, name and notes of a tensor.
    pub(crate) fn without_data(tensor: &[u8]) -> Result<Vec<u8>, OnnxError> {
        let mut out = Vec::new();
        for field in fields(tensor) {
            let field = field?;
            if matches!(field.number, 1 | 2 | 8 | 12 | 16) {
                out.extend_from_slice(field.raw);
            }
        }
        Ok(out)
    }
}

/// Bytes of a tensor of this type and these dimensions; none for a type that is not known here.
pub(crate) fn needed_bytes(element: u64, dims: &[u64]) -> Option<u64> {
    let count = dims.iter().try_fold(1_u64, |count, dim| count.checked_mul(*dim))?;
    let bits = match element {
        2 | 3 | 9 | 17..=20 | 24 => 8,
        4 | 5 | 10 | 16 => 16,
        1 | 6 | 12 => 32,
        7 | 11 | 13 | 14 => 64,
        15 => 128,
        21..=23 => 4,
        25 | 26 => 2,
        _ => return None,
    };
    count.checked_mul(bits).map(|bits| bits.div_ceil(8))
}
