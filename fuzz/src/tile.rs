//! Tiles: an index at the end, a header, frames of rows.

use marquetry_job::TileIndex;
use marquetry_job::tile::index_bytes;

/// The first byte says how many frames of rows are expected, as the plan would; the rest is the tile.
pub(crate) fn tile(bytes: &[u8]) {
    let Some((&frames, tile)) = bytes.split_first() else { return };
    let tail = tile.len().saturating_sub(index_bytes(u32::from(frames) * 64) as usize);
    let Ok(index) = TileIndex::parse(&tile[tail..], tile.len() as u64) else { return };
    let slice = |range: std::ops::Range<u64>| &tile[range.start as usize..range.end as usize];
    let Ok(header) = index.decode_header(slice(index.header_range())) else { return };
    for k in 0..index.row_frames() {
        if let Ok(rows) = index.decode_rows(&header, k, slice(index.rows_range(k))) {
            let row = header.classes as usize * header.extent.size.width as usize;
            assert!(row == 0 || rows.len().is_multiple_of(row));
        }
    }
}
