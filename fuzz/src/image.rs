//! Images of each format.

use marquetry_geometry::{Reading, Rect, Size};
use marquetry_raster::read::{Beside, Image, Limits, Pixels};
use std::path::Path;

/// Few pixels and little memory: what a small file may ask for.
pub(crate) fn limits() -> Limits {
    Limits { pixels_max: 1 << 20, memory_bytes: 32 << 20, scratch_dir: std::env::temp_dir() }
}

/// Windows that cover a corner, a line and the whole of an image of `size` px.
pub(crate) fn windows(size: Size) -> [Rect; 3] {
    let corner = Size::new(size.height.min(7), size.width.min(5));
    let line = Size::new(1, size.width);
    let last = |part: Size| {
        Rect::new(i64::from(size.height - part.height), i64::from(size.width - part.width), part)
    };
    [last(corner), last(line), Rect::whole(size)]
}

/// Opens and reads it. What is read twice must be the same, and a part the same as that part of the whole.
fn read(bytes: &[u8]) {
    let (name, reading) = (Path::new("fuzz"), Reading::default());
    let opened = Image::open_from(Box::new(bytes.to_vec()), name, &limits(), &reading, Beside::default());
    // What is damaged is missing, wherever one begins to read.
    let Ok(image) = opened.map(Image::tolerating_damage) else { return };
    let info = image.info().clone();
    let (mut whole, mut part) = (Pixels::default(), Pixels::default());
    if image.read(Rect::whole(info.size), &mut whole).is_err() {
        return;
    }
    assert_eq!(whole.data.len(), info.bands as usize * info.size.area() as usize);
    for window in windows(info.size) {
        image.read(window, &mut part).expect("a part of what could be read whole");
        let (height, width) = (window.size.height as usize, window.size.width as usize);
        for band in 0..info.bands as usize {
            for row in 0..height {
                let at = (band * info.size.height as usize + window.top as usize + row)
                    * info.size.width as usize
                    + window.left as usize;
                let got = &part.data[(band * height + row) * width..][..width];
                let wanted = &whole.data[at..at + width];
                // A missing pixel is NaN.
                let same = got
                    .iter()
                    .zip(wanted)
                    .all(|(got, wanted)| got == wanted || got.is_nan() && wanted.is_nan());
                assert!(same, "band {band}, row {row} of {window:?}: {got:?}, not {wanted:?}");
            }
        }
    }
}

pub(crate) fn tiff(bytes: &[u8]) {
    if bytes.starts_with(b"II") || bytes.starts_with(b"MM") {
        read(bytes);
    }
}

pub(crate) fn png(bytes: &[u8]) {
    if bytes.starts_with(b"\x89PNG") {
        read(bytes);
    }
}

pub(crate) fn jpeg(bytes: &[u8]) {
    if bytes.starts_with(&[0xFF, 0xD8]) {
        read(bytes);
    }
}

pub(crate) fn other(bytes: &[u8]) {
    if [&b"RIFF"[..], b"BM", b"P"].iter().any(|start| bytes.starts_with(start)) {
        read(bytes);
    }
}
