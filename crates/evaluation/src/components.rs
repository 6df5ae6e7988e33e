//! Connected components of a pair of label maps, by the pieces of rows in which neither changes.

use crate::pair::LabelPair;
use marquetry_geometry::run_length;

/// Neighbouring pixels of a row with one truth and one prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its row.
    pub row: u32,
    /// Its first column.
    pub start: u32,
    /// The column after its last.
    pub end: u32,
    /// The label of the truth.
    pub truth: u16,
    /// The predicted label.
    pub predicted: u16,
}

impl Segment {
    /// How many pixels it has.
    pub const fn pixels(&self) -> u64 {
        (self.end - self.start) as u64
    }

    /// Whether the prediction is the truth.
    pub const fn is_right(&self) -> bool {
        self.truth == self.predicted
    }
}

/// All segments of an image, row by row, left to right.
#[derive(Debug)]
pub struct Segments {
    list: Vec<Segment>,
    /// Where each row begins in `list`, and where the last ends.
    rows: Vec<usize>,
}

impl Segments {
    /// Of a pair of label maps. Memory: 16 bytes for each segment.
    pub fn new(pair: &LabelPair<'_>) -> Self {
        let width = pair.width.max(1) as usize;
        let (mut list, mut rows) = (Vec::new(), vec![0]);
        let lines = pair.truth.chunks_exact(width).zip(pair.predicted.chunks_exact(width));
        for (row, (truth, predicted)) in lines.enumerate() {
            let (mut start, mut left) = (0, [0; 2]);
            while start < width {
                // Where one side goes on for long, the other has pieces in it.
                left[0] = if left[0] > 0 { left[0] } else { run_length(&truth[start..]) };
                left[1] = if left[1] > 0 { left[1] } else { run_length(&predicted[start..]) };
                let length = left[0].min(left[1]);
                left = left.map(|left| left - length);
                list.push(Segment {
                    row: row as u32,
                    start: start as u32,
                    end: (start + length) as u32,
                    truth: truth[start],
                    predicted: predicted[start],
                });
                start += length;
            }
            rows.push(list.len());
        }
        Self { list, rows }
    }

    /// All of them.
    pub fn list(&self) -> &[Segment] {
        &self.list
    }

    /// Calls `touch` for every two segments that share a side or a corner.
    pub(crate) fn touching(&self, mut touch: impl FnMut(usize, usize)) {
        for row in 0..self.rows.len() - 1 {
            let (first, end) = (self.rows[row], self.rows[row + 1]);
            (first + 1..end).for_each(|right| touch(right - 1, right));
            let Some(&end_below) = self.rows.get(row + 2) else { continue };
            let mut below = end;
            for above in first..end {
                let Segment { start, end, .. } = self.list[above];
                while below < end_below && self.list[below].end < start {
                    below += 1;
                }
                let reached = (below..end_below).take_while(|&at| self.list[at].start <= end);
                reached.for_each(|at| touch(above, at));
            }
        }
    }

    /// The component of each segment, where those that touch belong together if they are `alike`; from 0, in the order
    /// of their first segments.
    pub fn components(&self, alike: impl Fn(&Segment, &Segment) -> bool) -> (Vec<u32>, usize) {
        let mut parents: Vec<u32> = (0..self.list.len() as u32).collect();
        self.touching(|a, b| {
            if alike(&self.list[a], &self.list[b]) {
                let (a, b) = (find(&mut parents, a as u32), find(&mut parents, b as u32));
                parents[a.max(b) as usize] = a.min(b);
            }
        });
        let mut number = 0;
        let mut numbers = vec![0; parents.len()];
        for at in 0..parents.len() as u32 {
            let root = find(&mut parents, at);
            // A root is the first of its segments, so it has its number already.
            numbers[at as usize] = if root == at {
                number += 1;
                number - 1
            } else {
                numbers[root as usize]
            };
        }
        (numbers, number as usize)
    }
}

/// The root of a component, halving the way to it.
fn find(parents: &mut [u32], mut at: u32) -> u32 {
    while parents[at as usize] != at {
        parents[at as usize] = parents[parents[at as usize] as usize];
        at = parents[at as usize];
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// As flooding from every pixel over all eight neighbours.
        #[test]
        fn components_are_what_flooding_finds(
            width in 1_usize..9, cells in proptest::collection::vec(0_u16..3, 1..72),
        ) {
            let height = cells.len() / width;
            let labels = &cells[..height * width];
            let other: Vec<u16> = labels.iter().rev().copied().collect();
            let pair = LabelPair { width: width as u32, truth: labels, predicted: &other };
            let segments = Segments::new(&pair);
            let (numbers, count) = segments.components(|a, b| a.truth == b.truth);
            let mut found = vec![0; labels.len()];
            for (segment, &number) in segments.list().iter().zip(&numbers) {
                let at = segment.row as usize * width;
                found[at + segment.start as usize..at + segment.end as usize].fill(number);
            }
            let mut flooded = vec![u32::MAX; labels.len()];
            let mut next = 0;
            for from in 0..labels.len() {
                if flooded[from] != u32::MAX { continue; }
                let mut open = vec![from];
                flooded[from] = next;
                while let Some(at) = open.pop() {
                    let (y, x) = ((at / width) as i64, (at % width) as i64);
                    for (dy, dx) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx))) {
                        let (y, x) = (y + dy, x + dx);
                        if !(0..height as i64).contains(&y) || !(0..width as i64).contains(&x) { continue; }
                        let there = y as usize * width + x as usize;
                        if labels[there] == labels[at] && flooded[there] == u32::MAX {
                            flooded[there] = next;
                            open.push(there);
                        }
                    }
                }
                next += 1;
            }
            prop_assert_eq!(found, flooded);
            prop_assert_eq!(count, next as usize);
        }
    }
}
