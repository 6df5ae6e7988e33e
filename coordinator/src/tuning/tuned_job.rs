//! The job file with what was fitted.

use super::{TuneCandidate, TuneError, ln_factors};
use crate::planning::Planned;
use marquetry_ensemble::{Rule, ScoreSpace};
use marquetry_job::Member;
use marquetry_spec::{JobSpec, MemberSpec, TilesPer};
use marquetry_tuning::{Space, Tuned};
use std::collections::BTreeSet;

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
    below(&member.onnx, base).unwrap_or(&member.onnx).clone_into(&mut entry.onnx);
    entry.tags = member.tags.clone();
    if weight != 1.0 {
        entry.weights.iter_mut().for_each(|own| *own = rounded(*own * weight));
    }
    Ok(entry)
}

/// The rest of `path` where it lies below the folder `base`.
fn below<'a>(path: &'a str, base: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(base)?;
    let rest = if base.ends_with('/') { rest } else { rest.strip_prefix('/')? };
    (!rest.is_empty()).then_some(rest)
}

/// Five digits: more than what was fitted means, of any size.
fn rounded(number: f32) -> f32 {
    format!("{number:.4e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_their_own_folder_alone() {
        assert_eq!(below("/a/b/models/m.onnx", "/a/b"), Some("models/m.onnx"));
        assert_eq!(below("s3://bucket/x/m.onnx", "s3://bucket/x/"), Some("m.onnx"));
        assert_eq!((below("/a/bc/m.onnx", "/a/b"), below("/c/m.onnx", "/a/b")), (None, None));
    }

    #[test]
    fn small_and_large_numbers_keep_their_digits() {
        let found = [1.234_567_8e-9, 2.5, 1.999_999e9, 0.000_012_345_6].map(rounded);
        assert_eq!(found, [1.2346e-9, 2.5, 2e9, 1.2346e-5]);
    }
}
