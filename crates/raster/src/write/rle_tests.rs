//! Golden values of the run-length texts, and round trips.

use super::fragment::nearest;
use super::*;
use crate::rle::{CocoMask, Runs, decode_coco, decode_rle, encode_coco, encode_rle};
use marquetry_geometry::Size;
use proptest::prelude::*;

pub(super) fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("c{index}")).collect()
}

pub(super) fn labels(count: usize) -> Legend {
    Legend::labels(names(count), Some(255)).unwrap()
}

/// Pushes a whole image into a sink.
pub(super) fn push(mut sink: Box<dyn LabelSink + '_>, values: &[u16], height: usize) -> Result<()> {
    values.chunks(values.len() / height).try_for_each(|row| sink.row(row))?;
    sink.finish()
}

fn mask(rows: &[&[u16]]) -> Runs {
    let size = Size::new(rows.len() as u32, rows[0].len() as u32);
    let mut columns = column_runs::ColumnRuns::new(size, &labels(2), &[1]).unwrap();
    for row in rows {
        columns.row(row).unwrap();
    }
    columns.finish().unwrap().remove(0).1
}

/// The mask as `[H, W]` values of 0 and 1.
pub(super) fn pixels(mask: &Runs) -> Vec<u8> {
    let (height, width) = (mask.size().height as usize, mask.size().width as usize);
    let mut pixels = vec![0; height * width];
    for pixel in mask.runs().iter().flat_map(|run| run.start as usize..run.end() as usize) {
        pixels[pixel % height * width + pixel / height] = 1;
    }
    pixels
}

#[test]
fn kaggle_goldens() {
    let first = mask(&[&[0, 0, 0, 0, 1], &[0, 1, 1, 0, 0], &[1, 0, 0, 0, 0]]);
    assert_eq!(encode_rle(&first, RleStyle::Absolute), "3 1 5 1 8 1 13 1");
    let second = mask(&[&[0, 1, 1, 0], &[0, 1, 0, 0], &[1, 1, 0, 1]]);
    assert_eq!(encode_rle(&second, RleStyle::Absolute), "3 5 12 1");
    assert_eq!(encode_rle(&second, RleStyle::Relative), "2 5 4 1");
    let empty = mask(&[&[0, 255, 0]]);
    assert_eq!(encode_rle(&empty, RleStyle::Relative), "");
    for text in ["", " ", "-", "-1"] {
        assert_eq!(decode_rle(text, Size::new(1, 3), RleStyle::Absolute).unwrap(), empty);
    }
}

#[test]
fn broken_kaggle_texts_are_refused() {
    let read = |text, style| decode_rle(text, Size::new(3, 4), style).unwrap_err().to_string();
    assert!(read("1 2 3", RleStyle::Absolute).contains("pairs"));
    assert!(read("1 x", RleStyle::Absolute).contains("\"x\""));
    assert!(read("0 2", RleStyle::Absolute).contains("before pixel 1"));
    assert!(read("1 3 3 1", RleStyle::Absolute).contains("ascending"));
    assert!(read("12 2", RleStyle::Absolute).contains("inside"));
    assert!(read("5 0", RleStyle::Absolute).contains("0 px"));
    assert!(read("5 18446744073709551615", RleStyle::Absolute).contains("inside"));
    assert!(read("5 18446744073709551615 9 9", RleStyle::Relative).contains("too great"));
}

#[test]
fn coco_goldens() {
    let one = mask(&[&[0, 1, 1, 0], &[0, 1, 0, 0], &[1, 1, 0, 1]]);
    assert_eq!(encode_coco(&one), CocoMask { size: [3, 4], counts: "254L".to_owned() });
    assert_eq!(encode_coco(&mask(&[&[1, 1], &[1, 1]])).counts, "04");
    assert_eq!(encode_coco(&mask(&[&[0, 0], &[0, 0]])).counts, "4");
    let mut block = vec![[0_u16; 200]; 100];
    for row in &mut block[20..60] {
        row[30..150].fill(1);
    }
    let rows: Vec<&[u16]> = block.iter().map(|row| &row[..]).collect();
    let text = encode_coco(&mask(&rows)).counts;
    assert!(text.starts_with("\\n2X1l1000"), "{text}");
    assert_eq!(text.len(), 247);
}

#[test]
fn broken_coco_texts_are_refused() {
    let read = |counts: &str| decode_coco(&CocoMask { size: [3, 4], counts: counts.to_owned() });
    assert!(read("254L").is_ok());
    for counts in ["", "254", "254\u{7f}", "254L1", "25\"L", "~~~~~~~~~~~~~~~", "254l"] {
        assert!(read(counts).is_err(), "{counts}");
    }
}

#[test]
fn fragments_of_both_kinds_of_image() {
    let options = RleOptions { empty: "-".to_owned(), ..RleOptions::default() };
    let mut bytes = Vec::new();
    let size = Size::new(2, 3);
    let sink = RleSink::new(&mut bytes, "a", size, &labels(4), &[1, 2, 3], options.clone()).unwrap();
    push(Box::new(sink), &[0, 1, 1, 3, 255, 1], 2).unwrap();
    let fragment = Fragment::from_json(&bytes).unwrap();
    let texts: Vec<_> = fragment.texts.iter().map(|text| (text.class, text.text.as_str())).collect();
    assert_eq!(texts, [(Some(1), "3 1 5 2"), (Some(2), "-"), (Some(3), "2 1")]);

    let legend = Legend::multilabel(names(2), None).unwrap();
    let mut bytes = Vec::new();
    let sink = RleSink::new(&mut bytes, "a", size, &legend, &[1, 0], options).unwrap();
    push(Box::new(sink), &[0, 1, 1, /* */ 1, 1, 0, /* */ 0, 0, 0, /* */ 1, 0, 0], 2).unwrap();
    let fragment = Fragment::from_json(&bytes).unwrap();
    let texts: Vec<_> = fragment.texts.iter().map(|text| (text.class, text.text.as_str())).collect();
    assert_eq!(texts, [(Some(1), "1 3"), (Some(0), "3 1 5 1")]);
    assert!(Fragment::from_json(&bytes[1..]).is_err());
    assert!(Fragment::from_json(br#"{"version":2,"image_id":"a","texts":[]}"#).is_err());
}

#[test]
fn rows_are_checked() {
    let make = || {
        let out: Vec<u8> = Vec::new();
        Box::new(RleSink::new(out, "a", Size::new(2, 3), &labels(2), &[1], RleOptions::default()).unwrap())
    };
    let mut sink = make();
    assert!(matches!(sink.row(&[0, 1]), Err(WriteError::RowLength { row: 0, found: 2, expected: 3 })));
    assert!(matches!(sink.row(&[0, 1, 2]), Err(WriteError::Label { row: 0, column: 2, value: 2, .. })));
    sink.row(&[0, 1, 255]).unwrap();
    assert!(matches!(sink.finish(), Err(WriteError::RowCount { found: 1, .. })));
    let mut sink = make();
    sink.row(&[0, 1, 0]).unwrap();
    sink.row(&[0, 1, 0]).unwrap();
    assert!(matches!(sink.row(&[0, 1, 0]), Err(WriteError::RowCount { found: 3, .. })));
}

/// `[C, W]` of two rows.
const PROBABILITIES: [f32; 18] = [
    0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, //
    0.25, 0.25, 0.0, 0.5, 0.5, 0.75, 0.25, 0.25, 0.25,
];

#[test]
fn coco_lists() {
    let line = |id: &str, values: &[u16], probabilities: Option<[f32; 18]>| {
        let mut bytes = Vec::new();
        let mut sink = CocoRleSink::new(&mut bytes, id, Size::new(2, 3), &labels(3), &[1, 2]).unwrap();
        match probabilities {
            None => push(Box::new(sink), values, 2).unwrap(),
            Some(all) => {
                sink.scored_row(&values[..3], &all[..9]).unwrap();
                sink.scored_row(&values[3..], &all[9..]).unwrap();
                Box::new(sink).finish().unwrap();
            }
        }
        Ok::<_, WriteError>(bytes)
    };
    let fragments = [
        line("12", &[0, 1, 1, 0, 0, 1], None),
        line("x", &[0; 6], None),
        line("012", &[2, 0, 0, 2, 2, 1], Some(PROBABILITIES)),
    ];
    let mut list = Vec::new();
    join_coco(&mut list, fragments).unwrap();
    let read: Vec<CocoAnnotation> = serde_json::from_slice(&list).unwrap();
    let facts = |a: &CocoAnnotation| (a.image_id.clone(), a.category_id, a.area, a.bbox, a.score);
    let text = CocoId::Text("012".to_owned());
    assert_eq!(
        read.iter().map(facts).collect::<Vec<_>>(),
        [
            (CocoId::Number(12), 1, Some(3), Some([1, 0, 2, 2]), None),
            (text.clone(), 1, None, None, Some(0.75)),
            (text, 2, None, None, Some(0.5)),
        ]
    );
    let result = line("012", &[2, 0, 0, 2, 2, 1], Some(PROBABILITIES)).unwrap();
    assert_eq!(
        String::from_utf8(result).unwrap(),
        "{\"image_id\":\"012\",\"category_id\":1,\"segmentation\":{\"size\":[2,3],\"counts\":\"51\"},\"iscrowd\":0,\
         \"score\":0.75}\n{\"image_id\":\"012\",\"category_id\":2,\"segmentation\":{\"size\":[2,3],\"counts\":\"021O1\"},\
         \"iscrowd\":0,\"score\":0.5}\n",
        "no box and no area"
    );
    assert_eq!(numbers_of_ids(["12", "0012x"]), None);
    assert_eq!(
        (numbers_of_ids(["12", "012"]), numbers_of_ids(["000397133", "8"])),
        (None, Some(vec![397_133, 8]))
    );
    let number =
        |id: &str, number| line(id, &[0, 1, 1, 0, 0, 1], None).map(|lines| renumbered(&lines, id, number));
    let image = CocoImage { id: 7, file_name: "a \"b\".png".to_owned(), width: 3, height: 2 };
    let mut set = Vec::new();
    write_coco_dataset(&mut set, &[image], &[(1, "x"), (2, "y")], [number("a \"b\"", 7), number("12", 8)])
        .unwrap();
    let set: serde_json::Value = serde_json::from_slice(&set).unwrap();
    assert_eq!(
        set["images"],
        serde_json::json!([{"id": 7, "file_name": "a \"b\".png", "width": 3, "height": 2}])
    );
    assert_eq!(set["categories"], serde_json::json!([{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]));
    let ids = |a: &serde_json::Value| (a["id"].as_u64(), a["image_id"].as_u64(), a["area"].as_u64());
    let annotations: Vec<_> = set["annotations"].as_array().unwrap().iter().map(ids).collect();
    assert_eq!(annotations, [(Some(1), Some(7), Some(3)), (Some(2), Some(8), Some(3))]);
    let mut empty = Vec::new();
    join_coco(&mut empty, [Ok::<_, WriteError>(Vec::new())]).unwrap();
    assert_eq!(serde_json::from_slice::<Vec<CocoAnnotation>>(&empty).unwrap(), []);
}

/// As OpenCV 5.0 does: it takes pixel 6 for output 50 of 14 → 100, where the exact quotient is 7.
#[test]
fn nearest_pixels_are_those_of_opencv() {
    assert_eq!(nearest(512, 256), (0..256).map(|index| 2 * index).collect::<Vec<_>>());
    assert_eq!(nearest(14, 100)[50], 6);
    assert_eq!(nearest(21, 300)[99..102], [6, 6, 7]);
    assert_eq!(nearest(2, 5), [0, 0, 0, 1, 1]);
    assert_eq!(nearest(1, 3), [0, 0, 0]);
}

#[test]
fn class_texts_shrink_and_grow() {
    let text = |target| {
        let mut bytes = Vec::new();
        let sink = ClassTextSink::new(&mut bytes, "a", Size::new(2, 4), &labels(9), target).unwrap();
        push(Box::new(sink), &[1, 2, 3, 4, 5, 6, 7, 255], 2).unwrap();
        Fragment::from_json(&bytes).unwrap().texts.remove(0).text
    };
    assert_eq!(text(Size::new(1, 2)), "1 3");
    assert_eq!(text(Size::new(4, 2)), "1 3 1 3 5 7 5 7");
    assert_eq!(text(Size::new(2, 4)), "1 2 3 4 5 6 7 255");
    let planes = Legend::multilabel(names(2), None).unwrap();
    assert!(ClassTextSink::new(Vec::new(), "a", Size::new(2, 4), &planes, Size::square(2)).is_err());
}

proptest! {
    #[test]
    fn round_trips(height in 1_usize..9, width in 1_usize..9, bits in prop::collection::vec(0_u16..2, 64)) {
        let bits = &bits[..height * width];
        let rows: Vec<&[u16]> = bits.chunks(width).collect();
        let mask = mask(&rows);
        prop_assert_eq!(pixels(&mask), bits.iter().map(|&bit| bit as u8).collect::<Vec<_>>());
        for style in [RleStyle::Absolute, RleStyle::FromZero, RleStyle::Relative] {
            prop_assert_eq!(&decode_rle(&encode_rle(&mask, style), mask.size(), style).unwrap(), &mask);
        }
        prop_assert_eq!(&decode_coco(&encode_coco(&mask)).unwrap(), &mask);
        // The counts of the plain definition: alternating lengths down the columns, zeros first.
        let column_major = (0..width).flat_map(|x| (0..height).map(move |y| bits[y * width + x]));
        let mut plain = Vec::new();
        let mut run: Option<(usize, usize)> = None;
        for (index, bit) in column_major.chain([0]).enumerate() {
            match (bit, run) {
                (1, None) => run = Some((index + 1, 1)),
                (1, Some((start, length))) => run = Some((start, length + 1)),
                (_, Some((start, length))) => { plain.push(format!("{start} {length}")); run = None; }
                (_, None) => {}
            }
        }
        prop_assert_eq!(encode_rle(&mask, RleStyle::Absolute), plain.join(" "));
    }

    #[test]
    fn strange_texts_never_panic(text in "[0-9 -~]{0,24}", height in 0_u32..5, width in 0_u32..5) {
        let size = Size::new(height, width);
        let _ = decode_rle(&text, size, RleStyle::Relative);
        if let Ok(mask) = decode_coco(&CocoMask { size: [height, width], counts: text }) {
            prop_assert!(mask.area() <= size.area());
        }
    }
}
