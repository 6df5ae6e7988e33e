use super::*;
use proptest::prelude::*;

const SIZE: Size = Size::new(24, 40);

/// One valid file of every kind.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let data = interleaved(SIZE, 3, pattern);
    let tiff = |change: &dyn Fn(&mut TiffFile)| {
        let mut file = TiffFile::new(SIZE.height, SIZE.width, 3);
        (file.tile, file.rows) = (Some(Size::new(16, 16)), 8);
        change(&mut file);
        file.bytes(&pattern)
    };
    vec![
        ("png", encoded(Format::Png, SIZE, &data, Some(6))),
        ("jpeg", encoded(Format::Jpeg, SIZE, &data, Some(6))),
        ("webp", encoded(Format::WebP, SIZE, &data, Some(6))),
        ("bmp", encoded(Format::Bmp, SIZE, &data, None)),
        ("pgm", [&b"P5\n# a comment\n40 24\n255\n"[..], &data[..960]].concat()),
        ("ppm", [&b"P6 40 24 65535 "[..], &data, &data].concat()),
        ("tiff", tiff(&|file| file.tile = None)),
        ("tiff lzw", tiff(&|file| (file.compression, file.predictor) = (5, 2))),
        ("tiff deflate", tiff(&|file| (file.compression, file.planar, file.big_endian) = (8, true, true))),
        ("tiff packbits", tiff(&|file| (file.compression, file.bits) = (32773, 4))),
        ("tiff zstd", tiff(&|file| (file.compression, file.big_tiff) = (50000, true))),
        (
            "tiff fax",
            tiff(&|file| (file.compression, file.bits, file.samples, file.photometric) = (4, 1, 1, 0)),
        ),
        ("tiff webp", tiff(&|file| file.compression = 50001)),
        ("tiff jpeg", tiff(&|file| (file.compression, file.photometric) = (7, 6))),
    ]
}

/// Probes, opens and reads; what comes out does not matter, that something does is the point.
fn try_all(bytes: &[u8]) -> Result<(), ReadError> {
    let (folder, path) = stored(bytes);
    // Small enough that a header gone mad is refused rather than allocated.
    let limits = Limits { pixels_max: 1 << 20, memory_bytes: 1 << 22, scratch_dir: folder.path().to_owned() };
    let _ = probe(&path, &limits, &Reading::default());
    let image = Image::open(&path, &limits, &Reading::default())?;
    let size = image.info().size;
    let half = Size::new(size.height.div_ceil(2), size.width.div_ceil(2));
    image.read(Rect::new(0, 0, half), &mut Pixels::default())?;
    image.read(Rect::whole(size), &mut Pixels::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_damage_makes_it_panic(
        flips in proptest::collection::vec((0.0..1.0_f64, any::<u8>()), 0..8), early: bool,
        length in prop_oneof![Just(1.0), 0.0..1.0_f64],
    ) {
        for (_, mut bytes) in samples() {
            bytes.truncate((length * bytes.len() as f64) as usize);
            // Headers are short: half of the cases look for them at the start, the others anywhere (TIFF: at the end).
            let reach = if early { bytes.len().min(200) } else { bytes.len() };
            for (place, bits) in &flips {
                if let Some(byte) = bytes.get_mut((place * reach as f64) as usize) {
                    *byte ^= bits;
                }
            }
            if let Err(error) = try_all(&bytes) {
                prop_assert_ne!(error.kind(), ReadErrorKind::Io, "{}", error);
            }
        }
    }

    /// What is a TIFF only by its first bytes: directories made of noise.
    #[test]
    fn noise_is_no_tiff(noise in proptest::collection::vec(any::<u8>(), 0..300), head in 0_usize..4) {
        let heads: [&[u8]; 4] = [b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0", b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10"];
        prop_assert!(try_all(&[heads[head], &noise].concat()).is_err());
    }
}

#[test]
fn every_file_cut_in_half_is_unreadable() {
    for (name, bytes) in samples() {
        assert!(try_all(&bytes).is_ok(), "{name} itself is fine");
        for keep in [0, 1, 2, 7, 8, 30, bytes.len() / 2, bytes.len() * 9 / 10] {
            let error = try_all(&bytes[..keep]).expect_err(name);
            let kinds = [ReadErrorKind::Unreadable, ReadErrorKind::Unsupported];
            assert!(kinds.contains(&error.kind()), "{name} cut to {keep}: {error}");
        }
    }
}

#[test]
fn a_flipped_bit_in_checked_data_is_found() {
    for (name, mut bytes) in samples().into_iter().filter(|(name, _)| ["png", "tiff deflate"].contains(name))
    {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        assert_eq!(try_all(&bytes).expect_err(name).kind(), ReadErrorKind::Unreadable);
    }
}

/// What a decoder calls its own types helps nobody.
#[test]
fn what_is_wrong_with_a_png_is_said_in_plain_words() {
    let whole = encoded(Format::Png, SIZE, &interleaved(SIZE, 3, pattern), None);
    let start = whole.windows(4).position(|at| at == b"IDAT").unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for at in 8..whole.len() {
        for flip in [1, 0x10, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            let Err(error) = try_all(&bytes) else { continue };
            for word in ["ChunkType", "{ ", "BadDistance", "InsufficientInput", "Err(", "BitDepth"] {
                assert!(!error.found().contains(word), "{word} is in {error}");
            }
            seen.insert(error.found().to_owned());
        }
    }
    assert!(seen.contains("a part of it is damaged: its checksum is not that of its content"), "{seen:?}");
    let mut cut = whole[..start + 40].to_vec();
    cut.extend(&whole[whole.len() - 12..]);
    assert!(!try_all(&cut).unwrap_err().found().contains("ChunkType"));
}

#[test]
fn errors_name_the_file_what_was_found_and_what_to_do() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cell 7.png");
    let limits = roomy(&folder);
    let message = |error: ReadError| error.to_string().replace(&path.display().to_string(), "PATH");

    let missing = Image::open(&path, &limits, &Reading::default()).unwrap_err();
    assert_eq!((missing.kind(), missing.path()), (ReadErrorKind::Unreadable, path.as_path()));
    assert!(message(missing).starts_with("PATH: opening the image failed: "));

    std::fs::write(&path, b"").unwrap();
    assert!(message(probe(&path, &limits, &Reading::default()).unwrap_err()).contains("the file is empty"));

    std::fs::write(&path, b"GIF89a and so on").unwrap();
    let gif = probe(&path, &limits, &Reading::default()).unwrap_err();
    assert_eq!(gif.kind(), ReadErrorKind::Unsupported);
    assert!(message(gif).contains("it is no PNG, JPEG, WebP, BMP, PNM or TIFF"));

    let folder_itself = Image::open(folder.path(), &limits, &Reading::default()).unwrap_err();
    assert_eq!(folder_itself.kind(), ReadErrorKind::Unreadable);
}

#[test]
fn a_tiff_without_pixels_is_unreadable() {
    let mut bytes = TiffFile::new(4, 4, 1).bytes(&pattern);
    // The width's tag, 256, of type 4 with one value.
    let tag = bytes.windows(8).rposition(|at| at == [0, 1, 4, 0, 1, 0, 0, 0]).unwrap();
    bytes[tag + 8] = 0;
    let error = read_all(&bytes).unwrap_err();
    assert_eq!(error.kind(), ReadErrorKind::Unreadable);
    assert!(error.found().contains("4 × 0"), "{error}");
}
