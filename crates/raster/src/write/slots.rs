//! Open outlines: chains of vertices, and the edges at which their ends hang.

use super::trace::Vertex;
use std::collections::VecDeque;

/// An edge at the corner in hand, and the side of it whose outline it is part of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slot {
    /// The edge above the corner, or the one below, for the pixels on its left: run downwards.
    DownLeft,
    /// The same for the pixels on its right: run upwards.
    UpRight,
    /// The edge on the left of the corner, or the one on its right, for the pixels above: run to the left.
    LineAbove,
    /// The same for the pixels below: run to the right.
    LineBelow,
}

/// An open outline. It is run from the head to the tail.
#[derive(Debug, Default)]
struct Chain {
    vertices: VecDeque<Vertex>,
    /// The places where its ends hang.
    head: usize,
    tail: usize,
}

/// All open outlines.
///
/// At a corner, ends that come from above or from the left are taken up, and ends that go down or right are hung up at the
/// same places: a place is read before it is written, since `enter` reads all four at once.
#[derive(Debug)]
pub(super) struct Chains {
    open: Vec<Chain>,
    free: Vec<usize>,
    /// The chain whose end hangs at each place: two for each column of corners, then the two of the line.
    places: Vec<usize>,
    column: usize,
    /// What hung at the four places of the corner when it was entered.
    hanging: [usize; 4],
}

impl Chains {
    /// For rows of `corners` corners.
    pub(super) fn new(corners: usize) -> Self {
        let places = vec![0; 2 * corners + 2];
        Self { open: Vec::new(), free: Vec::new(), places, column: 0, hanging: [0; 4] }
    }

    /// Goes to the corner of column `column`.
    pub(super) fn enter(&mut self, column: usize) {
        self.column = column;
        let slots = [Slot::DownLeft, Slot::UpRight, Slot::LineAbove, Slot::LineBelow];
        self.hanging = slots.map(|slot| self.places[self.place(slot)]);
    }

    fn place(&self, slot: Slot) -> usize {
        match slot {
            Slot::DownLeft => 2 * self.column,
            Slot::UpRight => 2 * self.column + 1,
            Slot::LineAbove => self.places.len() - 2,
            Slot::LineBelow => self.places.len() - 1,
        }
    }

    /// Begins a chain at a vertex, both ends of which go on.
    pub(super) fn start(&mut self, head: Slot, tail: Slot, at: Vertex) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.open.push(Chain::default());
            self.open.len() - 1
        });
        let (head, tail) = (self.place(head), self.place(tail));
        self.open[index].vertices.push_back(at);
        self.hang_head(index, head);
        self.hang_tail(index, tail);
    }

    /// The head that hangs at `from` turns at a vertex and hangs at `to`.
    pub(super) fn extend_head(&mut self, from: Slot, to: Slot, at: Vertex) {
        let index = self.hanging[from as usize];
        self.open[index].vertices.push_front(at);
        self.hang_head(index, self.place(to));
    }

    /// The tail that hangs at `from` turns at a vertex and hangs at `to`.
    pub(super) fn extend_tail(&mut self, from: Slot, to: Slot, at: Vertex) {
        let index = self.hanging[from as usize];
        self.open[index].vertices.push_back(at);
        self.hang_tail(index, self.place(to));
    }

    /// The tail at one place and the head at another meet at a vertex. Answers the ring if they are one chain's.
    pub(super) fn meet(&mut self, tail: Slot, head: Slot, at: Vertex) -> Option<Vec<Vertex>> {
        let (first, second) = (self.hanging[tail as usize], self.hanging[head as usize]);
        self.open[first].vertices.push_back(at);
        if first == second {
            self.free.push(first);
            return Some(std::mem::take(&mut self.open[first].vertices).into());
        }
        // The shorter chain is poured into the longer.
        if self.open[first].vertices.len() >= self.open[second].vertices.len() {
            let mut rest = std::mem::take(&mut self.open[second].vertices);
            self.open[first].vertices.append(&mut rest);
            self.hang_tail(first, self.open[second].tail);
            self.free.push(second);
        } else {
            let rest = std::mem::take(&mut self.open[first].vertices);
            rest.into_iter().rev().for_each(|vertex| self.open[second].vertices.push_front(vertex));
            self.hang_head(second, self.open[first].head);
            self.free.push(first);
        }
        None
    }

    fn hang_head(&mut self, index: usize, place: usize) {
        self.open[index].head = place;
        self.places[place] = index;
    }

    fn hang_tail(&mut self, index: usize, place: usize) {
        self.open[index].tail = place;
        self.places[place] = index;
    }
}
