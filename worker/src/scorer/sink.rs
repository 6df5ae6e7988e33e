//! Where a scorer puts what it computed.

use crate::Failure;
use crate::block::{BlockTask, CanvasTicket, WorkItem};
use marquetry_ensemble::{Canvas, WindowSums};
use marquetry_geometry::Rect;
use std::sync::MutexGuard;

/// Sums the scores of the windows of one request over its members.
///
/// A window's sum goes to memory of its own until its turn in the canvas has come. Where it has come by the time the
/// last member speaks, rows go from the scorer to the canvas in one step: they are in the cache just then.
///
/// Of each member all rows of a window come from the top, without gaps; members come in order, and with the last member
/// windows do too. What comes otherwise is a bug of the scorer: it panics, and the task fails.
#[derive(Debug)]
pub struct ScoreSink<'a> {
    task: &'a BlockTask,
    item: &'a WorkItem,
    ticket: &'a CanvasTicket<'a>,
    /// For each window what its members said so far.
    sums: Vec<WindowSums>,
    /// The canvas, once it is the item's turn.
    canvas: Option<MutexGuard<'a, Canvas>>,
    /// Windows that all members have spoken for; rows of the one after them come next.
    complete: usize,
    /// Where that one lies, and how many of its rows are there.
    rect: Rect,
    rows: usize,
}

/// The sums of an item's windows, `Σ weight · scores`, on their way to the canvas.
#[derive(Debug, Default)]
pub(crate) struct PendingSums {
    pub(crate) sums: Vec<WindowSums>,
    /// Whether they are in the canvas already.
    pub(crate) added_in_place: bool,
}

impl<'a> ScoreSink<'a> {
    /// Memory of earlier sums is used again.
    pub(crate) fn new(
        task: &'a BlockTask,
        item: &'a WorkItem,
        ticket: &'a CanvasTicket<'a>,
        memory: PendingSums,
    ) -> Self {
        let (size, classes) = (task.group().window.inner, task.classes());
        let mut sums = memory.sums;
        sums.retain(|s| (s.size(), s.classes()) == (size, classes));
        sums.resize_with(item.len(), || WindowSums::new(size, classes));
        sums.iter_mut().for_each(WindowSums::reset);
        Self { task, item, ticket, sums, canvas: None, complete: 0, rect: Rect::whole(size), rows: 0 }
    }

    /// Adds rows of window `k` that `member` (its place in the group) said, from row `first` on: `[C, rows · W]`, views
    /// merged, in the plan's space. They count by the member's weights.
    ///
    /// # Panics
    /// When rows are missing or come out of order, or are not of the window's width and the plan's classes.
    pub fn add(&mut self, k: usize, member: usize, first: usize, rows: &[f32]) {
        let weights = &self.task.group().members[member].weights;
        if member + 1 < self.item.members.end {
            self.sums[k].add(first, weights, rows);
        } else {
            self.add_last(k, weights, first, rows);
        }
    }

    /// Adds rows of window `k` that are summed over all of the requested members already, each by its weights:
    /// `Σ weight · scores`, from row `first` on, `[C, rows · W]`.
    ///
    /// # Panics
    /// As [`add`](Self::add).
    pub fn add_sum(&mut self, k: usize, first: usize, rows: &[f32]) {
        self.add_last(k, &self.task.group_context().unit_weights, first, rows);
    }

    /// Adds rows after which nothing comes for them.
    fn add_last(&mut self, k: usize, weights: &[f32], first: usize, rows: &[f32]) {
        assert_eq!((k, first), (self.complete, self.rows), "windows and rows come in order");
        let per_row = self.rect.size.width as usize * weights.len();
        assert!(!rows.is_empty() && rows.len().is_multiple_of(per_row), "whole rows of all classes");
        if first == 0 {
            self.rect = self.rect_of(k);
            self.enter_canvas();
        }
        match &mut self.canvas {
            Some(canvas) => {
                let importance = &self.task.group_context().importance;
                canvas.add_rows(self.rect, importance, &self.sums[k], weights, first, rows);
            }
            None => self.sums[k].add(first, weights, rows),
        }
        self.rows += rows.len() / per_row;
        if self.rows == self.rect.size.height as usize {
            (self.complete, self.rows) = (k + 1, 0);
        }
    }

    /// Takes the canvas if it is the item's turn by now, and adds the windows that came too early for it. Whoever has
    /// its turn keeps it until its item ends, and so nobody else waits for the canvas meanwhile.
    fn enter_canvas(&mut self) {
        if self.canvas.is_some() {
            return;
        }
        let Some(mut canvas) = self.ticket.try_enter() else { return };
        for (k, sums) in self.sums[..self.complete].iter().enumerate() {
            canvas.add(self.rect_of(k), &self.task.group_context().importance, sums);
        }
        self.canvas = Some(canvas);
    }

    fn rect_of(&self, k: usize) -> Rect {
        self.task.rect(self.item.windows.start + k as u64)
    }

    /// What is to be added to the canvas, or is there already.
    pub(crate) fn finish(self) -> Result<PendingSums, Failure> {
        if self.complete < self.item.len() {
            let (said, asked) = (self.complete, self.item.len());
            return Err(Failure::bug(format!("a scorer gave {said} of {asked} windows")));
        }
        Ok(PendingSums { sums: self.sums, added_in_place: self.canvas.is_some() })
    }
}
