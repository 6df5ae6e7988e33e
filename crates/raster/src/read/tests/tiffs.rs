use super::*;

/// What `value` means in a sample format: 1 unsigned, 2 signed, 3 float.
fn meaning(format: u16, bits: u16, raw: u64) -> f32 {
    let low = raw << (64 - bits) >> (64 - bits);
    match (format, bits) {
        (1, _) => low as f32,
        (2, _) => ((raw << (64 - bits)) as i64 >> (64 - bits)) as f32,
        (_, 16) => half::f16::from_bits(low as u16).to_f32(),
        (_, 32) => f32::from_bits(low as u32),
        _ => f64::from_bits(low) as f32,
    }
}

/// Samples of any kind, and finite where they are floats.
fn raw(format: u16, bits: u16) -> impl Fn(u32, u32, u16) -> u64 {
    move |row, col, sample| {
        let any = pattern(row, col, sample);
        let value = f64::from(any as i16) / 16.0;
        match (format, bits) {
            (3, 16) => u64::from(half::f16::from_f64(value).to_bits()),
            (3, 32) => u64::from((value as f32).to_bits()),
            (3, 64) => value.to_bits(),
            _ => any,
        }
    }
}

/// Every sample type, in both byte orders and both kinds of TIFF, chunky and planar, in strips and in tiles that
/// overhang, with every compression and every predictor that goes with it.
#[test]
fn every_way_to_store_samples() {
    let kinds =
        [(1, 8), (1, 16), (1, 32), (1, 64), (2, 8), (2, 16), (2, 32), (2, 64), (3, 16), (3, 32), (3, 64)];
    let mut done = 0;
    for (format, bits) in kinds {
        for (compression, predictor) in
            [(1, 1), (5, 1), (5, 2), (8, 1), (8, 2), (8, 3), (50000, 2), (50000, 3), (32773, 1)]
        {
            for way in 0..16_u32 {
                if predictor == 3 && format != 3 {
                    continue;
                }
                let mut file = TiffFile::new(21, 34, 3);
                (file.format, file.bits, file.compression, file.predictor) =
                    (format, bits, compression, predictor);
                file.big_endian = way & 1 != 0;
                file.big_tiff = way & 2 != 0;
                file.planar = way & 4 != 0;
                file.tile = (way & 8 != 0).then_some(Size::new(16, 32));
                file.rows = 5;
                let value = raw(format, bits);
                let (info, pixels) = read_all(&file.bytes(&value)).unwrap();
                let wanted = planes(file.size, 3, |r, c, s| meaning(format, bits, value(r, c, s)));
                assert!(pixels.data == wanted, "{file:?}");
                let depth = match (format, bits) {
                    (1, 8) => Depth::U8,
                    (1, 16) => Depth::U16,
                    _ => Depth::F32,
                };
                assert_eq!((info.bands, info.depth, info.format), (3, depth, Format::Tiff));
                done += 1;
            }
        }
    }
    assert_eq!(done, 16 * (11 * 7 + 3 * 2));
}

/// The `tiff` crate's encoder is another's reading of the standard.
#[test]
fn files_of_another_encoder() {
    use ::tiff::encoder::{Compression, DeflateLevel, Predictor, TiffEncoder, colortype};
    let size = Size::new(9, 13);
    let bytes = interleaved(size, 3, pattern);
    let words: Vec<u16> = bytes.iter().map(|&byte| 257 * u16::from(byte)).collect();
    let floats: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 8.0).collect();
    let predicted =
        [Compression::Lzw, Compression::Deflate(DeflateLevel::Fast)].map(|c| (c, Predictor::Horizontal));
    let plain = [
        Compression::Lzw,
        Compression::Deflate(DeflateLevel::Fast),
        Compression::Packbits,
        Compression::Uncompressed,
    ];
    for (compression, predictor) in plain.map(|c| (c, Predictor::None)).into_iter().chain(predicted) {
        let mut files = vec![Vec::new(); if predictor == Predictor::None { 3 } else { 2 }];
        for (kind, file) in files.iter_mut().enumerate() {
            let encoder = TiffEncoder::new(std::io::Cursor::new(file)).unwrap();
            let mut encoder = encoder.with_compression(compression).with_predictor(predictor);
            match kind {
                0 => encoder.write_image::<colortype::RGB8>(size.width, size.height, &bytes),
                1 => encoder.write_image::<colortype::RGB16>(size.width, size.height, &words),
                _ => encoder.write_image::<colortype::RGB32Float>(size.width, size.height, &floats),
            }
            .unwrap();
        }
        for (file, scale) in files.iter().zip([1.0, 257.0, 0.125]) {
            let wanted = planes(size, 3, |r, c, s| scale * f32::from(pattern(r, c, s) as u8));
            assert_eq!(read_all(file).unwrap().1.data, wanted, "scale {scale}, {predictor:?}");
        }
    }
}

#[test]
fn few_bits_are_stretched_and_twelve_are_not() {
    for bits in [1, 2, 3, 4, 7, 12] {
        for predictorless in [1, 8] {
            let mut file = TiffFile::new(5, 13, 1);
            (file.bits, file.compression, file.rows) = (bits, predictorless, 2);
            let (info, pixels) = read_all(&file.bytes(&pattern)).unwrap();
            let max = f32::from((1_u16 << bits) - 1);
            let wanted = planes(file.size, 1, |r, c, s| {
                let value = meaning(1, bits, pattern(r, c, s));
                if bits < 8 { (value * 255.0 / max).round() } else { value }
            });
            assert_eq!(pixels.data, wanted, "{bits} bits");
            let wanted = if bits < 8 { (Depth::U8, Some(255)) } else { (Depth::U16, Some(4095)) };
            assert_eq!((info.depth, info.full), wanted);
        }
    }
}

#[test]
fn only_declared_alpha_is_dropped() {
    // RGB, near infrared, alpha, and one more band that says nothing of itself.
    let mut file = TiffFile::new(3, 5, 6);
    file.photometric = 2;
    file.tags = vec![(338, vec![0, 2, 0])];
    let (info, pixels) = read_all(&file.bytes(&pattern)).unwrap();
    assert_eq!(info.bands, 5);
    let wanted =
        planes(file.size, 5, |r, c, b| f32::from(pattern(r, c, [0, 1, 2, 3, 5][usize::from(b)]) as u8));
    assert_eq!(pixels.data, wanted);
    // Four samples that nothing is said of are four bands.
    let mut file = TiffFile::new(3, 5, 4);
    file.photometric = 2;
    assert_eq!(read_all(&file.bytes(&pattern)).unwrap().0.bands, 4);
}

#[test]
fn palettes_inks_and_white_is_zero() {
    let mut file = TiffFile::new(4, 6, 1);
    (file.photometric, file.bits) = (3, 4);
    file.tags = vec![(320, (0..48).map(|i| i * 1000).collect())];
    let (info, pixels) = read_all(&file.bytes(&pattern)).unwrap();
    assert_eq!((info.bands, info.depth), (3, Depth::U8));
    let colour = |r, c, b: u16| f32::from((1000 * ((pattern(r, c, 0) & 15) as u16 + 16 * b)) >> 8);
    assert_eq!(pixels.data, planes(file.size, 3, colour));

    let mut file = TiffFile::new(4, 6, 5);
    file.photometric = 5;
    file.planar = true;
    file.tags = vec![(338, vec![0])];
    let (info, pixels) = read_all(&file.bytes(&pattern)).unwrap();
    assert_eq!(info.bands, 4, "three colours and the band that is no ink");
    let ink = |r, c, s| f32::from(pattern(r, c, s) as u8);
    let wanted = planes(file.size, 4, |r, c, b| match b {
        3 => ink(r, c, 4),
        _ => ((255.0 - ink(r, c, b)) * (255.0 - ink(r, c, 3)) / 255.0).round(),
    });
    assert_eq!(pixels.data, wanted);

    for (bits, max) in [(1, 255.0), (8, 255.0), (16, 65535.0)] {
        let mut file = TiffFile::new(4, 6, 1);
        (file.photometric, file.bits) = (0, bits);
        let pixels = read_all(&file.bytes(&pattern)).unwrap().1;
        let scale = if bits == 1 { 255.0 } else { 1.0 };
        let wanted = planes(file.size, 1, |r, c, s| max - scale * meaning(1, bits, pattern(r, c, s)));
        assert_eq!(pixels.data, wanted, "{bits} bits");
    }
}

#[test]
fn jpeg_inside_tiff() {
    let ramp = |row: u32, col: u32, sample: u16| u64::from(2 * row + 2 * col + 20 * u32::from(sample));
    for (samples, photometric, planar) in [(1, 1, false), (3, 6, false), (3, 2, true)] {
        let mut file = TiffFile::new(40, 50, samples);
        (file.photometric, file.planar, file.compression) = (photometric, planar, 7);
        file.tile = Some(Size::new(32, 32));
        let pixels = read_all(&file.bytes(&ramp)).unwrap().1;
        for (found, wanted) in
            pixels.data.iter().zip(planes(file.size, samples, |r, c, s| ramp(r, c, s) as f32))
        {
            assert!((found - wanted).abs() <= 6.0, "{found} for {wanted} with {samples} samples");
        }
    }
}

/// As GDAL's `SPARSE_OK` leaves them: no offset, no bytes, the value in `GDAL_NODATA`, which is text.
#[test]
fn missing_tiles_hold_the_nodata_value() {
    let mut file = TiffFile::new(32, 48, 1);
    file.tile = Some(Size::new(16, 16));
    file.missing = vec![1, 3];
    for nodata in [None, Some(7)] {
        file.tags = nodata.map(|digit| (42113, vec![u16::from(b'0') + digit])).into_iter().collect();
        let mut pixels = read_all(&file.bytes(&pattern)).unwrap().1;
        assert_eq!(pixels.data.iter().any(|v| v.is_nan()), nodata.is_some());
        pixels.data.iter_mut().filter(|v| v.is_nan()).for_each(|v| *v = f32::from(nodata.unwrap_or(0)));
        let missing =
            |row: u32, col: u32| file.missing.contains(&(row as usize / 16 * 3 + col as usize / 16));
        let wanted = planes(file.size, 1, |r, c, s| {
            if missing(r, c) { f32::from(nodata.unwrap_or(0)) } else { f32::from(pattern(r, c, s) as u8) }
        });
        assert_eq!(pixels.data, wanted);
    }
}

#[test]
fn what_is_not_read_says_so() {
    let with = |change: &dyn Fn(&mut TiffFile)| {
        let mut file = TiffFile::new(4, 4, 1);
        change(&mut file);
        read_all(&file.bytes(&pattern)).unwrap_err()
    };
    let with_compression = |number: u16| {
        let mut bytes = TiffFile::new(4, 4, 1).bytes(&pattern);
        let tag = bytes.windows(8).rposition(|at| at == [3, 1, 3, 0, 1, 0, 0, 0]).unwrap();
        bytes[tag + 8..tag + 10].copy_from_slice(&number.to_le_bytes());
        read_all(&bytes).unwrap_err()
    };
    let cases: [(&str, ReadError); 6] = [
        ("its compression is LERC, which is not read", with_compression(34887)),
        ("its compression is JPEG 2000", with_compression(33005)),
        ("photometric interpretation is 8", with(&|file| file.photometric = 8)),
        ("24 bits in format 3", with(&|file| (file.bits, file.format) = (24, 3))),
        (
            "predictor is 2, with samples of 4 bits",
            with(&|file| {
                (file.bits, file.compression, file.predictor) = (4, 8, 2);
            }),
        ),
        ("YCbCr", with(&|file| (file.photometric, file.samples) = (6, 3))),
    ];
    for (text, error) in cases {
        assert_eq!(error.kind(), ReadErrorKind::Unsupported, "{error}");
        assert!(error.found().contains(text), "{error}");
        assert!(error.to_string().contains("gdal_translate"), "{error}");
    }
}

/// Twelve bits in words of 16, where the file says so: the greatest value is 4095, and `scale: auto` divides by it.
#[test]
fn a_greatest_value_that_fills_its_bits_is_a_depth() {
    for (greatest, full) in [
        (None, 65_535),
        (Some(4095), 4095),
        (Some(1023), 1023),
        (Some(3000), 65_535),
        (Some(65_535), 65_535),
        (Some(255), 65_535),
    ] {
        let mut file = TiffFile::new(3, 5, 1);
        file.bits = 16;
        file.tags = greatest.map(|value| (281, vec![value])).into_iter().collect();
        let (info, pixels) = read_all(&file.bytes(&pattern)).unwrap();
        assert_eq!((info.depth, info.full), (Depth::U16, Some(full)), "{greatest:?}");
        assert_eq!(pixels.data, planes(file.size, 1, |r, c, s| meaning(1, 16, pattern(r, c, s))));
        assert_eq!(
            info.traits.to_string().contains("12-bit in 16 (0 to 4095)"),
            full == 4095,
            "{}",
            info.traits
        );
    }
}

#[test]
fn fax_and_webp_chunks() {
    let bit = |row: u32, col: u32, _: u16| {
        u64::from((row / 3 + col / 5).is_multiple_of(3) || (row * col).is_multiple_of(11))
    };
    for reversed in [false, true] {
        for tile in [None, Some(Size::new(16, 32))] {
            let mut file = TiffFile::new(21, 45, 1);
            (file.bits, file.compression, file.photometric, file.tile, file.rows) = (1, 4, 0, tile, 8);
            if reversed {
                file.tags = vec![(266, vec![2])];
            }
            let wanted = planes(file.size, 1, |r, c, s| if bit(r, c, s) == 1 { 0.0 } else { 255.0 });
            assert_eq!(read_all(&file.bytes(&bit)).unwrap().1.data, wanted, "{reversed} {tile:?}");
        }
    }
    for samples in [3, 4] {
        let mut file = TiffFile::new(21, 45, samples);
        (file.photometric, file.compression, file.rows) = (2, 50001, 8);
        let wanted = planes(file.size, samples, |r, c, s| f32::from(pattern(r, c, s) as u8));
        assert_eq!(read_all(&file.bytes(&pattern)).unwrap().1.data, wanted);
    }
}
