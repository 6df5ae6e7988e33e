//! Images for tests, made by code: a TIFF writer that can do what encoders seldom do, and thin wraps around encoders.

use super::*;
use std::io::Write as _;

/// A TIFF to be written: sensible where not said otherwise, one byte a sample, one strip.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that writers do, whatever else they do")]
pub(in crate::read) struct TiffFile {
    pub(in crate::read) size: Size,
    pub(in crate::read) samples: u16,
    pub(in crate::read) bits: u16,
    pub(in crate::read) format: u16,
    pub(in crate::read) photometric: u16,
    pub(in crate::read) compression: u16,
    pub(in crate::read) predictor: u16,
    pub(in crate::read) planar: bool,
    /// Tiles of this size; else strips of `rows`.
    pub(in crate::read) tile: Option<Size>,
    pub(in crate::read) rows: u32,
    pub(in crate::read) big_endian: bool,
    pub(in crate::read) big_tiff: bool,
    /// Further tags with 16-bit values, such as 338 for extra samples.
    pub(in crate::read) tags: Vec<(u16, Vec<u16>)>,
    /// Chunks that are left out, as sparse files do.
    pub(in crate::read) missing: Vec<usize>,
    /// Whether the last row of tiles ends with the image.
    pub(in crate::read) short: bool,
    /// What is written for the length of each chunk; no such tag if nothing is.
    pub(in crate::read) count: fn(u64) -> Option<u64>,
    /// Tags that are left out.
    pub(in crate::read) without: Vec<u64>,
}

impl TiffFile {
    pub(in crate::read) fn new(height: u32, width: u32, samples: u16) -> Self {
        Self {
            size: Size::new(height, width),
            samples,
            bits: 8,
            format: 1,
            photometric: if samples == 3 { 2 } else { 1 },
            compression: 1,
            predictor: 1,
            planar: false,
            tile: None,
            rows: height,
            big_endian: false,
            big_tiff: false,
            tags: Vec::new(),
            missing: Vec::new(),
            short: false,
            count: Some,
            without: Vec::new(),
        }
    }

    /// The file, with the low bits of `value(row, column, sample)` for samples.
    pub(in crate::read) fn bytes(&self, value: &dyn Fn(u32, u32, u16) -> u64) -> Vec<u8> {
        let mut out = if self.big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        let word = if self.big_tiff { 8 } else { 4 };
        if self.big_tiff {
            self.put_all(&mut out, &[(43, 2), (8, 2), (0, 2), (0, 8)]);
        } else {
            self.put_all(&mut out, &[(42, 2), (0, 4)]);
        }
        let (mut offsets, mut counts) = (Vec::new(), Vec::new());
        for (index, chunk) in self.chunks(value).into_iter().enumerate() {
            let missing = self.missing.contains(&index);
            offsets.push(if missing { 0 } else { out.len() as u64 });
            counts.extend((self.count)(if missing { 0 } else { chunk.len() as u64 }));
            if !missing {
                out.extend(chunk);
            }
        }
        let mut tags = self.all_tags(offsets, counts);
        tags.retain(|(tag, _, values)| !values.is_empty() && !self.without.contains(tag));
        tags.sort();
        let mut entries = Vec::new();
        for (tag, kind, values) in tags {
            let each = [0, 1, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8][kind as usize];
            self.put_all(&mut entries, &[(tag, 2), (kind, 2), (values.len() as u64, word)]);
            let mut data = Vec::new();
            for value in &values {
                self.put(&mut data, *value, each);
            }
            if data.len() <= word {
                data.resize(word, 0);
                entries.extend(data);
            } else {
                self.put(&mut entries, out.len() as u64, word);
                out.extend(data);
            }
        }
        let directory = out.len() as u64;
        let count = entries.len() / (4 + 2 * word);
        self.put(&mut out, count as u64, if self.big_tiff { 8 } else { 2 });
        out.extend(entries);
        self.put(&mut out, 0, word);
        let mut first = Vec::new();
        self.put(&mut first, directory, word);
        out[word..2 * word].copy_from_slice(&first);
        out
    }

    fn all_tags(&self, offsets: Vec<u64>, counts: Vec<u64>) -> Vec<(u64, u64, Vec<u64>)> {
        let wide = if self.big_tiff { 16 } else { 4 };
        let each = |value: u16| vec![u64::from(value); usize::from(self.samples)];
        let mut tags = vec![
            (256, 4, vec![u64::from(self.size.width)]),
            (257, 4, vec![u64::from(self.size.height)]),
            (258, 3, each(self.bits)),
            (259, 3, vec![u64::from(self.compression)]),
            (262, 3, vec![u64::from(self.photometric)]),
            (277, 3, vec![u64::from(self.samples)]),
            (284, 3, vec![1 + u64::from(self.planar)]),
            (317, 3, vec![u64::from(self.predictor)]),
            (339, 3, each(self.format)),
        ];
        match self.tile {
            Some(tile) => tags.extend([
                (322, 4, vec![u64::from(tile.width)]),
                (323, 4, vec![u64::from(tile.height)]),
                (324, wide, offsets),
                (325, wide, counts),
            ]),
            None => {
                tags.extend([
                    (273, wide, offsets),
                    (278, 4, vec![u64::from(self.rows)]),
                    (279, wide, counts),
                ]);
            }
        }
        let more = self.tags.iter();
        tags.extend(
            more.map(|(tag, values)| (u64::from(*tag), 3, values.iter().map(|&v| u64::from(v)).collect())),
        );
        tags
    }

    fn put_all(&self, out: &mut Vec<u8>, numbers: &[(u64, usize)]) {
        for &(value, bytes) in numbers {
            self.put(out, value, bytes);
        }
    }

    fn put(&self, out: &mut Vec<u8>, value: u64, bytes: usize) {
        if self.big_endian {
            out.extend_from_slice(&value.to_be_bytes()[8 - bytes..]);
        } else {
            out.extend_from_slice(&value.to_le_bytes()[..bytes]);
        }
    }

    /// The strips or tiles as they lie in the file, one behind the other.
    pub(in crate::read) fn chunks(&self, value: &dyn Fn(u32, u32, u16) -> u64) -> Vec<Vec<u8>> {
        let chunk = self.tile.unwrap_or(Size::new(self.rows, self.size.width));
        let planes: Vec<Vec<u16>> = if self.planar {
            (0..self.samples).map(|sample| vec![sample]).collect()
        } else {
            vec![(0..self.samples).collect()]
        };
        let mut chunks = Vec::new();
        for samples in planes {
            for top in (0..self.size.height).step_by(chunk.height as usize) {
                for left in (0..self.size.width).step_by(chunk.width as usize) {
                    let bottom = top + chunk.height;
                    let bottom = if self.tile.is_some() && !self.short {
                        bottom
                    } else {
                        bottom.min(self.size.height)
                    };
                    chunks.push(self.chunk(top..bottom, left..left + chunk.width, &samples, value));
                }
            }
        }
        chunks
    }

    fn chunk(
        &self,
        rows: std::ops::Range<u32>,
        cols: std::ops::Range<u32>,
        samples: &[u16],
        value: &dyn Fn(u32, u32, u16) -> u64,
    ) -> Vec<u8> {
        let size = Size::new(rows.len() as u32, cols.len() as u32);
        let mut raw = Vec::new();
        for row in rows {
            // What overhangs the image repeats its border, as encoders do.
            let at =
                |col: u32, sample| value(row.min(self.size.height - 1), col.min(self.size.width - 1), sample);
            let flat = cols.clone().flat_map(|col| samples.iter().map(move |&sample| at(col, sample)));
            raw.extend(self.packed_row(&flat.collect::<Vec<_>>(), samples.len()));
        }
        let mut bytes = compressed(self.compression, raw, size, samples.len());
        if self.tags.contains(&(266, vec![2])) {
            bytes.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        bytes
    }

    fn packed_row(&self, values: &[u64], samples: usize) -> Vec<u8> {
        let mut row = Vec::new();
        let bytes = usize::from(self.bits / 8);
        match (self.predictor, self.bits % 8) {
            (3, _) => {
                // All highest bytes first, then differences.
                for weight in (0..bytes).rev() {
                    row.extend(values.iter().map(|value| (value >> (8 * weight)) as u8));
                }
                for at in (samples..row.len()).rev() {
                    row[at] = row[at].wrapping_sub(row[at - samples]);
                }
            }
            (_, 0) => {
                for (at, value) in values.iter().enumerate() {
                    let before = if self.predictor == 2 && at >= samples { values[at - samples] } else { 0 };
                    self.put(&mut row, value.wrapping_sub(before), bytes);
                }
            }
            _ => {
                let bits =
                    values.iter().flat_map(|value| (0..self.bits).rev().map(move |bit| value >> bit & 1));
                let bits: Vec<u64> = bits.collect();
                row.extend(bits.chunks(8).map(|byte| {
                    byte.iter().enumerate().fold(0, |all, (at, &bit)| all | (bit as u8) << (7 - at))
                }));
            }
        }
        row
    }
}

fn compressed(compression: u16, raw: Vec<u8>, size: Size, samples: usize) -> Vec<u8> {
    match compression {
        1 => raw,
        4 => {
            let mut encoder = fax::encoder::Encoder::new(fax::VecWriter::new());
            for row in raw.chunks(size.width.div_ceil(8) as usize) {
                let black = |col: u32| row[col as usize / 8] & (0x80 >> (col % 8)) != 0;
                let colour = |col| if black(col) { fax::Color::Black } else { fax::Color::White };
                encoder.encode_line((0..size.width).map(colour), size.width as u16).unwrap();
            }
            encoder.finish().unwrap().finish()
        }
        50001 => {
            use ::image::ImageEncoder;
            let colour = if samples == 3 {
                ::image::ExtendedColorType::Rgb8
            } else {
                ::image::ExtendedColorType::Rgba8
            };
            let mut out = Vec::new();
            let encoder = ::image::codecs::webp::WebPEncoder::new_lossless(&mut out);
            encoder.write_image(&raw, size.width, size.height, colour).unwrap();
            out
        }
        5 => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(&raw).unwrap(),
        7 => {
            let colour =
                if samples == 1 { ::image::ExtendedColorType::L8 } else { ::image::ExtendedColorType::Rgb8 };
            let mut out = Vec::new();
            ::image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 100)
                .encode(&raw, size.width, size.height, colour)
                .unwrap();
            out
        }
        8 => {
            let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(&raw).unwrap();
            out.finish().unwrap()
        }
        // Runs of two equal bytes and more, and single bytes.
        32773 => {
            raw.chunk_by(|a, b| a == b).flat_map(|run| run.chunks(128)).fold(Vec::new(), |mut out, run| {
                out.extend([(257 - run.len()) as u8, run[0]].map(|byte| byte));
                if run.len() == 1 {
                    let at = out.len() - 2;
                    out[at] = 0;
                }
                out
            })
        }
        50000 => zstd::bulk::compress(&raw, 1).unwrap(),
        other => panic!("no compression {other}"),
    }
}

/// An EXIF block that holds nothing but an orientation.
pub(in crate::read) fn exif(orientation: u16) -> Vec<u8> {
    let mut out = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    out.extend(orientation.to_be_bytes());
    out.extend([0; 6]);
    out
}

/// A PNG of `data` as the encoder takes it: big-endian, packed.
pub(in crate::read) fn png_file(
    size: Size,
    colour: ::png::ColorType,
    depth: ::png::BitDepth,
    data: &[u8],
) -> Vec<u8> {
    png_with(size, colour, depth, data, |_| {})
}

/// As [`png_file`], with a chance to set more.
pub(in crate::read) fn png_with(
    size: Size,
    colour: ::png::ColorType,
    depth: ::png::BitDepth,
    data: &[u8],
    more: impl FnOnce(&mut ::png::Info<'static>),
) -> Vec<u8> {
    let mut info = ::png::Info::with_size(size.width, size.height);
    (info.color_type, info.bit_depth) = (colour, depth);
    more(&mut info);
    let mut out = Vec::new();
    let mut writer = ::png::Encoder::with_info(&mut out, info).unwrap().write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    out
}

/// Interleaved 8-bit `data` (RGB or RGBA, as its length says) in a format of the `image` crate, with EXIF if it can.
pub(in crate::read) fn encoded(format: Format, size: Size, data: &[u8], orientation: Option<u16>) -> Vec<u8> {
    use ::image::ImageEncoder;
    use ::image::codecs::{bmp::BmpEncoder, jpeg::JpegEncoder, webp::WebPEncoder};
    let colour = match data.len() as u64 / size.area() {
        1 => ::image::ExtendedColorType::L8,
        3 => ::image::ExtendedColorType::Rgb8,
        _ => ::image::ExtendedColorType::Rgba8,
    };
    let mut out = Vec::new();
    let (width, height) = (size.width, size.height);
    match format {
        Format::Pnm => {
            let magic = if data.len() as u64 == size.area() { 5 } else { 6 };
            out = format!("P{magic} {width} {height} 255\n").into_bytes();
            out.extend(data);
        }
        Format::Bmp => BmpEncoder::new(&mut out).encode(data, width, height, colour).unwrap(),
        Format::Jpeg => {
            let mut encoder = JpegEncoder::new_with_quality(&mut out, 100);
            if let Some(orientation) = orientation {
                encoder.set_exif_metadata(exif(orientation)).unwrap();
            }
            encoder.write_image(data, width, height, colour).unwrap();
        }
        Format::WebP => {
            let mut encoder = WebPEncoder::new_lossless(&mut out);
            if let Some(orientation) = orientation {
                encoder.set_exif_metadata(exif(orientation)).unwrap();
            }
            encoder.write_image(data, width, height, colour).unwrap();
        }
        Format::Png => {
            let kind = match colour {
                ::image::ExtendedColorType::L8 => ::png::ColorType::Grayscale,
                ::image::ExtendedColorType::Rgb8 => ::png::ColorType::Rgb,
                _ => ::png::ColorType::Rgba,
            };
            out = png_with(size, kind, ::png::BitDepth::Eight, data, |info| {
                info.exif_metadata = orientation.map(|number| exif(number).into());
            });
        }
        Format::Tiff => {
            let samples = (data.len() as u64 / size.area()) as u16;
            let mut file = TiffFile::new(height, width, samples);
            file.photometric = if samples >= 3 { 2 } else { 1 };
            file.tags = orientation.map(|number| (274, vec![number])).into_iter().collect();
            if samples == 4 {
                file.tags.push((338, vec![2]));
            }
            let at = |row: u32, col: u32, sample: u16| {
                (row as usize * width as usize + col as usize) * usize::from(samples) + usize::from(sample)
            };
            out = file.bytes(&|row, col, sample| u64::from(data[at(row, col, sample)]));
        }
    }
    out
}
