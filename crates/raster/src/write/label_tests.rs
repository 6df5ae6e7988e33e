//! Every kind of mask that is written is read back as the same numbers.

use super::raster_tests::{Shared, tiff_of};
use super::rle_tests::{names, push};
use super::*;
use crate::read::Limits;
use crate::read::labels::{CocoFile, LabelReader, Labels};
use crate::rle::{Runs, decode_rle};
use marquetry_geometry::{Rect, Size};
use proptest::prelude::*;
use std::path::Path;

const NAME: &str = "label";

fn limits() -> Limits {
    Limits { pixels_max: 1 << 20, memory_bytes: 1 << 20, scratch_dir: std::env::temp_dir() }
}

fn open(bytes: Vec<u8>) -> LabelReader {
    LabelReader::open_from(Box::new(bytes), Path::new(NAME), &limits()).unwrap()
}

fn numbers(label: &LabelReader) -> Labels {
    let mut labels = Labels::default();
    label.read(Rect::whole(label.info().size), &mut labels).unwrap();
    labels
}

/// The labels that were read, as they were written.
fn written(labels: &Labels) -> Vec<u16> {
    labels.values.iter().map(|&value| u16::try_from(value).unwrap()).collect()
}

fn painted(size: Size, masks: Vec<(u16, Runs)>) -> Vec<u16> {
    written(&numbers(&LabelReader::painted(Path::new(NAME), size, 0, masks).unwrap()))
}

/// The label out of a list of COCO annotations of image 7, written a line each.
fn of_coco(lines: Vec<u8>, size: Size) -> Vec<u16> {
    let mut list = Vec::new();
    join_coco(&mut list, [Ok::<_, WriteError>(lines)]).unwrap();
    let file = CocoFile::open_from(Box::new(list), Path::new(NAME), &limits()).unwrap();
    let label = file.label(&CocoId::Number(7), size, 0, |object| Some(object.category_id as u16));
    written(&numbers(&label.unwrap()))
}

/// The label out of GeoJSON in pixel-edge coordinates: a pixel is in a feature where an odd number of its rings hold it.
fn of_geojson(bytes: &[u8], size: Size) -> Vec<u16> {
    let collection: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    let mut drawn = vec![0; size.area() as usize];
    for feature in collection["features"].as_array().unwrap() {
        let rings: Vec<Vec<[f64; 2]>> =
            serde_json::from_value(feature["geometry"]["coordinates"].clone()).unwrap();
        let annotations: Vec<_> = rings
            .iter()
            .map(|ring| serde_json::json!({"image_id": 7, "category_id": 1, "segmentation": [ring.concat()]}))
            .collect();
        let text = serde_json::to_vec(&annotations).unwrap();
        let file = CocoFile::open_from(Box::new(text), Path::new(NAME), &limits()).unwrap();
        let class = feature["properties"]["label"].as_u64().unwrap() as u16;
        let mut inside = vec![false; drawn.len()];
        for object in file.objects(&CocoId::Number(7), size).unwrap() {
            let ring = painted(size, vec![(1, object.mask)]);
            inside.iter_mut().zip(ring).for_each(|(inside, ring)| *inside ^= ring == 1);
        }
        drawn.iter_mut().zip(inside).filter(|(_, inside)| *inside).for_each(|(drawn, _)| *drawn = class);
    }
    drawn
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn labels_come_back_from_every_mask(
        width in 1_usize..40,
        height in 1_usize..40,
        kinds in prop_oneof![2_u16..6, Just(300)],
        ignored in any::<bool>(),
        seed in prop::collection::vec(0_u16..900, 1600),
    ) {
        let size = Size::new(height as u32, width as u32);
        let ignore = ignored.then_some(if kinds > 255 { 65535 } else { 255 });
        let legend = Legend::labels(names(kinds as usize), ignore).unwrap();
        let value = |seed: &u16| match ignore {
            Some(ignore) if seed.is_multiple_of(11) => ignore,
            _ => seed % kinds,
        };
        let values: Vec<u16> = seed[..width * height].iter().map(value).collect();

        let out = Shared::default();
        push(Box::new(MaskPng::new(out.clone(), size, &legend).unwrap()), &values, height).unwrap();
        let png = open(out.bytes());
        prop_assert_eq!(png.info().palette.is_some(), legend.max_value() < 256);
        prop_assert_eq!(&written(&numbers(&png)), &values);

        let tiff = open(tiff_of(&legend, size, &values, None, TiffOptions { tile_px: 16 }));
        let labels = numbers(&tiff);
        prop_assert_eq!(tiff.info().nodata, ignore.map(f64::from));
        prop_assert_eq!(&written(&labels), &values);
        let missing: Vec<bool> = values.iter().map(|&value| Some(value) == ignore).collect();
        prop_assert_eq!(labels.missing, missing);

        // What outlines and run lengths say is where classes are; elsewhere is background.
        let classes: Vec<u16> = (1..kinds).collect();
        let wanted: Vec<u16> =
            values.iter().map(|&value| if Some(value) == ignore { 0 } else { value }).collect();
        for style in [RleStyle::Absolute, RleStyle::FromZero, RleStyle::Relative] {
            let mut bytes = Vec::new();
            let options = RleOptions { style, empty: "-1".to_owned() };
            let sink = RleSink::new(&mut bytes, "7", size, &legend, &classes, options).unwrap();
            push(Box::new(sink), &values, height).unwrap();
            let texts = Fragment::from_json(&bytes).unwrap().texts.into_iter();
            let masks = texts.map(|text| (text.class.unwrap(), decode_rle(&text.text, size, style).unwrap()));
            prop_assert_eq!(&painted(size, masks.collect()), &wanted);
        }
        let mut lines = Vec::new();
        let sink = CocoRleSink::new(&mut lines, "7", size, &legend, &classes).unwrap();
        push(Box::new(sink), &values, height).unwrap();
        prop_assert_eq!(&of_coco(lines, size), &wanted);
        if kinds == 300 {
            return Ok(());
        }
        let mut lines = Vec::new();
        let sink = CocoPolygonSink::new(&mut lines, "7", size, &legend, &classes).unwrap();
        push(Box::new(sink), &values, height).unwrap();
        prop_assert_eq!(&of_coco(lines, size), &wanted);
        let mut bytes = Vec::new();
        let sink = GeoJsonSink::new(&mut bytes, "7", size, &legend, &classes, None).unwrap();
        push(Box::new(sink), &values, height).unwrap();
        prop_assert_eq!(&of_geojson(&bytes, size), &wanted);
    }

    /// Files hold the values of classes, made of rows of indices; the ignore value stays.
    #[test]
    fn files_hold_the_values_of_classes(
        width in 1_usize..40,
        height in 1_usize..40,
        moved in prop::sample::subsequence((0_u16..255).chain([256, 700, 65_534]).collect::<Vec<_>>(), 4).prop_shuffle(),
        seed in prop::collection::vec(0_u16..900, 1600),
    ) {
        let size = Size::new(height as u32, width as u32);
        let legend = Legend::labels(names(4), Some(255)).unwrap().with_values(moved.clone(), 255).unwrap();
        let rows: Vec<u16> = seed[..width * height].iter().map(|s| if s % 11 == 0 { 255 } else { s % 4 }).collect();
        let value = |row: &u16| if *row == 255 { 255 } else { moved[*row as usize] };
        let values: Vec<u16> = rows.iter().map(value).collect();
        let wide = moved.iter().any(|&value| value > 255);

        let out = Shared::default();
        push(Box::new(MaskPng::new(out.clone(), size, &legend).unwrap()), &rows, height).unwrap();
        let png = open(out.bytes());
        prop_assert_eq!(&written(&numbers(&png)), &values);
        prop_assert_eq!(png.info().palette.is_some(), !wide);
        if let Some(palette) = &png.info().palette {
            for (class, &value) in moved.iter().enumerate() {
                prop_assert_eq!(palette[value as usize], legend.colours()[class]);
            }
        }
        let out = Shared::default();
        push(Box::new(MaskPng::grey(out.clone(), size, &legend).unwrap()), &rows, height).unwrap();
        let grey = open(out.bytes());
        prop_assert_eq!((&written(&numbers(&grey)), grey.info().palette.is_some()), (&values, false));
        let tiff = open(tiff_of(&legend, size, &rows, None, TiffOptions { tile_px: 16 }));
        prop_assert_eq!((&written(&numbers(&tiff)), tiff.info().nodata), (&values, Some(255.0)));

        let mut bytes = Vec::new();
        push(Box::new(ClassTextSink::new(&mut bytes, "7", size, &legend, size).unwrap()), &rows, height).unwrap();
        let text = Fragment::from_json(&bytes).unwrap().texts.remove(0).text;
        prop_assert_eq!(text.split(' ').map(|n| n.parse::<u16>().unwrap()).collect::<Vec<_>>(), values.clone());

        // Classes are asked for by index, and told by value; elsewhere is 0.
        let classes = [1, 2, 3];
        let wanted: Vec<u16> = rows.iter().map(|row| if classes.contains(row) { value(row) } else { 0 }).collect();
        let mut lines = Vec::new();
        push(Box::new(CocoRleSink::new(&mut lines, "7", size, &legend, &classes).unwrap()), &rows, height).unwrap();
        prop_assert_eq!(&of_coco(lines, size), &wanted);
        let mut lines = Vec::new();
        push(Box::new(CocoPolygonSink::new(&mut lines, "7", size, &legend, &classes).unwrap()), &rows, height).unwrap();
        prop_assert_eq!(&of_coco(lines, size), &wanted);
        let mut bytes = Vec::new();
        push(Box::new(GeoJsonSink::new(&mut bytes, "7", size, &legend, &classes, None).unwrap()), &rows, height).unwrap();
        prop_assert_eq!(&of_geojson(&bytes, size), &wanted);
    }

    #[test]
    fn classes_that_share_pixels_come_back(
        width in 1_usize..40, height in 1_usize..40, classes in 2_usize..4,
        seed in prop::collection::vec(prop_oneof![4 => Just(0_u16), 4 => Just(1), 1 => Just(255)], 3 * 1600),
    ) {
        let size = Size::new(height as u32, width as u32);
        let legend = Legend::multilabel(names(classes), Some(255)).unwrap();
        let planes: Vec<&[u16]> = seed.chunks(width * height).take(classes).collect();
        let rows = (0..height).flat_map(|y| planes.iter().flat_map(move |plane| &plane[y * width..][..width]));
        let rows: Vec<u16> = rows.copied().collect();

        let label = open(tiff_of(&legend, size, &rows, None, TiffOptions { tile_px: 16 }));
        prop_assert_eq!((label.info().bands as usize, label.info().alpha), (classes, None));
        let labels = numbers(&label);
        prop_assert_eq!(&written(&labels), &planes.concat());
        let missing: Vec<bool> = labels.values.iter().map(|&value| value == 255).collect();
        prop_assert_eq!(labels.missing, missing);

        let outs: Vec<Shared> = planes.iter().map(|_| Shared::default()).collect();
        let sinks = outs.iter().enumerate().map(|(class, out)| {
            Box::new(MaskPng::new(out.clone(), size, &legend.plane(class)).unwrap()) as Box<dyn LabelSink>
        });
        push(Box::new(Split::new(size, &legend, sinks.collect()).unwrap()), &rows, height).unwrap();
        for (out, plane) in outs.iter().zip(&planes) {
            prop_assert_eq!(&written(&numbers(&open(out.bytes())))[..], *plane);
        }
    }
}
