//! The part of an image that is not blank, read strip by strip.

use crate::ImageError;
use marquetry_geometry::{Rect, Size};
use marquetry_raster::read::{Depth, Image, Pixels};
use marquetry_region::{Finding, Nonblank, Region};

/// Rows that are read at once at most, and numbers: 64 MiB.
const STRIP_PX: u32 = 256;
const STRIP_NUMBERS: u64 = 16 << 20;

/// What of `image` is not blank, with all that is no further than `margin_px` from it, and what came of looking. Whoever looks
/// comes to the same.
///
/// # Errors
/// When the image cannot be read.
pub fn nonblank(image: &Image, margin_px: u32) -> Result<(Region, Finding), ImageError> {
    let info = image.info();
    let Size { height, width } = info.size;
    if !info.rgb || info.depth != Depth::U8 {
        return Ok((Region::whole(info.size), Finding::NotRgb));
    }
    let strip = (STRIP_NUMBERS / (u64::from(width) * 3).max(1)).clamp(1, u64::from(STRIP_PX)) as u32;
    let (mut nonblank, mut pixels) = (Nonblank::new(info.size), Pixels::default());
    for top in (0..height).step_by(strip as usize) {
        let rows = strip.min(height - top);
        image.read(Rect::new(i64::from(top), 0, Size::new(rows, width)), &mut pixels)?;
        let (width, area) = (width as usize, rows as usize * width as usize);
        for row in 0..rows as usize {
            nonblank.row([0, 1, 2].map(|band| &pixels.data[band * area + row * width..][..width]));
        }
    }
    drop(pixels);
    Ok(nonblank.finish(margin_px))
}
