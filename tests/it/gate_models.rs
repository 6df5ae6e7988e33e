//! Models of a gate: which can be one, what is read of them, and the thresholds that `tune` fits.

use crate::fixture::{Place, same_files};
use crate::gate::{
    AREA, GATE, GATED, IMAGES, SEGMENTS, WIDTH, classifier, gates, greatest, has, is_gated, job, place, run,
};
use crate::linear_models::linear;
use crate::pictures::grey_png;
use marquetry_geometry::Size;
use marquetry_model::toy::{Sklearn, Toy};
use marquetry_model::{Activation, Element, Layout};

/// Several gates are averaged; what they say is the same with softmax, in other layouts and types, and with labels beside it.
#[test]
fn models_are_averaged_and_read_in_many_forms() {
    let place = place();
    let one = classifier(&GATE, Activation::Softmax);
    let other = classifier(&[GATE[0], GATE[2], GATE[1]], Activation::Sigmoid);
    place.model("one.onnx", &one).model("other.onnx", &other);
    // Two images a run, other axes and other numbers.
    let (layout, element_out) = (Layout::Nhwc, Element::F64);
    place.model("odd.onnx", &Toy { batch: Some(2), layout, element_out, ..one.clone() });
    for (store, models) in [
        ("one", "[{onnx: one.onnx}]"),
        ("other", "[{onnx: other.onnx}]"),
        ("both", "[{onnx: one.onnx}, {onnx: other.onnx}]"),
        ("pattern", "[{onnx: 'o{ne,ther}.onnx'}]"),
        ("skl", "[{onnx: skl.onnx}]"),
        ("odd", "[{onnx: odd.onnx}]"),
    ] {
        place.write("skl.onnx", Sklearn { of: one.clone(), zipmap: false }.bytes());
        run(&place, job(store, &format!("tiles: {{keep: true}}\ngate: {{models: {models}}}")));
    }
    let [first, second, both, pattern, skl] =
        ["one", "other", "both", "pattern", "skl"].map(|store| gates(&place, store));
    assert_eq!((both.len(), &both, &first), (IMAGES, &pattern, &skl));
    for (both, (first, second)) in both.iter().zip(first.iter().zip(&second)) {
        assert_eq!(both[0], None, "the background is always allowed");
        for class in 1..3 {
            let mean = f64::midpoint(first[class].unwrap(), second[class].unwrap());
            assert_eq!(both[class].map(f64::to_bits), Some(mean.to_bits()));
        }
    }
    for (odd, first) in gates(&place, "odd").iter().zip(&first) {
        let near = |class: usize| (odd[class].unwrap() - first[class].unwrap()).abs() < 1e-6;
        assert!(near(1) && near(2), "{odd:?} {first:?}");
    }
    place.write("skl.onnx", Sklearn { of: one, zipmap: true }.bytes());
    place.write("job.yaml", job("zipmap", "gate: {models: [{onnx: skl.onnx}]}"));
    place.run("job.yaml").ends_with(65).says(&["gate.models[0]", "options={'zipmap': False}"]);
}

/// A head of a segmentation model, one channel for everything, and channels that are named.
#[test]
fn heads_and_channels_are_found_or_said() {
    let place = place();
    let heads = ["seg".to_owned(), "presence".to_owned()].to_vec();
    let rows: Vec<[f32; 4]> = GATE.to_vec();
    let two = Toy { heads, size: Some(Size::square(48)), ..classifier(&rows, Activation::Sigmoid) };
    place.model("two.onnx", &two);
    run(&place, job("found", "tiles: {keep: true}\ngate: {models: [{onnx: two.onnx}]}"));
    run(
        &place,
        job("said", "tiles: {keep: true}\ngate: {models: [{onnx: two.onnx, head: presence, size: 48}]}"),
    );
    assert_eq!(gates(&place, "found"), gates(&place, "said"));
    same_files(&place.outputs("found"), &place.outputs("said"));
    place.write("job.yaml", job("no", "gate: {models: [{onnx: two.onnx, head: seg}]}"));
    place.run("job.yaml").ends_with(65).says(&["`seg` cannot be used", "no scores of the image"]);
    // One channel speaks of all that is no background.
    place.model("any.onnx", &classifier(&GATE[1..2], Activation::Sigmoid));
    run(&place, job("any", "tiles: {keep: true}\ngate: {models: [{onnx: any.onnx}]}"));
    for said in gates(&place, "any") {
        assert!(said[0].is_none() && said[1].is_some() && said[1] == said[2], "{said:?}");
    }
    // A class that nobody speaks of is always allowed.
    let crack = "{onnx: gate.onnx, classes: {crack: 2}}";
    run(&place, job("crack", &format!("tiles: {{keep: true, dtype: f32}}\ngate: {{models: [{crack}]}}")));
    run(&place, job("free", "tiles: {dtype: f32}"));
    let denies = |n: usize| [false, !has(n)[1], false];
    is_gated(&place.outputs("free"), &place.outputs("crack"), denies, |p| greatest(p.iter().copied()));
}

#[test]
fn what_cannot_be_a_gate_is_refused_before_anything_runs() {
    let place = place();
    place.model("pixels.onnx", &linear(&SEGMENTS));
    place.model("open.onnx", &Toy { size: None, ..classifier(&GATE, Activation::Sigmoid) });
    place.model("five.onnx", &classifier(&[GATE[0]; 5], Activation::Sigmoid));
    place.model("logits.onnx", &classifier(&GATE, Activation::None));
    for (gate, words) in [
        (
            "{onnx: pixels.onnx, size: 24}",
            ["pixels.onnx: it does not say which classes", "no scores of the image"],
        ),
        ("{onnx: open.onnx}", ["size: the model takes images of any size", "what it was trained on"]),
        ("{onnx: five.onnx}", ["its 5 channels cannot be told", "classes: {crack: CHANNEL}"]),
        ("{onnx: logits.onnx}", ["3 channels are scores without an activation", "multilabel: false"]),
        (
            "{onnx: logits.onnx, activation: sigmoid}",
            ["activation: sigmoid makes probabilities", "say activation: none"],
        ),
        ("{onnx: gate.onnx, size: 32}", ["takes 24 × 24 px", "or leave it out"]),
        ("{onnx: gate.onnx, classes: {crack: 3}}", ["there is no channel 3", "3 channels"]),
        ("{onnx: none.onnx}", ["gate.models[0]", "there is no such file"]),
    ] {
        place.write("job.yaml", job("no", &format!("gate: {{models: [{gate}]}}")));
        place.marquetry(&["plan", "job.yaml"]).ends_with(65).says(&words);
    }
    assert!(!place.path("no").exists());
    place.write("job.yaml", job("yes", "gate: {models: [{onnx: open.onnx, size: 24}]}"));
    let planned = place.marquetry(&["plan", "job.yaml"]).ends_with(0).stdout;
    let line = "# gate      open: head `open.onnx";
    let line =
        planned.lines().find(|text| text.starts_with(&line[..15])).unwrap_or_else(|| panic!("{planned}"));
    for words in [
        "3 channels (measured)",
        "sigmoid",
        "24 × 24 px (said)",
        "channels in the order of classes (default)",
    ] {
        assert!(line.contains(words), "{line}");
    }
}

/// `tune` writes the greatest thresholds that keep what images truly have, and tells what they come to.
#[test]
fn tune_fits_thresholds_that_lose_no_image() {
    let place = place();
    for n in 0..IMAGES {
        // What is there is what the gate thinks, but that image 5, which is not red, has a crack too.
        let [crack, dent] = has(n);
        let class = |at: usize| match at / WIDTH {
            0..20 if crack || n == 5 => 1,
            30..50 if dent => 2,
            _ => 0,
        };
        place.write(&format!("labels/{n}.png"), grey_png(WIDTH, &(0..AREA).map(class).collect::<Vec<u8>>()));
    }
    place.write("job.yaml", job("out", &format!("truth: labels\n{GATED}")));
    let tuned = place.marquetry(&["tune", "job.yaml", "--format", "json"]).ends_with(0).json();
    let said = gates_by_image(&place);
    let fitted = |class: usize| &tuned["gate"][class - 1]["fitted"];
    let least = |class: usize, images: &[usize]| {
        images.iter().map(|n| said[*n][class].expect("a model speaks of it")).fold(1.0, f64::min)
    };
    for (class, images) in [(1, &[0, 2, 4, 5][..]), (2, &[0, 3])] {
        let threshold = fitted(class)["threshold"].as_f64().expect("a number") as f32;
        assert_eq!(threshold, least(class, images) as f32, "{tuned}");
        assert_eq!(
            (&fitted(class)["has"], &fitted(class)["allowed"]),
            (&images.len().into(), &images.len().into())
        );
    }
    assert_eq!(fitted(1)["allowed_held_out"], 3, "without image 5 its crack is lost: {tuned}");
    assert_eq!(fitted(2)["denied"], 4);
    let written = std::fs::read_to_string(place.path("job-tuned.yaml")).expect("the tuned job");
    assert!(written.contains("threshold:"), "{written}");
    let told = place.marquetry(&["run", "job-tuned.yaml", "--format", "json"]).ends_with(0).json();
    for (class, of) in told["gate"]["classes"].as_array().expect("classes").iter().enumerate() {
        assert_eq!(of["truth"]["has"], of["truth"]["allowed"], "{told}");
        assert_eq!(of["denied"], fitted(class + 1)["denied"]);
    }
    let text = place.marquetry(&["tune", "job.yaml"]).ends_with(0).stdout;
    let held_out = "(100.00 %; 75.00 % where it was fitted to other groups)";
    let line = format!("allowed in 4 of 4 images that truly have it {held_out}");
    assert!(text.contains("gate: `crack`: threshold") && text.contains(&line), "{text}");
}

/// What the gate says of each image, in their order, by the report of a run of its own.
fn gates_by_image(place: &Place) -> Vec<Vec<Option<f64>>> {
    let mut all = Vec::new();
    for n in 0..IMAGES {
        let text = job(&format!("alone-{n}"), &format!("tiles: {{keep: true}}\n{GATED}"));
        place.write("alone.yaml", text.replace("images: images", &format!("images: images/{n}.bmp")));
        place.run("alone.yaml").ends_with(0);
        all.extend(gates(place, &format!("alone-{n}")));
    }
    all
}
