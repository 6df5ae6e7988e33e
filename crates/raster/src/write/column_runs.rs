//! The collector that builds masks, as runs down the columns, from rows.

use super::error::Result;
use super::legend::{Legend, Target};
use super::sink::RowGuard;
use crate::rle::{Run, Runs};
use marquetry_geometry::Size;

/// Collects the runs of chosen classes from rows.
///
/// Keeps one open run for each column and every run that has ended: memory goes with the complexity of the masks.
#[derive(Debug)]
pub(super) struct ColumnRuns {
    size: Size,
    rows: RowGuard,
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
            let mut target_of = vec![None; legend.max_label() as usize + 1];
            for (index, target) in targets.iter().enumerate().filter(|(_, target)| target.plane == plane) {
                target_of[target.value as usize] = Some(index);
            }
            Plane { target_of, values: Vec::new(), first_rows: vec![0; size.width as usize] }
        };
        let planes = (0..legend.planes()).map(plane).collect();
        let ended = vec![Vec::new(); targets.len()];
        Ok(Self { size, rows: RowGuard::new(size, legend), targets, planes, ended })
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
