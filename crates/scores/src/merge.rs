//! How the groups of an image become one: `Σ weight · scores / Σ weight`, per class, each group seen at the image's size.

use crate::group_tiles::{GroupRows, whole, whole_mut};
use marquetry_ensemble::Resampled;
use marquetry_geometry::Size;
use marquetry_job::{Plan, PlannedImage};
use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis};
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
    pub scores: Array3<f32>,
    /// Pixels of which some group's scores are missing, because blocks were given up, or that the image does not have,
    /// `[rows, W]`.
    pub missing: Array2<bool>,
    /// Probabilities of each member that scores the image and has a say in the merge, `[rows, C, W]`, where they were asked for.
    pub members: Vec<Array3<f32>>,
}

impl ScoreRows {
    /// Every row: its place in the image, its scores `[C, W]`, its missing pixels `[W]`.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[f32], &[bool])> {
        let rows = self.scores.outer_iter().zip(self.missing.outer_iter());
        self.rows.clone().zip(rows).map(|(y, (scores, missing))| (y, whole(scores), whole(missing)))
    }

    /// What each member says of row `y` of the image, `[C, W]`.
    pub fn members_at(&self, y: u32) -> impl Iterator<Item = &[f32]> {
        let place = (y - self.rows.start) as usize;
        self.members.iter().map(move |member| whole(member.index_axis(Axis(0), place)))
    }

    /// The rows of an only group at the image's own size: its mean is the mean.
    pub(crate) fn of_one_group(rows: Range<u32>, group: GroupRows) -> Self {
        let missing = group.weights.mapv(|weight| weight == 0.0);
        Self { rows, missing, scores: group.scores, members: Vec::new() }
    }
}

/// The weighted mean of groups, while they are added in the plan's order.
pub(crate) struct WeightedMean {
    image: Size,
    classes: usize,
    sums: ScoreRows,
    /// One row, `[C, W]`.
    line: Array2<f32>,
}

impl WeightedMean {
    /// No group yet, over rows `rows` of an image of `image` px.
    pub(crate) fn new(image: Size, classes: usize, rows: Range<u32>) -> Self {
        let (n, width) = (rows.len(), image.width as usize);
        let scores = Array3::zeros((n, classes, width));
        let missing = Array2::from_elem((n, width), false);
        let line = Array2::zeros((classes, width));
        Self { image, classes, sums: ScoreRows { rows, scores, missing, members: Vec::new() }, line }
    }

    /// Adds a group that sees the image as `size` px, with its weight for each class. `read` gives it the rows it needs.
    pub(crate) fn add<E>(
        &mut self,
        size: Size,
        weights: &[f32],
        read: impl FnOnce(Range<u32>) -> Result<GroupRows, E>,
    ) -> Result<(), E> {
        let rows = self.sums.rows.clone();
        if size == self.image {
            let group = read(rows)?;
            for (row, sums) in group.scores.outer_iter().zip(self.sums.scores.outer_iter_mut()) {
                add_row(&row, weights, sums);
            }
            self.sums.missing.zip_mut_with(&group.weights, |missing, weight| *missing |= *weight == 0.0);
            return Ok(());
        }
        let sampling = Resampled::new(size, self.image, rows.start, rows.end);
        let group = read(sampling.needs())?;
        let scores = whole(group.scores.view());
        for (y, sums) in self.sums.scores.outer_iter_mut().enumerate() {
            sampling.row(y, scores, self.classes, whole_mut(self.line.view_mut()));
            add_row(&self.line.view(), weights, sums);
        }
        self.mark_missing(&sampling, &group);
        Ok(())
    }

    /// A pixel is missing if any of the group's pixels it is made of is.
    fn mark_missing(&mut self, sampling: &Resampled, group: &GroupRows) {
        if group.weights.iter().all(|w| *w > 0.0) {
            return;
        }
        let holes: Vec<f32> = group.weights.iter().map(|w| f32::from(u8::from(*w == 0.0))).collect();
        let mut line = vec![0.0; self.image.width as usize];
        for (y, mut missing) in self.sums.missing.outer_iter_mut().enumerate() {
            sampling.row(y, &holes, 1, &mut line);
            missing.iter_mut().zip(&line).for_each(|(m, v)| *m |= *v > 0.0);
        }
    }

    /// The mean, once every group is added; `total` is the sum of their weights for each class.
    pub(crate) fn finish(mut self, total: &[f32]) -> ScoreRows {
        for mut row in self.sums.scores.outer_iter_mut() {
            for (mut line, total) in row.outer_iter_mut().zip(total) {
                let share = 1.0 / total;
                line.mapv_inplace(|v| v * share);
            }
        }
        self.sums
    }
}

/// Adds a row `[C, W]`, each class with its weight.
fn add_row(row: &ArrayView2<'_, f32>, weights: &[f32], mut sums: ArrayViewMut2<'_, f32>) {
    for ((mut sums, line), weight) in sums.outer_iter_mut().zip(row.outer_iter()).zip(weights) {
        sums.scaled_add(*weight, &line);
    }
}
