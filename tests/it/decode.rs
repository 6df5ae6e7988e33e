//! Reading what the binary wrote: masks and run lengths as labels are read, which is held to other people's decoders in
//! `crates/raster`; arrays and tables here.

use half::f16;
use marquetry_geometry::{Rect, Size};
use marquetry_raster::read::labels::{LabelReader, Labels};
use marquetry_raster::read::{Format, Limits};
use marquetry_raster::rle::{RleStyle, Runs, decode_coco, decode_rle};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// An image of labels or samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mask {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// `[H, W]`.
    pub(crate) labels: Vec<u8>,
}

impl Mask {
    /// A PNG with a palette.
    pub(crate) fn from_png(bytes: &[u8]) -> Self {
        let label = label(bytes);
        assert!(label.info().palette.is_some(), "a mask has a palette");
        assert_eq!((label.info().bands, label.info().format), (1, Some(Format::Png)));
        planes(&label).remove(0)
    }

    /// A PNG of grey values.
    pub(crate) fn from_grey_png(bytes: &[u8]) -> Self {
        let label = label(bytes);
        assert_eq!((label.info().bands, label.info().format), (1, Some(Format::Png)));
        planes(&label).remove(0)
    }

    /// Whether each pixel is `label`, down the columns.
    pub(crate) fn columns(&self, label: u8) -> Vec<bool> {
        let pixel = |at: usize| self.labels[at % self.height * self.width + at / self.height] == label;
        (0..self.labels.len()).map(pixel).collect()
    }

    /// Fails the test unless the runs of Kaggle's text, counted down the columns from 1, are the pixels of `label`.
    #[track_caller]
    pub(crate) fn is_run_lengths(&self, label: u8, text: &str) {
        self.is_runs(label, text, RleStyle::Absolute);
    }

    /// The same for runs counted from the end of the one before (`relative`), from 0.
    #[track_caller]
    pub(crate) fn is_relative(&self, label: u8, text: &str) {
        self.is_runs(label, text, RleStyle::Relative);
    }

    #[track_caller]
    fn is_runs(&self, label: u8, text: &str, style: RleStyle) {
        let size = Size::new(self.height as u32, self.width as u32);
        let runs = decode_rle(text, size, style).expect("run lengths of this image");
        assert!(columns_of(&runs) == self.columns(label), "runs of label {label} are not those of the mask");
    }
}

/// The pixels of a COCO mask, down the columns.
pub(crate) fn coco_columns(mask: &Value) -> Vec<bool> {
    let mask = serde_json::from_value(mask.clone()).expect("a size and compressed counts");
    columns_of(&decode_coco(&mask).expect("counts that add up"))
}

fn columns_of(runs: &Runs) -> Vec<bool> {
    let mut pixels = vec![false; runs.size().area() as usize];
    for run in runs.runs() {
        pixels[run.start as usize..run.end() as usize].fill(true);
    }
    pixels
}

/// A label in memory, opened.
fn label(bytes: &[u8]) -> LabelReader {
    let limits = Limits { pixels_max: 1 << 30, memory_bytes: 1 << 30, scratch_dir: std::env::temp_dir() };
    LabelReader::open_from(Box::new(bytes.to_vec()), Path::new("a mask"), &limits).expect("a label")
}

/// The bands of a label whose numbers have 8 bits.
fn planes(label: &LabelReader) -> Vec<Mask> {
    let size = label.info().size;
    let mut labels = Labels::default();
    label.read(Rect::whole(size), &mut labels).expect("whole pixels");
    let plane = |plane: &[i32]| Mask {
        height: size.height as usize,
        width: size.width as usize,
        labels: plane.iter().map(|&value| u8::try_from(value).expect("8 bits")).collect(),
    };
    labels.values.chunks(size.area() as usize).map(plane).collect()
}

/// Numbers `[C, H, W]` of a Zarr array of f16 or bytes, from the files below its folder.
pub(crate) fn zarr(files: &BTreeMap<String, Vec<u8>>, folder: &str) -> (Vec<usize>, Vec<f32>) {
    let meta: Value = serde_json::from_slice(&files[&format!("{folder}/.zarray")]).expect(".zarray is JSON");
    assert_eq!(meta["zarr_format"], 2);
    let each = match meta["dtype"].as_str() {
        Some("<f2") => 2,
        Some("|u1") => 1,
        other => panic!("numbers of {other:?}"),
    };
    let sides = |key: &str| -> Vec<usize> {
        meta[key].as_array().expect("a list").iter().map(|v| v.as_u64().expect("a side") as usize).collect()
    };
    let (shape, chunk) = (sides("shape"), sides("chunks"));
    let mut scores = vec![f32::NAN; shape.iter().product()];
    let parts: Vec<usize> = shape.iter().zip(&chunk).map(|(s, c)| s.div_ceil(*c)).collect();
    for z in 0..parts[0] {
        for y in 0..parts[1] {
            for x in 0..parts[2] {
                let packed = &files[&format!("{folder}/{z}/{y}/{x}")];
                let whole = chunk.iter().product::<usize>() * each;
                let bytes = zstd::bulk::decompress(packed, whole).expect("a zstd frame");
                assert_eq!(bytes.len(), whole);
                for (at, number) in bytes.chunks_exact(each).enumerate() {
                    let place = [
                        z * chunk[0] + at / (chunk[1] * chunk[2]),
                        y * chunk[1] + at / chunk[2] % chunk[1],
                        x * chunk[2] + at % chunk[2],
                    ];
                    if place.iter().zip(&shape).all(|(p, s)| p < s) {
                        let to = (place[0] * shape[1] + place[1]) * shape[2] + place[2];
                        scores[to] = match number {
                            [low, high] => f16::from_le_bytes([*low, *high]).to_f32(),
                            bytes => f32::from(bytes[0]),
                        };
                    }
                }
            }
        }
    }
    (shape, scores)
}

/// Red, green and blue of each value of a mask, where it has colours.
pub(crate) fn palette(bytes: &[u8]) -> Option<Vec<[u8; 3]>> {
    label(bytes).info().palette.clone()
}

/// The planes `[C][H, W]` of a TIFF of 8-bit samples.
pub(crate) fn tiff_planes(bytes: &[u8], count: usize) -> Vec<Mask> {
    let label = label(bytes);
    assert_eq!((usize::from(label.info().bands), label.info().format), (count, Some(Format::Tiff)));
    planes(&label)
}

/// The rows of a CSV table without line breaks in its cells, the header first.
pub(crate) fn csv(bytes: &[u8]) -> Vec<Vec<String>> {
    let row = |line: &str| {
        let (mut cells, mut quoted) = (vec![String::new()], false);
        for letter in line.chars() {
            match letter {
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(String::new()),
                _ => cells.last_mut().expect("a cell").push(letter),
            }
        }
        cells
    };
    std::str::from_utf8(bytes).expect("UTF-8").lines().map(row).collect()
}
