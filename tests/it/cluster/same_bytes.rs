//! A cluster makes what one process makes, byte for byte.

use crate::cluster::job::IMAGES;
use crate::cluster::setup::{Cluster, Kept, tally};
use crate::cluster::view;
use crate::devices::{openvino, with_openvino};
use crate::fixture::same_files;
use crate::image_kinds::float_tiff;
use crate::pictures::png;
use marquetry_model::toy::{Toy, Weights};
use std::collections::BTreeMap;

fn a_cluster_makes_the_same_bytes(kept: Kept) {
    let Some(mut cluster) = Cluster::start(kept) else { return };
    let _roles = [cluster.worker(), cluster.worker(), cluster.aggregator(), cluster.aggregator()];
    let summary = cluster.coordinate("job.yaml").ends_with(0).json();
    assert!(tally(&summary, "tasks_computed") > 40, "{summary}");
    assert_eq!((tally(&summary, "retries"), summary["whole"].as_bool()), (0, Some(true)), "{summary}");
    cluster.has_the_same_bytes();

    let again = cluster.coordinate("job.yaml").ends_with(0).json();
    assert_eq!((tally(&again, "images_found"), tally(&again, "tasks_computed")), (IMAGES, 0), "{again}");
    cluster.has_the_same_bytes();
}

#[test]
fn a_cluster_on_a_folder_makes_the_same_bytes() {
    a_cluster_makes_the_same_bytes(Kept::InFolder);
}

#[test]
fn a_cluster_on_s3_makes_the_same_bytes() {
    a_cluster_makes_the_same_bytes(Kept::InBucket);
}

/// A worker without OpenVINO gives its tasks back, for those that have it.
#[test]
fn a_job_by_openvino_is_computed_by_the_workers_that_have_it() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    cluster.job("openvino.yaml", "device: openvino\n");
    cluster.place.write("alone.yaml", crate::cluster::job::job("alone", "device: openvino\n"));
    let mut without = cluster.worker();
    cluster.openvino = openvino();
    let (with, _aggregator) = (cluster.worker(), cluster.aggregator());
    cluster.until_all_take_tasks(&[&without, &with]);
    let summary = cluster.coordinate("openvino.yaml").ends_with(0).json();
    assert_eq!(summary["whole"].as_bool(), Some(true), "{summary}");
    with_openvino(&cluster.place, &["run", "alone.yaml"]).ends_with(0);
    same_files(&cluster.place.outputs("alone"), &cluster.outputs());
    without.until_it_says("cannot use openvino");
    without.until_it_says("pip install openvino==");
}

/// Missing pixels, files beside images, values of classes, outlines on a map, weights beside a model: all of it comes through
/// messages and stores as it is.
const ODD: &str = "
version: 1
classes: [ground, a, b]
labels: {ground: 1, a: 2, b: 3}
failures: {ignore: 0}
defaults: {window: {size: 48}}
members: [{onnx: models/odd.onnx}, {onnx: models/plain.onnx, weight: 0.5}]
merge: {space: logits}
outputs: [{masks: tiff}, {polygons: geojson}, {submission: class-csv, size: [40, 56]}, {probabilities: zarr}, {report: html}]
nights: {keep: 2}
";

fn odd_files() -> Vec<(String, Vec<u8>)> {
    let (height, width) = (90, 130);
    let sample = |at: usize| if at % (3 * width) < 21 { f32::NAN } else { (at * 7919 % 251) as f32 };
    let tied = "10\n0\n0\n-10\n500005\n4649771\n";
    let system = r#"PROJCS["WGS_1984_UTM_Zone_33N",GEOGCS["GCS_WGS_1984"]]"#;
    let nodata = "<PAMDataset><PAMRasterBand><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>";
    [
        ("floats.tif", float_tiff([height, width], 3, (0..height * width * 3).map(sample).collect())),
        ("floats.tfw", tied.into()),
        ("floats.prj", system.into()),
        ("masked.png", png(height, width, 3, 5)),
        ("masked.png.msk", png(height, width, 1, 6)),
        ("masked.png.aux.xml", nodata.into()),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}

fn odd_images_and_models_make_the_same_bytes(kept: Kept) {
    let Some(mut cluster) = Cluster::start(kept) else { return };
    let toy = |seed| Toy { classes: 3, kernel: 5, weights: Weights::Seeded(seed), ..Toy::default() };
    let split = toy(1).with_external_data(&["odd.onnx.data"]);
    cluster.place.write("models/odd.onnx", &split.onnx).model("models/plain.onnx", &toy(2));
    for file in &split.external {
        cluster.place.write(&format!("models/{}", file.location), &file.bytes);
    }
    let from = if kept == Kept::InBucket { format!("{}/odd/", cluster.uri) } else { "odd".to_owned() };
    for (name, bytes) in odd_files() {
        cluster.place.write(&format!("odd/{name}"), &bytes);
        if kept == Kept::InBucket {
            view::wait(cluster.store().put(&format!("odd/{name}"), bytes.into())).expect("stored");
        }
    }
    cluster.place.write("alone.yaml", format!("{ODD}images: odd\nstore: alone\n"));
    cluster.place.write("odd.yaml", format!("{ODD}images: {{from: '{from}'}}\nstore: {}\n", cluster.uri));
    let said =
        ["EPSG:32633 (by its world file and .prj)", "the mask beside it (.msk)", "nodata by its .aux.xml"];
    cluster.place.run("alone.yaml").ends_with(0).says(&said);
    let alone = cluster.place.outputs("alone");
    let outlines = String::from_utf8_lossy(&alone["polygons/floats.geojson"]);
    assert!(outlines.contains("[15.0"), "they are in longitude and latitude");
    let _roles = [cluster.worker(), cluster.worker(), cluster.aggregator()];
    cluster.coordinate("odd.yaml").ends_with(0).says(&said);
    same_files(&without_names(alone), &without_names(cluster.outputs()));
}

/// Files by their names, but for the labels that are kept for other nights: these are named by what an image's content is
/// known by, which is another thing in a bucket.
fn without_names(files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let (labels, mut others): (BTreeMap<_, _>, BTreeMap<_, _>) =
        files.into_iter().partition(|(name, _)| name.starts_with("nights/"));
    assert_eq!(labels.len(), 2, "one for each image");
    let mut labels: Vec<Vec<u8>> = labels.into_values().collect();
    labels.sort_unstable();
    others.extend(labels.into_iter().enumerate().map(|(n, bytes)| (format!("nights/{n}"), bytes)));
    others
}

#[test]
fn odd_images_and_models_make_the_same_bytes_on_a_folder() {
    odd_images_and_models_make_the_same_bytes(Kept::InFolder);
}

#[test]
fn odd_images_and_models_make_the_same_bytes_on_s3() {
    odd_images_and_models_make_the_same_bytes(Kept::InBucket);
}

/// Members and views in rounds, within a region: what is unsure comes through messages and stores too.
const ROUNDS: &str = "
version: 1
images: images
classes: [ground, a, b, c, d, e, f, g, h, i, j, k]
defaults: {window: {size: 64}}
members:
  - {onnx: one.onnx, tags: {round: 1}}
  - {onnx: two.onnx, scale: 0.5, weight: 0.5}
tta: {views: flips}
region: {from: nonblank, margin: 16}
cascade: {first: {round: 1}, views: identity, margin: 0.00002, around: 1}
outputs: [{masks: png}, {probabilities: zarr}, {report: html}]
";

fn rounds_make_the_same_bytes(kept: Kept) {
    let Some(mut cluster) = Cluster::start(kept) else { return };
    cluster.place.write("alone.yaml", format!("{ROUNDS}store: alone\n"));
    cluster.place.write("rounds.yaml", format!("{ROUNDS}store: {}\n", cluster.uri));
    let alone = cluster.place.run("alone.yaml").ends_with(0).json();
    let [inside, all] =
        ["inside", "all"].map(|of| alone["cascade"]["forwards"][of].as_u64().expect("a number"));
    assert!(inside < all, "some is spared: {alone}");
    let files = cluster.place.outputs("alone");
    let _roles = [cluster.worker(), cluster.worker(), cluster.aggregator(), cluster.aggregator()];
    let summary = cluster.coordinate("rounds.yaml").ends_with(0).json();
    assert_eq!(summary["cascade"], alone["cascade"]);
    assert_eq!(tally(&summary, "forwards"), inside, "{summary}");
    same_files(&files, &cluster.outputs());
}

#[test]
fn rounds_make_the_same_bytes_on_a_folder() {
    rounds_make_the_same_bytes(Kept::InFolder);
}

#[test]
fn rounds_make_the_same_bytes_on_s3() {
    rounds_make_the_same_bytes(Kept::InBucket);
}

/// Thresholds that hang on all images, and what each member says: the first pass, its counts and the second come through
/// messages and stores too.
const TRAINING: &str = "
version: 1
images: images
classes: [ground, a, b, c, d, e, f, g, h, i, j, k]
defaults: {window: {size: 64}}
members: [{onnx: one.onnx}, {onnx: two.onnx, scale: 0.5, weight: 0.5}]
decide: {min_area: 6}
tiles: {per: member}
outputs:
  - {pseudo_labels: {png: grey}, share: 0.4, min_pixels: 30, agreement: 0.6, file: lists/pseudo.csv}
  - {soft_labels: zarr, top: 3}
  - {uncertainty: [entropy, mutual_information, vote_share, margin]}
  - {ranking: vote_share, of: windows, window: 60, count: 20}
  - {report: html}
";

#[test]
fn a_job_of_two_passes_makes_the_same_bytes() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    cluster.place.write("alone.yaml", format!("{TRAINING}store: alone\n"));
    cluster.place.write("training.yaml", format!("{TRAINING}store: {}\n", cluster.uri));
    cluster.place.run("alone.yaml").ends_with(0);
    let alone = cluster.place.outputs("alone");
    assert!(alone.contains_key("lists/pseudo.csv"));
    let _roles = [cluster.worker(), cluster.worker(), cluster.aggregator(), cluster.aggregator()];
    cluster.coordinate("training.yaml").ends_with(0).says(&["lists/pseudo.csv: ", "of all pixels are kept"]);
    same_files(&alone, &cluster.outputs());
}
