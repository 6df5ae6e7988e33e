//! A model in half precision: which nodes are computed in it, and the file that says so.

mod choice;
mod operators;
mod rounded;
mod write;

use crate::OnnxError;
use crate::average::tensor;
use crate::element::FloatType;
use crate::graph::{Model, Node, Origin};
use crate::inner::inner_names;
use crate::tensor::Tensor;
use crate::types::{F32, element_types};
use choice::tainted;
use operators::{Kind, asks_for_shape, kind};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

/// The oldest version of operators that take half precision throughout.
const OPSET_MIN_F16: u64 = 7;
/// The oldest in which `Cast` knows `bfloat16`.
const OPSET_MIN_BF16: u64 = 13;

/// The type that weights get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HalfType {
    /// IEEE half precision: nodes are computed in it, between `Cast` nodes.
    F16,
    /// The upper half of single precision: weights are stored in it, and a `Cast` node makes single precision of them; all is
    /// computed in that. ONNX Runtime's CPU provider has no arithmetic in it, and `Conv` takes it from operators of version 22 only.
    BF16,
}

impl HalfType {
    /// The same as a type of numbers.
    pub const fn float(self) -> FloatType {
        match self {
            Self::F16 => FloatType::F16,
            Self::BF16 => FloatType::BF16,
        }
    }

    const fn element(self) -> u64 {
        match self {
            Self::F16 => 10,
            Self::BF16 => 16,
        }
    }
}

/// Why a node that could be computed in half precision is not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kept {
    /// It holds a number of this size, which half precision does not have.
    Constant(f64),
    /// A value that it takes or gives is as large as this.
    Magnitude(f32),
    /// In half precision its values were farther off than those of others: by so much of how far they vary.
    Error(f64),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(number) => write!(f, "holds {number:.3e}"),
            Self::Magnitude(size) => write!(f, "values of {size:.3e}"),
            Self::Error(error) if error.is_finite() => write!(f, "error of {error:.2e}"),
            Self::Error(_) => f.write_str("values that are no numbers"),
        }
    }
}

/// A node that could be computed in half precision.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'g, 'a> {
    /// Its place in the file.
    pub place: usize,
    /// What it is.
    pub node: &'g Node<'a>,
}

/// Which nodes of a model are computed in half precision. Begins with all that can be.
pub struct Halving<'a> {
    onnx: &'a [u8],
    model: Model<'a>,
    to: HalfType,
    types: HashMap<&'a str, u64>,
    /// Names that graphs inside of nodes, and the outputs of the graph, know: these stay in single precision.
    pinned: BTreeSet<&'a str>,
    /// Of each node what half precision does to it, where it can be computed in that.
    kinds: Vec<Option<Kind>>,
    kept: BTreeMap<usize, Kept>,
}

/// A file in half precision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halved {
    /// The file.
    pub onnx: Vec<u8>,
    /// Nodes that are computed in half precision, or take weights that are stored in it.
    pub nodes: usize,
    /// Tensors in half precision.
    pub tensors: usize,
    /// Numbers in them.
    pub numbers: u64,
    /// `Cast` nodes that were put in.
    pub casts: usize,
}

impl<'a> Halving<'a> {
    /// Of a file with all its weights in it.
    ///
    /// # Errors
    /// When it is damaged or quantised, or its operators are too old.
    pub fn new(onnx: &'a [u8], to: HalfType) -> Result<Self, OnnxError> {
        let model = Model::read(onnx)?;
        let opset = model.opsets.get("").copied().unwrap_or(0);
        let least = if to == HalfType::F16 { OPSET_MIN_F16 } else { OPSET_MIN_BF16 };
        if opset < least {
            return Err(OnnxError::Unsupported(format!(
                "its operators are of opset {opset}, and {} takes {least} at least: export the model anew",
                if to == HalfType::F16 { "f16" } else { "bf16" }
            )));
        }
        let graph = &model.graph;
        if let Some(node) = graph.nodes.iter().find(|node| is_quantised(node)) {
            return Err(OnnxError::Unsupported(format!(
                "it is quantised ({}): half precision is for the model as it was before that",
                node.operator
            )));
        }
        let types = element_types(&model);
        let mut pinned = inner_names(graph)?;
        pinned.extend(graph.outputs.iter().map(|output| output.name));
        let tainted = tainted(graph);
        let kinds = graph.nodes.iter().map(|node| {
            let kind = kind(node)?;
            // A name that no node gives has no type here, and a value of another type stays what it is.
            let floats = |name: &&str| !name.is_empty() && !matches!(types.get(*name), Some(2..=9 | 12 | 13));
            let all: Vec<&str> = node.inputs.iter().chain(&node.outputs).copied().filter(floats).collect();
            let is_plain = !all.is_empty() && all.iter().all(|name| types.get(name) == Some(&F32));
            let of_pixels = node.inputs.iter().any(|input| tainted.contains(input));
            (is_plain && (of_pixels || kind == Kind::Moving)).then_some(kind)
        });
        let kinds = kinds.collect();
        let mut halving = Self { onnx, model, to, types, pinned, kinds, kept: BTreeMap::new() };
        halving.keep_constants()?;
        Ok(halving)
    }

    /// Nodes with numbers that are too large for half precision stay as they are.
    fn keep_constants(&mut self) -> Result<(), OnnxError> {
        let mut largest: HashMap<&str, f64> = HashMap::new();
        for place in 0..self.kinds.len() {
            if self.kinds[place].is_none() {
                continue;
            }
            for name in self.model.graph.nodes[place].inputs.clone() {
                let Some(tensor) = self.constant(name)? else { continue };
                let size = *largest.entry(name).or_insert_with(|| {
                    let numbers = tensor.numbers().unwrap_or_default();
                    numbers.into_iter().find(|number| !fits(self.to, *number)).unwrap_or(0.0)
                });
                if size != 0.0 {
                    self.kept.entry(place).or_insert(Kept::Constant(size));
                }
            }
        }
        Ok(())
    }

    /// The nodes that are computed in half precision as things stand, or take weights that are stored in it; in the order of the file.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn nodes(&self) -> Result<Vec<Candidate<'_, 'a>>, OnnxError> {
        let mut half = self.half();
        if self.to == HalfType::BF16 {
            for (place, half) in half.iter_mut().enumerate().filter(|(_, half)| **half) {
                *half = false;
                for name in &self.model.graph.nodes[place].inputs {
                    *half |= self.constant(name)?.is_some_and(|tensor| write::is_stored(&tensor));
                }
            }
        }
        let nodes = self.model.graph.nodes.iter().enumerate();
        Ok(nodes.filter(|(place, _)| half[*place]).map(|(place, node)| Candidate { place, node }).collect())
    }

    /// The values in single precision that these nodes take and give and that are computed, each once.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn values(&self) -> Result<Vec<&'a str>, OnnxError> {
        let (mut seen, mut values) = (HashSet::new(), Vec::new());
        for candidate in self.nodes()? {
            for name in candidate.node.inputs.iter().chain(&candidate.node.outputs) {
                let computed = matches!(self.model.graph.origin(name), Origin::Computed(..));
                if computed && self.types.get(name) == Some(&F32) && seen.insert(*name) {
                    values.push(*name);
                }
            }
        }
        Ok(values)
    }

    /// A node stays in single precision.
    pub fn keep(&mut self, place: usize, why: Kept) {
        self.kept.entry(place).or_insert(why);
    }

    /// The nodes that could be computed in half precision and are not, with their reasons.
    pub fn kept(&self) -> impl Iterator<Item = (String, Kept)> {
        self.kept.iter().map(|(place, why)| (self.model.graph.nodes[*place].said(*place), *why))
    }

    /// Operators of the other nodes that outputs hang on and that are given floats, with how many there are of each: they stay in single
    /// precision for what they are.
    pub fn others(&self) -> BTreeMap<String, usize> {
        let (half, live) = (self.half(), self.model.graph.live());
        let mut others = BTreeMap::new();
        for (place, node) in self.model.graph.nodes.iter().enumerate() {
            let takes_floats = node.inputs.iter().any(|name| self.types.get(name) == Some(&F32));
            let counts = live[place] && takes_floats && !half[place] && !self.kept.contains_key(&place);
            if counts && node.operator != "Identity" && !asks_for_shape(node) {
                *others.entry(node.operator.to_owned()).or_default() += 1;
            }
        }
        others
    }

    /// The tensor of single precision that stands under this very name.
    fn constant(&self, name: &'a str) -> Result<Option<Tensor<'a>>, OnnxError> {
        let graph = &self.model.graph;
        if self.types.get(name) != Some(&F32) {
            return Ok(None);
        }
        match graph.constant(name) {
            Some(constant) => write::floats(tensor(graph, constant)?, graph, constant).map(Some),
            None => Ok(None),
        }
    }
}

fn is_quantised(node: &Node<'_>) -> bool {
    let operator = node.operator;
    operator.contains("Quantize") || operator.starts_with("QLinear") || operator.ends_with("Integer")
}

fn fits(to: HalfType, number: f64) -> bool {
    let (mut bytes, mut back) = (Vec::new(), f64::NAN);
    to.float().write(number, &mut bytes);
    to.float().read(&bytes, |number| back = number);
    back.is_finite()
}

#[cfg(test)]
mod tests;
