use super::*;
use crate::toy::{Net, Style};
use crate::{Setting, ToyGraph, with_dimensions, with_folded_norms, without_denormals};
use proptest::prelude::*;

const HALF: u64 = 10;
const PIXELS: [Option<u64>; 4] = [None, Some(3), None, None];

/// All floats that a node takes and gives must be of one type, but for those that are of one type by themselves.
fn mixed(onnx: &[u8]) -> Vec<String> {
    let model = Model::read(onnx).unwrap();
    let types = element_types(&model);
    let mut wrong = Vec::new();
    for (place, node) in model.graph.nodes.iter().enumerate() {
        if matches!(node.operator, "Cast" | "If" | "Resize") || asks_for_shape(node) {
            continue;
        }
        let all = node.inputs.iter().chain(&node.outputs).filter_map(|name| types.get(name));
        let mut floats: Vec<u64> = all.copied().filter(|t| matches!(t, 1 | 10 | 11 | 16)).collect();
        floats.sort_unstable();
        floats.dedup();
        if floats.len() > 1 {
            wrong.push(format!("{} has floats of types {floats:?}", node.said(place)));
        }
        if floats == [HALF] && operators::kind(node).is_none() && node.operator != "Constant" {
            wrong.push(format!("{} is computed in half precision", node.said(place)));
        }
    }
    for info in model.graph.infos.iter().chain(&model.graph.outputs) {
        let (said, _) = info.shape().unwrap();
        if types.get(info.name).is_some_and(|element| *element != said) {
            wrong.push(format!("`{}` is said to be of type {said}", info.name));
        }
    }
    wrong
}

fn operators_of(onnx: &[u8]) -> Vec<String> {
    let model = Model::read(onnx).unwrap();
    model.graph.nodes.iter().map(|node| node.operator.to_owned()).collect()
}

fn halved(onnx: &[u8]) -> Halved {
    let halved = Halving::new(onnx, HalfType::F16).unwrap().write().unwrap();
    assert_eq!(mixed(&halved.onnx), Vec::<String>::new());
    halved
}

/// A convolution of three channels, of 1 × 1 px.
fn with_weight(graph: ToyGraph, name: &str) -> ToyGraph {
    graph.floats(name, &[3, 3, 1, 1], &[0.25; 9])
}

#[test]
fn a_network_is_in_half_precision_between_casts() {
    for style in [
        Style::default(),
        Style { constants: true, ..Style::default() },
        Style { identities: true, deduplicated: false, ..Style::default() },
        Style { deduplicated: true, opset: 11, ..Style::default() },
        Style { declared: true, opset: 9, ..Style::default() },
        Style { pixels_by: Some(255.0), unknown: true, typed: true, ..Style::default() },
    ] {
        let net = Net::seeded(1, 2).written(style.clone()).bytes();
        let (net, folded) = with_folded_norms(&net).unwrap();
        assert_eq!(folded, 2, "{style:?}");
        let halved = halved(&net);
        let nodes = operators_of(&halved.onnx);
        let wanted = ["Cast", "Conv", "Relu", "Conv", "Relu", "Conv", "Cast", "Resize"];
        let nodes: Vec<&str> = nodes
            .iter()
            .map(String::as_str)
            .filter(|n| !matches!(*n, "Constant" | "Identity" | "Div"))
            .collect();
        assert_eq!(nodes, wanted, "{style:?}");
        assert_eq!((halved.casts, halved.tensors, halved.numbers), (2, 6, 108 + 4 + 144 + 4 + 8 + 2));
        // Inputs and outputs are what they were.
        let (before, after) = (Model::read(&net).unwrap(), Model::read(&halved.onnx).unwrap());
        let given = |model: &Model<'_>| -> Vec<_> {
            model
                .graph
                .given()
                .chain(&model.graph.outputs)
                .map(|d| (d.name.to_owned(), d.ty.to_vec()))
                .collect()
        };
        assert_eq!(given(&before), given(&after));
    }
}

#[test]
fn normalisation_that_is_not_folded_stays() {
    let net = Net::seeded(1, 2).bytes();
    let halved = halved(&net);
    let nodes = operators_of(&halved.onnx);
    assert_eq!(
        nodes[..6],
        ["Cast", "Conv", "Cast", "BatchNormalization", "Relu", "Cast"],
        "what follows normalisation stays with it, and goes to half precision once"
    );
}

#[test]
fn folding_gives_the_numbers_of_the_textbook() {
    let net = Net::seeded(3, 2);
    let (folded, count) = with_folded_norms(&net.bytes()).unwrap();
    assert_eq!(count, 2);
    let model = Model::read(&folded).unwrap();
    assert_eq!(operators_of(&folded), ["Conv", "Relu", "Conv", "Relu", "Conv", "Resize"]);
    for (node, block) in [0, 2].into_iter().zip(&net.blocks) {
        let (weight, bias) = block.folded(1e-5);
        for (input, expected) in [(1, weight), (2, bias)] {
            let found = crate::numbers_at(&folded, crate::Slot { node, input }).unwrap();
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - f64::from(*b)).abs() < 1e-6, "{a} {b}");
            }
        }
    }
    assert_eq!(model.graph.initialisers.len(), 7, "what was folded is gone");
}

#[test]
fn a_tensor_that_both_kinds_take_is_there_twice() {
    // `w` scales features, and is the scale of a normalisation that stays.
    let graph = with_weight(ToyGraph::default(), "c")
        .takes("x", 1, &PIXELS)
        .floats("w", &[3], &[1.0, 2.0, 3.0])
        .floats("b", &[3], &[0.0; 3])
        .node("Conv", &["x", "c", "w"], &["y"], &[])
        .node("InstanceNormalization", &["y", "w", "b"], &["z"], &[])
        .says("y", 1, &PIXELS)
        .gives("z", 1, &PIXELS);
    let halved = halved(&graph.bytes(17));
    let model = Model::read(&halved.onnx).unwrap();
    let numbers = |name: &str| Tensor::read(model.graph.initialisers[name]).unwrap();
    assert_eq!((numbers("w").element, numbers("w_f16").element, numbers("b").element), (1, HALF, 1));
    assert_eq!(numbers("w").numbers(), numbers("w_f16").numbers());
    assert_eq!(model.graph.nodes[1].inputs[1..], ["c", "w_f16"]);
    assert_eq!(model.graph.nodes[3].inputs, ["y_f32", "w", "b"]);
}

#[test]
fn values_that_others_know_keep_their_names_and_types() {
    // `y` is an output, and a graph inside of a node takes it.
    let inner = ToyGraph::default().node("Softmax", &["y"], &["inside"], &[]).gives("inside", 1, &PIXELS);
    let graph = with_weight(ToyGraph::default(), "w")
        .takes("x", 1, &PIXELS)
        .takes("flag", 9, &[])
        .node("Conv", &["x", "w"], &["y"], &[])
        .node("Relu", &["y"], &["r"], &[])
        .node("Conv", &["r", "w"], &["u"], &[])
        .node(
            "If",
            &["flag"],
            &["z"],
            &[Setting::Graph("then_branch", &inner), Setting::Graph("else_branch", &inner)],
        )
        .node("Add", &["z", "u"], &["s"], &[])
        .gives("y", 1, &PIXELS)
        .gives("s", 1, &PIXELS);
    let halved = halved(&graph.bytes(17));
    let model = Model::read(&halved.onnx).unwrap();
    assert_eq!(
        operators_of(&halved.onnx),
        ["Cast", "Conv", "Cast", "Relu", "Conv", "If", "Cast", "Add", "Cast"],
        "what the inner graph gives is f32"
    );
    assert_eq!(model.graph.nodes[2].outputs, ["y"]);
    assert_eq!(model.graph.nodes[3].inputs, ["y_f16"]);
    assert_eq!(model.graph.nodes[8].inputs, ["s_f16"]);
}

#[test]
fn rounding_is_said_in_single_precision() {
    let graph = with_weight(ToyGraph::default(), "w")
        .takes("x", 1, &PIXELS)
        .floats("b", &[3], &[0.1, 0.2, 2049.0])
        .node("Conv", &["x", "w", "b"], &["y"], &[])
        .node("Transpose", &["y"], &["t"], &[Setting::Ints("perm", &[0, 1, 3, 2])])
        .node("Softmax", &["t"], &["s"], &[])
        .node("Conv", &["s", "w"], &["z"], &[])
        .node("Mul", &["z", "b"], &["unused"], &[])
        .gives("z", 1, &PIXELS);
    let onnx = graph.bytes(17);
    let rounded = Halving::new(&onnx, HalfType::F16).unwrap().rounded().unwrap();
    let nodes = operators_of(&rounded);
    let twice = ["Cast", "Cast"];
    let wanted = [
        &twice[..],
        &["Conv"],
        &twice,
        &["Transpose", "Softmax"],
        &twice,
        &["Conv"],
        &twice,
        &["Mul"],
        &twice,
    ];
    assert_eq!(nodes, wanted.concat(), "what is moved is rounded already");
    let model = Model::read(&rounded).unwrap();
    let types = element_types(&model);
    for node in model.graph.nodes.iter().filter(|node| node.operator != "Cast") {
        assert!(node.inputs.iter().chain(&node.outputs).all(|name| types[name] == F32), "{node:?}");
    }
    assert_eq!(model.graph.nodes[5].inputs, ["y"], "values have the names that they had");
    let numbers = Tensor::read(model.graph.initialisers["b"]).unwrap().numbers().unwrap();
    assert_eq!(numbers, [0.099_975_585_937_5, 0.199_951_171_875, 2048.0]);
}

#[test]
fn sizes_are_never_halves() {
    // 1.5 times the height, computed in floats from the dimensions: halves would say 3072 for 3073.
    let graph = with_weight(ToyGraph::default(), "w")
        .takes("x", 1, &PIXELS)
        .floats("by", &[1], &[1.5])
        .node("Conv", &["x", "w"], &["y"], &[])
        .node("Shape", &["y"], &["dims"], &[])
        .node("Cast", &["dims"], &["sides"], &[Setting::Int("to", 1)])
        .node("Mul", &["sides", "by"], &["larger"], &[])
        .node("Cast", &["larger"], &["sizes"], &[Setting::Int("to", 7)])
        .node("Resize", &["y", "", "", "sizes"], &["z"], &[])
        .gives("z", 1, &PIXELS);
    let halved = halved(&graph.bytes(17));
    let nodes = operators_of(&halved.onnx);
    assert_eq!(nodes, ["Cast", "Conv", "Cast", "Shape", "Cast", "Mul", "Cast", "Resize"]);
    assert_eq!(halved.tensors, 1);
}

#[test]
fn a_shape_is_asked_of_any_type() {
    let graph = ToyGraph::default()
        .takes("x", 1, &PIXELS)
        .constant("w", &[3, 3, 1, 1], &[0.5; 9])
        .node("Conv", &["x", "w"], &["y"], &[])
        .node("Shape", &["y"], &["dims"], &[])
        .node("Shape", &["w"], &["of_weight"], &[])
        .node("Reshape", &["y", "dims"], &["z"], &[])
        .gives("z", 1, &PIXELS)
        .gives("of_weight", 7, &[Some(4)]);
    let halved = halved(&graph.bytes(17));
    let nodes = operators_of(&halved.onnx);
    assert_eq!(nodes, ["Cast", "Constant", "Conv", "Shape", "Shape", "Reshape", "Cast"]);
    let model = Model::read(&halved.onnx).unwrap();
    let taken = |place: usize| model.graph.nodes[place].inputs.clone();
    assert_eq!((taken(2)[1], taken(3)[0], taken(4)[0]), ("w_f16", "y", "w"));
}

#[test]
fn numbers_and_values_that_are_too_large_stay() {
    let graph = with_weight(ToyGraph::default(), "w")
        .takes("x", 1, &PIXELS)
        .constant("mask", &[1], &[-1e9])
        .node("Conv", &["x", "w"], &["y"], &[])
        .node("Add", &["y", "mask"], &["m"], &[])
        .node("Conv", &["m", "w"], &["z"], &[])
        .gives("z", 1, &PIXELS);
    let onnx = graph.bytes(17);
    let mut halving = Halving::new(&onnx, HalfType::F16).unwrap();
    let kept: Vec<_> = halving.kept().collect();
    assert_eq!(kept, [("node `Add_1` (Add)".to_owned(), Kept::Constant(-1e9))]);
    assert_eq!(halving.values().unwrap(), ["y", "m", "z"]);
    halving.keep(3, Kept::Magnitude(1e6));
    let halved = halving.write().unwrap();
    assert_eq!(mixed(&halved.onnx), Vec::<String>::new());
    assert_eq!(operators_of(&halved.onnx), ["Cast", "Constant", "Conv", "Cast", "Add", "Conv"]);
    let model = Model::read(&halved.onnx).unwrap();
    let elements: BTreeMap<_, _> =
        model.graph.initialisers.iter().map(|(n, m)| (*n, Tensor::read(m).unwrap().element)).collect();
    assert_eq!(elements, BTreeMap::from([("w", 1), ("w_f16", HALF)]));
}

#[test]
fn weights_that_are_moved_first_are_halves_too() {
    let graph = ToyGraph::default()
        .takes("x", 1, &[None, Some(4)])
        .floats("w", &[2, 4], &[1.0; 8])
        .node("Transpose", &["w"], &["t"], &[])
        .node("MatMul", &["x", "t"], &["y"], &[])
        .node("Softmax", &["y"], &["z"], &[])
        .gives("z", 1, &[None, Some(2)]);
    let halved = halved(&graph.bytes(17));
    assert_eq!(operators_of(&halved.onnx), ["Cast", "Transpose", "MatMul", "Cast", "Softmax"]);
    assert_eq!(halved.tensors, 1);
}

#[test]
fn weights_are_stored_as_bf16_and_computed_as_they_were() {
    let net = Net::seeded(1, 2).bytes();
    let halving = Halving::new(&net, HalfType::BF16).unwrap();
    let nodes: Vec<&str> = halving.nodes().unwrap().iter().map(|candidate| candidate.node.operator).collect();
    assert_eq!(nodes, ["Conv"; 2], "those that take weights");
    let halved = halving.write().unwrap();
    let nodes = operators_of(&halved.onnx);
    assert_eq!(nodes.iter().filter(|n| *n == "Cast").count(), 2, "{nodes:?}");
    assert_eq!((halved.tensors, halved.numbers), (2, 108 + 144), "small ones stay");
    let (before, after) = (Model::read(&net).unwrap(), Model::read(&halved.onnx).unwrap());
    let types = element_types(&after);
    let computed = after.graph.nodes.iter().filter(|n| n.operator != "Cast").flat_map(|n| &n.inputs);
    assert!(computed.filter(|n| !n.is_empty()).all(|name| types[name] == F32));
    assert!(before.graph.nodes.len() + 2 == after.graph.nodes.len());
    let old = Net::seeded(1, 2).written(Style { opset: 12, ..Style::default() }).bytes();
    let error = Halving::new(&old, HalfType::BF16).err().unwrap().to_string();
    assert!(error.contains("opset 12") && error.contains("13"), "{error}");
}

/// What fuzzing found: a change to the second graph was made to the first too, whose nodes then took what nothing gave.
#[test]
fn two_graphs_in_a_file_are_refused() {
    let twice = [Net::seeded(1, 2).bytes(), Net::seeded(2, 3).bytes()].concat();
    for refused in [Halving::new(&twice, HalfType::F16).err(), with_folded_norms(&twice).err()] {
        assert_eq!(refused, Some(OnnxError::Invalid("the file holds two graphs".into())));
    }
}

#[test]
fn quantised_models_are_refused() {
    let graph = ToyGraph::default()
        .takes("x", 1, &PIXELS)
        .floats("s", &[], &[0.5])
        .node("QuantizeLinear", &["x", "s"], &["q"], &[])
        .node("DequantizeLinear", &["q", "s"], &["y"], &[])
        .gives("y", 1, &PIXELS);
    let error = Halving::new(&graph.bytes(17), HalfType::F16).err().unwrap().to_string();
    assert!(error.contains("quantised (QuantizeLinear)"), "{error}");
}

#[test]
fn dimensions_are_fixed_where_they_are_open() {
    let graph = ToyGraph::default()
        .takes("x", 1, &PIXELS)
        .node("Relu", &["x"], &["y"], &[])
        .says("y", 1, &PIXELS)
        .node("Relu", &["y"], &["z"], &[])
        .gives("z", 1, &[None, Some(3), Some(7), None]);
    let frozen = with_dimensions(&graph.bytes(17), &BTreeMap::from([(0, 1), (2, 64)])).unwrap();
    let model = Model::read(&frozen).unwrap();
    assert_eq!(model.graph.inputs[0].shape().unwrap().1, [Some(1), Some(3), Some(64), None]);
    assert_eq!(
        model.graph.infos[0].shape().unwrap().1,
        [None, Some(3), None, None],
        "follows when it is loaded"
    );
    let again = with_dimensions(&frozen, &BTreeMap::from([(0, 1)])).unwrap();
    assert_eq!(again, frozen);
    let refused = with_dimensions(&frozen, &BTreeMap::from([(2, 65)])).unwrap_err().to_string();
    assert!(refused.contains("fixed at 64"), "{refused}");
    assert!(with_dimensions(&frozen, &BTreeMap::from([(4, 1)])).is_err());
}

#[test]
fn numbers_too_small_to_be_normal_become_zero() {
    let tiny = f32::from_bits(1);
    let graph = ToyGraph::default()
        .takes("x", 1, &[Some(4)])
        .floats("w", &[4], &[tiny, -tiny, f32::MIN_POSITIVE, 0.0])
        .constant("c", &[1], &[1e-39])
        .node("Mul", &["x", "w"], &["y"], &[])
        .node("Add", &["y", "c"], &["z"], &[])
        .gives("z", 1, &[Some(4)]);
    let before = graph.bytes(17);
    let (after, cleaned) = without_denormals(&before).unwrap();
    assert_eq!((cleaned.tensors, cleaned.numbers), (2, 3));
    let model = Model::read(&after).unwrap();
    let numbers = Tensor::read(model.graph.initialisers["w"]).unwrap().numbers().unwrap();
    assert_eq!(numbers, [0.0, 0.0, f64::from(f32::MIN_POSITIVE), 0.0]);
    assert_eq!(without_denormals(&after).unwrap(), (after, crate::Cleaned::default()));
}

/// A graph of nodes that each take one or two of the values before them, or tensors; some values are outputs too.
fn any_graph(nodes: &[(usize, usize, usize)], outputs: &[usize]) -> ToyGraph {
    let mut graph = with_weight(ToyGraph::default(), "w")
        .takes("x", 1, &PIXELS)
        .floats("c", &[3, 1, 1], &[1.0, 2.0, 3.0])
        .constant("large", &[1], &[1e6])
        .constant("few", &[3], &[1.0; 3]);
    let name = |of: usize| if of == 0 { "x".to_owned() } else { format!("v{of}") };
    for (place, (operator, one, two)) in nodes.iter().enumerate() {
        let (a, b, out) = (name(one % (place + 1)), name(two % (place + 1)), name(place + 1));
        let (a, b, out) = (a.as_str(), b.as_str(), [out.as_str()]);
        graph = match operator {
            0 => graph.node("Conv", &[a, "w"], &out, &[]),
            1 => graph.node("Conv", &[a, "w", "few"], &out, &[]),
            2 => graph.node("InstanceNormalization", &[a, "few", "few"], &out, &[]),
            3 => graph.node("Add", &[a, b], &out, &[]),
            4 => graph.node("Mul", &[a, "c"], &out, &[]),
            5 => graph.node("Max", &[a, "c"], &out, &[]),
            6 => graph.node("Add", &[a, "large"], &out, &[]),
            7 => graph.node("Identity", &[a], &out, &[]),
            8 => graph.node("Unknown", &[a], &out, &[]),
            9 => graph.node("Where", &["flag", a, b], &out, &[]),
            _ => graph.node("Transpose", &[a], &out, &[Setting::Ints("perm", &[0, 1, 3, 2])]),
        };
    }
    for output in outputs.iter().map(|of| 1 + of % nodes.len()).collect::<BTreeSet<_>>() {
        graph = graph.gives(&name(output), 1, &PIXELS);
    }
    graph.takes("flag", 9, &[])
}

proptest! {
    /// Whatever is connected with whatever, and whatever stays: each node takes and gives floats of one type, those that bear
    /// no half precision single precision, and who runs the model sees no difference.
    #[test]
    fn types_never_mix(
        nodes in prop::collection::vec((0_usize..11, 0_usize..40, 0_usize..40), 1..24),
        outputs in prop::collection::vec(0_usize..40, 1..4),
        kept in prop::collection::vec(0_usize..40, 0..5),
    ) {
        let onnx = any_graph(&nodes, &outputs).bytes(17);
        let before = Model::read(&onnx).unwrap();
        for to in [HalfType::F16, HalfType::BF16] {
            let mut halving = Halving::new(&onnx, to).unwrap();
            // The first two nodes are tensors.
            kept.iter().filter(|place| **place < nodes.len()).for_each(|place| halving.keep(place + 2, Kept::Error(1.0)));
            for written in [halving.write().unwrap().onnx, halving.rounded().unwrap()] {
                prop_assert_eq!(mixed(&written), Vec::<String>::new());
                let after = Model::read(&written).unwrap();
                let borders = |model: &Model<'_>| -> Vec<_> {
                    let all = model.graph.given().chain(&model.graph.outputs);
                    all.map(|declared| (declared.name.to_owned(), declared.ty.to_vec())).collect()
                };
                prop_assert_eq!(borders(&before), borders(&after));
                let others = |model: &Model<'_>| {
                    model.graph.nodes.iter().filter(|n| !matches!(n.operator, "Cast" | "Constant")).count()
                };
                prop_assert_eq!(others(&before), others(&after));
            }
        }
    }
}
