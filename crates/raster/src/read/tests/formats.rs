use super::*;
use ::png::{BitDepth, ColorType};

const SIZE: Size = Size::new(7, 11);

fn byte(row: u32, col: u32, sample: u16) -> f32 {
    f32::from(pattern(row, col, sample) as u8)
}

#[test]
fn lossless_formats_give_their_colours_and_drop_alpha() {
    for format in [Format::Png, Format::WebP, Format::Bmp, Format::Tiff] {
        for samples in [3, 4] {
            let file = encoded(format, SIZE, &interleaved(SIZE, samples, pattern), None);
            let (info, pixels) = read_all(&file).unwrap();
            let found = (info.size, info.bands, info.depth, info.format);
            assert_eq!(found, (SIZE, 3, Depth::U8, format), "{samples} samples");
            let alpha = if info.traits.alpha == AlphaUse::None { 3 } else { 4 };
            assert!(alpha == samples || format == Format::Bmp, "{format:?}: {}", info.traits);
            assert_eq!(pixels.data, planes(SIZE, 3, byte), "{format:?} {samples} samples");
        }
    }
}

/// As Pillow and OpenCV read them.
#[test]
fn netpbm_in_bytes_and_in_text() {
    let read = |bytes: &[u8]| {
        let (info, pixels) = read_all(bytes).unwrap();
        assert_eq!(info.format, Format::Pnm);
        (info.size, info.bands, pixels.data)
    };
    let (size, data) = (Size::new(2, 3), vec![0.0, 7.0, 255.0, 9.0, 1.0, 2.0]);
    assert_eq!(read(b"P5 3 2 255\n\x00\x07\xff\x09\x01\x02"), (size, 1, data.clone()));
    assert_eq!(read(b"P2\n# by hand\n3 # wide\n2\n255\n0 7 255\n9 1 2\n"), (size, 1, data));
    // Few values are stretched; many keep theirs.
    assert_eq!(read(b"P5 3 1 4\n\x00\x01\x04").2, [0.0, 64.0, 255.0]);
    assert_eq!(read(b"P5 2 1 4095\n\x0f\xff\x00\x01").2, [4095.0, 1.0]);
    assert_eq!(read(b"P5 2 1 4095\n\x0f\xff\x00\x01").1, 1);
    // Which of them is full, the header says.
    for (max, full, words) in [
        (100, 255, "8-bit"),
        (255, 255, "8-bit"),
        (4095, 4095, "12-bit in 16 (0 to 4095)"),
        (10_000, 10_000, "16-bit (0 to 10000)"),
        (65_535, 65_535, "16-bit"),
    ] {
        let (info, _) = read_all(format!("P2 1 1 {max} 7").as_bytes()).unwrap();
        assert_eq!((info.full, info.traits.samples.as_str()), (Some(full), words), "{max}");
    }
    assert_eq!(
        read(b"P6 1 2 255\n\x01\x02\x03\x04\x05\x06"),
        (Size::new(2, 1), 3, vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0])
    );
    assert_eq!(read(b"P3 1 1 255 10 20 30").2, [10.0, 20.0, 30.0]);
    // A bit of 1 is black.
    assert_eq!(read(b"P4 3 2\n\xa0\x40").2, [0.0, 255.0, 0.0, 255.0, 0.0, 255.0]);
    assert_eq!(read(b"P1 3 2\n101 0 1 0").2, [0.0, 255.0, 0.0, 255.0, 0.0, 255.0]);
    for (bytes, word) in [
        (&b"P5 3 2 255\n\x00\x07"[..], "ends too early"),
        (b"P5 3 2 100\n\x00\x07\xff\x09\x01\x02", "its sample 2 is 255, and its greatest value is 100"),
        (b"P2 3 2 255 1 2 x 4 5 6", "`x` stands where a sample should be"),
        (b"P5 3 two 255\n", "no number for its height"),
        (b"P5 0 2 255\n", "it has no pixels"),
        (b"P5 3 2 0\n", "its greatest value is 0"),
    ] {
        let error = read_all(bytes).unwrap_err();
        assert!(error.to_string().contains(word), "`{word}` is not in {error}");
    }
}

/// The content decides: the test's files have no extension at all, and a wrong one does not matter.
#[test]
fn an_extension_means_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("really.jpg");
    std::fs::write(&path, encoded(Format::Png, SIZE, &interleaved(SIZE, 3, pattern), None)).unwrap();
    assert_eq!(probe(&path, &roomy(&folder), &Reading::default()).unwrap().format, Format::Png);
}

#[test]
fn jpeg_is_close_to_what_was_written() {
    let ramp = |row: u32, col: u32, sample: u16| u64::from(20 * row + 4 * col + 30 * u32::from(sample));
    for bands in [1, 3] {
        let (info, pixels) =
            read_all(&encoded(Format::Jpeg, SIZE, &interleaved(SIZE, bands, ramp), None)).unwrap();
        assert_eq!((info.size, info.bands, info.depth, info.format), (SIZE, bands, Depth::U8, Format::Jpeg));
        for (found, wanted) in pixels.data.iter().zip(planes(SIZE, bands, |r, c, s| ramp(r, c, s) as f32)) {
            assert!((found - wanted).abs() <= 4.0, "{found} for {wanted}");
        }
    }
}

/// Four components without Adobe's mark are inks as they are; with it (transform 0) they are the other way round.
#[test]
fn cmyk_jpeg_becomes_rgb() {
    let four = |row: u32, col: u32, sample: u16| u64::from([10 * row, 5 * col, 40, 30][usize::from(sample)]);
    let adobe = b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0\0";
    for marked in [false, true] {
        let mut file = grey_planes_as_four_components(SIZE, &four);
        if marked {
            file.splice(2..2, adobe.iter().copied());
        }
        let (info, pixels) = read_all(&file).unwrap();
        assert_eq!((info.bands, info.depth), (3, Depth::U8));
        let ink = |row, col, sample| {
            if marked { 255.0 - four(row, col, sample) as f32 } else { four(row, col, sample) as f32 }
        };
        let wanted = planes(SIZE, 3, |r, c, s| (255.0 - ink(r, c, s)) * (255.0 - ink(r, c, 3)) / 255.0);
        for (found, wanted) in pixels.data.iter().zip(wanted) {
            assert!((found - wanted).abs() <= 4.0, "{found} for {wanted}, marked: {marked}");
        }
    }
}

/// No encoder at hand writes CMYK, but a JPEG may have one scan for each component: four grey ones make it.
fn grey_planes_as_four_components(size: Size, value: &dyn Fn(u32, u32, u16) -> u64) -> Vec<u8> {
    let mut out = vec![0xFF, 0xD8];
    let mut scans = Vec::new();
    for sample in 0..4 {
        let grey = encoded(Format::Jpeg, size, &interleaved(size, 1, |r, c, _| value(r, c, sample)), None);
        let find = |marker: u8| grey.windows(2).position(|pair| pair == [0xFF, marker]).unwrap();
        let frame = find(0xC0);
        let scan = find(0xDA);
        if sample == 0 {
            // Tables come before or after the frame header; all greys have the same.
            let after = frame + 2 + usize::from(grey[frame + 3]);
            out.extend_from_slice(&grey[2..frame]);
            out.extend([0xFF, 0xC0, 0, 20]);
            out.extend_from_slice(&grey[frame + 4..frame + 9]);
            out.push(4);
            (1..=4).for_each(|id| out.extend([id, 0x11, grey[frame + 12]]));
            out.extend_from_slice(&grey[after..scan]);
        }
        let header = scan + 2 + usize::from(grey[scan + 3]);
        scans.extend([0xFF, 0xDA, 0, 8, 1, sample as u8 + 1, grey[scan + 6], 0, 63, 0]);
        scans.extend_from_slice(&grey[header..grey.len() - 2]);
    }
    out.extend(scans);
    out.extend([0xFF, 0xD9]);
    out
}

#[test]
fn png_palettes_become_rgb_with_or_without_transparency() {
    let palette: Vec<u8> = (0..12).map(|i| i * 21).collect();
    let size = Size::new(2, 4);
    for transparent in [false, true] {
        let file = png_with(size, ColorType::Indexed, BitDepth::Two, &[0b0001_1011, 0b1110_0100], |info| {
            info.palette = Some(palette.clone().into());
            info.trns = transparent.then(|| vec![0, 9].into());
        });
        let (info, pixels) = read_all(&file).unwrap();
        assert_eq!((info.bands, info.depth), (3, Depth::U8));
        let index = [[0, 1, 2, 3], [3, 2, 1, 0]];
        let wanted =
            planes(size, 3, |r, c, b| f32::from(palette[3 * index[r as usize][c as usize] + usize::from(b)]));
        assert_eq!(pixels.data, wanted);
    }
}

#[test]
fn png_grey_of_any_depth() {
    let one = png_file(Size::new(1, 8), ColorType::Grayscale, BitDepth::One, &[0b1010_0110]);
    assert_eq!(read_all(&one).unwrap().1.data, [255.0, 0.0, 255.0, 0.0, 0.0, 255.0, 255.0, 0.0]);
    let four = png_file(Size::new(1, 2), ColorType::Grayscale, BitDepth::Four, &[0x1F]);
    assert_eq!(read_all(&four).unwrap().1.data, [17.0, 255.0]);
    let alpha = png_file(Size::new(1, 2), ColorType::GrayscaleAlpha, BitDepth::Eight, &[1, 2, 3, 4]);
    let (info, pixels) = read_all(&alpha).unwrap();
    assert_eq!((info.bands, pixels.data), (1, vec![1.0, 3.0]));
    let wide = png_file(
        Size::new(1, 2),
        ColorType::GrayscaleAlpha,
        BitDepth::Sixteen,
        &[1, 2, 9, 9, 255, 254, 9, 9],
    );
    let (info, pixels) = read_all(&wide).unwrap();
    assert_eq!((info.bands, info.depth, pixels.data), (1, Depth::U16, vec![258.0, 65534.0]));
}

/// The reference turns a raster by hand, as EXIF's table of the first row's and first column's sides says.
#[test]
fn every_orientation_of_every_format_that_has_one() {
    let (height, width) = (SIZE.height, SIZE.width);
    for format in [Format::Png, Format::Jpeg, Format::WebP, Format::Tiff] {
        for number in 1..=8_u16 {
            let shown = if number >= 5 { SIZE.transposed() } else { SIZE };
            let value = |row: u32, col: u32, band: u16| {
                let (row, col) = match number {
                    1 => (row, col),
                    2 => (row, width - 1 - col),
                    3 => (height - 1 - row, width - 1 - col),
                    4 => (height - 1 - row, col),
                    5 => (col, row),
                    6 => (height - 1 - col, row),
                    7 => (height - 1 - col, width - 1 - row),
                    _ => (col, width - 1 - row),
                };
                smooth(row, col, band) as f32
            };
            let file = encoded(format, SIZE, &interleaved(SIZE, 3, smooth), Some(number));
            let (info, pixels) = read_all(&file).unwrap();
            assert_eq!(info.size, shown, "{format:?} {number}");
            let loss = if format == Format::Jpeg { 4.0 } else { 0.0 };
            for (found, wanted) in pixels.data.iter().zip(planes(shown, 3, value)) {
                assert!((found - wanted).abs() <= loss, "{format:?} {number}: {found} for {wanted}");
            }
        }
    }
}

fn smooth(row: u32, col: u32, sample: u16) -> u64 {
    u64::from(20 * row + 7 * col + 30 * u32::from(sample))
}
