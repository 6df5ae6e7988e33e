use super::*;

fn refused(bytes: &[u8], change: impl Fn(&mut Limits)) -> ReadError {
    let (folder, path) = stored(bytes);
    let mut limits = roomy(&folder);
    change(&mut limits);
    let probed = probe(&path, &limits, &Reading::default()).unwrap_err();
    let opened = Image::open(&path, &limits, &Reading::default()).unwrap_err();
    assert_eq!((probed.kind(), probed.found()), (opened.kind(), opened.found()), "planning finds it already");
    opened
}

#[test]
fn too_many_pixels_are_refused_in_every_format() {
    let size = Size::new(20, 30);
    for format in [Format::Png, Format::Jpeg, Format::WebP, Format::Bmp, Format::Tiff] {
        let error =
            refused(&encoded(format, size, &interleaved(size, 3, pattern), None), |l| l.pixels_max = 599);
        assert_eq!(error.kind(), ReadErrorKind::TooLarge);
        assert!(error.found().contains("20 × 30 pixels, 599 are allowed"), "{error}");
    }
}

#[test]
fn formats_read_whole_must_fit_into_memory() {
    let size = Size::new(20, 30);
    for format in [Format::Jpeg, Format::WebP, Format::Bmp] {
        let error =
            refused(&encoded(format, size, &interleaved(size, 3, pattern), None), |l| l.memory_bytes = 1799);
        assert_eq!(error.kind(), ReadErrorKind::TooLarge);
        assert!(error.to_string().contains("gdal_translate -co TILED=YES"), "{error}");
    }
}

#[test]
fn a_tiff_of_one_strip_must_be_cut_into_tiles() {
    let mut file = TiffFile::new(100, 50, 3);
    file.compression = 8;
    let error = refused(&file.bytes(&pattern), |l| l.memory_bytes = 14_999);
    assert_eq!(error.kind(), ReadErrorKind::TooLarge);
    assert!(error.to_string().contains("strips of 100 × 50 px take 15000 bytes"), "{error}");
    assert!(error.to_string().contains("gdal_translate -co TILED=YES"), "{error}");
}

/// The header of a PNG that claims to be huge: nothing is allocated for it.
#[test]
fn a_bomb_is_refused_by_its_header() {
    let mut file = png_file(Size::new(1, 1), ::png::ColorType::Grayscale, ::png::BitDepth::Eight, &[0]);
    file[16..24].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF]);
    let crc = file[12..29].iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    });
    file[29..33].copy_from_slice(&(!crc).to_be_bytes());
    assert_eq!(refused(&file, |_| {}).kind(), ReadErrorKind::TooLarge);
}

/// A hand-made Adam7 file: the first pass of a 1 × 1 image is the image, so the flag alone makes it interlaced.
#[test]
fn an_interlaced_png_is_read_only_within_memory() {
    let mut file = png_file(Size::new(1, 1), ::png::ColorType::Rgb, ::png::BitDepth::Eight, &[1, 2, 3]);
    file[28] = 1;
    let crc = file[12..29].iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    });
    file[29..33].copy_from_slice(&(!crc).to_be_bytes());
    assert_eq!(read_all(&file).unwrap().1.data, [1.0, 2.0, 3.0]);
    let error = refused(&file, |l| l.memory_bytes = 2);
    assert_eq!(error.kind(), ReadErrorKind::TooLarge);
    assert!(error.to_string().contains("-interlace none"), "{error}");
}

#[test]
fn a_scratch_folder_that_is_gone_is_worth_a_retry() {
    let file = png_file(Size::new(4, 4), ::png::ColorType::Grayscale, ::png::BitDepth::Eight, &[7; 16]);
    let (folder, path) = stored(&file);
    let scratch_dir = folder.path().join("gone");
    let error =
        Image::open(&path, &Limits { memory_bytes: 1, scratch_dir, ..roomy(&folder) }, &Reading::default())
            .unwrap_err();
    assert_eq!(error.kind(), ReadErrorKind::Io, "{error}");
    assert!(error.to_string().contains("check that the scratch folder"), "{error}");
}
