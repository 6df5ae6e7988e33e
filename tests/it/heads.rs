//! Heads of models: which of several is used, what its activation is, and labels that a model has decided.

use crate::linear_models::{ROWS, comes_to, job, linear, logits, place, sigmoid, softmax};
use marquetry_model::toy::{Toy, Weights};
use marquetry_model::{Activation, Element, OutputForm};

#[test]
fn the_activation_is_measured() {
    let place = place();
    for (name, activation) in
        [("none", Activation::None), ("softmax", Activation::Softmax), ("sigmoid", Activation::Sigmoid)]
    {
        place.model(&format!("{name}.onnx"), &Toy { activation, ..linear(&ROWS[..3]) });
    }
    let members = "[{onnx: none.onnx}, {onnx: softmax.onnx, weight: 2}]";
    let ran = comes_to(&place, "auto", "[a, b, c]", members, "", |at| softmax(&logits(&ROWS[..3], at)));
    ran.says(&["activation none, as values lie beyond", "activation softmax, as values"]);
    let ran = comes_to(&place, "single", "[a, b, c]", "[{onnx: sigmoid.onnx}]", "", |at| {
        logits(&ROWS[..3], at).into_iter().map(sigmoid).collect()
    });
    ran.says(&["activation sigmoid, as values lie in 0 to 1"]);
    // Two that are nearly sure are told apart in f32 alone.
    for (tiles, ties) in [("tiles: {dtype: f16}", true), ("tiles: {dtype: f32}", false)] {
        place.write("job.yaml", job("ties", "[a, b, c]", "[{onnx: sigmoid.onnx}]", tiles));
        let told = place.marquetry(&["plan", "job.yaml"]).ends_with(0).stderr;
        assert_eq!(
            told.contains("member sigmoid has a sigmoid") && told.contains("tie in f16"),
            ties,
            "{told}"
        );
    }
    place.model("one.onnx", &Toy { activation: Activation::Sigmoid, ..linear(&ROWS[..1]) });
    comes_to(&place, "binary", "[background, object]", "[{onnx: one.onnx}]", "", |at| {
        let p = sigmoid(logits(&ROWS[..1], at)[0]);
        vec![1.0 - p, p]
    });
}

#[test]
fn what_is_said_and_cannot_be_is_refused_and_what_is_suspicious_is_told() {
    let place = place();
    place.model("logits.onnx", &linear(&ROWS[..3]));
    place.model("softmax.onnx", &Toy { activation: Activation::Softmax, ..linear(&ROWS[..3]) });
    for said in ["sigmoid", "softmax"] {
        let members = format!("[{{onnx: logits.onnx, output: {{activation: {said}}}}}]");
        place.write("job.yaml", job("impossible", "[a, b, c]", &members, ""));
        for command in ["plan", "run"] {
            let ran = place.marquetry(&[command, "job.yaml"]).ends_with(65);
            ran.says(&[
                "logits.onnx",
                &format!("{said} makes probabilities from 0 to 1"),
                "say activation: none",
            ]);
        }
    }
    assert!(!place.path("impossible/jobs").exists(), "nothing was run");

    let members = "[{onnx: softmax.onnx, output: {activation: none}}]";
    let words = ["warning: softmax: output.activation says none", "applied twice", "allow: [activation]"];
    place.write("job.yaml", job("suspicious", "[a, b, c]", members, ""));
    let plan = place.marquetry(&["plan", "job.yaml", "--format", "json"]).ends_with(0).says(&words).json();
    assert_eq!(plan["findings"]["warnings"][0]["allow"], "activation");
    assert_eq!(plan["findings"]["members"][0]["activation"]["from"], "said");
    place.run("job.yaml").ends_with(0).says(&words);
    let report =
        std::fs::read_to_string(place.path(&format!("{}/out/report.html", place.job_folder("suspicious"))));
    let report = report.expect("a report");
    assert!(report.contains("applied twice") && report.contains("activation none (said)"));

    place.write("job.yaml", job("allowed", "[a, b, c]", members, "allow: [activation]"));
    let ran = place.run("job.yaml").ends_with(0);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
}

#[test]
fn the_head_of_scores_is_used_among_several() {
    let place = place();
    let mut rows: Vec<Vec<f32>> = ROWS.iter().map(|row| row.to_vec()).collect();
    rows.extend((0..4).map(|_| vec![9.0, -9.0, 9.0, 0.0]));
    let heads: Vec<String> = ["f0", "seg", "aux_seg", "f1"].map(str::to_owned).into();
    let head_classes = vec![8, 4, 4, 8];
    let toy = Toy { heads, head_classes, weights: Weights::Linear(rows), ..Toy::default() };
    place.model("heads.onnx", &toy);
    let ran = comes_to(&place, "heads", "[a, b, c, d]", "[{onnx: heads.onnx}]", "", |at| {
        softmax(&logits(&ROWS, at))
    });
    ran.says(&["head `seg` of 4 channels (measured)"]);
    place.write("job.yaml", job("none", "[a, b, c]", "[{onnx: heads.onnx}]", ""));
    place.run("job.yaml").ends_with(65).says(&["`f0` (8 channels, 48 × 48 px)", "`seg` (4 channels"]);
    place.write("job.yaml", job("none", "[a, b]", "[{onnx: heads.onnx, output: {head: x}}]", ""));
    place.run("job.yaml").ends_with(65).says(&["no output `x`", "`f0` (8 channels", "`seg` (4 channels"]);
}

/// A boundary of one channel goes with two classes by its number alone.
#[test]
fn a_head_that_happens_to_have_the_right_number_of_channels_is_not_taken_in_silence() {
    let place = place();
    let rows: Vec<Vec<f32>> =
        ROWS.iter().map(|row| row.to_vec()).chain([vec![9.0, -9.0, 9.0, 0.0]]).collect();
    for (first, second, ends, says) in [
        ("seg", "edge", 65, ["`seg` (4 channels", "`edge` (1 channel"]),
        ("out", "other", 0, ["`other` of 1 channel is used", "`out` has 4 channels"]),
    ] {
        let toy = Toy {
            heads: vec![first.to_owned(), second.to_owned()],
            head_classes: vec![4, 1],
            weights: Weights::Linear(rows.clone()),
            ..Toy::default()
        };
        place.model("two.onnx", &toy).write("job.yaml", job("two", "[a, b]", "[{onnx: two.onnx}]", ""));
        place.marquetry(&["plan", "job.yaml"]).ends_with(ends).says(&says);
    }
}

#[test]
fn labels_that_a_model_decided_are_votes() {
    let place = place();
    let decided = |rows: &[[f32; 4]], element_out, form| Toy {
        activation: Activation::Labels,
        element_out,
        form,
        ..linear(rows)
    };
    let turned = [ROWS[2], ROWS[0], ROWS[1]];
    place.model("i64.onnx", &decided(&ROWS[..3], Element::I64, OutputForm::Nhw));
    place.model("i32.onnx", &decided(&turned, Element::I32, OutputForm::Nchw));
    place.model("u8.onnx", &decided(&ROWS, Element::U8, OutputForm::Nhwc));
    let winner = |rows: &[[f32; 4]], at: usize| {
        let z = logits(rows, at);
        let best = (0..z.len()).max_by(|&a, &b| z[a].total_cmp(&z[b])).expect("classes");
        let is_close = (0..z.len()).any(|k| k != best && z[best] - z[k] < 1e-4);
        (!is_close).then_some(best)
    };
    let members = "
  - {onnx: i64.onnx, weight: 2}
  - {onnx: i32.onnx, weight: 1.5, output: {classes: {a: 1, b: 2, c: 0}}}
  - {onnx: u8.onnx, output: {classes: {b: [1, 3], c: 2}}}";
    let ran = comes_to(&place, "votes", "[a, b, c]", members, "", |at| {
        let said = [winner(&ROWS[..3], at), winner(&turned, at), winner(&ROWS, at)];
        let mut votes = vec![0.0; 3];
        // Where two are as good as equal for a model, any class will do.
        let [Some(first), Some(second), Some(third)] = said else { return votes };
        votes[first] += 2.0;
        votes[[2, 0, 1][second]] += 1.5;
        votes[[0, 1, 2, 1][third]] += 1.0;
        votes
    });
    ran.says(&["activation labels", "votes: probabilities are shares of votes", "b = label 1 + 3"]);
    place.write("job.yaml", job("none", "[a, b, c]", "[{onnx: u8.onnx}]", ""));
    place.run("job.yaml").ends_with(65).says(&["labels up to 3", "output.classes"]);
    place
        .write("job.yaml", job("none", "[a, b, c]", "[{onnx: i64.onnx, output: {activation: softmax}}]", ""));
    place.run("job.yaml").ends_with(65).says(&["holds labels", "say activation: labels"]);
}

/// A comparison that was exported is of the class that is not background, as its scores would be.
#[test]
fn a_mask_of_truth_values_is_of_the_class_that_is_not_background() {
    let place = place();
    let toy = Toy {
        activation: Activation::Labels,
        element_out: Element::Bool,
        form: OutputForm::Nchw,
        ..linear(&ROWS[..2])
    };
    place.model("bool.onnx", &toy);
    for (store, classes, object) in
        [("plain", "[a, b]", 1), ("first", "[background, b]", 1), ("last", "[a, background]", 0)]
    {
        let ran = comes_to(&place, store, classes, "[{onnx: bool.onnx}]", "", |at| {
            let z = logits(&ROWS[..2], at);
            let is_close = (z[0] - z[1]).abs() < 1e-4;
            let mut scores = vec![0.0; 2];
            if !is_close {
                scores[if z[1] > z[0] { object } else { 1 - object }] = 1.0;
            }
            scores
        });
        ran.says(&["activation sigmoid, as values are only 0 and 1"]);
    }
}

/// Whatever type a mask of labels has that a model hands over: few bits, unsigned.
#[test]
fn masks_of_every_whole_type_are_labels() {
    let place = place();
    for element_out in [Element::I8, Element::U16, Element::I16, Element::U32, Element::U64] {
        let store = element_out.to_string();
        let toy =
            Toy { activation: Activation::Labels, element_out, form: OutputForm::Nchw, ..linear(&ROWS[..2]) };
        place.model(&format!("{store}.onnx"), &toy);
        let ran = comes_to(&place, &store, "[a, b]", &format!("[{{onnx: {store}.onnx}}]"), "", |at| {
            let z = logits(&ROWS[..2], at);
            let is_close = (z[0] - z[1]).abs() < 1e-4;
            if is_close {
                vec![0.0; 2]
            } else {
                vec![f64::from(u8::from(z[0] > z[1])), f64::from(u8::from(z[0] < z[1]))]
            }
        });
        ran.says(&["activation labels"]);
    }
}

#[test]
fn the_entry_that_inspect_prints_runs_as_it_is() {
    let place = place();
    place.model("one.onnx", &Toy { activation: Activation::Sigmoid, ..linear(&ROWS[..1]) });
    let said = place.marquetry(&["inspect", "--window", "48", "one.onnx"]).ends_with(0).stdout;
    let entry = said.split("job file:").nth(1).expect("an entry").trim_start();
    let members = format!("\n{entry}");
    comes_to(&place, "entry", "[background, object]", &members, "", |at| {
        let p = sigmoid(logits(&ROWS[..1], at)[0]);
        vec![1.0 - p, p]
    });
}
