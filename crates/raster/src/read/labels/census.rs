//! Which numbers a label has.

use super::reader::{LabelReader, Labels};
use crate::read::error::ReadError;
use marquetry_geometry::{Rect, Size};
use std::collections::BTreeMap;

/// Numbers that are read at a time, at most, where one row has no more.
const STEP: u32 = 1 << 20;

/// Every number of a label.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Census {
    /// For each band: its numbers, missing ones apart.
    pub values: Vec<BTreeMap<i32, ValueCount>>,
    /// For each band: how many numbers are missing.
    pub missing: Vec<u64>,
}

/// How often a number is there, and where it is found first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueCount {
    /// Pixels that have it.
    pub count: u64,
    /// Row of the first of them, from the top.
    pub row: u32,
    /// Column of the first of them.
    pub column: u32,
}

impl LabelReader {
    /// Reads the whole label, a few rows at a time, and counts its numbers.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn census(&self) -> Result<Census, ReadError> {
        let (size, bands) = (self.info().size, usize::from(self.info().bands));
        let mut census = Census { values: vec![BTreeMap::new(); bands], missing: vec![0; bands] };
        let mut labels = Labels::default();
        let rows = (STEP / (size.width.max(1) * bands.max(1) as u32).max(1)).max(1);
        for top in (0..size.height).step_by(rows as usize) {
            let part = Size::new(rows.min(size.height - top), size.width);
            self.read(Rect::new(i64::from(top), 0, part), &mut labels)?;
            let area = part.area() as usize;
            for band in 0..bands {
                let plane = band * area..(band + 1) * area;
                let flags = &labels.missing[plane.clone()];
                census.missing[band] += flags.iter().filter(|&&missing| missing).count() as u64;
                census.count(band, top, size.width as usize, &labels.values[plane], flags);
            }
        }
        Ok(census)
    }
}

impl Census {
    /// Counts the numbers of some rows, of which `top` is the first. Labels have long runs: each is looked up once.
    fn count(&mut self, band: usize, top: u32, width: usize, values: &[i32], missing: &[bool]) {
        let mut at = 0;
        for run in values.chunk_by(|a, b| a == b) {
            let flags = &missing[at..at + run.len()];
            if let Some(first) = flags.iter().position(|&missing| !missing) {
                let place = at + first;
                let found = self.values[band].entry(run[0]).or_insert(ValueCount {
                    count: 0,
                    row: top + (place / width) as u32,
                    column: (place % width) as u32,
                });
                found.count += flags.iter().filter(|&&missing| !missing).count() as u64;
            }
            at += run.len();
        }
    }
}
