use super::*;
use marquetry_geometry::Size;
use proptest::prelude::*;

fn header(height: u32, width: u32, dtype: TileDtype) -> TileHeader {
    TileHeader {
        scores: "0123456789abcdef".into(),
        image: "fedcba9876543210".into(),
        block: 9,
        extent: Rect::new(256, 512, Size::new(height, width)),
        classes: 3,
        space: ScoreSpace::Probabilities,
        dtype,
        models: vec!["aa".into()],
        missing: None,
        unread: Vec::new(),
        skipped: false,
    }
}

fn read(tile: &[u8], height: u32) -> Result<(TileHeader, Vec<f32>), TileError> {
    let tail = tile.len().saturating_sub(index_bytes(height) as usize);
    let index = TileIndex::parse(&tile[tail..], tile.len() as u64)?;
    let slice = |r: Range<u64>| &tile[r.start as usize..r.end as usize];
    let header = index.decode_header(slice(index.header_range()))?;
    let mut scores = Vec::new();
    for k in 0..height.div_ceil(ROWS_PER_FRAME) as usize {
        scores.extend(index.decode_rows(&header, k, slice(index.rows_range(k)))?);
    }
    Ok((header, scores))
}

fn scores(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i * 7919 % 1000) as f32 / 1000.0).collect()
}

#[test]
fn every_dtype_reads_back() {
    for (dtype, tolerance) in [(TileDtype::F32, 0.0), (TileDtype::F16, 5e-4), (TileDtype::U8, 0.002)] {
        let header = header(130, 17, dtype);
        let scores = scores(130 * 3 * 17);
        let tile = encode(&header, &scores).unwrap();
        let (read_header, read_scores) = read(&tile, 130).unwrap();
        assert_eq!(read_header, header);
        assert!(scores.iter().zip(&read_scores).all(|(a, b)| (a - b).abs() <= tolerance), "{dtype:?}");
    }
}

/// Anyone's zstd and anyone's safetensors open a tile.
#[test]
fn a_tile_is_a_safetensors_file() {
    let tile = encode(&header(130, 17, TileDtype::F32), &scores(130 * 3 * 17)).unwrap();
    let plain = zstd::stream::decode_all(&tile[..]).unwrap();
    let file = safetensors::SafeTensors::deserialize(&plain).unwrap();
    let tensor = file.tensor("scores").unwrap();
    assert_eq!((tensor.shape(), tensor.dtype()), (&[130, 3, 17][..], safetensors::Dtype::F32));
    let first = f32::from_le_bytes(tensor.data()[4..8].try_into().unwrap());
    assert_eq!(first, scores(2)[1]);
}

/// Of every width, and seen by safetensors too.
#[test]
fn missing_pixels_read_back() {
    for width in [1, 7, 8, 9, 31] {
        let rect = Rect::new(5, 3, Size::new(70, width));
        let is_none = |row: u32, col: u32| (row * 7 + col * 3).is_multiple_of(5);
        let mut missing = MissingPixels::none(rect);
        assert!(!missing.any());
        for (row, col) in (0..70).flat_map(|row| (0..width).map(move |col| (row, col))) {
            if is_none(row, col) {
                missing.mark(row as usize, col as usize);
            }
        }
        let header = TileHeader { missing: Some(rect), ..header(70, 11, TileDtype::F16) };
        let all = scores(70 * 3 * 11);
        let rows =
            all.chunks(3 * 11 * ROWS_PER_FRAME as usize).map(|rows| encode_rows(rows, header.dtype).unwrap());
        let frames: Vec<Frame> = rows.chain([encode_missing(&missing).unwrap()]).collect();
        let tile = assemble(&header, &frames).unwrap();
        assert_eq!(read(&tile, 70).unwrap().1.len(), all.len());
        let index = TileIndex::parse(&tile, tile.len() as u64).unwrap();
        let range = index.missing_range(&header).unwrap();
        let bytes = &tile[range.start as usize..range.end as usize];
        let found = index.decode_missing(&header, bytes).unwrap().unwrap();
        assert_eq!(found, missing);
        assert!(index.decode_missing(&header, &bytes[..bytes.len() - 1]).is_err());
        for y in 0..80 {
            let mut row = vec![false; 40];
            found.mark_row(y, &mut row);
            let wanted = |x: u32| {
                let inside = (5..75).contains(&y) && (3..3 + width).contains(&x);
                inside && is_none(y.wrapping_sub(5), x.wrapping_sub(3))
            };
            assert!((0..40).all(|x| row[x as usize] == wanted(x)), "row {y} of {width}");
        }
        let plain = zstd::stream::decode_all(&tile[..]).unwrap();
        let file = safetensors::SafeTensors::deserialize(&plain).unwrap();
        assert_eq!(file.tensor("missing").unwrap().shape(), [70, width.div_ceil(8) as usize]);
        // Without its frame the tile is not whole.
        let cut = assemble(&header, &frames[..frames.len() - 1]).unwrap();
        assert!(read(&cut, 70).is_err());
    }
}

#[test]
fn what_f16_cannot_hold_is_refused() {
    let mut scores = scores(3 * 4);
    scores[5] = 70_000.0;
    let error = encode(&header(1, 4, TileDtype::F16), &scores).unwrap_err();
    assert!(error.to_string().contains("70000") && error.to_string().contains("f32"), "{error}");
    assert!(encode(&header(1, 4, TileDtype::F32), &scores).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// A tile cut short anywhere, or with any bit flipped, is never taken for another one.
    #[test]
    fn damage_is_found(cut in 0.0_f64..1.0, bit in 0.0_f64..1.0) {
        let header = header(70, 11, TileDtype::F16);
        let tile = encode(&header, &scores(70 * 3 * 11)).unwrap();
        let whole = read(&tile, 70).unwrap();
        prop_assert!(read(&tile[..(cut * tile.len() as f64) as usize], 70).is_err());
        let mut flipped = tile.clone();
        let bit = (bit * tile.len() as f64 * 8.0) as usize;
        flipped[bit / 8] ^= 1 << (bit % 8);
        // A bit that no reader looks at (a reserved one) may be flipped without harm, but never with.
        if let Ok(read) = read(&flipped, 70) {
            prop_assert!(read == whole, "bit {bit}");
        }
    }
}

/// As `u8` NaN would be 0, a probability like any other.
#[test]
fn no_tile_holds_what_is_not_finite() {
    for dtype in [TileDtype::F32, TileDtype::F16, TileDtype::U8] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let scores = [0.5, bad, 0.25];
            assert_eq!(encode_rows(&scores, dtype), Err(TileError::NonFinite), "{dtype:?} {bad}");
        }
    }
}

#[test]
fn no_memory_is_this_machines_fault_and_no_damage() {
    let of = |words: &str| super::not_decompressed(std::io::Error::other(words));
    assert_eq!(of("Allocation error : not enough memory").class(), FailureClass::Worker);
    assert_eq!(of("Restored data doesn't match checksum").class(), FailureClass::Input);
}
