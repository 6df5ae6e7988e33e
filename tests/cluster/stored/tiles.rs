//! Tiles of each type of number.

use crate::Form;
use marquetry_ensemble::ScoreSpace;
use marquetry_geometry::{Rect, Size};
use marquetry_job::tile::{self, index_bytes};
use marquetry_job::{TileDtype, TileHeader, TileIndex};

/// More rows than one frame has.
const SIZE: Size = Size { height: 70, width: 3 };
const CLASSES: u32 = 2;

pub(crate) fn all() -> Vec<Form> {
    [(TileDtype::F16, "f16"), (TileDtype::F32, "f32"), (TileDtype::U8, "u8")].map(form).into()
}

fn form((dtype, name): (TileDtype, &str)) -> Form {
    let header = TileHeader {
        scores: "0123456789abcdef".into(),
        image: "fedcba9876543210".into(),
        block: 9,
        extent: Rect::new(256, 512, SIZE),
        classes: CLASSES,
        space: ScoreSpace::Probabilities,
        dtype,
        models: vec!["aa".repeat(32), "bb".repeat(32)],
        missing: None,
        unread: Vec::new(),
        skipped: false,
    };
    // Numbers that every type holds exactly.
    let scores: Vec<f32> = (0..SIZE.area() as u32 * CLASSES)
        .map(|n| match dtype {
            TileDtype::U8 => (n * 37 % 256) as f32 / 255.0,
            TileDtype::F16 | TileDtype::F32 => (n * 37 % 256) as f32 / 256.0,
        })
        .collect();
    let written = tile::encode(&header, &scores).expect("scores that fit");
    let read = move |bytes: &[u8]| {
        let (stored_header, stored) = read(bytes)?;
        if stored_header != header {
            return Err(format!("{stored_header:?}"));
        }
        let differs = stored.iter().zip(&scores).position(|(stored, score)| stored != score);
        match differs {
            None if stored.len() == scores.len() => Ok(()),
            at => Err(format!("{} scores, the first that differs is {at:?}", stored.len())),
        }
    };
    Form { file: format!("{name}.tile"), written, read: Box::new(read) }
}

fn read(tile: &[u8]) -> Result<(TileHeader, Vec<f32>), String> {
    let tail = tile.len().saturating_sub(index_bytes(SIZE.height) as usize);
    let wrong = |error: tile::TileError| error.to_string();
    let index = TileIndex::parse(&tile[tail..], tile.len() as u64).map_err(wrong)?;
    let slice = |range: std::ops::Range<u64>| &tile[range.start as usize..range.end as usize];
    let header = index.decode_header(slice(index.header_range())).map_err(wrong)?;
    let mut scores = Vec::new();
    for k in 0..index.row_frames() {
        scores.extend(index.decode_rows(&header, k, slice(index.rows_range(k))).map_err(wrong)?);
    }
    Ok((header, scores))
}
