//! Every kind of output: it is there, it decodes, and all of them tell of the same labels.

use crate::decode::{Mask, coco_columns, csv, tiff_planes, zarr};
use crate::fixture::Place;
use crate::pictures::bmp;
use marquetry_model::toy::{Toy, Weights};
use serde_json::Value;
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

/// Ids, and where their outputs lie.
const IMAGES: [(&str, &str); 4] = [
    ("plain", "plain"),
    ("plate 1/ä b", "plate 1/ä b"),
    ("plate 1/x,y", "plate 1/x,y"),
    ("sub/deep/7", "sub/deep/7"),
];
const HEIGHT: usize = 48;
const WIDTH: usize = 70;

fn place() -> Place {
    let place = Place::new();
    for (seed, (id, _)) in IMAGES.into_iter().enumerate() {
        place.write(&format!("images/{id}.bmp"), bmp(HEIGHT, WIDTH, seed as u64));
    }
    place.model("m.onnx", &Toy { classes: 3, kernel: 5, weights: Weights::Seeded(5), ..Toy::default() });
    place
}

const JOB: &str = "
version: 1
images: images
classes: [ground, {name: a, color: \"#ff0000\"}, b]
defaults: {window: {size: 32}}
members: [{onnx: m.onnx}]
store: store
";

fn json(files: &Files, name: &str) -> Value {
    serde_json::from_slice(&files[name]).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[test]
fn every_kind_tells_of_the_same_labels() {
    let place = place();
    place.write("job.yaml", format!("{JOB}outputs:
  - {{masks: png}}
  - {{masks: tiff}}
  - {{probabilities: zarr}}
  - {{probabilities: {{format: tiff, dtype: u8}}}}
  - {{submission: kaggle-rle}}
  - {{submission: kaggle-rle, rows: image, classes: [a, b], relative: true, empty: \"-1\", file: any.csv, columns: [image, runs]}}
  - {{submission: class-csv, file: labels.csv, size: [16, 20]}}
  - {{coco: rle}}
  - {{coco: polygons, file: lists/outlines.json}}
  - {{coco: rle, form: results, file: scored.json}}
  - {{polygons: geojson}}
  - {{report: html}}
"));
    let summary = place.run("job.yaml").ends_with(0).json();
    for file in summary["files"].as_array().expect("files") {
        assert!(std::path::Path::new(text(&file[1])).exists(), "{file} is there");
    }
    let files = place.outputs("store");
    for (id, safe) in IMAGES {
        let mask = Mask::from_png(&files[&format!("masks/{safe}.png")]);
        assert_eq!((mask.height, mask.width), (HEIGHT, WIDTH));
        assert_eq!(tiff_planes(&files[&format!("masks/{safe}.tiff")], 1)[0], mask);
        are_the_best(&files, safe, &mask);
        tables(&files, id, &mask);
        annotations(&files, id, &mask);
        outlines(&json(&files, &format!("polygons/{safe}.geojson")), &mask);
    }
    let report =
        std::fs::read_to_string(place.path(&format!("{}/out/report.html", place.job_folder("store"))));
    let report = report.expect("a report");
    for reference in ["http://", "https://", "src=\"/", "<link", "@import"] {
        assert!(!report.contains(reference), "the report is one file, without {reference}");
    }
    assert!(IMAGES.iter().all(|(id, _)| report.contains(id)), "the report names every image");
}

/// The label of each pixel is its most probable class, and both arrays hold the same probabilities.
fn are_the_best(files: &Files, safe: &str, mask: &Mask) {
    let folder = format!("probabilities/{safe}.zarr");
    let (shape, scores) = zarr(files, &folder);
    assert_eq!(shape, [3, HEIGHT, WIDTH]);
    assert_eq!(json(files, &format!("{folder}/.zattrs"))["classes"], serde_json::json!(["ground", "a", "b"]));
    let bytes = tiff_planes(&files[&format!("probabilities/{safe}.tiff")], 3);
    for (pixel, &label) in mask.labels.iter().enumerate() {
        let all: Vec<f32> = (0..3).map(|c| scores[c * HEIGHT * WIDTH + pixel]).collect();
        let best = all.iter().copied().fold(0.0, f32::max);
        assert!(all[label as usize] >= best - 1e-3, "{safe} {pixel}: {all:?} and label {label}");
        assert!((all.iter().sum::<f32>() - 1.0).abs() < 2e-3, "{all:?}");
        for (class, &p) in all.iter().enumerate() {
            assert!((f32::from(bytes[class].labels[pixel]) - 255.0 * p).abs() < 0.7);
        }
    }
}

fn tables(files: &Files, id: &str, mask: &Mask) {
    let rows = csv(&files["submission.csv"]);
    assert_eq!((rows.len(), &rows[0]), (1 + IMAGES.len() * 2, &vec!["id".into(), "rle".into()]));
    let row = |table: &[Vec<String>], key: &str| {
        table.iter().find(|row| row[0] == key).unwrap_or_else(|| panic!("a row of {key}"))[1].clone()
    };
    for (label, class) in [(1, "a"), (2, "b")] {
        mask.is_run_lengths(label, &row(&rows, &format!("{id}_{class}")));
    }
    let both = Mask { labels: mask.labels.iter().map(|&l| u8::from(l > 0)).collect(), ..mask.clone() };
    let any = csv(&files["any.csv"]);
    assert_eq!(any[0], ["image", "runs"]);
    both.is_relative(1, &row(&any, id));
    let labels = row(&csv(&files["labels.csv"]), id);
    let small: Vec<u8> = labels.split(' ').map(|n| n.parse().expect("a label")).collect();
    let nearest = |at: usize| mask.labels[at / 20 * HEIGHT / 16 * WIDTH + at % 20 * WIDTH / 20];
    assert_eq!(small, (0..16 * 20).map(nearest).collect::<Vec<_>>());
}

/// COCO's lists: the masks are those of the labels, and outlines have the same pixels in sum.
fn annotations(files: &Files, id: &str, mask: &Mask) {
    let of = |list: &Value, class: u8| -> Vec<Value> {
        // A data set, which tells by its images which number is whose, or a list of results.
        let named = |image: &&Value| image["file_name"] == format!("{id}.bmp");
        let image = list["images"].as_array().map(|images| images.iter().find(named).expect("an image"));
        assert!(image.is_none_or(|i| i["width"] == WIDTH && i["height"] == HEIGHT && i["id"].is_u64()));
        let number = image.map_or_else(|| id.into(), |image| image["id"].clone());
        let all = image.map_or(list, |_| &list["annotations"]).as_array().expect("a list").iter();
        all.filter(|a| a["image_id"] == number && a["category_id"] == class).cloned().collect()
    };
    let (masks, outlines) = (json(files, "coco.json"), json(files, "lists/outlines.json"));
    assert_eq!(masks["categories"], serde_json::json!([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]));
    let numbers: Vec<u64> =
        masks["annotations"].as_array().expect("a list").iter().filter_map(|a| a["id"].as_u64()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    for class in [1, 2] {
        let pixels = mask.columns(class);
        let area = pixels.iter().filter(|&&on| on).count() as u64;
        let found = of(&masks, class);
        assert_eq!(found.len(), usize::from(area > 0), "{id} {class}");
        for annotation in found {
            let segmentation = &annotation["segmentation"];
            assert_eq!(segmentation["size"], serde_json::json!([HEIGHT, WIDTH]));
            assert!(coco_columns(segmentation) == pixels, "{id} {class}");
            assert_eq!(annotation["area"], area);
        }
        let (_, scores) = zarr(files, &format!("probabilities/{id}.zarr"));
        let of_class = &scores[usize::from(class) * HEIGHT * WIDTH..];
        let inside = mask.labels.iter().zip(of_class).filter(|(label, _)| **label == class);
        let mean = inside.map(|(_, p)| f64::from(*p)).sum::<f64>() / area.max(1) as f64;
        for scored in of(&json(files, "scored.json"), class) {
            assert!((scored["score"].as_f64().expect("a score") - mean).abs() < 1e-3, "{id} {class}");
            assert!(coco_columns(&scored["segmentation"]) == pixels, "{id} {class}");
            // `loadRes` would take a box for the size.
            assert!(scored.get("bbox").is_none() && scored.get("area").is_none(), "{scored}");
        }
        let sum: u64 = of(&outlines, class).iter().map(|a| a["area"].as_u64().expect("an area")).sum();
        assert_eq!(sum, area, "{id} {class}");
    }
}

/// The area inside the rings of all outlines of a class is that of its pixels.
fn outlines(list: &Value, mask: &Mask) {
    assert_eq!(list["type"], "FeatureCollection");
    let features = list["features"].as_array().expect("features");
    for (label, class) in [(1, "a"), (2, "b")] {
        let mut sum = 0.0;
        for feature in features.iter().filter(|f| f["properties"]["class"] == class) {
            for ring in feature["geometry"]["coordinates"].as_array().expect("rings") {
                let points: Vec<[f64; 2]> = serde_json::from_value(ring.clone()).expect("points");
                assert_eq!(points.first(), points.last(), "rings are closed");
                sum += points.windows(2).map(|w| w[0][0] * w[1][1] - w[1][0] * w[0][1]).sum::<f64>() / 2.0;
            }
        }
        let area = mask.columns(label).iter().filter(|&&on| on).count() as f64;
        assert!((sum.abs() - area).abs() < 1e-6, "{class}: {sum} and {area} px");
    }
}

#[test]
fn a_sample_gives_the_order_of_rows() {
    let place = place();
    let mut rows: Vec<String> =
        IMAGES.iter().flat_map(|(id, _)| ["b", "a"].map(|class| format!("\"{id}_{class}\",7,,x"))).collect();
    rows.reverse();
    rows.swap(1, 4);
    place.write("sample.csv", format!("key,fold,rle,note\n{}\n", rows.join("\n")));
    place.write(
        "job.yaml",
        format!("{JOB}outputs: [{{masks: png}}, {{submission: kaggle-rle, sample: sample.csv}}]\n"),
    );
    place.run("job.yaml").ends_with(0);
    let files = place.outputs("store");
    let (sample, table) = (csv(rows_with_header(&rows).as_bytes()), csv(&files["submission.csv"]));
    assert_eq!(table[0], ["key", "fold", "rle", "note"]);
    assert_eq!(table.len(), sample.len());
    for (row, like) in table.iter().zip(&sample).skip(1) {
        assert_eq!([&row[0], &row[1], &row[3]], [&like[0], &like[1], &like[3]]);
        let (id, class) = row[0].rsplit_once('_').expect("an image and a class");
        let safe = IMAGES.iter().find(|(known, _)| *known == id).expect("an image").1;
        let mask = Mask::from_png(&files[&format!("masks/{safe}.png")]);
        mask.is_run_lengths(if class == "a" { 1 } else { 2 }, &row[2]);
    }
}

fn rows_with_header(rows: &[String]) -> String {
    format!("key,fold,rle,note\n{}\n", rows.join("\n"))
}

/// Classes that share pixels, and the triplet rule: `never` has no image with enough certain pixels.
#[test]
fn classes_that_share_pixels_have_masks_of_their_own() {
    let place = place();
    place.write(
        "job.yaml",
        "
version: 1
images: images
classes: [often, never, right]
defaults: {window: {size: 32}, output: {multilabel: true}}
members: [{onnx: m.onnx}]
tta: {views: [hflip], swap: [[often, right]]}
decide:
  rule: triplet
  triplet:
    often: {top: 0.6, area_px: 1, bottom: 0.35}
    never: {top: 0.9, area_px: 3000, bottom: 0.1}
    right: {top: 0.5, area_px: 0, bottom: 0.5}
outputs:
  - {masks: png}
  - {probabilities: zarr}
  - {submission: kaggle-rle, classes: [often], relative: true, file: often.csv}
  - {submission: kaggle-rle, classes: [never], empty: \"-1\", file: never.csv}
  - {coco: rle}
  - {report: html}
store: store
",
    );
    place.run("job.yaml").ends_with(0);
    let files = place.outputs("store");
    let (mut shared, area) = (0, HEIGHT * WIDTH);
    for (id, safe) in IMAGES {
        let plane = |class: &str| Mask::from_png(&files[&format!("masks/{safe}/{class}.png")]);
        let (often, never, right) = (plane("often"), plane("never"), plane("right"));
        let (shape, scores) = zarr(&files, &format!("probabilities/{safe}.zarr"));
        assert_eq!(shape, [3, HEIGHT, WIDTH]);
        for pixel in 0..area {
            for (mask, class, bottom) in [(&often, 0, 0.35), (&right, 2, 0.5)] {
                let p = scores[class * area + pixel];
                assert!(
                    (p - bottom).abs() < 1e-3 || mask.labels[pixel] == u8::from(p > bottom),
                    "{id} {pixel} {p}"
                );
            }
            shared += usize::from(often.labels[pixel] == 1 && right.labels[pixel] == 1);
        }
        assert!(never.labels.iter().all(|&label| label == 0), "{id}");
        let runs = |file: &str| {
            let table = csv(&files[file]);
            assert_eq!(table.len(), 1 + IMAGES.len());
            table.into_iter().find(|row| row[0] == id).map(|row| row[1].clone())
        };
        assert_eq!(runs("never.csv").as_deref(), Some("-1"), "{id}");
        often.is_relative(1, &runs("often.csv").expect("a row"));
    }
    assert!(shared > 0, "some pixels have two labels");
}
