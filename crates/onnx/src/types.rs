//! Which values of a graph are floats, and of which type: worked out from its nodes, since files need not say it.

use crate::graph::{Declared, Model, Node};
use crate::tensor::Tensor;
use crate::wire::{Value, fields};
use std::collections::HashMap;

/// `TensorProto.DataType` of single precision.
pub(crate) const F32: u64 = 1;
const I64: u64 = 7;
const BOOL: u64 = 9;

/// Operators all of whose outputs are of the type of their first input. Which operators give what the standard says; the list
/// need not be whole, for a value whose type is not known is left alone.
const AS_FIRST: [&str; 118] = [
    "Abs",
    "Acos",
    "Acosh",
    "Add",
    "AffineGrid",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "AveragePool",
    "BatchNormalization",
    "Ceil",
    "Celu",
    "CenterCropPad",
    "Clip",
    "Col2Im",
    "Compress",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Cos",
    "Cosh",
    "CumSum",
    "DeformConv",
    "DepthToSpace",
    "Div",
    "Einsum",
    "Elu",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Floor",
    "GRU",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalLpPool",
    "GlobalMaxPool",
    "GridSample",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Hardmax",
    "Identity",
    "InstanceNormalization",
    "LRN",
    "LSTM",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "LpPool",
    "MatMul",
    "Max",
    "MaxRoiPool",
    "MaxUnpool",
    "Mean",
    "MeanVarianceNormalization",
    "Min",
    "Mish",
    "Mod",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "RMSNormalization",
    "RNN",
    "Range",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Resize",
    "ReverseSequence",
    "RoiAlign",
    "Round",
    "Scatter",
    "ScatterElements",
    "ScatterND",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Upsample",
];

/// Of each value its element type (`TensorProto.DataType`), where that is known.
pub(crate) fn element_types<'a>(model: &Model<'a>) -> HashMap<&'a str, u64> {
    let graph = &model.graph;
    let mut types = HashMap::new();
    for (name, message) in &graph.initialisers {
        if let Ok(tensor) = Tensor::read(message) {
            types.insert(*name, tensor.element);
        }
    }
    for declared in &graph.inputs {
        if let Ok((element, _)) = declared.shape() {
            types.entry(declared.name).or_insert(element);
        }
    }
    let said: HashMap<&str, u64> = graph
        .infos
        .iter()
        .chain(&graph.outputs)
        .filter_map(|info| info.shape().ok().map(|(element, _)| (info.name, element)))
        .filter(|(_, element)| *element != 0)
        .collect();
    for node in &graph.nodes {
        for (slot, output) in node.outputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            // What a file says of a value may be of another time: it counts only where nothing else tells.
            if let Some(element) = of_output(node, slot, &types).or_else(|| said.get(output).copied()) {
                types.insert(*output, element);
            }
        }
    }
    types
}

/// The type of one output of a node, whose inputs are of these types.
fn of_output(node: &Node<'_>, slot: usize, types: &HashMap<&str, u64>) -> Option<u64> {
    let of_input = |place: usize| node.inputs.get(place).and_then(|name| types.get(name)).copied();
    let number = |name: &str| match node.attribute(name, 3) {
        Some(Value::Number(number)) => Some(number),
        _ => None,
    };
    if !node.domain.is_empty() {
        return None;
    }
    match (node.operator, slot) {
        ("MaxPool" | "TopK", 1) | ("Shape" | "Size" | "NonZero" | "ArgMax" | "ArgMin", _) => Some(I64),
        ("Dropout", 1)
        | (
            "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" | "Not" | "Xor"
            | "IsNaN" | "IsInf",
            _,
        ) => Some(BOOL),
        ("MaxPool" | "TopK" | "Dropout" | "LayerNormalization", 0) => of_input(0),
        ("Cast", _) => number("to"),
        ("Where" | "CastLike" | "DequantizeLinear", _) => of_input(1),
        ("OneHot", _) => of_input(2),
        ("Constant", _) => constant(node),
        ("ConstantOfShape", _) => match node.attribute("value", 5) {
            Some(Value::Bytes(message)) => Tensor::read(message).ok().map(|tensor| tensor.element),
            _ => Some(F32),
        },
        ("If", _) => inner_output(node, "then_branch", slot),
        ("Loop", _) => inner_output(node, "body", slot + 1),
        ("Scan", _) => inner_output(node, "body", slot),
        (operator, _) if AS_FIRST.contains(&operator) => of_input(0),
        _ => None,
    }
}

fn constant(node: &Node<'_>) -> Option<u64> {
    if let Some(Value::Bytes(message)) = node.attribute("value", 5) {
        return Tensor::read(message).ok().map(|tensor| tensor.element);
    }
    let has = |names: &[&str]| names.iter().any(|name| node.attributes.contains_key(name));
    if has(&["value_float", "value_floats"]) {
        return Some(F32);
    }
    has(&["value_int", "value_ints"]).then_some(I64)
}

/// The type that a graph inside of a node declares for its output of this place.
fn inner_output(node: &Node<'_>, attribute: &str, place: usize) -> Option<u64> {
    let Some(Value::Bytes(message)) = node.attribute(attribute, 6) else { return None };
    let outputs = fields(message).filter_map(Result::ok).filter(|field| field.number == 12);
    let declared = Declared::read(outputs.filter_map(|field| field.bytes()).nth(place)?);
    declared.ok()?.shape().ok().map(|(element, _)| element).filter(|element| *element != 0)
}
