use super::*;
use crate::graph::Origin;
use crate::toy::{Net, Style, WIDTH};
use crate::wire::{fields, put_bytes, put_number};
use crate::{BatchNormState, ExternalData, batch_norms, with_all_data, with_weights_beside};

fn mean_of(files: &[(&str, &[u8], f64)]) -> Result<Averaged, OnnxError> {
    let (name, onnx, weight) = files[0];
    let mut averaging = Averaging::new(name, onnx, weight)?;
    for (name, onnx, weight) in &files[1..] {
        averaging.add(name, onnx, *weight)?;
    }
    averaging.finish(&[])
}

fn mean(nets: &[Net]) -> Result<Averaged, OnnxError> {
    let files: Vec<Vec<u8>> = nets.iter().map(Net::bytes).collect();
    let names: Vec<String> = (0..nets.len()).map(|n| format!("{n}.onnx")).collect();
    let files: Vec<_> = names.iter().zip(&files).map(|(n, f)| (n.as_str(), f.as_slice(), 1.0)).collect();
    mean_of(&files)
}

/// Of each live slot its numbers, in the order of nodes and inputs: found by walking the graph, not by names.
fn numbers(onnx: &[u8]) -> Vec<f64> {
    let model = Model::read(onnx).unwrap();
    let of = |slot: &&str| match model.graph.origin(slot) {
        Origin::Constant(constant) => tensor(&model.graph, constant).unwrap().numbers().unwrap_or_default(),
        _ => Vec::new(),
    };
    let live = model.graph.live();
    let nodes = model.graph.nodes.iter().zip(live).filter(|(node, live)| *live && !node.inputs.is_empty());
    nodes
        .filter(|(node, _)| node.operator != "Identity")
        .flat_map(|(n, _)| n.inputs.iter().flat_map(of).collect::<Vec<_>>())
        .collect()
}

/// What the mean of these must be: computed here, in the plainest way.
fn expected(nets: &[Net], weights: &[f64]) -> Vec<f64> {
    let all: Vec<Vec<f32>> = nets.iter().map(Net::numbers).collect();
    let total: f64 = weights.iter().sum();
    let mean = |n: usize| {
        let sum: f64 = all.iter().zip(weights).map(|(net, w)| w * f64::from(net[n])).sum();
        f64::from((sum / total) as f32)
    };
    // The factors of the last node are no weights.
    (0..all[0].len()).map(mean).chain([1.0; 4]).collect()
}

fn styled(style: impl FnOnce(&mut Style)) -> Style {
    let mut all = Style::default();
    style(&mut all);
    all
}

fn nets(count: u64) -> Vec<Net> {
    (1..=count).map(|seed| Net::seeded(seed, 2)).collect()
}

#[test]
fn the_mean_is_that_of_each_number() {
    let nets = nets(3);
    let found = mean(&nets).unwrap();
    assert_eq!(numbers(&found.onnx), expected(&nets, &[1.0; 3]));
    assert_eq!((found.tensors, found.numbers, found.unshared), (12, nets[0].numbers().len(), 0));
    let files: Vec<Vec<u8>> = nets.iter().map(Net::bytes).collect();
    let weighted: Vec<_> = files.iter().zip([0.5, 0.0, 2.0]).map(|(f, w)| ("m", f.as_slice(), w)).collect();
    assert_eq!(numbers(&mean_of(&weighted).unwrap().onnx), expected(&nets, &[0.5, 0.0, 2.0]));
    let first_is_nothing: Vec<_> = weighted.iter().zip([0.0, 1.0, 0.0]).map(|(f, w)| (f.0, f.1, w)).collect();
    assert_eq!(numbers(&mean_of(&first_is_nothing).unwrap().onnx), numbers(&files[1]));
    let nothing: Vec<_> = weighted.iter().map(|file| (file.0, file.1, 0.0)).collect();
    assert_eq!(mean_of(&nothing).unwrap_err().to_string(), "all weights are 0: one must be greater");
}

#[test]
fn the_mean_of_equal_files_is_the_file() {
    let net = Net::seeded(1, 3).written(styled(|s| s.unknown = true));
    let found = mean(&[net.clone(), net.clone(), net.clone()]).unwrap();
    assert_eq!(found.onnx, net.bytes(), "to the last byte");
    assert_eq!((found.tensors, found.numbers), (0, 0));
}

#[test]
fn what_is_not_known_stays() {
    let style = styled(|s| s.unknown = true);
    let nets: Vec<Net> = nets(2).iter().map(|net| net.written(style.clone())).collect();
    let found = mean(&nets).unwrap().onnx;
    let kept = |bytes: &[u8]| bytes.windows(4).filter(|part| part == b"kept").count();
    assert_eq!(kept(&found), kept(&nets[0].bytes()));
    assert!(kept(&found) > 8);
}

#[test]
fn names_the_order_and_the_form_of_tensors_do_not_matter() {
    let plain = nets(2);
    let expected = expected(&plain, &[1.0; 2]);
    let styles = [
        styled(|s| s.prefix = "onnx::Conv_".into()),
        styled(|s| s.typed = true),
        styled(|s| s.constants = true),
        styled(|s| s.declared = true),
        styled(|s| (s.constants, s.typed) = (true, true)),
    ];
    for style in &styles {
        let other = plain[1].written(style.clone());
        assert_eq!(numbers(&mean(&[plain[0].clone(), other.clone()]).unwrap().onnx), expected, "{style:?}");
        let back = mean(&[other, plain[0].clone()]).unwrap();
        assert_eq!(numbers(&back.onnx), expected, "{style:?} first");
    }
}

/// A file of which many tensors have equal bytes, as after the first steps of a training.
fn young(seed: u64) -> Net {
    let mut net = Net::seeded(seed, 2);
    for block in &mut net.blocks {
        (block.scale, block.variance) = (vec![1.0; WIDTH], vec![1.0; WIDTH]);
        (block.bias, block.mean) = (vec![0.0; WIDTH], vec![0.0; WIDTH]);
    }
    net
}

#[test]
fn tensors_kept_once_are_several_where_means_differ() {
    let pair = [young(1), Net::seeded(2, 2)];
    let expected = expected(&pair, &[1.0; 2]);
    for style in [styled(|s| s.deduplicated = true), styled(|s| s.identities = true)] {
        let shared = pair[0].written(style.clone());
        let found = mean(&[shared.clone(), pair[1].clone()]).unwrap();
        assert_eq!(numbers(&found.onnx), expected, "{style:?}");
        assert_eq!(found.unshared, 2, "the ones and the zeros");
        let found = mean(&[pair[1].clone(), shared.clone()]).unwrap();
        assert_eq!((numbers(&found.onnx), found.unshared), (expected.clone(), 0));
        // Both keep them once, and so does the mean.
        let other = young(3).written(style.clone());
        let found = mean(&[shared.clone(), other.clone()]).unwrap();
        assert_eq!(found.unshared, 0);
        assert_eq!(found.onnx.len(), shared.bytes().len());
        assert_eq!(numbers(&found.onnx), super::tests::expected(&[young(1), young(3)], &[1.0; 2]));
    }
}

#[test]
fn new_tensors_of_old_files_are_inputs_too() {
    let pair = [young(1).written(styled(|s| (s.deduplicated, s.declared) = (true, true))), Net::seeded(2, 2)];
    let found = mean(&pair).unwrap();
    let model = Model::read(&found.onnx).unwrap();
    assert_eq!(model.ir_version, 3);
    assert_eq!(model.graph.inputs.len(), 1 + model.graph.initialisers.len());
    assert_eq!(model.graph.given().map(|input| input.name).collect::<Vec<_>>(), ["image"]);
    assert_eq!(numbers(&found.onnx), expected(&[young(1), Net::seeded(2, 2)], &[1.0; 2]));
}

#[test]
fn halves_and_doubles_are_rounded_once() {
    for element in [FloatType::F16, FloatType::BF16, FloatType::F64] {
        for typed in [false, true] {
            let style = styled(|s| (s.element, s.typed) = (element, typed));
            let files: Vec<Vec<u8>> = nets(3).iter().map(|net| net.written(style.clone()).bytes()).collect();
            let all: Vec<Vec<f64>> = files.iter().map(|file| numbers(file)).collect();
            let mean = |n: usize| {
                let mut back = 0.0;
                let mut bytes = Vec::new();
                element.write((all[0][n] + all[1][n] + all[2][n]) / 3.0, &mut bytes);
                element.read(&bytes, |number| back = number);
                back
            };
            let expected: Vec<f64> = (0..all[0].len() - 4).map(mean).chain([1.0; 4]).collect();
            let files: Vec<_> = files.iter().map(|file| ("m", file.as_slice(), 1.0)).collect();
            let found = mean_of(&files).unwrap();
            assert_eq!(numbers(&found.onnx), expected, "{element:?}");
        }
    }
    let mixed = [nets(1)[0].clone(), nets(2)[1].written(styled(|s| s.element = FloatType::F16))];
    let error = mean(&mixed).unwrap_err().to_string();
    assert!(error.contains("the input `image` is [?, 3, ?, ?] of type 1 in one"), "{error}");
}

#[test]
fn other_architectures_are_refused_with_the_place() {
    let first = Net::seeded(1, 2);
    let refused = |other: Net| mean(&[first.clone(), other]).unwrap_err().to_string();
    let with = |style: Style| Net::seeded(2, 2).written(style);
    for (error, words) in [
        (refused(Net::seeded(2, 3)), "input 1 of node `/Conv_"),
        (
            refused(Net::seeded(2, 3)),
            "is [2, 4, 1, 1] of type float32 in one and [3, 4, 1, 1] of type float32",
        ),
        (refused(with(styled(|s| s.epsilon = 1e-3))), "`epsilon` of node `/BatchNormalization_"),
        (refused(with(styled(|s| s.opset = 18))), "they are written in opset 17 and 18"),
        (
            refused(with(styled(|s| s.folded = 2))),
            "they have 2 and 0 BatchNormalization (in one of them BatchNorm",
        ),
        (refused(with(styled(|s| s.scale = 2.0))), "differ in input 2 of node `/Resize_"),
        (refused(with(styled(|s| s.scale = 2.0))), "(1 and 2): this is a setting and no weight"),
        (refused(with(styled(|s| s.pixels_by = Some(255.0)))), "they have 0 and 1 Div"),
    ] {
        assert!(error.contains(words), "{words}: {error}");
        assert!(error.contains("members of a job"), "what to do is said: {error}");
    }
    let pixels = |by| with(styled(|s| s.pixels_by = Some(by)));
    let error = mean(&[pixels(255.0), pixels(256.0)]).unwrap_err().to_string();
    assert!(error.contains("how pixels are normalised"), "{error}");
    assert_eq!(mean(&[pixels(255.0), pixels(255.0)]).unwrap().tensors, 0);
    let mut broken = Net::seeded(2, 2);
    broken.blocks[1].bias[2] = f32::NAN;
    let error = refused(broken);
    assert!(error.starts_with("1.onnx: input 2 of node `/BatchNormalization_"), "{error}");
    assert!(error.contains("holds NaN, at number 2"), "{error}");
}

#[test]
fn a_default_that_is_written_out_is_the_default() {
    // A node without an epsilon has 1e-5.
    let net = Net::seeded(1, 2);
    let (plain, mut without) = (net.bytes(), Vec::new());
    let model = Model::read(&plain).unwrap();
    let epsilon = model.graph.nodes.iter().find_map(|node| node.attributes.get("epsilon")).unwrap();
    let mut field = Vec::new();
    put_bytes(&mut field, 5, epsilon);
    let mut rest = plain.as_slice();
    while let Some(at) = rest.windows(field.len()).position(|part| part == field) {
        without.extend_from_slice(&rest[..at]);
        // A field of the same length that says nothing.
        without.extend([15 << 3 | 2, field.len() as u8 - 2]);
        without.extend(vec![b' '; field.len() - 2]);
        rest = &rest[at + field.len()..];
    }
    without.extend_from_slice(rest);
    assert!(
        Model::read(&without)
            .unwrap()
            .graph
            .nodes
            .iter()
            .all(|node| !node.attributes.contains_key("epsilon"))
    );
    let found = mean_of(&[("a", &plain, 1.0), ("b", &without, 1.0)]).unwrap();
    assert_eq!(numbers(&found.onnx), numbers(&plain));
}

/// What exporters leave of a reshape: a `Shape` of a weight, of which no number counts.
#[test]
fn a_weight_may_lend_its_shape() {
    let with_shape = |net: &Net| {
        let bytes = net.bytes();
        let model = Model::read(&bytes).unwrap();
        let bias =
            model.graph.nodes.iter().rfind(|node| node.operator == "Conv").unwrap().inputs[2].to_owned();
        let nodes = [
            (vec![bias.as_str()], "Shape", "shape"),
            (vec!["shape", "none"], "Slice", "dims"),
            (vec!["scores", "dims"], "Reshape", "reshaped"),
        ];
        let mut graph = Vec::new();
        for field in fields(&bytes).map(Result::unwrap) {
            if let (7, Some(inside)) = (field.number, field.bytes()) {
                fields(inside)
                    .map(Result::unwrap)
                    .filter(|f| f.number != 12)
                    .for_each(|f| graph.extend(f.raw));
            }
        }
        let mut none = Vec::new();
        put_number(&mut none, 1, 0);
        put_number(&mut none, 2, 7);
        put_bytes(&mut none, 8, b"none");
        put_bytes(&mut graph, 5, &none);
        for (inputs, operator, output) in nodes {
            let mut node = Vec::new();
            inputs.iter().for_each(|input| put_bytes(&mut node, 1, input.as_bytes()));
            put_bytes(&mut node, 2, output.as_bytes());
            put_bytes(&mut node, 4, operator.as_bytes());
            put_bytes(&mut graph, 1, &node);
        }
        let mut output = Vec::new();
        put_bytes(&mut output, 1, b"reshaped");
        put_bytes(&mut graph, 12, &output);
        let mut out = Vec::new();
        put_bytes(&mut out, 7, &graph);
        out
    };
    let nets = nets(2);
    let files: Vec<Vec<u8>> = nets.iter().map(with_shape).collect();
    let found = mean_of(&[("a", &files[0], 1.0), ("b", &files[1], 1.0)]).unwrap();
    assert_eq!((found.tensors, found.unshared), (12, 0));
    let model = Model::read(&found.onnx).unwrap();
    let head = model.graph.nodes.iter().rfind(|node| node.operator == "Conv").unwrap();
    let bias = tensor(&model.graph, Constant::Initialiser(head.inputs[2])).unwrap().numbers().unwrap();
    let expected = expected(&nets, &[1.0; 2]);
    assert_eq!(bias, expected[expected.len() - 6..expected.len() - 4]);
}

#[test]
fn notes_replace_those_of_their_key() {
    let files = nets(2).iter().map(Net::bytes).collect::<Vec<_>>();
    let note = |text: &str| vec![("marquetry.swa".to_owned(), text.to_owned())];
    let with = |first: &[u8], text: &str| {
        let mut averaging = Averaging::new("a", first, 1.0).unwrap();
        averaging.add("b", &files[1], 1.0).unwrap();
        averaging.finish(&note(text)).unwrap().onnx
    };
    let once = with(&files[0], "one");
    let twice = with(&once, "another");
    let count = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).filter(|part| *part == word).count();
    assert_eq!((count(&once, b"marquetry.swa"), count(&once, b"one")), (1, 1));
    assert_eq!((count(&twice, b"marquetry.swa"), count(&twice, b"another")), (1, 1));
}

#[test]
fn batch_normalisation_is_counted() {
    let state = |folded: usize| {
        let bytes = Net::seeded(1, 2).written(styled(|s| s.folded = folded)).bytes();
        BatchNormState::of(&Model::read(&bytes).unwrap())
    };
    assert_eq!(state(0), BatchNormState::Full(2));
    assert_eq!(state(1), BatchNormState::Partial { there: 1, all: 2 });
    assert_eq!(state(2), BatchNormState::Folded(2), "the head's bias is its own");
    assert_eq!(state(1).to_string(), "partial (1 of 2)");
    assert!(state(0).advice().is_none());
    let advice = state(2).advice().unwrap();
    assert!(advice.contains("optimize=False") && advice.contains("TrainingMode.PRESERVE"), "{advice}");
    let bytes = Net::seeded(1, 2).bytes();
    let found = batch_norms(&Model::read(&bytes).unwrap().graph);
    assert_eq!(found.iter().map(|bn| bn.depth).collect::<Vec<_>>(), [0, 1]);
    assert_eq!((found[0].mean().input, found[0].variance().input), (3, 4));
}

#[test]
fn damaged_files_are_refused_wherever_they_are_cut() {
    let good = Net::seeded(1, 2).bytes();
    let other = Net::seeded(2, 2).bytes();
    for cut in (0..good.len()).step_by(7) {
        let error =
            mean_of(&[("good.onnx", &other, 1.0), ("cut.onnx", &good[..cut], 1.0)]).unwrap_err().to_string();
        assert!(error.contains("cut.onnx"), "{cut}: {error}");
    }
}

#[test]
fn graphs_inside_of_nodes_are_refused_by_name() {
    // A node that nothing hangs on is none of ours; one before the output is.
    let looped = |output: &str| {
        let mut node = Vec::new();
        put_bytes(&mut node, 2, output.as_bytes());
        put_bytes(&mut node, 3, b"choice");
        put_bytes(&mut node, 4, b"If");
        let mut attribute = Vec::new();
        put_bytes(&mut attribute, 1, b"then_branch");
        put_bytes(&mut attribute, 6, &[]);
        put_number(&mut attribute, 20, 5);
        put_bytes(&mut node, 5, &attribute);
        let mut graph = Vec::new();
        put_bytes(&mut graph, 1, &node);
        put_bytes(&mut graph, 12, &{
            let mut info = Vec::new();
            put_bytes(&mut info, 1, b"y");
            info
        });
        let mut model = Vec::new();
        put_number(&mut model, 1, 8);
        put_bytes(&mut model, 7, &graph);
        model
    };
    let error = Averaging::new("a.onnx", &looped("y"), 1.0).err().unwrap().to_string();
    assert!(error.contains("a.onnx: node `choice` (If) has a graph inside"), "{error}");
    let error = Averaging::new("a.onnx", &looped("z"), 1.0).err().unwrap().to_string();
    assert_eq!(error, "the model is damaged: a.onnx: nothing gives its output `y`");
}

#[test]
fn weights_in_other_files_are_read() {
    let nets = nets(2);
    // Every tensor of the second is moved out.
    let (outside, beside) = with_weights_beside(&nets[1].bytes(), &["w.bin"]).unwrap();
    let first = nets[0].bytes();
    let error = mean_of(&[("a", &first, 1.0), ("b", &outside, 1.0)]).unwrap_err().to_string();
    assert_eq!(
        error,
        "the model keeps weights in a second file, `w.bin`: it was not read along with the model"
    );
    let file = |bytes: &[u8]| [ExternalData { location: "w.bin".into(), bytes: bytes.into() }];
    let read = with_all_data(&outside, &beside).unwrap();
    let expected = expected(&nets, &[1.0; 2]);
    assert_eq!(numbers(&mean_of(&[("a", &first, 1.0), ("b", &read, 1.0)]).unwrap().onnx), expected);
    assert_eq!(numbers(&mean_of(&[("b", &read, 1.0), ("a", &first, 1.0)]).unwrap().onnx), expected);
    let error = with_all_data(&outside, &file(&beside[0].bytes[..20])).unwrap_err().to_string();
    assert!(error.contains("it is cut short"), "{error}");
    assert!(with_all_data(&outside, &[]).unwrap_err().to_string().contains("it was not given along"));
}

#[test]
fn distances_are_of_whole_tensors() {
    let net = Net::seeded(1, 2);
    let scaled = |factor: f32| {
        let numbers: Vec<f32> = net.numbers().iter().map(|n| n * factor).collect();
        net.with_numbers(&numbers).bytes()
    };
    let apart = |a: &[u8], b: &[u8]| distance(("a", a), ("b", b)).unwrap();
    assert_eq!(apart(&scaled(1.0), &scaled(1.0)), 0.0);
    // (2 - 1)² / (2² + 1²) of each.
    assert!((apart(&scaled(1.0), &scaled(2.0)) - (1.0_f64 / 5.0).sqrt()).abs() < 1e-12);
    assert_eq!(apart(&scaled(1.0), &scaled(2.0)), apart(&scaled(2.0), &scaled(1.0)));
    assert!((apart(&scaled(1.0), &scaled(-1.0)) - 2.0_f64.sqrt()).abs() < 1e-12);
    let mut one = net.clone();
    one.head_bias = vec![0.0; 2];
    assert!((apart(&net.bytes(), &one.bytes()) - 1.0).abs() < 1e-12, "of the tensors that differ");
}
