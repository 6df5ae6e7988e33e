use super::*;
use crate::read::ReadErrorKind;
use crate::write::CocoId;
use serde_json::{Value, json};
use std::error::Error;

const SIZE: Size = Size::new(6, 9);

fn file(document: &Value) -> Result<CocoFile, ReadError> {
    file_of(document.to_string().into_bytes(), 1 << 20)
}

fn file_of(bytes: Vec<u8>, memory_bytes: u64) -> Result<CocoFile, ReadError> {
    let folder = TempDir::new().unwrap();
    let limits = Limits { memory_bytes, ..roomy(&folder) };
    CocoFile::open_from(Box::new(bytes), Path::new("train.json"), &limits)
}

fn rectangle(left: i64, top: i64, right: i64, bottom: i64) -> Value {
    json!([left, top, right, top, right, bottom, left, bottom])
}

/// One image, 7, with these segmentations.
fn with(segmentations: &[Value]) -> CocoFile {
    let annotation = |(index, segmentation): (usize, &Value)| json!({"id": 10 + index, "image_id": 7, "category_id": 1, "segmentation": segmentation});
    let annotations: Vec<_> = segmentations.iter().enumerate().map(annotation).collect();
    file(&json!({
        "images": [{"id": 7, "file_name": "a/7.png", "height": 6, "width": 9, "license": 3}],
        "categories": [{"id": 1, "name": "plate", "supercategory": "none"}],
        "annotations": annotations,
    }))
    .unwrap()
}

const SEVEN: CocoId = CocoId::Number(7);

/// Rows 1 to 4, columns 2 to 6, in every form in which files have it.
#[test]
fn every_form_of_a_mask_is_the_same_mask() {
    let counts = [13, 4, 2, 4, 2, 4, 2, 4, 2, 4, 13];
    let text = crate::rle::encode_coco(&crate::rle::decode_counts(SIZE, &counts).unwrap()).counts;
    assert_eq!(text, "=420000000;");
    let forms = [
        (json!([rectangle(2, 1, 7, 5)]), CocoForm::Polygons),
        (rectangle(2, 1, 7, 5), CocoForm::Polygons),
        (json!([rectangle(2, 1, 4, 5), rectangle(3, 1, 7, 5)]), CocoForm::Polygons),
        (json!({"size": [6, 9], "counts": counts}), CocoForm::Counts),
        (json!({"size": [6, 9], "counts": text}), CocoForm::Text),
        (json!({"size": [6, 9], "counts": "PTQyMDAwMDAwMDs="}), CocoForm::Base64Text),
    ];
    let objects = with(&forms.each_ref().map(|(form, _)| form.clone())).objects(&SEVEN, SIZE).unwrap();
    assert_eq!(objects.len(), forms.len());
    for (object, (_, form)) in objects.iter().zip(&forms) {
        assert_eq!((object.form, &object.mask, object.category_id), (*form, &objects[0].mask, 1));
    }
    let label = with(&[forms[4].0.clone()]).label(&SEVEN, SIZE, 0, |_| Some(3)).unwrap();
    let inside = "003333300".to_owned();
    let outside = "000000000".to_owned();
    assert_eq!(digits(&label), [&[outside.clone()][..], &vec![inside; 4], &[outside]].concat());
    assert_eq!((label.info().bands, label.info().format), (1, None));
}

#[test]
fn a_mask_may_begin_with_pixels_or_be_full() {
    let corner = json!({"size": [6, 9], "counts": [0, 1, 53]});
    let full = json!({"size": [6, 9], "counts": "0f1"});
    let objects = with(&[corner, full]).objects(&SEVEN, SIZE).unwrap();
    assert_eq!(objects.iter().map(|object| object.mask.area()).collect::<Vec<_>>(), [1, 54]);
}

#[test]
fn what_has_no_area_is_there_and_empty() {
    let nothing = [
        json!([]),
        json!(null),
        json!([[4.0, 4.0]]),
        json!([[1, 5, 3, 5]]),
        json!([rectangle(20, 20, 30, 30)]),
    ];
    let objects = with(&nothing).objects(&SEVEN, SIZE).unwrap();
    assert!(objects.iter().all(|object| object.mask.is_empty()));
    assert_eq!(objects[1].form, CocoForm::Nothing);
    assert_eq!(objects[4].form, CocoForm::Polygons);
    // Outlines that reach out are clipped, not bent.
    let out = with(&[json!([rectangle(5, 3, 12, 9)]), json!([rectangle(-4, -3, 2, 2)])]);
    let areas = out.objects(&SEVEN, SIZE).unwrap();
    assert_eq!(areas.iter().map(|object| object.mask.area()).collect::<Vec<_>>(), [4 * 3, 2 * 2]);
}

#[test]
fn damage_names_the_annotation() {
    for (segmentation, found) in [
        (json!({"size": [9, 6], "counts": [13, 4, 37]}), "its mask is 9 × 6 px, the image 6 × 9 px"),
        (json!({"size": [6, 9], "counts": [13, 4]}), "its lengths add up to 17 px"),
        (json!({"size": [6, 9], "counts": [u64::MAX, u64::MAX]}), "its lengths add up to"),
        (json!({"size": [6, 9], "counts": "=4~~"}), "byte 126"),
        (json!({"size": [6, 9], "counts": "=4"}), "its lengths add up to 17 px"),
        (json!({"size": [6, 9], "counts": true}), "did not match any variant"),
        (json!([[1, 2, 3]]), "must come in pairs"),
        (json!([[1, 2, "x", 4, 5, 6]]), "expected f64"),
        (json!([[1, 2, 1e300, 4, 5, 6]]), "the coordinate 1"),
    ] {
        let error = with(&[json!([]), segmentation]).objects(&SEVEN, SIZE).unwrap_err();
        assert!(error.to_string().contains("annotation 11 of image 7: "), "{error}");
        assert!(error.to_string().contains(found), "{error}");
        assert_eq!(error.kind(), ReadErrorKind::Unreadable);
    }
    let error = with(&[json!({"size": [6, 9], "counts": [1]})]).objects(&SEVEN, SIZE).unwrap_err();
    assert!(error.source().is_some(), "the cause is kept");
}

#[test]
fn an_image_has_one_size() {
    let error = with(&[]).objects(&SEVEN, Size::new(9, 6)).unwrap_err();
    assert!(error.to_string().contains("image 7 is 6 × 9 px there, and 9 × 6 px in fact"), "{error}");
    // An image that the file does not name has no size there.
    assert_eq!(with(&[]).objects(&CocoId::from("x"), Size::new(9, 6)).unwrap(), []);
}

#[test]
fn the_smaller_one_is_on_top_and_crowds_are_drawn() {
    let object = |id: u64, category: u64, crowd: Value, segmentation: Value| json!({"id": id, "image_id": "a", "category_id": category, "iscrowd": crowd, "segmentation": [segmentation]});
    let list = file(&json!([
        object(1, 5, json!(0), rectangle(1, 0, 2, 1)),
        object(1, 6, json!(1), rectangle(0, 0, 4, 1)),
        object(2, 7, json!(true), rectangle(2, 0, 4, 1)),
        object(3, 8, json!(false), rectangle(3, 0, 5, 1)),
        object(4, 9, json!(false), rectangle(0, 0, 5, 1)),
    ]))
    .unwrap();
    let image = CocoId::from("a");
    let size = Size::new(1, 6);
    let drawn = |value_of: &dyn Fn(&CocoObject) -> Option<u16>| {
        digits(&list.label(&image, size, 0, value_of).unwrap()).remove(0)
    };
    assert_eq!(drawn(&|object| Some(object.category_id as u16)), "657880");
    assert_eq!(drawn(&|object| object.crowd.then_some(1)), "111100");
    assert_eq!(drawn(&|object| (object.category_id == 9).then_some(2)), "222220");
    let ids: Vec<_> =
        list.objects(&image, size).unwrap().into_iter().filter_map(|object| object.id).collect();
    assert_eq!(ids, [1, 1, 2, 3, 4].map(CocoId::Number));
}

#[test]
fn ids_are_taken_as_they_are_written() {
    let annotation = |image: Value| json!({"image_id": image, "category_id": 1});
    let list = file(&json!([
        annotation(json!("8")),
        annotation(json!(8)),
        annotation(json!("8")),
        annotation(json!("b"))
    ]));
    let list = list.unwrap();
    let text = CocoId::Text("8".to_owned());
    assert_eq!(
        list.annotated_images().cloned().collect::<Vec<_>>(),
        [text.clone(), CocoId::Number(8), CocoId::from("b")]
    );
    assert_eq!(list.objects(&text, SIZE).unwrap().len(), 2);
    assert_eq!(list.objects(&CocoId::Number(8), SIZE).unwrap().len(), 1);
    assert_eq!((text.to_string(), CocoId::Number(8).to_string()), ("\"8\"".to_owned(), "8".to_owned()));
}

#[test]
fn files_that_contradict_themselves_are_refused() {
    let image = json!({"id": "a", "file_name": "a.png"});
    let category = json!({"id": 3, "name": "boat"});
    for (document, found) in [
        (json!({"images": [image, image]}), "two of its images have the id \"a\""),
        (json!({"categories": [category, category]}), "two of its categories have the id 3"),
        (json!({"images": 3}), "invalid type"),
        (json!([3]), "invalid type"),
        (json!([{"category_id": 3}]), "missing field `image_id`"),
        (json!("text"), "invalid type"),
    ] {
        let error = file(&document).unwrap_err();
        assert!(error.to_string().contains(found), "{error}");
    }
    let whole = file(&json!({"images": [image], "categories": [category]})).unwrap();
    assert_eq!((whole.images()[0].file_name.as_deref(), whole.images()[0].height), (Some("a.png"), None));
    assert_eq!(whole.categories()[0].name, "boat");
    let text = json!({"images": [image]}).to_string();
    for keep in 0..text.len() {
        assert!(file_of(text.as_bytes()[..keep].to_vec(), 1 << 20).is_err(), "{keep}");
    }
}

#[test]
fn limits_hold() {
    let bytes = json!([]).to_string().into_bytes();
    assert_eq!(file_of(bytes.clone(), 1).unwrap_err().kind(), ReadErrorKind::TooLarge);
    let list = file_of(bytes, 2).unwrap();
    // Every annotation is small enough, all of them are not.
    let zigzag =
        json!([{"image_id": 7, "category_id": 1, "segmentation": [[0, 0, 900, 1, 0, 2]]}]).to_string();
    let one = zigzag.trim_matches(['[', ']']);
    let many =
        |count: usize| file_of(format!("[{}]", vec![one; count].join(",")).into_bytes(), 40_000).unwrap();
    let wide = Size::new(3, 900);
    assert_eq!(many(1).objects(&SEVEN, wide).unwrap().len(), 1);
    assert_eq!(many(3).objects(&SEVEN, wide).unwrap_err().kind(), ReadErrorKind::TooLarge);
    // A size alone costs nothing, but is not believed beyond the limit.
    let huge = Size::new(u32::MAX, u32::MAX);
    assert_eq!(list.objects(&SEVEN, huge).unwrap_err().kind(), ReadErrorKind::TooLarge);
}
