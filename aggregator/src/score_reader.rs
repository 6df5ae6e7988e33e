//! The merged scores of one image, for whoever asks.

use crate::group_tiles::{GroupTiles, TileSource};
use crate::merge::{GroupWeights, ScoreRows, WeightedMean};
use crate::score_error::ScoreError;
use marquetry_geometry::Size;
use marquetry_job::{Plan, tile};
use std::ops::Range;

/// Reads the scores of one image of a plan from its stored tiles.
///
/// Rows may be read in any order; top to bottom is cheapest, since each frame of a tile is then decoded once. It blocks
/// while the store is read.
///
/// ```no_run
/// # fn sum(source: marquetry_aggregator::TileSource, plan: &marquetry_job::Plan) -> Result<(), marquetry_aggregator::ScoreError> {
/// let mut reader = marquetry_aggregator::ScoreReader::open(&source, plan, 0)?;
/// for (y, scores, missing) in reader.rows(0..reader.size().height)?.iter() {
///     println!("row {y}: {} scores, {} pixels", scores.len(), missing.len());
/// }
/// # Ok(())
/// # }
/// ```
pub struct ScoreReader {
    image: Size,
    classes: usize,
    groups: Vec<GroupTiles>,
    weights: GroupWeights,
}

impl ScoreReader {
    /// The scores of image number `image` of `plan`. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// When the plan has no such image, or no windows for it.
    pub fn open(source: &TileSource, plan: &Plan, image: u32) -> Result<Self, ScoreError> {
        let size = plan.images.get(image as usize).ok_or(ScoreError::NoSuchImage(image))?.size;
        let groups = (0..plan.scoring.groups.len() as u32)
            .map(|group| GroupTiles::new(source.clone(), plan, image, group))
            .collect::<Option<Vec<_>>>()
            .ok_or(ScoreError::NoSuchImage(image))?;
        Ok(Self { image: size, classes: plan.scoring.classes.len(), groups, weights: GroupWeights::of(plan) })
    }

    /// The image's size, px.
    pub const fn size(&self) -> Size {
        self.image
    }

    /// Number of classes.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// The tiles of each group, in the plan's order, in the group's own pixels.
    pub fn groups(&mut self) -> &mut [GroupTiles] {
        &mut self.groups
    }

    /// Rows `rows`, merged over all groups.
    ///
    /// # Errors
    /// When the image has no such rows, a tile is damaged or gone, or the store is in trouble.
    pub fn rows(&mut self, rows: Range<u32>) -> Result<ScoreRows, ScoreError> {
        if rows.end > self.image.height || rows.is_empty() {
            return Err(ScoreError::NoSuchRows { rows, size: self.image });
        }
        if let [tiles] = self.groups.as_mut_slice()
            && tiles.size() == self.image
        {
            let group = tiles.rows(rows.clone())?;
            return Ok(ScoreRows::of_one_group(rows, group));
        }
        let mut mean = WeightedMean::new(self.image, self.classes, rows);
        for (tiles, weights) in self.groups.iter_mut().zip(&self.weights.groups) {
            mean.add(tiles.size(), weights, |needed| tiles.rows(needed))?;
        }
        Ok(mean.finish(&self.weights.total))
    }

    /// All rows from top to bottom, in bands of as many rows as `band_bytes` allows.
    pub fn bands(mut self, band_bytes: u64) -> impl Iterator<Item = Result<ScoreRows, ScoreError>> {
        // A row costs its scores here, in the band that is worked on meanwhile, in one group's rows, and about twice in
        // that group's decoded frames.
        let row_bytes = u64::from(self.image.width) * self.classes as u64 * 4 * 5;
        let step = (band_bytes / row_bytes).clamp(1, u64::from(tile::ROWS_PER_FRAME)) as u32;
        let height = self.image.height;
        (0..height).step_by(step as usize).map(move |top| self.rows(top..(top + step).min(height)))
    }
}

#[cfg(test)]
#[path = "score_reader_tests.rs"]
mod tests;
