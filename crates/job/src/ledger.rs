//! What is done, what is open, what to do next. A value that is fed events; it reads no clock and sends nothing.

use crate::{AggregateMessage, ResultMessage, TaskId, TaskMessage};
use std::collections::HashMap;

/// What the coordinator must do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Have a block computed.
    Compute(TaskMessage),
    /// Have an image put together.
    Aggregate(AggregateMessage),
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
    /// Why the last one failed.
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
    offsets: Vec<u32>,
    done: Vec<bool>,
    open: u32,
    lost_blocks: u32,
    attempt: u32,
    /// Attempts that failed for tiles that were not known to be damaged; they do not count against the image.
    excused: u32,
    stage: Stage,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
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
    job: String,
    outputs: String,
    images: Vec<ImageState>,
    attempts: HashMap<TaskId, u32>,
    attempts_max: u32,
    progress: Progress,
}

impl Ledger {
    /// Nothing done yet of `job`, whose decisions and outputs are named `outputs`. `blocks` holds, for each image, the
    /// number of blocks of each group; a task or an image is tried `attempts_max` times.
    pub fn new(job: &str, outputs: &str, blocks: &[Vec<u32>], attempts_max: u32) -> Self {
        let images: Vec<ImageState> = blocks
            .iter()
            .map(|groups| {
                let mut offsets = vec![0];
                for n in groups {
                    offsets.push(offsets[offsets.len() - 1] + n);
                }
                let open = offsets[offsets.len() - 1];
                let done = vec![false; open as usize];
                ImageState {
                    offsets,
                    done,
                    open,
                    lost_blocks: 0,
                    attempt: 1,
                    excused: 0,
                    stage: Stage::Computing,
                }
            })
            .collect();
        let progress = Progress {
            tasks: images.iter().map(|i| u64::from(i.open)).sum(),
            images: images.len() as u64,
            ..Progress::default()
        };
        Self {
            job: job.to_owned(),
            outputs: outputs.to_owned(),
            images,
            attempts: HashMap::new(),
            attempts_max,
            progress,
        }
    }

    /// How far the job is.
    pub const fn progress(&self) -> Progress {
        self.progress
    }

    /// Whether every image is finished or given up.
    pub fn is_complete(&self) -> bool {
        self.images.iter().all(|i| matches!(i.stage, Stage::Done | Stage::Lost))
    }

    /// Notes a tile found in the store at the start.
    pub fn found_tile(&mut self, task: TaskId) {
        self.mark(task);
    }

    /// Notes an image found finished in the store at the start.
    pub fn found_image(&mut self, image: u32) {
        self.finish_image(image);
    }

    /// Everything that is still to do, at the start: blocks image by image, so that the first images are finished
    /// early and their tiles can go.
    pub fn start(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for image in 0..self.images.len() as u32 {
            let state = &self.images[image as usize];
            if state.stage != Stage::Computing {
                continue;
            }
            if state.open == 0 {
                steps.extend(self.aggregate(image));
                continue;
            }
            for index in (0..state.done.len() as u32).filter(|&i| !state.done[i as usize]) {
                let task = state.task(image, index);
                steps.push(Step::Compute(TaskMessage { job: self.job.clone(), task, attempt: 1 }));
            }
        }
        steps
    }

    /// Takes an event in, and says what follows from it.
    pub fn apply(&mut self, event: &ResultMessage) -> Vec<Step> {
        match event {
            ResultMessage::Tile { task, .. } => {
                if self.mark(*task) {
                    self.aggregate_if_ready(task.image)
                } else {
                    Vec::new()
                }
            }
            ResultMessage::TaskFailed { task, attempt, reason, retry } => {
                self.task_failed(*task, *attempt, reason, *retry)
            }
            ResultMessage::Image { image, .. } => {
                self.finish_image(*image);
                Vec::new()
            }
            ResultMessage::ImageFailed { image, attempt, reason, damaged, retry } => {
                self.image_failed(*image, *attempt, reason, damaged, *retry)
            }
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

    fn task_failed(&mut self, task: TaskId, attempt: u32, reason: &str, retry: bool) -> Vec<Step> {
        let current = self.attempts.get(&task).copied().unwrap_or(1);
        let Some((state, index)) = self.find(task) else { return Vec::new() };
        if state.done[index] || state.stage != Stage::Computing || attempt != current {
            return Vec::new();
        }
        if retry && attempt < self.attempts_max {
            return vec![self.compute_again(task)];
        }
        self.mark(task);
        let state = &mut self.images[task.image as usize];
        state.lost_blocks += 1;
        if state.lost_blocks == 1 {
            self.progress.images_failed += 1;
        }
        let loss = Loss { image: task.image, task: Some(task), attempts: attempt, reason: reason.to_owned() };
        let mut steps = vec![Step::GiveUp(loss)];
        steps.extend(self.aggregate_if_ready(task.image));
        steps
    }

    fn compute_again(&mut self, task: TaskId) -> Step {
        let attempt = self.attempts.entry(task).or_insert(1);
        *attempt += 1;
        Step::Compute(TaskMessage { job: self.job.clone(), task, attempt: *attempt })
    }

    fn image_failed(
        &mut self,
        image: u32,
        attempt: u32,
        reason: &str,
        damaged: &[TaskId],
        retry: bool,
    ) -> Vec<Step> {
        let attempts_max = self.attempts_max;
        let tries = |task| self.attempts.get(task).copied().unwrap_or(1);
        // An image may have any number of damaged tiles, found one after the other; each has tries of its own.
        let excused = !damaged.is_empty() && damaged.iter().all(|task| tries(task) < attempts_max);
        let Some(state) = self.images.get_mut(image as usize) else { return Vec::new() };
        if state.stage != Stage::Aggregating || attempt != state.attempt {
            return Vec::new();
        }
        state.excused += u32::from(excused);
        if !retry || attempt - state.excused >= attempts_max {
            return vec![self.lose_image(image, attempt, reason)];
        }
        state.attempt += 1;
        state.stage = Stage::Computing;
        let mut steps = Vec::new();
        for &task in damaged.iter().filter(|t| t.image == image) {
            let Some((state, index)) = self.find(task) else { continue };
            if std::mem::replace(&mut state.done[index], false) {
                state.open += 1;
                self.progress.tasks_done -= 1;
                steps.push(self.compute_again(task));
            }
        }
        steps.extend(self.aggregate_if_ready(image));
        steps
    }

    fn lose_image(&mut self, image: u32, attempts: u32, reason: &str) -> Step {
        let state = &mut self.images[image as usize];
        state.stage = Stage::Lost;
        if state.lost_blocks == 0 {
            self.progress.images_failed += 1;
        }
        Step::GiveUp(Loss { image, task: None, attempts, reason: reason.to_owned() })
    }

    fn aggregate_if_ready(&mut self, image: u32) -> Vec<Step> {
        let state = &self.images[image as usize];
        if state.open > 0 || state.stage != Stage::Computing {
            return Vec::new();
        }
        if state.lost_blocks as usize == state.done.len() {
            let reason = "every block of it failed; see the reasons above";
            return vec![self.lose_image(image, self.attempts_max, reason)];
        }
        self.aggregate(image).into_iter().collect()
    }

    fn aggregate(&mut self, image: u32) -> Option<Step> {
        let state = self.images.get_mut(image as usize)?;
        state.stage = Stage::Aggregating;
        let partial = state.lost_blocks > 0;
        Some(Step::Aggregate(AggregateMessage {
            job: self.job.clone(),
            outputs: self.outputs.clone(),
            image,
            attempt: state.attempt,
            partial,
        }))
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
    fn task(&self, image: u32, index: u32) -> TaskId {
        let group = self.offsets.partition_point(|&start| start <= index) - 1;
        TaskId { image, group: group as u32, block: index - self.offsets[group] }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
