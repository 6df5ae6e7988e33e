//! The mean of the weights of several files.

use crate::OnnxError;
use crate::element::FloatType;
use crate::graph::{Constant, Graph, Model};
use crate::pairing::{Pairing, Pairs, Slot};
use crate::rewrite::{Changes, rewritten};
use crate::roles::{Role, Roles};
use crate::tensor::Tensor;
use crate::wire::{Value, fields};
use std::collections::BTreeMap;

/// Adds up the weights of files of one architecture, one file after the other: at any time the first file, the sums in `f64`
/// and one other file are held.
///
/// Tensors are matched by where they stand in the graph, never by their names. What differs and is no weight is refused.
/// Sums are in the order in which files are added; each mean is rounded once, to the type that the file has.
pub struct Averaging<'a> {
    name: String,
    onnx: &'a [u8],
    model: Model<'a>,
    roles: Roles,
    sums: BTreeMap<Slot, Sum<'a>>,
    total: f64,
}

struct Sum<'a> {
    constant: Constant<'a>,
    /// Weighted numbers so far; none while all files have the same bytes here.
    numbers: Option<Vec<f64>>,
}

/// The mean, and what was done for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Averaged {
    /// The file, with all its weights in it.
    pub onnx: Vec<u8>,
    /// Tensors that differed, and are means now.
    pub tensors: usize,
    /// Numbers in them.
    pub numbers: usize,
    /// Tensors that the first file kept once for several places, and that are several now.
    pub unshared: usize,
}

impl<'a> Averaging<'a> {
    /// Begins with the file that gives the graph, names and notes. `onnx` holds all its weights
    /// ([`with_all_data`](crate::with_all_data)), and `name` stands for it in messages; `weight` is not negative.
    ///
    /// # Errors
    /// When it is damaged, or holds what cannot be averaged.
    pub fn new(name: &str, onnx: &'a [u8], weight: f64) -> Result<Self, OnnxError> {
        let model = Model::read(onnx).map_err(|error| of_file(name, error))?;
        let same = (name, &model);
        let pairs = Pairing { first: same, other: same }.pairs()?;
        let sums = pairs.into_iter().map(|(slot, (constant, _))| (slot, Sum { constant, numbers: None }));
        let sums = sums.collect();
        let roles = Roles::of(&model.graph);
        Ok(Self { name: name.to_owned(), onnx, model, roles, sums, total: weight })
    }

    /// Adds a file.
    ///
    /// # Errors
    /// When it is damaged, is of another architecture, differs in what is no weight, or holds numbers that are not finite.
    pub fn add(&mut self, name: &str, onnx: &[u8], weight: f64) -> Result<(), OnnxError> {
        let model = Model::read(onnx).map_err(|error| of_file(name, error))?;
        let pairs = Pairing { first: (&self.name, &self.model), other: (name, &model) }.pairs()?;
        self.add_pairs(&pairs, name, &model.graph, weight)?;
        self.total += weight;
        Ok(())
    }

    fn add_pairs(
        &mut self,
        pairs: &Pairs<'a, '_>,
        name: &str,
        other: &Graph<'_>,
        weight: f64,
    ) -> Result<(), OnnxError> {
        for (slot, (here, there)) in pairs {
            let Some(sum) = self.sums.get_mut(slot) else { continue };
            let mine = tensor(&self.model.graph, *here).map_err(|error| of_file(&self.name, error))?;
            let its = tensor(other, *there).map_err(|error| of_file(name, error))?;
            let node = &self.model.graph.nodes[slot.node];
            let place = format!("input {} of {}", slot.input, node.said(slot.node));
            if (&mine.dims, mine.element) != (&its.dims, its.element) {
                return Err(OnnxError::Different(format!(
                    "{} and {name} are not one architecture: {place} is {} in one and {} in the other. Only files of one \
                     network, with the same classes and the same precision, can be averaged; to keep both, give them as \
                     members of a job",
                    self.name,
                    said(&mine),
                    said(&its)
                )));
            }
            let is_equal = mine.data == its.data;
            if is_equal && sum.numbers.is_none() {
                continue;
            }
            let role = self.roles.role(&self.model.graph, slot.node, slot.input, *here, mine.len() <= 1);
            if role == Role::Shape {
                continue;
            }
            let float = mine.float().filter(|_| role == Role::Weight);
            let Some(float) = float else {
                return Err(OnnxError::Different(refusal(&self.name, name, &place, &mine, &its, role)));
            };
            if weight == 0.0 {
                continue;
            }
            if sum.numbers.is_none() {
                sum.numbers = Some(finite(&mine, float, &self.name, &place)?);
                let total = self.total;
                sum.numbers.iter_mut().flatten().for_each(|number| *number *= total);
            }
            let its = finite(&its, float, name, &place)?;
            let numbers = sum.numbers.iter_mut().flatten();
            numbers.zip(its).for_each(|(sum, number)| *sum += weight * number);
        }
        Ok(())
    }

    /// The mean, as the first file with other numbers, and with `metadata` among its notes: pairs of a key and a text, in
    /// place of those of the same key.
    ///
    /// # Errors
    /// When no weight is above 0, or the file would be larger than a protobuf can be.
    pub fn finish(self, metadata: &[(String, String)]) -> Result<Averaged, OnnxError> {
        if !(self.total > 0.0 && self.total.is_finite()) {
            return Err(OnnxError::Weights("all weights are 0: one must be greater".into()));
        }
        let (mut slots, mut tensors, mut numbers) = (BTreeMap::new(), 0, 0);
        for (slot, sum) in &self.sums {
            let Some(sums) = &sum.numbers else { continue };
            let tensor = tensor(&self.model.graph, sum.constant)?;
            let Some(float) = tensor.float() else { continue };
            let mut data = Vec::with_capacity(sums.len() * float.bytes());
            sums.iter().for_each(|sum| float.write(sum / self.total, &mut data));
            tensors += 1;
            numbers += sums.len();
            slots.insert(*slot, data);
        }
        // Places at which no number counts go on with whatever tensor keeps the name.
        let counts =
            |slot: &Slot, what| self.roles.role(&self.model.graph, slot.node, slot.input, what, false);
        let places = self.sums.iter().filter(|(slot, sum)| counts(slot, sum.constant) != Role::Shape);
        let places = places.map(|(slot, sum)| (*slot, sum.constant)).collect();
        let changes = Changes { slots, metadata };
        let (onnx, unshared) = rewritten(self.onnx, &self.model, &places, &changes)?;
        Ok(Averaged { onnx, tensors, numbers, unshared })
    }
}

/// How far the weights of two files of one architecture lie apart: of each tensor that differs the square of the distance over the
/// sum of the squares of both, and the root of their mean; 0 for equal files. Whole tensors count alike, small and large.
///
/// # Errors
/// As [`Averaging::add`].
pub fn distance(first: (&str, &[u8]), other: (&str, &[u8])) -> Result<f64, OnnxError> {
    let mut averaging = Averaging::new(first.0, first.1, 1.0)?;
    averaging.add(other.0, other.1, 1.0)?;
    let (mut shares, mut tensors) = (0.0, 0_u32);
    for sum in averaging.sums.values() {
        let Some(sums) = &sum.numbers else { continue };
        let mine = tensor(&averaging.model.graph, sum.constant)?.numbers().unwrap_or_default();
        let squares =
            mine.iter().zip(sums).map(|(a, sum)| ((2.0 * a - sum).powi(2), a.powi(2) + (sum - a).powi(2)));
        let (apart, both) = squares.fold((0.0, 0.0), |sum, (apart, both)| (sum.0 + apart, sum.1 + both));
        if both > 0.0 {
            shares += apart / both;
            tensors += 1;
        }
    }
    Ok(if tensors == 0 { 0.0 } else { (shares / f64::from(tensors)).sqrt() })
}

/// The tensor that a constant is.
pub(crate) fn tensor<'a>(graph: &Graph<'a>, constant: Constant<'a>) -> Result<Tensor<'a>, OnnxError> {
    message(graph, constant)?.map_or_else(|| scalar(graph, constant), Tensor::read)
}

/// The `TensorProto` of a constant; none for a `Constant` node that holds plain numbers.
pub(crate) fn message<'a>(graph: &Graph<'a>, constant: Constant<'a>) -> Result<Option<&'a [u8]>, OnnxError> {
    match constant {
        Constant::Initialiser(name) => match graph.initialisers.get(name) {
            Some(message) => Ok(Some(message)),
            None => Err(OnnxError::Unsupported(format!(
                "the tensor `{name}` is stored sparsely, which is not read here: export the model without sparse tensors"
            ))),
        },
        Constant::Node(place) => Ok(match graph.nodes[place].attribute("value", 5) {
            Some(Value::Bytes(message)) => Some(message),
            _ => None,
        }),
    }
}

/// What a `Constant` node holds that is no tensor: as bytes that are equal for equal values, and never averaged.
fn scalar<'a>(graph: &Graph<'a>, constant: Constant<'a>) -> Result<Tensor<'a>, OnnxError> {
    let Constant::Node(place) = constant else { return Err(OnnxError::Damaged) };
    let mut data = Vec::new();
    for (name, message) in &graph.nodes[place].attributes {
        data.extend_from_slice(name.as_bytes());
        for field in fields(message) {
            let field = field?;
            if !matches!(field.number, 1 | 13 | 20) {
                data.extend_from_slice(field.raw);
            }
        }
    }
    Ok(Tensor { name: "", dims: Vec::new(), element: 0, data: data.into() })
}

fn finite(tensor: &Tensor<'_>, float: FloatType, file: &str, place: &str) -> Result<Vec<f64>, OnnxError> {
    let mut numbers = Vec::with_capacity(tensor.len());
    float.read(&tensor.data, |number| numbers.push(number));
    match numbers.iter().position(|number| !number.is_finite()) {
        None => Ok(numbers),
        Some(at) => Err(OnnxError::Different(format!(
            "{file}: {place} holds {}, at number {at}: the training went wrong before this file was written, and a mean with \
             it means nothing; leave it out",
            numbers[at]
        ))),
    }
}

fn said(tensor: &Tensor<'_>) -> String {
    format!("{:?} of type {}", tensor.dims, type_name(tensor.element))
}

fn type_name(element: u64) -> String {
    match element {
        1 => "float32".into(),
        10 => "float16".into(),
        11 => "float64".into(),
        16 => "bfloat16".into(),
        3 => "int8".into(),
        2 => "uint8".into(),
        6 => "int32".into(),
        7 => "int64".into(),
        9 => "bool".into(),
        other => format!("{other}"),
    }
}

/// Why two tensors that differ are not averaged.
fn refusal(first: &str, other: &str, place: &str, a: &Tensor<'_>, b: &Tensor<'_>, role: Role) -> String {
    let found = match (a.numbers(), b.numbers()) {
        (Some(x), Some(y)) => x
            .iter()
            .zip(&y)
            .find(|(x, y)| x != y)
            .map_or_else(String::new, |(x, y)| format!(" ({x} and {y})")),
        _ => String::new(),
    };
    let is_small = matches!(a.element, 2 | 3);
    let why = match role {
        Role::Weight if is_small => {
            "these are quantised weights: average the files before they are quantised".to_owned()
        }
        Role::Weight => format!("numbers of type {} are no weights, and must be equal", type_name(a.element)),
        Role::Fixed => {
            "this is a setting and no weight (a size, a bound, an exponent, how pixels are normalised), and must be equal: \
             export both in the same way"
                .to_owned()
        }
        Role::Unknown | Role::Shape => "it is not known whether this is a weight, so it must be equal".to_owned(),
    };
    format!(
        "{first} and {other} differ in {place}{found}: {why}. To keep both, give them as members of a job instead"
    )
}

/// An error of one file, with its name before it.
fn of_file(name: &str, error: OnnxError) -> OnnxError {
    match error {
        OnnxError::Damaged => OnnxError::Invalid(format!("{name}: {error}")),
        OnnxError::Invalid(reason) => OnnxError::Invalid(format!("{name}: {reason}")),
        OnnxError::Unsupported(reason) => OnnxError::Unsupported(format!("{name}: {reason}")),
        other => other,
    }
}

#[cfg(test)]
#[path = "average_tests.rs"]
mod tests;
