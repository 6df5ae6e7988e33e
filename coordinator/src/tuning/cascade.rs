//! How sure the first round of a job's cascade must be.

use super::Probed;
use crate::planning::Planned;
use marquetry_spec::JobSpec;
use marquetry_tuning::{FittedMargin, LOSS_MAX, Metric, Tuned, fit_margin};

/// What came of fitting the margin of a job's cascade.
#[derive(Debug, Clone, PartialEq)]
pub enum TunedCascade {
    /// It was fitted.
    Fitted(FittedMargin),
    /// It stays as it is, and why.
    Kept(String),
    /// The tuned job has none, and why.
    Dropped(String),
}

/// Fits the margin of the cascade of `asked` to what was probed; nothing where the job has none.
pub fn tune_cascade(
    asked: &JobSpec,
    planned: &Planned,
    probed: &Probed,
    tuned: &Tuned,
    metric: Metric,
) -> Option<TunedCascade> {
    let cascade = asked.cascade.as_ref()?;
    let members: Vec<_> = planned.plan.inference.members().collect();
    let is_first = |place: &usize| cascade.is_first(&members[*place].tags);
    let first: Vec<bool> =
        probed.candidates.iter().map(|candidate| candidate.members.iter().all(is_first)).collect();
    let is_left = |wanted: bool| {
        let weights = first.iter().zip(&tuned.weights);
        weights.filter(|(first, weight)| **first == wanted && **weight > 0.0).count() > 0
    };
    if !is_left(true) {
        return Some(TunedCascade::Dropped("no member of its first round is left".to_owned()));
    }
    if cascade.first_views(&asked.tta).is_some() {
        let words = "its first round has some of the views, and probes do not tell them apart";
        return Some(TunedCascade::Kept(words.to_owned()));
    }
    if !is_left(false) {
        return Some(TunedCascade::Dropped("every member that is left is of its first round".to_owned()));
    }
    let agreement = cascade.agreement.map(|share| share as f32);
    let fitted = fit_margin(&probed.sample, tuned, &first, agreement, metric);
    let none = || "some images are scored by members of one round alone".to_owned();
    Some(fitted.map_or_else(|| TunedCascade::Kept(none()), TunedCascade::Fitted))
}

impl TunedCascade {
    /// The tuned job with it.
    pub fn apply(&self, job: &mut JobSpec) {
        match (self, &mut job.cascade) {
            (Self::Fitted(fitted), Some(cascade)) => cascade.margin = up(fitted.margin),
            (Self::Dropped(_), cascade) => *cascade = None,
            _ => {}
        }
    }

    /// What there is to tell of it, in one line.
    pub fn line(&self) -> String {
        match self {
            Self::Fitted(fitted) if fitted.loss > LOSS_MAX => format!(
                "cascade: no margin loses at most {LOSS_MAX}: even pixels of which the first round is wholly sure lose {:.4}; give it \
                 more members, or leave the cascade out",
                fitted.loss
            ),
            Self::Fitted(fitted) => format!(
                "cascade: margin {}: the first round is sure of {:.1} % of pixels, and loses {:.4} there ({:.4} where it was fitted to \
                 other groups)",
                up(fitted.margin),
                fitted.sure * 100.0,
                fitted.loss.max(0.0),
                fitted.held_out_loss
            ),
            Self::Kept(why) => format!("cascade: left as it was: {why}"),
            Self::Dropped(why) => format!("cascade: left out: {why}"),
        }
    }
}

/// A margin in four digits, rounded up: what is asked for is not asked for less.
fn up(margin: f32) -> f64 {
    ((f64::from(margin) * 1e4).ceil() / 1e4).min(1.0)
}
