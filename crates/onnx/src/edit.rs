//! A graph with other nodes: every message that is not changed is copied as it stands.

use crate::OnnxError;
use crate::external::ExternalReference;
use crate::graph::{Graph, Node};
use crate::inner::inner_names;
use crate::wire::{Damaged, fields, put_bytes, put_number};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What is to be other in a graph. Nodes are known by their place in the file.
#[derive(Default)]
pub(crate) struct GraphEdits<'a> {
    /// Nodes that take or give other values.
    pub(crate) nodes: BTreeMap<usize, NodeEdit>,
    /// Nodes that go.
    pub(crate) dropped: BTreeSet<usize>,
    /// New nodes before all others: their messages.
    pub(crate) before: Vec<Vec<u8>>,
    /// New nodes, each after the one of this place.
    pub(crate) after: BTreeMap<usize, Vec<Vec<u8>>>,
    /// Initialisers with another message, or without one where they go.
    pub(crate) initialisers: BTreeMap<&'a str, Option<Vec<u8>>>,
    /// New initialisers.
    pub(crate) added: Vec<Vec<u8>>,
    /// New inputs, for files so old that each initialiser must be one.
    pub(crate) declared: Vec<Vec<u8>>,
    /// New outputs.
    pub(crate) given: Vec<Vec<u8>>,
    /// Element types of what the file declares.
    pub(crate) types: BTreeMap<&'a str, u64>,
    /// What it declares no longer.
    pub(crate) undeclared: BTreeSet<&'a str>,
}

/// Other names at the slots of a node. A slot after the last is a new one.
#[derive(Debug, Default)]
pub(crate) struct NodeEdit {
    pub(crate) inputs: BTreeMap<usize, String>,
    pub(crate) outputs: BTreeMap<usize, String>,
}

impl GraphEdits<'_> {
    /// The file with its graph edited.
    pub(crate) fn apply(&self, onnx: &[u8]) -> Result<Vec<u8>, OnnxError> {
        let mut out = Vec::with_capacity(onnx.len() + 4096);
        for field in fields(onnx) {
            let field = field?;
            match (field.number, field.bytes()) {
                (7, Some(graph)) => put_bytes(&mut out, 7, &self.graph(graph)?),
                _ => out.extend_from_slice(field.raw),
            }
        }
        Ok(out)
    }

    fn graph(&self, message: &[u8]) -> Result<Vec<u8>, OnnxError> {
        let mut out = Vec::with_capacity(message.len() + 4096);
        self.before.iter().for_each(|node| put_bytes(&mut out, 1, node));
        let mut place = 0;
        for field in fields(message) {
            let field = field?;
            match (field.number, field.bytes()) {
                (1, Some(node)) => {
                    match self.nodes.get(&place) {
                        _ if self.dropped.contains(&place) => {}
                        Some(edit) => put_bytes(&mut out, 1, &edit.apply(node)?),
                        None => out.extend_from_slice(field.raw),
                    }
                    let after = self.after.get(&place).into_iter().flatten();
                    after.for_each(|node| put_bytes(&mut out, 1, node));
                    place += 1;
                }
                (5, Some(tensor)) => match self.initialisers.get(text_of(tensor, 8)?) {
                    Some(Some(other)) => put_bytes(&mut out, 5, other),
                    Some(None) => {}
                    None => out.extend_from_slice(field.raw),
                },
                (11..=13, Some(declared)) => {
                    let name = text_of(declared, 1)?;
                    match self.types.get(name) {
                        _ if self.undeclared.contains(name) => {}
                        Some(element) => {
                            put_bytes(&mut out, field.number, &with_element(declared, *element)?);
                        }
                        None => out.extend_from_slice(field.raw),
                    }
                }
                _ => out.extend_from_slice(field.raw),
            }
        }
        self.added.iter().for_each(|tensor| put_bytes(&mut out, 5, tensor));
        self.declared.iter().for_each(|input| put_bytes(&mut out, 11, input));
        self.given.iter().for_each(|output| put_bytes(&mut out, 12, output));
        Ok(out)
    }
}

impl NodeEdit {
    fn apply(&self, message: &[u8]) -> Result<Vec<u8>, OnnxError> {
        let (mut inputs, mut outputs, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for field in fields(message) {
            let field = field?;
            match field.number {
                1 => inputs.push(field.text().ok_or(Damaged)?),
                2 => outputs.push(field.text().ok_or(Damaged)?),
                _ => rest.extend_from_slice(field.raw),
            }
        }
        let mut out = Vec::with_capacity(message.len() + 64);
        for (number, names, edits) in [(1, &mut inputs, &self.inputs), (2, &mut outputs, &self.outputs)] {
            for (slot, name) in edits {
                names.resize(names.len().max(slot + 1), "");
                names[*slot] = name;
            }
            names.iter().for_each(|name| put_bytes(&mut out, number, name.as_bytes()));
        }
        out.extend(rest);
        Ok(out)
    }
}

/// Names that a graph does not have yet.
pub(crate) struct FreshNames(HashSet<String>);

impl FreshNames {
    pub(crate) fn of(graph: &Graph<'_>) -> Result<Self, OnnxError> {
        let mut taken: HashSet<String> = inner_names(graph)?.into_iter().map(ToOwned::to_owned).collect();
        let nodes = graph.nodes.iter();
        let named = nodes.flat_map(|node| node.outputs.iter().chain(&node.inputs).chain([&node.name]));
        let declared = graph.inputs.iter().chain(&graph.outputs).chain(&graph.infos).map(|d| &d.name);
        let all = named.chain(declared).chain(graph.initialisers.keys()).chain(&graph.sparse);
        taken.extend(all.map(|name| (*name).to_owned()));
        Ok(Self(taken))
    }

    /// `wanted`, or that with a number.
    pub(crate) fn take(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 1;
        while !self.0.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}_{number}");
        }
        name
    }
}

/// A `Cast` node.
pub(crate) fn cast(names: &mut FreshNames, from: &str, to: &str, element: u64) -> Vec<u8> {
    let mut attribute = Vec::new();
    put_bytes(&mut attribute, 1, b"to");
    put_number(&mut attribute, 3, element);
    // An attribute that is a whole number.
    put_number(&mut attribute, 20, 2);
    let mut node = Vec::new();
    put_bytes(&mut node, 1, from.as_bytes());
    put_bytes(&mut node, 2, to.as_bytes());
    put_bytes(&mut node, 3, names.take(&format!("cast_{to}")).as_bytes());
    put_bytes(&mut node, 4, b"Cast");
    put_bytes(&mut node, 5, &attribute);
    node
}

/// A `TensorProto` of these dimensions and this type.
pub(crate) fn tensor_message(name: &str, dims: &[u64], element: u64, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 64);
    dims.iter().for_each(|dim| put_number(&mut out, 1, *dim));
    put_number(&mut out, 2, element);
    put_bytes(&mut out, 8, name.as_bytes());
    put_bytes(&mut out, 9, data);
    out
}

/// `message`, a `TensorProto`, under the same name with another type and other numbers; its notes stay.
pub(crate) fn with_type(message: &[u8], element: u64, data: &[u8]) -> Result<Vec<u8>, OnnxError> {
    let mut out = Vec::with_capacity(data.len() + 64);
    for field in fields(&ExternalReference::without_data(message)?) {
        let field = field?;
        if field.number == 2 {
            put_number(&mut out, 2, element);
        } else {
            out.extend_from_slice(field.raw);
        }
    }
    put_bytes(&mut out, 9, data);
    Ok(out)
}

fn text_of(message: &[u8], number: u64) -> Result<&str, Damaged> {
    let mut text = "";
    for field in fields(message) {
        let field = field?;
        if field.number == number {
            text = field.text().ok_or(Damaged)?;
        }
    }
    Ok(text)
}

/// A `ValueInfoProto` of a tensor with another element type.
fn with_element(info: &[u8], element: u64) -> Result<Vec<u8>, OnnxError> {
    replaced(info, 2, &mut |ty| {
        replaced(ty, 1, &mut |tensor| {
            let mut out = Vec::new();
            put_number(&mut out, 1, element);
            for field in fields(tensor) {
                let field = field?;
                if field.number != 1 {
                    out.extend_from_slice(field.raw);
                }
            }
            Ok(out)
        })
    })
}

/// What gives another message for one.
pub(crate) type Replacing<'r> = dyn FnMut(&[u8]) -> Result<Vec<u8>, OnnxError> + 'r;

/// A message of which each field of this number, itself a message, is another.
pub(crate) fn replaced(message: &[u8], number: u64, with: &mut Replacing<'_>) -> Result<Vec<u8>, OnnxError> {
    let mut out = Vec::with_capacity(message.len());
    for field in fields(message) {
        let field = field?;
        match field.bytes().filter(|_| field.number == number) {
            Some(inner) => put_bytes(&mut out, number, &with(inner)?),
            None => out.extend_from_slice(field.raw),
        }
    }
    Ok(out)
}

/// Whether a node is this standard operator.
pub(crate) fn is_standard(node: &Node<'_>, operator: &str) -> bool {
    node.domain.is_empty() && node.operator == operator
}
