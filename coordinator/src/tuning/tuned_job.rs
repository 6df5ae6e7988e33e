//! The job file with what was fitted.

use super::{TuneCandidate, TuneError, ln_factors};
use crate::chosen_members::{job_of, rounded};
use crate::planning::Planned;
use marquetry_ensemble::{Rule, ScoreSpace};
use marquetry_spec::{JobSpec, TilesPer};
use marquetry_tuning::{Space, Tuned};

/// `spec` with the members, weights, space and factors of `tuned`; members that weigh nothing are left out. `base` is the job
/// file's folder, to which paths of models below it are made relative.
///
/// # Errors
/// When a model's path would be read as a pattern.
pub fn tuned_job(
    spec: &JobSpec,
    planned: &Planned,
    candidates: &[TuneCandidate],
    tuned: &Tuned,
    base: &str,
) -> Result<JobSpec, TuneError> {
    let mut job = spec.clone();
    job.merge = match tuned.space {
        Space::Probabilities => ScoreSpace::Probabilities,
        Space::Logits => ScoreSpace::Logits,
    };
    // What stays is as it was written, to the last digit.
    if tuned.ln_factors != ln_factors(spec) {
        job.decide.rule =
            Rule::Factors(tuned.ln_factors.iter().map(|factor| rounded(factor.exp())).collect());
    }
    // Windows were merged in the space of views, as tiles of members have them; one tile of all would merge both in one.
    if job.merge != job.tta.space {
        job.tiles.per = TilesPer::Member;
    }
    let chosen: Vec<(usize, f32)> = candidates
        .iter()
        .zip(&tuned.weights)
        .filter(|(_, weight)| **weight > 0.0)
        .flat_map(|(candidate, weight)| candidate.members.iter().map(|place| (*place, *weight)))
        .collect();
    job_of(&job, planned, &chosen, base).map_err(TuneError::Job)
}
