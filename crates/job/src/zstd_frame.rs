//! zstd frames of tiles, made and read with what each thread keeps for that: for a small frame, making it takes as long as the work.

use std::cell::RefCell;
use std::io;
use zstd::bulk::{Compressor, Decompressor};

/// Scores hardly compress; the fastest level takes what there is.
const LEVEL: i32 = 1;
/// Frames of no more bytes are small: an object of them costs a request and a name, whatever is in it, and to build tables for
/// their bytes takes longer than to write them.
const SMALL_BYTES: usize = 256 << 10;
/// What takes repeats and leaves other bytes as they are.
const SMALL_LEVEL: i32 = -8;

thread_local! {
    /// For small frames, and for others.
    static COMPRESSORS: RefCell<[Option<Compressor<'static>>; 2]> = const { RefCell::new([None, None]) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A frame of these bytes, with a checksum.
pub(crate) fn compress(plain: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSORS.with_borrow_mut(|kept| {
        let level = if plain.len() <= SMALL_BYTES { SMALL_LEVEL } else { LEVEL };
        let kept = &mut kept[usize::from(level == LEVEL)];
        // One that failed is not used again.
        let mut compressor = match kept.take() {
            Some(compressor) => compressor,
            None => compressor(level)?,
        };
        let frame = compressor.compress(plain)?;
        *kept = Some(compressor);
        Ok(frame)
    })
}

fn compressor(level: i32) -> io::Result<Compressor<'static>> {
    let mut new = Compressor::new(level)?;
    new.include_checksum(true)?;
    Ok(new)
}

/// The bytes of a frame, `plain_bytes_max` at most.
pub(crate) fn decompress(frame: &[u8], plain_bytes_max: usize) -> io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let mut decompressor = match kept.take() {
            Some(decompressor) => decompressor,
            None => Decompressor::new()?,
        };
        let plain = decompressor.decompress(frame, plain_bytes_max)?;
        *kept = Some(decompressor);
        Ok(plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_does_not_hang_on_those_before_it() {
        let texts: Vec<Vec<u8>> =
            (0..40_u32).map(|n| (0..n * 1997).flat_map(u32::to_le_bytes).collect()).collect();
        let fresh = |plain: &[u8]| {
            let level = if plain.len() <= SMALL_BYTES { SMALL_LEVEL } else { LEVEL };
            compressor(level).unwrap().compress(plain).unwrap()
        };
        assert!(texts.iter().any(|text| text.len() > SMALL_BYTES), "of both kinds");
        for plain in &texts {
            let frame = compress(plain).unwrap();
            assert!(frame == fresh(plain), "{} bytes", plain.len());
            // What is damaged spoils nothing that comes later.
            let mut damaged = frame.clone();
            let last = damaged.len() - 1;
            damaged[last] ^= 1;
            assert!(decompress(&damaged, plain.len()).is_err());
            assert!(plain.is_empty() || decompress(&frame, plain.len() - 1).is_err());
            assert!(decompress(&frame, plain.len()).unwrap() == *plain);
        }
    }
}
