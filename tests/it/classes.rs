//! Which channels of a model are which class.

use crate::decode::Mask;
use crate::linear_models::{ROWS, comes_to, job, linear, logits, place, sigmoid, softmax};
use marquetry_model::Activation;
use marquetry_model::toy::Toy;

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
