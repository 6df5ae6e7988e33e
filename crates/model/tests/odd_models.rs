//! Facts of real models of many shapes, from the folder that `MARQUETRY_ODD_MODELS` names.

use marquetry_geometry::Size;
use marquetry_model::{
    Activation, Batch, Fit, InspectOptions, IoRequest, ModelFacts, ModelFiles, OutputForm, Relation, Runtime,
    RuntimeSearch, SessionOptions, check_openvino, inspect, read_model, resolve,
};
use std::path::PathBuf;

#[allow(clippy::print_stdout, reason = "a test that skips must say so")]
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("MARQUETRY_ODD_MODELS").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: MARQUETRY_ODD_MODELS names no folder of models");
    }
    folder
}

fn facts(folder: &std::path::Path, name: &str) -> ModelFacts {
    let runtime = Runtime::load(&RuntimeSearch::from_process()).unwrap_or_else(|error| panic!("{error}"));
    let bytes = read_model(&folder.join(name).with_extension("onnx"));
    bytes
        .and_then(|bytes| inspect(&runtime, &bytes, &InspectOptions::default()))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What is expected of a model: input side, side of the output, form, classes, activation, batch, heads.
type Row = (&'static str, u32, u32, OutputForm, u32, Activation, char, usize);

#[test]
fn segmentation_models_are_read_rightly() {
    use Activation::{None, Sigmoid, Softmax};
    use OutputForm::{Nchw, Nhw};
    let Some(folder) = folder() else { return };
    // Batch: `1` for one only, `n` for any, `!` for any claimed and two failing.
    let rows: [Row; 12] = [
        ("different_output_size_512_to_484", 512, 484, Nchw, 2, Sigmoid, '1', 1),
        ("dummy_model", 512, 512, Nchw, 3, None, '1', 1),
        ("dummy_regression_model", 512, 512, Nchw, 1, None, '1', 1),
        ("dummy_regression_model_batched", 512, 512, Nchw, 1, None, 'n', 1),
        ("dummy_superresolution_model", 64, 128, Nchw, 3, None, '1', 1),
        ("one_output_sigmoid_bsx1x512x512", 512, 512, Nchw, 1, Sigmoid, 'n', 1),
        ("one_output_sigmoid_bsx512x512", 512, 512, Nhw, 1, Sigmoid, '!', 1),
        ("one_output_sigmoid_red_detector", 512, 512, Nchw, 1, Sigmoid, 'n', 1),
        ("one_output_softmax_bsx2x512x512", 512, 512, Nchw, 2, Softmax, 'n', 1),
        ("two_outputs_sigmoid_bsx1x512x512", 512, 512, Nchw, 1, Sigmoid, 'n', 2),
        ("two_outputs_sigmoid_bsx512x512", 512, 512, Nhw, 1, Sigmoid, '!', 2),
        ("two_outputs_softmax_bsx2x512x512", 512, 512, Nchw, 2, Softmax, 'n', 2),
    ];
    for (name, side, out, form, classes, activation, batch, heads) in rows {
        let facts = facts(&folder, name);
        assert_eq!(facts.refusal, Option::None, "{name}");
        let image = facts.image.as_ref().unwrap();
        assert_eq!((image.tried, image.channels), (Size::square(side), 3), "{name}");
        let found = match image.batch {
            Batch::Fixed(1) => '1',
            Batch::Fixed(_) => '?',
            Batch::Any => 'n',
            Batch::Broken(_) => '!',
        };
        assert_eq!(found, batch, "{name}: {:?}", image.batch);
        assert_eq!(facts.usable().count(), heads, "{name}");
        for (_, scores) in facts.usable() {
            let found = (scores.size, scores.form, scores.classes, scores.activation);
            assert_eq!(found, (Size::square(out), form, classes, activation), "{name}");
        }
        let wanted = IoRequest {
            head: Option::None,
            channels_out: Vec::new(),
            layout: Option::None,
            channels: Some(3),
            size: image.tried,
            batch: 2,
        };
        let signature = resolve(&facts, &wanted).unwrap().signature;
        assert_eq!(signature.batch, if batch == 'n' { 2 } else { 1 }, "{name}");
        println!("{}\n{}", facts.report(name), facts.member_yaml(&format!("{name}.onnx")));
    }
}

#[test]
fn outputs_of_another_size_are_laid_over_the_window() {
    let Some(folder) = folder() else { return };
    let relation = |name| {
        let facts = facts(&folder, name);
        let scores = facts.usable().next().unwrap().1.clone();
        (scores.relation, scores.fit)
    };
    assert_eq!(relation("different_output_size_512_to_484"), (Relation::Less(28), Fit::Centre));
    assert_eq!(relation("dummy_superresolution_model"), (Relation::Up(2), Fit::Resize));
}

#[test]
fn models_of_other_purposes_are_said_to_be_such() {
    let Some(folder) = folder() else { return };
    for (name, word) in [
        ("dummy_regression_model", "model_type"),
        ("dummy_regression_model_batched", "model_type"),
        ("dummy_superresolution_model", "2 times as large"),
    ] {
        let facts = facts(&folder, name);
        let doubt = facts.doubt.clone().unwrap_or_default();
        assert!(doubt.contains(word), "{name}: {doubt}");
        assert_eq!(facts.member_yaml("a.onnx"), "", "{name}");
    }
    for name in ["dummy_model", "different_output_size_512_to_484", "one_output_sigmoid_red_detector"] {
        assert_eq!(facts(&folder, name).doubt, None, "{name}");
    }
}

#[test]
fn metadata_and_class_names_are_read() {
    let Some(folder) = folder() else { return };
    let two = facts(&folder, "two_outputs_softmax_bsx2x512x512");
    assert_eq!(two.class_names, [["Coffee", "Tea"], ["Juice", "Beer"]]);
    let one = facts(&folder, "dummy_regression_model");
    assert_eq!(one.class_names, [["_background", "building", "woodland", "water", "road"]]);
    assert_eq!(one.metadata["tiles_size"], "256");
}

#[test]
fn a_model_without_scores_is_said_to_be_none() {
    let Some(folder) = folder() else { return };
    let facts = facts(&folder, "dummy_recognition_model");
    let reason = facts.refusal.clone().unwrap();
    assert!(
        reason.contains("224 numbers an image") && reason.contains("classifier or regressor"),
        "{reason}"
    );
    assert_eq!(facts.member_yaml("a.onnx"), "");
}

/// Whatever lies in the folder and can be run: OpenVINO says the same, or why it says nothing.
#[test]
fn openvino_computes_what_onnx_runtime_computes() {
    let Some(folder) = folder() else { return };
    let runtime = Runtime::load(&RuntimeSearch::from_process()).unwrap_or_else(|error| panic!("{error}"));
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    for path in files.filter(|path| path.extension().is_some_and(|end| end == "onnx")) {
        let Ok(onnx) = read_model(&path) else { continue };
        let Ok(facts) = inspect(&runtime, &onnx, &InspectOptions::default()) else { continue };
        let Some(image) = facts.image.as_ref().filter(|_| facts.refusal.is_none()) else { continue };
        let wanted = IoRequest {
            head: None,
            channels_out: Vec::new(),
            layout: None,
            channels: None,
            size: image.tried,
            batch: 1,
        };
        let Ok(resolved) = resolve(&facts, &wanted) else { continue };
        let model = ModelFiles { onnx, external: Vec::new() };
        let said =
            check_openvino(&runtime, &model, &resolved.signature, (&[], true), &SessionOptions::default());
        println!(
            "{}: {}",
            path.display(),
            said.map_or_else(|error| error.to_string(), |()| "the same".into())
        );
    }
}
