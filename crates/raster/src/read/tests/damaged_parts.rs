//! Strips and tiles that cannot be read: their pixels are missing, and no others.

use super::*;

/// `file` with the bytes of chunk `index` turned into noise.
fn with_damage(file: &TiffFile, index: usize) -> Vec<u8> {
    let chunks = file.chunks(&pattern);
    let start = if file.big_tiff { 16 } else { 8 } + chunks[..index].iter().map(Vec::len).sum::<usize>();
    let mut bytes = file.bytes(&pattern);
    bytes[start..start + chunks[index].len()].iter_mut().for_each(|byte| *byte = !*byte);
    bytes
}

fn opened(bytes: &[u8]) -> (TempDir, Image) {
    let (folder, path) = stored(bytes);
    let image = Image::open(&path, &roomy(&folder), &Reading::default()).unwrap();
    (folder, image)
}

/// Every pixel of the window is what `value` says, and NaN in all bands within `lost`.
fn check(image: &Image, window: Rect, lost: Rect, value: impl Fn(u32, u32, u16) -> f32) {
    let mut out = Pixels::default();
    image.read(window, &mut out).unwrap();
    let wanted = planes(window.size, out.bands, |row, col, band| {
        let (row, col) = (row + window.top as u32, col + window.left as u32);
        let pixel = Rect::new(i64::from(row), i64::from(col), Size::new(1, 1));
        if lost.contains(pixel) { f32::NAN } else { value(row, col, band) }
    });
    let same = out.data.iter().zip(&wanted).all(|(a, b)| a == b || a.is_nan() && b.is_nan());
    assert!(same, "{window:?} of an image that lacks {lost:?}");
}

#[test]
fn only_the_pixels_of_a_damaged_chunk_are_missing() {
    let tile = Some(Size::new(16, 16));
    let place = |top, left, height, width| Rect::new(top, left, Size::new(height, width));
    for (compression, tile, planar, index, lost) in [
        (8, tile, false, 4, place(16, 16, 16, 16)),
        (50000, tile, false, 5, place(16, 32, 16, 8)),
        (8, tile, true, 9 + 4, place(16, 16, 16, 16)),
        (8, None, false, 2, place(14, 0, 7, 40)),
        (5, None, false, 5, place(35, 0, 5, 40)),
    ] {
        let mut file = TiffFile::new(40, 40, 3);
        (file.compression, file.tile, file.planar, file.rows) = (compression, tile, planar, 7);
        let (_folder, image) = opened(&with_damage(&file, index));
        let whole = Rect::whole(file.size);
        let mut out = Pixels::default();
        assert_eq!(image.read(whole, &mut out).unwrap_err().kind(), ReadErrorKind::Unreadable);
        let image = image.tolerating_damage();
        assert_eq!(image.damage(whole), [], "nothing was read yet");
        check(&image, whole, lost, |row, col, band| f32::from(pattern(row, col, band) as u8));
        check(&image, place(10, 10, 20, 25), lost, |r, c, b| f32::from(pattern(r, c, b) as u8));
        let found = image.damage(whole);
        let unit = if tile.is_some() { "tile" } else { "strip" };
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].rect, found[0].unit, found[0].number), (lost, unit, index as u64));
        assert_eq!(image.damage(place(0, 0, 14, 16)), [], "it is elsewhere");
    }
}

#[test]
fn what_lies_beyond_the_end_of_a_file_is_missing_alone() {
    let mut file = TiffFile::new(20, 30, 1);
    (file.rows, file.count) = (5, |n| Some(n + 7));
    file.missing = vec![2];
    let (_folder, image) = opened(&file.bytes(&pattern));
    let whole = Rect::whole(file.size);
    let error = image.read(whole, &mut Pixels::default()).unwrap_err();
    assert!(error.found().contains("strip or tile 2 has no place"), "{error}");
    let lost = Rect::new(10, 0, Size::new(5, 30));
    let image = image.tolerating_damage();
    check(&image, whole, lost, |row, col, band| f32::from(pattern(row, col, band) as u8));
    assert!(image.damage(whole)[0].reason.contains("has no place in the file"));
}

/// The rectangle that is said is that of the image as it is shown.
#[test]
fn damage_turns_with_its_image() {
    let mut file = TiffFile::new(24, 40, 1);
    (file.compression, file.tile, file.tags) = (8, Some(Size::new(16, 16)), vec![(274, vec![6])]);
    let (_folder, image) = opened(&with_damage(&file, 1));
    let image = image.tolerating_damage();
    // Turned by a quarter clockwise: what is stored at (row, column) is shown at (column, 23 - row).
    let lost = Rect::new(16, 8, Size::new(16, 16));
    check(&image, Rect::whole(Size::new(40, 24)), lost, |row, col, band| {
        f32::from(pattern(23 - col, row, band) as u8)
    });
    assert_eq!(image.damage(Rect::whole(Size::new(40, 24)))[0].rect, lost);
}

/// A file that went away while it was read is no damage of its content.
#[test]
fn bytes_that_cannot_be_had_are_no_damage() {
    #[derive(Debug)]
    struct Going(Vec<u8>, u64);
    impl ReadAt for Going {
        fn length(&self) -> std::io::Result<u64> {
            self.0.length()
        }
        fn read_at(&self, at: u64, out: &mut [u8]) -> std::io::Result<usize> {
            if (8..self.1).contains(&at) {
                return Err(std::io::ErrorKind::StaleNetworkFileHandle.into());
            }
            self.0.read_at(at, out)
        }
    }
    let mut file = TiffFile::new(20, 30, 1);
    file.compression = 8;
    let length = file.chunks(&pattern)[0].len() as u64;
    let folder = TempDir::new().unwrap();
    let bytes = Box::new(Going(file.bytes(&pattern), 8 + length));
    let image =
        Image::open_from(bytes, "x".as_ref(), &roomy(&folder), &Reading::default(), Beside::default());
    let image = image.unwrap().tolerating_damage();
    let error = image.read(Rect::whole(file.size), &mut Pixels::default()).unwrap_err();
    assert!(error.to_string().contains("plan it anew"), "{error}");
    assert_eq!(image.damage(Rect::whole(file.size)), []);
}

/// Of a strip in which a file ends, the rows before that are there.
#[test]
fn a_file_that_was_cut_off_keeps_its_rows() {
    for (compression, kept) in [(1, 13), (8, 0), (50000, 0), (5, 0), (32773, 0)] {
        let mut file = TiffFile::new(20, 30, 3);
        file.compression = compression;
        let chunk = file.chunks(&pattern)[0].len();
        let whole = file.bytes(&pattern);
        // The directory comes first, as some programs write it; then the one strip, of which a third is cut off.
        let directory = whole[8 + chunk..].to_vec();
        let mut bytes = whole[..8].to_vec();
        bytes[4..8].copy_from_slice(
            &(u32::from_le_bytes(whole[4..8].try_into().unwrap()) - chunk as u32).to_le_bytes(),
        );
        let moved =
            |at: u32| if at >= 8 + chunk as u32 { at - chunk as u32 } else { 8 + directory.len() as u32 };
        bytes.extend(&directory);
        // Offsets of values behind the directory, and that of the strip.
        let at = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let entries = u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()) as usize;
        for entry in (0..entries).map(|entry| at + 2 + 12 * entry) {
            let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let (tag, value) =
                (u16::from_le_bytes(bytes[entry..entry + 2].try_into().unwrap()), word(entry + 8));
            let bytes_of = word(entry + 4) * if bytes[entry + 2] == 3 { 2 } else { 4 };
            if tag == 273 || bytes_of > 4 {
                bytes[entry + 8..entry + 12].copy_from_slice(&moved(value).to_le_bytes());
            }
        }
        bytes.extend(&whole[8..8 + chunk * 2 / 3]);
        let (_folder, image) = opened(&bytes);
        assert!(image.read(Rect::whole(file.size), &mut Pixels::default()).is_err(), "{compression}");
        let image = image.tolerating_damage();
        let mut out = Pixels::default();
        image.read(Rect::whole(file.size), &mut out).unwrap();
        let found = image.damage(Rect::whole(file.size));
        let rows = found[0].rect.top as u32;
        // How much a compressed strip has is its own matter, but for those of which nothing is believed.
        assert!(
            rows >= kept && rows < 20 && (rows > 0) != [5, 32773].contains(&compression),
            "{compression}: {rows} rows"
        );
        let lost = Rect::new(i64::from(rows), 0, Size::new(20 - rows, 30));
        assert_eq!(found[0].rect, lost);
        check(
            &image,
            Rect::whole(file.size),
            lost,
            |row, col, band| f32::from(pattern(row, col, band) as u8),
        );
        check(&image, Rect::new(2, 3, Size::new(17, 9)), lost, |row, col, band| {
            f32::from(pattern(row, col, band) as u8)
        });
        check(&image, Rect::new(0, 0, Size::new(1, 30)), lost, |row, col, band| {
            f32::from(pattern(row, col, band) as u8)
        });
    }
}
