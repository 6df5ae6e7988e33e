//! What is done, what is open, and what follows from what is heard: the coordinator's state as a plain value.
//!
//! A task is a place among the tasks of its image ([`TaskPlace`]); what it computes the ledger does not know. The tasks of
//! an image come in *stages*: those of one are handed out when the stage before is done. The last ones are *rounds*, of which what
//! is stored is put together when all are done. Messages name images and tasks by key; places are local to one coordinator and never sent.

mod action;
mod failures;
mod image;
mod reopen;
mod stages;

pub use action::{Action, Loss};
pub use failures::Failed;
pub use stages::Stages;

use failures::Failures;
use image::{ImageState, Phase};
use marquetry_failure::FailureClass;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// What was stored well and was damaged or deleted since may be made so often at least, however few tries a failure has.
const DAMAGED_TRIES_MIN: u32 = 2;

/// One task: local to one coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskPlace {
    /// Place of the image among the job's.
    pub image: u32,
    /// Place of the task among the image's ([`crate::ImageTasks`]).
    pub place: u32,
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
    /// Tasks in all.
    pub tasks: u64,
    /// Tasks stored, given up or not needed.
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
/// What is heard may come in any order and any number of times: the first announcement of a task counts, later ones
/// change nothing. A job is complete when the set of finished images is the plan's.
#[derive(Debug, Clone)]
pub struct Ledger {
    images: Vec<ImageState>,
    /// The first image that was not begun.
    cursor: u32,
    /// Begun images of whose present stage something may not be handed out yet.
    ready: VecDeque<u32>,
    /// All images before this one are finished or given up.
    settled: usize,
    tries: HashMap<TaskPlace, Tries>,
    /// Tasks that were given up, and who was to blame.
    lost: BTreeMap<TaskPlace, FailureClass>,
    attempts_max: u32,
    progress: Progress,
}

impl Ledger {
    /// Nothing done yet. `images` holds the stages of each image; a task or an image is tried `attempts_max` times.
    pub fn new(images: &[Stages], attempts_max: u32) -> Self {
        let images: Vec<ImageState> = images.iter().map(ImageState::new).collect();
        let progress = Progress {
            tasks: images.iter().map(|i| u64::from(i.open)).sum(),
            images: images.len() as u64,
            ..Progress::default()
        };
        Self {
            images,
            cursor: 0,
            ready: VecDeque::new(),
            settled: 0,
            tries: HashMap::new(),
            lost: BTreeMap::new(),
            attempts_max,
            progress,
        }
    }

    /// How far the job is.
    pub const fn progress(&self) -> Progress {
        self.progress
    }

    /// Whether every image is finished or given up.
    pub fn is_complete(&mut self) -> bool {
        while self.images.get(self.settled).is_some_and(|i| matches!(i.phase, Phase::Done | Phase::Lost)) {
            self.settled += 1;
        }
        self.settled == self.images.len()
    }

    /// Notes a task whose object was found in the store at the start.
    pub fn found_task(&mut self, task: TaskPlace) {
        self.mark(task);
    }

    /// Notes an image found finished in the store at the start.
    pub fn found_image(&mut self, image: u32) {
        self.finish_image(image);
    }

    /// Up to `max` tasks that were not handed out yet, image by image, so that the first images are finished early and
    /// their tiles can go; and, on the way, images of which everything was found. Empty when there is nothing to hand
    /// out now.
    pub fn advance(&mut self, max: usize) -> Vec<Action> {
        let mut actions = Vec::new();
        while actions.len() < max {
            let Some(&image) = self.ready.front() else {
                if self.cursor as usize == self.images.len() {
                    break;
                }
                let image = self.cursor;
                self.cursor += 1;
                let state = &mut self.images[image as usize];
                state.begun = true;
                if state.phase == Phase::Computing {
                    self.enter_stage(image);
                }
                actions.extend(self.aggregate_if_ready(image));
                continue;
            };
            let Some(place) = self.images[image as usize].hand_out() else {
                self.ready.pop_front();
                continue;
            };
            let task = TaskPlace { image, place };
            let attempt = self.tries.get(&task).map_or(1, |tries| tries.attempt);
            actions.push(Action::Compute { task, attempt, replace: false });
        }
        actions
    }

    /// Whether there is nothing to hand out now. The end of a stage may change that.
    pub fn is_handed_out(&self) -> bool {
        self.cursor as usize == self.images.len() && self.ready.is_empty()
    }

    /// Another attempt of something that has been out for too long. It is no failure, and whoever is first counts.
    pub fn resend(&mut self, action: &Action) -> Option<Action> {
        match action {
            Action::Compute { task, replace, .. } => {
                let state = self.state_of(*task)?;
                let open = !state.done[task.place as usize] && state.phase == Phase::Computing;
                open.then(|| self.compute_again(*task, *replace))
            }
            Action::Aggregate { image, .. } => {
                let state = self.images.get_mut(*image as usize)?;
                if state.phase != Phase::Aggregating {
                    return None;
                }
                state.attempt += 1;
                Some(aggregate(*image, state))
            }
            Action::GiveUp(_) => None,
        }
    }

    /// What a task computes is stored.
    pub fn task_done(&mut self, task: TaskPlace) -> Vec<Action> {
        let is_news = self.mark(task) && self.images[task.image as usize].begun;
        if is_news { self.proceed(task.image).into_iter().collect() } else { Vec::new() }
    }

    /// An attempt of a task failed. What every worker would fail at is given up at once; what only a machine is to blame
    /// for does not count as a try. `damaged` are tasks of earlier stages whose objects it found damaged: they are done again
    /// before it is.
    pub fn task_failed(
        &mut self,
        task: TaskPlace,
        failure: &Failed<'_>,
        damaged: &[TaskPlace],
    ) -> Vec<Action> {
        let Some(state) = self.state_of(task) else { return Vec::new() };
        let open = !state.done[task.place as usize] && state.phase == Phase::Computing;
        let is_before = |other: &&TaskPlace| {
            other.image == task.image && other.place < task.place && state.done[other.place as usize]
        };
        let damaged: Vec<TaskPlace> = damaged.iter().filter(is_before).copied().collect();
        let excused = self.are_excused(&damaged);
        let attempts_max = self.attempts_max;
        let tries = self.tries.entry(task).or_default();
        if !open || failure.attempt != tries.attempt {
            return Vec::new();
        }
        if tries.failures.note(failure, attempts_max, excused) {
            if damaged.is_empty() {
                return vec![self.compute_again(task, false)];
            }
            tries.attempt += 1;
            return self.wait_for(task.image, damaged);
        }
        let (attempts, reason) = (tries.failures.all(), tries.failures.reason(failure));
        let (class, from) = (failure.class, failure.from.to_owned());
        let (image, place) = (task.image, Some(task.place));
        let loss = Loss { image, task: place, only_pixels: false, attempts, class, reason, from };
        self.lose_task(loss, task)
    }

    /// Gives up a task that nobody says anything of any more: whoever begins it ends with it. `attempts`: how often it was
    /// begun.
    pub fn give_up(&mut self, task: TaskPlace, attempts: u32, from: &str, reason: &str) -> Vec<Action> {
        let Some(state) = self.state_of(task) else { return Vec::new() };
        if state.done[task.place as usize] || state.phase != Phase::Computing {
            return Vec::new();
        }
        let (class, reason, from) = (FailureClass::Input, reason.to_owned(), from.to_owned());
        let attempts = attempts.max(1);
        let (image, place) = (task.image, Some(task.place));
        let loss = Loss { image, task: place, only_pixels: false, attempts, class, reason, from };
        self.lose_task(loss, task)
    }

    /// Gives up an image that nobody says anything of any more: whoever begins to put it together ends with it.
    pub fn give_up_image(&mut self, image: u32, attempts: u32, from: &str, reason: &str) -> Vec<Action> {
        if self.images.get(image as usize).is_none_or(|state| state.phase != Phase::Aggregating) {
            return Vec::new();
        }
        self.close_image(image);
        let (class, reason, from) = (FailureClass::Input, reason.to_owned(), from.to_owned());
        let attempts = attempts.max(1);
        vec![Action::GiveUp(Loss { image, task: None, only_pixels: false, attempts, class, reason, from })]
    }

    /// What follows when a task is given up.
    fn lose_task(&mut self, loss: Loss, task: TaskPlace) -> Vec<Action> {
        let class = loss.class;
        self.mark(task);
        self.lost.insert(task, class);
        let mut actions = vec![Action::GiveUp(loss)];
        let state = &mut self.images[task.image as usize];
        if state.is_of_round(task.place) {
            state.gaps += 1;
            self.progress.images_failed += u64::from(state.gaps == 1);
            actions.extend(self.proceed(task.image));
        } else {
            let reason = "what its other tasks wait for was given up, for the reason that is listed with it";
            actions.push(self.lose_image(task.image, class, reason));
        }
        actions
    }

    /// Whether something of this image was given up, or all.
    pub fn has_loss(&self, image: u32) -> bool {
        let state = self.images.get(image as usize);
        state.is_some_and(|state| state.gaps > 0 || state.lacks_pixels || state.phase == Phase::Lost)
    }

    /// Whether this image is finished and nothing of it was given up.
    pub fn is_whole(&self, image: u32) -> bool {
        let is_done = self.images.get(image as usize).is_some_and(|state| state.phase == Phase::Done);
        is_done && !self.has_loss(image)
    }

    /// An image's outputs are stored; `partial` says that it was put together without what had been given up.
    pub fn image_done(&mut self, image: u32, partial: bool) {
        if !partial || self.expects_gaps(image) {
            self.finish_image(image);
        }
    }

    /// Pixels of a finished image are missing, because its file cannot be read there.
    pub fn pixels_unread(&mut self, image: u32, from: &str, reason: &str) -> Vec<Action> {
        let Some(state) = self.images.get_mut(image as usize) else { return Vec::new() };
        if state.phase != Phase::Done || std::mem::replace(&mut state.lacks_pixels, true) {
            return Vec::new();
        }
        self.progress.images_failed += u64::from(state.gaps == 0);
        let (class, reason, from) = (FailureClass::Input, reason.to_owned(), from.to_owned());
        vec![Action::GiveUp(Loss { image, task: None, only_pixels: true, attempts: 1, class, reason, from })]
    }

    /// An image could not be put together. `damaged` are tasks whose objects were found damaged: they are done again.
    pub fn image_failed(&mut self, image: u32, failure: &Failed<'_>, damaged: &[TaskPlace]) -> Vec<Action> {
        let attempts_max = self.attempts_max;
        let Some(state) = self.images.get(image as usize) else { return Vec::new() };
        if state.phase != Phase::Aggregating || failure.attempt != state.attempt {
            return Vec::new();
        }
        // An image may have any number of damaged tiles, found one after the other; each has tries of its own.
        let damaged: Vec<TaskPlace> = damaged.iter().copied().filter(|t| t.image == image).collect();
        let excused = self.are_excused(&damaged);
        let state = &mut self.images[image as usize];
        let failures = state.failures.get_or_insert_default();
        if !failures.note(failure, attempts_max, excused) {
            let (attempts, reason) = (failures.all().max(1), failures.reason(failure));
            let (class, from) = (failure.class, failure.from.to_owned());
            self.close_image(image);
            let loss = Loss { image, task: None, only_pixels: false, attempts, class, reason, from };
            return vec![Action::GiveUp(loss)];
        }
        state.attempt += 1;
        state.phase = Phase::Computing;
        state.return_to_last_stage();
        let mut actions = Vec::new();
        for task in damaged {
            let was_lost = self.lost.remove(&task).is_some();
            let Some(state) = self.state_of(task) else { continue };
            if was_lost {
                // There is something of it after all, if only a damaged one: no gap, and done again like any other.
                state.gaps -= 1;
            }
            let (filled, unmarked) = (was_lost && state.gaps == 0, state.unmark(task.place));
            // Later rounds were left out for want of it.
            let later = if was_lost && !state.is_at_hand(task.place) {
                let opened = state.fall_back_to(task.place);
                state.wait_for(task.place);
                opened
            } else {
                0
            };
            self.progress.images_failed -= u64::from(filled);
            self.progress.tasks_done -= u64::from(later);
            if unmarked {
                self.progress.tasks_done -= 1;
                actions.push(self.compute_again(task, true));
            }
        }
        actions.extend(self.aggregate_if_ready(image));
        actions
    }

    /// Marks a task as done; false when that was known, or there is no such task.
    fn mark(&mut self, task: TaskPlace) -> bool {
        let Some(state) = self.state_of(task) else { return false };
        let is_news = state.phase == Phase::Computing && state.mark(task.place);
        self.progress.tasks_done += u64::from(is_news);
        is_news
    }

    fn state_of(&mut self, task: TaskPlace) -> Option<&mut ImageState> {
        let state = self.images.get_mut(task.image as usize)?;
        ((task.place as usize) < state.done.len()).then_some(state)
    }

    /// What follows for an image that has begun when one of its tasks is done: the next stage, or putting it together.
    fn proceed(&mut self, image: u32) -> Option<Action> {
        let state = &self.images[image as usize];
        if state.phase == Phase::Computing && state.has_ended_stage() {
            self.enter_stage(image);
        }
        self.aggregate_if_ready(image)
    }

    /// Has the tasks of the image's next stage handed out.
    fn enter_stage(&mut self, image: u32) {
        let state = &mut self.images[image as usize];
        self.progress.tasks_done += u64::from(state.enter_stage());
        if state.has_tasks() && !self.ready.contains(&image) {
            self.ready.push_back(image);
        }
    }

    /// Whether what found these damaged is not to blame: each has tries of its own, and some even where a failure has one.
    fn are_excused(&self, damaged: &[TaskPlace]) -> bool {
        let attempts_of = |task| self.tries.get(task).map_or(1, |tries: &Tries| tries.attempt);
        let attempts_max = self.attempts_max.max(DAMAGED_TRIES_MIN);
        !damaged.is_empty() && damaged.iter().all(|task| attempts_of(task) < attempts_max)
    }

    /// Has tasks of an earlier stage done again, all of one, whose objects are damaged; what has found that comes after them.
    fn wait_for(&mut self, image: u32, damaged: Vec<TaskPlace>) -> Vec<Action> {
        let state = &mut self.images[image as usize];
        let unmarked = damaged.iter().filter(|task| state.unmark(task.place)).count() as u64;
        damaged.iter().take(1).for_each(|task| state.wait_for(task.place));
        self.progress.tasks_done -= unmarked;
        damaged.into_iter().map(|task| self.compute_again(task, true)).collect()
    }

    fn compute_again(&mut self, task: TaskPlace, replace: bool) -> Action {
        let tries = self.tries.entry(task).or_default();
        tries.attempt += 1;
        Action::Compute { task, attempt: tries.attempt, replace }
    }

    /// Gives an image up that its tasks leave nothing of.
    fn lose_image(&mut self, image: u32, class: FailureClass, reason: &str) -> Action {
        self.close_image(image);
        let (reason, from) = (reason.to_owned(), String::new());
        Action::GiveUp(Loss { image, task: None, only_pixels: false, attempts: 0, class, reason, from })
    }

    fn close_image(&mut self, image: u32) {
        let state = &mut self.images[image as usize];
        state.phase = Phase::Lost;
        self.progress.tasks_done += u64::from(state.open);
        self.progress.images_failed += u64::from(state.gaps == 0);
    }

    fn aggregate_if_ready(&mut self, image: u32) -> Option<Action> {
        let state = &mut self.images[image as usize];
        if state.open > 0 || state.phase != Phase::Computing || !state.begun {
            return None;
        }
        let of_image = |place| TaskPlace { image, place };
        let first = state.first_round();
        let lost = self.lost.range(of_image(first.start)..of_image(first.end));
        if state.gaps > 0 && lost.count() == first.len() {
            let class = self.lost.range(of_image(0)..).next().map_or(FailureClass::Bug, |(_, class)| *class);
            let reason = "every block of it failed, for the reasons that are listed with them";
            return Some(self.lose_image(image, class, reason));
        }
        Some(aggregate(image, state))
    }

    /// Whether an image is being put together without tasks that were given up. If it is not, what comes of an earlier
    /// try with gaps is old: these tasks have another try, or are stored by now.
    fn expects_gaps(&self, image: u32) -> bool {
        let state = self.images.get(image as usize);
        state.is_some_and(|state| state.phase == Phase::Aggregating && state.gaps > 0)
    }

    fn finish_image(&mut self, image: u32) {
        let Some(state) = self.images.get_mut(image as usize) else { return };
        if matches!(state.phase, Phase::Done | Phase::Lost) {
            return;
        }
        state.phase = Phase::Done;
        self.progress.tasks_done += u64::from(state.open);
        state.done.fill(true);
        state.open = 0;
        self.progress.images_done += 1;
    }
}

fn aggregate(image: u32, state: &mut ImageState) -> Action {
    state.phase = Phase::Aggregating;
    Action::Aggregate { image, attempt: state.attempt, partial: state.gaps > 0 }
}

#[cfg(test)]
mod stages_tests;
#[cfg(test)]
mod tests;
