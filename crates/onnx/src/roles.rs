//! What a tensor that does not change is for: told by which operator takes it, at which place, and never by its name.

use crate::graph::{Constant, Graph, Node, Origin};
use crate::wire::Value;

/// What becomes of the values of one input where members differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Learnt: averaged.
    Weight,
    /// A scale of a size, a bound, an exponent, how pixels are normalised: the same in all members, or they are of two
    /// architectures.
    Fixed,
    /// Nothing is known of it: it must be the same too.
    Unknown,
    /// Only its dimensions or its type count, and these are the same.
    Shape,
}

/// The role of every input of a graph's nodes that does not change.
pub(crate) struct Roles {
    /// Of each node whether all that it takes are constants.
    constant: Vec<bool>,
    /// Of each node whether what it gives is still pixels: moved and scaled, and through no layer yet.
    pixels: Vec<bool>,
    consumers: Vec<Vec<(usize, usize)>>,
    is_output: Vec<bool>,
}

impl Roles {
    pub(crate) fn of(graph: &Graph<'_>) -> Self {
        let count = graph.nodes.len();
        let (mut constant, mut pixels) = (vec![false; count], vec![false; count]);
        for (place, node) in graph.nodes.iter().enumerate() {
            let origins: Vec<Origin<'_>> = node.inputs.iter().map(|input| graph.origin(input)).collect();
            let is_constant = |origin: &Origin<'_>| match *origin {
                Origin::Constant(_) | Origin::Absent => true,
                Origin::Computed(from, _) => constant[from],
                Origin::Given(_) => false,
            };
            let is_pixels = |origin: &Origin<'_>| match *origin {
                Origin::Given(_) => true,
                Origin::Computed(from, _) => pixels[from],
                _ => false,
            };
            let all_pixels = keeps_pixels(node)
                && origins.iter().all(|origin| is_constant(origin) || is_pixels(origin))
                && origins.iter().any(is_pixels);
            let all_constant = !origins.is_empty() && origins.iter().all(is_constant);
            (constant[place], pixels[place]) = (all_constant, all_pixels);
        }
        let mut is_output = vec![false; count];
        for output in &graph.outputs {
            if let Origin::Computed(place, _) | Origin::Constant(Constant::Node(place)) =
                graph.origin(output.name)
            {
                is_output[place] = true;
            }
        }
        Self { constant, pixels, consumers: graph.consumers(), is_output }
    }

    /// Of input `slot` of the node at `place`, which takes the constant `what`.
    pub(crate) fn role(
        &self,
        graph: &Graph<'_>,
        place: usize,
        slot: usize,
        what: Constant<'_>,
        one: bool,
    ) -> Role {
        let node = &graph.nodes[place];
        if is_shape_only(node, slot) {
            return Role::Shape;
        }
        if self.constant[place] {
            return self.role_of_result(graph, place);
        }
        let is_arithmetic = node.domain.is_empty() && ARITHMETIC.contains(&node.operator);
        // Single numbers that stand in the code of a network; learnt ones are initialisers.
        if is_arithmetic && one && matches!(what, Constant::Node(_)) {
            return Role::Fixed;
        }
        // The mean and deviation of pixels. Networks that learn a factor for their input use a layer for it.
        if is_arithmetic && self.pixels[place] {
            return Role::Fixed;
        }
        of_slot(node, slot)
    }

    /// The role of what a node gives that takes constants alone: that of where it goes in the end.
    fn role_of_result(&self, graph: &Graph<'_>, place: usize) -> Role {
        let (mut open, mut seen) = (vec![place], vec![false; self.constant.len()]);
        let mut found = None;
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            if self.is_output[at] {
                return Role::Unknown;
            }
            for &(to, slot) in &self.consumers[at] {
                if is_shape_only(&graph.nodes[to], slot) {
                    found = found.or(Some(Role::Shape));
                    continue;
                }
                if self.constant[to] {
                    open.push(to);
                    continue;
                }
                match of_slot(&graph.nodes[to], slot) {
                    Role::Weight => found = Some(Role::Weight),
                    other => return other,
                }
            }
        }
        found.unwrap_or(Role::Unknown)
    }
}

const ARITHMETIC: [&str; 4] = ["Add", "Sub", "Mul", "Div"];

/// Whether what a node does to pixels leaves them pixels.
fn keeps_pixels(node: &Node<'_>) -> bool {
    const KEEPS: [&str; 12] = [
        "Cast",
        "Identity",
        "Transpose",
        "Reshape",
        "Unsqueeze",
        "Squeeze",
        "Pad",
        "Slice",
        "Split",
        "Gather",
        "Concat",
        "Clip",
    ];
    node.domain.is_empty() && (ARITHMETIC.contains(&node.operator) || KEEPS.contains(&node.operator))
}

/// Operators of which no input is learnt, or none but those that are named before.
const FIXED: [&str; 23] = [
    "Resize",
    "Upsample",
    "Clip",
    "Pad",
    "Pow",
    "Min",
    "Max",
    "Dropout",
    "Greater",
    "Less",
    "Equal",
    "GreaterOrEqual",
    "LessOrEqual",
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "OneHot",
    "Range",
    "Mod",
    "NonMaxSuppression",
    "RoiAlign",
    "GridSample",
    "ScatterND",
];

/// The role of an input by its operator and place alone.
fn of_slot(node: &Node<'_>, slot: usize) -> Role {
    let weights: &[usize] = match (node.domain, node.operator) {
        // Statistics that are not used mean nothing.
        ("", "BatchNormalization") if !is_training(node) => &[1, 2, 3, 4],
        (
            "",
            "Conv"
            | "ConvTranspose"
            | "InstanceNormalization"
            | "GroupNormalization"
            | "LayerNormalization"
            | "BatchNormalization"
            | "Where",
        )
        | ("com.microsoft", "FusedConv" | "NhwcFusedConv" | "Attention") => &[1, 2],
        ("", "DeformConv") => &[1, 3],
        ("", "PRelu" | "RMSNormalization") | ("com.microsoft", "BiasGelu" | "FastGelu" | "QuickGelu") => &[1],
        ("", "Gemm" | "Sum" | "Mean") | ("com.microsoft", "FusedGemm" | "FusedMatMul") => &[0, 1, 2],
        ("", "LSTM" | "GRU" | "RNN") => &[1, 2, 3, 5, 6, 7],
        ("", "MatMul" | "Add" | "Sub" | "Mul" | "Div" | "Einsum") => &[0, 1],
        // Learnt tensors that are brought to the size of an image: tokens, embeddings of places.
        (
            "",
            "Expand" | "Gather" | "Reshape" | "Transpose" | "Slice" | "Tile" | "Resize" | "Cast"
            | "Unsqueeze" | "Squeeze" | "Split" | "Flatten",
        ) => &[0],
        ("", "Concat") => return Role::Weight,
        ("com.microsoft", "SkipLayerNormalization") => &[2, 3, 4],
        _ => &[],
    };
    if weights.contains(&slot) {
        return Role::Weight;
    }
    if node.domain.is_empty() && FIXED.contains(&node.operator) { Role::Fixed } else { Role::Unknown }
}

/// Whether no number of an input counts.
fn is_shape_only(node: &Node<'_>, slot: usize) -> bool {
    node.domain.is_empty() && matches!((node.operator, slot), ("Shape" | "Size", 0) | ("CastLike", 1))
}

/// Whether a batch normalisation takes its statistics from the batch itself, as instance normalisation is exported by some:
/// what it holds as statistics means nothing then.
pub(crate) fn is_training(node: &Node<'_>) -> bool {
    matches!(node.attribute("training_mode", 3), Some(Value::Number(1)))
}

#[cfg(test)]
#[path = "roles_tests.rs"]
mod tests;
