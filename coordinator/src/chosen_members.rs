//! The job of some of a job's members, each of which it names.

use crate::planning::Planned;
use marquetry_job::Member;
use marquetry_spec::{JobSpec, MemberSpec};
use std::collections::BTreeSet;

/// `spec` with those of its members alone that are chosen, in this order: places among all members of `planned`, each with a factor
/// on its weights. They keep their names and tags. `base` is the job file's folder, to which paths of models below it are
/// made relative.
///
/// # Errors
/// When a model's path would be read as a pattern, or what is left is no job: in words.
pub(crate) fn job_of(
    spec: &JobSpec,
    planned: &Planned,
    chosen: &[(usize, f32)],
    base: &str,
) -> Result<JobSpec, String> {
    let members: Vec<&Member> = planned.plan.inference.members().collect();
    // One file that is made for several sizes of images is one entry, and called as it was.
    let made_of = |place: usize| {
        let member = members[place];
        (planned.entries.get(&member.name).copied(), member.onnx.as_str())
    };
    let (mut files, mut entries) = (BTreeSet::new(), Vec::new());
    for &(place, factor) in chosen {
        if files.insert(made_of(place)) {
            let mut entry = entry(spec, planned, members[place], factor, base)?;
            if chosen.iter().filter(|(other, _)| made_of(*other) == made_of(place)).count() == 1 {
                entry.name = Some(members[place].name.clone());
            }
            entries.push(entry);
        }
    }
    let mut job = spec.clone();
    // They are named one by one.
    job.subset.members.clear();
    job.members = entries;
    JobSpec::parse(&job.to_yaml()).map_err(|errors| errors.to_string())
}

/// The entry of one model, whose weights are `factor` times its own.
fn entry(
    spec: &JobSpec,
    planned: &Planned,
    member: &Member,
    factor: f32,
    base: &str,
) -> Result<MemberSpec, String> {
    let mut entry = spec.members[planned.entries[&member.name]].clone();
    if member.onnx.contains(['*', '?', '[', ']', '{', '}']) {
        return Err(format!(
            "member {}: its path, {}, has characters that mean patterns in job files; give its file another name",
            member.name, member.onnx
        ));
    }
    below(&member.onnx, base).unwrap_or(&member.onnx).clone_into(&mut entry.onnx);
    entry.tags = member.tags.clone();
    if factor != 1.0 {
        entry.weights.iter_mut().for_each(|own| *own = rounded(*own * factor));
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
pub(crate) fn rounded(number: f32) -> f32 {
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
