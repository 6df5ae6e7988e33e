//! Toys that keep their weights in other files.

use super::Toy;
use crate::ModelFiles;
use marquetry_onnx::with_weights_beside;

impl Toy {
    /// The model with all its tensors in files beside it: the first in the first of `locations`, the next in the next,
    /// and round again.
    ///
    /// # Panics
    /// When no location is given.
    pub fn with_external_data(&self, locations: &[&str]) -> ModelFiles {
        let onnx = self.bytes();
        let moved = with_weights_beside(&onnx, locations);
        let (onnx, external) = moved.unwrap_or_else(|_| (onnx, Vec::new()));
        ModelFiles { onnx, external }
    }
}
