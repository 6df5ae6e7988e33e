//! What is odd about the labels that are right, and which image each belongs to: told, or refused, never guessed.

use crate::decode::Mask;
use crate::fixture::Place;
use crate::pictures::{bmp, grey_png};
use marquetry_model::toy::{Toy, Weights};
use serde_json::Value;

const SIDE: usize = 48;
const JOB: &str = "
version: 1
classes: [ground, a, b]
defaults: {window: {size: 32}}
members: [{onnx: m.onnx}]
outputs: [{masks: png}, {evaluation: html, boundary_px: 1}]
";

fn place() -> Place {
    let place = Place::new();
    for (seed, name) in ["a", "b", "c"].into_iter().enumerate() {
        place.write(&format!("images/{name}.bmp"), bmp(SIDE, SIDE, seed as u64));
        let label = |at: usize| ((at / SIDE / 11 + at % SIDE / 17 + seed) % 3) as u8;
        place.write(
            &format!("truth/{name}.png"),
            grey_png(SIDE, &(0..SIDE * SIDE).map(label).collect::<Vec<_>>()),
        );
    }
    place.model("m.onnx", &Toy { classes: 3, kernel: 5, weights: Weights::Seeded(5), ..Toy::default() });
    place
}

/// Runs a job whose store is called `store`.
fn run(place: &Place, store: &str, more: &str) -> crate::fixture::Ran {
    place.write("job.yaml", format!("{JOB}store: {store}\n{more}"));
    place.run("job.yaml")
}

fn evaluation(place: &Place, store: &str) -> Value {
    serde_json::from_slice(&place.outputs(store)["evaluation/evaluation.json"]).expect("JSON")
}

fn warnings(found: &Value) -> String {
    found["warnings"].to_string()
}

#[test]
fn labels_belong_to_paths_and_ids_that_agree() {
    let place = place();
    run(&place, "folder", "images: images\ntruth: truth\n").ends_with(0);
    let by_folder = evaluation(&place, "folder");
    // Ids that say nothing: the paths of images do.
    place.write("list.csv", "image_id,path\n17,images/a.bmp\n18,images/b.bmp\n19,images/c.bmp\n");
    run(&place, "paths", "images: list.csv\ntruth: truth\n").ends_with(0);
    assert_eq!(evaluation(&place, "paths")["confusion"], by_folder["confusion"]);
    // Ids that say what paths do not.
    let files = place.files("images");
    place.write("list.csv", "image_id,path\na,x/1.bmp\nb,x/2.bmp\nc,x/3.bmp\n");
    for (number, name) in [(1, "a"), (2, "b"), (3, "c")] {
        place.write(&format!("x/{number}.bmp"), &files[&format!("{name}.bmp")]);
    }
    run(&place, "ids", "images: list.csv\ntruth: truth\n").ends_with(0);
    assert_eq!(evaluation(&place, "ids")["confusion"], by_folder["confusion"]);
    // Ids that are the names of others' files.
    place.write("list.csv", "image_id,path\na,images/b.bmp\nb,images/a.bmp\nc,images/c.bmp\n");
    run(&place, "swapped", "images: list.csv\ntruth: truth\n").ends_with(65).says(&[
        "image a: by its id its label is a.png, by its path",
        "b.png",
        "truth: {column: …}",
    ]);
    place.write("list.csv", "image_id,path,label\na,images/a.bmp,truth/a.png\nb,images/b.bmp,truth/a.png\n");
    run(&place, "twice", "images: list.csv\ntruth: {column: label}\n")
        .ends_with(0)
        .says(&["truth/a.png is the label of two images, a and b"]);
    place.write("list.csv", "image_id,path,label\na,images/a.bmp,\n");
    run(&place, "none", "images: list.csv\ntruth: {column: label}\n")
        .ends_with(65)
        .says(&["no image of the list has anything in a column `label`"]);
    for name in ["a", "b", "c"] {
        place.write(&format!("city/{name}_left.bmp"), &files[&format!("{name}.bmp")]);
    }
    run(&place, "suffix", "images: city\ntruth: truth\n")
        .ends_with(65)
        .says(&["truth.image_suffix", "truth.column"]);
    run(&place, "suffix", "images: city\ntruth: {from: truth, image_suffix: _left}\n").ends_with(0);
    assert_eq!(evaluation(&place, "suffix")["confusion"], by_folder["confusion"]);
}

/// Of square images no size tells in which order pixels were numbered; what the job says of them does.
#[test]
fn truths_that_are_turned_are_told() {
    let place = place();
    run(&place, "first", "images: images\ntruth: truth\n").ends_with(0);
    for (name, bytes) in place.outputs("first").iter().filter(|(name, _)| name.starts_with("masks/")) {
        let labels = Mask::from_png(bytes).labels;
        let turned: Vec<u8> = (0..SIDE * SIDE).map(|at| labels[at % SIDE * SIDE + at / SIDE]).collect();
        place.write(&name.replace("masks", "turned"), grey_png(SIDE, &turned));
        place.write(&name.replace("masks", "right"), grey_png(SIDE, &labels));
    }
    let words = "3 of 3 square images agree better with their labels when rows are taken for columns";
    run(&place, "turned", "images: images\ntruth: turned\n").ends_with(0).says(&[words]);
    assert!(warnings(&evaluation(&place, "turned")).contains(words));
    run(&place, "right", "images: images\ntruth: right\n").ends_with(0);
    let right = evaluation(&place, "right");
    assert!(!warnings(&right).contains("rows are taken"), "{right}");
    assert_eq!(right["mean_iou"]["dataset"], 1.0);
}

#[test]
fn what_is_missing_and_what_failed_is_told() {
    let place = place();
    let whole = place.files("images");
    place.write("images/c.bmp", &whole["c.bmp"][..200]);
    let ran = run(&place, "store", "images: images\ntruth: truth\n").ends_with(1);
    let found = evaluation(&place, "store");
    assert_eq!(found["images"]["evaluated"], 2, "{found}");
    let words = "images with a label that failed are not evaluated, 1 of them: c";
    assert!(ran.stderr.contains(words) && warnings(&found).contains(words), "{}", ran.stderr);
    // A TIFF of floats whose first rows are no number: nothing can be said of them, and the truth has classes there.
    let pixels: Vec<f32> = (0..SIDE * SIDE * 3)
        .map(|at| if at < SIDE * 12 { f32::NAN } else { (at % 97) as f32 / 97.0 })
        .collect();
    std::fs::remove_file(place.path("images/c.bmp")).expect("it is there");
    place.write("images/c.tif", crate::image_kinds::float_tiff([SIDE, SIDE], 3, pixels));
    let ran = run(&place, "store2", "images: images\ntruth: truth\nallow: [scale]\n").ends_with(0);
    let found = evaluation(&place, "store2");
    let no_class = found["pixels"]["no_class"].as_u64().expect("a number");
    assert!(no_class > 0, "{found}");
    let words = format!("{no_class} px of which the truth has a class are missing in the job's labels");
    assert!(ran.stderr.contains(&words) && warnings(&found).contains(&words), "{}", ran.stderr);
}

/// The class that the job takes for the rest has no objects, and is what annotations do not cover.
#[test]
fn the_background_is_the_job_s() {
    let place = place();
    let coco = serde_json::json!({
        "images": [{"id": 1, "file_name": "a.bmp", "height": SIDE, "width": SIDE}],
        "categories": [{"id": 4, "name": "ground"}, {"id": 9, "name": "a"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 4, "segmentation": [[0, 0, 20, 0, 20, 48, 0, 48]]}],
    });
    place.write("train.json", coco.to_string());
    let more = "images: images\ntruth: train.json\n";
    run(&place, "store", more).ends_with(65).says(&["is called background"]);
    run(&place, "store", &format!("{more}decide: {{background: b}}\n"))
        .ends_with(0)
        .says(&["value 0: b (background)"]);
    let found = evaluation(&place, "store");
    let rows: Vec<u64> = (0..3)
        .map(|class| {
            found["confusion"][class].as_array().expect("a row").iter().filter_map(Value::as_u64).sum()
        })
        .collect();
    assert_eq!(rows, [20 * 48, 0, 28 * 48]);
    let objects = |key: &str| -> u64 {
        found["sizes"]["fixed"]
            .as_array()
            .expect("strata")
            .iter()
            .filter_map(|stratum| stratum[key].as_u64())
            .sum()
    };
    assert_eq!(objects("truth"), 1, "the ground alone: {found}");
}
