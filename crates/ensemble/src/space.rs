//! What scores mean, and which ways of merging make sense for them.

use serde::{Deserialize, Serialize};

/// What a number per pixel and class is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreSpace {
    /// Any real number; the activation is still to come.
    Logits,
    /// 0 to 1.
    Probabilities,
}

/// Whether a pixel has exactly one class or any number of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Labelling {
    /// One class per pixel: softmax over the classes.
    Multiclass,
    /// Each class on its own: sigmoid.
    Multilabel,
}

/// The activation that a model's graph already applies to its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputActivation {
    /// The output is logits.
    None,
    /// The output sums to one over the classes.
    Softmax,
    /// The output is 0 to 1, each channel on its own.
    Sigmoid,
    /// The output is decided: the number of a class for each pixel. Each is a vote.
    Labels,
}

/// How the views of one window are merged into one, per pixel and class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ViewMerge {
    /// Σ x / n
    Mean,
    /// (Π x)^(1/n); classes do not sum to one afterwards.
    Gmean,
    /// The greatest.
    Max,
    /// The smallest.
    Min,
    /// Σ x, as ttach's `sum`: no probability any more.
    Sum,
    /// Σ √x / n, as ttach's `tsharpen`, which is not squared back: no probability any more.
    Tsharpen,
}

/// A merge that makes no sense where it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "merging views by {merge:?} takes roots or logarithms, and logits can be negative: merge in probabilities, or by \
     mean, max, min or sum"
)]
pub struct MergeError {
    /// The merge that was asked for.
    pub merge: ViewMerge,
}

impl ViewMerge {
    /// Checks that the merge makes sense in `space`.
    ///
    /// # Errors
    /// For `gmean` and `tsharpen` of logits, which give NaN wherever a logit is negative.
    pub fn check(self, space: ScoreSpace) -> Result<(), MergeError> {
        match (self, space) {
            (Self::Gmean | Self::Tsharpen, ScoreSpace::Logits) => Err(MergeError { merge: self }),
            _ => Ok(()),
        }
    }

    /// Whether merged probabilities are still in 0 to 1 and comparable with a threshold.
    pub const fn keeps_probabilities(self) -> bool {
        !matches!(self, Self::Sum | Self::Tsharpen)
    }
}
