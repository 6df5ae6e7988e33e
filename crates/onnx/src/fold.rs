//! Batch normalisation folded into the convolution before it: `(w * x) · f + (β − μ · f)` with `f = γ / √(σ² + ε)`.

use crate::OnnxError;
use crate::average::tensor;
use crate::edit::{FreshNames, GraphEdits, NodeEdit, is_standard, tensor_message};
use crate::graph::{Constant, Graph, Model, Node, Origin};
use crate::inner::inner_names;
use crate::rewrite::declaration;
use crate::roles::is_training;
use crate::tensor::Tensor;
use crate::types::F32;
use crate::wire::Value;
use std::collections::{BTreeSet, HashMap};

/// The file, with all its weights in it, in which each batch normalisation in single precision that directly follows a
/// convolution whose output nothing else takes is part of that convolution; and how many were folded. Factors are computed in `f64`
/// and numbers rounded once.
///
/// # Errors
/// When it is damaged.
pub fn with_folded_norms(onnx: &[u8]) -> Result<(Vec<u8>, usize), OnnxError> {
    let model = Model::read(onnx)?;
    let graph = &model.graph;
    let (mut edits, mut names) = (GraphEdits::default(), FreshNames::of(graph)?);
    let mut uses: HashMap<&str, usize> = HashMap::new();
    let inner = inner_names(graph)?;
    let taken = graph.nodes.iter().flat_map(|node| node.inputs.iter().copied());
    let given = graph.outputs.iter().map(|output| output.name);
    taken.chain(given).chain(inner.iter().copied()).for_each(|name| *uses.entry(name).or_default() += 1);
    for (place, node) in graph.nodes.iter().enumerate() {
        let Some((from, folded)) = foldable(graph, node, &uses)? else { continue };
        let convolution = &graph.nodes[from];
        let mut edit = NodeEdit::default();
        let (weight, bias) = (&folded.weight, &folded.bias);
        for (slot, dims, numbers, like) in [
            (1, folded.dims.as_slice(), weight, convolution.inputs[1]),
            (2, &[bias.len() as u64][..], bias, convolution.outputs[0]),
        ] {
            let name = names.take(&format!("{like}_{}", if slot == 1 { "folded" } else { "bias" }));
            let data: Vec<u8> = numbers.iter().flat_map(|number| (*number as f32).to_le_bytes()).collect();
            edits.added.push(tensor_message(&name, dims, F32, &data));
            if model.ir_version < 4 {
                let tensor = Tensor { name: "", dims: dims.to_vec(), element: F32, data: (&[][..]).into() };
                edits.declared.push(declaration(&name, &tensor));
            }
            edit.inputs.insert(slot, name);
        }
        edit.outputs.insert(0, node.outputs[0].to_owned());
        edits.nodes.insert(from, edit);
        edits.dropped.insert(place);
        edits.undeclared.insert(convolution.outputs[0]);
    }
    let count = edits.dropped.len();
    drop_unused(graph, &mut edits, &inner);
    Ok((if count == 0 { onnx.to_vec() } else { edits.apply(onnx)? }, count))
}

/// Tensors that only what was folded took.
fn drop_unused<'a>(graph: &Graph<'a>, edits: &mut GraphEdits<'a>, inner: &BTreeSet<&str>) {
    let mut kept: BTreeSet<&str> = inner.clone();
    kept.extend(graph.outputs.iter().map(|output| output.name));
    for (place, node) in graph.nodes.iter().enumerate().filter(|(place, _)| !edits.dropped.contains(place)) {
        let edit = edits.nodes.get(&place);
        let stays = |slot: &usize| edit.is_none_or(|edit| !edit.inputs.contains_key(slot));
        kept.extend(node.inputs.iter().enumerate().filter(|(slot, _)| stays(slot)).map(|(_, name)| *name));
    }
    let touched = edits.dropped.iter().chain(edits.nodes.keys()).map(|place| &graph.nodes[*place]);
    let touched: Vec<&str> = touched.flat_map(|node| node.inputs.iter().copied()).collect();
    for name in touched.into_iter().filter(|name| !kept.contains(name)) {
        if graph.initialisers.contains_key(name) {
            edits.initialisers.insert(name, None);
            edits.undeclared.insert(name);
        } else if let Origin::Constant(Constant::Node(place)) = graph.origin(name)
            && graph.nodes[place].outputs.first() == Some(&name)
        {
            edits.dropped.insert(place);
        }
    }
}

/// Numbers of a convolution that normalises too.
struct Folded {
    dims: Vec<u64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
}

/// The convolution that can take over what `node` does, and its numbers.
fn foldable(
    graph: &Graph<'_>,
    node: &Node<'_>,
    uses: &HashMap<&str, usize>,
) -> Result<Option<(usize, Folded)>, OnnxError> {
    let given = |slot: usize| node.outputs.get(slot).is_some_and(|name| !name.is_empty());
    if !is_standard(node, "BatchNormalization") || is_training(node) || !given(0) || (1..5).any(given) {
        return Ok(None);
    }
    let Some((x, parameters)) = node.inputs.split_first() else { return Ok(None) };
    let Origin::Computed(from, 0) = graph.origin(x) else { return Ok(None) };
    let convolution = &graph.nodes[from];
    let transposed = is_standard(convolution, "ConvTranspose");
    if !(transposed || is_standard(convolution, "Conv")) || convolution.outputs[0] != *x || uses[x] != 1 {
        return Ok(None);
    }
    let mut all = Vec::new();
    for name in parameters {
        let Some(tensor) = constant(graph, name)? else { return Ok(None) };
        all.push(tensor.numbers().unwrap_or_default());
    }
    let [scale, shift, mean, variance] = all.as_slice() else { return Ok(None) };
    let Some(weight) = convolution.inputs.get(1) else { return Ok(None) };
    let Some(weight) = constant(graph, weight)? else { return Ok(None) };
    let bias = match convolution.inputs.get(2).copied().unwrap_or("") {
        "" => vec![0.0; scale.len()],
        name => match constant(graph, name)? {
            Some(bias) => bias.numbers().unwrap_or_default(),
            None => return Ok(None),
        },
    };
    let epsilon = match node.attribute("epsilon", 2) {
        Some(Value::Fixed(bytes)) => bytes.try_into().map_or(1e-5, f32::from_le_bytes),
        _ => 1e-5,
    };
    let group = match convolution.attribute("group", 3) {
        Some(Value::Number(group)) if group > 0 => group as usize,
        _ => 1,
    };
    let channels = scale.len();
    let same = [shift, mean, variance, &bias].iter().all(|numbers| numbers.len() == channels);
    let dims = weight.dims.clone();
    let out =
        if transposed { dims.get(1).map(|n| *n as usize * group) } else { dims.first().map(|n| *n as usize) };
    if !same || out != Some(channels) || dims.len() < 3 || weight.is_empty() || channels % group != 0 {
        return Ok(None);
    }
    let factors: Vec<f64> =
        scale.iter().zip(variance).map(|(scale, v)| scale / (v + f64::from(epsilon)).sqrt()).collect();
    let area: usize = dims[2..].iter().product::<u64>() as usize;
    let each = channels / group;
    // Of a transposed convolution the weight is `[inputs, outputs / groups, …]`, and inputs lie group by group.
    let inputs = dims[0] as usize;
    let channel = |at: usize| {
        if transposed {
            (at / (area * each)) * group / inputs * each + at / area % each
        } else {
            at / (weight.len() / channels)
        }
    };
    let numbers = weight.numbers().unwrap_or_default();
    let weight: Vec<f64> = numbers.iter().enumerate().map(|(at, w)| w * factors[channel(at)]).collect();
    let bias: Vec<f64> = (0..channels).map(|c| (bias[c] - mean[c]) * factors[c] + shift[c]).collect();
    if weight.iter().chain(&bias).any(|number| !(*number as f32).is_finite()) {
        return Ok(None);
    }
    Ok(Some((from, Folded { dims, weight, bias })))
}

/// The tensor of single precision that a value is, where it does not change.
fn constant<'a>(graph: &Graph<'a>, name: &'a str) -> Result<Option<Tensor<'a>>, OnnxError> {
    let Origin::Constant(constant) = graph.origin(name) else { return Ok(None) };
    Ok(Some(tensor(graph, constant)?).filter(|tensor| tensor.element == F32))
}
