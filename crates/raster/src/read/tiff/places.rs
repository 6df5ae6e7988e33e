//! Where the chunks of a TIFF lie, also where the file says it badly: as libtiff, GDAL and Pillow find them.

use super::codec::Compression;
use super::directory::Directory;
use super::layout::ChunkLayout;
use crate::read::error::ReadFault;
use crate::read::file::Source;

/// Where a chunk is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) bytes: u64,
    /// Whether the file says how many bytes it has; otherwise they reach to the next chunk or the end of the file.
    pub(super) is_claimed: bool,
    /// Whether the file is shorter than it says.
    pub(super) is_cut: bool,
    /// Whether it has so many bytes as a chunk has that is not compressed, before anything was cut off.
    pub(super) is_plain: bool,
}

/// Where a chunk is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stored {
    /// It lies in the file.
    At(Place),
    /// It was left out on purpose.
    LeftOut,
    /// It has no place in the file; in words.
    Nowhere(String),
}

/// The place of each chunk. A file leaves one out by an offset *and* a count of 0.
///
/// Old scanners write counts of 0, others none at all, or too great ones: how long a chunk is follows from its size where
/// it is not compressed, else from where the next one begins.
pub(super) fn of(
    directory: &Directory,
    source: &Source,
    layout: &ChunkLayout,
    (offsets, counts): (u16, u16),
) -> Result<Vec<Stored>, ReadFault> {
    let chunks = layout.chunks();
    let offsets_tag = offsets;
    // What is behind the last chunk is of no use.
    let offsets = directory.first_integers(source, offsets, chunks)?;
    let counts = directory.first_integers(source, counts, chunks)?;
    if (offsets.len() as u64) < chunks {
        let found = offsets.len();
        return Err(ReadFault::unreadable(format!("its tag {offsets_tag} has {found} values, not {chunks}")));
    }
    let file = source.length();
    let count = |index: usize| counts.get(index).copied().unwrap_or(0);
    let ends = if (0..offsets.len()).any(|index| count(index) == 0) { sorted(&offsets) } else { Vec::new() };
    let planes = usize::try_from(layout.across * layout.down).unwrap_or(usize::MAX).max(1);
    let place = |(index, &at): (usize, &u64)| {
        let claimed = count(index);
        if at == 0 {
            return match claimed {
                // Without a single count nothing says that it was left out on purpose.
                0 if !counts.is_empty() => Stored::LeftOut,
                _ => Stored::Nowhere(format!("its strip or tile {index} has no place in the file")),
            };
        }
        let Some(left) = file.checked_sub(at).filter(|&left| left > 0) else {
            return Stored::Nowhere(format!(
                "the file ends too early: its strip or tile {index} begins at byte {at}, it has {file}"
            ));
        };
        let down = (index % planes) as u64 / layout.across.max(1);
        let whole = u64::from(layout.size_in_row(down).height) * layout.packed_row_bytes() as u64;
        let (bytes, is_cut) = match claimed {
            0 if layout.compression == Compression::None => (whole.min(left), false),
            0 => (ends[ends.partition_point(|&end| end <= at)..].first().map_or(left, |end| end - at), false),
            claimed => (claimed.min(left), claimed > left),
        };
        let is_plain = claimed == whole;
        Stored::At(Place { at, bytes, is_claimed: claimed > 0 && !is_cut, is_cut, is_plain })
    };
    Ok(offsets.iter().enumerate().map(place).collect())
}

fn sorted(offsets: &[u64]) -> Vec<u64> {
    let mut sorted = offsets.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}
