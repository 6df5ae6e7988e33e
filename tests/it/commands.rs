//! The other commands: help, the schema, `inspect` and `plan`.

use crate::fixture::Place;
use crate::pictures::bmp;
use marquetry_geometry::Size;
use marquetry_model::toy::{Toy, Weights};
use marquetry_model::{Activation, Layout};
use serde_json::json;

fn toy() -> Toy {
    Toy { classes: 3, kernel: 3, weights: Weights::Seeded(1), ..Toy::default() }
}

#[test]
fn help_is_there_for_every_command() {
    let place = Place::new();
    let help = place.marquetry(&["--help"]).ends_with(0).stdout;
    for command in ["run", "plan", "inspect", "swa", "schema"] {
        assert!(help.contains(command), "{help}");
        let own = place.marquetry(&[command, "--help"]).ends_with(0).stdout;
        assert!(own.contains("Usage: marquetry"), "{own}");
    }
    assert!(help.contains("Exit codes"), "{help}");
    assert!(place.marquetry(&["--version"]).ends_with(0).stdout.contains(env!("CARGO_PKG_VERSION")));
    place.marquetry(&[]).ends_with(64);
    place.marquetry(&["rum"]).ends_with(64).says(&["rum"]);
    place.marquetry(&["run", "job.yaml", "--lanes", "0"]).ends_with(64).says(&["--lanes"]);
}

#[test]
fn the_schema_has_the_keys() {
    let schema = Place::new().marquetry(&["schema"]).ends_with(0).json();
    for key in
        ["version", "images", "classes", "defaults", "members", "tta", "merge", "decide", "outputs", "store"]
    {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    for key in ["version", "images", "classes", "members", "outputs"] {
        assert!(schema["required"].as_array().is_some_and(|all| all.contains(&json!(key))), "{key}");
    }
}

/// What `inspect` prints runs in a job as it is, for models of many kinds.
#[test]
fn the_entry_that_inspect_prints_runs() {
    let place = Place::new();
    place.write("images/one.bmp", bmp(70, 90, 1));
    let kinds: [(&str, Toy); 8] = [
        ("plain", toy()),
        ("fixed", Toy { size: Some(Size::new(48, 64)), ..toy() }),
        ("last", Toy { layout: Layout::Nhwc, ..toy() }),
        ("grey", Toy { channels: 1, ..toy() }),
        ("softmax", Toy { activation: Activation::Softmax, ..toy() }),
        ("sigmoid", Toy { activation: Activation::Sigmoid, ..toy() }),
        ("coarse", Toy { stride: 4, ..toy() }),
        ("valid", Toy { kernel: 9, valid: true, ..toy() }),
    ];
    for (name, toy) in kinds {
        let file = format!("{name} 1.onnx");
        place.model(&file, &toy);
        let said = place.marquetry(&["inspect", &file, "--window", "48x64"]).ends_with(0).stdout;
        let (_, entry) = said.split_once("Member entry for a job file:\n\n").expect("an entry");
        let head = "version: 1\nimages: images\nclasses: [x, y, z]\noutputs: [{masks: png}]\n";
        place.write("job.yaml", format!("{head}store: store-{name}\nmembers:\n{entry}"));
        let ran = place.run("job.yaml");
        assert_eq!(ran.code, Some(0), "{name}\n{entry}\n{}", ran.stderr);
        let facts =
            place.marquetry(&["inspect", &file, "--window", "48x64", "--format", "json"]).ends_with(0).json();
        assert_eq!(facts["heads"][0]["scores"]["classes"], 3, "{facts}");
    }
    place.model("classifier.onnx", &Toy { pooled: true, ..toy() });
    assert!(
        place
            .marquetry(&["inspect", "classifier.onnx"])
            .ends_with(65)
            .stdout
            .contains("not a segmentation model")
    );
}

const JOB: &str = "
version: 1
name: counted
images: images
classes: [x, y, z]
members:
  - {onnx: m.onnx, window: {size: 64, overlap: 0.5}}
  - {onnx: n.onnx, scale: 0.5, weight: {y: 0.5}, window: {size: 32, stride: 16}}
tta: {views: [hflip]}
decide: {min_area: 4}
outputs: [{masks: png}, {submission: kaggle-rle}]
";

fn planned() -> Place {
    let place = Place::new();
    place.write("images/one.bmp", bmp(100, 130, 1)).model("m.onnx", &toy()).model("n.onnx", &toy());
    place.write("job.yaml", JOB);
    place
}

#[test]
fn a_plan_is_the_same_job_again() {
    let place = planned();
    let first = place.marquetry(&["plan", "job.yaml"]).ends_with(0).stdout;
    assert!(!place.path("out").exists(), "a plan leaves nothing behind");
    place.write("again.yaml", &first);
    assert_eq!(place.marquetry(&["plan", "again.yaml"]).ends_with(0).stdout, first);
    let job = |file: &str| place.run(file).ends_with(0).json()["job"].clone();
    assert_eq!(job("job.yaml"), job("again.yaml"));
}

/// By hand: 100 × 130 px have (1 + ⌈36/32⌉) × (1 + ⌈66/32⌉) = 3 × 4 windows of 64 px; at half size, 50 × 65 px have
/// (1 + ⌈18/16⌉) × (1 + ⌈33/16⌉) = 3 × 4 windows of 32 px. Each is shown as it is and mirrored.
#[test]
fn a_plan_counts_what_is_run() {
    let place = planned();
    let plan = place.marquetry(&["plan", "job.yaml", "--format", "json"]).ends_with(0).json();
    let pixels = 100 * 130 + 50 * 65;
    let cost = json!({"pixels": 13_000, "windows": 24, "forwards": 48, "tasks": 2,
        "tile_bytes": pixels * 3 * 2, "canvas_bytes_max": 100 * 130 * 3 * 4});
    assert_eq!((&plan["images"], &plan["cost"]), (&json!(1), &cost));
    let summary = place.run("job.yaml").ends_with(0).json();
    assert_eq!((&summary["tally"]["forwards"], &summary["tally"]["tasks_computed"]), (&json!(48), &json!(2)));
    assert_eq!(summary["job"], plan["job"]);
}
