//! What is done, what is open, what to do next. A value that is fed events; it reads no clock and sends nothing.

use crate::failures::{Failed, Failures};
use crate::{Event, TaskId};
use marquetry_failure::FailureClass;
use std::collections::{BTreeMap, HashMap};

/// What the coordinator must do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Have a block computed.
    Compute {
        /// The block.
        task: TaskId,
        /// 1 for the first try.
        attempt: u32,
        /// Whether the tile that is there is damaged.
        replace: bool,
    },
    /// Have an image put together.
    Aggregate {
        /// Place of the image in the plan.
        image: u32,
        /// 1 for the first try.
        attempt: u32,
        /// Whether blocks are missing.
        partial: bool,
    },
    /// Write down that something was given up.
    GiveUp(Loss),
}

/// Something that was given up.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Loss {
    /// The image.
    pub image: u32,
    /// The block, unless the whole image is lost.
    pub task: Option<TaskId>,
    /// Attempts made.
    pub attempts: u32,
    /// Who is to blame.
    pub class: FailureClass,
    /// Why the last one failed; where machines are to blame, what each of them said.
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Computing,
    Aggregating,
    Done,
    Lost,
}

#[derive(Debug, Clone)]
struct ImageState {
    /// First block of each group among the image's blocks, and their number at the end.
    offsets: Box<[u32]>,
    done: Box<[bool]>,
    open: u32,
    lost_blocks: u32,
    attempt: u32,
    /// Attempts that failed; one that found damage nobody knew of does not count against the image.
    failures: Option<Box<Failures>>,
    stage: Stage,
}

/// A task that was tried more than once.
#[derive(Debug, Clone)]
struct Tries {
    /// The attempt that counts now: failures of others are old.
    attempt: u32,
    failures: Failures,
}

impl Default for Tries {
    fn default() -> Self {
        Self { attempt: 1, failures: Failures::default() }
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// Blocks in all.
    pub tasks: u64,
    /// Blocks stored or given up.
    pub tasks_done: u64,
    /// Images in all.
    pub images: u64,
    /// Images finished.
    pub images_done: u64,
    /// Images of which something was given up, or all.
    pub images_failed: u64,
}

/// The state of one job.
///
/// Events may come in any order and any number of times: the first announcement of a task counts, later ones change
/// nothing. A job is complete when the set of finished images is the plan's.
#[derive(Debug, Clone)]
pub struct Ledger {
    images: Vec<ImageState>,
    /// The first block that was not handed out yet: place of the image, place among its blocks.
    next: (u32, u32),
    /// All images before this one are finished or given up.
    settled: usize,
    tries: HashMap<TaskId, Tries>,
    /// Blocks that were given up, and who was to blame.
    lost: BTreeMap<TaskId, FailureClass>,
    attempts_max: u32,
    progress: Progress,
}

impl Ledger {
    /// Nothing done yet. `blocks` holds, for each image, the number of blocks of each group; a task or an image is
    /// tried `attempts_max` times.
    pub fn new(blocks: &[Vec<u32>], attempts_max: u32) -> Self {
        let images: Vec<ImageState> = blocks.iter().map(|groups| ImageState::new(groups)).collect();
        let progress = Progress {
            tasks: images.iter().map(|i| u64::from(i.open)).sum(),
            images: images.len() as u64,
            ..Progress::default()
        };
        let (tries, lost) = (HashMap::new(), BTreeMap::new());
        Self { images, next: (0, 0), settled: 0, tries, lost, attempts_max, progress }
    }

    /// How far the job is.
    pub const fn progress(&self) -> Progress {
        self.progress
    }

    /// Whether every image is finished or given up.
    pub fn is_complete(&mut self) -> bool {
        while self.images.get(self.settled).is_some_and(|i| matches!(i.stage, Stage::Done | Stage::Lost)) {
            self.settled += 1;
        }
        self.settled == self.images.len()
    }

    /// Notes a tile found in the store at the start.
    pub fn found_tile(&mut self, task: TaskId) {
        self.mark(task);
    }

    /// Notes an image found finished in the store at the start.
    pub fn found_image(&mut self, image: u32) {
        self.finish_image(image);
    }

    /// Up to `max` blocks that were not handed out yet, image by image, so that the first images are finished early and
    /// their tiles can go; and, on the way, images of which every block was found. Empty when all is handed out.
    pub fn advance(&mut self, max: usize) -> Vec<Action> {
        let mut actions = Vec::new();
        while actions.len() < max && (self.next.0 as usize) < self.images.len() {
            let (image, index) = self.next;
            let state = &self.images[image as usize];
            let all_found = state.open == 0 && index == 0;
            if all_found {
                actions.extend(self.aggregate_if_ready(image));
            } else if let Some(&done) = state.done.get(index as usize)
                && state.stage == Stage::Computing
            {
                self.next.1 += 1;
                if !done {
                    actions.push(Action::Compute {
                        task: state.task(image, index),
                        attempt: 1,
                        replace: false,
                    });
                }
                continue;
            }
            self.next = (image + 1, 0);
        }
        actions
    }

    /// Whether something of this image was given up, or all.
    pub fn has_loss(&self, image: u32) -> bool {
        let state = self.images.get(image as usize);
        state.is_some_and(|state| state.lost_blocks > 0 || state.stage == Stage::Lost)
    }

    /// Whether every block was handed out once.
    pub fn is_handed_out(&self) -> bool {
        self.next.0 as usize >= self.images.len()
    }

    /// Another attempt of something that has been out for too long. It is no failure, and whoever is first counts.
    pub fn resend(&mut self, action: &Action) -> Option<Action> {
        match action {
            Action::Compute { task, replace, .. } => {
                let (state, index) = self.find(*task)?;
                let open = !state.done[index] && state.stage == Stage::Computing;
                open.then(|| self.compute_again(*task, *replace))
            }
            Action::Aggregate { image, .. } => {
                let state = self.images.get_mut(*image as usize)?;
                if state.stage != Stage::Aggregating {
                    return None;
                }
                state.attempt += 1;
                Some(state.aggregate(*image))
            }
            Action::GiveUp(_) => None,
        }
    }

    /// Gives everything that was given up new tries.
    pub fn reopen(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        self.settled = 0;
        for (task, _) in std::mem::take(&mut self.lost) {
            let Some((state, index)) = self.find(task) else { continue };
            state.done[index] = false;
            state.open += 1;
            state.lost_blocks -= 1;
            let finished = matches!(state.stage, Stage::Done);
            state.reopen();
            self.progress.images_done -= u64::from(finished);
            self.progress.images_failed -= u64::from(self.images[task.image as usize].lost_blocks == 0);
            self.progress.tasks_done -= 1;
            if let Some(tries) = self.tries.get_mut(&task) {
                tries.failures = Failures::default();
            }
            actions.push(self.compute_again(task, false));
        }
        for image in 0..self.images.len() as u32 {
            let state = &mut self.images[image as usize];
            if state.stage == Stage::Lost {
                state.reopen();
                self.progress.images_failed -= 1;
                actions.extend(self.aggregate_if_ready(image));
            }
        }
        actions
    }

    /// Takes an event in that `from` tells of, and says what follows from it.
    pub fn apply(&mut self, from: &str, event: &Event) -> Vec<Action> {
        match event {
            Event::Tile { task, .. } => {
                if self.mark(*task) {
                    self.aggregate_if_ready(task.image).into_iter().collect()
                } else {
                    Vec::new()
                }
            }
            Event::TaskFailed { task, attempt, reason, class } => {
                self.task_failed(*task, &Failed { from, attempt: *attempt, class: *class, reason })
            }
            Event::Image { image, partial, .. } => {
                if !partial || self.expects_gaps(*image) {
                    self.finish_image(*image);
                }
                Vec::new()
            }
            Event::ImageFailed { image, attempt, reason, damaged, class } => {
                self.image_failed(*image, &Failed { from, attempt: *attempt, class: *class, reason }, damaged)
            }
            Event::Retry => self.reopen(),
        }
    }

    /// Marks a block as stored; false when that was known, or there is no such block.
    fn mark(&mut self, task: TaskId) -> bool {
        let Some((state, index)) = self.find(task) else { return false };
        if state.done[index] || state.stage != Stage::Computing {
            return false;
        }
        state.done[index] = true;
        state.open -= 1;
        self.progress.tasks_done += 1;
        true
    }

    fn find(&mut self, task: TaskId) -> Option<(&mut ImageState, usize)> {
        let state = self.images.get_mut(task.image as usize)?;
        let group = task.group as usize;
        let (start, end) = (*state.offsets.get(group)?, *state.offsets.get(group + 1)?);
        let index = start.checked_add(task.block).filter(|&i| i < end)?;
        Some((state, index as usize))
    }

    fn task_failed(&mut self, task: TaskId, failure: &Failed<'_>) -> Vec<Action> {
        let Some((state, index)) = self.find(task) else { return Vec::new() };
        let open = !state.done[index] && state.stage == Stage::Computing;
        let attempts_max = self.attempts_max;
        let tries = self.tries.entry(task).or_default();
        if !open || failure.attempt != tries.attempt {
            return Vec::new();
        }
        if tries.failures.note(failure, attempts_max, false) {
            return vec![self.compute_again(task, false)];
        }
        let (attempts, reason) = (tries.failures.all(), tries.failures.reason(failure));
        self.mark(task);
        self.lost.insert(task, failure.class);
        let state = &mut self.images[task.image as usize];
        state.lost_blocks += 1;
        self.progress.images_failed += u64::from(state.lost_blocks == 1);
        let loss = Loss { image: task.image, task: Some(task), attempts, class: failure.class, reason };
        let mut actions = vec![Action::GiveUp(loss)];
        actions.extend(self.aggregate_if_ready(task.image));
        actions
    }

    fn compute_again(&mut self, task: TaskId, replace: bool) -> Action {
        let tries = self.tries.entry(task).or_default();
        tries.attempt += 1;
        Action::Compute { task, attempt: tries.attempt, replace }
    }

    fn image_failed(&mut self, image: u32, failure: &Failed<'_>, damaged: &[TaskId]) -> Vec<Action> {
        let attempts_max = self.attempts_max;
        let Some(state) = self.images.get_mut(image as usize) else { return Vec::new() };
        if state.stage != Stage::Aggregating || failure.attempt != state.attempt {
            return Vec::new();
        }
        // An image may have any number of damaged tiles, found one after the other; each has tries of its own.
        let damaged: Vec<TaskId> = damaged.iter().copied().filter(|t| t.image == image).collect();
        let tries = |task| self.tries.get(task).map_or(1, |tries: &Tries| tries.attempt);
        let excused = !damaged.is_empty() && damaged.iter().all(|task| tries(task) < attempts_max);
        let state = &mut self.images[image as usize];
        let failures = state.failures.get_or_insert_default();
        if !failures.note(failure, attempts_max, excused) {
            let reason = failures.reason(failure);
            return vec![self.lose_image(image, failure.attempt, failure.class, reason)];
        }
        state.attempt += 1;
        state.stage = Stage::Computing;
        let mut actions = Vec::new();
        for task in damaged {
            let Some((state, index)) = self.find(task) else { continue };
            if std::mem::replace(&mut state.done[index], false) {
                state.open += 1;
                self.progress.tasks_done -= 1;
                actions.push(self.compute_again(task, true));
            }
        }
        actions.extend(self.aggregate_if_ready(image));
        actions
    }

    fn lose_image(&mut self, image: u32, attempts: u32, class: FailureClass, reason: String) -> Action {
        let state = &mut self.images[image as usize];
        state.stage = Stage::Lost;
        self.progress.images_failed += u64::from(state.lost_blocks == 0);
        Action::GiveUp(Loss { image, task: None, attempts, class, reason })
    }

    fn aggregate_if_ready(&mut self, image: u32) -> Option<Action> {
        let state = &mut self.images[image as usize];
        if state.open > 0 || state.stage != Stage::Computing {
            return None;
        }
        if state.lost_blocks > 0 && state.lost_blocks as usize == state.done.len() {
            let blocks = TaskId { image, group: 0, block: 0 }..;
            let class = self.lost.range(blocks).next().map_or(FailureClass::Bug, |(_, class)| *class);
            let reason = "every block of it failed, for the reasons that are listed with them".to_owned();
            return Some(self.lose_image(image, self.attempts_max, class, reason));
        }
        Some(state.aggregate(image))
    }

    /// Whether an image is being put together without blocks that were given up. If it is not, what comes of an earlier
    /// try with gaps is old: these blocks have another try, or are stored by now.
    fn expects_gaps(&self, image: u32) -> bool {
        let state = self.images.get(image as usize);
        state.is_some_and(|state| state.stage == Stage::Aggregating && state.lost_blocks > 0)
    }

    fn finish_image(&mut self, image: u32) {
        let Some(state) = self.images.get_mut(image as usize) else { return };
        if matches!(state.stage, Stage::Done | Stage::Lost) {
            return;
        }
        state.stage = Stage::Done;
        self.progress.tasks_done += u64::from(state.open);
        state.open = 0;
        self.progress.images_done += 1;
    }
}

impl ImageState {
    fn new(groups: &[u32]) -> Self {
        let mut offsets = vec![0];
        for n in groups {
            offsets.push(offsets[offsets.len() - 1] + n);
        }
        let open = offsets[offsets.len() - 1];
        Self {
            offsets: offsets.into(),
            done: vec![false; open as usize].into(),
            open,
            lost_blocks: 0,
            attempt: 1,
            failures: None,
            stage: Stage::Computing,
        }
    }

    fn task(&self, image: u32, index: u32) -> TaskId {
        let group = self.offsets.partition_point(|&start| start <= index) - 1;
        TaskId { image, group: group as u32, block: index - self.offsets[group] }
    }

    fn aggregate(&mut self, image: u32) -> Action {
        self.stage = Stage::Aggregating;
        Action::Aggregate { image, attempt: self.attempt, partial: self.lost_blocks > 0 }
    }

    /// Back to where blocks are computed, with all tries of the image before it.
    fn reopen(&mut self) {
        if self.stage != Stage::Computing {
            self.stage = Stage::Computing;
            self.attempt += 1;
            self.failures = None;
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
