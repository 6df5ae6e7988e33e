//! A classifier as skl2onnx writes it: a label and, beside it, probabilities.

use super::wire::{bytes, int, number};
use super::{FLOAT, Graph, INT64, Toy, value};
use crate::{Activation, Element};

/// What a classifier of scikit-learn gives, behind a graph that makes numbers of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Sklearn {
    /// The model whose first head, pooled, is what is classified.
    pub of: Toy,
    /// Whether probabilities come as a list of maps, as they do unless `options={'zipmap': False}` was said.
    pub zipmap: bool,
}

impl Sklearn {
    /// The model as an ONNX file, with the outputs `label` and `probabilities`.
    pub fn bytes(&self) -> Vec<u8> {
        let of = &self.of;
        let mut graph = Graph::default();
        let toy = Toy {
            heads: vec!["scores".into()],
            image_heads: 1,
            activation: Activation::Softmax,
            ..of.clone()
        };
        let scores = toy.values_of_head(&mut graph, "image", 0, of.classes);
        let label = graph.node("ArgMax", &[&scores], &[int("axis", 1), int("keepdims", 0)]);
        graph.named("Identity", &[&label], &[], "label");
        graph.0.extend(bytes(12, value("label", &Element::I64, None)));
        if self.zipmap {
            let labels = (0..of.classes).flat_map(|class| number(8, class.into()));
            let labels = bytes(1, "classlabels_int64s").into_iter().chain(labels).chain(number(20, 7));
            graph.named_of("ai.onnx.ml", "ZipMap", &[&scores], &[labels.collect()], "probabilities");
            let element = bytes(1, number(1, FLOAT));
            let map = [number(1, INT64), bytes(2, element)].concat();
            let list = bytes(4, bytes(1, bytes(5, map)));
            graph.0.extend(bytes(12, [bytes(1, "probabilities"), bytes(2, list)].concat()));
        } else {
            graph.named("Identity", &[&scores], &[], "probabilities");
            graph.0.extend(bytes(12, value("probabilities", &Element::F32, None)));
        }
        graph.0.extend(bytes(11, value("image", &of.element_in, Some(&toy.input_shape()))));
        let more = bytes(8, [bytes(1, "ai.onnx.ml"), number(2, 3)].concat());
        [number(1, 8), bytes(2, "skl2onnx-toy"), bytes(7, &graph.0), bytes(8, number(2, 17)), more].concat()
    }
}
