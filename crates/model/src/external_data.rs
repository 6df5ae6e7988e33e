//! Weights that lie in files beside a model.
//!
//! ONNX Runtime looks for such files itself: from the working directory, where a model comes as bytes. So it never sees
//! a reference that was not resolved here. Small tensors, and those inside of nodes, are put into the model, since
//! shapes may hang on them; of large ones it is given the bytes of the file, so that no model grows beyond the 2 GiB
//! that one protobuf can hold.

use crate::ModelError;
use crate::file_kind::{damage, other_kind, stand_in};
use crate::onnx_wire::{Damaged, EachTensor, Kind, fields, map_tensors, put_bytes, put_number, varint};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::sync::Arc;

/// Tensors of up to so many bytes are put into the model.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// A file beside a model that holds weights of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalData {
    /// Its path from the model's folder, as the model writes it.
    pub location: String,
    /// All its bytes.
    pub bytes: Arc<[u8]>,
}

/// A model in memory: its file, and the files beside it that hold weights.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelFiles {
    /// The bytes of the `.onnx` file.
    pub onnx: Vec<u8>,
    /// The other files, in the order of [`external_locations`].
    pub external: Vec<ExternalData>,
}

impl ModelFiles {
    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        ModelRef::from(self).bytes()
    }
}

/// A model in memory that belongs to somebody else: [`ModelFiles`], or the bytes of a file that is a whole model.
#[derive(Debug, Clone, Copy)]
pub struct ModelRef<'a> {
    pub(crate) onnx: &'a [u8],
    pub(crate) external: &'a [ExternalData],
}

impl ModelRef<'_> {
    pub(crate) fn bytes(self) -> u64 {
        let external: usize = self.external.iter().map(|file| file.bytes.len()).sum();
        (self.onnx.len() + external) as u64
    }
}

impl<'a> From<&'a ModelFiles> for ModelRef<'a> {
    fn from(files: &'a ModelFiles) -> Self {
        Self { onnx: &files.onnx, external: &files.external }
    }
}

impl<'a> From<&'a [u8]> for ModelRef<'a> {
    fn from(onnx: &'a [u8]) -> Self {
        Self { onnx, external: &[] }
    }
}

impl<'a> From<&'a Vec<u8>> for ModelRef<'a> {
    fn from(onnx: &'a Vec<u8>) -> Self {
        Self { onnx, external: &[] }
    }
}

/// The files beside the model that hold its weights: paths from its folder, each once, in ascending order. None for a
/// model that is whole.
///
/// # Errors
/// When the bytes are no ONNX model, or a file is named that does not lie in the model's folder or below it.
pub fn external_locations(onnx: &[u8]) -> Result<Vec<String>, ModelError> {
    let mut locations = Vec::new();
    map_all(onnx, &mut |tensor, _| {
        if let Some(external) = Reference::of(tensor)? {
            locations.push(external.location);
        }
        Ok(None)
    })?;
    locations.sort();
    locations.dedup();
    Ok(locations)
}

/// The model with all weights that are small, and the files that hold the others, by the names the model has for them.
pub(crate) fn resolved(model: ModelRef<'_>) -> Result<(Cow<'_, [u8]>, Vec<ExternalData>), ModelError> {
    let mut large: BTreeMap<String, Arc<[u8]>> = BTreeMap::new();
    let onnx = map_all(model.onnx, &mut |tensor, kind| {
        let Some(external) = Reference::of(tensor)? else { return Ok(None) };
        let file = model.external.iter().find(|file| file.location == external.location);
        let file = file.ok_or_else(|| ModelError::ExternalData {
            location: external.location.clone(),
            reason: "it was not given along with the model".into(),
        })?;
        if let Some(kind) = stand_in(&file.bytes) {
            return Err(external.wrong(format!("the file is {kind}")));
        }
        let bytes = external.slice(&file.bytes)?;
        if kind == Kind::Initializer && bytes.len() > INLINE_BYTES_MAX {
            large.insert(external.location.clone(), Arc::clone(&file.bytes));
            return external.referring(tensor, bytes.len()).map(Some);
        }
        Reference::inlined(tensor, bytes).map(Some)
    })?;
    let onnx = onnx.map_or(Cow::Borrowed(model.onnx), Cow::Owned);
    let large = large.into_iter().map(|(location, bytes)| ExternalData { location, bytes });
    Ok((onnx, large.collect()))
}

/// Shows all tensors of a file to `each`, once it is plain that the file is no other kind.
fn map_all(onnx: &[u8], each: &mut EachTensor<'_, ModelError>) -> Result<Option<Vec<u8>>, ModelError> {
    if let Some(reason) = other_kind(onnx) {
        return Err(ModelError::NotAModel { reason });
    }
    // ONNX Runtime's own format holds its weights itself.
    if onnx.get(4..8) == Some(b"ORTM") {
        return Ok(None);
    }
    map_tensors(onnx, each).map_err(|error| match error {
        ModelError::NotAModel { .. } => ModelError::NotAModel { reason: damage(onnx) },
        other => other,
    })
}

impl From<Damaged> for ModelError {
    fn from(_: Damaged) -> Self {
        Self::NotAModel { reason: "its bytes are no ONNX model, or are cut short".into() }
    }
}

/// Where a tensor's numbers lie.
struct Reference {
    tensor: String,
    location: String,
    offset: u64,
    /// Bytes, as the file says.
    length: Option<u64>,
    /// Bytes, as type and dimensions say.
    needed: Option<u64>,
}

impl Reference {
    /// What a tensor says of a second file; none where it holds its numbers itself.
    fn of(tensor: &[u8]) -> Result<Option<Self>, ModelError> {
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
    fn add(&mut self, pair: &[u8]) -> Result<(), ModelError> {
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

    fn wrong(&self, reason: impl Into<String>) -> ModelError {
        ModelError::ExternalData { location: self.location.clone(), reason: reason.into() }
    }

    /// A model is often somebody else's: it may name files of its own folder and no others.
    fn check_location(&self) -> Result<(), ModelError> {
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
    fn slice<'a>(&self, file: &'a [u8]) -> Result<&'a [u8], ModelError> {
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
    fn inlined(tensor: &[u8], bytes: &[u8]) -> Result<Vec<u8>, ModelError> {
        let mut out = Self::without_data(tensor)?;
        put_bytes(&mut out, 9, bytes);
        Ok(out)
    }

    /// The tensor with this reference and no other.
    fn referring(&self, tensor: &[u8], length: usize) -> Result<Vec<u8>, ModelError> {
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
    fn without_data(tensor: &[u8]) -> Result<Vec<u8>, ModelError> {
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
fn needed_bytes(element: u64, dims: &[u64]) -> Option<u64> {
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

#[cfg(test)]
#[path = "external_data_tests.rs"]
mod tests;
