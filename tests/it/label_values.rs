//! Classes with other values than their places: every file has them, what is of names or places stays, and no model runs.

use crate::decode::{Mask, csv, palette, tiff_planes};
use crate::fixture::Place;
use crate::image_kinds::float_tiff;
use crate::pictures::bmp;
use marquetry_model::toy::{Toy, Weights};
use serde_json::{Value, json};

const HEIGHT: usize = 40;
const WIDTH: usize = 56;
/// One image and one that is none.
const JOB: &str = "
version: 1
images: images
classes: [ground, {name: a, color: \"#ff0000\"}, b]
defaults: {window: {size: 32}}
members: [{onnx: m.onnx}]
store: store
tiles: {keep: true}
";
const LABELS: &str = "labels: {ground: 3, a: 7}\n";
const IGNORE: u8 = 255;
/// Masks of one format would be one file, so these are two jobs of one store.
const OUTPUTS: [&str; 2] = [
    "outputs: [{masks: png}, {masks: {tiff: grey}}, {submission: class-csv, file: ids.csv, size: [20, 28]}, \
     {submission: kaggle-rle}, {coco: rle}, {coco: polygons, file: outlines.json}, {polygons: geojson}, {probabilities: zarr}]\n",
    "outputs: [{masks: {png: grey}}, {masks: tiff}]\n",
];

/// What stands in files for the class at a place.
fn moved(place: u8) -> u8 {
    [3, 7, 2].get(usize::from(place)).copied().unwrap_or(place)
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// `value` with every number behind `key` moved.
fn with_moved(mut value: Value, key: &str) -> Value {
    match &mut value {
        Value::Array(items) => items.iter_mut().for_each(|item| *item = with_moved(item.take(), key)),
        Value::Object(entries) => {
            for (name, entry) in entries {
                *entry = match entry.as_u64().filter(|_| name == key) {
                    Some(number) => json!(moved(number as u8)),
                    None => with_moved(entry.take(), key),
                };
            }
        }
        _ => {}
    }
    value
}

#[test]
fn files_have_the_values_and_no_model_runs_for_them() {
    let place = Place::new();
    place.write("images/a.bmp", bmp(HEIGHT, WIDTH, 3));
    place.write("images/broken.bmp", b"BM, and nothing more");
    place.model("m.onnx", &Toy { classes: 3, kernel: 5, weights: Weights::Seeded(5), ..Toy::default() });
    let run = |outputs: &str, labels: &str| {
        place.write("job.yaml", format!("{JOB}{outputs}{labels}"));
        let summary = place.run("job.yaml").ends_with(1).json();
        (summary, place.outputs("store"))
    };
    let (first, plain) = run(OUTPUTS[0], "");
    let (second, other) = run(OUTPUTS[0], LABELS);
    assert!(first["tally"]["forwards"].as_u64() > Some(0), "{first}");
    assert_eq!((&second["job"], second["tally"]["forwards"].as_u64()), (&first["job"], Some(0)), "{second}");
    assert_eq!(second["tally"]["images_found"], 0, "masks are made anew: {second}");

    let places = Mask::from_png(&plain["masks/a.png"]);
    let seen = |class: u8| places.columns(class).into_iter().filter(|is_there| *is_there).count();
    assert!((0..3).all(|class| seen(class) > 20), "every class is there");
    assert!(!places.labels.contains(&IGNORE));
    let values = Mask { labels: places.labels.iter().map(|&label| moved(label)).collect(), ..places.clone() };
    let png = &other["masks/a.png"];
    assert_eq!(Mask::from_png(png), values);
    let (before, after) = (palette(&plain["masks/a.png"]), palette(png));
    let (before, after) = (before.expect("a palette"), after.expect("a palette"));
    assert_eq!(before[1], [255, 0, 0]);
    for class in 0..3 {
        assert_eq!(
            after[usize::from(moved(class))],
            before[usize::from(class)],
            "the colour of class {class}"
        );
    }
    assert_eq!(tiff_planes(&other["masks/a.tiff"], 1)[0], values);
    assert_eq!(palette(&other["masks/a.tiff"]), None);

    let ids = |files: &[u8]| -> Vec<Vec<u8>> {
        let cells = csv(files).into_iter().skip(1).map(|row| row[1].clone());
        cells.map(|cell| cell.split(' ').map(|n| n.parse().expect("a number")).collect()).collect()
    };
    let (before, after) = (ids(&plain["ids.csv"]), ids(&other["ids.csv"]));
    assert_eq!(before[1], vec![0; 20 * 28], "what is no image is background");
    let expected: Vec<Vec<u8>> = before.iter().map(|ids| ids.iter().map(|&id| moved(id)).collect()).collect();
    assert_eq!(after, expected);

    for file in ["coco.json", "outlines.json"] {
        let (before, after) = (json_of(&plain[file]), json_of(&other[file]));
        assert_eq!(after["annotations"], with_moved(before["annotations"].clone(), "category_id"), "{file}");
        assert_eq!(after["categories"], json!([{"id": 7, "name": "a"}, {"id": 2, "name": "b"}]), "{file}");
    }
    let outlines = |files: &[u8]| json_of(files)["features"].clone();
    let (before, after) = (outlines(&plain["polygons/a.geojson"]), outlines(&other["polygons/a.geojson"]));
    assert_eq!(after, with_moved(before, "label"));

    let touched = ["masks/", "ids.csv", "coco.json", "outlines.json", "polygons/"];
    let rest = plain.keys().filter(|name| !touched.iter().any(|start| name.starts_with(start)));
    let rest: Vec<&String> = rest.collect();
    assert!(rest.iter().any(|name| *name == "submission.csv") && rest.len() > 3, "{rest:?}");
    assert!(rest.iter().all(|name| plain[*name] == other[*name]), "what has names or places stays");

    let (summary, grey) = run(OUTPUTS[1], LABELS);
    assert_eq!(summary["tally"]["forwards"], 0, "{summary}");
    assert_eq!(
        (Mask::from_grey_png(&grey["masks/a.png"]), palette(&grey["masks/a.png"])),
        (values.clone(), None)
    );
    assert_eq!(tiff_planes(&grey["masks/a.tiff"], 1), [values]);
    let colours = palette(&grey["masks/a.tiff"]).expect("a colour table");
    assert_eq!(colours[7], [255, 0, 0]);
    assert_ne!(colours[1], [255, 0, 0], "the place is no value any more");

    // Back again: what lies there is of the job that was run last.
    let (summary, back) = run(OUTPUTS[0], "");
    assert_eq!(summary["tally"]["forwards"], 0, "{summary}");
    assert!(plain.iter().all(|(name, bytes)| back[name] == *bytes));
}

/// The value for no class may be a class's place, where that class has another value.
#[test]
fn missing_pixels_may_be_0_among_classes_from_1_on() {
    let place = Place::new();
    let [height, width] = [40, 56];
    let is_missing = |at: usize| at % width < 9;
    let sample = |at: usize| if is_missing(at / 3) { f32::NAN } else { (at * 7919 % 251) as f32 };
    place
        .write("images/a.tif", float_tiff([height, width], 3, (0..height * width * 3).map(sample).collect()));
    place.model("m.onnx", &Toy { classes: 3, kernel: 5, weights: Weights::Seeded(5), ..Toy::default() });
    let masks = |more: &str| {
        let outputs = "outputs: [{masks: png}, {masks: {tiff: grey}}, {submission: class-csv, file: ids.csv, size: [40, 56]}]\n";
        place.write("job.yaml", format!("{JOB}{outputs}{more}"));
        place.run("job.yaml").ends_with(0);
        place.outputs("store")
    };
    let plain = Mask::from_png(&masks("")["masks/a.png"]).labels;
    assert!(plain.iter().enumerate().all(|(at, label)| (*label == 255) == is_missing(at)));
    let moved = masks("labels: {ground: 1, a: 2, b: 255}\nfailures: {ignore: 0}\n");
    let wanted: Vec<u8> =
        plain.iter().map(|label| [1, 2, 255].get(usize::from(*label)).map_or(0, |v| *v)).collect();
    assert!(Mask::from_png(&moved["masks/a.png"]).labels == wanted);
    assert!(tiff_planes(&moved["masks/a.tiff"], 1)[0].labels == wanted);
    let row = csv(&moved["ids.csv"])[1][1].clone();
    assert!(row.split(' ').eq(wanted.iter().map(u8::to_string)));
}
