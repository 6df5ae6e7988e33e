//! What outputs are called, and which files among them are whose.

use crate::decode::csv;
use crate::fixture::{Place, same_files};
use crate::pictures::png;
use marquetry_model::toy::{Toy, Weights};

const JOB: &str = "
version: 1
classes: [ground, a, b]
defaults: {window: {size: 32}}
members: [{onnx: m.onnx}]
";

fn place(images: &[(&str, u64)]) -> Place {
    let place = Place::new();
    place.model("m.onnx", &Toy { classes: 3, kernel: 5, weights: Weights::Seeded(5), ..Toy::default() });
    for &(name, seed) in images {
        place.write(name, png(40, 50, 3, seed));
    }
    place
}

fn job(rest: &str) -> String {
    format!("{JOB}{rest}\n")
}

/// The images of a table's rows, in their order.
fn ids(table: &[u8]) -> Vec<String> {
    csv(table).into_iter().skip(1).map(|row| row[0].clone()).collect()
}

#[test]
fn a_job_among_its_images_takes_no_mask_for_an_image() {
    let place = place(&[("a.png", 1), ("sub/b.png", 2)]);
    let outputs = "outputs: [{masks: png}, {submission: kaggle-rle, rows: image, classes: [a, b]}]";
    place.write("job.yaml", job(&format!("images: '**/*.png'\n{outputs}")));
    place.run("job.yaml").ends_with(0);
    let first = place.outputs("out");
    assert_eq!(ids(&first["submission.csv"]), ["a", "sub/b"]);
    for _ in 0..2 {
        place.run("job.yaml").ends_with(0).says(&["2 files are left out that Marquetry itself has made"]);
        same_files(&first, &place.outputs("out"));
    }
    let masks = format!("{}/out/masks", place.job_folder("out"));
    place.write("named.yaml", job(&format!("images: {masks}\n{outputs}\nstore: other")));
    place.run("named.yaml").ends_with(0);
    assert_eq!(ids(&place.outputs("other")["submission.csv"]), ["a", "sub/b"], "their folder was named");
}

#[test]
fn files_of_images_that_left_the_job_are_listed() {
    let place = place(&[("images/a.png", 1), ("images/b.png", 2), ("images/sub/c.png", 3)]);
    let job =
        job("images: images\noutputs: [{masks: png}, {probabilities: zarr}, {report: html}]\nstore: store");
    place.write("job.yaml", job);
    place.run("job.yaml").ends_with(0);
    let whole = place.outputs("store");
    assert!(!whole.contains_key("stale-files.csv"));
    let original = std::fs::read(place.path("images/b.png")).expect("an image");
    std::fs::remove_file(place.path("images/sub/c.png")).expect("a file");
    place.write("images/b.png", "damaged");
    let ran = place.run("job.yaml").ends_with(1).says(&["4 files among the outputs are not of this run"]);
    assert!(ran.json()["files"].to_string().contains("stale-files.csv"));
    let mut left = place.outputs("store");
    let stale = left.remove("stale-files.csv").expect("a list");
    assert_eq!(
        ids(&stale),
        ["masks/b.png", "masks/sub/c.png", "probabilities/b.zarr", "probabilities/sub/c.zarr"]
    );
    same_files(&whole, &left);
    place.write("images/b.png", original).write("images/sub/c.png", png(40, 50, 3, 3));
    place.run("job.yaml").ends_with(0);
    same_files(&whole, &place.outputs("store"));
}

#[test]
fn outputs_keep_the_names_of_their_images() {
    let names = [
        "plate 1 (left)",
        "größe [2]",
        "航空写真_東京都江東区_二〇二四年度_第三回撮影_左岸_オルソ補正済み_正式版",
        "a%20b & 'c'",
        "CON.",
    ];
    let place = place(&[("images/plain.png", 1)]);
    for name in names {
        place.write(&format!("images/{name}.png"), png(40, 50, 3, 1));
    }
    place
        .write("job.yaml", job("images: images\noutputs: [{masks: png}, {polygons: geojson}]\nstore: store"));
    place.run("job.yaml").ends_with(0);
    let files = place.outputs("store");
    assert_eq!(files.len(), 2 * (names.len() + 1), "{:?}", files.keys());
    for name in names {
        assert!(files[&format!("masks/{name}.png")] == files["masks/plain.png"], "{name}");
        assert!(files.contains_key(&format!("polygons/{name}.geojson")), "{name}");
    }
}

#[test]
fn names_that_no_file_can_have_are_listed() {
    let place = place(&[("x.png", 1)]);
    let long = "y".repeat(300);
    place.write("list.csv", format!("image_id,path\nplain,x.png\n{long},x.png\n../up,x.png\na/,x.png\n"));
    let outputs = "outputs: [{masks: png}, {submission: kaggle-rle, rows: image, classes: [a, b]}]";
    place.write("job.yaml", job(&format!("images: list.csv\n{outputs}\nstore: store")));
    place
        .marquetry(&["plan", "job.yaml"])
        .ends_with(0)
        .says(&["3 images have ids that no file can be called"]);
    place.run("job.yaml").ends_with(0).says(&["output-names.csv"]);
    let files = place.outputs("store");
    let table = csv(&files["output-names.csv"]);
    assert_eq!(table[0], ["image_id", "file"]);
    assert_eq!(table[1..].iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), [&long, "../up", "a/"]);
    for row in &table[1..] {
        assert!(files[&row[1]] == files["masks/plain.png"], "{row:?}");
    }
    assert_eq!(
        ids(&files["submission.csv"]),
        ["plain", &long, "../up", "a/"],
        "tables have the ids themselves"
    );
}

/// What two images would both be called is refused before a model runs, and so by `plan`.
#[test]
fn rows_and_files_of_one_name_are_refused_when_a_job_is_planned() {
    let place = place(&[("images/a.png", 1), ("images/a_b.png", 2), ("images/a.png.d/b.png", 3)]);
    place.write("images.csv", "image_id,path\na,images/a.png\na.png/b,images/a.png.d/b.png\n");
    let classes = |text: String| text.replace("[ground, a, b]", "[ground, b_c, c]");
    let rows = classes(job("images: images/*.png\noutputs: [{submission: kaggle-rle}]\nstore: rows"));
    let files = job("images: images.csv\noutputs: [{masks: png}]\nstore: files");
    place.write("rows.yaml", rows.as_str()).write("files.yaml", files.as_str());
    for command in ["plan", "run"] {
        let row = ["image `a`, class `b_c` and of image `a_b`, class `c`", "`a_b_c`"];
        place.marquetry(&[command, "rows.yaml"]).ends_with(65).says(&row);
        let file =
            ["images `a` and `a.png/b`", "masks/a.png of the first", "masks/a.png/b.png of the second"];
        place.marquetry(&[command, "files.yaml"]).ends_with(65).says(&file);
    }
    assert!(!place.path("rows/jobs").exists() && !place.path("files/jobs").exists(), "nothing was computed");
    // As the refusal advises.
    place.write("rows.yaml", rows.replace("kaggle-rle}", "kaggle-rle, id: '{image}:{class}'}"));
    place.run("rows.yaml").ends_with(0);
    let found = ids(&place.outputs("rows")["submission.csv"]);
    assert_eq!(found, ["a:b_c", "a:c", "a_b:b_c", "a_b:c"]);
}

/// A world file says where the centre of the first pixel is, and how large pixels are.
#[test]
fn world_files_tie_outlines_and_masks_to_places() {
    let place = place(&[("images/plain.png", 1), ("images/tied.png", 1), ("images/damaged.png", 1)]);
    place.write("images/tied.pgw", "10\n0\n0\n-10\n500005\n4649771\n").write("images/damaged.wld", "10 0 0");
    let outputs = "[{polygons: geojson}, {masks: {tiff: grey}}, {report: html}]";
    place.write("job.yaml", job(&format!("images: images\noutputs: {outputs}\nstore: store")));
    place.run("job.yaml").ends_with(0).says(&[
        "image damaged: PNG, 3 bands, 8-bit, its world file is NOT READ (it has 3 numbers",
        "image tied: PNG, 3 bands, 8-bit, georeference without a named system (by its world file)",
        "warning: tied: outlines have the image's own coordinates: nothing names its reference system",
        "(allow: [outlines] lets it pass)",
    ]);
    let files = place.outputs("store");
    let rings = |name: &str| -> Vec<Vec<[f64; 2]>> {
        let list: serde_json::Value =
            serde_json::from_slice(&files[&format!("polygons/{name}.geojson")]).expect("JSON");
        let features = list["features"].as_array().expect("features").clone();
        let rings =
            features.iter().flat_map(|f| f["geometry"]["coordinates"].as_array().expect("rings").clone());
        rings.map(|ring| serde_json::from_value(ring).expect("points")).collect()
    };
    let tied: Vec<Vec<[f64; 2]>> = rings("plain")
        .into_iter()
        .map(|ring| {
            ring.into_iter().rev().map(|[x, y]| [500_000.0 + 10.0 * x, 4_649_776.0 - 10.0 * y]).collect()
        })
        .collect();
    assert!(!tied.is_empty(), "some outlines");
    assert_eq!(rings("tied"), tied);
    assert!(rings("damaged") == rings("plain"), "its pixels");
    // The tie point and the size of a pixel, as GeoTIFF's tags 33922 and 33550 hold them.
    let mask = &files["masks/tied.tiff"];
    let holds = |numbers: [f64; 3]| {
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        mask.windows(bytes.len()).any(|window| window == bytes)
    };
    assert!(holds([10.0, 10.0, 0.0]) && holds([500_000.0, 4_649_776.0, 0.0]));
}

#[cfg(unix)]
#[test]
fn others_may_read_outputs_as_the_umask_says() {
    use std::os::unix::fs::PermissionsExt;
    let place = place(&[("images/a.png", 1)]);
    let all = "[{masks: png}, {masks: tiff}, {probabilities: zarr}, {coco: rle}, {report: html}]";
    place.write("job.yaml", job(&format!("images: images\noutputs: {all}\nstore: store")));
    place.run("job.yaml").ends_with(0);
    let rights =
        |path: &std::path::Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    let plain = rights(&place.path("job.yaml"));
    let out = place.path(&format!("{}/out", place.job_folder("store")));
    for file in crate::fixture::below(&out) {
        assert_eq!(rights(&file), plain, "{}", file.display());
    }
}
