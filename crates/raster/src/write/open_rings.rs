//! Rings that are still open: chains of vertices, and the pixel edges at which their ends wait to go on.

use super::trace::Vertex;
use std::collections::VecDeque;

/// An edge at the corner in hand, and the side of it whose outline it is part of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edge {
    /// The edge above the corner, or the one below, for the pixels on its left: run downwards.
    DownLeft,
    /// The same for the pixels on its right: run upwards.
    UpRight,
    /// The edge on the left of the corner, or the one on its right, for the pixels above: run to the left.
    LineAbove,
    /// The same for the pixels below: run to the right.
    LineBelow,
}

/// A ring that is not closed yet. It is run from the head to the tail.
#[derive(Debug, Default)]
struct OpenRing {
    vertices: VecDeque<Vertex>,
    /// Where its ends hang: indices into [`OpenRings::ends`].
    head: usize,
    tail: usize,
}

/// All rings that are not closed yet.
///
/// At a corner, ends that come from above or from the left are taken up, and ends that go down or right are hung up at the
/// same edges: an edge is read before it is written, since `enter` reads all four at once.
#[derive(Debug)]
pub(super) struct OpenRings {
    open: Vec<OpenRing>,
    free: Vec<usize>,
    /// The ring whose end hangs at each edge: two for each column of corners, then the two of the line.
    ends: Vec<usize>,
    column: usize,
    /// What hung at the four edges of the corner when it was entered.
    hanging: [usize; 4],
}

impl OpenRings {
    /// For rows of `corners` corners.
    pub(super) fn new(corners: usize) -> Self {
        let ends = vec![0; 2 * corners + 2];
        Self { open: Vec::new(), free: Vec::new(), ends, column: 0, hanging: [0; 4] }
    }

    /// Goes to the corner of column `column`.
    pub(super) fn enter(&mut self, column: usize) {
        self.column = column;
        let edges = [Edge::DownLeft, Edge::UpRight, Edge::LineAbove, Edge::LineBelow];
        self.hanging = edges.map(|edge| self.ends[self.end_at(edge)]);
    }

    fn end_at(&self, edge: Edge) -> usize {
        match edge {
            Edge::DownLeft => 2 * self.column,
            Edge::UpRight => 2 * self.column + 1,
            Edge::LineAbove => self.ends.len() - 2,
            Edge::LineBelow => self.ends.len() - 1,
        }
    }

    /// Begins a ring at a vertex, both ends of which go on.
    pub(super) fn start(&mut self, head: Edge, tail: Edge, at: Vertex) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.open.push(OpenRing::default());
            self.open.len() - 1
        });
        let (head, tail) = (self.end_at(head), self.end_at(tail));
        self.open[index].vertices.push_back(at);
        self.hang_head(index, head);
        self.hang_tail(index, tail);
    }

    /// The head that hangs at `from` turns at a vertex and hangs at `to`.
    pub(super) fn extend_head(&mut self, from: Edge, to: Edge, at: Vertex) {
        let index = self.hanging[from as usize];
        self.open[index].vertices.push_front(at);
        self.hang_head(index, self.end_at(to));
    }

    /// The tail that hangs at `from` turns at a vertex and hangs at `to`.
    pub(super) fn extend_tail(&mut self, from: Edge, to: Edge, at: Vertex) {
        let index = self.hanging[from as usize];
        self.open[index].vertices.push_back(at);
        self.hang_tail(index, self.end_at(to));
    }

    /// The tail at one edge and the head at another meet at a vertex. Answers the ring if they are one open ring's.
    pub(super) fn meet(&mut self, tail: Edge, head: Edge, at: Vertex) -> Option<Vec<Vertex>> {
        let (first, second) = (self.hanging[tail as usize], self.hanging[head as usize]);
        self.open[first].vertices.push_back(at);
        if first == second {
            self.free.push(first);
            return Some(std::mem::take(&mut self.open[first].vertices).into());
        }
        // The shorter one is poured into the longer.
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

    fn hang_head(&mut self, index: usize, end: usize) {
        self.open[index].head = end;
        self.ends[end] = index;
    }

    fn hang_tail(&mut self, index: usize, end: usize) {
        self.open[index].tail = end;
        self.ends[end] = index;
    }
}
