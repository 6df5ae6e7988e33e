//! How the groups of an image become one: `Σ weight · scores / Σ weight`, per class, each group seen at the image's size.

use crate::group_tiles::GroupRows;
use marquetry_ensemble::Resampled;
use marquetry_geometry::Size;
use marquetry_job::{Plan, PlannedImage};
use std::ops::Range;

/// What each group of an image weighs, class by class.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GroupWeights {
    /// For each group of which a member scores the image: its place in the plan, and the sum of these members' weights,
    /// `[C]`.
    pub(crate) groups: Vec<(u32, Vec<f32>)>,
    /// The sum of all members' weights, `[C]`.
    pub(crate) total: Vec<f32>,
}

impl GroupWeights {
    /// The one place where an aggregator learns weights.
    pub(crate) fn of(plan: &Plan, image: &PlannedImage) -> Self {
        let all = 0..plan.inference.groups.len();
        let weights = |group| Some((group as u32, plan.group_weights(image, group)?));
        Self { groups: all.filter_map(weights).collect(), total: plan.total_weights(image) }
    }
}

/// Rows of an image's scores, merged over groups.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreRows {
    /// Which rows of the image, half-open.
    pub rows: Range<u32>,
    /// Scores in the plan's merge space, `[rows, C, W]`.
    pub scores: Vec<f32>,
    /// Pixels of which some group's scores are missing, because blocks were given up, `[rows, W]`.
    pub missing: Vec<bool>,
}

impl ScoreRows {
    /// Every row: its place in the image, its scores `[C, W]`, its missing pixels `[W]`.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[f32], &[bool])> {
        let n = self.rows.len();
        let scores = self.scores.chunks_exact(self.scores.len() / n);
        let missing = self.missing.chunks_exact(self.missing.len() / n);
        self.rows.clone().zip(scores).zip(missing).map(|((y, scores), missing)| (y, scores, missing))
    }

    /// The rows of an only group at the image's own size: its mean is the mean.
    pub(crate) fn of_one_group(rows: Range<u32>, group: GroupRows) -> Self {
        let missing = group.weights.iter().map(|weight| *weight == 0.0).collect();
        Self { rows, scores: group.scores, missing }
    }
}

/// The weighted mean of groups, while they are added in the plan's order.
pub(crate) struct WeightedMean {
    image: Size,
    classes: usize,
    sums: ScoreRows,
    line: Vec<f32>,
}

impl WeightedMean {
    /// No group yet, over rows `rows` of an image of `image` px.
    pub(crate) fn new(image: Size, classes: usize, rows: Range<u32>) -> Self {
        let row_len = classes * image.width as usize;
        let scores = vec![0.0; rows.len() * row_len];
        let missing = vec![false; rows.len() * image.width as usize];
        Self { image, classes, sums: ScoreRows { rows, scores, missing }, line: vec![0.0; row_len] }
    }

    /// Adds a group that sees the image as `size` px, with its weight for each class. `read` gives it the rows it needs.
    pub(crate) fn add<E>(
        &mut self,
        size: Size,
        weights: &[f32],
        read: impl FnOnce(Range<u32>) -> Result<GroupRows, E>,
    ) -> Result<(), E> {
        let row_len = self.line.len();
        let rows = self.sums.rows.clone();
        if size == self.image {
            let group = read(rows)?;
            for (row, sums) in
                group.scores.chunks_exact(row_len).zip(self.sums.scores.chunks_exact_mut(row_len))
            {
                add_row(row, weights, sums);
            }
            self.sums.missing.iter_mut().zip(&group.weights).for_each(|(m, w)| *m |= *w == 0.0);
            return Ok(());
        }
        let sampling = Resampled::new(size, self.image, rows.start, rows.end);
        let group = read(sampling.needs())?;
        for (y, sums) in self.sums.scores.chunks_exact_mut(row_len).enumerate() {
            sampling.row(y, &group.scores, self.classes, &mut self.line);
            add_row(&self.line, weights, sums);
        }
        self.mark_missing(&sampling, &group);
        Ok(())
    }

    /// A pixel is missing if any of the group's pixels it is made of is.
    fn mark_missing(&mut self, sampling: &Resampled, group: &GroupRows) {
        if group.weights.iter().all(|w| *w > 0.0) {
            return;
        }
        let width = self.image.width as usize;
        let holes: Vec<f32> = group.weights.iter().map(|w| f32::from(u8::from(*w == 0.0))).collect();
        let mut line = vec![0.0; width];
        for (y, missing) in self.sums.missing.chunks_exact_mut(width).enumerate() {
            sampling.row(y, &holes, 1, &mut line);
            missing.iter_mut().zip(&line).for_each(|(m, v)| *m |= *v > 0.0);
        }
    }

    /// The mean, once every group is added; `total` is the sum of their weights for each class.
    pub(crate) fn finish(mut self, total: &[f32]) -> ScoreRows {
        let width = self.image.width as usize;
        for row in self.sums.scores.chunks_exact_mut(self.classes * width) {
            for (line, total) in row.chunks_exact_mut(width).zip(total) {
                let share = 1.0 / total;
                line.iter_mut().for_each(|v| *v *= share);
            }
        }
        self.sums
    }
}

fn add_row(row: &[f32], weights: &[f32], sums: &mut [f32]) {
    let width = row.len() / weights.len();
    for ((sums, line), weight) in sums.chunks_exact_mut(width).zip(row.chunks_exact(width)).zip(weights) {
        sums.iter_mut().zip(line).for_each(|(s, v)| *s += v * weight);
    }
}
