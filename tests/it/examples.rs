//! The job files of `examples/` that judge labels and run every night, with small images and models in their folders; and the
//! job that a stranger comes with: images, COCO labels, five fold models.

use crate::decode::{Mask, csv};
use crate::fixture::Place;
use crate::pictures::{bmp, bmp_of, grey_png, scene};
use marquetry_geometry::Size;
use marquetry_model::Activation;
use marquetry_model::toy::{Toy, Weights};
use serde_json::{Value, json};

const SIDE: usize = 64;
const IMAGES: u64 = 30;
/// The image whose label was made wrong.
const WRONG: u64 = 11;

/// A model of two classes: which side of a plane in the space of colours a pixel lies on, a little otherwise for each seed.
fn model(seed: u64) -> Toy {
    let tilt = seed as f32 * 0.05;
    let rows = vec![vec![-6.0, 2.0 - tilt, 0.0, 1.6], vec![6.0, -2.0, tilt, -1.6]];
    Toy { classes: 2, weights: Weights::Linear(rows), activation: Activation::Softmax, ..Toy::default() }
}

/// What the plainest of these models says of each image, but for a square of one of them.
fn labels(place: &Place) -> Vec<Vec<u8>> {
    place.model("plain.onnx", &model(0));
    place.write(
        "plain.yaml",
        "version: 1\nimages: data/nuclei/images\nclasses: [background, nucleus]\ndefaults: {window: {size: 64}}\n\
         members: [{onnx: plain.onnx}]\noutputs: [{masks: png}]\nstore: plain\n",
    );
    place.run("plain.yaml").ends_with(0);
    let masks = place.outputs("plain");
    let of_image = |n: u64| {
        let mut labels = Mask::from_png(&masks[&format!("masks/{n:02}.png")]).labels;
        if n == WRONG {
            for y in 16..48 {
                labels[y * SIDE + 16..y * SIDE + 48].iter_mut().for_each(|label| *label = 1 - *label);
            }
        }
        labels
    };
    (0..IMAGES).map(of_image).collect()
}

fn place() -> Place {
    let place = Place::new();
    for n in 0..IMAGES {
        place.write(&format!("data/nuclei/images/{n:02}.bmp"), bmp(SIDE, SIDE, n));
    }
    for fold in 0..5 {
        place.model(&format!("models/nuclei/fold{fold}.onnx"), &model(fold));
        for seed in 0..2 {
            place.model(&format!("models/nuclei/fold{fold}_seed{seed}.onnx"), &model(fold + seed));
        }
    }
    place
}

/// An example over images and models as they are here.
fn small(example: &str) -> String {
    let input = "  input: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}\n";
    assert!(example.contains(input) && example.contains("size: 256"));
    example.replace(input, "").replace("size: 256", "size: 32")
}

/// The row of a table that is ranked first, without its header.
fn first_of(table: &[u8]) -> Vec<String> {
    csv(table).into_iter().nth(1).expect("a row")
}

/// Labels, a fold and a group for each image.
fn labelled() -> Place {
    let place = place();
    let mut list = "image_id,path,fold,label,group\n".to_owned();
    for (n, labels) in labels(&place).iter().enumerate() {
        place.write(&format!("data/nuclei/labels/{n:02}.png"), grey_png(SIDE, labels));
        list += &format!("{n:02},images/{n:02}.bmp,{},labels/{n:02}.png,{}\n", n % 5, n % 10);
    }
    place.write("data/nuclei/folds.csv", list);
    place
}

#[test]
fn an_ensemble_is_tuned_to_labels_and_runs_as_it_is_written() {
    let place = labelled();
    place.write("tune.yaml", small(include_str!("../../examples/tune.yaml")));
    let told = place.marquetry(&["tune", "tune.yaml"]).ends_with(0).stdout;
    for said in ["(10 groups)", "fold*_seed0", "class factors", "member weights", "wrote tune-tuned.yaml"] {
        assert!(told.contains(said), "{said} in {told}");
    }
    let summary = place.run("tune-tuned.yaml").ends_with(0).json();
    assert_eq!(summary["tally"]["forwards"], 0, "{summary}");
}

#[test]
fn labels_are_judged_by_members_that_have_not_seen_them() {
    let place = labelled();
    place.write("judged.yaml", small(include_str!("../../examples/judged.yaml")));
    place.run("judged.yaml").ends_with(0);
    let outputs = place.outputs("out");
    let row = first_of(&outputs["label-quality/labels.csv"]);
    assert_eq!(row[1], format!("{WRONG:02}"), "{row:?}");
    let evaluation: Value = serde_json::from_slice(&outputs["evaluation/evaluation.json"]).expect("JSON");
    let iou = evaluation["mean_iou"]["dataset"].as_f64().expect("a number");
    assert!(iou > 0.8 && iou < 1.0, "{iou}");
    assert!(outputs.contains_key(&format!("corrected_labels/{WRONG:02}.png")));
}

#[test]
fn the_nightly_job_finds_nothing_to_do_and_says_what_changed() {
    let place = place();
    for (n, labels) in labels(&place).iter().enumerate() {
        place.write(&format!("data/nuclei/masks/{n:02}.png"), grey_png(SIDE, labels));
    }
    place.write("nightly.yaml", small(include_str!("../../examples/nightly.yaml")));
    place.run("nightly.yaml").ends_with(0).says(&["30 new"]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    place.run("nightly.yaml").ends_with(0).says(&["30 the same"]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    place.write("data/nuclei/images/03.bmp", bmp(SIDE, SIDE, 77));
    place.run("nightly.yaml").ends_with(0).says(&["1 another content, 29 the same"]);
    let told = place.marquetry(&["diff", "out/nights/nightly"]).ends_with(0).stdout;
    assert!(told.contains("29 the same, 1 changed, 0 new, 0 gone") && told.contains("changed  03"), "{told}");
}

/// Images, COCO labels and five fold models; one job file; scores out of fold, an evaluation, suspicious labels, and
/// pseudo-labels to train on.
#[test]
fn a_stranger_gets_all_of_it_from_one_job_file() {
    let place = place();
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    let mut list = "image_id,path,fold\n".to_owned();
    for (n, labels) in labels(&place).iter().enumerate() {
        images.push(json!({"id": n, "file_name": format!("{n:02}.bmp"), "height": SIDE, "width": SIDE}));
        // Run lengths down the columns, the first of zeros.
        let columns = (0..SIDE * SIDE).map(|at| labels[at % SIDE * SIDE + at / SIDE]);
        let (mut counts, mut last) = (vec![0_u64], 0);
        for label in columns {
            if label != last {
                counts.push(0);
                last = label;
            }
            *counts.last_mut().expect("one") += 1;
        }
        annotations.push(json!({"id": n, "image_id": n, "category_id": 1, "iscrowd": 0,
            "segmentation": {"size": [SIDE, SIDE], "counts": counts}, "area": 1, "bbox": [0, 0, SIDE, SIDE]}));
        list += &format!("{n:02},data/nuclei/images/{n:02}.bmp,{}\n", n % 5);
    }
    let coco =
        json!({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "nucleus"}]});
    place.write("train.json", coco.to_string()).write("train.csv", list);
    place.write(
        "job.yaml",
        "version: 1\nimages: train.csv\ntruth: train.json\nclasses: [background, nucleus]\n\
         defaults: {window: {size: 32, overlap: 0.5}}\nmembers: [{onnx: 'models/nuclei/fold{0..4}.onnx'}]\nfolds: out_of_fold\n\
         outputs:\n  - {probabilities: zarr}\n  - {evaluation: html}\n  - {label_quality: html}\n  - {pseudo_labels: png, share: 0.5}\n\
         store: out\n",
    );
    place.run("job.yaml").ends_with(0);
    let outputs = place.outputs("out");
    assert_eq!(first_of(&outputs["label-quality/labels.csv"])[1], format!("{WRONG:02}"));
    assert!(
        outputs.contains_key("evaluation/index.html")
            && outputs.contains_key("probabilities/00.zarr/.zarray")
    );
    let pseudo = csv(&outputs["pseudo_labels.csv"]);
    assert_eq!(pseudo.len(), 1 + IMAGES as usize);
    assert!(outputs.contains_key("pseudo_labels/00.png"));
}

/// Ten models and eight views, of which most windows see two and one.
#[test]
fn a_cascade_spares_most_of_an_ensemble() {
    let place = place();
    for (n, labels) in labels(&place).iter().enumerate() {
        place.write(&format!("data/nuclei/labels/{n:02}.png"), grey_png(SIDE, labels));
    }
    place.write("cascade.yaml", small(include_str!("../../examples/cascade.yaml")));
    let planned = place.marquetry(&["plan", "cascade.yaml", "--format", "json"]).ends_with(0).json();
    let summary = place.run("cascade.yaml").ends_with(0).says(&["of forwards are spared"]).json();
    let forwards = &summary["cascade"]["forwards"];
    assert_eq!(forwards["all"], planned["cost"]["forwards"]);
    assert_eq!(forwards["inside"], summary["tally"]["forwards"]);
    let [first, inside] =
        [&planned["first_round_forwards"], &forwards["inside"]].map(|n| n.as_u64().expect("a number"));
    assert!(
        first * 40 == forwards["all"].as_u64().expect("a number") && first < inside,
        "{planned} {summary}"
    );
    let truth = &summary["cascade"]["truth"];
    assert!(truth["sure"].as_u64() > truth["wrong"].as_u64(), "{truth}");
}

/// Classifiers that say which faults a sheet has: masks have no others.
#[test]
fn a_gate_leaves_no_fault_that_a_sheet_has_not() {
    let place = Place::new();
    let is_dented = |n: u64| n.is_multiple_of(2);
    for n in 0..6 {
        let mut pixels = scene(SIDE, SIDE, n);
        let shift = |v: &mut u8| *v = if is_dented(n) { v.saturating_add(70) } else { v.saturating_sub(70) };
        pixels.iter_mut().step_by(3).for_each(shift);
        place.write(&format!("data/steel/images/{n}.bmp"), bmp_of(SIDE, SIDE, &pixels));
        // Half of every sheet is dented that has dents at all.
        let labels: Vec<u8> =
            (0..SIDE * SIDE).map(|at| if is_dented(n) && at < 2048 { 2 } else { 0 }).collect();
        place.write(&format!("data/steel/labels/{n}.png"), grey_png(SIDE, &labels));
    }
    for fold in 0..5_u8 {
        let tilt = f32::from(fold) * 0.1;
        let rows = vec![vec![0.0; 4], vec![0.0, 0.0, 6.0, -3.4 + tilt], vec![0.0, 0.0, -6.0, 2.6]];
        let (weights, activation) = (Weights::Linear(rows), Activation::Softmax);
        place.model(
            &format!("models/steel/fold{fold}.onnx"),
            &Toy { classes: 3, weights, activation, ..Toy::default() },
        );
        // No sheet has a crack, and those that are red have dents.
        let weights = Weights::Linear(vec![vec![0.0, 0.1, 0.0, -3.0], vec![40.0, 0.0, 0.0, -20.0 + tilt]]);
        let toy = Toy { classes: 2, weights, activation: Activation::Sigmoid, ..Toy::default() };
        let toy = Toy { size: Some(Size::square(32)), image_heads: 1, ..toy };
        place.model(&format!("models/steel/classifier{fold}.onnx"), &toy);
    }
    place.write("gate.yaml", small(include_str!("../../examples/gate.yaml")));
    let summary = place.run("gate.yaml").ends_with(0).says(&["`dent` is allowed in 3 of 3 images"]).json();
    let denied = |class: usize| &summary["gate"]["classes"][class]["denied"];
    assert_eq!((denied(0), denied(1)), (&json!(6), &json!(3)), "{summary}");
    let outputs = place.outputs("out");
    for n in 0..6 {
        let labels = Mask::from_png(&outputs[&format!("masks/{n}.png")]).labels;
        assert_eq!((labels.contains(&1), labels.contains(&2)), (false, is_dented(n)), "sheet {n}");
    }
}
