//! `marquetry convert`: half precision, fixed dimensions and one file, by the real binary; what files say is looked at in Python.

use crate::decode::Mask;
use crate::fixture::Place;
use crate::swa::judged_by;
use marquetry_onnx::toy::{Net, Style};
use marquetry_onnx::{HalfType, Halving, Model, Setting, ToyGraph, with_weights_beside};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const SIDE: u64 = 40;

/// Numbers that look random, about 0, the same for the same seed.
fn numbers(seed: usize, count: usize, scale: f32) -> Vec<f32> {
    let mut state = seed as u64 * 0x9E37_79B9 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        scale * (((state >> 40) as f32) / (1 << 23) as f32 - 1.0)
    };
    std::iter::repeat_with(&mut next).take(count).collect()
}

/// Adds a convolution of 3 × 3 px; its weights times `scale`.
fn convolution(
    graph: ToyGraph,
    place: usize,
    x: &str,
    y: &str,
    [from, to]: [u64; 2],
    scale: f32,
) -> ToyGraph {
    let (w, b) = (format!("w{place}"), format!("b{place}"));
    let spread = scale * (3.0 / (from * 9) as f32).sqrt();
    graph
        .floats(&w, &[to, from, 3, 3], &numbers(place, (to * from * 9) as usize, spread))
        .floats(&b, &[to], &numbers(place + 100, to as usize, 0.1 * scale))
        .node("Conv", &[x, &w, &b], &[y], &[Setting::Ints("pads", &[1; 4])])
}

fn begun() -> ToyGraph {
    ToyGraph::default().takes("image", 1, &[None, Some(3), None, None])
}

/// A network of 16 channels with all that is in a U-Net: halved, normalised, enlarged, joined.
fn network() -> ToyGraph {
    let graph = convolution(begun(), 1, "image", "a", [3, 16], 1.5).node("Relu", &["a"], &["ar"], &[]);
    let pool = [Setting::Ints("kernel_shape", &[2, 2]), Setting::Ints("strides", &[2, 2])];
    let graph = convolution(graph.node("MaxPool", &["ar"], &["p"], &pool), 2, "p", "c", [16, 16], 1.5)
        .floats("one", &[16], &[1.0; 16])
        .floats("zero", &[16], &[0.0; 16])
        .node("InstanceNormalization", &["c", "one", "zero"], &["cn"], &[])
        .node("Relu", &["cn"], &["cr"], &[])
        .floats("scales", &[4], &[1.0, 1.0, 2.0, 2.0])
        .node("Resize", &["cr", "", "scales"], &["u"], &[Setting::Text("mode", "linear")])
        .node("Concat", &["u", "ar"], &["j"], &[Setting::Int("axis", 1)]);
    let graph = convolution(graph, 3, "j", "d", [32, 16], 1.5).node("Relu", &["d"], &["dr"], &[]);
    // Scores of two classes are seldom close to each other, as those of trained networks.
    convolution(graph, 4, "dr", "e", [16, 2], 1.5)
        .floats("tilt", &[1, 2, 1, 1], &[0.7, -0.7])
        .node("Add", &["e", "tilt"], &["scores"], &[])
        .gives("scores", 1, &[None, Some(2), None, None])
}

/// What Python's ONNX Runtime says of the models: of each a line of types and shapes, and the scores.
fn in_python(place: &Place, models: &[&str]) -> Vec<(String, Vec<f32>)> {
    let side = SIDE.to_string();
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/scores.py")).args([&side, &side]);
    let said = command.args(models).current_dir(place.path("")).output().expect("python3 runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let lines = String::from_utf8(said.stdout).expect("text");
    let scores = models.iter().map(|model| {
        let bytes = std::fs::read(place.path(&format!("{model}.scores"))).expect("scores");
        bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    });
    lines.lines().map(str::to_owned).zip(scores).collect()
}

fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn converted(place: &Place, model: &str, out: &str, more: &[&str]) -> Value {
    let args = [&["convert", model, "-o", out, "--format", "json"], more].concat();
    place.marquetry(&args).ends_with(0).json()
}

/// The share of pixels with the same class in the masks that a job gives with either model.
fn masks_agree(place: &Place, models: [&str; 2]) -> f64 {
    let masks = models.map(|model| {
        let store = format!("store-{}", model.trim_end_matches(".onnx"));
        let job = format!(
            "version: 1\nimages: images\nclasses: [a, b]\nmembers: [{{onnx: {model}}}]\n\
             defaults: {{window: {{size: 32}}, input: {{mean: 0, std: 1}}}}\noutputs: [{{masks: png}}]\nstore: {store}\n"
        );
        place.write("job.yaml", job);
        let ran = place.run("job.yaml");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        place.outputs(&store)
    });
    let pictures = |of: usize| {
        masks[of].iter().filter(|(name, _)| Path::new(name).extension().is_some_and(|e| e == "png"))
    };
    let (mut same, mut all) = (0, 0);
    for ((name, a), (other, b)) in pictures(0).zip(pictures(1)) {
        assert_eq!(name, other);
        let (a, b) = (Mask::from_png(a), Mask::from_png(b));
        all += a.labels.len();
        same += a.labels.iter().zip(&b.labels).filter(|(a, b)| a == b).count();
    }
    assert!(all > 0);
    same as f64 / all as f64
}

#[test]
fn half_precision_says_the_same_in_half_the_bytes() {
    let place = Place::new();
    let original = network().bytes(17);
    place.write("net.onnx", &original);
    judged_by(&place, "net.onnx");
    for to in ["f16", "bf16"] {
        let out = format!("{to}.onnx");
        let document = converted(&place, "net.onnx", &out, &["--to", to, "--job", "judged.yaml"]);
        let measured = &document["measured"];
        assert!(measured["agree"].as_f64() >= Some(0.999), "{document}");
        assert!(measured["labels_same"].as_u64() <= measured["labels"].as_u64());
        assert_eq!(measured["mean_iou"]["before"], 1.0, "the truth is what the model says");
        assert!(measured["mean_iou"]["after"].as_f64() >= Some(0.999), "{document}");
        assert!(measured["score_difference_max"].as_f64() > Some(0.0), "something was rounded");
        // The note takes as many bytes as small networks do.
        let note = document.to_string().len();
        let bytes = std::fs::metadata(place.path(&out)).expect("the file").len() as usize;
        assert!(bytes < original.len() * 6 / 10 + note, "{bytes} of {}", original.len());

        let found = in_python(&place, &["net.onnx", &out]);
        assert_eq!(found[0].0, found[1].0, "inputs and outputs are as they were");
        let most = apart(&found[0].1, &found[1].1);
        assert!(most > 0.0 && most < 0.03, "{to}: {most}");
        assert!(masks_agree(&place, ["net.onnx", &out]) >= 0.998, "{to}");
        std::fs::remove_dir_all(place.path("store-net")).expect("the store");

        // What was measured stands in the file.
        let facts = place.marquetry(&["inspect", &out, "--format", "json"]).ends_with(0).json();
        let note: Value =
            serde_json::from_str(facts["metadata"]["marquetry.convert"].as_str().expect("the note"))
                .expect("JSON");
        assert_eq!((&note["measured"], &note["half"]), (measured, &document["half"]));
        // The file itself is held to the truth too, and what was measured stays with what is made of it.
        let here = &document["measured_on_cpu"]["mean_iou"]["after"];
        assert_eq!(here.as_f64() >= Some(0.999), to == "f16", "{document}");
        let frozen = converted(&place, &out, "frozen.onnx", &["--freeze", "batch=1"]);
        assert_eq!(frozen["before"]["measured"], *measured, "{frozen}");
    }
    let f16 = std::fs::read(place.path("f16.onnx")).expect("the file");
    let model = Model::read(&f16).expect("a model");
    let of = |operator: &str| model.graph.nodes.iter().filter(|node| node.operator == operator).count();
    assert_eq!((of("Cast"), of("Conv")), (4, 4), "at the borders, and around what stays");
}

/// Batch normalisation goes into convolutions first, however a file is written.
#[test]
fn files_of_all_styles_are_converted() {
    let place = Place::new();
    let net = Net::seeded(5, 2);
    place.write("net.onnx", net.bytes());
    judged_by(&place, "net.onnx");
    for style in [
        Style::default(),
        Style { constants: true, opset: 13, ..Style::default() },
        Style { identities: true, ..Style::default() },
        Style { declared: true, opset: 13, ..Style::default() },
        Style { typed: true, opset: 21, ..Style::default() },
    ] {
        place.write("styled.onnx", net.written(style.clone()).bytes());
        let document = converted(&place, "styled.onnx", "out.onnx", &["--to", "f16", "--job", "masks.yaml"]);
        assert_eq!(document["half"]["folded_batch_norms"], 2, "{style:?}");
        assert_eq!(document["half"]["kept"], json!([]), "{style:?}");
        let found = in_python(&place, &["styled.onnx", "out.onnx"]);
        let most = apart(&found[0].1, &found[1].1);
        assert!(most > 0.0 && most < 0.03, "{style:?}: {most}");
    }
}

/// Between two convolutions lie values that half precision does not have.
fn overflowing() -> ToyGraph {
    let graph = convolution(begun(), 1, "image", "a", [3, 8], 1.0).node("Relu", &["a"], &["ar"], &[]);
    let graph = convolution(graph, 2, "ar", "h", [8, 8], 2.9e5).node("Relu", &["h"], &["hr"], &[]);
    let graph = convolution(graph, 3, "hr", "l", [8, 8], 4e-6).node("Relu", &["l"], &["lr"], &[]);
    convolution(graph, 4, "lr", "scores", [8, 2], 1.5).gives("scores", 1, &[None, Some(2), None, None])
}

#[test]
fn values_too_large_for_half_precision_stay_in_single() {
    let place = Place::new();
    let original = overflowing().bytes(17);
    place.write("net.onnx", &original);
    judged_by(&place, "net.onnx");
    // Without looking at values they are infinite, and scores are no numbers: on devices that compute in half precision, which
    // the processor does not.
    let blind = Halving::new(&original, HalfType::F16).and_then(|halving| halving.rounded()).expect("a file");
    place.write("blind.onnx", &blind);
    let scores = &in_python(&place, &["blind.onnx"])[0].1;
    let broken = scores.iter().filter(|score| !score.is_finite()).count();
    assert!(broken > 0, "none of {} scores", scores.len());

    let document = converted(&place, "net.onnx", "f16.onnx", &["--to", "f16", "--job", "judged.yaml"]);
    let kept = document["half"]["kept"].as_array().expect("nodes").clone();
    let large = |node: &&Value| node["why"].as_str().is_some_and(|why| why.starts_with("values of "));
    let large: Vec<&str> = kept.iter().filter(large).filter_map(|node| node["node"].as_str()).collect();
    assert_eq!(large[..2], ["node `Conv_2` (Conv)", "node `Relu_3` (Relu)"], "{document}");
    assert!(large.contains(&"node `Conv_4` (Conv)"), "it takes what is large: {document}");
    assert!(document["half"]["nodes"].as_u64() >= Some(3), "the others are in half precision: {document}");
    let found = in_python(&place, &["net.onnx", "f16.onnx"]);
    assert!(apart(&found[0].1, &found[1].1) < 0.05);
    let said = place
        .marquetry(&["convert", "net.onnx", "-o", "f16.onnx", "--to", "f16", "--job", "judged.yaml"])
        .ends_with(0);
    assert!(said.stdout.contains("in f32     node `Conv_2` (Conv): values of "), "{}", said.stdout);
}

/// Scores lie about 2000, where half precision has whole numbers only: what makes them is given back to single precision.
#[test]
fn what_is_off_most_is_given_back() {
    let place = Place::new();
    let graph = convolution(begun(), 1, "image", "a", [3, 8], 1.5).node("Relu", &["a"], &["ar"], &[]);
    let graph = graph
        .floats("w", &[2, 8, 1, 1], &numbers(7, 16, 0.5))
        .floats("b", &[2], &[2000.0, 2000.0])
        .node("Conv", &["ar", "w", "b"], &["scores"], &[])
        .gives("scores", 1, &[None, Some(2), None, None]);
    place.write("net.onnx", graph.bytes(17));
    judged_by(&place, "net.onnx");
    let asked =
        ["convert", "net.onnx", "-o", "f16.onnx", "--to", "f16", "--job", "judged.yaml", "--format", "json"];
    let ran = place.marquetry(&asked).ends_with(0);
    let document = ran.json();
    let kept = document["half"]["kept"].as_array().expect("nodes");
    assert_eq!(kept.len(), 1, "{document}");
    assert_eq!(kept[0]["node"], "node `Conv_2` (Conv)");
    assert!(kept[0]["why"].as_str().is_some_and(|why| why.starts_with("error of ")), "{document}");
    assert!(document["measured"]["agree"].as_f64() >= Some(0.999));
    ran.says(&["of labels are the same, and 99.9 % are needed: what is off most stays in f32 (1 node)"]);

    // With nothing else to it, the model is refused, with what was measured.
    let alone = begun()
        .floats("w", &[2, 3, 1, 1], &[0.2, -0.2, 0.0, -0.2, 0.2, 0.0])
        .floats("b", &[2], &[2000.0, 2000.0])
        .node("Conv", &["image", "w", "b"], &["scores"], &[])
        .gives("scores", 1, &[None, Some(2), None, None]);
    place.write("alone.onnx", alone.bytes(17));
    place
        .marquetry(&["convert", "alone.onnx", "-o", "no.onnx", "--to", "f16", "--job", "masks.yaml"])
        .ends_with(65)
        .says(&["does not bear it, and nothing is written", "% of labels are the same"]);
    assert!(!place.path("no.onnx").exists());
    let left: Vec<_> = std::fs::read_dir(place.path("")).expect("the folder").flatten().collect();
    assert!(
        left.iter().all(|entry| !entry.file_name().to_string_lossy().starts_with(".marquetry")),
        "{left:?}"
    );
}

#[test]
fn fixed_dimensions_and_one_file_change_no_bit() {
    let place = Place::new();
    let original = network().bytes(17);
    let (model, beside) = with_weights_beside(&original, &["net.bin"]).expect("weights beside");
    place
        .write("net.onnx", &original)
        .write("apart/net.onnx", model)
        .write("apart/net.bin", &beside[0].bytes);
    let side = format!("batch=1,height={SIDE},width={SIDE}");
    let document = converted(&place, "apart/net.onnx", "whole.onnx", &["--freeze", &side]);
    assert_eq!(document["embedded"]["files"], 1);
    assert_eq!(document["freeze"], json!({"batch": 1, "height": SIDE, "width": SIDE}));
    assert_eq!(document["on_noise"]["score_difference_max"], 0.0);
    let found = in_python(&place, &["net.onnx", "whole.onnx"]);
    assert_eq!(found[0].1, found[1].1, "bit for bit");
    assert!(found[1].0.starts_with("tensor(float) [1, 3, 40, 40]"), "{}", found[1].0);
    assert!(found[0].0.contains("'d0'"), "they were open: {}", found[0].0);

    place.write("images/one.bmp", crate::pictures::bmp(40, 56, 3));
    let job = "version: 1\nimages: images\nclasses: [a, b]\nmembers: [{onnx: net.onnx}]\ndefaults: {window: {size: 40}, input: {mean: 0, std: 1}}\noutputs: [{masks: png}]\n";
    place.write("job.yaml", job);
    let document =
        converted(&place, "net.onnx", "two.onnx", &["--freeze", "batch=2,size=40", "--job", "job.yaml"]);
    assert_eq!(
        (&document["measured"]["agree"], &document["measured"]["score_difference_max"]),
        (&json!(1.0), &json!(0.0))
    );

    let convert = |more: &[&str]| place.marquetry(&[&["convert", "-o", "no.onnx"], more].concat());
    convert(&["whole.onnx", "--freeze", "size=64"])
        .ends_with(65)
        .says(&["is fixed at 40, and cannot become 64"]);
    // Halved and enlarged, 41 rows are 40: what is joined does not fit.
    convert(&["net.onnx", "--freeze", "size=41"]).ends_with(65).says(&["cannot be loaded"]);
    convert(&["net.onnx"]).ends_with(64).says(&["nothing to do"]);
    convert(&["net.onnx", "--to", "f16"]).ends_with(64).says(&["--to f16 needs images", "--job"]);
    convert(&["net.onnx", "--freeze", "depth=3"]).ends_with(64).says(&["depth=3"]);
    convert(&["apart/net.onnx", "-o", "apart/net.bin"]).ends_with(64);
    assert!(!place.path("no.onnx").exists());
}

#[test]
fn numbers_too_small_to_be_normal_are_cleaned() {
    let place = Place::new();
    let mut weights = numbers(3, 6, 1.0);
    weights[1] = 1e-40;
    weights[4] = -f32::from_bits(7);
    let graph = begun()
        .floats("w", &[2, 3, 1, 1], &weights)
        .node("Conv", &["image", "w"], &["scores"], &[])
        .gives("scores", 1, &[None, Some(2), None, None]);
    place.write("net.onnx", graph.bytes(17));
    let document = converted(&place, "net.onnx", "clean.onnx", &["--clean-denormals"]);
    assert_eq!(document["denormals"], json!({"tensors": 1, "numbers": 2}));
    let found = in_python(&place, &["net.onnx", "clean.onnx"]);
    assert!(apart(&found[0].1, &found[1].1) < 1e-30);
    let clean = std::fs::read(place.path("clean.onnx")).expect("the file");
    let model = Model::read(&clean).expect("a model");
    let tensor = marquetry_onnx::Tensor::read(model.graph.initialisers["w"]).expect("a tensor");
    let kept = tensor.numbers().expect("floats");
    assert_eq!((kept[1], kept[4]), (0.0, 0.0));
    assert_eq!(kept[0], f64::from(weights[0]), "others stay");
}
