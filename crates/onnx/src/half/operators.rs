//! Which operators are computed in half precision. What is not listed stays in single precision: so do all that add up many
//! numbers or square them (normalisation, means, `Softmax`), raise to powers, interpolate, sort or compare, and all that are not known here.

use crate::graph::Node;

/// What half precision does to an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It does the work, and its weights are most of a file.
    Heavy,
    /// It is computed in the type of what it is given.
    Following,
    /// It only moves numbers: of weights too, in the type in which they are needed.
    Moving,
}

/// All float inputs and outputs of these are of one type, which may be half precision since operators of version 7.
pub(super) fn kind(node: &Node<'_>) -> Option<Kind> {
    if !node.domain.is_empty() {
        return None;
    }
    Some(match node.operator {
        "Conv" | "ConvTranspose" | "MatMul" | "Gemm" => Kind::Heavy,
        "Abs" | "Add" | "AveragePool" | "Clip" | "Div" | "Dropout" | "Elu" | "Erf" | "Gelu"
        | "GlobalMaxPool" | "HardSigmoid" | "HardSwish" | "LeakyRelu" | "MaxPool" | "Mul" | "Neg"
        | "PRelu" | "Relu" | "Selu" | "Sigmoid" | "Sub" | "Sum" | "Tanh" | "ThresholdedRelu" => {
            Kind::Following
        }
        "Concat" | "DepthToSpace" | "Expand" | "Flatten" | "Gather" | "Identity" | "Pad" | "Reshape"
        | "Slice" | "SpaceToDepth" | "Split" | "Squeeze" | "Tile" | "Transpose" | "Unsqueeze" => Kind::Moving,
        _ => return None,
    })
}

/// Whether it takes numbers of any type, and looks at none of them.
pub(super) fn asks_for_shape(node: &Node<'_>) -> bool {
    node.domain.is_empty() && matches!(node.operator, "Shape" | "Size")
}
