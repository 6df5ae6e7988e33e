//! What is weighed: members, or in cross-validation what differs in nothing but its fold.

use marquetry_job::{Member, Plan};
use marquetry_spec::{Folds, JobSpec};
use std::collections::BTreeMap;

/// What gets one weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TuneCandidate {
    /// What to call it: the member's name, with `*` for the fold where it is one of each.
    pub name: String,
    /// Its members: places among all members of the plan.
    pub members: Vec<usize>,
    /// The tags that all of them share.
    pub tags: BTreeMap<String, String>,
}

/// The tag that says a member's fold.
const FOLD: &str = "fold";

/// The candidates of `plan`, in its order. Where each image is scored by the members of its own fold alone, members of equal
/// tags and grid that differ in their fold are one candidate: the n-th of each fold. Members that one entry of the job's list
/// (`entries`, by member) makes of one file, for images of several sizes, are one too. Those that have no say are none.
pub(crate) fn candidates(
    spec: &JobSpec,
    plan: &Plan,
    entries: &BTreeMap<String, usize>,
) -> Vec<TuneCandidate> {
    let is_cross_validated = matches!(spec.folds, Folds::OutOfFold(_));
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut candidates: Vec<TuneCandidate> = Vec::new();
    for (place, (group, member)) in with_groups(plan).enumerate() {
        if plan.voice(place).is_silent() {
            continue;
        }
        let key = if let Some(fold) = member.tags.get(FOLD).filter(|_| is_cross_validated) {
            let mut kind = member.clone();
            kind.tags.remove(FOLD);
            let kind = format!("{group} {:?} {:?} {:?}", kind.tags, kind.input, kind.weights);
            let number = seen.entry(format!("{kind} of fold {fold}")).or_default();
            *number += 1;
            format!("{number} {kind}")
        } else {
            format!("{} of entry {:?}", member.onnx, entries.get(&member.name))
        };
        let at = *places.entry(key).or_insert(candidates.len());
        if at == candidates.len() {
            candidates.push(TuneCandidate {
                name: member.name.clone(),
                members: Vec::new(),
                tags: member.tags.clone(),
            });
        }
        candidates[at].members.push(place);
    }
    let all: Vec<&Member> = plan.inference.members().collect();
    for candidate in candidates.iter_mut().filter(|candidate| candidate.members.len() > 1) {
        let shared = |tag: &String, value: &mut String| {
            candidate.members.iter().all(|place| all[*place].tags.get(tag) == Some(&*value))
        };
        candidate.tags.retain(shared);
        let first = all[candidate.members[0]];
        candidate.name =
            first.tags.get(FOLD).map_or_else(|| first.name.clone(), |fold| without_fold(&first.name, fold));
    }
    tell_apart(&mut candidates);
    candidates
}

/// Numbers candidates of one name: `fold*`, `fold* (2)`.
fn tell_apart(candidates: &mut [TuneCandidate]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for candidate in candidates {
        let number = seen.entry(candidate.name.clone()).or_default();
        *number += 1;
        if *number > 1 {
            candidate.name = format!("{} ({number})", candidate.name);
        }
    }
}

/// Each member, with the words for what its group shares.
fn with_groups(plan: &Plan) -> impl Iterator<Item = (String, &Member)> {
    plan.inference.groups.iter().flat_map(|group| {
        let words =
            format!("{:?} {:?} {:?} {:?}", group.scaling, group.window, group.importance, group.views);
        group.members.iter().map(move |member| (words.clone(), member))
    })
}

/// A member's name with `*` for its fold: `net_fold*_seed1`.
fn without_fold(name: &str, fold: &str) -> String {
    for between in ["", "_", "-", "="] {
        for word in ["fold", "Fold", "f"] {
            let said = format!("{word}{between}{fold}");
            if let Some(at) = name.find(&said) {
                return format!("{}{word}{between}*{}", &name[..at], &name[at + said.len()..]);
            }
        }
    }
    format!("{name} and its folds")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_plans::{member_called, plan_of};

    fn spec(folds: &str) -> JobSpec {
        let text = format!(
            "version: 1\nimages: i\nclasses: [a, b]\nmembers: [{{onnx: m.onnx}}]\noutputs: [{{masks: png}}]\n{folds}"
        );
        JobSpec::parse(&text).unwrap()
    }

    fn names(folds: &str, members: &[(&str, &[(&str, &str)])]) -> Vec<(String, Vec<usize>)> {
        let members: Vec<Member> = members.iter().map(|(name, tags)| member_called(name, tags)).collect();
        let entries =
            members.iter().enumerate().map(|(n, member): (usize, &Member)| (member.name.clone(), n));
        let entries = entries.collect();
        let found = candidates(&spec(folds), &plan_of(members), &entries);
        found.into_iter().map(|candidate| (candidate.name, candidate.members)).collect()
    }

    #[test]
    fn folds_of_one_kind_are_one_where_images_are_scored_out_of_fold() {
        let members: [(&str, &[(&str, &str)]); 5] = [
            ("net_fold0_seed1", &[("fold", "0"), ("seed", "1")]),
            ("net_fold1_seed1", &[("fold", "1"), ("seed", "1")]),
            ("net_fold0_seed2", &[("fold", "0"), ("seed", "2")]),
            ("other_f1", &[("fold", "1"), ("seed", "2")]),
            ("alone", &[]),
        ];
        let one_each = |names: &[&str]| {
            names.iter().enumerate().map(|(n, name)| ((*name).to_owned(), vec![n])).collect::<Vec<_>>()
        };
        assert_eq!(names("", &members), one_each(&members.map(|(name, _)| name)));
        let found = names("folds: out_of_fold", &members);
        let wanted = [("net_fold*_seed1", vec![0, 1]), ("net_fold*_seed2", vec![2, 3]), ("alone", vec![4])];
        assert_eq!(found, wanted.map(|(name, members)| (name.to_owned(), members)));
    }

    /// One file in three entries, as of several scales: three.
    #[test]
    fn one_file_in_several_entries_is_several_members() {
        let members =
            ["a", "b", "c"].map(|name| Member { onnx: "m.onnx".to_owned(), ..member_called(name, &[]) });
        let entries = BTreeMap::from([("a".into(), 0), ("b".into(), 1), ("c".into(), 1)]);
        let found = candidates(&spec(""), &plan_of(members.to_vec()), &entries);
        let members: Vec<_> = found.iter().map(|candidate| candidate.members.clone()).collect();
        assert_eq!(members, [vec![0], vec![1, 2]], "those of one entry are of sizes of images");
    }

    #[test]
    fn two_kinds_of_equal_tags_stay_two() {
        let members: [(&str, &[(&str, &str)]); 4] = [
            ("big_fold0", &[("fold", "0")]),
            ("big_fold1", &[("fold", "1")]),
            ("small_fold0", &[("fold", "0")]),
            ("small_fold1", &[("fold", "1")]),
        ];
        let found = names("folds: out_of_fold", &members);
        let wanted = [("big_fold*", vec![0, 1]), ("small_fold*", vec![2, 3])];
        assert_eq!(found, wanted.map(|(name, members)| (name.to_owned(), members)));
    }
}
