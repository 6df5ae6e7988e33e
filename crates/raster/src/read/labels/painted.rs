//! Labels that are painted from masks of runs.

use super::reader::Labels;
use crate::read::error::ReadFault;
use crate::read::image::check_inside;
use crate::rle::{Run, Runs};
use marquetry_geometry::{Rect, Size};

/// Masks to be painted one over the other. They are painted anew into every window, so that memory goes with the number
/// of runs and never with the image.
#[derive(Debug)]
pub(super) struct Painted {
    pub(super) background: u16,
    /// Values and masks, the lowest first.
    pub(super) masks: Vec<(u16, Runs)>,
}

impl Painted {
    /// Paints the window `rect` of a label of `size`.
    pub(super) fn read(&self, size: Size, rect: Rect, out: &mut Labels) -> Result<(), ReadFault> {
        check_inside(rect, size)?;
        out.fill(rect.size, i32::from(self.background));
        if rect.size.is_empty() {
            return Ok(());
        }
        for (value, mask) in &self.masks {
            paint(i32::from(*value), mask.runs(), u64::from(size.height), rect, &mut out.values);
        }
        Ok(())
    }
}

/// Paints what the runs of columns of `height` pixels have in common with `rect`.
fn paint(value: i32, runs: &[Run], height: u64, rect: Rect, out: &mut [i32]) {
    let (top, left, width) = (rect.top as u64, rect.left as u64, rect.size.width as usize);
    // Most masks are small: those beside the window cost two searches.
    let mut rest = &runs[runs.partition_point(|run| run.end() <= left * height + top)..];
    rest = &rest[..rest.partition_point(|run| run.start < rect.right() as u64 * height)];
    for column in 0..width {
        let first = (left + column as u64) * height + top;
        let end = first + u64::from(rect.size.height);
        rest = &rest[rest.partition_point(|run| run.end() <= first)..];
        if rest.is_empty() {
            return;
        }
        for run in rest.iter().take_while(|run| run.start < end) {
            for pixel in run.start.max(first)..run.end().min(end) {
                out[(pixel - first) as usize * width + column] = value;
            }
        }
    }
}
