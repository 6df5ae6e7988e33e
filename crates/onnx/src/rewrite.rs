//! A file with other numbers: every byte that is not such a number stays as it was.

use crate::OnnxError;
use crate::average::{message, tensor};
use crate::graph::{Constant, Model, Origin};
use crate::pairing::Slot;
use crate::tensor::{Tensor, with_data};
use crate::wire::{fields, put_bytes, put_number};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// More than that a protobuf cannot hold.
const BYTES_MAX: usize = i32::MAX as usize;

/// What is to be other than in a file.
pub(crate) struct Changes<'c> {
    /// Other numbers of a slot: little endian, of the type and dimensions that it has.
    pub(crate) slots: BTreeMap<Slot, Vec<u8>>,
    /// Notes to add, in place of those of the same key.
    pub(crate) metadata: &'c [(String, String)],
}

/// What becomes of the messages of a graph.
#[derive(Default)]
struct Edits<'a> {
    /// Initialisers with other numbers.
    replaced: HashMap<&'a str, Vec<u8>>,
    /// New initialisers: their messages.
    added: Vec<Vec<u8>>,
    /// New inputs, for files so old that each initialiser must be one.
    declared: Vec<Vec<u8>>,
    /// Slots that take one of the new ones.
    renamed: BTreeMap<Slot, String>,
    /// `Constant` nodes that nothing takes any more.
    dropped: BTreeSet<usize>,
}

/// The file `onnx`, read as `model`, with `changes`; and how many tensors are several now, since places that shared one have
/// different numbers. `places` are all slots that take constants.
pub(crate) fn rewritten(
    onnx: &[u8],
    model: &Model<'_>,
    places: &BTreeMap<Slot, Constant<'_>>,
    changes: &Changes<'_>,
) -> Result<(Vec<u8>, usize), OnnxError> {
    if changes.slots.is_empty() && changes.metadata.is_empty() {
        return Ok((onnx.to_vec(), 0));
    }
    let (edits, unshared) = edits(model, places, changes)?;
    let mut out = Vec::with_capacity(onnx.len() + 4096);
    for field in fields(onnx) {
        let field = field?;
        match (field.number, field.bytes()) {
            (7, Some(graph)) => put_bytes(&mut out, 7, &edits.graph(graph)?),
            (14, Some(pair))
                if changes.metadata.iter().any(|(key, _)| key_of(pair) == Some(key.as_str())) => {}
            _ => out.extend_from_slice(field.raw),
        }
    }
    for (key, text) in changes.metadata {
        let mut pair = Vec::new();
        put_bytes(&mut pair, 1, key.as_bytes());
        put_bytes(&mut pair, 2, text.as_bytes());
        put_bytes(&mut out, 14, &pair);
    }
    if out.len() > BYTES_MAX {
        return Err(OnnxError::Unsupported(format!(
            "the file would have {} bytes, and a model in one file can have {BYTES_MAX}: weights in a second file are read, \
             and not written",
            out.len()
        )));
    }
    Ok((out, unshared))
}

/// The file with other numbers at these places, each as many as there are, rounded once to the type that they have there.
///
/// # Errors
/// When the file is damaged, a place takes no tensor of floats, or there are not as many numbers.
pub fn with_numbers(onnx: &[u8], numbers: &BTreeMap<Slot, Vec<f64>>) -> Result<Vec<u8>, OnnxError> {
    let model = Model::read(onnx)?;
    let graph = &model.graph;
    let (mut slots, mut places) = (BTreeMap::new(), BTreeMap::new());
    for (place, node) in graph.nodes.iter().enumerate() {
        for (input, name) in node.inputs.iter().enumerate() {
            if let Origin::Constant(constant) = graph.origin(name) {
                places.insert(Slot { node: place, input }, constant);
            }
        }
    }
    for (slot, numbers) in numbers {
        let wrong =
            || OnnxError::Invalid(format!("input {} of node {} takes no such tensor", slot.input, slot.node));
        let like = tensor(graph, *places.get(slot).ok_or_else(wrong)?)?;
        let float = like.float().filter(|_| like.len() == numbers.len()).ok_or_else(wrong)?;
        let mut data = Vec::with_capacity(like.data.len());
        numbers.iter().for_each(|number| float.write(*number, &mut data));
        let mut is_finite = true;
        float.read(&data, |number| is_finite &= number.is_finite());
        if !is_finite {
            let node = graph.nodes[slot.node].said(slot.node);
            return Err(OnnxError::Unsupported(format!(
                "a number for input {} of {node} is too large for the type that the file has there, or none",
                slot.input
            )));
        }
        slots.insert(*slot, data);
    }
    Ok(rewritten(onnx, &model, &places, &Changes { slots, metadata: &[] })?.0)
}

/// The numbers at a place.
///
/// # Errors
/// When the file is damaged, or the place takes no tensor of floats.
pub fn numbers_at(onnx: &[u8], slot: Slot) -> Result<Vec<f64>, OnnxError> {
    let model = Model::read(onnx)?;
    let name = model.graph.nodes.get(slot.node).and_then(|node| node.inputs.get(slot.input));
    let numbers = match name.map(|name| model.graph.origin(name)) {
        Some(Origin::Constant(constant)) => tensor(&model.graph, constant)?.numbers(),
        _ => None,
    };
    numbers.ok_or_else(|| {
        OnnxError::Invalid(format!("input {} of node {} takes no tensor of floats", slot.input, slot.node))
    })
}

/// The file with these notes, in place of those of the same key.
///
/// # Errors
/// When the file is damaged, or would be too large.
pub fn with_metadata(onnx: &[u8], metadata: &[(String, String)]) -> Result<Vec<u8>, OnnxError> {
    let changes = Changes { slots: BTreeMap::new(), metadata };
    Ok(rewritten(onnx, &Model::read(onnx)?, &BTreeMap::new(), &changes)?.0)
}

/// The file that gives these values of its graph, and nothing else: what only other outputs need is not computed.
///
/// # Errors
/// When the file is damaged.
pub fn giving(onnx: &[u8], values: &[&str]) -> Result<Vec<u8>, OnnxError> {
    let mut out = Vec::with_capacity(onnx.len());
    for field in fields(onnx) {
        let field = field?;
        let Some(graph) = field.bytes().filter(|_| field.number == 7) else {
            out.extend_from_slice(field.raw);
            continue;
        };
        let mut kept = Vec::with_capacity(graph.len());
        for field in fields(graph) {
            let field = field?;
            if field.number != 12 {
                kept.extend_from_slice(field.raw);
            }
        }
        for name in values {
            // Without a type: that is worked out when the file is loaded.
            let mut info = Vec::new();
            put_bytes(&mut info, 1, name.as_bytes());
            put_bytes(&mut kept, 12, &info);
        }
        put_bytes(&mut out, 7, &kept);
    }
    Ok(out)
}

/// The note of this key, if the file has one.
///
/// # Errors
/// When the file is damaged.
pub fn metadata_of(onnx: &[u8], key: &str) -> Result<Option<String>, OnnxError> {
    for field in fields(onnx) {
        let field = field?;
        let pair = field.bytes().filter(|pair| field.number == 14 && key_of(pair) == Some(key));
        if let Some(pair) = pair {
            let text = fields(pair).filter_map(Result::ok).find(|field| field.number == 2);
            return Ok(text.and_then(|field| field.text().map(str::to_owned)));
        }
    }
    Ok(None)
}

fn key_of(pair: &[u8]) -> Option<&str> {
    fields(pair).filter_map(Result::ok).find(|field| field.number == 1)?.text()
}

fn edits<'a>(
    model: &Model<'a>,
    places: &BTreeMap<Slot, Constant<'a>>,
    changes: &Changes<'_>,
) -> Result<(Edits<'a>, usize), OnnxError> {
    let graph = &model.graph;
    let mut taken: HashSet<String> = graph.initialisers.keys().map(|name| (*name).to_owned()).collect();
    let named = graph.nodes.iter().flat_map(|node| node.outputs.iter().chain(&node.inputs));
    taken.extend(named.chain(graph.inputs.iter().map(|i| &i.name)).map(|name| (*name).to_owned()));
    let mut by_constant: BTreeMap<Constant<'a>, Vec<Slot>> = BTreeMap::new();
    for (slot, constant) in places {
        by_constant.entry(*constant).or_default().push(*slot);
    }
    let (mut edits, mut unshared) = (Edits::default(), 0);
    for (constant, slots) in by_constant {
        let changed: Vec<Slot> = slots.iter().copied().filter(|s| changes.slots.contains_key(s)).collect();
        let Some(like) = message(graph, constant)?.filter(|_| !changed.is_empty()) else { continue };
        // Places with equal numbers go on sharing them.
        let mut groups: Vec<(Option<&Vec<u8>>, Vec<Slot>)> = Vec::new();
        for slot in &slots {
            let data = changes.slots.get(slot);
            match groups.iter_mut().find(|(other, _)| *other == data) {
                Some((_, group)) => group.push(*slot),
                None => groups.push((data, vec![*slot])),
            }
        }
        unshared += usize::from(groups.len() > 1);
        let (name, stays) = match constant {
            Constant::Initialiser(name) => (name, true),
            Constant::Node(place) => {
                let name = graph.nodes[place].outputs.first().copied().unwrap_or("constant");
                if changed.len() == slots.len() && is_taken_directly(model, place, &slots) {
                    edits.dropped.insert(place);
                }
                (name, false)
            }
        };
        for (number, (data, group)) in groups.into_iter().enumerate() {
            if number == 0 && stays {
                // Where nothing changes, the tensor stays; the others leave it.
                if let Some(data) = data {
                    edits.replaced.insert(name, with_data(like, None, data)?);
                }
                continue;
            }
            let kept = Tensor::read(like)?;
            let data = match data {
                Some(data) => data.as_slice(),
                None if stays => &kept.data,
                None => continue,
            };
            let fresh = fresh_name(name, &mut taken);
            edits.added.push(with_data(like, Some(&fresh), data)?);
            if model.ir_version < 4 {
                edits.declared.push(declaration(&fresh, &kept));
            }
            edits.renamed.extend(group.into_iter().map(|slot| (slot, fresh.clone())));
        }
    }
    Ok((edits, unshared))
}

/// Whether nothing but these slots takes what a `Constant` node gives, and all of them without an `Identity` between.
fn is_taken_directly(model: &Model<'_>, place: usize, slots: &[Slot]) -> bool {
    let graph = &model.graph;
    let name = graph.nodes[place].outputs.first().copied().unwrap_or("");
    let uses = graph.nodes.iter().flat_map(|node| &node.inputs).filter(|input| **input == name).count();
    uses == slots.len()
        && slots.iter().all(|slot| graph.nodes[slot.node].inputs[slot.input] == name)
        && graph.outputs.iter().all(|output| output.name != name)
}

fn fresh_name(name: &str, taken: &mut HashSet<String>) -> String {
    let mut number = 1;
    loop {
        let fresh = format!("{name}_{number}");
        if taken.insert(fresh.clone()) {
            return fresh;
        }
        number += 1;
    }
}

/// A `ValueInfoProto` for an initialiser.
pub(crate) fn declaration(name: &str, tensor: &Tensor<'_>) -> Vec<u8> {
    let (mut shape, mut ty, mut outer, mut info) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for dim in &tensor.dims {
        let mut message = Vec::new();
        put_number(&mut message, 1, *dim);
        put_bytes(&mut shape, 1, &message);
    }
    put_number(&mut ty, 1, tensor.element);
    put_bytes(&mut ty, 2, &shape);
    put_bytes(&mut outer, 1, &ty);
    put_bytes(&mut info, 1, name.as_bytes());
    put_bytes(&mut info, 2, &outer);
    info
}

impl Edits<'_> {
    fn graph(&self, message: &[u8]) -> Result<Vec<u8>, OnnxError> {
        let mut out = Vec::with_capacity(message.len() + 4096);
        let mut place = 0;
        for field in fields(message) {
            let field = field?;
            match (field.number, field.bytes()) {
                (1, Some(node)) => {
                    if !self.dropped.contains(&place) {
                        match self.node(place, node)? {
                            Some(node) => put_bytes(&mut out, 1, &node),
                            None => out.extend_from_slice(field.raw),
                        }
                    }
                    place += 1;
                }
                (5, Some(tensor)) => {
                    let name = fields(tensor).filter_map(Result::ok).find(|f| f.number == 8);
                    match name.and_then(|f| self.replaced.get(f.text()?)) {
                        Some(other) => put_bytes(&mut out, 5, other),
                        None => out.extend_from_slice(field.raw),
                    }
                }
                _ => out.extend_from_slice(field.raw),
            }
        }
        self.added.iter().for_each(|tensor| put_bytes(&mut out, 5, tensor));
        self.declared.iter().for_each(|input| put_bytes(&mut out, 11, input));
        Ok(out)
    }

    fn node(&self, place: usize, message: &[u8]) -> Result<Option<Vec<u8>>, OnnxError> {
        let from = Slot { node: place, input: 0 };
        let to = Slot { node: place, input: usize::MAX };
        if self.renamed.range(from..=to).next().is_none() {
            return Ok(None);
        }
        let (mut out, mut input) = (Vec::new(), 0);
        for field in fields(message) {
            let field = field?;
            if field.number != 1 {
                out.extend_from_slice(field.raw);
                continue;
            }
            match self.renamed.get(&Slot { node: place, input }) {
                Some(name) => put_bytes(&mut out, 1, name.as_bytes()),
                None => out.extend_from_slice(field.raw),
            }
            input += 1;
        }
        Ok(Some(out))
    }
}
