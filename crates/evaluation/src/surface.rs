//! Normalised surface distance (Nikolov and others, 2018) in the version that counts border pixels (`MetricsReloaded`):
//! the share of both outlines of a class that lies no further than a tolerance from the other one.
//!
//! A border pixel of a class is one of its pixels with a neighbour above, below, left or right that is not of the class
//! or is outside the image. Distances are Euclidean, between centres of pixels, compared as squares of whole numbers:
//! nothing is rounded. The version that weighs lengths of contours between pixels (marching squares) has other values.

use crate::runs::{Run, RunMap};
use std::ops::Range;

/// Border pixels of one class on both sides, and those near the other side's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct SurfaceCounts {
    /// Border pixels of the truth.
    pub truth: u64,
    /// Those of them with one of the prediction within the tolerance.
    pub truth_near: u64,
    /// Border pixels of the prediction.
    pub predicted: u64,
    /// Those of them with one of the truth within the tolerance.
    pub predicted_near: u64,
}

impl SurfaceCounts {
    /// Normalised surface distance, 0 to 1, 1 at best; none where neither side has the class, 0 where one side has.
    pub fn nsd(&self) -> Option<f64> {
        let border = self.truth + self.predicted;
        (border > 0).then(|| (self.truth_near + self.predicted_near) as f64 / border as f64)
    }

    /// Adds another's counts.
    pub const fn add(&mut self, other: &Self) {
        self.truth += other.truth;
        self.truth_near += other.truth_near;
        self.predicted += other.predicted;
        self.predicted_near += other.predicted_near;
    }
}

/// Stands in a row where there is no border pixel of a class.
const NO_BORDER: u16 = u16::MAX;

/// The border pixels of a row, from the left to the right.
#[derive(Debug, Clone)]
struct Border {
    columns: Vec<u32>,
    /// For each column: the class of its border pixel, or [`NO_BORDER`].
    classes: Vec<u16>,
}

/// The counts of each class, for a pair of which nothing is left out but by both sides. Memory: 2 bytes for each column and 4
/// for each border pixel of `2 · tolerance_px + 1` rows of both sides.
pub(crate) fn counts(
    truth: &RunMap,
    predicted: &RunMap,
    classes: usize,
    tolerance_px: u32,
) -> Vec<SurfaceCounts> {
    let (width, height) = (truth.width(), truth.height());
    let mut counts = vec![SurfaceCounts::default(); classes];
    let reach = (tolerance_px as usize).min(height.saturating_sub(1));
    // Rows around the one that is judged, each in its place by its number.
    let none = Border { columns: Vec::new(), classes: vec![NO_BORDER; width] };
    let mut rows = vec![[none.clone(), none]; 2 * reach + 1];
    let number = rows.len();
    for y in 0..height + reach {
        if y < height {
            let [of_truth, of_predicted] = &mut rows[y % number];
            of_truth.take_row(truth, y, classes);
            of_predicted.take_row(predicted, y, classes);
        }
        let Some(middle) = y.checked_sub(reach) else { continue };
        for side in 0..2 {
            let others = |y: usize| &rows[y % number][1 - side];
            let around = around(middle, reach, height, tolerance_px, others);
            let own = &rows[middle % number][side];
            for &column in &own.columns {
                let (column, class) = (column as usize, own.classes[column as usize]);
                let is_near = around.iter().any(|(row, columns)| row.has(class, column, *columns));
                counts[usize::from(class)].add_pixel(side, u64::from(is_near));
            }
        }
    }
    counts
}

/// The rows within `reach` of row `y`, the nearest first, and how many columns away a pixel may be in each.
fn around<R>(
    y: usize,
    reach: usize,
    height: usize,
    tolerance_px: u32,
    row: impl Fn(usize) -> R,
) -> Vec<(R, usize)> {
    let mut around = Vec::with_capacity(2 * reach + 1);
    for dy in 0..=reach {
        let columns = columns_within(tolerance_px, dy);
        let above = y.checked_sub(dy).filter(|_| dy > 0);
        let below = Some(y + dy).filter(|&below| below < height);
        around.extend([above, below].into_iter().flatten().map(|y| (row(y), columns)));
    }
    around
}

/// How many columns away a pixel may be that is `dy` rows away: the root of what is left of the square of the tolerance.
const fn columns_within(tolerance_px: u32, dy: usize) -> usize {
    let (tolerance, dy) = (tolerance_px as u64, dy as u64);
    (tolerance * tolerance - dy * dy).isqrt() as usize
}

impl SurfaceCounts {
    /// Counts a border pixel of one side.
    const fn add_pixel(&mut self, side: usize, is_near: u64) {
        if side == 0 {
            self.truth += 1;
            self.truth_near += is_near;
        } else {
            self.predicted += 1;
            self.predicted_near += is_near;
        }
    }
}

impl Border {
    /// Whether a border pixel of `class` lies no more than so many columns away.
    fn has(&self, class: u16, column: usize, columns: usize) -> bool {
        let end = (column + columns + 1).min(self.classes.len());
        self.classes[column.saturating_sub(columns)..end].contains(&class)
    }

    /// Takes those of row `y`, instead of what was there; only labels below the number of classes have any.
    fn take_row(&mut self, map: &RunMap, y: usize, classes: usize) {
        self.columns.drain(..).for_each(|column| self.classes[column as usize] = NO_BORDER);
        let mut above = y.checked_sub(1).map_or(&[][..], |above| map.row(above));
        let mut below = map.row(y + 1);
        for run in map.row(y).iter().filter(|run| usize::from(run.label) < classes) {
            let mut next = run.start;
            inside(run, &mut above, &mut below, |inside| {
                self.add(next..inside.start, run.label);
                next = inside.end;
            });
            self.add(next..run.end, run.label);
        }
    }

    fn add(&mut self, columns: Range<u32>, class: u16) {
        self.classes[columns.start as usize..columns.end as usize].fill(class);
        self.columns.extend(columns);
    }
}

/// Calls `each` with the columns of a run that have its label on all four sides, from the left to the right. Of `above` and
/// `below`, the runs of the rows there, those to the left of it are taken away.
fn inside(run: &Run, above: &mut &[Run], below: &mut &[Run], mut each: impl FnMut(Range<u32>)) {
    let within = run.start + 1..run.end - 1;
    if within.is_empty() {
        return;
    }
    skip_to(above, within.start);
    for up in above.iter().take_while(|up| up.start < within.end).filter(|up| up.label == run.label) {
        let both = up.start.max(within.start)..up.end.min(within.end);
        skip_to(below, both.start);
        for down in below.iter().take_while(|down| down.start < both.end) {
            if down.label == run.label {
                each(down.start.max(both.start)..down.end.min(both.end));
            }
        }
    }
}

/// Takes away what ends before a column.
fn skip_to(runs: &mut &[Run], column: u32) {
    while let [first, rest @ ..] = runs
        && first.end <= column
    {
        *runs = rest;
    }
}

#[cfg(test)]
#[path = "surface_tests.rs"]
mod tests;
