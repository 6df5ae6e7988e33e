//! A model's graph, as it stands in its file: nodes in order, and where every value comes from.

use crate::OnnxError;
use crate::wire::{Damaged, Field, Value, fields};
use std::collections::{BTreeMap, HashMap};

/// A file, read as far as it must be understood.
#[derive(Debug)]
pub struct Model<'a> {
    /// The version of the file format.
    pub ir_version: u64,
    /// The operators' versions, by their domain; the standard one is the empty text.
    pub opsets: BTreeMap<&'a str, u64>,
    /// Operators that the file itself defines.
    pub functions: Vec<&'a [u8]>,
    /// What is run.
    pub graph: Graph<'a>,
}

/// The graph that is run.
#[derive(Debug, Default)]
pub struct Graph<'a> {
    /// Its nodes, each after those that it needs.
    pub nodes: Vec<Node<'a>>,
    /// `TensorProto` messages by name.
    pub initialisers: HashMap<&'a str, &'a [u8]>,
    /// Names of sparse initialisers, which nothing here can read.
    pub sparse: Vec<&'a str>,
    /// What it is given, initialisers among them in old files.
    pub inputs: Vec<Declared<'a>>,
    /// What it gives.
    pub outputs: Vec<Declared<'a>>,
    /// What the file says of values in between.
    pub infos: Vec<Declared<'a>>,
    sources: HashMap<&'a str, Source>,
}

/// One operation.
#[derive(Debug, Default)]
pub struct Node<'a> {
    /// Its name, if it has one.
    pub name: &'a str,
    /// What it does.
    pub operator: &'a str,
    /// Whose operator that is; empty for the standard.
    pub domain: &'a str,
    /// Names of what it takes; empty where it takes nothing.
    pub inputs: Vec<&'a str>,
    /// Names of what it gives.
    pub outputs: Vec<&'a str>,
    /// `AttributeProto` messages by name.
    pub attributes: BTreeMap<&'a str, &'a [u8]>,
}

/// An input or output of the graph.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its `TypeProto`; empty where it has none.
    pub ty: &'a [u8],
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// This output of this node.
    Node(usize, usize),
    /// An initialiser: the node that takes it knows the name.
    Initialiser,
    /// This input of the graph.
    Input(usize),
}

/// A tensor that does not change, under the name by which nodes know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Constant<'a> {
    /// An initialiser.
    Initialiser(&'a str),
    /// The `value` of this `Constant` node.
    Node(usize),
}

/// What a value is, once nodes that change nothing are looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// Computed: this output of this node.
    Computed(usize, usize),
    /// Given to the graph: its input of this place.
    Given(usize),
    /// A tensor that does not change.
    Constant(Constant<'a>),
    /// Nothing: an optional input that is left out.
    Absent,
}

impl<'a> Model<'a> {
    /// Reads a file.
    ///
    /// # Errors
    /// When its bytes are damaged, hold no graph or two, or name values that come from nowhere.
    pub fn read(onnx: &'a [u8]) -> Result<Self, OnnxError> {
        let (mut ir_version, mut opsets, mut functions, mut graph) = (0, BTreeMap::new(), Vec::new(), None);
        for field in fields(onnx) {
            let field = field?;
            match (field.number, field.value) {
                (1, Value::Number(version)) => ir_version = version,
                // Readers of Protocol Buffers make one graph of two, and whoever changes one would change both.
                (7, Value::Bytes(_)) if graph.is_some() => {
                    return Err(OnnxError::Invalid("the file holds two graphs".into()));
                }
                (7, Value::Bytes(message)) => graph = Some(Graph::read(message)?),
                (8, Value::Bytes(import)) => {
                    let (mut domain, mut version) = ("", 0);
                    for field in fields(import) {
                        let field = field?;
                        match field.number {
                            1 => domain = standard(field.text().ok_or(Damaged)?),
                            2 => version = field.number_value().ok_or(Damaged)?,
                            _ => {}
                        }
                    }
                    opsets.insert(domain, version);
                }
                (25, Value::Bytes(function)) => functions.push(function),
                _ => {}
            }
        }
        let graph = graph.ok_or_else(|| OnnxError::Invalid("the file holds no graph".into()))?;
        Ok(Self { ir_version, opsets, functions, graph })
    }
}

/// The standard operators have two names.
fn standard(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn text<'a>(field: &Field<'a>) -> Result<&'a str, Damaged> {
    field.text().ok_or(Damaged)
}

impl<'a> Graph<'a> {
    fn read(message: &'a [u8]) -> Result<Self, OnnxError> {
        let mut graph = Self::default();
        for field in fields(message) {
            let field = field?;
            let Some(bytes) = field.bytes() else { continue };
            match field.number {
                1 => graph.nodes.push(Node::read(bytes)?),
                5 => {
                    let name = name_of(bytes, 8)?;
                    if graph.initialisers.insert(name, bytes).is_some() {
                        return Err(OnnxError::Invalid(format!("two initialisers are called `{name}`")));
                    }
                }
                11 => graph.inputs.push(Declared::read(bytes)?),
                12 => graph.outputs.push(Declared::read(bytes)?),
                13 => graph.infos.push(Declared::read(bytes)?),
                15 => {
                    let values = fields(bytes).filter_map(Result::ok).find(|f| f.number == 1);
                    graph.sparse.push(name_of(values.and_then(|f| f.bytes()).unwrap_or(&[]), 8)?);
                }
                _ => {}
            }
        }
        graph.connect()?;
        Ok(graph)
    }

    /// Finds out where every value comes from.
    fn connect(&mut self) -> Result<(), OnnxError> {
        let initialisers = self.initialisers.keys().chain(&self.sparse);
        let mut sources: HashMap<&str, Source> =
            initialisers.map(|name| (*name, Source::Initialiser)).collect();
        for (place, input) in self.inputs.iter().enumerate() {
            sources.entry(input.name).or_insert(Source::Input(place));
        }
        for (place, node) in self.nodes.iter().enumerate() {
            if let Some(input) = node.inputs.iter().find(|n| !n.is_empty() && !sources.contains_key(*n)) {
                return Err(OnnxError::Invalid(format!(
                    "{} takes `{input}`, which nothing before it gives",
                    node.said(place)
                )));
            }
            for (slot, output) in node.outputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                if sources.insert(output, Source::Node(place, slot)).is_some() {
                    return Err(OnnxError::Invalid(format!("`{output}` is given twice")));
                }
            }
        }
        if let Some(output) = self.outputs.iter().find(|output| !sources.contains_key(output.name)) {
            return Err(OnnxError::Invalid(format!("nothing gives its output `{}`", output.name)));
        }
        self.sources = sources;
        Ok(())
    }

    /// Where a value comes from; none for a name that no node gives.
    pub(crate) fn source(&self, value: &str) -> Option<Source> {
        self.sources.get(value).copied()
    }

    /// The tensor that stands under this very name.
    pub(crate) fn constant(&self, value: &'a str) -> Option<Constant<'a>> {
        match self.source(value)? {
            Source::Initialiser => Some(Constant::Initialiser(value)),
            Source::Node(place, _) => {
                let node = &self.nodes[place];
                (node.domain.is_empty() && node.operator == "Constant").then_some(Constant::Node(place))
            }
            Source::Input(_) => None,
        }
    }

    /// What a value is, looked at through `Identity` nodes: exporters put them where two weights have equal bytes.
    pub fn origin(&self, value: &'a str) -> Origin<'a> {
        let mut value = value;
        loop {
            return match self.sources.get(value) {
                None => Origin::Absent,
                Some(Source::Input(place)) => Origin::Given(*place),
                Some(Source::Initialiser) => Origin::Constant(Constant::Initialiser(value)),
                Some(&Source::Node(place, slot)) => {
                    let node = &self.nodes[place];
                    match (node.domain, node.operator) {
                        ("", "Identity") if node.inputs.first().is_some_and(|input| !input.is_empty()) => {
                            value = node.inputs[0];
                            continue;
                        }
                        ("", "Constant") => Origin::Constant(Constant::Node(place)),
                        _ => Origin::Computed(place, slot),
                    }
                }
            };
        }
    }

    /// The inputs that are no initialisers: what it is really given.
    pub fn given(&self) -> impl Iterator<Item = &Declared<'a>> {
        self.inputs.iter().filter(|input| !self.initialisers.contains_key(input.name))
    }

    /// Of each node whether any output hangs on it.
    pub fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.nodes.len()];
        let mut open: Vec<&str> = self.outputs.iter().map(|output| output.name).collect();
        while let Some(value) = open.pop() {
            if let Some(&Source::Node(place, _)) = self.sources.get(value)
                && !std::mem::replace(&mut live[place], true)
            {
                open.extend(&self.nodes[place].inputs);
            }
        }
        live
    }

    /// Of each node the nodes and slots that take what it gives, `Identity` nodes looked through.
    pub fn consumers(&self) -> Vec<Vec<(usize, usize)>> {
        let mut consumers = vec![Vec::new(); self.nodes.len()];
        for (place, node) in self.nodes.iter().enumerate() {
            if node.operator == "Identity" && node.domain.is_empty() {
                continue;
            }
            for (slot, input) in node.inputs.iter().enumerate() {
                if let Origin::Computed(from, _) | Origin::Constant(Constant::Node(from)) = self.origin(input)
                {
                    consumers[from].push((place, slot));
                }
            }
        }
        consumers
    }
}

fn name_of(message: &[u8], number: u64) -> Result<&str, Damaged> {
    let mut name = "";
    for field in fields(message) {
        let field = field?;
        if field.number == number {
            name = text(&field)?;
        }
    }
    Ok(name)
}

impl<'a> Node<'a> {
    fn read(message: &'a [u8]) -> Result<Self, OnnxError> {
        let mut node = Self::default();
        for field in fields(message) {
            let field = field?;
            match field.number {
                1 => node.inputs.push(text(&field)?),
                2 => node.outputs.push(text(&field)?),
                3 => node.name = text(&field)?,
                4 => node.operator = text(&field)?,
                5 => {
                    let attribute = field.bytes().ok_or(Damaged)?;
                    node.attributes.insert(name_of(attribute, 1)?, attribute);
                }
                7 => node.domain = standard(text(&field)?),
                _ => {}
            }
        }
        Ok(node)
    }

    /// What to call it in a message: its operator and name, or its place where it has none.
    pub fn said(&self, place: usize) -> String {
        if self.name.is_empty() {
            format!("node {place} ({})", self.operator)
        } else {
            format!("node `{}` ({})", self.name, self.operator)
        }
    }

    /// A field of one of its attributes: 2 a float, 3 a whole number, 5 a tensor, 6 a graph.
    pub(crate) fn attribute(&self, name: &str, field: u64) -> Option<Value<'a>> {
        let message = self.attributes.get(name)?;
        fields(message).filter_map(Result::ok).find(|f| f.number == field).map(|f| f.value)
    }
}

impl<'a> Declared<'a> {
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, OnnxError> {
        let mut declared = Self { name: "", ty: &[] };
        for field in fields(message) {
            let field = field?;
            match field.number {
                1 => declared.name = text(&field)?,
                2 => declared.ty = field.bytes().ok_or(Damaged)?,
                _ => {}
            }
        }
        Ok(declared)
    }

    /// Its type and its fixed dimensions, as text that is equal for equal ones: names of dimensions say nothing.
    pub(crate) fn shape(&self) -> Result<(u64, Vec<Option<u64>>), Damaged> {
        let (mut element, mut dims) = (0, Vec::new());
        for tensor in fields(self.ty) {
            let tensor = tensor?;
            let (1, Some(tensor)) = (tensor.number, tensor.bytes()) else { continue };
            for field in fields(tensor) {
                let field = field?;
                match (field.number, field.value) {
                    (1, Value::Number(code)) => element = code,
                    (2, Value::Bytes(shape)) => {
                        for dim in fields(shape) {
                            let dim = dim?.bytes().ok_or(Damaged)?;
                            let value = fields(dim).filter_map(Result::ok).find(|f| f.number == 1);
                            dims.push(value.and_then(|f| f.number_value()));
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok((element, dims))
    }
}
