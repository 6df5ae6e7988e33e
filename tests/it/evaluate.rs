//! `marquetry evaluate`, through the real binary.

use crate::fixture::Place;
use crate::pictures::grey_png as grey;
use serde_json::json;

/// A truth of two classes in black and white, with a suffix in another folder, and a prediction that is a row too fat.
fn place() -> Place {
    let place = Place::new();
    place.write("truth/x/a_mask.png", grey(3, &[0, 0, 0, 0, 255, 0, 0, 0, 0]));
    place.write("pred/a.png", grey(3, &[0, 0, 0, 0, 1, 0, 0, 1, 0]));
    place
}

const ARGS: [&str; 7] = ["evaluate", "--pred", "pred", "--truth", "truth", "--classes", "background,nucleus"];

#[test]
fn masks_of_any_program_are_judged() {
    let place = place();
    let args = [&ARGS[..], &["--truth-suffix", "_mask", "--out", "found"]].concat();
    let ran = place.marquetry(&args).ends_with(0);
    for said in ["mean IoU 0.6875", "nucleus", "boundary", "(border pixels, within 1 px)"] {
        assert!(ran.stdout.contains(said), "{said} in {}", ran.stdout);
    }
    let ran = ran.says(&["value 255: nucleus", "stands beside 0 alone", "1 of 1 pairs are of one name"]);
    let json = place.marquetry(&[&args[..], &["--format", "json"]].concat()).ends_with(0).json();
    assert_eq!(json["mean_iou"]["dataset"], json!(0.6875));
    assert_eq!(json["classes"][1]["recall"], json!(1.0));
    assert_eq!(json["confusion"], json!([[7, 1, 0], [0, 1, 0]]));
    assert_eq!(json["surface"]["version"], json!("border_pixels"));
    // A row too fat is within the tolerance.
    assert_eq!((&json["classes"][0]["nsd"], &json["classes"][1]["nsd"]), (&json!(1.0), &json!(1.0)));
    let files = place.files("found");
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["evaluation.json", "images.csv", "images.js", "index.html", "pictures/000000.png"]);
    let written: serde_json::Value = serde_json::from_slice(&files["evaluation.json"]).expect("JSON");
    assert_eq!(written, json);
    let table = String::from_utf8_lossy(&files["images.csv"]).into_owned();
    assert!(table.contains("a.png,x/a_mask.png,3,3,9,0,0.888889,0.687500"), "{table}");
    drop(ran);
}

/// What is written is no label the next time.
#[test]
fn results_do_not_lie_among_labels() {
    let place = place();
    for out in ["pred/found", "pred", "truth/x"] {
        let args = [&ARGS[..], &["--truth-suffix", "_mask", "--out", out]].concat();
        place.marquetry(&args).ends_with(64).says(&["lies in", "name a folder outside"]);
    }
    assert!(!place.path("pred/found").exists());
    place
        .marquetry(&[&ARGS[..], &["--no-row", "background"]].concat())
        .ends_with(65)
        .says(&["neither side is a table"]);
    let args =
        [&ARGS[..], &["--truth-suffix", "_mask", "--ignore", "-1", "--map", "-1=ignore,0=0,1=1,255=1"]]
            .concat();
    place.marquetry(&args).ends_with(0);
}

#[test]
fn what_cannot_be_known_is_asked_for() {
    let place = place();
    place.marquetry(&ARGS).ends_with(65).says(&["no label of pred belongs to one of truth", "suffix"]);
    place.write("pred/a_mask.png", grey(3, &[7; 9]));
    place
        .marquetry(&ARGS)
        .ends_with(65)
        .says(&["value 7 (9 px in 1 file, first in a_mask.png at row 0, column 0)", "7=ignore"]);
    let mapped = [&ARGS[..], &["--pred-map", "7=nucleus"]].concat();
    place.marquetry(&mapped).ends_with(0).says(&["1 prediction without a truth, not evaluated: a.png"]);
    place.marquetry(&[&ARGS[..], &["--map", "7=tree"]].concat()).ends_with(65).says(&["`tree` is no class"]);
    place.marquetry(&[&ARGS[..], &["--ignore", "x"]].concat()).ends_with(64);
    place.marquetry(&["evaluate", "--pred", "none", "--truth", "truth", "--classes", "a,b"]).ends_with(65);
}

#[test]
fn a_coco_file_is_a_truth_and_two_predictions_are_compared() {
    let place = Place::new();
    place.write("good/a.png", grey(4, &[0, 1, 1, 0, 0, 1, 1, 0]));
    place.write("bad/a.png", grey(4, &[0, 1, 1, 1, 0, 1, 1, 1]));
    let truth = json!({
        "images": [{"id": 1, "file_name": "a.jpg", "height": 2, "width": 4}],
        "categories": [{"id": 9, "name": "boat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 9, "segmentation": [[1, 0, 3, 0, 3, 2, 1, 2]]}],
    });
    place.write("train.json", truth.to_string());
    let args = ["evaluate", "--pred", "good", "--truth", "train.json", "--classes", "background,boat"];
    let compared = [&args[..], &["--against", "bad", "--format", "json"]].concat();
    let json = place.marquetry(&compared).ends_with(0).json();
    assert_eq!(json["mean_iou"]["dataset"], json!(1.0));
    let other = f64::midpoint(2.0 / 4.0, 4.0 / 6.0);
    let difference = json["against"]["difference"]["difference"].as_f64().expect("a number");
    assert!((difference - (1.0 - other)).abs() < 1e-12, "{json}");
}
