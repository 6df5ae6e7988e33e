//! Pixels that are none: NaN, values for no data, alpha 0.

use super::*;
use crate::read::{Beside, probe_from};
use marquetry_geometry::{Alpha, Nodata};
use std::path::Path;

/// The whole image as `reading` has it, NaN written as -1.
fn read_with(bytes: &[u8], reading: &Reading) -> (ImageInfo, Vec<f32>) {
    let (folder, path) = stored(bytes);
    let image = Image::open(&path, &roomy(&folder), reading).unwrap();
    assert_eq!(&probe(&path, &roomy(&folder), reading).unwrap(), image.info());
    let mut out = Pixels::default();
    image.read(Rect::whole(image.info().size), &mut out).unwrap();
    assert_eq!(usize::from(image.info().bands) * image.info().size.area() as usize, out.data.len());
    assert!(out.data.iter().all(|v| v.is_nan() || v.is_finite()));
    (image.info().clone(), out.data.iter().map(|v| if v.is_nan() { -1.0 } else { *v }).collect())
}

fn nodata_tag(text: &str) -> (u16, Vec<u16>) {
    // Text in pairs of letters, as the writer knows 16-bit values only.
    let pair = |pair: &[u8]| u16::from(pair[0]) | u16::from(pair.get(1).copied().unwrap_or(0)) << 8;
    (42113, text.as_bytes().chunks(2).map(pair).collect())
}

/// One row of float pixels of two bands.
fn floats(nodata: Option<&str>, pixels: &[[f32; 2]]) -> Vec<u8> {
    let mut file = TiffFile::new(1, pixels.len() as u32, 2);
    (file.bits, file.format) = (32, 3);
    file.tags = nodata.map(nodata_tag).into_iter().collect();
    file.bytes(&|_, col, sample| u64::from(pixels[col as usize][usize::from(sample)].to_bits()))
}

#[test]
fn what_is_no_measurement_in_one_band_is_missing_in_all() {
    let pixels =
        [[1.0, 2.0], [f32::NAN, 3.0], [4.0, f32::INFINITY], [f32::MIN, 5.0], [-9999.0, 6.0], [0.0, 7.0]];
    let read = |nodata, job| {
        let reading = Reading { nodata: job, ..Reading::default() };
        read_with(&floats(nodata, &pixels), &reading).1
    };
    let plain = [1.0, -1.0, -1.0, -1.0, -9999.0, 0.0, 2.0, -1.0, -1.0, -1.0, 6.0, 7.0];
    assert_eq!(read(None, Nodata::Auto), plain);
    assert_eq!(read(Some("nan"), Nodata::Auto), plain);
    assert_eq!(read(Some("-9999"), Nodata::None), plain);
    let tagged = [1.0, -1.0, -1.0, -1.0, -1.0, 0.0, 2.0, -1.0, -1.0, -1.0, -1.0, 7.0];
    assert_eq!(read(Some("-9999"), Nodata::Auto), tagged);
    assert_eq!(read(None, Nodata::Value(-9999.0)), tagged);
    // A 0 in one band may be measured.
    assert_eq!(read(Some("0"), Nodata::Auto), plain);
    // Of several numbers the first.
    assert_eq!(read(Some("-9999 -9999 -9999"), Nodata::Auto), tagged);
    assert_eq!(read(Some("-9999,0"), Nodata::Auto), tagged);
    // ArcGIS writes the least float in its own words.
    assert_eq!(read(Some("-3.4028234663852886e+38"), Nodata::Auto), plain);
}

/// As GDAL writes them: `x.tif.msk`, and the value in `x.tif.aux.xml`, which counts before the file's own.
#[test]
fn files_beside_an_image_say_what_is_missing() {
    let size = Size::new(3, 4);
    let is_masked = |row: u32, col: u32| (row, col) == (0, 1) || row == 2;
    let mask = TiffFile::new(3, 4, 1).bytes(&|row, col, _| 255 * u64::from(!is_masked(row, col)));
    let data = interleaved(size, 1, |row, col, _| u64::from(row * 4 + col));
    let open = |file: &[u8], mask: &[u8], nodata: Option<f64>, reading: &Reading| {
        let folder = tempfile::tempdir().unwrap();
        let limits = roomy(&folder);
        let mask = Image::open_from(
            Box::new(mask.to_vec()),
            Path::new("a.msk"),
            &limits,
            &Reading::default(),
            Beside::default(),
        );
        let beside = Beside { nodata: nodata.map(Ok), mask: Some(mask.unwrap()) };
        let header = probe_from(Box::new(file.to_vec()), Path::new("a"), &limits, reading, &beside);
        let image = Image::open_from(Box::new(file.to_vec()), Path::new("a"), &limits, reading, beside)?;
        assert_eq!(&header.unwrap(), image.info());
        let mut out = Pixels::default();
        image.read(Rect::whole(image.info().size), &mut out)?;
        let seen: Vec<f32> = out.data.iter().map(|v| if v.is_nan() { -1.0 } else { *v }).collect();
        Ok::<_, ReadError>((image.may_miss(), seen))
    };
    let all: Vec<f32> = (0..12).map(|at| at as f32).collect();
    let masked: Vec<f32> =
        all.iter().map(|&v| if is_masked(v as u32 / 4, v as u32 % 4) { -1.0 } else { v }).collect();
    for (orientation, format) in [(None, Format::Tiff), (None, Format::Png), (Some(3), Format::Png)] {
        let file = encoded(format, size, &data, orientation);
        let mut wanted = masked.clone();
        if orientation.is_some() {
            wanted.reverse();
        }
        assert_eq!(open(&file, &mask, None, &Reading::default()).unwrap(), (true, wanted.clone()));
        let wanted: Vec<f32> = wanted.into_iter().map(|v| if v == 7.0 { -1.0 } else { v }).collect();
        assert_eq!(open(&file, &mask, Some(7.0), &Reading::default()).unwrap(), (true, wanted));
    }
    let file = encoded(Format::Png, size, &data, None);
    // Its stored numbers count, whichever of them is white (photometric interpretations 0, 1 and 4) or no data in it.
    for (photometric, bits) in [(0, 8), (0, 1), (1, 1), (4, 8), (4, 1)] {
        let mut file_of_mask = TiffFile::new(3, 4, 1);
        (file_of_mask.photometric, file_of_mask.bits) = (photometric, bits);
        file_of_mask.tags = vec![nodata_tag("0")];
        let mask = file_of_mask.bytes(&|row, col, _| 255 * u64::from(!is_masked(row, col)));
        let found = open(&file, &mask, None, &Reading::default()).unwrap();
        assert_eq!(found, (true, masked.clone()), "{photometric}, {bits} bits");
    }
    // A job that says what is missing says all of it.
    let none = Reading { nodata: Nodata::None, ..Reading::default() };
    assert_eq!(open(&file, &mask, Some(7.0), &none).unwrap(), (false, all));
    let other = TiffFile::new(3, 5, 1).bytes(&|_, _, _| 255);
    let error = open(&file, &other, None, &Reading::default()).unwrap_err();
    assert!(error.found().contains("the mask beside it has 3 × 5 px"), "{error}");
}

#[test]
fn nodata_that_is_no_number_is_said() {
    let file = floats(Some("n/a"), &[[1.0, 2.0]]);
    let (info, found) = read_with(&file, &Reading::default());
    let line = info.traits.to_string();
    assert!(line.contains(r#"its nodata "n/a" is NOT UNDERSTOOD"#), "{line}");
    assert_eq!(found, [1.0, 2.0]);
    for nodata in [Nodata::None, Nodata::Value(1.0)] {
        let (info, _) = read_with(&file, &Reading { nodata, ..Reading::default() });
        assert!(!info.traits.to_string().contains("NOT UNDERSTOOD"), "{}", info.traits);
    }
}

#[test]
fn bands_that_the_job_does_not_use_miss_nothing() {
    let bytes = floats(Some("-9999"), &[[1.0, f32::NAN], [-9999.0, 2.0], [3.0, -9999.0]]);
    let reading = Reading { bands: Some(vec![0]), ..Reading::default() };
    assert_eq!(read_with(&bytes, &reading).1[..3], [1.0, -1.0, 3.0]);
}

#[test]
fn among_unsigned_samples_all_bands_must_have_the_value() {
    let pixels = [[0, 0, 0], [0, 0, 9], [255, 255, 255], [7, 8, 9]];
    let mut file = TiffFile::new(1, 4, 3);
    let bytes = |file: &TiffFile| file.bytes(&|_, col, sample| pixels[col as usize][usize::from(sample)]);
    let plain: Vec<f32> = (0..3).flat_map(|band| pixels.map(|pixel: [u64; 3]| pixel[band] as f32)).collect();
    assert_eq!(read_with(&bytes(&file), &Reading::default()).1, plain);
    file.tags = vec![nodata_tag("0")];
    let (info, found) = read_with(&bytes(&file), &Reading::default());
    let wanted: Vec<f32> = (0..12).map(|i| if i % 4 == 0 { -1.0 } else { plain[i] }).collect();
    assert_eq!(found, wanted);
    assert!(info.traits.to_string().contains("nodata 0 in all bands"), "{}", info.traits);
    let white = Reading { nodata: Nodata::Value(255.0), ..Reading::default() };
    let wanted: Vec<f32> = (0..12).map(|i| if i % 4 == 2 { -1.0 } else { plain[i] }).collect();
    assert_eq!(read_with(&bytes(&file), &white).1, wanted);
    // Planes, tiles and an orientation change nothing.
    (file.planar, file.tile) = (true, Some(Size::new(16, 16)));
    file.tags.push((274, vec![2]));
    let turned = read_with(&bytes(&file), &white).1;
    let wanted: Vec<f32> = wanted.chunks(4).flat_map(|row| row.iter().rev().copied()).collect();
    assert_eq!(turned, wanted);
}

#[test]
fn alpha_is_what_the_job_says() {
    let size = Size::new(2, 3);
    let alpha = [0, 255, 1, 255, 0, 9];
    let value = |row: u32, col: u32, sample: u16| match sample {
        3 => alpha[(row * 3 + col) as usize],
        _ => 1 + pattern(row, col, sample) % 250,
    };
    let data = interleaved(size, 4, value);
    let three = planes(size, 3, |r, c, s| value(r, c, s) as f32);
    let four = planes(size, 4, |r, c, s| value(r, c, s) as f32);
    let masked: Vec<f32> =
        three.iter().enumerate().map(|(i, v)| if alpha[i % 6] == 0 { -1.0 } else { *v }).collect();
    for format in [Format::Png, Format::WebP, Format::Tiff] {
        let file = encoded(format, size, &data, None);
        let read = |alpha, bands: Option<Vec<u16>>| {
            let (info, found) = read_with(&file, &Reading { alpha, bands, ..Reading::default() });
            (info.traits.alpha, found)
        };
        assert_eq!(read(Alpha::Auto, None), (AlphaUse::Dropped, three.clone()), "{format:?}");
        assert_eq!(read(Alpha::Auto, Some(vec![0, 1, 2])), (AlphaUse::Dropped, three.clone()), "{format:?}");
        assert_eq!(read(Alpha::Auto, Some(vec![0, 3])), (AlphaUse::Band(3), four.clone()), "{format:?}");
        assert_eq!(read(Alpha::Drop, Some(vec![3])), (AlphaUse::Dropped, three.clone()), "{format:?}");
        assert_eq!(read(Alpha::Band, None), (AlphaUse::Band(3), four.clone()), "{format:?}");
        assert_eq!(read(Alpha::Nodata, None), (AlphaUse::Nodata, masked.clone()), "{format:?}");
    }
    let without = encoded(Format::Tiff, size, &interleaved(size, 3, value), None);
    for alpha in [Alpha::Band, Alpha::Nodata] {
        let (info, found) = read_with(&without, &Reading { alpha, ..Reading::default() });
        assert_eq!((info.traits.alpha, found), (AlphaUse::None, three.clone()));
    }
}
