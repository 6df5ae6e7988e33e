//! What a model's output means: its head, its activation, and which channels are which class. Every mask is compared with
//! a computation of its own here, in f64, from the pixels and the weights.

use crate::decode::Mask;
use crate::fixture::{Place, Ran};
use crate::pictures::{bmp, scene};
use marquetry_model::toy::{Toy, Weights};
use marquetry_model::{Activation, Element, OutputForm};
use std::sync::LazyLock;

const HEIGHT: usize = 90;
const WIDTH: usize = 120;

/// Rows of a linear model of three channels: weights and a bias.
const ROWS: [[f32; 4]; 4] =
    [[3.0, -6.0, 2.0, 0.6], [-5.0, 2.0, 4.0, -0.4], [2.0, 5.0, -7.0, 0.2], [1.0, -2.0, 1.5, -0.1]];

fn linear(rows: &[[f32; 4]]) -> Toy {
    let weights = Weights::Linear(rows.iter().map(|row| row.to_vec()).collect());
    Toy { classes: rows.len() as u32, weights, ..Toy::default() }
}

/// What a linear model says of pixel `at`.
fn logits(rows: &[[f32; 4]], at: usize) -> Vec<f64> {
    static PIXELS: LazyLock<Vec<u8>> = LazyLock::new(|| scene(HEIGHT, WIDTH, 7));
    let pixels = &*PIXELS;
    let x: Vec<f64> = (0..3).map(|k| f64::from(pixels[at * 3 + k]) / 255.0).collect();
    let one = |row: &[f32; 4]| (0..3).map(|k| f64::from(row[k]) * x[k]).sum::<f64>() + f64::from(row[3]);
    rows.iter().map(one).collect()
}

fn softmax(z: &[f64]) -> Vec<f64> {
    let sum: f64 = z.iter().map(|z| z.exp()).sum();
    z.iter().map(|z| z.exp() / sum).collect()
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

fn place() -> Place {
    let place = Place::new();
    place.write("images/a.bmp", bmp(HEIGHT, WIDTH, 7));
    place
}

/// A job of these classes and members, in windows that do not overlap in their weights' effect: models see one pixel.
fn job(store: &str, classes: &str, members: &str, more: &str) -> String {
    format!(
        "version: 1\nname: classes\nimages: images\nclasses: {classes}\ndefaults: {{window: {{size: 48}}}}\nmembers: {members}\n\
         outputs: [{{masks: png}}, {{report: html}}]\nstore: {store}\n{more}\n"
    )
}

/// Fails the test unless the mask of the job in `store` is, pixel by pixel, the greatest of `scores`; where two of them
/// are as good as equal either will do.
#[track_caller]
fn is_greatest(place: &Place, store: &str, scores: impl Fn(usize) -> Vec<f64>) {
    let mask = Mask::from_png(&place.outputs(store)["masks/a.png"]);
    assert_eq!((mask.height, mask.width), (HEIGHT, WIDTH));
    let mut seen = [0_usize; 8];
    for (at, &label) in mask.labels.iter().enumerate() {
        let scores = scores(at);
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!(scores[usize::from(label)] > best - 2e-3, "pixel {at}: label {label} of {scores:?}");
        seen[usize::from(label)] += 1;
    }
    assert!(seen.iter().filter(|n| **n > 50).count() > 1, "a mask of one class shows nothing: {seen:?}");
}

/// Runs a job in one tile a group and in tiles of members: both must come to the greatest of `scores`.
#[track_caller]
fn comes_to(
    place: &Place,
    name: &str,
    classes: &str,
    members: &str,
    more: &str,
    scores: impl Fn(usize) -> Vec<f64>,
) -> Ran {
    let mut last = None;
    for per in ["group", "member"] {
        let store = format!("{name}-{per}");
        place.write("job.yaml", job(&store, classes, members, &format!("tiles: {{per: {per}}}\n{more}")));
        let ran = place.run("job.yaml").ends_with(0);
        is_greatest(place, &store, &scores);
        last = Some(ran);
    }
    last.expect("two runs")
}

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
fn class_names_of_the_model_s_metadata_give_the_order() {
    let place = place();
    let named = |names: &str| vec![("class_names".to_owned(), names.to_owned())];
    place.model("a.onnx", &linear(&ROWS));
    let turned = [ROWS[2], ROWS[0], ROWS[3], ROWS[1]];
    let metadata = named(r#"["car", "sky", "tree", "road"]"#);
    place.model("p.onnx", &Toy { metadata, activation: Activation::Softmax, ..linear(&turned) });
    let metadata = vec![("names".to_owned(), "{0: 'dog', 1: 'road', 2: 'sky'}".to_owned())];
    place.model("s.onnx", &Toy { metadata, ..linear(&[ROWS[3], ROWS[1], ROWS[0]]) });
    let members = "[{onnx: a.onnx}, {onnx: p.onnx}]";
    let ran =
        comes_to(&place, "order", "[sky, road, car, tree]", members, "", |at| softmax(&logits(&ROWS, at)));
    ran.says(&["sky = channel 1 · road = channel 3 · car = channel 0 · tree = channel 2 (metadata)"]);
    let logit = "merge: {space: logits}";
    comes_to(&place, "logits", "[sky, road, car, tree]", members, logit, |at| logits(&ROWS, at));
    // A model that knows two of the classes, and one that is the background here.
    let members = "[{onnx: a.onnx}, {onnx: s.onnx, weight: 3}]";
    comes_to(&place, "subset", "[sky, road, car, tree]", members, "", |at| {
        let p = softmax(&logits(&ROWS, at));
        let q = softmax(&logits(&[ROWS[3], ROWS[1], ROWS[0]], at));
        vec![(p[0] + 3.0 * (q[2] + q[0])) / 4.0, (p[1] + 3.0 * q[1]) / 4.0, p[2], p[3]]
    });
    place.model("o.onnx", &Toy { metadata: named(r#"["x", "sky", "car", "road"]"#), ..linear(&ROWS) });
    place.write("job.yaml", job("none", "[sky, road, car, tree]", "[{onnx: o.onnx}]", ""));
    place.run("job.yaml").ends_with(65).says(&["x, sky, car, road", "output.classes"]);
    // Counted from 1, as lists of objects, and what cannot be made out.
    let label_map = |text: &str| vec![("label_map".to_owned(), text.to_owned())];
    let one = r#"{"1": "car", "2": "sky", "3": "tree", "4": "road"}"#;
    let list = r#"[{"id": 1, "name": "sky"}, {"id": 3, "name": "road"}, {"id": 0, "name": "car"}, {"id": 2, "name": "tree"}]"#;
    for (file, names) in [("one", one), ("list", list)] {
        place.model(&format!("{file}.onnx"), &Toy { metadata: label_map(names), ..linear(&turned) });
        let members = format!("[{{onnx: {file}.onnx}}]");
        comes_to(&place, file, "[sky, road, car, tree]", &members, "", |at| softmax(&logits(&ROWS, at)));
    }
    place.model("n.onnx", &Toy { metadata: label_map(r#"{"sky": [0], "road": [1]}"#), ..linear(&ROWS) });
    place.write("job.yaml", job("none", "[sky, road, car, tree]", "[{onnx: n.onnx}]", ""));
    place
        .run("job.yaml")
        .ends_with(0)
        .says(&["warning: n: its own metadata: `label_map` in it is {", "allow: [classes]"]);
}

/// Models of other people in one job: 21, 4, 2 and 1 channels, which speak of a person, or of a road, or of both.
#[test]
fn channels_are_mapped_to_classes_in_any_way() {
    let place = place();
    let many: Vec<[f32; 4]> = (0..21)
        .map(|k| {
            let [a, b, c] = [5, 7, 11].map(|step| ((k * step) % 13) as f32 / 2.0 - 3.0);
            [a, b, c, 0.1 * k as f32]
        })
        .collect();
    place.model("many.onnx", &linear(&many));
    place.model("four.onnx", &Toy { activation: Activation::Softmax, ..linear(&ROWS) });
    place.model("two.onnx", &linear(&ROWS[..2]));
    place.model("one.onnx", &Toy { activation: Activation::Sigmoid, ..linear(&ROWS[2..3]) });
    let members = "
  - {onnx: many.onnx, output: {classes: {person: 15}}}
  - {onnx: two.onnx, output: {classes: {person: 0, background: 1}}, weight: 2}
  - {onnx: one.onnx, weight: {person: 0.5}}";
    let person = |at: usize| {
        let [p, q] = [softmax(&logits(&many, at))[15], softmax(&logits(&ROWS[..2], at))[0]];
        let r = sigmoid(logits(&ROWS[2..3], at)[0]);
        let background = ((1.0 - p) + 2.0 * (1.0 - q) + (1.0 - r)) / 4.0;
        vec![background, (p + 2.0 * q + 0.5 * r) / 3.5]
    };
    let ran = comes_to(&place, "person", "[background, person]", members, "", person);
    ran.says(&["person = channel 15 · background = the rest (said)", "its one channel is `person`"]);

    // Sums, another order, and a class that only one member knows.
    let members = "
  - {onnx: four.onnx, output: {classes: {road: [1, 3]}}}
  - {onnx: many.onnx, output: {classes: {person: [15, 2], road: 7}, rest: drop}}";
    comes_to(&place, "road", "[road, person, nothing]", members, "decide: {background: nothing}", |at| {
        let (p, q) = (softmax(&logits(&ROWS, at)), logits(&many, at));
        let q = softmax(&[q[15], q[2], q[7]]);
        vec![(p[1] + p[3] + q[2]) / 2.0, q[0] + q[1], p[0] + p[2]]
    });

    place.write(
        "job.yaml",
        job("none", "[background, person]", "[{onnx: two.onnx, output: {classes: {person: 2}}}]", ""),
    );
    place.run("job.yaml").ends_with(65).says(&["class `person` is channel 2, and the head has 2 channels"]);
    let members = "[{onnx: two.onnx, output: {classes: {a: 0, b: 1}}}]";
    place.write("job.yaml", job("none", "[a, b, c]", members, ""));
    place.run("job.yaml").ends_with(65).says(&["class `c` has weight 0", "speaks for it"]);
    let members = "[{onnx: two.onnx, output: {classes: {a: 0, b: 1}}}, {onnx: four.onnx, output: {classes: {a: 0, b: 1, c: 2}}}]";
    place.write("job.yaml", job("none", "[a, b, c]", members, "merge: {space: logits}"));
    place.run("job.yaml").ends_with(65).says(&["merge.space", "merge in probabilities"]);
}

#[test]
fn classes_that_do_not_exclude_each_other_are_mapped_too() {
    let place = place();
    place.model("four.onnx", &linear(&ROWS));
    let members = "[{onnx: four.onnx, output: {multilabel: true, classes: {a: 2, b: [0, 3]}}}]";
    place.write("job.yaml", job("out", "[a, b]", members, ""));
    place.run("job.yaml").ends_with(0);
    let outputs = place.outputs("out");
    for (name, of) in [("a", &[2_usize][..]), ("b", &[0, 3])] {
        let mask = Mask::from_png(&outputs[&format!("masks/a/{name}.png")]);
        for (at, &label) in mask.labels.iter().enumerate() {
            let z = logits(&ROWS, at);
            let p: f64 = of.iter().map(|&k| sigmoid(z[k])).sum();
            assert!((p - 0.5).abs() < 2e-3 || (label == 1) == (p > 0.5), "{name} {at}: {label} of {p}");
        }
    }
}

#[test]
fn one_channel_is_the_class_that_is_not_the_background() {
    let place = place();
    let one = &ROWS[1..2];
    place.model("one.onnx", &linear(one));
    place.model("sigmoid.onnx", &Toy { activation: Activation::Sigmoid, ..linear(one) });
    for space in ["probabilities", "logits"] {
        let more = format!("decide: {{background: nothing}}\nmerge: {{space: {space}}}");
        let members = "[{onnx: one.onnx}, {onnx: sigmoid.onnx}]";
        let ran = comes_to(&place, space, "[cell, nothing]", members, &more, |at| {
            let p = sigmoid(logits(one, at)[0]);
            vec![p, 1.0 - p]
        });
        ran.says(&["its one channel is `cell`"]);
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
fn models_that_are_not_in_order_are_told() {
    let place = place();
    place.model("random.onnx", &Toy { dropout: true, ..linear(&ROWS[..2]) });
    let weights = Weights::Constant(vec![0.25, 0.75]);
    place.model("constant.onnx", &Toy { classes: 2, weights, ..Toy::default() });
    let members = "[{onnx: random.onnx}, {onnx: constant.onnx}]";
    place.write("job.yaml", job("out", "[a, b]", members, ""));
    for command in ["plan", "run"] {
        let ran = place.marquetry(&[command, "job.yaml"]).ends_with(0);
        ran.says(&[
            "random: two runs of the same input",
            "training mode",
            "constant: what it says does not depend",
        ]);
    }
    assert!(place.marquetry(&["inspect", "random.onnx"]).ends_with(0).stdout.contains("training mode"));
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

/// What is called background is it, wherever it stands and though the job does not say so.
#[test]
fn a_class_called_background_is_the_background_wherever_it_stands() {
    let place = place();
    let one = &ROWS[..1];
    place.model("one.onnx", &Toy { activation: Activation::Sigmoid, ..linear(one) });
    let members = "[{onnx: one.onnx}]";
    let ran = comes_to(&place, "last", "[building, background]", members, "", |at| {
        let p = sigmoid(logits(one, at)[0]);
        vec![p, 1.0 - p]
    });
    ran.says(&["its one channel is `building`"]);
}

/// As many means as channels, or one: anything else was cut off, or ended in a panic.
#[test]
fn a_mean_that_is_not_of_the_models_channels_is_refused() {
    let place = place();
    place.model("three.onnx", &linear(&ROWS[..3]));
    for (input, words) in [
        ("mean: [0.1, 0.5]", "input.mean: it has 2 values, and the model has 3 channels"),
        ("std: [0.1, 0.5, 0.2, 0.9]", "input.std: it has 4 values, and the model has 3 channels"),
    ] {
        let member = format!("[{{onnx: three.onnx, input: {{{input}}}}}]");
        place.write("job.yaml", job("mean", "[a, b, c]", &member, ""));
        place.run("job.yaml").ends_with(65).says(&[words]);
    }
}

/// Softmax does not heed a constant that is added to all logits, and weights by class of raw logits do.
#[test]
fn weights_that_differ_by_class_of_raw_logits_are_told() {
    let place = place();
    place.model("a.onnx", &linear(&ROWS[..3]));
    let raised: Vec<[f32; 4]> = ROWS[..3].iter().map(|row| [row[0], row[1], row[2], row[3] + 5.0]).collect();
    place.model("b.onnx", &linear(&raised));
    let members = "[{onnx: a.onnx, weight: {a: 0.25}}, {onnx: b.onnx}]";
    place.write("job.yaml", job("raw", "[a, b, c]", members, "merge: {space: logits}"));
    place.run("job.yaml").ends_with(0).says(&["it weighs differently by class", "tiles: {per: member}"]);
    place.write(
        "job.yaml",
        job("apart", "[a, b, c]", members, "merge: {space: logits}\ntiles: {per: member}"),
    );
    place.run("job.yaml").ends_with(0);
    // Both say the same of probabilities, so whatever they weigh the mean is that too.
    is_greatest(&place, "apart", |at| softmax(&logits(&ROWS[..3], at)));
}

/// However many members there are, and whatever numbers each of them says: one line for each kind.
#[test]
fn members_of_one_kind_share_a_line() {
    let place = place();
    let louder: Vec<[f32; 4]> = ROWS[..3].iter().map(|row| row.map(|w| w * 3.0)).collect();
    place.model("a.onnx", &linear(&ROWS[..3]));
    place.model("b.onnx", &linear(&louder));
    place.model("c.onnx", &Toy { activation: Activation::Softmax, ..linear(&ROWS[..3]) });
    place.write("job.yaml", job("kinds", "[a, b, c]", "[{onnx: \"{a,b,c}.onnx\"}]", ""));
    place.run("job.yaml").ends_with(0).says(&["member 2 alike: a, b: head", "member c: head"]);
}
