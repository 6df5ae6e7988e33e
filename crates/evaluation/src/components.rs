//! Connected components of a pair of label maps, by the pieces of rows in which neither changes.

use crate::pair::LabelPair;
use crate::rows::{Piece, Rows};
use crate::runs::RunMap;

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

impl Piece for Segment {
    fn start(&self) -> u32 {
        self.start
    }

    fn end(&self) -> u32 {
        self.end
    }
}

/// All segments of an image, row by row, left to right.
#[derive(Debug)]
pub struct Segments {
    pub(crate) rows: Rows<Segment>,
}

impl Segments {
    /// Of a pair of label maps. Memory: 16 bytes for each segment.
    pub fn new(pair: &LabelPair<'_>) -> Self {
        let width = pair.width as usize;
        Self::of_runs(&RunMap::new(width, pair.truth), &RunMap::new(width, pair.predicted))
    }

    /// Of two maps of one size.
    pub(crate) fn of_runs(truth: &RunMap, predicted: &RunMap) -> Self {
        let mut rows = Rows::new();
        for row in 0..truth.rows.height().min(predicted.rows.height()) {
            let mut sides = [truth.rows.row(row), predicted.rows.row(row)];
            let mut start = 0;
            while let [[t, ..], [p, ..]] = sides {
                let end = t.end.min(p.end);
                let (truth, predicted) = (t.label, p.label);
                rows.push(Segment { row: row as u32, start, end, truth, predicted });
                // Where one side goes on for long, the other has pieces in it.
                sides = sides.map(|runs| if runs[0].end == end { &runs[1..] } else { runs });
                start = end;
            }
            rows.end_row();
        }
        Self { rows }
    }

    /// All of them.
    pub fn list(&self) -> &[Segment] {
        self.rows.list()
    }

    /// The component of each segment, where those that touch, with a side or a corner, belong together if they are `alike`;
    /// from 0, in the order of their first segments. Also how many there are.
    pub fn components(&self, alike: impl Fn(&Segment, &Segment) -> bool) -> (Vec<u32>, usize) {
        self.rows.components(alike)
    }

    /// The component of each segment by the label of one side alone, as of [`components`](Self::components).
    pub(crate) fn components_of_side(&self, label: impl Fn(&Segment) -> u16) -> (Vec<u32>, usize) {
        // That side has fewer pieces.
        let runs = RunMap::of_segments(self, label);
        let (of_run, number) = runs.rows.components(|a, b| a.label == b.label);
        let mut of_segment = Vec::with_capacity(self.list().len());
        let mut segments = self.list().iter();
        for (run, component) in runs.rows.list().iter().zip(of_run) {
            let parts = 1 + segments.by_ref().take_while(|segment| segment.end < run.end).count();
            of_segment.extend(std::iter::repeat_n(component, parts));
        }
        (of_segment, number)
    }
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
