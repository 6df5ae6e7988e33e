//! Reading what the binary wrote, apart from the code that wrote it.

use half::f16;
use serde_json::Value;
use std::collections::BTreeMap;

/// An image of labels or samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mask {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// `[H, W]`.
    pub(crate) labels: Vec<u8>,
}

impl Mask {
    /// A PNG of 8 bits a pixel, its palette left alone.
    pub(crate) fn from_png(bytes: &[u8]) -> Self {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::IDENTITY);
        let mut reader = decoder.read_info().expect("a PNG");
        let mut labels = vec![0; reader.output_buffer_size().expect("a size that fits")];
        let info = reader.next_frame(&mut labels).expect("whole pixels");
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Indexed, png::BitDepth::Eight));
        Self { height: info.height as usize, width: info.width as usize, labels }
    }

    /// Whether each pixel is `label`, down the columns.
    pub(crate) fn columns(&self, label: u8) -> Vec<bool> {
        let pixel = |at: usize| self.labels[at % self.height * self.width + at / self.height] == label;
        (0..self.labels.len()).map(pixel).collect()
    }

    /// Fails the test unless the runs of Kaggle's text, counted down the columns from 1, are the pixels of `label`.
    #[track_caller]
    pub(crate) fn is_run_lengths(&self, label: u8, text: &str) {
        let mut pixels = vec![false; self.labels.len()];
        let numbers: Vec<usize> = text.split_whitespace().map(|n| n.parse().expect("a number")).collect();
        for run in numbers.chunks(2) {
            pixels[run[0] - 1..run[0] - 1 + run[1]].fill(true);
        }
        assert!(pixels == self.columns(label), "run lengths of label {label} are not those of the mask");
    }

    /// The same for runs counted from the end of the one before (`relative`), from 0.
    #[track_caller]
    pub(crate) fn is_relative(&self, label: u8, text: &str) {
        let mut pixels = vec![false; self.labels.len()];
        let numbers: Vec<usize> = text.split_whitespace().map(|n| n.parse().expect("a number")).collect();
        let mut end = 0;
        for run in numbers.chunks(2) {
            let start = end + run[0];
            end = start + run[1];
            pixels[start..end].fill(true);
        }
        assert!(pixels == self.columns(label), "relative runs of label {label} are not those of the mask");
    }
}

/// The pixels of COCO's compressed counts, down the columns.
pub(crate) fn coco_columns(counts: &str) -> Vec<bool> {
    let (mut lengths, mut bytes) = (Vec::<i64>::new(), counts.bytes().map(|b| i64::from(b) - 48));
    while let Some(first) = bytes.next() {
        let (mut value, mut shift, mut last) = (first & 31, 5, first);
        while last & 32 != 0 {
            last = bytes.next().expect("counts end with a last letter");
            value |= (last & 31) << shift;
            shift += 5;
        }
        if last & 16 != 0 {
            value |= -1 << shift;
        }
        let before = if lengths.len() > 2 { lengths[lengths.len() - 2] } else { 0 };
        lengths.push(value + before);
    }
    let mut pixels = Vec::new();
    for (n, length) in lengths.into_iter().enumerate() {
        pixels.resize(pixels.len() + length as usize, n % 2 == 1);
    }
    pixels
}

/// Probabilities `[C, H, W]` of a Zarr array of f16, from the files below its folder.
pub(crate) fn zarr(files: &BTreeMap<String, Vec<u8>>, folder: &str) -> (Vec<usize>, Vec<f32>) {
    let meta: Value = serde_json::from_slice(&files[&format!("{folder}/.zarray")]).expect(".zarray is JSON");
    assert_eq!((&meta["zarr_format"], &meta["dtype"]), (&2.into(), &"<f2".into()));
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
                let whole = chunk.iter().product::<usize>() * 2;
                let bytes = zstd::bulk::decompress(packed, whole).expect("a zstd frame");
                assert_eq!(bytes.len(), whole);
                for (at, pair) in bytes.chunks_exact(2).enumerate() {
                    let place = [
                        z * chunk[0] + at / (chunk[1] * chunk[2]),
                        y * chunk[1] + at / chunk[2] % chunk[1],
                        x * chunk[2] + at % chunk[2],
                    ];
                    if place.iter().zip(&shape).all(|(p, s)| p < s) {
                        let to = (place[0] * shape[1] + place[1]) * shape[2] + place[2];
                        scores[to] = f16::from_le_bytes([pair[0], pair[1]]).to_f32();
                    }
                }
            }
        }
    }
    (shape, scores)
}

/// The planes `[C][H, W]` of a TIFF of 8-bit samples that is one tile.
pub(crate) fn tiff_planes(bytes: &[u8], planes: u32) -> Vec<Mask> {
    let mut bytes = bytes.to_vec();
    // The decoder at hand knows no palettes, so one (tag 262: 3) is shown as grey (1).
    let palette = [6, 1, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
    if let Some(at) = bytes.windows(palette.len()).position(|entry| entry == palette) {
        bytes[at + 12] = 1;
    }
    let mut decoder = tiff::decoder::Decoder::new(std::io::Cursor::new(bytes)).expect("a TIFF");
    let (width, height) = decoder.dimensions().expect("dimensions");
    assert_eq!(decoder.chunk_data_dimensions(0), (width, height), "one tile holds it");
    let mut plane = |index| match decoder.read_chunk(index).expect("a tile") {
        tiff::decoder::DecodingResult::U8(labels) => labels,
        other => panic!("8-bit samples, not {other:?}"),
    };
    let mask = |labels| Mask { height: height as usize, width: width as usize, labels };
    (0..planes).map(|index| mask(plane(index))).collect()
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
