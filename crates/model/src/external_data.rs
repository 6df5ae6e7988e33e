//! Weights that lie in files beside a model.
//!
//! ONNX Runtime looks for such files itself: from the working directory, where a model comes as bytes. So it never sees
//! a reference that was not resolved here. Small tensors, and those inside of nodes, are put into the model, since
//! shapes may hang on them; of large ones it is given the bytes of the file, so that no model grows beyond the 2 GiB
//! that one protobuf can hold.

use crate::ModelError;
use crate::file_kind::{damage, other_kind, stand_in};
use marquetry_onnx::wire::{Damaged, EachTensor, Kind, map_tensors};
use marquetry_onnx::{ExternalData, ExternalReference, OnnxError};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tensors of up to so many bytes are put into the model.
const INLINE_BYTES_MAX: usize = 64 << 10;

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
        if let Some(external) = ExternalReference::of(tensor)? {
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
        let Some(external) = ExternalReference::of(tensor)? else { return Ok(None) };
        let file = model.external.iter().find(|file| file.location == external.location);
        let file = file.ok_or_else(|| ModelError::ExternalData {
            location: external.location.clone(),
            reason: "it was not given along with the model".into(),
        })?;
        if let Some(kind) = stand_in(&file.bytes) {
            return Err(external.wrong(format!("the file is {kind}")).into());
        }
        let bytes = external.slice(&file.bytes)?;
        if kind == Kind::Initializer && bytes.len() > INLINE_BYTES_MAX {
            large.insert(external.location.clone(), Arc::clone(&file.bytes));
            return Ok(Some(external.referring(tensor, bytes.len())?));
        }
        Ok(Some(ExternalReference::inlined(tensor, bytes)?))
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

impl From<OnnxError> for ModelError {
    fn from(error: OnnxError) -> Self {
        match error {
            OnnxError::External { location, reason } => Self::ExternalData { location, reason },
            other => Self::NotAModel { reason: other.to_string() },
        }
    }
}

impl From<Damaged> for ModelError {
    fn from(_: Damaged) -> Self {
        Self::NotAModel { reason: "its bytes are no ONNX model, or are cut short".into() }
    }
}

#[cfg(test)]
#[path = "external_data_tests.rs"]
mod tests;
