//! Weights moved into other files, for tests.

use crate::wire::{fields, map_tensors, put_bytes, put_number};
use crate::{ExternalData, OnnxError};

/// Bytes between one tensor and the next: real files align them.
const GAP: usize = 32;

/// `onnx` with all its tensors in files beside it: the first in the first of `locations`, the next in the next, and round again;
/// and these files, by location.
///
/// # Errors
/// When it is damaged.
///
/// # Panics
/// When no location is given.
pub fn with_weights_beside(
    onnx: &[u8],
    locations: &[&str],
) -> Result<(Vec<u8>, Vec<ExternalData>), OnnxError> {
    let mut files = vec![Vec::new(); locations.len()];
    let mut next = 0;
    let moved = map_tensors::<OnnxError>(onnx, &mut |tensor, _| {
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
                let mut pair = Vec::new();
                put_bytes(&mut pair, 1, key.as_bytes());
                put_bytes(&mut pair, 2, text.as_bytes());
                put_bytes(&mut out, 13, &pair);
            }
            put_number(&mut out, 14, 1);
            file.extend_from_slice(data);
        }
        Ok(Some(out))
    })?;
    let beside = locations.iter().zip(files);
    let mut beside: Vec<_> = beside
        .map(|(location, bytes)| ExternalData { location: (*location).to_owned(), bytes: bytes.into() })
        .collect();
    beside.sort_by(|a, b| a.location.cmp(&b.location));
    Ok((moved.unwrap_or_else(|| onnx.to_vec()), beside))
}
