//! Normalised surface distance (Nikolov and others, 2018) in the version that counts border pixels (`MetricsReloaded`):
//! the share of both outlines of a class that lies no further than a tolerance from the other one.
//!
//! A border pixel of a class is one of its pixels with a neighbour above, below, left or right that is not of the class
//! or is outside the image. Distances are Euclidean, between centres of pixels, compared as squares of whole numbers:
//! nothing is rounded. The version that weighs lengths of contours between pixels (marching squares) has other values.

use crate::pair::LabelPair;

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

/// So many pixels are looked at together.
const BLOCK: usize = 64;
/// Where a row has so many times more border pixels than are looked for, it is searched and not walked through.
const SPARSE: usize = 8;

/// A border pixel: its class, then its column, so that a row in ascending order is one class after the other.
fn key(class: u16, column: usize) -> u64 {
    u64::from(class) << 32 | column as u64
}

fn class_of(key: u64) -> usize {
    (key >> 32) as usize
}

/// The counts of each class, for a pair of which nothing is left out but by both sides; `tolerance_px` is at least 0.
/// Memory: 8 bytes for each border pixel in `2 · tolerance_px + 1` rows of both sides.
pub(crate) fn counts(pair: &LabelPair<'_>, classes: usize, tolerance_px: u32) -> Vec<SurfaceCounts> {
    let width = pair.width as usize;
    let mut counts = vec![SurfaceCounts::default(); classes];
    if width == 0 {
        return counts;
    }
    let height = pair.truth.len() / width;
    let reach = (tolerance_px as usize).min(height.saturating_sub(1));
    // Rows around the one that is judged, each in its place by its number.
    let mut rows: Vec<[Vec<u64>; 2]> = vec![Default::default(); 2 * reach + 1];
    let number = rows.len();
    let (mut unmet, mut sorter) = (Vec::new(), ClassSorter::new(classes));
    for y in 0..height + reach {
        if y < height {
            let [truth, predicted] = &mut rows[y % number];
            border_of_row(pair.truth, width, y, &mut sorter, truth);
            border_of_row(pair.predicted, width, y, &mut sorter, predicted);
        }
        let Some(middle) = y.checked_sub(reach) else { continue };
        for side in 0..2 {
            let own = &rows[middle % number][side];
            unmet.clone_from(own);
            for dy in 0..=reach {
                if unmet.is_empty() {
                    break;
                }
                let columns = columns_within(tolerance_px, dy);
                let above = middle.checked_sub(dy).filter(|_| dy > 0);
                let below = Some(middle + dy).filter(|&row| row < height);
                for row in above.into_iter().chain(below) {
                    leave_unmet(&mut unmet, &rows[row % number][1 - side], columns);
                }
            }
            tally(&mut counts, side, own, &unmet);
        }
    }
    counts
}

/// How many columns away a pixel may be that is `dy` rows away: the root of what is left of the square of the tolerance.
const fn columns_within(tolerance_px: u32, dy: usize) -> u64 {
    let (tolerance, dy) = (tolerance_px as u64, dy as u64);
    (tolerance * tolerance - dy * dy).isqrt()
}

/// Keeps those of `unmet` that have none of `others` of their class within so many columns; both ascend.
fn leave_unmet(unmet: &mut Vec<u64>, others: &[u64], columns: u64) {
    if others.is_empty() {
        return;
    }
    let is_sparse = others.len() > SPARSE * unmet.len();
    let mut at = 0;
    unmet.retain(|&pixel| {
        // Not over into the class before.
        let first = pixel - columns.min(pixel & u64::from(u32::MAX));
        at += if is_sparse {
            others[at..].partition_point(|&other| other < first)
        } else {
            others[at..].iter().take_while(|&&other| other < first).count()
        };
        others.get(at).is_none_or(|&other| other > pixel + columns)
    });
}

fn tally(counts: &mut [SurfaceCounts], side: usize, own: &[u64], unmet: &[u64]) {
    for &pixel in own {
        let of_class = &mut counts[class_of(pixel)];
        let (border, near) = match side {
            0 => (&mut of_class.truth, &mut of_class.truth_near),
            _ => (&mut of_class.predicted, &mut of_class.predicted_near),
        };
        *border += 1;
        *near += 1;
    }
    for &pixel in unmet {
        let of_class = &mut counts[class_of(pixel)];
        *(if side == 0 { &mut of_class.truth_near } else { &mut of_class.predicted_near }) -= 1;
    }
}

/// Brings border pixels of a row, which ascend by column, into the order of their classes. It takes a look at each, and one at
/// each class: sorting by comparison took a third of all that is counted here.
struct ClassSorter {
    /// How many pixels of each class there are, then where the next one goes.
    places: Vec<usize>,
    found: Vec<u64>,
}

impl ClassSorter {
    fn new(classes: usize) -> Self {
        Self { places: vec![0; classes], found: Vec::new() }
    }

    /// Writes what was found into `sorted`.
    fn sort_into(&mut self, sorted: &mut Vec<u64>) {
        self.places.fill(0);
        self.found.iter().for_each(|&pixel| self.places[class_of(pixel)] += 1);
        let mut next = 0;
        for place in &mut self.places {
            next += std::mem::replace(place, next);
        }
        sorted.clear();
        sorted.resize(self.found.len(), 0);
        for &pixel in &self.found {
            let place = &mut self.places[class_of(pixel)];
            sorted[*place] = pixel;
            *place += 1;
        }
    }
}

/// Writes the border pixels of a row into `sorted`, in ascending order; only labels below the number of classes have any.
fn border_of_row(labels: &[u16], width: usize, y: usize, sorter: &mut ClassSorter, sorted: &mut Vec<u64>) {
    let classes = sorter.places.len();
    let found = &mut sorter.found;
    found.clear();
    sorted.clear();
    let row = |y: usize| labels.get(y * width..(y + 1) * width);
    let Some(own) = row(y) else { return };
    let mut add = |column: usize| {
        let class = own[column];
        if usize::from(class) < classes {
            found.push(key(class, column));
        }
    };
    let (Some(above), Some(below)) = (y.checked_sub(1).and_then(row), row(y + 1)) else {
        (0..width).for_each(&mut add);
        sorter.sort_into(sorted);
        return;
    };
    add(0);
    // Of the columns between the first and the last, which have a neighbour on each side.
    let last = width - 1;
    for start in (1..last).step_by(BLOCK) {
        let end = (start + BLOCK).min(last);
        let middle = &own[start..end];
        let neighbours =
            [&own[start - 1..end - 1], &own[start + 1..=end], &above[start..end], &below[start..end]];
        let [left, right, up, down] = neighbours.map(|pixels| &pixels[..middle.len()]);
        let differs = |i: usize| {
            let label = middle[i];
            (label ^ left[i]) | (label ^ right[i]) | (label ^ up[i]) | (label ^ down[i])
        };
        // Every pixel is looked at, without a branch: in most blocks nothing differs.
        if (0..middle.len()).fold(0, |any, i| any | differs(i)) != 0 {
            (0..middle.len()).filter(|&i| differs(i) != 0).for_each(|i| add(start + i));
        }
    }
    if last > 0 {
        add(last);
    }
    sorter.sort_into(sorted);
}

#[cfg(test)]
#[path = "surface_tests.rs"]
mod tests;
