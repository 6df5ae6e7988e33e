use super::*;
use serde_json::{Value, json};

fn open(document: &Value) -> Result<CocoSource, LabelError> {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("train.json");
    std::fs::write(&path, document.to_string()).unwrap();
    let limits = Limits { pixels_max: 1 << 20, memory_bytes: 1 << 20, scratch_dir: folder.path().to_owned() };
    CocoSource::open(&path, &limits)
}

fn document() -> Value {
    let square = |x: u32, y: u32, side: u32| json!([[x, y, x + side, y, x + side, y + side, x, y + side]]);
    json!({
        "images": [
            {"id": "a", "file_name": ".\\n\\1.png", "height": 4, "width": 6},
            {"id": 7, "file_name": "s/1.png", "height": 4, "width": 6},
        ],
        "categories": [{"id": 0, "name": "things"}, {"id": 5, "name": "boat"}, {"id": 9, "name": "buoy"}],
        "annotations": [
            {"id": 1, "image_id": "a", "category_id": 5, "segmentation": square(0, 0, 4)},
            {"id": 2, "image_id": "a", "category_id": 9, "segmentation": square(1, 1, 2), "iscrowd": 1},
            {"id": 3, "image_id": "7", "category_id": 9, "segmentation": square(1, 1, 2)},
        ],
    })
}

#[test]
fn categories_are_numbered_and_named_and_the_smaller_is_on_top() {
    let source = open(&document()).unwrap();
    let names: Vec<&str> = source.value_names().unwrap().iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["background", "things", "boat", "buoy"]);
    assert_eq!(source.entries()[0].path, "./n/1.png");
    let mut label = RawLabel::default();
    source.read(0, None, &mut label).unwrap();
    assert_eq!(
        label.values,
        [[2, 2, 2, 2, 0, 0], [2, 3, 3, 2, 0, 0], [2, 3, 3, 2, 0, 0], [2, 2, 2, 2, 0, 0]].concat()
    );
    assert_eq!((label.facts.contested, label.facts.kind.as_str()), (4, "COCO, outlines"));
    source.read(1, None, &mut label).unwrap();
    assert!(label.values.iter().all(|&value| value == 0));
}

#[test]
fn what_is_odd_is_told() {
    let notes = open(&document()).unwrap().notes().join("\n");
    assert!(notes.contains("1 image without annotations: all background"), "{notes}");
    assert!(notes.contains("such as \"7\" (an image has the same id, once as a number"), "{notes}");
    assert!(notes.contains("categories without an annotation: things"), "{notes}");
}

#[test]
fn annotations_without_a_segmentation_are_counted() {
    let said = |bare: &[Value]| {
        let mut document = document();
        let kinds = bare.iter().zip(document["annotations"].as_array_mut().unwrap());
        kinds.for_each(|(bare, annotation)| annotation["segmentation"] = bare.clone());
        let source = open(&document).unwrap();
        (source.notes().join("\n"), source.warnings())
    };
    assert_eq!(said(&[]).1, Vec::<String>::new());
    let (notes, warnings) = said(&[json!([])]);
    let text =
        "1 of 3 annotations has no segmentation, at most a box, and so no pixel: first 1, of image \"a\"";
    assert!(notes.starts_with(text), "{notes}");
    assert_eq!(warnings, Vec::<String>::new());
    let (notes, warnings) = said(&[json!([[]]), json!(null), json!([])]);
    assert!(!notes.contains("segmentation"), "{notes}");
    assert!(warnings[0].starts_with("3 of 3 annotations have no segmentation"), "{warnings:?}");
    assert!(warnings[0].ends_with("take a file with outlines or run lengths"), "{warnings:?}");
    let mut empty = document();
    empty["annotations"][1]["segmentation"] = json!([[], []]);
    let mut label = RawLabel::default();
    open(&empty).unwrap().read(0, None, &mut label).unwrap();
    assert_eq!(label.facts.kind, "COCO, outlines and annotations without area");
    empty["annotations"][1]["segmentation"] = json!(["1"]);
    assert!(open(&empty).unwrap().read(0, None, &mut label).is_err(), "no empty list, but a damaged one");
    // Where settled, it stands with the other warnings, by the source's name.
    let mut bare = document();
    bare["annotations"].as_array_mut().unwrap().iter_mut().for_each(|annotation| {
        annotation.as_object_mut().unwrap().remove("segmentation");
    });
    let classes = crate::ClassList::new(["background", "boat"].map(str::to_owned).to_vec()).unwrap();
    let (source, rules, census) =
        (open(&bare).unwrap(), crate::LabelRules::default(), crate::Census::default());
    let settled = crate::settle(crate::Side::Truth, &source, &census, &rules, &classes);
    assert_eq!(settled.warnings.len(), 1);
    assert!(settled.warnings[0].starts_with(&format!("{}: 3 of 3", source.name())), "{:?}", settled.warnings);
}

#[test]
fn files_that_are_no_truth_are_refused() {
    let mut undeclared = document();
    undeclared["annotations"][0]["category_id"] = json!(3);
    let names = open(&undeclared).unwrap().value_names().unwrap().to_vec();
    assert_eq!(names[4], (4, "category 3".to_owned()), "known, but as no class");
    assert!(open(&json!([])).unwrap_err().to_string().contains("no images"));
    let mut sizeless = document();
    sizeless["images"][0] = json!({"id": "a", "file_name": "1.png"});
    let source = open(&sizeless).unwrap();
    let mut label = RawLabel::default();
    assert!(source.read(0, None, &mut label).unwrap_err().to_string().contains("no height and width"));
    source.read(0, Some(Size::new(4, 6)), &mut label).unwrap();
    assert_eq!(label.values[0], 2);
}
