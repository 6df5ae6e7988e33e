//! Batch normalisation: which layers of it a file has, and whether others were folded into convolutions.

use crate::graph::{Graph, Model, Node, Origin};
use crate::pairing::Slot;
use crate::roles::is_training;
use std::fmt;

/// A layer of batch normalisation with running statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchNorm {
    /// Its node, counted in the order of the file.
    pub node: usize,
    /// What to call it in a message.
    pub said: String,
    /// The value that it normalises.
    pub input: String,
    /// How many such layers lie on the longest way from the input to it: those of one depth do not hang on each other.
    pub depth: usize,
}

impl BatchNorm {
    /// Where its mean stands.
    pub const fn mean(&self) -> Slot {
        Slot { node: self.node, input: 3 }
    }

    /// Where its variance stands: biased, as ONNX Runtime uses it.
    pub const fn variance(&self) -> Slot {
        Slot { node: self.node, input: 4 }
    }
}

/// How much of a network's batch normalisation a file still has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchNormState {
    /// All of it.
    Full(usize),
    /// Some: the others were folded into convolutions.
    Partial {
        /// Layers that are there.
        there: usize,
        /// Those, and convolutions that look as if one was folded into them.
        all: usize,
    },
    /// None, and convolutions look as if it was folded into them.
    Folded(usize),
    /// None, and nothing looks as if there had been any.
    Absent,
}

impl BatchNormState {
    /// Of a file.
    pub fn of(model: &Model<'_>) -> Self {
        let there = batch_norms(&model.graph).len();
        match (there, folded(&model.graph)) {
            (0, 0) => Self::Absent,
            (0, folded) => Self::Folded(folded),
            (there, 0) => Self::Full(there),
            (there, folded) => Self::Partial { there, all: there + folded },
        }
    }

    /// How to export a model so that all of it is kept; none where nothing is missing.
    pub const fn advice(self) -> Option<&'static str> {
        match self {
            Self::Full(_) | Self::Absent => None,
            Self::Partial { .. } | Self::Folded(_) => Some(
                "to keep BatchNorm as layers of its own, call model.eval() and export with torch.onnx.export(…, \
                 dynamo=True, optimize=False), or with torch.onnx.export(…, dynamo=False, \
                 training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False); with onnxsim use --skip-fuse-bn",
            ),
        }
    }
}

impl fmt::Display for BatchNormState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(count) => write!(f, "full ({count})"),
            Self::Partial { there, all } => write!(f, "partial ({there} of {all})"),
            Self::Folded(count) => write!(f, "none (folded into {count} convolutions, as it looks)"),
            Self::Absent => f.write_str("none"),
        }
    }
}

/// The layers of batch normalisation that outputs hang on, in the order of the file.
pub fn batch_norms(graph: &Graph<'_>) -> Vec<BatchNorm> {
    let live = graph.live();
    // Of each node how many layers lie on the longest way to it, itself included.
    let mut depths = vec![0; graph.nodes.len()];
    let mut found = Vec::new();
    for (place, node) in graph.nodes.iter().enumerate() {
        let before = node.inputs.iter().filter_map(|input| match graph.origin(input) {
            Origin::Computed(from, _) => Some(depths[from]),
            _ => None,
        });
        let depth = before.max().unwrap_or(0);
        let counts = is_batch_norm(node) && live[place];
        depths[place] = depth + usize::from(counts);
        if counts {
            let input = node.inputs.first().copied().unwrap_or("").to_owned();
            found.push(BatchNorm { node: place, said: node.said(place), input, depth });
        }
    }
    found
}

fn is_batch_norm(node: &Node<'_>) -> bool {
    node.domain.is_empty() && node.operator == "BatchNormalization" && !is_training(node)
}

/// How many convolutions have a bias and are followed by an activation or a sum at once. Networks that normalise after a
/// convolution give it no bias: one that has it took over what a layer of normalisation did.
fn folded(graph: &Graph<'_>) -> usize {
    const AFTER_NORM: [&str; 13] = [
        "Relu",
        "LeakyRelu",
        "PRelu",
        "Elu",
        "Selu",
        "Celu",
        "Gelu",
        "Mish",
        "HardSwish",
        "HardSigmoid",
        "Clip",
        "Add",
        "Softplus",
    ];
    let (live, consumers) = (graph.live(), graph.consumers());
    let follows = |place: usize| {
        let after = || consumers[place].iter().map(|(to, _)| &graph.nodes[*to]);
        // `x · sigmoid(x)` is how SiLU is written.
        let is_silu = after().any(|n| n.operator == "Sigmoid") && after().any(|n| n.operator == "Mul");
        is_silu || after().any(|node| AFTER_NORM.contains(&node.operator))
    };
    let convolutions = graph.nodes.iter().enumerate().filter(|(place, node)| {
        let has_bias = node.inputs.get(2).is_some_and(|bias| !bias.is_empty());
        live[*place] && matches!(node.operator, "Conv" | "ConvTranspose") && has_bias && follows(*place)
    });
    convolutions.count()
}
