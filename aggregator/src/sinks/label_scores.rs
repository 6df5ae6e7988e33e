//! An image's given label and its scores, for what judges labels.

use super::SinkContext;
use crate::row::Row;
use crate::sink::SinkError;
use marquetry_evaluation::LEFT_OUT;
use marquetry_label_quality::LabelledScores;

/// Takes rows until the image is whole: areas take all of it.
pub(super) struct LabelScores {
    scores: LabelledScores,
    /// Labels of pixels without scores, by their places: they take no part, and stay as they are.
    unscored: Vec<(usize, u16)>,
    /// Of the row in hand: each class's share, `[C, W]`, and the label, `[W]`.
    shares: Vec<f32>,
    labels: Vec<u16>,
}

impl LabelScores {
    pub(super) fn new(context: &SinkContext<'_>) -> Self {
        let scores = LabelledScores::new(context.image.size, context.spec.classes.len());
        Self { scores, unscored: Vec::new(), shares: Vec::new(), labels: Vec::new() }
    }

    /// Takes a row, if it has scores.
    pub(super) fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let (Some(scores), Some(truth)) = (row.scores(), row.truth()) else { return Ok(()) };
        let unscored = row.unscored();
        scores.write_shares(&unscored, &mut self.shares)?;
        self.labels.clear();
        self.labels.extend_from_slice(truth);
        let from = self.scores.pair().truth.len();
        for (x, label) in self.labels.iter_mut().enumerate().filter(|(x, _)| unscored[*x]) {
            self.unscored.push((from + x, *label));
            *label = LEFT_OUT;
        }
        self.scores.push_row(&self.shares, &self.labels);
        Ok(())
    }

    /// All rows that came.
    pub(super) const fn all(&self) -> &LabelledScores {
        &self.scores
    }

    /// Puts the labels of pixels without scores back into `labels`, `[height, width]`.
    pub(super) fn put_back(&self, labels: &mut [u16]) {
        self.unscored.iter().for_each(|&(at, label)| labels[at] = label);
    }
}
