//! One image as the ledger sees it: tasks in stages.

use super::failures::Failures;
use std::ops::Range;

/// Where an image stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its tasks are being done.
    Computing,
    /// It is being put together.
    Aggregating,
    /// Its outputs are stored.
    Done,
    /// It was given up.
    Lost,
}

#[derive(Debug, Clone)]
pub(super) struct ImageState {
    /// Where each stage ends among the image's tasks.
    stage_ends: Box<[u32]>,
    /// Which tasks are stored, given up, or not needed.
    pub(super) done: Box<[bool]>,
    /// Tasks that are not done.
    pub(super) open: u32,
    /// Whether its first stage has begun: its tasks are handed out, or about to be.
    pub(super) begun: bool,
    /// The stage whose tasks are being done.
    stage: usize,
    /// Its tasks that are not done; kept for all stages but the last, where it is `open`.
    open_in_stage: u32,
    /// The first task of this stage that was not looked at for handing out.
    next: u32,
    /// Tasks of the last stage that were given up: gaps in what is put together.
    pub(super) gaps: u32,
    /// Whether pixels of it are missing, which cannot be read.
    pub(super) lacks_pixels: bool,
    pub(super) attempt: u32,
    /// Attempts that failed; one that found damage nobody knew of does not count against the image.
    pub(super) failures: Option<Box<Failures>>,
    pub(super) phase: Phase,
}

impl ImageState {
    /// Nothing done yet; `stages` holds the number of tasks of each.
    pub(super) fn new(stages: &[u32]) -> Self {
        let ends: Vec<u32> = stages
            .iter()
            .scan(0, |end, tasks| {
                *end += tasks;
                Some(*end)
            })
            .collect();
        let open = ends.last().copied().unwrap_or(0);
        Self {
            stage_ends: ends.into(),
            done: vec![false; open as usize].into(),
            open,
            begun: false,
            stage: 0,
            open_in_stage: 0,
            next: 0,
            gaps: 0,
            lacks_pixels: false,
            attempt: 1,
            failures: None,
            phase: Phase::Computing,
        }
    }

    fn last_stage(&self) -> usize {
        self.stage_ends.len().saturating_sub(1)
    }

    fn tasks_of(&self, stage: usize) -> Range<u32> {
        let end = |stage: usize| self.stage_ends.get(stage).copied().unwrap_or(0);
        stage.checked_sub(1).map_or(0, end)..end(stage)
    }

    fn open_in(&self, places: Range<u32>) -> u32 {
        self.done[places.start as usize..places.end as usize].iter().filter(|done| !**done).count() as u32
    }

    /// Whether a task belongs to the last stage: what is stored of it is put together, and may be missing there.
    pub(super) fn is_of_last_stage(&self, place: u32) -> bool {
        self.tasks_of(self.last_stage()).contains(&place)
    }

    /// Number of tasks of the last stage.
    pub(super) fn last_stage_len(&self) -> u32 {
        self.tasks_of(self.last_stage()).len() as u32
    }

    /// Goes on to the first stage, from the present one, with tasks to be done. What no later task waits for is left
    /// out: the number of tasks that are done thereby.
    pub(super) fn enter_stage(&mut self) -> u32 {
        let mut left_out = 0;
        loop {
            let tasks = self.tasks_of(self.stage);
            self.next = tasks.start;
            if self.stage >= self.last_stage() {
                return left_out;
            }
            let later = self.open_in(tasks.end..self.done.len() as u32);
            if later == 0 {
                left_out += self.open_in(tasks.clone());
                self.done[tasks.start as usize..tasks.end as usize].fill(true);
                self.open = 0;
            }
            self.open_in_stage = self.open_in(tasks);
            if self.open_in_stage > 0 {
                return left_out;
            }
            self.stage += 1;
        }
    }

    /// Marks a task as done; false if it was.
    pub(super) fn mark(&mut self, place: u32) -> bool {
        if std::mem::replace(&mut self.done[place as usize], true) {
            return false;
        }
        self.open -= 1;
        if self.begun && !self.is_in_last_stage() && self.tasks_of(self.stage).contains(&place) {
            self.open_in_stage -= 1;
        }
        true
    }

    /// Marks a task as open again; false if it was.
    pub(super) fn unmark(&mut self, place: u32) -> bool {
        if !std::mem::replace(&mut self.done[place as usize], false) {
            return false;
        }
        self.open += 1;
        if self.begun && !self.is_in_last_stage() && self.tasks_of(self.stage).contains(&place) {
            self.open_in_stage += 1;
        }
        true
    }

    /// Whether every task of the present stage is done, and another stage follows.
    pub(super) fn has_ended_stage(&self) -> bool {
        !self.is_in_last_stage() && self.open_in_stage == 0
    }

    /// Whether tasks of the present stage are left to be handed out.
    pub(super) fn has_tasks(&self) -> bool {
        if self.is_in_last_stage() { self.open > 0 } else { self.open_in_stage > 0 }
    }

    /// Whether tasks of the last stage are being done.
    pub(super) fn is_in_last_stage(&self) -> bool {
        self.stage >= self.last_stage()
    }

    /// Back to the last stage, of which something has to be done again.
    pub(super) fn return_to_last_stage(&mut self) {
        self.stage = self.last_stage();
        self.next = self.tasks_of(self.stage).end;
    }

    /// The next task of the present stage to be handed out.
    pub(super) fn hand_out(&mut self) -> Option<u32> {
        if self.phase != Phase::Computing {
            return None;
        }
        let end = self.tasks_of(self.stage).end;
        while self.next < end {
            let place = self.next;
            self.next += 1;
            if !self.done[place as usize] {
                return Some(place);
            }
        }
        None
    }

    /// Hands the open tasks of the present stage out once more.
    pub(super) fn rewind_stage(&mut self) {
        self.next = self.tasks_of(self.stage).start;
    }

    /// Back to where tasks are done, with all tries of the image before it.
    pub(super) fn reopen(&mut self) {
        if self.phase != Phase::Computing {
            self.phase = Phase::Computing;
            self.attempt += 1;
            self.failures = None;
        }
    }
}
