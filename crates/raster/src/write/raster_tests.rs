//! Masks and scores, read back by other people's decoders.

use super::rle_tests::{names, push};
use super::*;
use half::f16;
use marquetry_geometry::Size;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

/// A file in memory that is still there when its sink is gone.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Cursor<Vec<u8>>>>);

impl Shared {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().get_ref().clone()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl std::io::Seek for Shared {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.0.lock().unwrap().seek(to)
    }
}

/// Blobs of `classes` labels with a few ignored pixels.
fn scene(size: Size, classes: u16, ignore: Option<u16>) -> Vec<u16> {
    let pixel = |index: u64| {
        let (y, x) = (index / u64::from(size.width), index % u64::from(size.width));
        match ignore {
            Some(ignore) if index.is_multiple_of(97) => ignore,
            _ => ((x / 7 + y / 5 * 3) % u64::from(classes)) as u16,
        }
    };
    (0..size.area()).map(pixel).collect()
}

fn png_of(size: Size, legend: &Legend, values: &[u16]) -> Vec<u8> {
    let out = Shared::default();
    push(Box::new(MaskPng::new(out.clone(), size, legend).unwrap()), values, size.height as usize).unwrap();
    out.bytes()
}

#[test]
fn png_masks_come_back() {
    let size = Size::new(70, 53);
    let legend = Legend::labels(names(20), Some(255)).unwrap();
    let values = scene(size, 20, Some(255));
    let bytes = png_of(size, &legend, &values);
    assert_eq!(bytes, png_of(size, &legend, &values));
    let mut reader = png::Decoder::new(Cursor::new(&bytes)).read_info().unwrap();
    let info = reader.info();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Indexed, png::BitDepth::Eight));
    let colours = info.palette.as_ref().unwrap().as_chunks::<3>().0.to_vec();
    assert_eq!(&colours[..20], legend.colours());
    assert_eq!(colours.len(), 256);
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    assert_eq!(pixels.iter().map(|&byte| u16::from(byte)).collect::<Vec<_>>(), values);
}

#[test]
fn png_masks_of_many_classes_are_16_bit_grey() {
    let size = Size::new(40, 90);
    let legend = Legend::labels(names(300), Some(65535)).unwrap();
    let values = scene(size, 300, Some(65535));
    let bytes = png_of(size, &legend, &values);
    let mut reader = png::Decoder::new(Cursor::new(&bytes)).read_info().unwrap();
    assert_eq!(reader.output_color_type(), (png::ColorType::Grayscale, png::BitDepth::Sixteen));
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    let read: Vec<_> = pixels.as_chunks::<2>().0.iter().map(|&pair| u16::from_be_bytes(pair)).collect();
    assert_eq!(read, values);
}

/// OpenCV, TensorFlow and torchvision make colours of a palette.
#[test]
fn grey_masks_have_the_labels_and_no_palette() {
    let size = Size::new(40, 90);
    let legend = Legend::labels(names(20), Some(255)).unwrap();
    let values = scene(size, 20, Some(255));
    let out = Shared::default();
    push(Box::new(MaskPng::grey(out.clone(), size, &legend).unwrap()), &values, 40).unwrap();
    let mut reader = png::Decoder::new(Cursor::new(out.bytes())).read_info().unwrap();
    assert_eq!(reader.output_color_type(), (png::ColorType::Grayscale, png::BitDepth::Eight));
    assert!(reader.info().palette.is_none());
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    assert_eq!(pixels.iter().map(|&byte| u16::from(byte)).collect::<Vec<_>>(), values);
    let out = Shared::default();
    let sink = MaskTiff::new(out.clone(), size, &legend, None, TiffOptions::default()).unwrap().grey();
    push(Box::new(sink), &values, 40).unwrap();
    let mut decoder = Decoder::new(Cursor::new(out.bytes())).unwrap();
    assert_eq!(decoder.colortype().unwrap(), tiff::ColorType::Gray(8));
    assert!(decoder.find_tag(Tag::ColorMap).unwrap().is_none());
    let read = read_plane(&out.bytes(), size, 0, |tile| match tile {
        DecodingResult::U8(bytes) => bytes,
        other => panic!("{other:?}"),
    });
    assert_eq!(read.iter().map(|&byte| u16::from(byte)).collect::<Vec<_>>(), values);
}

#[test]
fn planes_become_a_file_each() {
    let size = Size::new(2, 3);
    let legend = Legend::multilabel(names(2), None).unwrap();
    let outs = [Shared::default(), Shared::default()];
    let sinks = outs.iter().enumerate().map(|(class, out)| {
        Box::new(MaskPng::new(out.clone(), size, &legend.plane(class)).unwrap()) as Box<dyn LabelSink>
    });
    let split = Split::new(size, &legend, sinks.collect()).unwrap();
    push(Box::new(split), &[0, 1, 1, /* */ 1, 0, 0, /* */ 0, 0, 1, /* */ 1, 1, 1], 2).unwrap();
    for (out, want) in outs.iter().zip([[0, 1, 1, 0, 0, 1], [1, 0, 0, 1, 1, 1]]) {
        let mut reader = png::Decoder::new(Cursor::new(out.bytes())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, want);
    }
    assert!(MaskPng::new(Vec::new(), size, &legend).is_err());
    assert!(Split::new(size, &legend, vec![]).is_err());
}

pub(super) fn tiff_of(
    legend: &Legend,
    size: Size,
    values: &[u16],
    geo: Option<GeoTags>,
    options: TiffOptions,
) -> Vec<u8> {
    let out = Shared::default();
    let sink = MaskTiff::new(out.clone(), size, legend, geo, options).unwrap();
    push(Box::new(sink), values, size.height as usize).unwrap();
    out.bytes()
}

/// Puts the tiles of one plane together.
fn read_plane<T: Copy + Default>(
    bytes: &[u8],
    size: Size,
    plane: u32,
    open: impl Fn(DecodingResult) -> Vec<T>,
) -> Vec<T> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).unwrap().with_limits(Limits::unlimited());
    assert_eq!(decoder.dimensions().unwrap(), (size.width, size.height));
    let (side, _) = decoder.chunk_dimensions();
    let (across, down) = (size.width.div_ceil(side), size.height.div_ceil(side));
    let mut image = vec![T::default(); size.area() as usize];
    for tile in 0..across * down {
        let index = plane * across * down + tile;
        let (width, height) = decoder.chunk_data_dimensions(tile);
        let pixels = open(decoder.read_chunk(index).unwrap());
        for row in 0..height {
            let at = (tile / across * side + row) * size.width + tile % across * side;
            let from = (row * width) as usize;
            image[at as usize..][..width as usize].copy_from_slice(&pixels[from..][..width as usize]);
        }
    }
    image
}

fn integers(read: DecodingResult) -> Vec<u16> {
    match read {
        DecodingResult::U8(all) => all.into_iter().map(u16::from).collect(),
        DecodingResult::U16(all) => all,
        other => panic!("{other:?}"),
    }
}

/// The same file as plain grey: the decoder at hand knows no palettes.
fn as_grey(bytes: &[u8]) -> Vec<u8> {
    // Tag 262, one short, the value 3.
    let entry = [6, 1, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
    let at = bytes.windows(entry.len()).position(|window| window == entry).unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at + 12] = 1;
    bytes
}

#[test]
fn tiff_masks_come_back() {
    for (classes, ignore, tile_px) in [(7, Some(255), 32), (7, None, 512), (400, Some(500), 16)] {
        let size = Size::new(75, 131);
        let legend = Legend::labels(names(classes), ignore).unwrap();
        let values = scene(size, classes as u16, ignore);
        let options = TiffOptions { tile_px };
        let bytes = tiff_of(&legend, size, &values, None, options);
        assert_eq!(bytes, tiff_of(&legend, size, &values, None, options));
        assert_eq!(read_plane(&as_grey(&bytes), size, 0, integers), values);
        let mut decoder = Decoder::new(Cursor::new(&bytes)).unwrap();
        let map = decoder.get_tag_u16_vec(Tag::ColorMap).unwrap();
        let last = legend.colours()[classes - 1].map(|channel| u16::from(channel) * 257);
        let values = map.len() / 3;
        assert_eq!([0, 1, 2].map(|channel| map[channel * values + classes - 1]), last);
        let nodata = decoder.find_tag(Tag::GdalNodata).unwrap().map(|value| value.into_string().unwrap());
        assert_eq!(nodata, ignore.map(|value| value.to_string()));
    }
    let refused = TiffOptions { tile_px: 100 };
    let legend = Legend::labels(names(2), None).unwrap();
    assert!(MaskTiff::new(Shared::default(), Size::new(5, 5), &legend, None, refused).is_err());
}

#[test]
fn tiff_masks_of_planes() {
    let size = Size::new(20, 35);
    let legend = Legend::multilabel(names(3), None).unwrap();
    let planes: Vec<Vec<u16>> =
        (2..5).map(|n| scene(size, n, None).iter().map(|&v| v.min(1)).collect()).collect();
    let rows = (0..20).flat_map(|y| planes.iter().flat_map(move |plane| plane[y * 35..][..35].to_vec()));
    let options = TiffOptions { tile_px: 16 };
    let bytes = tiff_of(&legend, size, &rows.collect::<Vec<_>>(), None, options);
    for (index, plane) in planes.iter().enumerate() {
        assert_eq!(&read_plane(&bytes, size, index as u32, integers), plane);
    }
}

/// Scores of `[C, H, W]` in 0..=1.
fn scores(size: Size, classes: usize) -> Vec<f32> {
    let total = classes * size.area() as usize;
    (0..total).map(|index| (index * 37 % 1001) as f32 / 1000.0).collect()
}

/// Hands scores over in bands of uneven height.
fn push_scores(mut sink: Box<dyn ScoreSink + '_>, all: &[f32], size: Size, classes: usize) {
    let (height, width) = (size.height as usize, size.width as usize);
    let (mut top, mut rows) = (0, 1);
    while top < height {
        let taken = rows.min(height - top);
        let planes = (0..classes).flat_map(|c| &all[(c * height + top) * width..][..taken * width]);
        sink.band(&planes.copied().collect::<Vec<_>>(), taken as u32).unwrap();
        top += taken;
        rows = rows * 2 + 1;
    }
    sink.finish().unwrap();
}

#[test]
fn tiff_scores_come_back() {
    let (size, classes) = (Size::new(41, 67), 3);
    let all = scores(size, classes);
    for depth in [ScoreDepth::U8, ScoreDepth::F16] {
        let out = Shared::default();
        let options = TiffOptions { tile_px: 32 };
        let sink = ScoreTiff::new(out.clone(), size, names(classes), depth, None, options).unwrap();
        push_scores(Box::new(sink), &all, size, classes);
        let bytes = out.bytes();
        for (class, want) in all.chunks(size.area() as usize).enumerate() {
            let open = |read| match read {
                DecodingResult::U8(all) => all.into_iter().map(f32::from).collect(),
                DecodingResult::F16(all) => all.into_iter().map(f16::to_f32).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            };
            let got = read_plane(&bytes, size, class as u32, open);
            let want = want.iter().map(|&p| match depth {
                ScoreDepth::U8 => (p * 255.0).round(),
                ScoreDepth::F16 => f16::from_f32(p).to_f32(),
            });
            assert_eq!(got, want.collect::<Vec<_>>());
        }
    }
}

#[test]
fn bands_are_checked() {
    let out = Shared::default();
    let mut sink =
        ScoreTiff::new(out, Size::new(2, 3), names(2), ScoreDepth::U8, None, TiffOptions::default()).unwrap();
    assert!(matches!(sink.band(&[0.0; 5], 1), Err(WriteError::RowLength { expected: 6, .. })));
    assert!(matches!(sink.band(&[0.0; 18], 3), Err(WriteError::RowCount { found: 3, .. })));
    sink.band(&[0.0; 6], 1).unwrap();
    assert!(matches!(Box::new(sink).finish(), Err(WriteError::RowCount { found: 1, .. })));
}

fn read_zarr(folder: &Path, shape: [usize; 3], bytes: usize) -> Vec<Vec<u8>> {
    let describe = std::fs::read(folder.join(".zarray")).unwrap();
    let array: serde_json::Value = serde_json::from_slice(&describe).unwrap();
    assert_eq!(array["shape"], serde_json::json!(shape));
    let chunk: [usize; 3] = serde_json::from_value(array["chunks"].clone()).unwrap();
    let mut samples = Vec::new();
    for z in 0..shape[0] {
        for y in 0..shape[1] {
            for x in 0..shape[2] {
                let at = [z, y, x];
                let path =
                    (0..3).fold(folder.to_owned(), |path, k| path.join((at[k] / chunk[k]).to_string()));
                let data = zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap();
                let index = (0..3).fold(0, |index, k| index * chunk[k] + at[k] % chunk[k]);
                samples.push(data[index * bytes..][..bytes].to_vec());
            }
        }
    }
    samples
}

#[test]
fn zarr_scores_come_back() {
    let (size, classes) = (Size::new(9, 13), 3);
    let all = scores(size, classes);
    for depth in [ScoreDepth::U8, ScoreDepth::F16] {
        let folder = tempfile::tempdir().unwrap();
        let sink = ScoreZarr::new(folder.path(), size, &names(classes), depth, 4).unwrap();
        push_scores(Box::new(sink), &all, size, classes);
        let want = all.iter().map(|&p| match depth {
            ScoreDepth::U8 => vec![(p * 255.0).round() as u8],
            ScoreDepth::F16 => f16::from_f32(p).to_le_bytes().to_vec(),
        });
        assert_eq!(read_zarr(folder.path(), [classes, 9, 13], depth.bytes()), want.collect::<Vec<_>>());
        let attributes: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.path().join(".zattrs")).unwrap()).unwrap();
        assert_eq!(attributes["classes"], serde_json::json!(["c0", "c1", "c2"]));
        let mut files = zarr_files(size, classes, depth, 4);
        assert_eq!(files.len(), 2 + 3 * 4);
        files.retain(|file| !folder.path().join(file).is_file());
        assert_eq!(files, Vec::<String>::new(), "all that are written are listed");
        let again = ScoreZarr::new(folder.path(), size, &names(classes), depth, 4).unwrap_err();
        assert!(again.to_string().contains("not empty"));
    }
}

#[test]
fn zarr_chunks_share_classes_evenly() {
    let folder = tempfile::tempdir().unwrap();
    ScoreZarr::new(folder.path(), Size::square(600), &names(20), ScoreDepth::U8, 512).unwrap();
    let array: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join(".zarray")).unwrap()).unwrap();
    assert_eq!(array["chunks"], serde_json::json!([10, 512, 512]));
    let files = zarr_files(Size::square(600), 20, ScoreDepth::U8, 512);
    assert_eq!(files[2..], ["0/0/0", "0/0/1", "0/1/0", "0/1/1", "1/0/0", "1/0/1", "1/1/0", "1/1/1"]);
}

#[test]
fn numbers_that_are_none() {
    let mut bytes = [9; 4];
    ScoreDepth::U8.encode(&[f32::NAN, -1.0, 2.0, 0.5], &mut bytes);
    assert_eq!(bytes, [0, 0, 255, 128]);
}
