//! Numbers too small to be normal, which processors are slow with, set to 0.

use crate::OnnxError;
use crate::edit::with_type;
use crate::tensor::Tensor;
use crate::types::F32;
use crate::wire::map_tensors;

/// What was set to 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Tensors that had such numbers.
    pub tensors: usize,
    /// Such numbers.
    pub numbers: usize,
}

/// The file, with all its weights in it, in which every number of single precision of less than 2⁻¹²⁶ (about 1.2 · 10⁻³⁸)
/// in size is 0.
///
/// # Errors
/// When it is damaged.
pub fn without_denormals(onnx: &[u8]) -> Result<(Vec<u8>, Cleaned), OnnxError> {
    let mut cleaned = Cleaned::default();
    let changed = map_tensors::<OnnxError>(onnx, &mut |message, _| {
        let tensor = Tensor::read(message)?;
        if tensor.element != F32 {
            return Ok(None);
        }
        let mut data = tensor.data.into_owned();
        let before = cleaned.numbers;
        for bytes in data.as_chunks_mut().0 {
            if f32::from_le_bytes(*bytes).is_subnormal() {
                *bytes = 0.0_f32.to_le_bytes();
                cleaned.numbers += 1;
            }
        }
        if cleaned.numbers == before {
            return Ok(None);
        }
        cleaned.tensors += 1;
        with_type(message, F32, &data).map(Some)
    })?;
    Ok((changed.unwrap_or_else(|| onnx.to_vec()), cleaned))
}
