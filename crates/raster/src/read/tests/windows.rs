use super::*;
use proptest::prelude::*;

/// A part of an image that was read whole.
fn cut(whole: &Pixels, rect: Rect) -> Vec<f32> {
    planes(rect.size, whole.bands, |row, col, band| {
        let row = usize::from(band) * whole.size.height as usize + rect.top as usize + row as usize;
        whole.data[row * whole.size.width as usize + rect.left as usize + col as usize]
    })
}

/// A rectangle, perhaps empty, in an image of `size`, from four numbers in 0..=1.
fn inside(size: Size, parts: [f64; 4]) -> Rect {
    let span = |side: u32, a: f64, b: f64| {
        let (a, b) = ((a * f64::from(side)) as i64, (b * f64::from(side)) as i64);
        (a.min(b), a.abs_diff(b) as u32)
    };
    let (top, height) = span(size.height, parts[0], parts[1]);
    let (left, width) = span(size.width, parts[2], parts[3]);
    Rect::new(top, left, Size::new(height, width))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Law: a window is the same pixels as in the whole image, for every orientation, layout and cache size.
    #[test]
    fn windows_are_parts_of_the_whole(
        size in (1_u32..60, 1_u32..60), samples in 1_u16..5, number in 1_u16..9, planar: bool,
        tile in proptest::option::of((1_u32..3, 1_u32..3)), rows in 1_u32..20, tight: bool,
        parts in proptest::collection::vec(proptest::array::uniform4(0.0..=1.0), 1..6),
    ) {
        let mut file = TiffFile::new(size.0, size.1, samples);
        file.photometric = 1;
        file.compression = 8;
        (file.planar, file.rows) = (planar, rows.min(size.0));
        file.tile = tile.map(|(height, width)| Size::new(16 * height, 16 * width));
        file.tags = vec![(274, vec![number])];
        let bytes = file.bytes(&pattern);
        let (_, whole) = read_all(&bytes).unwrap();
        let (folder, path) = stored(&bytes);
        let mut limits = roomy(&folder);
        if tight {
            let chunk = file.tile.unwrap_or(Size::new(file.rows, size.1)).area();
            limits.memory_bytes = chunk * if planar { 1 } else { u64::from(samples) };
        }
        let image = Image::open(&path, &limits, &Reading::default()).unwrap();
        let mut out = Pixels::default();
        for parts in parts {
            let rect = inside(image.info().size, parts);
            image.read(rect, &mut out).unwrap();
            prop_assert_eq!((out.size, out.bands), (rect.size, whole.bands));
            prop_assert_eq!(&out.data, &cut(&whole, rect));
        }
    }

    /// The same for images held whole, in memory or in the scratch folder.
    #[test]
    fn memory_and_scratch_folder_are_the_same(
        size in (1_u32..60, 1_u32..60), number in 1_u16..9, wide: bool,
        parts in proptest::collection::vec(proptest::array::uniform4(0.0..=1.0), 1..6),
    ) {
        let size = Size::new(size.0, size.1);
        let depth = if wide { ::png::BitDepth::Sixteen } else { ::png::BitDepth::Eight };
        let data = interleaved(size, if wide { 8 } else { 4 }, pattern);
        let bytes = png_with(size, ::png::ColorType::Rgba, depth, &data, |info| {
            info.exif_metadata = Some(exif(number).into());
        });
        let (_, whole) = read_all(&bytes).unwrap();
        let (folder, path) = stored(&bytes);
        let limits = Limits { memory_bytes: 1, ..roomy(&folder) };
        let image = Image::open(&path, &limits, &Reading::default()).unwrap();
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the scratch file has no name");
        let mut out = Pixels::default();
        for parts in parts {
            let rect = inside(image.info().size, parts);
            image.read(rect, &mut out).unwrap();
            prop_assert_eq!(&out.data, &cut(&whole, rect));
        }
    }
}

/// 4,096 × 6,144 px in 384 tiles: a window touches few of them, its neighbour only the new ones.
#[test]
fn a_window_decodes_only_the_tiles_it_touches() {
    let mut file = TiffFile::new(4096, 6144, 1);
    (file.tile, file.compression, file.big_tiff) = (Some(Size::new(256, 256)), 8, true);
    let (folder, path) = stored(&file.bytes(&|row, col, _| u64::from(row / 16 + col / 16)));
    let mut limits = roomy(&folder);
    limits.memory_bytes = 12 * 256 * 256;
    let image = Image::open(&path, &limits, &Reading::default()).unwrap();
    assert_eq!(image.chunks_decoded(), 0);
    let mut out = Pixels::default();
    let mut read = |top: i64, left: i64| {
        image.read(Rect::new(top, left, Size::square(600)), &mut out).unwrap();
        assert_eq!(
            out.data,
            planes(out.size, 1, |r, c, _| {
                f32::from(((top as u32 + r) / 16 + (left as u32 + c) / 16) as u8)
            })
        );
        image.chunks_decoded()
    };
    assert_eq!(read(1100, 2000), 12, "three rows of tiles, four columns");
    assert_eq!(read(1100, 2000), 12, "all of them are held");
    assert_eq!(read(1100, 2256), 15, "one more column of tiles");
    assert_eq!(read(0, 0), 24);
    assert_eq!(read(1100, 2000), 36, "the budget holds twelve tiles, these had to go");
}

/// Windows that overlap, read by several threads through a cache too small for all of them.
#[test]
fn threads_read_the_same_image() {
    let mut file = TiffFile::new(300, 400, 3);
    (file.tile, file.compression, file.tags) = (Some(Size::new(32, 64)), 8, vec![(274, vec![6])]);
    let bytes = file.bytes(&pattern);
    let (_, whole) = read_all(&bytes).unwrap();
    let (folder, path) = stored(&bytes);
    for chunks in [1, 3, 1000] {
        let image = Image::open(
            &path,
            &Limits { memory_bytes: chunks * 3 * 32 * 64, ..roomy(&folder) },
            &Reading::default(),
        )
        .unwrap();
        std::thread::scope(|scope| {
            for thread in 0..6_i64 {
                let (image, whole) = (&image, &whole);
                scope.spawn(move || {
                    let mut out = Pixels::default();
                    for step in 0..10 {
                        let rect =
                            Rect::new(20 * step + 3 * thread, 15 * step + 7 * thread, Size::new(90, 70));
                        image.read(rect, &mut out).unwrap();
                        assert_eq!(out.data, cut(whole, rect));
                    }
                });
            }
        });
        if chunks == 1000 {
            assert!(image.chunks_decoded() <= 10 * 7, "a chunk was decoded twice");
        }
    }
}

#[test]
fn a_window_outside_is_an_error() {
    let (folder, path) = stored(&TiffFile::new(10, 20, 1).bytes(&pattern));
    let image = Image::open(&path, &roomy(&folder), &Reading::default()).unwrap();
    for (top, left, size) in [(-1, 0, 3), (0, 18, 3), (8, 0, 3), (11, 0, 0)] {
        let error = image.read(Rect::new(top, left, Size::square(size)), &mut Pixels::default()).unwrap_err();
        assert!(error.found().contains("not inside its 10 × 20 px"), "{error}");
    }
}
