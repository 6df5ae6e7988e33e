//! What a device that computes in half precision makes of a model, said in single precision.
//!
//! ONNX Runtime's CPU provider computes most operators of half precision in single, and rounds nothing in between: run there, a file
//! in half precision says what no device says that has these operators. So a file is made in which rounding is nodes of its own.

use super::Halving;
use super::operators::Kind;
use crate::OnnxError;
use crate::edit::{FreshNames, GraphEdits, cast, tensor_message, with_type};
use crate::graph::Source;
use crate::rewrite::declaration;
use crate::tensor::Tensor;
use crate::types::F32;

impl<'a> Halving<'a> {
    /// The file in single precision in which the weights, and all that the nodes chosen now take and give, are rounded to the half
    /// precision that they would be in. Sums inside of a node are in single precision, as in devices. Values have the names
    /// that they had.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn rounded(&self) -> Result<Vec<u8>, OnnxError> {
        let half = self.half();
        let graph = &self.model.graph;
        let (mut edits, mut names) = (GraphEdits::default(), FreshNames::of(graph)?);
        let element = self.to.element();
        let take = |edits: &mut GraphEdits<'a>, slots: &[(usize, usize)], name: &str| {
            for (place, slot) in slots {
                edits.nodes.entry(*place).or_default().inputs.insert(*slot, name.to_owned());
            }
        };
        for (name, uses) in self.floats(&half) {
            if let Some(tensor) = self.constant(name)? {
                if uses.half.is_empty() {
                    continue;
                }
                let data = self.as_half(&tensor);
                match graph.initialisers.get(name) {
                    Some(message) if !uses.others => {
                        edits.initialisers.insert(name, Some(with_type(message, F32, &data)?));
                    }
                    _ => {
                        let fresh = names.take(&format!("{name}_rounded"));
                        edits.added.push(tensor_message(&fresh, &tensor.dims, F32, &data));
                        if self.model.ir_version < 4 {
                            edits.declared.push(declaration(&fresh, &tensor));
                        }
                        take(&mut edits, &uses.half, &fresh);
                    }
                }
                continue;
            }
            let fresh = names.take(&format!("{name}_f16"));
            match graph.source(name) {
                Some(Source::Node(place, slot)) if half[place] => {
                    if self.kinds[place] == Some(Kind::Moving) {
                        continue;
                    }
                    let exact = names.take(&format!("{name}_exact"));
                    let casts =
                        [cast(&mut names, &exact, &fresh, element), cast(&mut names, &fresh, name, F32)];
                    edits.nodes.entry(place).or_default().outputs.insert(slot, exact);
                    edits.after.entry(place).or_default().extend(casts);
                }
                _ if uses.half.is_empty() => {}
                source => {
                    let rounded = names.take(&format!("{name}_rounded"));
                    let casts =
                        [cast(&mut names, name, &fresh, element), cast(&mut names, &fresh, &rounded, F32)];
                    take(&mut edits, &uses.half, &rounded);
                    match source {
                        Some(Source::Node(place, _)) => edits.after.entry(place).or_default().extend(casts),
                        _ => edits.before.extend(casts),
                    }
                }
            }
        }
        edits.apply(self.onnx)
    }

    /// The numbers of a tensor, rounded to half precision, in single.
    fn as_half(&self, tensor: &Tensor<'_>) -> Vec<u8> {
        let (half, mut data) = (self.to.float(), Vec::with_capacity(tensor.data.len()));
        let mut bytes = Vec::new();
        for number in tensor.numbers().unwrap_or_default() {
            bytes.clear();
            half.write(number, &mut bytes);
            half.read(&bytes, |number| data.extend((number as f32).to_le_bytes()));
        }
        data
    }
}
