use crate::wire::{put_bytes, put_number};
use crate::{Averaging, Model, OnnxError, Tensor};

/// A tensor of a small graph: its name, whether it is an initialiser, and its message.
struct Held {
    name: &'static str,
    is_initialiser: bool,
    message: Vec<u8>,
}

fn held(name: &'static str, is_initialiser: bool, element: u64, dims: &[u64], data: &[u8]) -> Held {
    let mut message = Vec::new();
    dims.iter().for_each(|dim| put_number(&mut message, 1, *dim));
    put_number(&mut message, 2, element);
    put_bytes(&mut message, 8, name.as_bytes());
    put_bytes(&mut message, 9, data);
    Held { name, is_initialiser, message }
}

fn weight(name: &'static str, numbers: &[f32]) -> Held {
    let data: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    held(name, true, 1, &[numbers.len() as u64], &data)
}

/// A single number in a `Constant` node, as a factor in the code of a network is exported.
fn in_code(name: &'static str, number: f32) -> Held {
    held(name, false, 1, &[], &number.to_le_bytes())
}

/// Nodes one after the other: each takes what the one before gives, and the tensors that are named. The first comes after a
/// convolution, so that it sees no pixels any more.
fn model(nodes: &[(&str, &[&str])], tensors: &[Held]) -> Vec<u8> {
    let mut graph = Vec::new();
    let node = |graph: &mut Vec<u8>,
                operator: &str,
                domain: &str,
                inputs: &[&str],
                output: &str,
                value: Option<&[u8]>| {
        let mut node = Vec::new();
        inputs.iter().for_each(|input| put_bytes(&mut node, 1, input.as_bytes()));
        put_bytes(&mut node, 2, output.as_bytes());
        put_bytes(&mut node, 4, operator.as_bytes());
        put_bytes(&mut node, 7, domain.as_bytes());
        if let Some(value) = value {
            let mut attribute = Vec::new();
            put_bytes(&mut attribute, 1, b"value");
            put_bytes(&mut attribute, 5, value);
            put_bytes(&mut node, 5, &attribute);
        }
        put_bytes(graph, 1, &node);
    };
    let named = |name: &str| {
        let mut info = Vec::new();
        put_bytes(&mut info, 1, name.as_bytes());
        info
    };
    for tensor in tensors.iter().chain([&weight("filter", &[1.0])]) {
        if tensor.is_initialiser {
            put_bytes(&mut graph, 5, &tensor.message);
        } else {
            node(&mut graph, "Constant", "", &[], tensor.name, Some(&tensor.message));
        }
    }
    node(&mut graph, "Conv", "", &["image", "filter"], "x0", None);
    for (place, (operator, inputs)) in nodes.iter().enumerate() {
        let (operator, domain) = operator.split_once('@').unwrap_or((operator, ""));
        let before = format!("x{place}");
        // `_` stands for what the node before gives; without one the node is of constants alone.
        let inputs: Vec<&str> =
            inputs.iter().map(|name| if *name == "_" { before.as_str() } else { name }).collect();
        let output =
            if inputs.contains(&before.as_str()) { format!("x{}", place + 1) } else { "folded".into() };
        node(&mut graph, operator, domain, &inputs, &output, None);
        if output == "folded" {
            node(&mut graph, "Relu", "", &[&before], &format!("x{}", place + 1), None);
        }
    }
    put_bytes(&mut graph, 11, &named("image"));
    put_bytes(&mut graph, 12, &named(&format!("x{}", nodes.len())));
    let mut model = Vec::new();
    put_number(&mut model, 1, 8);
    put_bytes(&mut model, 7, &graph);
    model
}

/// The numbers of the tensor `w` of the mean.
fn mean(nodes: &[(&str, &[&str])], a: Held, b: Held) -> Result<Vec<f64>, OnnxError> {
    let name = a.name;
    let (a, b) = (model(nodes, &[a]), model(nodes, &[b]));
    let mut averaging = Averaging::new("a", &a, 1.0)?;
    averaging.add("b", &b, 1.0)?;
    let found = averaging.finish(&[])?;
    let model = Model::read(&found.onnx)?;
    let held = model.graph.initialisers.iter().find(|(n, _)| n.starts_with(name)).expect("the tensor");
    Ok(Tensor::read(held.1)?.numbers().unwrap_or_default())
}

#[test]
fn what_is_learnt_is_averaged() {
    for nodes in [
        &[("Mul", &["_", "w"][..])][..],
        &[("Add", &["w", "_"])],
        &[("PRelu", &["_", "w"])],
        &[("LayerNormalization", &["_", "w"])],
        &[("MatMul", &["_", "w"])],
        // Through nodes that move numbers, to where they count.
        &[("Transpose", &["w"]), ("MatMul", &["_", "folded"])],
        &[("Cast", &["w"]), ("Conv", &["_", "folded"])],
        &[("Expand", &["w", "_"])],
        &[("Concat", &["_", "w"])],
        &[("BiasGelu@com.microsoft", &["_", "w"])],
    ] {
        let found = mean(nodes, weight("w", &[1.0, 2.0]), weight("w", &[3.0, 6.0]));
        assert_eq!(found, Ok(vec![2.0, 4.0]), "{nodes:?}");
    }
    // One learnt factor: a parameter of the network.
    assert_eq!(mean(&[("Mul", &["_", "w"])], weight("w", &[1.0]), weight("w", &[3.0])), Ok(vec![2.0]));
}

#[test]
fn what_is_set_must_be_equal() {
    let refused = |nodes: &[(&str, &[&str])], a: Held, b: Held| mean(nodes, a, b).unwrap_err().to_string();
    for nodes in [
        &[("Clip", &["_", "", "w"][..])][..],
        &[("Pow", &["_", "w"])],
        &[("Resize", &["_", "", "w"])],
        &[("Greater", &["_", "w"])],
        &[("DequantizeLinear", &["_", "w"])],
        &[("Cast", &["w"]), ("Clip", &["_", "folded"])],
        // A weight there, and a bound here.
        &[("Add", &["_", "w"]), ("Max", &["_", "w"])],
    ] {
        let error = refused(nodes, weight("w", &[1.0]), weight("w", &[3.0]));
        assert!(error.contains("(1 and 3): this is a setting and no weight"), "{nodes:?}: {error}");
        assert!(mean(nodes, weight("w", &[1.0]), weight("w", &[1.0])).is_ok(), "{nodes:?}");
    }
    let error = refused(&[("Mul", &["_", "w"])], in_code("w", 0.5), in_code("w", 0.25));
    assert!(error.contains("(0.5 and 0.25): this is a setting"), "{error}");
    let error = refused(&[("Whatever@mine", &["_", "w"])], weight("w", &[1.0]), weight("w", &[3.0]));
    assert!(error.contains("it is not known whether this is a weight"), "{error}");
    let quantised = |number| held("w", true, 3, &[1], &[number]);
    let error = refused(&[("Conv", &["_", "w"])], quantised(1), quantised(2));
    assert!(error.contains("average the files before they are quantised"), "{error}");
    let whole = |number: i64| held("w", true, 7, &[1], &number.to_le_bytes());
    let error = refused(&[("Reshape", &["_", "w"])], whole(1), whole(2));
    assert!(error.contains("must be equal"), "{error}");
}
