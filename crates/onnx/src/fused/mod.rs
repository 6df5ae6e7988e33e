//! A model with what a scorer does around it, in one graph: normalised windows in, merged scores out.
//!
//! The graph takes `[N, C, H, W]` in single precision: windows as they are. It shows each in all views, runs the model
//! once on all views of all windows, activates what it says, brings it back by the inverse of each view, and gives the
//! mean over views, `[N, classes, h, w]`. So what goes over the bus to a device is one window in and one set of scores
//! out, however many views there are.
//!
//! The model's own nodes, names and tensors stay as they are, and so do references to files beside it: graphs inside of
//! nodes find the values around them under the names that they know, and nothing grows. Only the declaration of its
//! input goes: the value of that name is computed now, from the windows.
//!
//! Along the first axis of the run lie views, and in each view windows: `[view, window]`.
//!
//! Numbers that are none must not be lost on the way. Kernels of softmax, sigmoid and logarithm take NaN and infinity to
//! ordinary numbers on some devices, so each carries on what is no number (`x − x` is 0 or NaN); a probability that is
//! none becomes NaN.

mod check;
mod nodes;
mod scores;
mod views;

use crate::OnnxError;
use crate::edit::{FreshNames, GraphEdits};
use crate::element::FloatType;
use crate::graph::{Graph, Model};
use crate::inner::inner_names;
use crate::rewrite::declaration;
use crate::tensor::Tensor;
use nodes::Nodes;
use std::collections::BTreeSet;

/// What the graph is to do around the model.
#[derive(Debug, Clone, PartialEq)]
pub struct FusedSpec {
    /// Windows of each run, `N`.
    pub windows: u64,
    /// What the model takes.
    pub input: FusedInput,
    /// The views, in the order in which they lie in the run.
    pub views: Vec<FusedView>,
    /// What the model says.
    pub head: FusedHead,
    /// The size to which the model's planes are brought first, `[rows, columns]`, px: bilinear, half-pixel centres, no
    /// smoothing. As they are if not given.
    pub resized: Option<[u64; 2]>,
    /// The part of them that is kept, in every view.
    pub kept: KeptPart,
    /// From channels to classes.
    pub scores: FusedScores,
}

/// The image input of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FusedInput {
    /// Its name.
    pub name: String,
    /// Whether channels are its last axis, `[N, H, W, C]`, and not its second.
    pub channels_last: bool,
    /// Type of its numbers.
    pub element: FloatType,
    /// Its channels.
    pub channels: u64,
    /// Rows, px.
    pub height: u64,
    /// Columns, px.
    pub width: u64,
}

/// One view: rows and columns change places first, then rows their order, then columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FusedView {
    /// Whether rows and columns change places.
    pub transpose: bool,
    /// Whether top and bottom do.
    pub vflip: bool,
    /// Whether left and right do.
    pub hflip: bool,
    /// For each class that is given the class that the model names so in this view.
    pub classes: Vec<u16>,
}

/// The output of a model that holds its scores. Axes of length 1 may stand anywhere, and pixels may lie in one axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FusedHead {
    /// Its name.
    pub name: String,
    /// Whether channels are its last axis, and not the one before rows and columns.
    pub channels_last: bool,
    /// Its channels.
    pub channels: u64,
    /// Rows, px.
    pub height: u64,
    /// Columns, px.
    pub width: u64,
}

/// A part of planes, px.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptPart {
    /// Its first row.
    pub top: u64,
    /// Its first column.
    pub left: u64,
    /// Its rows.
    pub height: u64,
    /// Its columns.
    pub width: u64,
}

/// From a model's channels to merged scores.
#[derive(Debug, Clone, PartialEq)]
pub struct FusedScores {
    /// Between which numbers a channel's values may lie; others become NaN. Any if not given.
    pub allowed: Option<(f32, f32)>,
    /// What is done to the channels of each pixel.
    pub step: FusedStep,
    /// What becomes of a single channel that speaks of one of two classes: it is class 1, and this is class 0. Channels
    /// are classes if not given.
    pub background: Option<Background>,
    /// What is done to the mean over views.
    pub finish: FusedStep,
    /// Whether scores come in half precision, which holds probabilities to 2.5e-4; of logits it overflows beyond 65504.
    pub half: bool,
}

/// What is done to all classes of a pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FusedStep {
    /// Nothing.
    Keep,
    /// `exp(x) / Σ exp(x)`.
    Softmax,
    /// `1 / (1 + exp(−x))`.
    Sigmoid,
    /// `ln max(x, least)`.
    Ln {
        /// Above 0.
        least: f32,
    },
    /// `ln(p / (1 − p))` with `p` of `least` to `1 − least`.
    Logit {
        /// Above 0.
        least: f32,
    },
}

/// The class for which a single channel does not speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    /// `1 − p`.
    Complement,
    /// 0: the logit beside which the channel's own is that of the odds.
    Zero,
}

/// A model with what is done around it, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fusing {
    /// The file.
    Fused(Vec<u8>),
    /// It is left to code.
    Refused(Refusal),
}

/// Why what is done around a model cannot be in one graph with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

impl FusedSpec {
    /// Images of each run of the model: all views of all windows.
    pub fn images(&self) -> u64 {
        self.windows * self.views.len() as u64
    }

    /// Classes that are given.
    pub fn classes(&self) -> u64 {
        self.views.first().map_or(0, |view| view.classes.len() as u64)
    }

    /// Dimensions of what the graph takes: windows, channels, rows, columns.
    pub fn input_dims(&self) -> [u64; 4] {
        [self.windows, self.input.channels, self.input.height, self.input.width]
    }

    /// Dimensions of what the graph gives: windows, classes, rows, columns.
    pub fn output_dims(&self) -> [u64; 4] {
        [self.windows, self.classes(), self.kept.height, self.kept.width]
    }
}

/// The model `onnx` with all that `spec` says around it, as a file of one input and one output.
///
/// # Errors
/// When the file is damaged.
pub fn fused(onnx: &[u8], spec: &FusedSpec) -> Result<Fusing, OnnxError> {
    let model = Model::read(onnx)?;
    if let Err(refusal) = check::check(&model, spec) {
        return Ok(Fusing::Refused(refusal));
    }
    let graph = &model.graph;
    let mut names = FreshNames::of(graph)?;
    let (given, opset) = (names.take("windows"), model.opsets.get("").copied().unwrap_or(0));
    let mut before = Nodes::new(&mut names);
    views::shown(&mut before, &given, spec);
    let before = before.written();
    let mut after = Nodes::new(&mut names);
    let channels = scores::activated(&mut after, spec, opset);
    let merged = views::merged(&mut after, &channels, spec);
    let (said, element) = scores::finished(&mut after, &merged, spec, opset);
    let after = after.written();

    let mut edits = GraphEdits { before, ..GraphEdits::default() };
    drop_unneeded(graph, &spec.head.name, &mut edits)?;
    edits.after.insert(graph.nodes.len() - 1, after);
    edits.undeclared.extend(graph.outputs.iter().map(|output| output.name));
    edits.undeclared.extend(graph.given().map(|input| input.name));
    edits.declared.push(declared(&given, spec.input_dims(), crate::types::F32));
    edits.given.push(declared(&said, spec.output_dims(), element));
    Ok(Fusing::Fused(edits.apply(onnx)?))
}

fn declared(name: &str, dims: [u64; 4], element: u64) -> Vec<u8> {
    declaration(name, &Tensor { name: "", dims: dims.to_vec(), element, data: (&[][..]).into() })
}

/// Drops nodes and tensors on which only other outputs hang. What graphs inside of nodes name counts as needed.
fn drop_unneeded<'a>(graph: &Graph<'a>, head: &'a str, edits: &mut GraphEdits<'a>) -> Result<(), OnnxError> {
    let mut needed: BTreeSet<&str> = inner_names(graph)?;
    needed.insert(head);
    for (place, node) in graph.nodes.iter().enumerate().rev() {
        if node.outputs.iter().any(|output| needed.contains(output)) {
            needed.extend(node.inputs.iter().copied());
        } else {
            edits.dropped.insert(place);
        }
    }
    for name in graph.initialisers.keys().filter(|name| !needed.contains(*name)) {
        edits.initialisers.insert(name, None);
        edits.undeclared.insert(name);
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
