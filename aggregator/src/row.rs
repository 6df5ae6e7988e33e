//! One row of an image, as every sink sees it.

use marquetry_ensemble::{BadScore, Labelling, MemberRow, ScoreTransform, normalise_shares};
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

/// One row of an image: its labels, its scores, which pixels are missing, and what is right.
///
/// Scores come with labels when labels are final as soon as they are decided. Where a job tidies labels up, which takes
/// the whole image, every sink sees each row twice: first with scores, then with labels (see
/// [`RowSink::needs_whole_rows`](crate::RowSink::needs_whole_rows)). The truth, where the image has one, is there each time.
pub struct Row<'a> {
    pub(crate) y: u32,
    pub(crate) labels: Option<&'a [u16]>,
    pub(crate) scores: Option<&'a RowScores<'a>>,
    pub(crate) members: &'a [MemberRow<'a>],
    pub(crate) missing: &'a [bool],
    /// Nothing where no pixel of the image is outside of its region.
    pub(crate) skipped: Option<&'a [bool]>,
    pub(crate) truth: Option<&'a [u16]>,
}

impl<'a> Row<'a> {
    /// Its place in the image, from the top, px.
    pub const fn y(&self) -> u32 {
        self.y
    }

    /// Pixels of the row.
    pub const fn width(&self) -> usize {
        self.missing.len()
    }

    /// Final labels, `[planes, W]`: one plane of classes, or, where classes share pixels, a plane of 0 and 1 for each.
    /// Missing pixels have the job's ignore label in every plane.
    pub const fn labels(&self) -> Option<&'a [u16]> {
        self.labels
    }

    /// The scores, and what follows from them.
    pub const fn scores(&self) -> Option<&'a RowScores<'a>> {
        self.scores
    }

    /// What each member says of the row, where a sink asked for it; it comes with scores. Members that have no say in the merge
    /// are not among them.
    pub const fn members(&self) -> &'a [MemberRow<'a>] {
        self.members
    }

    /// Pixels without scores, because blocks were given up or the image has no value there, `[W]`.
    pub const fn missing(&self) -> &'a [bool] {
        self.missing
    }

    /// Pixels outside of the image's region, `[W]`: nothing was computed there, their class is stated, and their scores are
    /// those of that class alone. Missing pixels are not among them.
    pub const fn skipped(&self) -> Option<&'a [bool]> {
        self.skipped
    }

    /// Pixels of which nobody has said anything, `[W]`: missing and skipped ones.
    pub fn unscored(&self) -> Cow<'a, [bool]> {
        let Some(skipped) = self.skipped else { return Cow::Borrowed(self.missing) };
        Cow::Owned(skipped.iter().zip(self.missing).map(|(skipped, missing)| *skipped || *missing).collect())
    }

    /// The labels that are right, `[W]`: classes, and [`NO_TRUTH`](marquetry_job::NO_TRUTH) where nothing is known.
    pub const fn truth(&self) -> Option<&'a [u16]> {
        self.truth
    }
}

/// Turns merged scores into probabilities and confidence, and keeps the memory for both from row to row.
pub(crate) struct ScoreLens {
    to_probabilities: ScoreTransform,
    labelling: Labelling,
    probabilities: Cell<Vec<f32>>,
    confidence: Cell<Vec<f32>>,
}

impl ScoreLens {
    pub(crate) fn new(to_probabilities: ScoreTransform, labelling: Labelling) -> Self {
        Self { to_probabilities, labelling, probabilities: Cell::default(), confidence: Cell::default() }
    }

    /// A row of merged scores, `[C, W]`.
    pub(crate) const fn row<'a>(&'a self, merged: &'a [f32]) -> RowScores<'a> {
        RowScores { lens: self, merged, probabilities: OnceCell::new(), confidence: OnceCell::new() }
    }
}

/// The scores of one row. What follows from them is computed once, when it is asked for.
pub struct RowScores<'a> {
    lens: &'a ScoreLens,
    merged: &'a [f32],
    /// Nothing where the merged scores are probabilities already.
    probabilities: OnceCell<Result<Option<Vec<f32>>, BadScore>>,
    confidence: OnceCell<Vec<f32>>,
}

impl RowScores<'_> {
    /// Scores in the job's merge space, `[C, W]`.
    pub const fn merged(&self) -> &[f32] {
        self.merged
    }

    /// Probabilities, `[C, W]`.
    ///
    /// # Errors
    /// When a score is NaN or infinite.
    pub fn probabilities(&self) -> Result<&[f32], BadScore> {
        let computed = self.probabilities.get_or_init(|| {
            if self.lens.to_probabilities.is_identity() {
                // No early exit: a whole row is checked faster than a branch per pixel is taken.
                let strange = self.merged.iter().fold(false, |bad, score| bad | !score.is_finite());
                return if strange { Err(BadScore::NonFinite) } else { Ok(None) };
            }
            let mut row = self.lens.probabilities.take();
            row.clear();
            row.extend_from_slice(self.merged);
            self.lens.to_probabilities.apply_in_place(&mut row)?;
            Ok(Some(row))
        });
        computed.as_ref().map(|row| row.as_deref().unwrap_or(self.merged)).map_err(|error| *error)
    }

    /// Writes each class's share of a pixel, `[C, W]`, of classes that exclude each other: probabilities made to sum to 1, which
    /// weights by class, members of some classes and some merges of views do not leave. Pixels that are `missing` get 0.
    ///
    /// # Errors
    /// When a score is NaN or infinite.
    pub(crate) fn write_shares(&self, missing: &[bool], shares: &mut Vec<f32>) -> Result<(), BadScore> {
        shares.clear();
        shares.extend_from_slice(self.probabilities()?);
        normalise_shares(shares, missing);
        Ok(())
    }

    /// How sure the ensemble is of each pixel, `[W]`, 0 to 1: the greatest share of a class, or, where classes share pixels,
    /// how far the least sure class is from one half, doubled.
    ///
    /// # Errors
    /// When a score is NaN or infinite.
    pub fn confidence(&self) -> Result<&[f32], BadScore> {
        let probabilities = self.probabilities()?;
        Ok(self.confidence.get_or_init(|| {
            let mut sure = self.lens.confidence.take();
            sure.clear();
            let width = probabilities.len() / self.lens.to_probabilities.classes();
            match self.lens.labelling {
                Labelling::Multiclass => {
                    sure.resize(width, 0.0);
                    fold_lines(probabilities, &mut sure, |best, p| if p > best { p } else { best });
                    let mut sums = vec![0.0_f32; width];
                    fold_lines(probabilities, &mut sums, |sum, p| sum + p);
                    let known = sure.iter_mut().zip(&sums).filter(|(_, sum)| **sum > 0.0);
                    known.for_each(|(best, sum)| *best /= sum);
                }
                Labelling::Multilabel => {
                    sure.resize(width, 1.0);
                    fold_lines(probabilities, &mut sure, |least, p| least.min((2.0 * p - 1.0).abs()));
                }
            }
            sure
        }))
    }
}

impl Drop for RowScores<'_> {
    /// Gives the memory back for the next row.
    fn drop(&mut self) {
        if let Some(Ok(Some(row))) = self.probabilities.take() {
            self.lens.probabilities.set(row);
        }
        if let Some(sure) = self.confidence.take() {
            self.lens.confidence.set(sure);
        }
    }
}

/// Inlined into both calls, so that the loop over a line becomes vector instructions.
#[inline]
fn fold_lines(row: &[f32], folded: &mut [f32], fold: impl Fn(f32, f32) -> f32) {
    for line in row.chunks_exact(folded.len()) {
        folded.iter_mut().zip(line).for_each(|(s, &p)| *s = fold(*s, p));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_ensemble::ScoreSpace;

    fn lens(from: ScoreSpace, labelling: Labelling, classes: usize) -> ScoreLens {
        ScoreLens::new(
            ScoreTransform::between(from, ScoreSpace::Probabilities, labelling, classes),
            labelling,
        )
    }

    #[test]
    fn probabilities_stay_and_logits_are_activated() {
        let merged = [0.25, 0.75, 0.75, 0.25];
        let same = lens(ScoreSpace::Probabilities, Labelling::Multiclass, 2);
        let row = same.row(&merged);
        assert!(std::ptr::eq(row.probabilities().unwrap(), &raw const merged[..]), "no copy");
        assert_eq!(row.confidence().unwrap(), [0.75, 0.75]);

        // Sums that are not 1: .9 + .3, .2 + .2, and a pixel of which nothing is known.
        let merged = [0.9, 0.2, 0.0, 0.3, 0.2, 0.0];
        let row = same.row(&merged);
        assert!(
            row.confidence()
                .unwrap()
                .iter()
                .zip([0.75, 0.5, 0.0])
                .all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6)
        );
        let mut shares = vec![9.0];
        row.write_shares(&[false, true, false], &mut shares).unwrap();
        assert!(
            shares
                .iter()
                .zip([0.75, 0.0, 0.0, 0.25, 0.0, 0.0])
                .all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6)
        );

        let logits = lens(ScoreSpace::Logits, Labelling::Multilabel, 2);
        let merged = [0.0, 3.0_f32.ln(), f32::MAX, -3.0_f32.ln()];
        for _ in 0..2 {
            let row = logits.row(&merged);
            let p = row.probabilities().unwrap();
            assert!(p.iter().zip([0.5, 0.75, 1.0, 0.25]).all(|(a, b)| (a - b).abs() < 1e-6), "{p:?}");
            let sure = row.confidence().unwrap();
            assert!(sure.iter().zip([0.0, 0.5]).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{sure:?}");
        }
        assert_eq!(logits.probabilities.take().capacity(), 4, "the memory is kept for the next row");
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        for (space, score) in [(ScoreSpace::Probabilities, f32::NAN), (ScoreSpace::Logits, f32::INFINITY)] {
            let lens = lens(space, Labelling::Multiclass, 2);
            let merged = [0.5, 0.5, 0.5, score];
            let row = lens.row(&merged);
            assert_eq!(row.probabilities(), Err(BadScore::NonFinite));
            assert_eq!(row.confidence(), Err(BadScore::NonFinite));
        }
    }
}
