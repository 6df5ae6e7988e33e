//! Toys that keep their weights in other files.

use super::Toy;
use super::wire::{bytes, number};
use crate::{ExternalData, ModelError, ModelFiles};
use marquetry_onnx::wire::{fields, map_tensors};

/// Bytes between one tensor and the next: real files align them.
const GAP: usize = 32;

impl Toy {
    /// The model with all its tensors in files beside it: the first in the first of `locations`, the next in the next,
    /// and round again.
    ///
    /// # Panics
    /// When no location is given.
    pub fn with_external_data(&self, locations: &[&str]) -> ModelFiles {
        let mut files = vec![Vec::new(); locations.len()];
        let mut next = 0;
        let onnx = map_tensors::<ModelError>(&self.bytes(), &mut |tensor, _| {
            let (location, file) = (locations[next % locations.len()], &mut files[next % locations.len()]);
            next += 1;
            let mut out = Vec::new();
            for field in fields(tensor) {
                let field = field?;
                let Some(data) = field.bytes().filter(|_| field.number == 9) else {
                    out.extend_from_slice(field.raw);
                    continue;
                };
                file.extend([0xaa; GAP]);
                let place = [("location", location.to_owned()), ("offset", file.len().to_string())];
                for (key, text) in place.into_iter().chain([("length", data.len().to_string())]) {
                    out.extend(bytes(13, [bytes(1, key), bytes(2, text)].concat()));
                }
                out.extend(number(14, 1));
                file.extend_from_slice(data);
            }
            Ok(Some(out))
        });
        let onnx = onnx.ok().flatten().unwrap_or_else(|| self.bytes());
        let mut external: Vec<_> = locations
            .iter()
            .zip(files)
            .map(|(location, bytes)| ExternalData { location: (*location).to_owned(), bytes: bytes.into() })
            .collect();
        external.sort_by(|a, b| a.location.cmp(&b.location));
        ModelFiles { onnx, external }
    }
}
