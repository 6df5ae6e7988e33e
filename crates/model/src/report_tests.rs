use super::*;
use crate::toy::{InputScaling, Toy};
use crate::{Element, InspectOptions, OutputForm, inspect};
use marquetry_geometry::Size;

fn facts(toy: &Toy, size: Size) -> ModelFacts {
    inspect(
        &crate::runtime::for_tests(),
        &toy.bytes(),
        &InspectOptions { size: Some(size), ..Default::default() },
    )
    .unwrap()
}

#[test]
fn the_report_is_aligned_text() {
    let toy = Toy { classes: 2, single: true, activation: Activation::Softmax, ..Default::default() };
    let report = facts(&toy, Size::square(32)).report("models/a.onnx");
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines[0], "model     models/a.onnx");
    assert_eq!(lines[2], "input     image  f32 [N, 3, H, W]");
    assert_eq!(lines[3], "            axes      nchw, 3 channels");
    assert_eq!(lines[4], "            window    any, tried at 32 × 32 px");
    assert!(
        lines[5].starts_with(
            "            batch     1: it declares any, but 2 fail (running the model on cpu failed: Reshape"
        ),
        "{report}"
    );
    assert!(lines[6].starts_with("output    scores  f32 ["), "{report}");
    assert_eq!(lines[7], "            axes      [n, C, H, W], 2 classes");
    assert_eq!(lines[8], "            size      32 × 32 px, as the input");
    assert!(
        lines[9].starts_with("            values    softmax: in 0..1, summing to 1; seen 0."),
        "{report}"
    );
    assert_eq!(lines[10..], ["verdict   a segmentation model"]);
}

#[test]
fn the_member_entry_says_what_the_defaults_do_not() {
    let toy = Toy {
        channels: 1,
        valid: true,
        kernel: 9,
        form: OutputForm::Nhwc,
        activation: Activation::Sigmoid,
        ..Default::default()
    };
    let facts = facts(&toy, Size::new(64, 96));
    assert_eq!(
        facts.member_yaml("models/fold 0.onnx"),
        "- onnx: \"models/fold 0.onnx\"\n  window: {size: [64, 96]}\n  input: {layout: nchw}  # mean and std as in \
         training, if there were any: the model does not say\n  output: {head: scores, activation: sigmoid, fit: centre}  # \
         the class that is not the background\n"
    );
}

#[test]
fn the_member_entry_has_the_mean_and_deviation_of_the_metadata() {
    let pair = |key: &str, text: &str| (key.to_owned(), text.to_owned());
    let metadata = vec![pair("mean", "[0.485, 0.456, 0.406]"), pair("std", "[0.229, 0.224, 0.225]")];
    let entry = |toy: &Toy| facts(toy, Size::square(32)).member_yaml("a.onnx");
    let plain = Toy { metadata: metadata.clone(), ..Default::default() };
    assert!(
        entry(&plain).contains(
            "input: {layout: nchw, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}  # by its own metadata \
             (`mean`, `std`)\n"
        ),
        "{}",
        entry(&plain)
    );
    // Where the graph scales samples, that may well be what it does.
    let inside = Toy { metadata, scaling: Some(InputScaling::Sub(0.485)), ..Default::default() };
    assert!(
        entry(&inside).contains("{layout: nchw}  # its own metadata has mean: [0.485"),
        "{}",
        entry(&inside)
    );
}

#[test]
fn a_model_that_cannot_be_a_member_has_no_entry_and_a_verdict() {
    let facts =
        facts(&Toy { pooled: true, element_out: Element::F16, ..Default::default() }, Size::square(32));
    assert_eq!(facts.member_yaml("a.onnx"), "");
    let report = facts.report("a.onnx");
    assert!(
        report.contains("verdict   not a segmentation model: output `scores`: it gives 1 numbers an image"),
        "{report}"
    );
}

#[test]
fn names_that_yaml_would_misread_are_quoted() {
    for (name, written) in [
        ("scores", "scores"),
        ("12", "\"12\""),
        ("no", "\"no\""),
        ("a: b", "\"a: b\""),
        ("../m.onnx", "\"../m.onnx\""),
    ] {
        assert_eq!(scalar(name), written);
    }
}
