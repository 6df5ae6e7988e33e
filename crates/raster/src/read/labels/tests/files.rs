use super::*;
use crate::read::tests::make::*;
use crate::read::tests::pattern;
use crate::read::{Format, ReadErrorKind};
use ::png::{BitDepth, ColorType};
use marquetry_geometry::D4;
use proptest::prelude::*;

const SIZE: Size = Size::new(5, 13);

/// A number for every pixel, below `count`.
fn numbers(count: u64) -> Vec<i32> {
    let pixel = |at: u64| (pattern((at / 13) as u32, (at % 13) as u32, 0) % count) as i32;
    (0..SIZE.area()).map(pixel).collect()
}

/// The rows of an image of `SIZE` as PNG has them: `bits` each, from the highest bit on.
fn packed(values: &[i32], bits: usize) -> Vec<u8> {
    let row = |row: &[i32]| {
        let bits: Vec<i32> =
            row.iter().flat_map(|value| (0..bits).rev().map(move |bit| value >> bit & 1)).collect();
        let byte =
            |byte: &[i32]| byte.iter().enumerate().fold(0, |all, (at, bit)| all | (*bit as u8) << (7 - at));
        bits.chunks(8).map(byte).collect::<Vec<u8>>()
    };
    values.chunks(SIZE.width as usize).flat_map(row).collect()
}

fn depth(bits: usize) -> BitDepth {
    BitDepth::from_u8(bits as u8).unwrap()
}

/// The text of GDAL's tag for no data; the writer at hand knows values of 16 bits alone.
fn nodata(text: &str) -> (u16, Vec<u16>) {
    let padded = format!("{text}\0\0");
    (42113, padded.as_bytes().as_chunks::<2>().0.iter().map(|&pair| u16::from_le_bytes(pair)).collect())
}

#[test]
fn palettes_are_indices_in_memory_and_in_the_scratch_folder() {
    for bits in [1, 2, 4, 8] {
        let values = numbers(1 << bits);
        let palette: Vec<u8> = (0..3 << bits).map(|at| (at * 7 % 256) as u8).collect();
        let file = png_with(SIZE, ColorType::Indexed, depth(bits), &packed(&values, bits), |info| {
            info.palette = Some(palette.clone().into());
            // Transparency is no reason to expand.
            info.trns = Some(vec![0].into());
        });
        for memory_bytes in [1 << 20, 1] {
            let label = open(&file, |limits| limits.memory_bytes = memory_bytes).unwrap();
            let info = label.info();
            assert_eq!((info.size, info.bands, info.alpha, info.lossy), (SIZE, 1, None, false));
            assert_eq!(info.palette.as_deref(), Some(palette.as_chunks::<3>().0));
            assert_eq!(whole(&label).values, values, "{bits} bits");
        }
    }
}

/// The border of Pascal VOC: index 255 is 255, whatever its colour.
#[test]
fn index_255_is_255() {
    let mut palette = vec![0; 768];
    palette[765..].copy_from_slice(&[224, 224, 192]);
    let size = Size::new(1, 3);
    let file = png_with(size, ColorType::Indexed, BitDepth::Eight, &[0, 255, 15], |info| {
        info.palette = Some(palette.into());
    });
    assert_eq!(whole(&open(&file, |_| {}).unwrap()).values, [0, 255, 15]);
}

#[test]
fn grey_is_never_stretched() {
    for bits in [1, 2, 4, 8, 16] {
        let values = numbers(1 << bits);
        let file = png_file(SIZE, ColorType::Grayscale, depth(bits), &packed(&values, bits));
        for memory_bytes in [1 << 20, 1] {
            let label = open(&file, |limits| limits.memory_bytes = memory_bytes).unwrap();
            assert_eq!((label.info().bands, &label.info().palette), (1, &None));
            let labels = whole(&label);
            assert_eq!(labels.values, values, "{bits} bits");
            assert!(labels.missing.iter().all(|missing| !missing));
            let (mut part, width) = (labels, SIZE.width as usize);
            label.read(Rect::new(2, 3, Size::new(2, 4)), &mut part).unwrap();
            let rows = [2, 3].map(|row| &values[row * width + 3..row * width + 7]);
            assert_eq!((part.values, part.missing), (rows.concat(), vec![false; 8]), "{bits} bits");
            assert!(label.read(Rect::new(2, 3, SIZE), &mut Labels::default()).is_err(), "beyond its edge");
        }
    }
}

#[test]
fn alpha_is_named_and_handed_over() {
    let size = Size::new(1, 2);
    let grey = png_file(size, ColorType::GrayscaleAlpha, BitDepth::Eight, &[7, 255, 8, 0]);
    let colours = png_file(size, ColorType::Rgba, BitDepth::Eight, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let mut tiff = TiffFile::new(1, 2, 2);
    tiff.tags = vec![(338, vec![2])];
    for (file, bands, alpha, values) in [
        (grey, 2, Some(1), vec![7, 8, /* */ 255, 0]),
        (colours, 4, Some(3), vec![1, 5, /* */ 2, 6, /* */ 3, 7, /* */ 4, 8]),
        (
            tiff.bytes(&|_, col, sample| u64::from(10 * col) + u64::from(sample)),
            2,
            Some(1),
            vec![0, 10, 1, 11],
        ),
    ] {
        let label = open(&file, |_| {}).unwrap();
        assert_eq!((label.info().bands, label.info().alpha), (bands, alpha));
        assert_eq!(whole(&label).values, values);
    }
}

#[test]
fn tiff_samples_are_numbers() {
    for (bits, photometric, planar) in
        [(1, 1, false), (4, 1, false), (8, 1, true), (12, 0, false), (16, 1, true)]
    {
        let mut file = TiffFile::new(5, 13, 1 + u16::from(planar));
        (file.bits, file.photometric, file.planar, file.rows) = (bits, photometric, planar, 2);
        let value = |row, col, sample| pattern(row, col, sample) % (1 << bits);
        let label = open(&file.bytes(&value), |_| {}).unwrap();
        assert_eq!(label.info().white_is_zero, photometric == 0);
        let wanted = (0..file.samples).flat_map(|sample| {
            (0..5).flat_map(move |row| (0..13).map(move |col| value(row, col, sample) as i32))
        });
        assert_eq!(whole(&label).values, wanted.collect::<Vec<_>>(), "{bits} bits");
    }
    // A palette of two colours.
    let mut file = TiffFile::new(5, 13, 1);
    (file.bits, file.photometric) = (1, 3);
    file.tags = vec![(320, vec![0, 255 << 8, 0, 10 << 8, 0, 20 << 8])];
    let label = open(&file.bytes(&|row, col, _| pattern(row, col, 0) % 2), |_| {}).unwrap();
    assert_eq!(label.info().palette.as_deref(), Some(&[[0, 0, 0], [255, 10, 20]][..]));
    assert_eq!(whole(&label).values, numbers(2));
}

#[test]
fn what_stands_for_no_data_is_missing() {
    let row = |label: &LabelReader| (whole(label).values, whole(label).missing);
    let mut file = TiffFile::new(1, 3, 1);
    (file.bits, file.tags) = (16, vec![nodata("255")]);
    let label = open(&file.bytes(&|_, col, _| [3, 255, 65535][col as usize]), |_| {}).unwrap();
    assert_eq!(label.info().nodata, Some(255.0));
    assert_eq!(row(&label), (vec![3, 255, 65535], vec![false, true, false]));

    // A number that bytes cannot have: nothing is missing, and nothing becomes 241 or 0.
    (file.bits, file.tags) = (8, vec![nodata("-9999")]);
    let label = open(&file.bytes(&|_, col, _| [0, 241, 9][col as usize]), |_| {}).unwrap();
    assert_eq!(label.info().nodata, Some(-9999.0));
    assert_eq!(row(&label), (vec![0, 241, 9], vec![false; 3]));

    (file.bits, file.format) = (16, 2);
    let label = open(&file.bytes(&|_, col, _| [0, -9999_i64 as u64, 9][col as usize]), |_| {}).unwrap();
    assert_eq!(row(&label), (vec![0, -9999, 9], vec![false, true, false]));

    // Without such a tag they are numbers like any other.
    file.tags.clear();
    for (bits, format, values) in
        [(16, 2, [-1, 7, -32_768]), (32, 2, [-1, 70_000, 16_777_215]), (8, 2, [-1, 0, -128])]
    {
        (file.bits, file.format) = (bits, format);
        let label = open(&file.bytes(&|_, col, _| values[col as usize] as i64 as u64), |_| {}).unwrap();
        assert_eq!(row(&label), (values.to_vec(), vec![false; 3]));
    }
    (file.bits, file.format) = (16, 2);

    (file.bits, file.format, file.tags) = (32, 3, vec![nodata("nan")]);
    let floats = |values: [f32; 3]| file.bytes(&move |_, col, _| u64::from(values[col as usize].to_bits()));
    assert_eq!(row(&open(&floats([2.0, f32::NAN, 7.0]), |_| {}).unwrap()).1, [false, true, false]);

    // Chunks that were never written.
    let mut file = TiffFile::new(2, 1, 1);
    (file.rows, file.missing, file.tags) = (1, vec![0], vec![nodata("7")]);
    let label = open(&file.bytes(&|_, _, _| 1), |_| {}).unwrap();
    assert_eq!(row(&label), (vec![7, 1], vec![true, false]));
}

/// The numbers of the file, unstretched; of a bitmap 1 is white.
#[test]
fn netpbm_labels_have_their_numbers() {
    let values = |bytes: &[u8]| whole(&open(bytes, |_| {}).unwrap()).values;
    assert_eq!(values(b"P5 3 1 4\n\x00\x01\x04"), [0, 1, 4]);
    assert_eq!(values(b"P5 2 1 65535\n\x01\x00\xff\xff"), [256, 65_535]);
    assert_eq!(values(b"P4 3 1\n\xa0"), [0, 1, 0]);
}

#[test]
fn what_is_no_label_is_named_with_its_place() {
    for (bits, format, value, found) in [
        (32, 2, -16_777_216_i64 as u64, "-16777216"),
        (32, 2, i64::from(i32::MIN) as u64, "-2147483600"),
        (32, 1, 1 << 24, "16777216"),
        (32, 3, u64::from(1.5_f32.to_bits()), "1.5"),
        (32, 3, u64::from(f32::INFINITY.to_bits()), "inf"),
    ] {
        let mut file = TiffFile::new(4, 6, 2);
        (file.bits, file.format) = (bits, format);
        let file = file.bytes(&|row, col, sample| if (row, col, sample) == (2, 3, 1) { value } else { 0 });
        let label = open(&file, |_| {}).unwrap();
        let mut labels = Labels::default();
        label.read(Rect::new(0, 0, Size::new(2, 6)), &mut labels).unwrap();
        let error = label.read(Rect::new(1, 2, Size::new(3, 4)), &mut labels).unwrap_err();
        assert_eq!(error.kind(), ReadErrorKind::Unreadable);
        let wanted = format!("its value in band 1, row 2, column 3 is {found}, no whole number");
        assert!(error.to_string().contains(&wanted), "{error}");
    }
}

#[test]
fn a_label_has_a_shown_and_a_stored_frame() {
    let mut file = TiffFile::new(2, 3, 1);
    file.tags = vec![(274, vec![6])];
    let file = file.bytes(&|row, col, _| u64::from(3 * row + col));
    let label = open(&file, |_| {}).unwrap();
    assert_eq!((label.info().size, label.info().orientation), (Size::new(3, 2), D4::ROT270));
    assert_eq!(digits(&label), ["30", "41", "52"]);
    let label = label.as_stored();
    assert_eq!((label.info().size, label.info().orientation), (Size::new(2, 3), D4::IDENTITY));
    assert_eq!(digits(&label), ["012", "345"]);
}

#[test]
fn what_loses_numbers_says_so() {
    let size = Size::new(8, 8);
    let grey = [0; 64];
    for (format, lossy) in
        [(Format::Jpeg, true), (Format::WebP, true), (Format::Bmp, false), (Format::Png, false)]
    {
        let data = if format == Format::Jpeg { grey.to_vec() } else { grey.repeat(3) };
        let label = open(&encoded(format, size, &data, None), |_| {}).unwrap();
        assert_eq!((label.info().lossy, label.info().format), (lossy, Some(format)));
        assert!(whole(&label).values.iter().all(|&value| value == 0));
    }
    let mut tiff = TiffFile::new(8, 8, 1);
    tiff.compression = 7;
    assert!(open(&tiff.bytes(&|_, _, _| 0), |_| {}).unwrap().info().lossy);
}

#[test]
fn limits_hold_for_labels_too() {
    let png = png_file(SIZE, ColorType::Grayscale, BitDepth::One, &packed(&numbers(2), 1));
    let tiff = TiffFile::new(5, 13, 1).bytes(&|_, _, _| 0);
    for file in [png, tiff] {
        let error = open(&file, |limits| limits.pixels_max = 64).unwrap_err();
        assert_eq!(error.kind(), ReadErrorKind::TooLarge, "{error}");
        let label = open(&file, |limits| limits.pixels_max = 65).unwrap();
        let outside = label.read(Rect::new(0, 1, SIZE), &mut Labels::default()).unwrap_err();
        assert!(outside.to_string().contains("is not inside"), "{outside}");
    }
}

#[test]
fn files_that_end_too_early_are_errors() {
    let bits = packed(&numbers(4), 2);
    let png = png_with(SIZE, ColorType::Indexed, BitDepth::Two, &bits, |info| {
        info.palette = Some(vec![9; 12].into());
    });
    let mut tiff = TiffFile::new(5, 13, 1);
    tiff.compression = 8;
    for (file, least) in [(png, 16), (tiff.bytes(&|_, _, _| 3), 0)] {
        for keep in least..file.len() {
            let read = open(&file[..keep], |_| {})
                .and_then(|label| label.read(Rect::whole(label.info().size), &mut Labels::default()));
            // All pixels may be there before the last bytes are; then they are the right ones.
            if let Err(error) = read {
                assert!(
                    [ReadErrorKind::Unreadable, ReadErrorKind::Unsupported].contains(&error.kind()),
                    "{error}"
                );
            } else {
                assert!(keep + 16 > file.len(), "{keep} of {} bytes are enough", file.len());
            }
        }
    }
}

#[test]
fn a_census_counts_every_number() {
    let mut file = TiffFile::new(700, 900, 2);
    (file.bits, file.tags, file.rows) = (8, vec![nodata("9")], 100);
    let value = |row: u32, col: u32, sample: u16| match (row, col, sample) {
        (_, 0..450, 0) => 1,
        (_, _, 0) => 9,
        (650, 899, 1) => 200,
        (row, _, _) => u64::from(row >= 650),
    };
    let census = open(&file.bytes(&value), |_| {}).unwrap().census().unwrap();
    let counts = |count, row, column| ValueCount { count, row, column };
    assert_eq!(census.values[0], [(1, counts(700 * 450, 0, 0))].into());
    assert_eq!(
        census.values[1],
        [(0, counts(650 * 900, 0, 0)), (1, counts(50 * 900 - 1, 650, 0)), (200, counts(1, 650, 899)),].into()
    );
    assert_eq!(census.missing, [700 * 450, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A window is the same numbers as in the whole label, for files and for painted masks.
    #[test]
    fn windows_are_parts_of_the_whole(
        top in 0_u32..5, left in 0_u32..13, height in 0_u32..6, width in 0_u32..14,
        runs in proptest::collection::vec((0_u64..65, 1_u64..20, 0_u16..300), 0..6),
    ) {
        let rect = Rect::new(
            i64::from(top), i64::from(left), Size::new(height.min(5 - top), width.min(13 - left)),
        );
        let masks = runs.into_iter().map(|(start, length, value)| {
            let run = crate::rle::Run { start, length: length.min(65 - start) };
            (value, crate::rle::Runs::new(SIZE, [run]).unwrap())
        });
        let painted = LabelReader::painted(Path::new("a"), SIZE, 9, masks.clone().collect()).unwrap();
        // Painted the plain way: pixel by pixel, the last value wins.
        let mut plain = vec![9; 65];
        for (value, mask) in masks {
            for pixel in mask.runs()[0].start..mask.runs()[0].end() {
                plain[(pixel % 5 * 13 + pixel / 5) as usize] = i32::from(value);
            }
        }
        let file = png_file(SIZE, ColorType::Grayscale, BitDepth::Four, &packed(&numbers(16), 4));
        for (label, all) in [(painted, plain), (open(&file, |_| {}).unwrap(), numbers(16))] {
            let mut labels = Labels::default();
            label.read(rect, &mut labels).unwrap();
            let part = (0..rect.size.height).flat_map(|row| {
                let at = ((top + row) * 13 + left) as usize;
                all[at..at + rect.size.width as usize].to_vec()
            });
            prop_assert_eq!(labels.values, part.collect::<Vec<_>>());
            prop_assert_eq!(labels.missing.len() as u64, rect.size.area());
        }
    }
}
