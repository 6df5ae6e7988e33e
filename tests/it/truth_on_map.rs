//! Outlines on a map as the labels that are right: in a job, and through `marquetry evaluate`.

use crate::decode::Mask;
use crate::fixture::Place;
use crate::pictures::png;
use marquetry_model::toy::{Toy, Weights};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SYSTEM: &str = r#"PROJCS["WGS_1984_UTM_Zone_33N",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],UNIT["Meter",1.0]]"#;
const SIDES: (usize, usize) = (40, 50);

/// Two images of 10 m, one 100 km east of the other, with world files and systems.
fn place() -> Place {
    let place = Place::new();
    place.model("m.onnx", &Toy { classes: 3, kernel: 5, weights: Weights::Seeded(5), ..Toy::default() });
    for (name, seed, west) in [("x", 1, 500_005), ("sub/y", 2, 600_005)] {
        place.write(&format!("images/{name}.png"), png(SIDES.0, SIDES.1, 3, seed));
        place.write(&format!("images/{name}.pgw"), format!("10\n0\n0\n-10\n{west}\n4649771\n"));
        place.write(&format!("images/{name}.prj"), SYSTEM);
    }
    place
}

fn job(place: &Place, name: &str, outputs: &str, more: &str) {
    let job = "version: 1\nimages: images\nclasses: [background, a, b]\ndefaults: {window: {size: 32}}\nmembers: [{onnx: m.onnx}]\n";
    place.write(name, format!("{job}store: store\noutputs: {outputs}\n{more}"));
}

/// The outlines of a job are a truth that its own masks agree with everywhere: one file for each image, in longitude and
/// latitude.
#[test]
fn the_outlines_of_a_job_are_its_masks() {
    let place = place();
    job(&place, "first.yaml", "[{polygons: geojson}, {masks: png}]", "");
    place.run("first.yaml").ends_with(0);
    let outputs = place.outputs("store");
    outputs.iter().filter(|(name, _)| name.starts_with("polygons/") || name.starts_with("masks/")).for_each(
        |(name, bytes)| {
            place.write(name, bytes);
        },
    );
    job(&place, "second.yaml", "[{evaluation: html}]", "truth: {from: polygons}\n");
    place.run("second.yaml").ends_with(0).says(&["2 labels: 2 × GeoJSON", "features on images"]);
    let found: Value =
        serde_json::from_slice(&place.outputs("store")["evaluation/evaluation.json"]).expect("JSON");
    assert_eq!((&found["mean_iou"]["dataset"], &found["surface"]["mean_nsd"]), (&json!(1.0), &json!(1.0)));
    assert_eq!(found["images"]["evaluated"], 2);
    // The same by `evaluate`, which finds the files beside images too.
    let args = ["evaluate", "--pred", "masks", "--truth", "polygons", "--classes", "background,a,b"];
    let args = [&args[..], &["--images", "images", "--format", "json"]].concat();
    let judged = place.marquetry(&args).ends_with(0).json();
    assert_eq!(judged["mean_iou"], found["mean_iou"]);
    let refused = place.marquetry(&args[..7]).ends_with(65);
    refused.says(&["nothing says where it lies on a map"]);
}

/// A file for all images, in the images' own system.
fn everywhere(boxes: &[(&str, [f64; 4])]) -> String {
    let feature = |(class, [left, top, right, bottom]): &(&str, [f64; 4])| {
        let ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]];
        let ring = ring.map(|[x, y]| [10.0f64.mul_add(*x, 500_000.0), (-10.0f64).mul_add(*y, 4_649_776.0)]);
        json!({"type": "Feature", "properties": {"what": class},
            "geometry": {"type": "Polygon", "coordinates": [ring]}})
    };
    let features: Vec<Value> = boxes.iter().map(feature).collect();
    let crs = json!({"type": "name", "properties": {"name": "EPSG:32633"}});
    json!({"type": "FeatureCollection", "crs": crs, "features": features}).to_string()
}

/// An image that nothing lies on has no label, or is background where that is said; a file of which nothing lies anywhere is
/// refused before a model is looked at.
#[test]
fn one_file_is_of_all_images_that_it_reaches() {
    let place = place();
    let (a, b) = (("a", [5.0, 5.0, 15.0, 15.0]), ("b", [10.0, 10.0, 20.0, 12.0]));
    place.write("labels.geojson", everywhere(&[a, b]));
    let evaluated = |more: &str, said: &[&str]| {
        let truth = format!("truth: {{from: labels.geojson, property: what{more}}}\n");
        job(&place, "job.yaml", "[{evaluation: html}]", &truth);
        place.run("job.yaml").ends_with(0).says(said);
        let file = &place.outputs("store")["evaluation/evaluation.json"];
        serde_json::from_slice::<Value>(file).expect("JSON")
    };
    let found = evaluated("", &["1 image without a label: sub/y"]);
    assert_eq!(
        (&found["images"]["evaluated"], &found["labels"][1]["contested_pixels"]),
        (&json!(1), &json!(10))
    );
    let values: Vec<u64> =
        (0..3).map(|i| found["labels"][1]["values"][i]["pixels"].as_u64().expect("px")).collect();
    assert_eq!(values, [40 * 50 - 110, 90, 20], "the later is on top");
    let found = evaluated(", no_row: background", &["2 labels"]);
    assert_eq!(found["images"]["evaluated"], 2);
    place.write("labels.geojson", everywhere(&[("a", [-50.0, 0.0, -40.0, 9.0])]));
    place.run("job.yaml").ends_with(65).says(&["none of its 1 feature lies on any image"]);
}

/// Outlines on a map are a region, whatever they are called: only what lies in them is computed, and an image that nothing lies
/// on is computed whole.
#[test]
fn outlines_are_a_region() {
    let place = place();
    place.write("region.geojson", everywhere(&[("a", [5.0, 5.0, 15.0, 15.0])]));
    job(&place, "all.yaml", "[{masks: png}]", "");
    place.run("all.yaml").ends_with(0);
    let all = place.outputs("store");
    let region = "region: {from: region.geojson, margin: 0, class: b}\n";
    job(&place, "part.yaml", "[{masks: png}]", region);
    let text = std::fs::read_to_string(place.path("part.yaml"))
        .expect("a job")
        .replace("store: store", "store: part");
    place.write("part.yaml", text);
    place.run("part.yaml").ends_with(0).says(&["1 image without a mask, computed whole: sub/y"]);
    let part = place.outputs("part");
    let labels = |files: &BTreeMap<String, Vec<u8>>, name: &str| Mask::from_png(&files[name]).labels;
    assert_eq!(labels(&part, "masks/sub/y.png"), labels(&all, "masks/sub/y.png"));
    let (found, whole) = (labels(&part, "masks/x.png"), labels(&all, "masks/x.png"));
    for (at, (found, whole)) in found.iter().zip(&whole).enumerate() {
        let inside = (5..15).contains(&(at / SIDES.1)) && (5..15).contains(&(at % SIDES.1));
        assert_eq!(*found, if inside { *whole } else { 2 }, "pixel {at}");
    }
}
