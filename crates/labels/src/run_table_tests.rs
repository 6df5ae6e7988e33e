use super::*;
use marquetry_raster::rle::RleStyle;

const SIZE: Size = Size::new(4, 7);

fn classes(names: &[&str]) -> ClassList {
    ClassList::new(names.iter().map(ToString::to_string).collect()).unwrap()
}

fn table(text: &str, names: &[&str], change: impl FnOnce(&mut LabelRules)) -> Result<RunTable, String> {
    let mut rules = LabelRules::default();
    change(&mut rules);
    RunTable::parse(text, Path::new("train.csv"), &rules, &classes(names))
}

/// The label of an image, a digit for each pixel, `.` for none.
fn drawn(table: &RunTable, image: &str) -> Vec<String> {
    let at = table.entries().iter().position(|entry| entry.path == image).unwrap();
    let mut label = RawLabel::default();
    table.read(at, Some(SIZE), &mut label).unwrap();
    let digit = |value: &u32| if *value == 0 { '.' } else { char::from_digit(*value, 10).unwrap() };
    label.values.chunks(7).map(|row| row.iter().map(digit).collect()).collect()
}

const RING: [&str; 4] = [".......", ".......", "...1111", "...1.11"];
const PARTS: [&str; 3] = ["background", "hex_nut", "o_ring"];

#[test]
fn the_class_that_ends_a_key_is_the_longest() {
    let text = "ImageId_ClassId,EncodedPixels\nim_7.png_hex_nut,1 2 5 2 9 2\nim_7.png_o_ring,15 2 19 1 23 2 27 2\n\
im_7.png_nut,\nim_8.png_nut,nan\n";
    let found = table(text, &["background", "nut", "hex_nut", "o_ring"], |_| ()).unwrap();
    assert_eq!(drawn(&found, "im_7.png"), ["111....", "111....", "...2222", "...2.22"]);
    assert_eq!(drawn(&found, "im_8.png"), [".......", ".......", ".......", "......."]);
    let names: Vec<&str> = found.value_names().unwrap().iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["background", "hex_nut", "o_ring", "nut"]);
    assert_eq!(found.entries().len(), 2, "a key is never split at its last underscore");
    let error = table("ImageId_ClassId,EncodedPixels\na_bolt,1 2\n", &PARTS, |_| ()).unwrap_err();
    assert!(error.contains("`a_bolt`") && error.contains("hex_nut"), "{error}");
    let numbered = table("ImageId_ClassId,EncodedPixels\na.png_2,1 2\n", &PARTS, |_| ()).unwrap();
    assert_eq!((drawn(&numbered, "a.png")[0].as_str(), numbered.value_names()), ("2......", None));
}

#[test]
fn rows_of_one_class_are_a_union_and_empty_is_not_missing() {
    let text = "id,class,segmentation\nim_7,hex_nut,1 2\nim_7,hex_nut,1 1 5 2\nim_8,o_ring,\n";
    let found = table(text, &PARTS, |_| ()).unwrap();
    assert_eq!(drawn(&found, "im_7")[..2], ["11.....", "11....."]);
    let text = "ImageId,EncodedPixels\nim_7.png,15 2\nim_7.png,19 1\nim_7.png,23 2\nim_7.png,27 2\n";
    assert_eq!(drawn(&table(text, &["background", "ring"], |_| ()).unwrap(), "im_7.png"), RING);
    let several = table(text, &PARTS, |_| ()).unwrap_err();
    assert!(several.contains("says the class"), "{several}");
}

#[test]
fn orders_and_starts_are_as_said() {
    let two = ["background", "ring"];
    let rows = "id,height,width,annotation\nim_7,4,7,18 4 25 1 27 2\nim_8,4,7,-1\n";
    let found = table(rows, &two, |rules| rules.run_order = RunOrder::Rows).unwrap();
    assert_eq!(
        (drawn(&found, "im_7"), found.size(0).unwrap()),
        (RING.map(str::to_owned).to_vec(), Some(SIZE))
    );
    let relative = "ImageId, EncodedPixels\nim_7,14 2 2 1 3 2 2 2\nim_8, -1\n";
    let found = table(relative, &two, |rules| rules.run_start = RleStyle::Relative).unwrap();
    assert_eq!(drawn(&found, "im_7"), RING);
    let zero = "image,rle\nim_7,14 2 18 1 22 2 26 2\nim_8,-\n";
    let found = table(zero, &two, |rules| rules.run_start = RleStyle::FromZero).unwrap();
    assert_eq!(drawn(&found, "im_7"), RING);
}

/// In the wrong order an oblong mask falls to pieces: 28 seams in one order, 82 in the other.
#[test]
fn seams_tell_the_order() {
    let text = "id,height,width,rle\na,12,20,51 6 70 8 89 9 110 8 131 6\nb,16,16,40 7 55 9 71 9 87 9 104 7\n";
    let found = table(text, &["background", "ring"], |_| ()).unwrap();
    let mut label = RawLabel::default();
    found.read(0, None, &mut label).unwrap();
    assert_eq!(label.facts.seams, [82, 28]);
    found.read(1, None, &mut label).unwrap();
    assert_eq!(label.facts.seams, [0, 0], "a square does not tell");
}

fn broken_rows(text: &str) {
    let found = table(text, &["background", "ring"], |_| ()).unwrap();
    let mut label = RawLabel::default();
    for (at, part) in [
        "line 2, a.png: reading a run-length encoded mask failed: a run of 1 px at pixel 3",
        "line 3, b.png: reading a run-length encoded mask failed: a run of 5 px at pixel 26",
        "line 4, c.png: reading a run-length encoded mask failed: 3 numbers",
        "line 5, d.png: reading a run-length encoded mask failed: a start that is before pixel 1",
        "line 6, e.png: reading a run-length encoded mask failed: \"x\"",
    ]
    .iter()
    .enumerate()
    {
        let error = found.read(at, Some(SIZE), &mut label).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(found.read(0, None, &mut label).unwrap_err().to_string().contains("size of a.png"));
}

#[test]
fn broken_rows_name_their_line_and_image() {
    let text = "ImageId,EncodedPixels\na.png,3 2 4 1\nb.png,27 5\nc.png,3 2 9\nd.png,0 2\ne.png,x 2\n";
    broken_rows(text);
    broken_rows(&text.replace('\n', "\r\n"));
    for (text, part) in [
        ("a,b\n1,2\n", "run lengths"),
        ("rle,b\n1,2\n", "the image"),
        ("id,rle\n", "without a row"),
        ("id,height,width,rle\na,x,4,\n", "`x` is no height"),
        ("id,height,width,rle\na,4,4,\na,4,5,\n", "another size"),
        ("id,class,rle\na,1,1 1\na,ring,1 1\n", "others are numbers"),
        ("id,class,rle\na,,1 1\n", "names no class"),
        ("id,class,rle\na,7,1 1\nb,ring,\n", "others are numbers"),
    ] {
        let error = table(text, &["background", "ring"], |_| ()).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn class_0_is_what_no_run_covers() {
    let text = "id,class,rle\na,0,1 1\n";
    assert!(table(text, &["background", "ring"], |_| ()).is_ok());
    assert!(table(text, &["ring", "background"], |_| ()).unwrap_err().contains("its class is 0"));
}

#[test]
fn one_pixel_alone_in_many_images_is_suspicious() {
    let text = "id,rle\na,1 1\nb,1 1\nc,1 0\n";
    let found = table(text, &["background", "ring"], |_| ()).unwrap();
    assert!(found.notes()[0].contains("2 images have `1 1`"), "{:?}", found.notes());
    assert_eq!(drawn(&found, "c")[0], ".......");
}
