//! Labels as images, run lengths and outlines, on images and on maps.

use crate::image::{limits, windows};
use marquetry_geometry::Size;
use marquetry_labels::{Affixes, LabelRules, MapLabels, PlacedImage, PlacedImages, RawLabel, map_labels};
use marquetry_raster::read::EpsgSystem;
use marquetry_raster::read::labels::{CocoFile, LabelReader, Labels};
use marquetry_raster::rle::{RleStyle, decode_rle};
use marquetry_raster::write::GeoTags;
use std::path::Path;

pub(crate) fn label(bytes: &[u8]) {
    if let Ok(label) = LabelReader::open_from(Box::new(bytes.to_vec()), Path::new("fuzz"), &limits()) {
        let mut out = Labels::default();
        for window in windows(label.info().size) {
            let _ = label.read(window, &mut out);
        }
        let _ = label.census();
    }
}

/// The file itself, and its text as run lengths.
pub(crate) fn coco(bytes: &[u8]) {
    let size = Size::new(37, 23);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(runs) = decode_rle(text, size, RleStyle::default())
    {
        assert!(runs.area() <= size.area());
    }
    let file = CocoFile::open_from(Box::new(bytes.to_vec()), Path::new("fuzz"), &limits());
    let Ok(file) = file else { return };
    let ids: Vec<_> = file.annotated_images().cloned().collect();
    for id in ids.iter().take(4) {
        for object in file.objects(id, size).into_iter().flatten() {
            assert!(object.mask.area() <= size.area());
        }
    }
}

/// Outlines on images that lie in metres, in degrees and askew, and on one that lies nowhere.
pub(crate) fn geojson(bytes: &[u8]) {
    let images = placed_images();
    for untouched_is_background in [false, true] {
        let none = Affixes::default();
        let of =
            PlacedImages { images: &images, affixes: &none, image_affixes: &none, untouched_is_background };
        if let Ok(labels) = map_labels(bytes, Path::new("fuzz"), &LabelRules::default(), of) {
            obeys(&labels, &images);
        }
    }
}

/// 23 × 17 px of 2 m in UTM 33N; of 0.01° on both sides of where longitudes end; UTM 33N, turned; and nowhere.
pub(crate) fn placed_images() -> Vec<PlacedImage> {
    let utm = EpsgSystem { code: 32_633, projected: true };
    let degrees = EpsgSystem { code: 4326, projected: false };
    let at = |path: &str, place: Option<([f64; 6], EpsgSystem)>| PlacedImage {
        path: path.to_owned(),
        size: Size::new(17, 23),
        tags: place
            .map(|(affine, system)| GeoTags::with_system(Some(GeoTags::with_affine(None, affine)), system)),
    };
    vec![
        at("metres", Some(([2.0, 0.0, 500_000.0, 0.0, -2.0, 4_100_016.0], utm))),
        at("degrees", Some(([0.01, 0.0, 179.9, 0.0, -0.01, 10.0], degrees))),
        at("askew", Some(([1.5, 1.5, 500_000.0, 1.5, -1.5, 4_100_016.0], utm))),
        at("nowhere", None),
    ]
}

/// Every label is of its image, holds numbers that have a name, and is the same when it is read again.
fn obeys(labels: &MapLabels, images: &[PlacedImage]) {
    let source = &labels.source;
    assert_eq!(source.entries().len(), labels.image_of.len());
    let names = source.value_names().expect("outlines have names").len();
    let (mut first, mut again) = (RawLabel::default(), RawLabel::default());
    for (entry, image) in labels.image_of.iter().enumerate() {
        let image = &images[image.expect("the one file is of all images")];
        assert_eq!(source.entries()[entry].path, image.path);
        source.read(entry, None, &mut first).expect("what was laid on an image");
        assert_eq!(first.size, image.size);
        assert_eq!(first.values.len() as u64, image.size.area());
        assert!(first.values.iter().all(|&number| (number as usize) < names));
        source.read(entry, Some(image.size), &mut again).expect("what was read before");
        assert_eq!(again.values, first.values);
    }
}
