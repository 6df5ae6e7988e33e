//! Pieces of the rows of an image, and which of them are connected.

use std::ops::Range;

/// Neighbouring pixels of a row that are alike.
pub(crate) trait Piece {
    /// Its first column.
    fn start(&self) -> u32;
    /// The column after its last.
    fn end(&self) -> u32;

    /// Its columns.
    fn columns(&self) -> Range<usize> {
        self.start() as usize..self.end() as usize
    }
}

/// Rows that pieces cover from end to end, each from the left to the right.
#[derive(Debug)]
pub(crate) struct Rows<P> {
    list: Vec<P>,
    /// Where each row begins in `list`, and where the last ends.
    places: Vec<usize>,
}

impl<P: Piece> Rows<P> {
    /// No row yet.
    pub(crate) fn new() -> Self {
        Self { list: Vec::new(), places: vec![0] }
    }

    /// Adds a piece to the row that is not ended.
    pub(crate) fn push(&mut self, piece: P) {
        self.list.push(piece);
    }

    /// The last piece of the row that is not ended.
    pub(crate) fn last_mut(&mut self) -> Option<&mut P> {
        let first = self.places[self.height()];
        self.list[first..].last_mut()
    }

    /// Ends a row.
    pub(crate) fn end_row(&mut self) {
        self.places.push(self.list.len());
    }

    /// All pieces, row by row.
    pub(crate) fn list(&self) -> &[P] {
        &self.list
    }

    /// How many rows there are.
    pub(crate) const fn height(&self) -> usize {
        self.places.len() - 1
    }

    /// The places in the list of the pieces of each row.
    pub(crate) fn places(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.places.array_windows().map(|&[first, end]| first..end)
    }

    /// The pieces of row `y`; none beyond the last row.
    pub(crate) fn row(&self, y: usize) -> &[P] {
        match self.places.get(y..y + 2) {
            Some(&[first, end]) => &self.list[first..end],
            _ => &[],
        }
    }

    /// Calls `touch` with the places of every two pieces that share a side or a corner.
    pub(crate) fn touching(&self, mut touch: impl FnMut(usize, usize)) {
        let mut rows = self.places().peekable();
        while let Some(row) = rows.next() {
            (row.start + 1..row.end).for_each(|right| touch(right - 1, right));
            let Some(Range { start: mut below, end }) = rows.peek().cloned() else { return };
            for (above, piece) in row.clone().zip(&self.list[row]) {
                let left = self.list[below..end].iter().take_while(|below| below.end() < piece.start());
                below += left.count();
                let reached = self.list[below..end].iter().take_while(|below| below.start() <= piece.end());
                (below..).zip(reached).for_each(|(at, _)| touch(above, at));
            }
        }
    }

    /// The component of each piece, where those that touch belong together if they are `alike`; from 0, in the order
    /// of their first pieces. Also how many there are.
    pub(crate) fn components(&self, alike: impl Fn(&P, &P) -> bool) -> (Vec<u32>, usize) {
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
            // A root is the first of its pieces, so it has its number already.
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
