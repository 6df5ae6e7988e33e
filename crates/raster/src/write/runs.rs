//! A binary mask as runs down its columns, and the collector that builds it from rows.

use super::error::{Result, WriteError};
use super::legend::{Legend, Target};
use super::sink::Rows;
use marquetry_geometry::Size;

/// Consecutive pixels of a mask, counted down the columns: pixel (row `y`, column `x`) is number `x * H + y`, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// Number of the first pixel.
    pub start: u64,
    /// Number of pixels, at least 1.
    pub length: u64,
}

impl Run {
    /// One past the last pixel.
    pub const fn end(self) -> u64 {
        self.start + self.length
    }
}

/// A binary mask as runs in column-major order, ascending, with a gap after each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runs {
    size: Size,
    runs: Vec<Run>,
}

impl Runs {
    /// A mask of `size` px from ascending runs that do not overlap; runs that touch are joined.
    ///
    /// # Errors
    /// When a run is empty, out of order, overlaps the one before or leaves the image.
    pub fn new(size: Size, runs: impl IntoIterator<Item = Run>) -> Result<Self> {
        let mut joined: Vec<Run> = Vec::new();
        for run in runs {
            let free = joined.last().map_or(0, |last| last.end());
            let end = run.start.checked_add(run.length).filter(|&end| end <= size.area());
            if run.length == 0 || run.start < free || end.is_none() {
                let found = format!(
                    "a run of {} px at pixel {} (from 0) of an image of {size} px, of which {free} are behind; runs \
                     must be ascending, apart and inside",
                    run.length, run.start
                );
                return Err(WriteError::malformed("a run-length encoded mask", found));
            }
            match joined.last_mut() {
                Some(last) if last.end() == run.start => last.length += run.length,
                _ => joined.push(run),
            }
        }
        Ok(Self { size, runs: joined })
    }

    /// The image's size, px.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// The runs, ascending.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Pixels in the mask.
    pub fn area(&self) -> u64 {
        self.runs.iter().map(|run| run.length).sum()
    }

    /// Whether no pixel is in the mask.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The mask as `[H, W]` values of 0 and 1. Takes `H * W` bytes.
    pub fn to_mask(&self) -> Vec<u8> {
        let (height, width) = (self.size.height as usize, self.size.width as usize);
        let mut mask = vec![0; height * width];
        for pixel in self.runs.iter().flat_map(|run| run.start..run.end()) {
            let pixel = pixel as usize;
            mask[pixel % height * width + pixel / height] = 1;
        }
        mask
    }
}

/// Collects the runs of chosen classes from rows.
///
/// Keeps one open run for each column and every run that has ended: memory goes with the complexity of the masks.
#[derive(Debug)]
pub(super) struct ColumnRuns {
    size: Size,
    rows: Rows,
    targets: Vec<Target>,
    planes: Vec<Plane>,
    ended: Vec<Vec<Run>>,
}

#[derive(Debug)]
struct Plane {
    /// For each value, the target it belongs to.
    target_of: Vec<Option<usize>>,
    /// The open run of each column: its value and its first row.
    values: Vec<u16>,
    first_rows: Vec<u32>,
}

impl ColumnRuns {
    pub(super) fn new(size: Size, legend: &Legend, classes: &[u16]) -> Result<Self> {
        let targets = legend.targets(classes)?;
        let plane = |plane| {
            let mut target_of = vec![None; legend.max_value() as usize + 1];
            for (index, target) in targets.iter().enumerate().filter(|(_, target)| target.plane == plane) {
                target_of[target.value as usize] = Some(index);
            }
            Plane { target_of, values: Vec::new(), first_rows: vec![0; size.width as usize] }
        };
        let planes = (0..legend.planes()).map(plane).collect();
        let ended = vec![Vec::new(); targets.len()];
        Ok(Self { size, rows: Rows::new(size, legend), targets, planes, ended })
    }

    pub(super) fn row(&mut self, values: &[u16]) -> Result<()> {
        let row = self.rows.admit(values)?;
        let width = self.size.width as usize;
        for (index, plane) in self.planes.iter_mut().enumerate() {
            plane.row(row, &values[index * width..][..width], self.size.height, &mut self.ended);
        }
        Ok(())
    }

    /// The mask of each class, in the order they were asked for.
    pub(super) fn finish(mut self) -> Result<Vec<(u16, Runs)>> {
        self.rows.complete()?;
        let size = self.size;
        for plane in &mut self.planes {
            for column in 0..plane.values.len() {
                plane.end(column, size.height, size.height, &mut self.ended);
            }
        }
        let build = |(target, mut runs): (&Target, Vec<Run>)| {
            runs.sort_unstable();
            Ok((target.class, Runs::new(size, runs)?))
        };
        self.targets.iter().zip(self.ended).map(build).collect()
    }
}

impl Plane {
    fn row(&mut self, row: u32, values: &[u16], height: u32, ended: &mut [Vec<Run>]) {
        if row == 0 {
            self.values.extend_from_slice(values);
            return;
        }
        for (column, &value) in values.iter().enumerate() {
            if value != self.values[column] {
                self.end(column, row, height, ended);
                self.values[column] = value;
                self.first_rows[column] = row;
            }
        }
    }

    /// Ends the open run of a column before `row`, and keeps it if it is asked for.
    fn end(&self, column: usize, row: u32, height: u32, ended: &mut [Vec<Run>]) {
        if let Some(target) = self.target_of[self.values[column] as usize] {
            let first = self.first_rows[column];
            let start = column as u64 * u64::from(height) + u64::from(first);
            ended[target].push(Run { start, length: u64::from(row - first) });
        }
    }
}
