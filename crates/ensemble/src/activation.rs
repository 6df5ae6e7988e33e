//! From what a model says to scores in a declared space.

use crate::exp::sigmoid;
use crate::softmax::{Planes, softmax};
use crate::{Labelling, OutputActivation, ScoreSpace};

/// Probabilities are kept this far from 0 and 1 before a logarithm is taken.
const CLAMP: f32 = 1e-6;

/// How far beyond 0 and 1 a probability may lie: what half precision and rounding make of it, and no more.
const BEYOND: f32 = 0.01;

/// What a model said that is no score.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BadScore {
    /// NaN or infinity, said by the model or come of merging what it said.
    #[error("the scores hold NaN or infinity")]
    NonFinite,
    /// A number outside 0 to 1 where the output counts as probabilities.
    #[error(
        "the scores hold {0}, which is no probability, and the output counts as probabilities: set `activation` to what \
         the graph really applies"
    )]
    NoProbability(f32),
}

/// What is done to each pixel's channels to make them classes in the wanted space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ActivationOp {
    Keep,
    Softmax,
    Sigmoid,
    Ln,
    Logit,
}

/// Turns a model's channels into scores of all classes in one space, pixel by pixel.
///
/// A model with one channel in a job of two exclusive classes speaks of the second class: its logit `z` becomes
/// `[0, z]`, its probability `p` becomes `[1 − p, p]`; softmax and argmax then say what sigmoid and ½ would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreTransform {
    step: ActivationOp,
    to: ScoreSpace,
    binary: bool,
    /// Whether what comes in is what a model calls probabilities.
    probabilities: bool,
    classes: usize,
    /// Where each channel goes.
    order: Vec<u16>,
}

impl ScoreTransform {
    /// The transform from `channels` channels with `applied` already done to `classes` classes in space `to`, or `None`
    /// when the channels cannot be those classes.
    pub fn new(
        applied: OutputActivation,
        labelling: Labelling,
        channels: usize,
        classes: usize,
        to: ScoreSpace,
    ) -> Option<Self> {
        let binary = channels == 1 && classes == 2 && labelling == Labelling::Multiclass;
        if !(binary || channels == classes) || (binary && applied == OutputActivation::Softmax) {
            return None;
        }
        let step = match (applied, to) {
            (OutputActivation::None, ScoreSpace::Logits)
            | (OutputActivation::Softmax | OutputActivation::Sigmoid, ScoreSpace::Probabilities) => {
                ActivationOp::Keep
            }
            (OutputActivation::None, ScoreSpace::Probabilities)
                if binary || labelling == Labelling::Multilabel =>
            {
                ActivationOp::Sigmoid
            }
            (OutputActivation::None, ScoreSpace::Probabilities) => ActivationOp::Softmax,
            (OutputActivation::Softmax, ScoreSpace::Logits) => ActivationOp::Ln,
            (OutputActivation::Sigmoid, ScoreSpace::Logits) => ActivationOp::Logit,
        };
        let first = u16::from(binary);
        let probabilities = applied != OutputActivation::None;
        Some(Self { step, to, binary, probabilities, classes, order: (first..classes as u16).collect() })
    }

    /// The transform of merged scores of all classes from one space to another.
    pub fn between(from: ScoreSpace, to: ScoreSpace, labelling: Labelling, classes: usize) -> Self {
        let step = match (from, to, labelling) {
            (ScoreSpace::Logits, ScoreSpace::Probabilities, Labelling::Multiclass) => ActivationOp::Softmax,
            (ScoreSpace::Logits, ScoreSpace::Probabilities, Labelling::Multilabel) => ActivationOp::Sigmoid,
            (ScoreSpace::Probabilities, ScoreSpace::Logits, Labelling::Multiclass) => ActivationOp::Ln,
            (ScoreSpace::Probabilities, ScoreSpace::Logits, Labelling::Multilabel) => ActivationOp::Logit,
            (ScoreSpace::Logits, ScoreSpace::Logits, _)
            | (ScoreSpace::Probabilities, ScoreSpace::Probabilities, _) => ActivationOp::Keep,
        };
        let order = (0..classes as u16).collect();
        Self { step, to, binary: false, probabilities: false, classes, order }
    }

    /// The same for a mirrored view, in which what the model calls class `k` is class `order[k]` of the image.
    ///
    /// # Panics
    /// When `order` is not as long as there are channels.
    #[must_use]
    pub fn mirrored(&self, order: &[u16]) -> Self {
        assert_eq!(order.len(), self.order.len(), "one class for each channel");
        Self { order: order.to_vec(), ..self.clone() }
    }

    /// Whether scores that are already classes pass unchanged.
    pub fn is_identity(&self) -> bool {
        self.step == ActivationOp::Keep && !self.binary
    }

    /// Number of classes that come out.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// Transforms `out.len() / classes` neighbouring pixels: channel `k` starts at `planes[k · plane_len + offset]`;
    /// `out` is `[classes, pixels]`.
    ///
    /// # Errors
    /// When a value is NaN or infinite, or no probability where the model's output counts as that.
    pub fn apply(
        &self,
        planes: &[f32],
        plane_len: usize,
        offset: usize,
        out: &mut [f32],
    ) -> Result<(), BadScore> {
        let n = out.len() / self.classes;
        if self.step == ActivationOp::Softmax && !self.binary {
            let from = Planes { values: planes, plane_len, offset, order: &self.order };
            return softmax(Some(&from), out, n);
        }
        for (k, &class) in self.order.iter().enumerate() {
            out[class as usize * n..][..n].copy_from_slice(&planes[k * plane_len + offset..][..n]);
        }
        self.finish(out, n, usize::from(self.binary))
    }

    /// Transforms pixels in place, `[classes, pixels]`, that are already classes.
    ///
    /// # Errors
    /// When a value is NaN or infinite.
    pub fn apply_in_place(&self, rows: &mut [f32]) -> Result<(), BadScore> {
        let n = rows.len() / self.classes;
        self.finish(rows, n, 0)
    }

    fn finish(&self, rows: &mut [f32], n: usize, first: usize) -> Result<(), BadScore> {
        if self.step == ActivationOp::Softmax && !self.binary {
            return softmax(None, rows, n);
        }
        // No early exit: a whole row is checked faster than a branch per pixel is taken.
        if rows[first * n..].iter().fold(false, |bad, x| bad | !x.is_finite()) {
            return Err(BadScore::NonFinite);
        }
        let given = &mut rows[first * n..];
        if self.probabilities && given.iter().fold(false, |bad, x| bad | is_no_probability(*x)) {
            let found = given.iter().copied().find(|x| is_no_probability(*x)).unwrap_or_default();
            return Err(BadScore::NoProbability(found));
        }
        match self.step {
            ActivationOp::Keep => {}
            ActivationOp::Softmax => softmax(None, given, n)?,
            ActivationOp::Sigmoid => given.iter_mut().for_each(|x| *x = sigmoid(*x)),
            ActivationOp::Ln => given.iter_mut().for_each(|x| *x = x.max(CLAMP).ln()),
            ActivationOp::Logit => given.iter_mut().for_each(|x| {
                let p = x.clamp(CLAMP, 1.0 - CLAMP);
                *x = (p / (1.0 - p)).ln();
            }),
        }
        if self.binary {
            let (background, object) = rows.split_at_mut(n);
            match self.to {
                ScoreSpace::Logits => background.fill(0.0),
                ScoreSpace::Probabilities => {
                    background.iter_mut().zip(object).for_each(|(b, p)| *b = 1.0 - *p);
                }
            }
        }
        Ok(())
    }
}

/// Whether `x` lies outside 0 to 1 by more than rounding.
fn is_no_probability(x: f32) -> bool {
    !(-BEYOND..=1.0 + BEYOND).contains(&x)
}

#[cfg(test)]
#[path = "activation_tests.rs"]
mod tests;
