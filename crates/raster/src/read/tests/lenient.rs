//! TIFFs that break the standard in ways that libtiff, GDAL and Pillow read, and what must not pass for them.

use super::*;

fn values(bytes: &[u8]) -> Vec<f32> {
    read_all(bytes).unwrap().1.data
}

fn wanted(file: &TiffFile) -> Vec<f32> {
    planes(file.size, file.samples, |r, c, s| f32::from(pattern(r, c, s) as u8))
}

/// Counts of 0, none, and too great ones, in strips and tiles, for compressions that know where they end and one that
/// does not.
#[test]
fn lengths_of_chunks_are_worked_out() {
    let counts: [fn(u64) -> Option<u64>; 4] = [|_| Some(0), |_| None, |n| Some(n + 1000), |_| Some(1 << 20)];
    for compression in [1, 5, 8, 32773, 50000] {
        for tile in [None, Some(Size::new(16, 32))] {
            for count in counts {
                let mut file = TiffFile::new(40, 70, 3);
                (file.compression, file.tile, file.rows, file.count) = (compression, tile, 9, count);
                assert_eq!(values(&file.bytes(&pattern)), wanted(&file), "{compression}, {tile:?}");
                file.planar = true;
                assert_eq!(values(&file.bytes(&pattern)), wanted(&file), "{compression}, {tile:?}, planar");
            }
        }
    }
}

/// Black must not stand for what is somewhere in the file: only an offset of 0 with a count of 0 is left out on purpose.
#[test]
fn nothing_is_black_that_was_not_left_out() {
    let mut file = TiffFile::new(20, 30, 1);
    (file.rows, file.count) = (5, |_| None);
    file.missing = vec![2];
    let error = read_all(&file.bytes(&pattern)).unwrap_err();
    assert!(error.found().contains("strip or tile 2 has no place"), "{error}");
    file.count = |n| Some(n + 7);
    assert!(read_all(&file.bytes(&pattern)).unwrap_err().found().contains("no place"));
    // Lengths that reach beyond the file's end, and a file that is cut there.
    file.missing.clear();
    for compression in [1, 5, 7, 8, 32773, 50000] {
        (file.compression, file.count) = (compression, |n| Some(n * 9));
        let whole = file.bytes(&pattern);
        assert!(read_all(&whole).is_ok(), "{compression}");
        // What the lengths reach beyond is behind the directory: pixels are lost before it.
        let directory = u32::from_le_bytes(whole[4..8].try_into().unwrap()) as usize;
        let mut damaged = whole;
        let middle = 8 + (directory - 8) / 2;
        damaged.drain(middle..middle + 20);
        let moved = (directory - 20) as u32;
        damaged[4..8].copy_from_slice(&moved.to_le_bytes());
        assert!(read_all(&damaged).is_err(), "{compression}");
    }
}

#[test]
fn tiles_may_end_with_the_image() {
    for compression in [1, 5, 8, 32773, 50000] {
        let mut file = TiffFile::new(21, 34, 3);
        (file.compression, file.tile, file.short) = (compression, Some(Size::new(16, 32)), true);
        assert_eq!(values(&file.bytes(&pattern)), wanted(&file), "{compression}");
        // A row less than the image has is damage.
        let mut cut = file.clone();
        cut.size.height = 20;
        let mut bytes = cut.bytes(&pattern);
        let tag = bytes.windows(8).rposition(|at| at == [1, 1, 4, 0, 1, 0, 0, 0]).unwrap();
        bytes[tag + 8] = 21;
        let error = read_all(&bytes).unwrap_err();
        assert_eq!(error.kind(), ReadErrorKind::Unreadable, "{compression}: {error}");
    }
    let flat = |row: u32, _: u32, _: u16| u64::from(row / 16 * 100);
    let mut file = TiffFile::new(21, 34, 1);
    (file.compression, file.tile, file.short) = (7, Some(Size::new(16, 32)), true);
    let found = values(&file.bytes(&flat));
    let wanted = planes(file.size, 1, |r, c, s| flat(r, c, s) as f32);
    assert!(found.iter().zip(&wanted).all(|(found, wanted)| (found - wanted).abs() <= 1.0));
}

#[test]
fn left_over_and_absent_tags() {
    for (compression, predictor) in [(1, 2), (1, 3), (32773, 2)] {
        let mut file = TiffFile::new(9, 13, 3);
        file.compression = compression;
        let mut bytes = file.bytes(&pattern);
        let tag = bytes.windows(8).rposition(|at| at == [61, 1, 3, 0, 1, 0, 0, 0]).unwrap();
        bytes[tag + 8] = predictor;
        assert_eq!(values(&bytes), wanted(&file), "{compression}, {predictor}");
    }
    for samples in [1, 3] {
        for without in
            [vec![262], vec![277], vec![278], vec![284, 317, 339], vec![262, 277, 278, 284, 317, 339]]
        {
            let mut file = TiffFile::new(9, 13, samples);
            file.without = without;
            assert_eq!(values(&file.bytes(&pattern)), wanted(&file), "{:?}", file.without);
        }
    }
}

/// As libtiff, which warns of it.
#[test]
fn of_a_tag_that_stands_twice_the_first_counts() {
    let mut file = TiffFile::new(9, 13, 1);
    file.tags = vec![(274, vec![1]), (274, vec![3])];
    let bytes = file.bytes(&pattern);
    let (info, _) = read_all(&bytes).unwrap();
    assert_eq!(values(&bytes), wanted(&file));
    let line = info.traits.to_string();
    assert!(line.ends_with("tag 274 stands in it twice and the first one counts"), "{line}");
}
