//! The labels that are right, in a job: looked at before any model runs, and what comes of them.

use crate::decode::zarr;
use crate::fixture::{Place, Ran};
use crate::pictures::{bmp, grey_png};
use marquetry_model::toy::{Toy, Weights};
use serde_json::{Value, json};

const HEIGHT: usize = 60;
const WIDTH: usize = 90;
const CLASSES: &str = "ground,a,b";
const JOB: &str = "
version: 1
images: images
classes: [ground, a, b]
defaults: {window: {size: 32}}
members: [{onnx: m.onnx}]
decide: {min_area: 3}
store: store
tiles: {keep: true}
outputs: [{masks: png}, {evaluation: html}]
";

/// A grey PNG of `HEIGHT` rows.
fn grey(label: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    let values: Vec<u8> =
        (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (y, x))).map(|(y, x)| label(y, x)).collect();
    grey_png(WIDTH, &values)
}

/// Blocks of all classes, and some pixels of which nothing is known.
fn label(seed: usize) -> impl Fn(usize, usize) -> u8 {
    move |y, x| if (y + x) % 11 == 0 { 255 } else { ((y / 13 + x / 17 + seed) % 3) as u8 }
}

/// Three images, of which two have a label, and a label that belongs to none.
fn place() -> Place {
    let place = Place::new();
    for (seed, name) in ["a", "sub/b", "c"].into_iter().enumerate() {
        place.write(&format!("images/{name}.bmp"), bmp(HEIGHT, WIDTH, seed as u64));
    }
    place.write("truth/a_mask.png", grey(label(0))).write("truth/sub/b_mask.png", grey(label(1)));
    place.write("truth/other_mask.png", grey(label(2))).write("truth/a.png", grey(|_, _| 200));
    place.model("m.onnx", &Toy { classes: 3, kernel: 5, weights: Weights::Seeded(5), ..Toy::default() });
    place
}

fn evaluation(place: &Place) -> Value {
    serde_json::from_slice(&place.outputs("store")["evaluation/evaluation.json"]).expect("JSON")
}

fn run(place: &Place, more: &str) -> Ran {
    place.write("job.yaml", format!("{JOB}{more}"));
    place.run("job.yaml")
}

const TRUTH: &str = "truth: {from: truth, suffix: _mask}\n";

#[test]
fn a_job_judges_its_masks_as_evaluate_does() {
    let place = place();
    let ran = run(&place, TRUTH).ends_with(0).says(&[
        "value 0: ground",
        "value 255: left out",
        "1 label of another prefix or suffix passed over",
        "1 image without a label: c",
        "1 label of no image: other_mask.png",
        "boundaries are 2 px wide",
    ]);
    let found = evaluation(&place);
    let outputs = place.outputs("store");
    outputs.iter().filter(|(name, _)| name.starts_with("masks/")).for_each(|(name, bytes)| {
        place.write(name, bytes);
    });
    let args =
        ["evaluate", "--pred", "masks", "--truth", "truth", "--truth-suffix", "_mask", "--classes", CLASSES];
    let args = [&args[..], &["--out", "judged", "--images", "images", "--format", "json"]].concat();
    let judged = place.marquetry(&args).ends_with(0).json();
    for key in [
        "pixels",
        "mean_iou",
        "pixel_accuracy",
        "mean_dice",
        "boundary",
        "surface",
        "panoptic_quality",
        "classes",
        "confusion",
        "errors",
        "sizes",
    ] {
        assert_eq!(found[key], judged[key], "{key}");
    }
    assert!(
        found["pixels"]["left_out"].as_u64() > Some(0) && found["mean_iou"]["dataset"].as_f64() > Some(0.0)
    );
    assert_eq!(found["images"]["evaluated"], 2);
    assert_eq!(found["images"]["without_truth"], json!(["c"]));
    assert_eq!(found["images"]["without_prediction"], json!(["other_mask.png"]));
    assert_eq!(found["labels"][1]["values"], judged["labels"][1]["values"], "the same census");
    assert_eq!(ran.json()["mean_iou"], found["mean_iou"]["dataset"]);
    // The same pictures, but for the colours of classes, which are the same here; and the same line for each image.
    assert_eq!(outputs["evaluation/pictures/a.png"], place.files("judged")["pictures/000000.png"]);
    assert_eq!(outputs["evaluation/pictures/sub/b.png"], place.files("judged")["pictures/000001.png"]);
    let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(".png,", ",");
    assert_eq!(
        lines(&outputs["evaluation/images.csv"]),
        lines(&place.files("judged")["images.csv"]),
        "each image by itself"
    );
    let script = String::from_utf8_lossy(&outputs["evaluation/images.js"]).into_owned();
    assert!(
        script.contains("pictures/sub/b.png") && outputs.contains_key("evaluation/index.html"),
        "{script}"
    );
    assert!(!outputs.contains_key("stale-files.csv"), "all of it is this run's");
}

/// The expected calibration error is what follows from the probabilities that the job writes.
#[test]
fn calibration_is_that_of_the_probabilities() {
    let place = place();
    let job = JOB.replace("outputs: [", "outputs: [{probabilities: {format: zarr, dtype: f16}}, ");
    place.write("job.yaml", format!("{job}{TRUTH}"));
    place.run("job.yaml").ends_with(0);
    let outputs = place.outputs("store");
    let mut bins = [(0_u32, 0_u32, 0.0_f64); 15];
    for (seed, image) in [(0, "a"), (1, "sub/b")] {
        let (_, scores) = zarr(&outputs, &format!("probabilities/{image}.zarr"));
        for at in 0..HEIGHT * WIDTH {
            let truth = label(seed)(at / WIDTH, at % WIDTH);
            let p = |class: usize| scores[class * HEIGHT * WIDTH + at];
            let best = (0..3).fold(0, |best, class| if p(class) > p(best) { class } else { best });
            if truth == 255 {
                continue;
            }
            let confidence = f64::from(p(best) / (p(0) + p(1) + p(2)));
            let bin = &mut bins[((confidence * 15.0).ceil() as usize - 1).min(14)];
            *bin = (bin.0 + 1, bin.1 + u32::from(best == usize::from(truth)), bin.2 + confidence);
        }
    }
    let all: u32 = bins.iter().map(|bin| bin.0).sum();
    let gap =
        bins.iter().map(|&(_, right, sum)| (sum - f64::from(right)).abs()).sum::<f64>() / f64::from(all);
    let found = evaluation(&place);
    let said = found["calibration"]["expected_error"].as_f64().expect("a number");
    // The array has halves, and a pixel at the edge of a bin may change it.
    assert!((said - gap).abs() < 2e-3 && gap > 0.02, "{said} and {gap}");
    let pixels = |bin: &Value| bin["pixels"].as_u64().expect("a number");
    let curve = found["calibration"]["curve"].as_array().expect("a list");
    assert_eq!(curve.iter().map(pixels).sum::<u64>(), u64::from(all));
    let page = String::from_utf8_lossy(&outputs["evaluation/index.html"]).into_owned();
    assert!(page.contains("Expected calibration error") && page.contains("Reliability curve"), "{page}");
    assert!(found.to_string().contains("overconfidence"));
}

#[test]
fn labels_are_refused_before_a_model_is_looked_at() {
    let place = place();
    place.write("m.onnx", "no model");
    place.write("truth/sub/b_mask.png", grey(|y, x| if (y, x) == (4, 7) { 9 } else { 1 }));
    place.write("truth/a_mask.png", grey(|_, _| 77));
    let ran = run(&place, TRUTH).ends_with(65).says(&[
        "value 9 (1 px in 1 file, first in sub/b_mask.png at row 4, column 7)",
        "value 77 (5400 px in 1 file, first in a_mask.png",
        "truth: truth",
    ]);
    assert!(!ran.stderr.contains("m.onnx"), "{}", ran.stderr);
    // What is said is used; then it is the model's turn.
    let said = "truth: {from: truth, suffix: _mask, map: {1: ground, 9: ignore, 77: b}}\n";
    run(&place, said).ends_with(65).says(&["m.onnx", "value 77: b", "value 9: left out"]);
    place.write("truth/a_mask.png", bmp(HEIGHT + 1, WIDTH, 0));
    run(&place, TRUTH).ends_with(65).says(&["a_mask.png", "its image a"]);
    for (more, words) in [
        ("truth: nowhere\n", "no such folder or file"),
        ("truth: images\n", "value"),
        ("truth: {column: label}\n", "images.from must then be a CSV file"),
        ("truth: {suffix: x}\n", "one of `from` and `column`"),
        ("truth: {from: truth, map: {1: grond}}\n", "did you mean `ground`?"),
        ("", "say where they are, as in `truth: labels/`"),
    ] {
        run(&place, more).ends_with(65).says(&[words]);
    }
}

#[test]
fn another_truth_runs_no_model_and_the_same_one_does_nothing() {
    let place = place();
    run(&place, TRUTH).ends_with(0);
    let first = evaluation(&place);
    let again = run(&place, TRUTH).ends_with(0).json();
    assert_eq!(again["tally"]["images_found"], 3);
    assert_eq!(evaluation(&place), first);
    place.write("truth/a_mask.png", grey(label(2)));
    let other = run(&place, TRUTH).ends_with(0).json();
    assert_eq!(
        (&other["tally"]["forwards"], &other["tally"]["images_found"]),
        (&json!(0), &json!(2)),
        "{other}"
    );
    let second = evaluation(&place);
    assert_ne!(second["confusion"], first["confusion"]);
    // The picture of one that was cleared away is made again.
    let picture = format!("{}/out/evaluation/pictures/sub/b.png", place.job_folder("store"));
    std::fs::remove_file(place.path(&picture)).expect("it is there");
    let third = run(&place, TRUTH).ends_with(0).json();
    assert_eq!(third["tally"]["images_found"], 2);
    assert!(place.path(&picture).is_file());
    assert_eq!(evaluation(&place), second);
}

#[test]
fn labels_come_from_a_column_a_coco_file_and_the_values_of_the_job() {
    let place = place();
    run(&place, TRUTH).ends_with(0);
    let by_folder = evaluation(&place);
    let list = "image_id,path,label\na,images/a.bmp,truth/a_mask.png\nsub/b,images/sub/b.bmp,truth/sub/b_mask.png\n\
                c,images/c.bmp,\n";
    place.write("list.csv", list);
    let job = JOB.replace("images: images", "images: list.csv").replace("store: store", "store: store2");
    place.write("column.yaml", format!("{job}truth: {{column: label}}\n"));
    place.run("column.yaml").ends_with(0).says(&["1 image without a label: c"]);
    let outputs = place.outputs("store2");
    let by_column: Value = serde_json::from_slice(&outputs["evaluation/evaluation.json"]).expect("JSON");
    assert_eq!(
        (&by_column["confusion"], &by_column["mean_iou"]),
        (&by_folder["confusion"], &by_folder["mean_iou"])
    );
    place.write("column.yaml", format!("{job}truth: {{column: lable}}\n"));
    place.run("column.yaml").ends_with(65).says(&["anything in a column `lable`", "something in label"]);

    // Labels as the job's own masks have them.
    let moved = |label: &dyn Fn(usize, usize) -> u8, y, x| match label(y, x) {
        0 => 3,
        1 => 7,
        other => other,
    };
    for (seed, name) in [(0, "a"), (1, "sub/b")] {
        let own = label(seed);
        place.write(&format!("moved/{name}.png"), grey(move |y, x| moved(&own, y, x)));
    }
    let job = JOB.replace("store: store", "store: store3");
    place.write("moved.yaml", format!("{job}truth: moved\nlabels: {{ground: 3, a: 7}}\n"));
    place.run("moved.yaml").ends_with(0).says(&["value 3: ground", "value 7: a", "value 2: b"]);
    let outputs = place.outputs("store3");
    let moved: Value = serde_json::from_slice(&outputs["evaluation/evaluation.json"]).expect("JSON");
    assert_eq!((&moved["confusion"], &moved["mean_iou"]), (&by_folder["confusion"], &by_folder["mean_iou"]));

    let coco = json!({
        "images": [{"id": 1, "file_name": "a.bmp", "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": 4, "name": "a"}, {"id": 9, "name": "b"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 4, "segmentation": [[10, 20, 40, 20, 40, 50, 10, 50]]},
            {"id": 2, "image_id": 1, "category_id": 9, "segmentation": [[50, 0, 90, 0, 90, 60, 50, 60]]},
        ],
    });
    place.write("train.json", coco.to_string());
    let job = JOB.replace("store: store", "store: store4");
    place.write("coco.yaml", format!("{job}truth: {{from: train.json, map: {{background: ground}}}}\n"));
    place.run("coco.yaml").ends_with(0).says(&["2 images without a label: c, sub/b"]);
    let found: Value =
        serde_json::from_slice(&place.outputs("store4")["evaluation/evaluation.json"]).expect("JSON");
    let row = |class: usize| {
        found["confusion"][class].as_array().expect("a row").iter().filter_map(Value::as_u64).sum::<u64>()
    };
    let all = (HEIGHT * WIDTH) as u64;
    assert_eq!([row(0), row(1), row(2)], [all - 900 - 2400, 900, 2400], "{found}");
}

#[test]
fn a_plan_says_what_labels_hold() {
    let place = place();
    place.write("job.yaml", format!("{JOB}{TRUTH}"));
    let plan = place.marquetry(&["plan", "job.yaml", "--format", "json"]).ends_with(0).json();
    assert_eq!(plan["truth"]["source"], "truth");
    let unknown = 2 * (0..HEIGHT).map(|y| (0..WIDTH).filter(|x| (y + x) % 11 == 0).count()).sum::<usize>();
    let values = plan["truth"]["values"].as_array().expect("values");
    let left_out = values.iter().find(|value| value["value"] == "value 255").expect("it occurs");
    assert_eq!((&left_out["pixels"], &left_out["files"]), (&json!(unknown), &json!(2)));
    assert_eq!(plan["spec"]["outputs"][1]["boundary_px"], 2, "2 % of the diagonal, settled");
    let text = place.marquetry(&["plan", "job.yaml"]).ends_with(0).says(&["truth: truth", "value 1: a"]);
    place.write("printed.yaml", &text.stdout);
    let again = place.marquetry(&["plan", "printed.yaml", "--format", "json"]).ends_with(0).json();
    assert_eq!(again["outputs"], plan["outputs"], "what is printed is the same job");
}
