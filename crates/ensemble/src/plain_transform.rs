//! Transforms of scores as a description, for whoever computes them elsewhere.

use super::{ActivationOp, BEYOND, CLAMP, Route, ScoreTransform};
use crate::ScoreSpace;

/// What a [`ScoreTransform`] does where each class is one channel, or what one channel leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct PlainTransform {
    /// Between which numbers a channel's values must lie; any finite ones if not given.
    pub allowed: Option<(f32, f32)>,
    /// What is done to the channels of each pixel.
    pub step: PlainStep,
    /// Which class speaks from which channel.
    pub route: PlainRoute,
}

/// What is done to the channels of a pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PlainStep {
    /// Nothing.
    Keep,
    /// Softmax over all.
    Softmax,
    /// The logistic function of each.
    Sigmoid,
    /// `ln max(x, least)` of each.
    Ln {
        /// The least probability that has a logarithm.
        least: f32,
    },
    /// `ln(p / (1 − p))` of each, with `p` of `least` to `1 − least`.
    Logit {
        /// The least probability that has a logit.
        least: f32,
    },
}

/// How channels become classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlainRoute {
    /// For each class its channel.
    Channels(Vec<u16>),
    /// The one channel is `object`'s, and the other class has what it leaves of 1, or the logit 0.
    Binary {
        /// The class of the channel, 0 or 1.
        object: u16,
        /// Whether the other has a logit.
        is_logit: bool,
    },
}

impl ScoreTransform {
    /// The transform as a description; none where channels are summed, classes have none, or the model says labels.
    pub fn plain(&self) -> Option<PlainTransform> {
        let step = match self.step {
            ActivationOp::Keep => PlainStep::Keep,
            ActivationOp::Softmax => PlainStep::Softmax,
            ActivationOp::Sigmoid => PlainStep::Sigmoid,
            ActivationOp::Ln => PlainStep::Ln { least: CLAMP },
            ActivationOp::Logit => PlainStep::Logit { least: CLAMP },
        };
        let route = match &self.route {
            Route::Direct { order } => {
                let mut channels = vec![0; order.len()];
                for (channel, class) in (0..).zip(order) {
                    channels[usize::from(*class)] = channel;
                }
                PlainRoute::Channels(channels)
            }
            Route::Binary { object, .. } => {
                PlainRoute::Binary { object: *object, is_logit: self.to == ScoreSpace::Logits }
            }
            Route::Summed(_) | Route::Votes { .. } => return None,
        };
        let allowed = self.probabilities.then_some((-BEYOND, 1.0 + BEYOND));
        Some(PlainTransform { allowed, step, route })
    }
}
