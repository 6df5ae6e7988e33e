use super::*;
use crate::toy_graph::{Setting, ToyGraph};

/// Two heads over one convolution, and a tensor that only the second takes.
fn model(batch: Option<u64>) -> ToyGraph {
    let image = [batch, Some(3), Some(8), Some(8)];
    ToyGraph::default()
        .takes("image", 1, &image)
        .floats("weight", &[2, 3, 1, 1], &[0.5; 6])
        .floats("other", &[2, 2, 1, 1], &[0.5; 4])
        .node("Conv", &["image", "weight"], &["scores"], &[])
        .node("Conv", &["scores", "other"], &["windows"], &[])
        .gives("scores", 1, &[batch, Some(2), Some(8), Some(8)])
        .gives("windows", 1, &[batch, Some(2), Some(8), Some(8)])
}

fn spec() -> FusedSpec {
    let view = |transpose, vflip, hflip| FusedView { transpose, vflip, hflip, classes: vec![0, 1] };
    FusedSpec {
        windows: 2,
        input: FusedInput {
            name: "image".into(),
            channels_last: false,
            element: FloatType::F32,
            channels: 3,
            height: 8,
            width: 8,
        },
        views: vec![view(false, false, false), view(true, false, true), view(false, true, true)],
        head: FusedHead { name: "scores".into(), channels_last: false, channels: 2, height: 8, width: 8 },
        resized: None,
        kept: KeptPart { top: 1, left: 1, height: 6, width: 6 },
        scores: FusedScores {
            allowed: None,
            step: FusedStep::Softmax,
            background: None,
            finish: FusedStep::Keep,
            half: true,
        },
    }
}

fn refusal(onnx: &[u8], spec: &FusedSpec) -> String {
    match fused(onnx, spec).unwrap() {
        Fusing::Refused(refusal) => refusal.to_string(),
        Fusing::Fused(_) => panic!("it was fused"),
    }
}

#[test]
fn the_model_stands_in_the_graph_as_it_was() {
    let spec = spec();
    let Fusing::Fused(file) = fused(&model(None).bytes(17), &spec).unwrap() else { panic!("refused") };
    let whole = Model::read(&file).unwrap();
    let graph = &whole.graph;
    let [input] = graph.inputs[..] else { panic!("{:?}", graph.inputs) };
    // That name is taken by an output of the model.
    assert_eq!((input.name, input.shape().unwrap()), ("windows_2", (1, [2, 3, 8, 8].map(Some).to_vec())));
    let [output] = graph.outputs[..] else { panic!("{:?}", graph.outputs) };
    assert_eq!(output.shape().unwrap(), (10, [2, 2, 6, 6].map(Some).to_vec()));
    let convolutions: Vec<_> = graph.nodes.iter().filter(|node| node.operator == "Conv").collect();
    assert_eq!(convolutions.len(), 1, "what only the other head needs is not computed");
    assert_eq!(
        (&convolutions[0].inputs[..], &convolutions[0].outputs[..]),
        (&["image", "weight"][..], &["scores"][..])
    );
    assert_eq!(graph.initialisers.keys().collect::<Vec<_>>(), [&"weight"]);
    let count = |operator: &str| graph.nodes.iter().filter(|node| node.operator == operator).count();
    // One turn in and one back, whatever the number of views on their side.
    assert_eq!((count("Transpose"), count("Concat"), count("Softmax"), count("Sum")), (2, 1, 1, 1));
}

#[test]
fn softmax_is_written_for_the_version_of_its_operators() {
    let transposes = |opset| {
        let Fusing::Fused(file) = fused(&model(None).bytes(opset), &spec()).unwrap() else {
            panic!("{opset}")
        };
        let whole = Model::read(&file).unwrap();
        whole.graph.nodes.iter().filter(|node| node.operator == "Transpose").count()
    };
    assert_eq!([11, 12, 13, 21].map(transposes), [4, 4, 2, 2]);
}

#[test]
fn what_cannot_be_in_one_graph_is_refused_with_a_reason() {
    let (plain, spec) = (model(None).bytes(17), spec());
    let said = |change: fn(&mut FusedSpec)| {
        let mut other = spec.clone();
        change(&mut other);
        refusal(&plain, &other)
    };
    assert!(refusal(&model(None).bytes(10), &spec).contains("opset 10"));
    assert!(refusal(&model(None).bytes(99), &spec).contains("opset 99"));
    assert_eq!(
        refusal(&model(Some(4)).bytes(17), &spec),
        "it takes 4 images at once, and 3 views of 2 windows are 6"
    );
    assert!(matches!(fused(&model(Some(6)).bytes(17), &spec), Ok(Fusing::Fused(_))));
    assert!(said(|s| s.input.element = FloatType::F16).contains("type 1, not 10"));
    assert!(said(|s| s.input.name = "x".into()).contains("`image`, not `x`"));
    assert!(said(|s| s.input.channels_last = true).contains("dimensions"));
    assert!(said(|s| s.head.name = "weight".into()).contains("computes no output `weight`"));
    assert!(said(|s| s.kept.height = 7).contains("not square"));
    assert!(said(|s| s.kept.top = 3).contains("less than the part"));
    assert!(said(|s| s.views[1].classes = vec![0]).contains("one for one"));
    assert!(said(|s| s.views[1].classes = vec![0, 2]).contains("one for one"));
    assert!(said(|s| s.windows = 0).contains("one for one"));
    assert!(said(|s| s.scores.background = Some(Background::Zero)).contains("beside a background"));
    let two = model(None).takes("more", 1, &[Some(1)]).bytes(17);
    assert!(refusal(&two, &spec).contains("2 inputs"));
    let mut function = Vec::new();
    crate::wire::put_bytes(&mut function, 1, b"Slice");
    let mut redefined = plain.clone();
    crate::wire::put_bytes(&mut redefined, 25, &function);
    assert!(refusal(&redefined, &spec).contains("standard operators anew"));
    assert!(fused(&plain[..plain.len() / 2], &spec).is_err());
}

#[test]
fn graphs_inside_of_nodes_keep_what_they_take_from_outside() {
    let inner = ToyGraph::default().node("Add", &["image", "bias"], &["sum"], &[]).gives("sum", 1, &[]);
    let model = model(None)
        .floats("bias", &[1], &[0.5])
        .ints("always", &[1])
        .node("Cast", &["always"], &["yes"], &[Setting::Int("to", 9)])
        .node(
            "If",
            &["yes"],
            &["either"],
            &[Setting::Graph("then_branch", &inner), Setting::Graph("else_branch", &inner)],
        )
        .node("Conv", &["either", "weight"], &["far"], &[])
        .gives("far", 1, &[]);
    let mut spec = spec();
    spec.head.name = "far".into();
    let Fusing::Fused(file) = fused(&model.bytes(17), &spec).unwrap() else { panic!("refused") };
    let whole = Model::read(&file).unwrap();
    assert!(whole.graph.initialisers.contains_key("bias"));
    let gives_image =
        whole.graph.nodes.iter().any(|node| node.outputs == ["image"] && node.operator == "Cast");
    assert!(gives_image, "the value has the name under which the inner graph knows it");
}
