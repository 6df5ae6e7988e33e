//! What is found in one image: all that its quality is judged by.

use crate::boundary::EdgeFindings;
use crate::component::{Component, ErrorComponents};
use crate::confident::{ConfidentCounts, ConfidentSums};
use crate::scores::LabelledScores;
use marquetry_evaluation::{ClassCounts, Confusion};
use serde::{Deserialize, Serialize};

/// What is found in one image. Of a label that is left out everywhere nothing is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Pixels by label (as the truth) and predicted class.
    pub confusion: Confusion,
    /// Error components, in the order of their first pixels.
    pub components: Vec<Component>,
    /// What the boundaries say.
    pub edges: EdgeFindings,
    /// What the image adds to the thresholds of confident learning.
    pub confident: ConfidentSums,
    /// What is held against them: pixels that are predicted to be of another class than their label.
    pub confident_others: ConfidentCounts,
    /// Cleanlab's softmin of the whole image, 0 to 1.
    pub softmin: Option<f64>,
    /// The least softmin of its windows, 0 to 1.
    pub window_softmin: Option<f64>,
}

impl Findings {
    /// Of all rows of an image. `background` is the class that has no objects, if there is one. Memory: 2 bytes a pixel
    /// beside what the image's scores take, and about 60 for each piece of a row in which neither label nor prediction
    /// changes.
    pub fn new(scores: &LabelledScores, background: Option<u16>) -> Self {
        let pair = scores.pair();
        let found = ErrorComponents::new(&pair, scores.evidence(), background);
        let mut confusion = Confusion::new(scores.classes());
        for segment in found.segments.list() {
            confusion.add_run(segment.truth, segment.predicted, segment.pixels());
        }
        Self {
            confusion,
            components: found.components.into_iter().flatten().collect(),
            edges: EdgeFindings::new(&pair, scores.evidence()),
            confident: scores.confident().clone(),
            confident_others: scores.confident_others().clone(),
            softmin: scores.softmin().whole(),
            window_softmin: scores.softmin().least(),
        }
    }

    /// The share of labelled pixels whose label is not predicted, 0 to 1; 0 where none is labelled.
    pub fn differing(&self) -> f64 {
        let pixels = self.confusion.pixels();
        (pixels - self.confusion.right()) as f64 / pixels.max(1) as f64
    }

    /// Whether label and prediction have two classes or more each.
    pub(crate) fn both_have_classes(&self) -> bool {
        let by_class = self.confusion.class_counts();
        let several =
            |has: fn(&ClassCounts) -> u64| by_class.iter().filter(|counts| has(counts) > 0).count() > 1;
        several(ClassCounts::truth) && several(ClassCounts::predicted)
    }

    /// Cohen's kappa of label and prediction: 1 where they agree, 0 where they do no more than two that know nothing of each
    /// other; none where nothing is labelled, or both have one class alone, the same.
    pub fn kappa(&self) -> Option<f64> {
        let pixels = self.confusion.pixels();
        if pixels == 0 {
            return None;
        }
        let by_class = self.confusion.class_counts();
        let by_chance: f64 = by_class
            .iter()
            .map(|c| {
                let [given, predicted] = [c.false_negatives, c.false_positives]
                    .map(|wrong| (c.true_positives + wrong) as f64 / pixels as f64);
                given * predicted
            })
            .sum();
        let right = self.confusion.right() as f64 / pixels as f64;
        (by_chance < 1.0).then(|| (right - by_chance) / (1.0 - by_chance))
    }
}
