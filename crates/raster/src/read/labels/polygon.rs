//! Outlines to pixels, by COCO's rule.
//!
//! COCO's own tools (`rleFrPoly` of maskApi) draw an outline on a grid five times as fine, and a column of pixels is
//! entered or left where the outline crosses the middle of the column; the row follows from the higher of the two fine
//! points beside the crossing. The same pixels come out here, to the last one, without the fine points: the crossings of
//! an edge are computed, for the columns of the image alone. So an outline that reaches far out of the image costs no
//! more than one inside.

use crate::rle::{Run, Runs, RunsError};
use marquetry_geometry::Size;

/// Fine points of a pixel's side.
const FINE: i64 = 5;
/// Coordinates beyond this are no outline of an image; below it, fine points are exact.
const COORDINATE_MAX: f64 = 1e12;

/// A point of the fine grid, x to the right and y down.
type FinePoint = (i64, i64);

/// Why rings are no mask.
#[derive(Debug, thiserror::Error)]
pub(super) enum PolygonError {
    #[error("an outline has {0} numbers; x and y must come in pairs")]
    Odd(usize),
    #[error("an outline has the coordinate {0}")]
    Coordinate(f64),
    #[error(
        "its outlines cross the columns of the image more often than memory is allowed for: {0} times are left"
    )]
    TooMany(usize),
    #[error(transparent)]
    Runs(#[from] RunsError),
}

/// The union of rings `x, y, x, y, …` in pixel-edge coordinates. Rings of fewer than three points have no pixels. At most
/// `crossings_max` crossings are kept, of all rings together.
pub(super) fn fill(rings: &[Vec<f64>], size: Size, crossings_max: usize) -> Result<Runs, PolygonError> {
    let mut runs = Vec::new();
    for ring in rings {
        let (points, []) = ring.as_chunks::<2>() else { return Err(PolygonError::Odd(ring.len())) };
        let strange = |number: &&f64| !number.is_finite() || number.abs() > COORDINATE_MAX;
        if let Some(&number) = ring.iter().find(strange) {
            return Err(PolygonError::Coordinate(number));
        }
        if points.len() < 3 {
            continue;
        }
        let points: Vec<FinePoint> = points.iter().map(|&[x, y]| (fine(x), fine(y))).collect();
        let mut crossings =
            Crossings { size, max: crossings_max.saturating_sub(2 * runs.len()), all: Vec::new() };
        for (&from, &to) in points.iter().zip(points.iter().cycle().skip(1)) {
            crossings.edge(from, to)?;
        }
        crossings.all.sort_unstable();
        let pairs = crossings.all.as_chunks::<2>().0.iter().filter(|[from, to]| from < to);
        runs.extend(pairs.map(|&[start, end]| Run { start, length: end - start }));
    }
    Ok(Runs::union(size, runs)?)
}

/// The fine point nearest to a coordinate, with halves and negative numbers as C's cast has them.
fn fine(coordinate: f64) -> i64 {
    (FINE as f64 * coordinate + 0.5) as i64
}

/// Places, counted down the columns, at which a ring is entered or left.
struct Crossings {
    size: Size,
    max: usize,
    all: Vec<u64>,
}

impl Crossings {
    /// Adds the crossings of one edge. A closed ring crosses every column an even number of times.
    fn edge(&mut self, from: FinePoint, to: FinePoint) -> Result<(), PolygonError> {
        let (dx, dy) = ((from.0 - to.0).abs(), (from.1 - to.1).abs());
        // Fine points are counted along the longer axis, in the direction of its numbers.
        let swap = if dx >= dy { from.0 > to.0 } else { from.1 > to.1 };
        let (from, to) = if swap { (to, from) } else { (from, to) };
        if dx >= dy {
            let slope = (to.1 - from.1) as f64 / dx.max(1) as f64;
            let row = |x: i64| (from.1 as f64 + slope * (x - from.0) as f64 + 0.5) as i64;
            for column in self.columns(from.0, to.0) {
                let x = middle(column);
                self.cross(column, row(x).min(row(x + 1)))?;
            }
        } else {
            let slope = (to.0 - from.0) as f64 / dy as f64;
            let x_at = |step: i64| (from.0 as f64 + slope * step as f64 + 0.5) as i64;
            let (first, last) = (x_at(0), x_at(dy));
            for column in self.columns(first.min(last), first.max(last)) {
                // The first step behind the crossing: steps are ordered, so it is found by halving.
                let behind = |step: i64| (x_at(step) > middle(column)) == (first < last);
                let (mut before, mut after) = (0, dy);
                while after - before > 1 {
                    let half = before.midpoint(after);
                    if behind(half) { after = half } else { before = half }
                }
                self.cross(column, from.1 + before)?;
            }
        }
        Ok(())
    }

    /// The columns of the image whose middle lies between two fine points of an edge that goes from `low` to `high`.
    fn columns(&self, low: i64, high: i64) -> std::ops::RangeInclusive<i64> {
        let first = (low - middle(0) + FINE - 1).div_euclid(FINE).max(0);
        let last = (high - middle(0) - 1).div_euclid(FINE).min(i64::from(self.size.width) - 1);
        first..=last
    }

    /// Adds the crossing of a column's middle, the higher of the two fine points beside which is in fine row `y`.
    fn cross(&mut self, column: i64, y: i64) -> Result<(), PolygonError> {
        if self.all.len() >= self.max {
            return Err(PolygonError::TooMany(self.max));
        }
        let height = i64::from(self.size.height);
        let row = (y - middle(0) + FINE - 1).div_euclid(FINE).clamp(0, height);
        self.all.push((column * height + row) as u64);
        Ok(())
    }
}

/// The fine point before the middle of a pixel; the one after it is the next.
const fn middle(pixel: i64) -> i64 {
    FINE * pixel + FINE / 2
}
