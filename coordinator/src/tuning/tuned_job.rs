//! The job file with what was fitted.

use super::{TuneCandidate, TuneError};
use crate::planning::Planned;
use marquetry_ensemble::{Rule, ScoreSpace};
use marquetry_job::Member;
use marquetry_spec::{JobSpec, MemberSpec, TilesPer};
use marquetry_tuning::{Space, Tuned};
use std::collections::BTreeSet;

/// Digits of a weight or a factor: more than what was fitted means.
const DIGITS: f32 = 1e4;

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
    job.decide.rule = if tuned.ln_factors.iter().all(|factor| *factor == 0.0) {
        Rule::Argmax
    } else {
        Rule::Factors(tuned.ln_factors.iter().map(|factor| rounded(factor.exp())).collect())
    };
    // Windows were merged in the space of views, as tiles of members have them; one tile of all would merge both in one.
    if job.merge != job.tta.space {
        job.tiles.per = TilesPer::Member;
    }
    let members: Vec<&Member> = planned.plan.inference.members().collect();
    let mut kept: Vec<(usize, MemberSpec)> = Vec::new();
    for (candidate, weight) in candidates.iter().zip(&tuned.weights).filter(|(_, weight)| **weight > 0.0) {
        let mut files = BTreeSet::new();
        for place in &candidate.members {
            let member = members[*place];
            // One file that is made for several sizes of images is one entry, and called as it was.
            let made_of = |member: &Member| (planned.entries.get(&member.name).copied(), member.onnx.clone());
            if files.insert(made_of(member)) {
                let of_one = |other: &&usize| made_of(members[**other]) == made_of(member);
                let sizes = candidate.members.iter().filter(of_one);
                let mut entry = entry(spec, planned, member, *weight, base)?;
                if sizes.count() == 1 {
                    entry.name = Some(member.name.clone());
                }
                kept.push((*place, entry));
            }
        }
    }
    kept.sort_by_key(|(place, _)| *place);
    // They are named one by one.
    job.subset.members.clear();
    job.members = kept.into_iter().map(|(_, entry)| entry).collect();
    JobSpec::parse(&job.to_yaml()).map_err(|errors| TuneError::Job(errors.to_string()))
}

/// The entry of one model, whose weight is `weight` times its own.
fn entry(
    spec: &JobSpec,
    planned: &Planned,
    member: &Member,
    weight: f32,
    base: &str,
) -> Result<MemberSpec, TuneError> {
    let mut entry = spec.members[planned.entries[&member.name]].clone();
    if member.onnx.contains(['*', '?', '[', ']', '{', '}']) {
        return Err(TuneError::Job(format!(
            "member {}: its path, {}, has characters that mean patterns in job files; give its file another name",
            member.name, member.onnx
        )));
    }
    let below = member.onnx.strip_prefix(base).map(|path| path.trim_start_matches('/'));
    below.filter(|path| !path.is_empty()).unwrap_or(&member.onnx).clone_into(&mut entry.onnx);
    entry.tags = member.tags.clone();
    entry.weights.iter_mut().for_each(|own| *own = rounded(*own * weight));
    Ok(entry)
}

fn rounded(number: f32) -> f32 {
    (number * DIGITS).round().max(1.0) / DIGITS
}
