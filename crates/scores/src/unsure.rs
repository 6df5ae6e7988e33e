//! The pixels that the members of the first round are unsure of, and what the others add there.

use crate::merge::ScoreRows;
use crate::{ScoreError, ScoreReader, TileSource};
use marquetry_ensemble::{ScoreSpace, ScoreTransform};
use marquetry_geometry::{Rect, Size};
use marquetry_job::{CascadeRule, Plan, PlannedImage};
use marquetry_region::{Region, RegionBuilder};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Cells of one image, at most: 8 MiB. Of a larger one they are of 2, 4 or more px.
const CELLS_MAX: u64 = 1 << 26;

/// The part of `image` that the members after the first round look at: the pixels at which the first round is unsure, and those
/// around them, within `region` if that is given. It is the same whoever asks, wherever its tiles were cut. A pixel that the image
/// does not have is not among them. `band_bytes`: most bytes of scores that are worked on at a time.
///
/// # Errors
/// When a tile is damaged or gone, or the store is in trouble.
pub fn unsure_part(
    source: &TileSource,
    (plan, rule): (&Plan, &CascadeRule),
    image: &PlannedImage,
    region: Option<&Region>,
    band_bytes: u64,
) -> Result<Region, ScoreError> {
    let first = plan.first_round().ok_or_else(|| ScoreError::NoMember(image.id.clone()))?;
    let (labelling, classes) = (first.inference.labelling, first.inference.classes.len());
    let to_probabilities =
        ScoreTransform::between(first.merge.space, ScoreSpace::Probabilities, labelling, classes);
    let mut sure_pixels = rule.sure_pixels(classes);
    let reader = ScoreReader::open(source, &first, image)?;
    let reader = if sure_pixels.needs_members() { reader.with_members(&first) } else { reader };
    let width = image.size.width as usize;
    let (mut probabilities, mut sure, mut inside) = (Vec::new(), vec![false; width], vec![true; width]);
    let mut builder = RegionBuilder::new(image.size, CELLS_MAX);
    for band in reader.bands(band_bytes) {
        let band = band?;
        for (y, scores, missing) in band.iter() {
            probabilities.clear();
            probabilities.extend_from_slice(scores);
            to_probabilities.apply_in_place(&mut probabilities)?;
            sure_pixels.row(&probabilities, band.members_at(y), &mut sure);
            if let Some(region) = region {
                region.fill_row(y, &mut inside);
            }
            let pixels = sure.iter().zip(missing).zip(&inside);
            builder.row(y, pixels.map(|((sure, missing), inside)| !sure && !missing && *inside));
        }
    }
    let unsure = builder.finish().grown(rule.around_px);
    Ok(match region {
        Some(region) => unsure.within(region),
        None => unsure,
    })
}

/// What the first round says, where all members have looked at `unsure` alone.
pub(crate) struct FirstRound {
    pub(crate) reader: Box<ScoreReader>,
    pub(crate) unsure: Arc<Region>,
    /// Unsure pixels of the rows that were read at which others should have looked and have not.
    pub(crate) not_looked_at: Arc<AtomicU64>,
}

impl FirstRound {
    /// Whether no pixel of `rows` is unsure.
    pub(crate) fn is_sure_of(&self, rows: &Range<u32>) -> bool {
        let size = Size::new(rows.len() as u32, self.unsure.size().width);
        !self.unsure.touches(Rect::new(i64::from(rows.start), 0, size))
    }

    /// Puts what the first round says in the place of what `all` say of sure pixels, and of those at which others should have
    /// looked and have not: blocks of theirs were given up.
    pub(crate) fn keep_sure(&mut self, mut all: ScoreRows) -> Result<ScoreRows, ScoreError> {
        let first = self.reader.rows(all.rows.clone())?;
        let mut unsure = vec![false; self.unsure.size().width as usize];
        for (k, y) in all.rows.clone().enumerate() {
            self.unsure.fill_row(y, &mut unsure);
            for (x, unsure) in unsure.iter().enumerate() {
                if *unsure && !all.missing[[k, x]] {
                    continue;
                }
                if *unsure && !first.missing[[k, x]] {
                    self.not_looked_at.fetch_add(1, Ordering::Relaxed);
                }
                all.missing[[k, x]] = first.missing[[k, x]];
                let (own, other) = (ndarray::s![k, .., x], ndarray::s![k, .., x]);
                all.scores.slice_mut(own).assign(&first.scores.slice(other));
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
#[path = "unsure_tests.rs"]
mod tests;
