//! The job file with what was fitted.

use super::{TuneCandidate, TuneError, ln_factors};
use crate::chosen_members::{job_of, rounded};
use crate::planning::Planned;
use marquetry_ensemble::{Rule, ScoreSpace};
use marquetry_spec::{JobSpec, TilesPer};
use marquetry_tuning::{Round, Space, Tuned};

/// `spec` with the members, weights, space and factors of `tuned`, the members in the order of `rounds`; those that are in none are
/// left out. `base` is the job
/// file's folder, to which paths of models below it are made relative.
///
/// # Errors
/// When a model's path would be read as a pattern.
pub fn tuned_job(
    spec: &JobSpec,
    planned: &Planned,
    candidates: &[TuneCandidate],
    (tuned, rounds): (&Tuned, &[Round]),
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
    let of_round = |round: &Round| {
        let weight = tuned.weights[round.candidate];
        candidates[round.candidate].members.iter().map(move |place| (*place, weight))
    };
    let chosen: Vec<(usize, f32)> = rounds.iter().flat_map(of_round).collect();
    job_of(&job, planned, &chosen, base).map_err(TuneError::Job)
}
