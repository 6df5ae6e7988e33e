//! One image as the ledger sees it: tasks in stages.

use super::failures::Failures;
use super::stages::Stages;
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
    /// The first stage that is a round: what is given up of it is a gap.
    rounds_from: usize,
    /// How many of the last tasks before the rounds are needed to put the image together.
    for_image: u32,
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
    /// Tasks of rounds that were given up: gaps in what is put together.
    pub(super) gaps: u32,
    /// Whether pixels of it are missing, which cannot be read.
    pub(super) lacks_pixels: bool,
    pub(super) attempt: u32,
    /// Attempts that failed; one that found damage nobody knew of does not count against the image.
    pub(super) failures: Option<Box<Failures>>,
    pub(super) phase: Phase,
}

impl ImageState {
    /// Nothing done yet.
    pub(super) fn new(stages: &Stages) -> Self {
        let ends: Vec<u32> = stages
            .tasks()
            .iter()
            .scan(0, |end, tasks| {
                *end += tasks;
                Some(*end)
            })
            .collect();
        let open = ends.last().copied().unwrap_or(0);
        Self {
            stage_ends: ends.into(),
            rounds_from: stages.rounds_from(),
            for_image: stages.for_image(),
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

    fn stage_of(&self, place: u32) -> usize {
        self.stage_ends.partition_point(|end| *end <= place)
    }

    /// Whether a task belongs to a round: what is stored of it is put together, and may be missing there.
    pub(super) fn is_of_round(&self, place: u32) -> bool {
        self.stage_of(place) >= self.rounds_from
    }

    /// Whether a task belongs to the stage whose tasks are being done, or to the last one.
    pub(super) fn is_at_hand(&self, place: u32) -> bool {
        let stage = self.stage_of(place);
        stage >= self.last_stage() || (stage == self.stage && self.phase == Phase::Computing)
    }

    /// Tasks of the first round: without any of them there is nothing to put together.
    pub(super) fn first_round(&self) -> Range<u32> {
        self.tasks_of(self.rounds_from)
    }

    /// Goes on to the first stage, from the present one, with tasks to be done. What no later task waits for is left out, and so
    /// are rounds after one with gaps: the number of tasks that are done thereby.
    pub(super) fn enter_stage(&mut self) -> u32 {
        let mut left_out = 0;
        loop {
            let tasks = self.tasks_of(self.stage);
            self.next = tasks.start;
            if self.gaps > 0 && self.stage > self.rounds_from {
                left_out += self.open;
                self.done.fill(true);
                self.open = 0;
                self.return_to_last_stage();
                return left_out;
            }
            if self.stage >= self.last_stage() {
                return left_out;
            }
            let later = self.open_in(tasks.end..self.done.len() as u32);
            if later == 0 && self.stage < self.rounds_from {
                let unneeded = tasks.start..tasks.end - self.for_image.min(tasks.end - tasks.start);
                let left = self.open_in(unneeded.clone());
                self.done[unneeded.start as usize..unneeded.end as usize].fill(true);
                self.open -= left;
                left_out += left;
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

    /// Back to the stage of a task that is open again, of which the later ones hang: all of them are open again too, and so
    /// many come to be by that.
    pub(super) fn fall_back_to(&mut self, place: u32) -> u32 {
        let stage = self.stage_of(place);
        let later = self.tasks_of(stage).end as usize;
        let opened = self.done[later..].iter().filter(|done| **done).count() as u32;
        self.done[later..].fill(false);
        self.open += opened;
        self.return_to(stage);
        opened
    }

    /// Back to `stage`, whose open tasks are handed out.
    fn return_to(&mut self, stage: usize) {
        let tasks = self.tasks_of(stage);
        (self.stage, self.next) = (stage, tasks.start);
        self.open_in_stage = self.open_in(tasks);
    }

    /// Back to the stage of a task that nothing but putting the image together waits for; what is open of it is handed out.
    pub(super) fn return_to_stage_of(&mut self, place: u32) {
        self.return_to(self.stage_of(place));
    }

    /// Back to the stage of a task that is done again because another one of the present stage has found it damaged. What is
    /// open of it is in hand.
    pub(super) fn wait_for(&mut self, place: u32) {
        self.return_to(self.stage_of(place));
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
