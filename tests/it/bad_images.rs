//! Images and models that fail among good ones: the others go on, and nothing is lost in silence.

use crate::decode::{Mask, csv};
use crate::fixture::Place;
use crate::pictures::{bmp, png, tiff};
use marquetry_model::toy::{Toy, Weights};

const JOB: &str = "
version: 1
images: images
classes: [ground, a, b]
defaults: {window: {size: 32}}
members: [{onnx: m.onnx}, {onnx: n.onnx, name: second}]
outputs: [{masks: png}, {submission: kaggle-rle, columns: [id, class, runs]}, {coco: rle}, {report: html}]
store: store
";

fn place() -> Place {
    let place = Place::new();
    for (name, seed) in [("m", 1), ("n", 2)] {
        let weights = Weights::Seeded(seed);
        place.model(&format!("{name}.onnx"), &Toy { classes: 3, kernel: 3, weights, ..Toy::default() });
    }
    place
        .write("images/a.bmp", bmp(40, 50, 1))
        .write("images/z.png", png(64, 33, 3, 2))
        .write("job.yaml", JOB);
    place
}

/// The rows of `submission.csv` for image `id`: class and runs.
fn rows(place: &Place, id: &str) -> Vec<(String, String)> {
    let table = csv(&place.outputs("store")["submission.csv"]);
    assert_eq!(table[0], ["id", "class", "runs"]);
    table.into_iter().filter(|row| row[0] == id).map(|row| (row[1].clone(), row[2].clone())).collect()
}

#[test]
fn images_that_cannot_be_read_leave_the_others_alone() {
    let place = place();
    let whole = png(64, 64, 3, 3);
    place
        .write("images/cut.png", &whole[..whole.len() / 2])
        .write("images/header.png", &whole[..20])
        .write("images/empty.png", "")
        .write("images/text.jpg", "this is no picture")
        .write("images/many.tif", tiff(40, 40, 7))
        .write("images/grey.png", png(40, 40, 1, 5));
    let ran = place.run("job.yaml").ends_with(1);
    let summary = ran.json();
    assert_eq!((&summary["whole"], &summary["failed_images"]), (&false.into(), &5.into()));
    let files = place.outputs("store");
    let report =
        std::fs::read_to_string(place.path(&format!("{}/out/report.html", place.job_folder("store"))));
    let report = report.expect("a report");
    for id in ["cut", "header", "empty", "text", "many"] {
        assert!(
            ran.stderr.contains(&format!("image {id}")) || ran.stderr.contains(&format!("image={id}")),
            "{id} is not named in\n{}",
            ran.stderr
        );
        assert!(report.contains(id), "the report names {id}");
        assert!(!files.contains_key(&format!("masks/{id}.png")));
        let empty = |class: &str| (class.to_owned(), String::new());
        assert_eq!(rows(&place, id), [empty("a"), empty("b")], "{id}");
    }
    for id in ["a", "z", "grey"] {
        let mask = Mask::from_png(&files[&format!("masks/{id}.png")]);
        for (label, (_, runs)) in rows(&place, id).iter().enumerate() {
            mask.is_run_lengths(label as u8 + 1, runs);
        }
    }
    // What was finished is found again; what failed is tried again.
    let again = place.run("job.yaml").ends_with(1).json();
    assert_eq!(again["tally"]["images_found"], 3, "{again}");
    place.write("images/cut.png", &whole);
    let again = place.run("job.yaml").ends_with(1).json();
    assert_eq!(again["failed_images"], 4, "{again}");
    assert!(place.outputs("store").contains_key("masks/cut.png"));
    assert!(rows(&place, "cut").iter().any(|(_, runs)| !runs.is_empty()));
}

#[test]
fn policy_fail_hands_nothing_back() {
    let place = place();
    let whole = png(64, 64, 3, 3);
    place.write("images/cut.png", &whole[..whole.len() / 2]);
    place.write("job.yaml", format!("{JOB}failures: {{policy: fail, attempts: 1}}\n"));
    place.run("job.yaml").ends_with(2).says(&["failures.policy is `fail`", "cut"]);
    assert!(!place.path(&format!("{}/out/submission.csv", place.job_folder("store"))).exists());
    place.write("images/cut.png", "");
    place.run("job.yaml").ends_with(65).says(&["failures.policy is `fail`", "cut"]);
}

#[test]
fn a_model_that_says_nan_is_named() {
    let place = place();
    let weights = Weights::Constant(vec![0.0, f32::NAN, 1.0]);
    place.model("n.onnx", &Toy { classes: 3, weights, ..Toy::default() });
    place.write("job.yaml", format!("{JOB}failures: {{attempts: 1}}\n"));
    let ran = place.run("job.yaml");
    ran.ends_with(65).says(&["second"]);
}
