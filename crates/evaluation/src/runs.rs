//! A label map by the pieces of its rows that have one label: all there is to know of it, in far fewer numbers than pixels.

use crate::components::{Segment, Segments};
use crate::rows::{Piece, Rows};
use marquetry_geometry::run_length;

/// Neighbouring pixels of a row with one label, with another label, or the edge, on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Its first column.
    pub(crate) start: u32,
    /// The column after its last.
    pub(crate) end: u32,
    pub(crate) label: u16,
}

impl Piece for Run {
    fn start(&self) -> u32 {
        self.start
    }

    fn end(&self) -> u32 {
        self.end
    }
}

/// All runs of a label map.
#[derive(Debug)]
pub(crate) struct RunMap {
    pub(crate) rows: Rows<Run>,
}

impl RunMap {
    /// Of `[height, width]` labels. Memory: 12 bytes for each run.
    pub(crate) fn new(width: usize, labels: &[u16]) -> Self {
        let mut rows = Rows::new();
        for row in labels.chunks_exact(width.max(1)) {
            let mut start = 0;
            while start < width {
                let end = start + run_length(&row[start..]);
                rows.push(Run { start: start as u32, end: end as u32, label: row[start] });
                start = end;
            }
            rows.end_row();
        }
        Self { rows }
    }

    /// Of segments, each with the label that `label` gives it.
    pub(crate) fn of_segments(segments: &Segments, label: impl Fn(&Segment) -> u16) -> Self {
        let mut rows = Rows::new();
        for row in segments.rows.places() {
            for segment in &segments.list()[row] {
                let (end, label) = (segment.end, label(segment));
                match rows.last_mut() {
                    Some(Run { end: last, label: same, .. }) if *same == label => *last = end,
                    _ => rows.push(Run { start: segment.start, end, label }),
                }
            }
            rows.end_row();
        }
        Self { rows }
    }

    /// Columns, px.
    pub(crate) fn width(&self) -> usize {
        self.rows.row(0).last().map_or(0, |run| run.end as usize)
    }

    /// Rows, px.
    pub(crate) const fn height(&self) -> usize {
        self.rows.height()
    }

    /// The runs of row `y`; none beyond the last row.
    pub(crate) fn row(&self, y: usize) -> &[Run] {
        self.rows.row(y)
    }

    /// Whether a pixel has this label.
    pub(crate) fn has(&self, label: u16) -> bool {
        self.rows.list().iter().any(|run| run.label == label)
    }
}
