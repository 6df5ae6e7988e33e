//! Labels as images, run lengths and outlines.

use crate::image::{limits, windows};
use marquetry_geometry::Size;
use marquetry_raster::read::labels::{CocoFile, LabelReader, Labels};
use marquetry_raster::rle::{RleStyle, decode_rle};
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
