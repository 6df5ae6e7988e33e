//! What a scorer is asked for.

use crate::Failure;
use crate::block::{BlockTask, WorkItem};
use crate::context::GroupContext;
use crate::image::OpenImage;
use crate::read::{Shown, WindowSamples};
use marquetry_geometry::{Padding, Rect};
use marquetry_job::{Group, Inference};
use std::ops::Range;

/// Some windows of one block, and the members that they go through.
///
/// What belongs to the plan lives as long as the task (`'a`); samples are read when they are asked for, and kept until
/// others of the same window are.
#[derive(Debug)]
pub struct ScoreRequest<'a> {
    task: &'a BlockTask,
    item: &'a WorkItem,
    samples: &'a mut WindowSamples,
}

impl<'a> ScoreRequest<'a> {
    pub(crate) fn new(task: &'a BlockTask, item: &'a WorkItem, samples: &'a mut WindowSamples) -> Self {
        samples.start(item.len());
        Self { task, item, samples }
    }

    /// The classes, spaces and merges that scores are computed for.
    pub fn inference(&self) -> &'a Inference {
        &self.task.context.inference
    }

    /// The group of members, its window and its views.
    pub fn group(&self) -> &'a Group {
        self.task.group()
    }

    /// Which of the group's members.
    pub fn members(&self) -> Range<usize> {
        self.item.members.clone()
    }

    /// Number of windows; they are counted from 0.
    pub fn windows(&self) -> usize {
        self.item.len()
    }

    /// The kept part of window `k`, px of the group's (scaled) image. What models see has the margin around it too.
    pub fn rect(&self, k: usize) -> Rect {
        self.task.rect(self.item.windows.start + k as u64)
    }

    /// Number of bands of the image.
    pub fn bands(&self) -> u16 {
        self.image().image.info().bands
    }

    /// Sample values of window `k` with its margin, at the group's scale, `[bands, H, W]`. What lies beyond the image's
    /// border is filled as `padding` says; NaN marks constant padding, whose value is one of the model's input.
    ///
    /// # Errors
    /// When the image cannot be read.
    pub fn samples(&mut self, k: usize, padding: Padding) -> Result<&[f32], Failure> {
        let (group, image) = (self.group(), &self.task.image);
        let (window, scaled) = group.shown(image.image.info().size, self.rect(k));
        self.samples.get(k, image, Shown { window, scaled, resample: group.resample, padding })
    }

    pub(crate) fn image(&self) -> &'a OpenImage {
        &self.task.image
    }

    pub(crate) fn context(&self) -> &'a GroupContext {
        self.task.group_context()
    }
}
