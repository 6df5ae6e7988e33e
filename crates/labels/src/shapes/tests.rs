use super::*;
use marquetry_raster::read::Limits;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn limits() -> Limits {
    Limits { pixels_max: 1 << 20, memory_bytes: 1 << 20, scratch_dir: std::env::temp_dir() }
}

fn file(name: &str, content: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn rows(source: &ShapeSource, entry: usize, image: Option<Size>) -> Vec<String> {
    let mut label = RawLabel::default();
    source.read(entry, image, &mut label).unwrap();
    let line = |row: &[u32]| row.iter().map(ToString::to_string).collect();
    label.values.chunks_exact(label.size.width as usize).map(line).collect()
}

fn names(source: &ShapeSource) -> Vec<&str> {
    source.value_names().unwrap().iter().map(|(_, name)| name.as_str()).collect()
}

fn labelme_of(document: &Value) -> Result<ShapeSource, LabelError> {
    let (folder, path) = file("yard.json", &document.to_string());
    labelme::open(folder.path(), &[("day/".to_owned(), path)], &limits())
}

/// A PNG of one row: 0, 1, 1.
fn mask() -> String {
    use base64::Engine;
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 3, 1);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&[0, 255, 255]).unwrap();
    base64::engine::general_purpose::STANDARD.encode(png)
}

#[test]
fn labelme_paints_later_shapes_over_earlier_ones() {
    let shape = |label: &str, kind: Option<&str>, points: Value| json!({"label": label, "shape_type": kind, "points": points});
    let mut patch = shape("bush", Some("mask"), json!([[3, 0], [5, 0]]));
    patch["mask"] = json!(mask());
    let document = json!({
        "imagePath": "..\\photos\\yard.png", "imageData": null, "imageHeight": null, "imageWidth": null,
        "shapes": [
            shape("grass", None, json!([[0, 0.6], [5.9, 0.6], [5.9, 4], [0, 4]])),
            shape("path", Some("rectangle"), json!([[4.2, 4.0], [1.0, 2.0]])),
            shape("__ignore__", Some("polygon"), json!([[0, 3], [1, 3], [1, 4], [0, 4]])),
            shape("tree", Some("circle"), json!([[2.0, 1.0], [2.0, 2.0]])),
            patch,
            shape("_background_", Some("rectangle"), json!([[5, 3], [6, 4]])),
            shape("wire", Some("linestrip"), json!([[0, 0], [5, 0]])),
        ],
    });
    let source = labelme_of(&document).unwrap();
    assert_eq!(source.entries()[0].path, "day/yard.png");
    assert_eq!(names(&source), ["background", "grass", "path", "__ignore__", "tree", "bush"]);
    assert_eq!(rows(&source, 0, Some(Size::new(4, 6))), ["044055", "144111", "122211", "322210"]);
    assert!(source.notes()[0].contains("1 linestrip"), "{:?}", source.notes());
    let error = source.read(0, None, &mut RawLabel::default()).unwrap_err();
    assert!(error.to_string().contains("does not say its size"), "{error}");
}

#[test]
fn labelme_names_every_shape_that_it_cannot_draw() {
    let document = json!({"shapes": [
        {"label": "a", "shape_type": "circle", "points": [[0, 0]]},
        {"label": "b", "shape_type": "blob", "points": []},
        {"label": "c", "shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": "?"},
    ]});
    let error = labelme_of(&document).unwrap_err().to_string();
    for word in ["shape 0 (`a`): a circle of 1 points", "type `blob`", "no Base64"] {
        assert!(error.contains(word), "`{word}` is not in {error}");
    }
}

fn cvat_of(images: &str) -> Result<ShapeSource, LabelError> {
    let (_folder, path) = file("annotations.xml", &format!("<annotations>{images}</annotations>"));
    cvat::open(&path)
}

#[test]
fn cvat_paints_by_z_order_and_counts_within_the_box() {
    let source = cvat_of(
        r#"<image id="0" name="day1/f.png" width="7" height="4">
        <mask label="rust" rle="1, 2, 1" left="3" top="1" width="2" height="2" z_order="2"/>
        <polygon label="plate" points="2.00,0.00;6.00,0.00;6.00,4.00;2.00,4.00" z_order="1"/>
        <mask label="dent" rle="0, 4" left="0" top="2" width="2" height="2" z_order="0"/>
        <box label="plate" xtl="0.0" ytl="0.0" xbr="1.0" ybr="1.0" z_order="0"/>
        <mask label="dent" rle="3, 4, 9" left="0" top="0" width="2" height="2" z_order="3"/>
        <polyline label="edge" points="0,0;1,1"/></image>"#,
    );
    let source = source.unwrap();
    assert_eq!(names(&source), ["background", "rust", "plate", "dent"]);
    assert_eq!(rows(&source, 0, None), ["2022220", "0022120", "3321220", "3322220"]);
    let notes = source.notes();
    assert!(notes[0].contains("day1/f.png, dent: 16 px for a box of 4"), "{notes:?}");
    assert!(notes[1].contains("1 polyline"), "{notes:?}");
}

#[test]
fn cvat_of_another_kind_is_refused() {
    assert!(cvat_of(r#"<track id="0"/>"#).unwrap_err().to_string().contains("CVAT for images"));
    let strange = r#"<image name="a" width="2" height="2"><polygon label="x" points="1;2"/></image>"#;
    assert!(cvat_of(strange).unwrap_err().to_string().contains("`1` is no point"));
    assert!(cvat_of("").unwrap_err().to_string().contains("no annotated image"));
}

/// Packs values as the program does: runs of equal values, each of at most 16.
fn packed(values: &[u8]) -> Vec<u8> {
    let mut bits = format!("{:032b}{:05b}", values.len(), 7);
    [1, 2, 3, 4].iter().for_each(|length| bits += &format!("{:04b}", length - 1));
    for run in values.chunk_by(|a, b| a == b) {
        for run in run.chunks(16) {
            bits += &format!("111{:04b}{:08b}", run.len() - 1, run[0]);
        }
    }
    bits += &"0".repeat((8 - bits.len() % 8) % 8);
    bits.as_bytes()
        .chunks(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect()
}

fn task(image: &str, annotations: &Value) -> Value {
    json!({"data": {"image": image}, "annotations": annotations})
}

fn drawn(kind: &str, mut value: Value, labels: Value) -> Value {
    value[kind] = labels;
    json!({"type": kind, "value": value, "original_width": 5, "original_height": 4, "image_rotation": 0})
}

fn label_studio_of(document: &Value) -> Result<ShapeSource, LabelError> {
    let (_folder, path) = file("export.json", &document.to_string());
    label_studio::open(Path::new(&path))
}

#[test]
fn label_studio_brushes_are_where_alpha_is() {
    // Alpha of 0, 1 and 255, and colours where there is none.
    let mut values = vec![9; 4 * 20];
    values.iter_mut().skip(3).step_by(4).for_each(|alpha| *alpha = 0);
    (values[4 * 6 + 3], values[4 * 7 + 3]) = (1, 255);
    let brush = json!({"format": "rle", "rle": packed(&values)});
    let wall = json!({"points": [[60.0, 0.0], [100.0, 0.0], [100.0, 50.0], [60.0, 50.0]], "closed": true});
    let kept = json!([
        {"was_cancelled": false, "completed_by": 1, "result": [
            drawn("brushlabels", brush, json!(["crack"])),
            drawn("polygonlabels", wall, json!(["wall"])),
            drawn("rectanglelabels", json!({"x": 0, "y": 75, "width": 40, "height": 25, "rotation": 0}), json!(["wall"])),
            drawn("keypointlabels", json!({"x": 0, "y": 0}), json!(["wall"])),
        ]},
        {"was_cancelled": true, "completed_by": 2, "result": []},
    ]);
    let source = label_studio_of(&json!([
        task("/data/upload/3/1f2e3d4c-p.png", &kept),
        task("/data/upload/3/1f2e3d4d-q.png", &json!([])),
        task("/data/local-files/?d=photos/r.png", &kept),
    ]));
    let source = source.unwrap();
    let paths: Vec<&str> = source.entries().iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["p.png", "photos/r.png"], "what nobody has annotated has no label");
    assert_eq!(rows(&source, 0, None), ["00022", "01122", "00000", "22000"]);
    assert!(source.notes()[0].contains("prefix") && source.notes()[1].contains("keypointlabels"));
}

#[test]
fn label_studio_says_what_it_cannot_know() {
    let one = json!({"completed_by": 1, "result": []});
    let error = label_studio_of(&json!([task("a.png", &json!([one, {"completed_by": 7, "result": []}]))]))
        .unwrap_err();
    assert!(error.to_string().contains("a.png has 2 annotations, by 1, 7"), "{error}");
    let mut turned = drawn("polygonlabels", json!({"points": [[0, 0], [1, 0], [1, 1]]}), json!(["x"]));
    turned["image_rotation"] = json!(90);
    let short =
        drawn("brushlabels", json!({"format": "rle", "rle": packed(&[1; 80])[..9].to_vec()}), json!(["x"]));
    let other = drawn("brushlabels", json!({"format": "rle", "rle": packed(&[1; 40])}), json!(["x"]));
    let both = drawn("polygonlabels", json!({"points": []}), json!(["x", "y"]));
    let document = json!([task("a.png", &json!([{"result": [turned, short, other, both]}]))]);
    let error = label_studio_of(&document).unwrap_err().to_string();
    for word in ["turned by 90", "ends too early", "40 values", "2 labels"] {
        assert!(error.contains(word), "`{word}` is not in {error}");
    }
}

/// An entry for each annotation, with what is drawn beside the image under the name of the tag it was drawn with.
#[test]
fn label_studio_in_its_small_form_says_the_same() {
    let mut polygon = json!({"points": [[0, 0], [60, 0], [60, 50], [0, 50]], "closed": true});
    let whole = label_studio_of(&json!([task(
        "/data/upload/3/1a2b3c4d-a.png",
        &json!([{"result": [drawn("polygonlabels", polygon.clone(), json!(["rust"]))]}])
    ),]))
    .unwrap();
    polygon["polygonlabels"] = json!(["rust"]);
    (polygon["original_width"], polygon["original_height"]) = (json!(5), json!(4));
    let mut values = vec![0; 4 * 20];
    (values[4 * 6 + 3], values[4 * 7 + 3]) = (1, 255);
    let brush = json!({
        "format": "rle", "rle": packed(&values), "brushlabels": ["dent"], "original_width": 5, "original_height": 4,
    });
    let entry = |id: u32, image: &str, shapes: Value| {
        json!({"id": id, "image": image, "label": shapes, "annotator": 1, "annotation_id": 10 + id,
            "created_at": "2024-01-01", "lead_time": 3.5})
    };
    let first = entry(1, "/data/upload/3/1a2b3c4d-a.png", json!([polygon]));
    let source = label_studio_of(&json!([
        first.clone(),
        json!({"id": 2, "picture": "b.png", "tag": [brush], "created_at": "2024-01-01"})
    ]))
    .unwrap();
    assert_eq!(source.entries()[0].path, "a.png");
    assert_eq!(rows(&source, 0, None), rows(&whole, 0, None));
    assert_eq!(rows(&source, 0, None), ["11100", "11100", "00000", "00000"]);
    assert_eq!(rows(&source, 1, None), ["00000", "02200", "00000", "00000"]);
    // Two entries of one task are two annotations of it.
    let error = label_studio_of(&json!([first.clone(), first])).unwrap_err().to_string();
    assert!(error.contains("a.png has 2 annotations, by 1, 1"), "{error}");
}
