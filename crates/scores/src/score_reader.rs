//! The merged scores of one image, for whoever asks.

use crate::group_tiles::{GroupRows, GroupTiles, TileSource, whole, whole_mut};
use crate::merge::{GroupWeights, ScoreRows, WeightedMean};
use crate::score_error::ScoreError;
use crate::unsure::FirstRound;
use marquetry_ensemble::{Resampled, ScoreSpace, ScoreTransform, Voice};
use marquetry_geometry::Size;
use marquetry_job::{Plan, PlannedImage, tile};
use marquetry_region::Region;
use ndarray::{Array3, Axis};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Reads the scores of one image of a plan from its stored tiles.
///
/// Rows may be read in any order; top to bottom is cheapest, since each frame of a tile is then decoded once. It blocks
/// while the store is read.
///
/// ```no_run
/// # use marquetry_scores::{ScoreError, ScoreReader, TileSource};
/// # use marquetry_job::{Plan, PlannedImage};
/// # fn sum(source: &TileSource, plan: &Plan, image: &PlannedImage) -> Result<(), ScoreError> {
/// let mut reader = ScoreReader::open(source, plan, image)?;
/// for (y, scores, missing) in reader.rows(0..reader.size().height)?.iter() {
///     println!("row {y}: {} scores, {} pixels", scores.len(), missing.len());
/// }
/// # Ok(())
/// # }
/// ```
pub struct ScoreReader {
    image: Size,
    classes: usize,
    /// The tiles of each group of which a member scores the image.
    groups: Vec<GroupTiles>,
    weights: GroupWeights,
    /// From what tiles hold to what groups are merged in.
    to_merge_space: ScoreTransform,
    /// Where what each group says is asked for too.
    apart: Option<Apart>,
    /// What stands where others have not looked.
    first_round: Option<FirstRound>,
}

/// What it takes to tell what each group says.
struct Apart {
    /// From what tiles hold to probabilities.
    to_probabilities: ScoreTransform,
    /// For each group in what it has a say.
    voices: Vec<Voice>,
}

impl ScoreReader {
    /// The scores of `image`, which is one of those that `plan` was made for. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// When no member of the plan scores it.
    pub fn open(source: &TileSource, plan: &Plan, image: &PlannedImage) -> Result<Self, ScoreError> {
        let (inference, weights) = (&plan.inference, GroupWeights::of(plan, image));
        let groups = weights.groups.iter().map(|(group, _)| {
            let tiles = GroupTiles::new(source.clone(), plan, image, *group);
            tiles.ok_or_else(|| ScoreError::NoMember(image.id.clone()))
        });
        let groups = groups.collect::<Result<Vec<_>, _>>()?;
        if groups.is_empty() {
            return Err(ScoreError::NoMember(image.id.clone()));
        }
        let classes = inference.classes.len();
        let to_merge_space =
            ScoreTransform::between(inference.tile_space, plan.merge.space, inference.labelling, classes);
        Ok(Self {
            image: image.size,
            classes,
            groups,
            weights,
            to_merge_space,
            apart: None,
            first_round: None,
        })
    }

    /// The same, whose rows come with the probabilities of each member too, where each has tiles of its own: of those that have a
    /// say in the merge.
    #[must_use]
    pub fn with_members(mut self, plan: &Plan) -> Self {
        let (inference, to) = (&plan.inference, ScoreSpace::Probabilities);
        let to_probabilities =
            ScoreTransform::between(inference.tile_space, to, inference.labelling, self.classes);
        let groups = self.weights.groups.iter();
        let voices = groups.map(|(group, _)| plan.voice(inference.first_member(*group as usize))).collect();
        self.apart = Some(Apart { to_probabilities, voices });
        self
    }

    /// The same, whose rows are those of `first`, the first round alone, but for the pixels of `unsure`; and what counts the unsure ones
    /// that have the first round's all the same, as rows are read.
    #[must_use]
    pub fn where_unsure(mut self, first: Self, unsure: Arc<Region>) -> (Self, Arc<AtomicU64>) {
        let not_looked_at = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&not_looked_at);
        self.first_round = Some(FirstRound { reader: Box::new(first), unsure, not_looked_at });
        (self, counter)
    }

    /// In what each member has a say of which rows come with probabilities.
    pub fn voices(&self) -> Vec<Voice> {
        let all = self.apart.iter().flat_map(|apart| &apart.voices);
        all.filter(|voice| !voice.is_silent()).cloned().collect()
    }

    /// The image's size, px.
    pub const fn size(&self) -> Size {
        self.image
    }

    /// Number of classes.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// The tiles of each group of which a member scores the image, in the plan's order: in the group's own pixels, and in
    /// the space that tiles hold.
    pub fn groups(&mut self) -> &mut [GroupTiles] {
        &mut self.groups
    }

    /// Rows `rows`, merged over all groups that have looked at them.
    ///
    /// # Errors
    /// When the image has no such rows, a tile is damaged or gone, or the store is in trouble.
    pub fn rows(&mut self, rows: Range<u32>) -> Result<ScoreRows, ScoreError> {
        if rows.end > self.image.height || rows.is_empty() {
            return Err(ScoreError::NoSuchRows { rows, size: self.image });
        }
        let Some(mut first) = self.first_round.take() else { return self.rows_of_all(rows) };
        let read = if first.is_sure_of(&rows) {
            first.reader.rows(rows)
        } else {
            self.rows_of_all(rows).and_then(|all| first.keep_sure(all))
        };
        self.first_round = Some(first);
        read
    }

    /// Rows `rows`, merged over all groups.
    fn rows_of_all(&mut self, rows: Range<u32>) -> Result<ScoreRows, ScoreError> {
        let to_merge_space = &self.to_merge_space;
        if let [tiles] = self.groups.as_mut_slice()
            && tiles.size() == self.image
        {
            let group = tiles.rows(rows.clone())?;
            let apart = self.apart.as_ref().map(|apart| &apart.to_probabilities);
            let member = apart.map(|to| group.clone().transformed(to)).transpose()?;
            let mut merged = ScoreRows::of_one_group(rows, group.transformed(to_merge_space)?);
            merged.members.extend(member.map(|member| member.scores));
            return Ok(self.without_missing(merged));
        }
        let mut mean = WeightedMean::new(self.image, self.classes, rows.clone());
        let mut members = Vec::new();
        for (n, (tiles, (_, weights))) in self.groups.iter_mut().zip(&self.weights.groups).enumerate() {
            let size = tiles.size();
            let heard = self.apart.as_ref().filter(|apart| !apart.voices[n].is_silent());
            let (mut apart, to_probabilities) = (None, heard.map(|apart| &apart.to_probabilities));
            let read = |needed| {
                let group = tiles.rows(needed)?;
                apart = to_probabilities.map(|to| group.clone().transformed(to)).transpose()?;
                Ok::<_, ScoreError>(group.transformed(to_merge_space)?)
            };
            mean.add(size, weights, read)?;
            members.extend(apart.map(|group| on_image(group, size, self.image, &rows)));
        }
        let mut merged = mean.finish(&self.weights.total);
        merged.members = members;
        Ok(self.without_missing(merged))
    }

    /// The rows, of which pixels that the image does not have are missing too. What models said of their filling is not
    /// kept.
    fn without_missing(&self, mut merged: ScoreRows) -> ScoreRows {
        let mut none = vec![false; self.image.width as usize];
        for (k, y) in merged.rows.clone().enumerate() {
            none.fill(false);
            self.groups.iter().for_each(|tiles| tiles.mark_missing(y, &mut none));
            for (x, _) in none.iter().enumerate().filter(|(_, none)| **none) {
                merged.missing[[k, x]] = true;
                merged.scores.slice_mut(ndarray::s![k, .., x]).fill(0.0);
            }
        }
        merged
    }

    /// All rows from top to bottom, in bands of as many rows as `band_bytes` allows.
    pub fn bands(mut self, band_bytes: u64) -> impl Iterator<Item = Result<ScoreRows, ScoreError>> {
        // A row costs its scores here, in the band that is worked on meanwhile, in one group's rows, and about twice in
        // that group's decoded frames.
        let members = if self.apart.is_some() { self.groups.len() as u64 } else { 0 };
        let first = if self.first_round.is_some() { 5 } else { 0 };
        let row_bytes = u64::from(self.image.width) * self.classes as u64 * 4 * (5 + first + members * 2);
        let step = (band_bytes / row_bytes).clamp(1, u64::from(tile::ROWS_PER_FRAME)) as u32;
        let height = self.image.height;
        (0..height).step_by(step as usize).map(move |top| self.rows(top..(top + step).min(height)))
    }
}

/// Scores of a group that sees the image as `size` px, at the image's own pixels, `[rows, C, W]`.
fn on_image(group: GroupRows, size: Size, image: Size, rows: &Range<u32>) -> Array3<f32> {
    if size == image {
        return group.scores;
    }
    let sampling = Resampled::new(size, image, rows.start, rows.end);
    let classes = group.scores.len_of(Axis(1));
    let mut sampled = Array3::zeros((rows.len(), classes, image.width as usize));
    let scores = whole(group.scores.view());
    for (y, row) in sampled.outer_iter_mut().enumerate() {
        sampling.row(y, scores, classes, whole_mut(row));
    }
    sampled
}

#[cfg(test)]
#[path = "score_reader_tests.rs"]
mod tests;
