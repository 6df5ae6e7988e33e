//! The file with some nodes in half precision.

use super::operators::asks_for_shape;
use super::{HalfType, Halved, Halving};
use crate::OnnxError;
use crate::edit::{FreshNames, GraphEdits, cast, tensor_message, with_type};
use crate::graph::{Constant, Graph, Source};
use crate::rewrite::declaration;
use crate::tensor::Tensor;
use crate::types::F32;
use crate::wire::{Value, fields};
use std::collections::BTreeMap;

/// Tensors of fewer numbers stay as they are in `bf16`: a `Cast` node takes as many bytes as they have.
const BF16_NUMBERS_MIN: usize = 64;

/// Whether a tensor is large enough to be stored as `bf16`.
pub(super) fn is_stored(tensor: &Tensor<'_>) -> bool {
    tensor.len() >= BF16_NUMBERS_MIN
}

/// Who takes a value.
#[derive(Default)]
pub(super) struct Uses {
    /// Nodes in half precision, and their slots.
    pub(super) half: Vec<(usize, usize)>,
    /// Whether anything else does.
    pub(super) others: bool,
}

impl<'a> Halving<'a> {
    /// The file as things stand.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn write(&self) -> Result<Halved, OnnxError> {
        let half = self.half();
        let mut writing = Writing {
            names: FreshNames::of(&self.model.graph)?,
            edits: GraphEdits::default(),
            done: Halved { onnx: Vec::new(), nodes: self.nodes()?.len(), tensors: 0, numbers: 0, casts: 0 },
            halving: self,
        };
        for (name, uses) in self.floats(&half) {
            match (self.constant(name)?, self.to) {
                (Some(tensor), HalfType::F16) if !uses.half.is_empty() => {
                    writing.constant(name, &tensor, &uses)?;
                }
                (Some(tensor), HalfType::BF16) if !uses.half.is_empty() => {
                    writing.stored(name, &tensor, &uses);
                }
                (None, HalfType::F16) => writing.value(name, &uses, &half),
                _ => {}
            }
        }
        let Writing { edits, mut done, .. } = writing;
        done.onnx = edits.apply(self.onnx)?;
        Ok(done)
    }

    /// All values in single precision that have a name, in the order of names, and who takes each.
    pub(super) fn floats(&self, half: &[bool]) -> BTreeMap<&'a str, Uses> {
        let mut uses: BTreeMap<&str, Uses> = BTreeMap::new();
        for (place, node) in self.model.graph.nodes.iter().enumerate() {
            for (slot, name) in node.inputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                let uses = uses.entry(name).or_default();
                if half[place] {
                    uses.half.push((place, slot));
                } else {
                    // Tensors are put under other names, and values stay under theirs.
                    uses.others |= !asks_for_shape(node) || self.model.graph.constant(name).is_some();
                }
            }
        }
        for name in &self.pinned {
            uses.entry(name).or_default().others = true;
        }
        for name in self.model.graph.nodes.iter().flat_map(|node| &node.outputs) {
            uses.entry(name).or_default();
        }
        uses.retain(|name, _| self.types.get(name) == Some(&F32));
        uses
    }
}

struct Writing<'w, 'a> {
    halving: &'w Halving<'a>,
    names: FreshNames,
    edits: GraphEdits<'a>,
    done: Halved,
}

impl<'a> Writing<'_, 'a> {
    /// A tensor as nodes in half precision take it: changed where it stands, or copied where others take it too.
    fn constant(&mut self, name: &'a str, tensor: &Tensor<'a>, uses: &Uses) -> Result<(), OnnxError> {
        let graph = &self.halving.model.graph;
        let data = self.halved(tensor);
        let element = HalfType::F16.element();
        if let (Some(message), false) = (graph.initialisers.get(name), uses.others) {
            self.edits.initialisers.insert(name, Some(with_type(message, element, &data)?));
            self.edits.types.insert(name, element);
        } else {
            let fresh = self.names.take(&format!("{name}_f16"));
            self.add(&fresh, tensor, element, &data);
            self.take(&uses.half, &fresh);
            self.drop_constant(name, uses);
        }
        Ok(())
    }

    /// A tensor that is stored as `bf16`, and made single precision before it is taken.
    fn stored(&mut self, name: &'a str, tensor: &Tensor<'a>, uses: &Uses) {
        if uses.others || !is_stored(tensor) {
            return;
        }
        let data = self.halved(tensor);
        let fresh = self.names.take(&format!("{name}_bf16"));
        self.add(&fresh, tensor, HalfType::BF16.element(), &data);
        self.drop_constant(name, uses);
        if self.halving.model.graph.initialisers.contains_key(name) {
            self.edits.initialisers.insert(name, None);
            self.edits.undeclared.insert(name);
        }
        self.edits.before.push(cast(&mut self.names, &fresh, name, F32));
        self.done.casts += 1;
    }

    fn halved(&mut self, tensor: &Tensor<'a>) -> Vec<u8> {
        let float = self.halving.to.float();
        let mut data = Vec::with_capacity(tensor.len() * float.bytes());
        tensor.numbers().unwrap_or_default().into_iter().for_each(|number| float.write(number, &mut data));
        self.done.tensors += 1;
        self.done.numbers += tensor.len() as u64;
        data
    }

    fn add(&mut self, name: &str, tensor: &Tensor<'_>, element: u64, data: &[u8]) {
        self.edits.added.push(tensor_message(name, &tensor.dims, element, data));
        if self.halving.model.ir_version < 4 {
            let like = Tensor { name: "", dims: tensor.dims.clone(), element, data: (&[][..]).into() };
            self.edits.declared.push(declaration(name, &like));
        }
    }

    /// A `Constant` node that nothing takes any more goes.
    fn drop_constant(&mut self, name: &'a str, uses: &Uses) {
        if let Some(Source::Node(place, _)) = self.halving.model.graph.source(name)
            && !uses.others
        {
            self.edits.dropped.insert(place);
            self.edits.undeclared.insert(name);
        }
    }

    /// Slots take another value.
    fn take(&mut self, slots: &[(usize, usize)], name: &str) {
        for (place, slot) in slots {
            self.edits.nodes.entry(*place).or_default().inputs.insert(*slot, name.to_owned());
        }
    }

    /// A value that is computed or given, in the types in which it is taken.
    fn value(&mut self, name: &'a str, uses: &Uses, half: &[bool]) {
        let element = HalfType::F16.element();
        let source = self.halving.model.graph.source(name);
        let Some(Source::Node(place, slot)) =
            source.filter(|source| matches!(source, Source::Node(p, _) if half[*p]))
        else {
            if uses.half.is_empty() {
                return;
            }
            let fresh = self.names.take(&format!("{name}_f16"));
            let node = cast(&mut self.names, name, &fresh, element);
            self.take(&uses.half, &fresh);
            match source {
                Some(Source::Node(place, _)) => self.edits.after.entry(place).or_default().push(node),
                _ => self.edits.before.push(node),
            }
            self.done.casts += 1;
            return;
        };
        if self.halving.pinned.contains(name) {
            // Its name stays with single precision: who runs the model knows it.
            let fresh = self.names.take(&format!("{name}_f16"));
            self.edits.nodes.entry(place).or_default().outputs.insert(slot, fresh.clone());
            self.take(&uses.half, &fresh);
            let node = cast(&mut self.names, &fresh, name, F32);
            self.edits.after.entry(place).or_default().push(node);
            self.done.casts += 1;
            return;
        }
        self.edits.types.insert(name, element);
        if uses.others {
            let fresh = self.names.take(&format!("{name}_f32"));
            let node = cast(&mut self.names, name, &fresh, F32);
            self.edits.after.entry(place).or_default().push(node);
            self.done.casts += 1;
            self.others_take(name, &fresh, half);
        }
    }

    /// Nodes in single precision take another value.
    fn others_take(&mut self, name: &str, fresh: &str, half: &[bool]) {
        let nodes = self.halving.model.graph.nodes.iter().enumerate();
        let nodes = nodes.filter(|(place, node)| !half[*place] && !asks_for_shape(node));
        let slots = nodes.flat_map(|(place, node)| {
            node.inputs
                .iter()
                .enumerate()
                .filter(|(_, input)| **input == name)
                .map(move |(slot, _)| (place, slot))
        });
        let slots: Vec<(usize, usize)> = slots.collect();
        self.take(&slots, fresh);
    }
}

/// The numbers of a constant as a tensor: also where a `Constant` node holds plain numbers.
pub(super) fn floats<'a>(
    tensor: Tensor<'a>,
    graph: &Graph<'a>,
    constant: Constant<'a>,
) -> Result<Tensor<'a>, OnnxError> {
    let Constant::Node(place) = constant else { return Ok(tensor) };
    if tensor.element != 0 {
        return Ok(tensor);
    }
    let node = &graph.nodes[place];
    let (mut data, mut dims) = (Vec::new(), Vec::new());
    for (name, field_number) in [("value_float", 2), ("value_floats", 7)] {
        let Some(message) = node.attributes.get(name) else { continue };
        for field in fields(message) {
            let field = field?;
            if let (true, Value::Fixed(bytes) | Value::Bytes(bytes)) =
                (field.number == field_number, field.value)
            {
                data.extend_from_slice(bytes);
            }
        }
        if field_number == 7 {
            dims.push(data.len() as u64 / 4);
        }
    }
    if data.len() as u64 != 4 * dims.first().copied().unwrap_or(1) {
        return Err(OnnxError::Damaged);
    }
    Ok(Tensor { name: "", dims, element: F32, data: data.into() })
}
