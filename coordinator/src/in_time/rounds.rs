//! What a round is: the least that may be added to a submission.

use crate::chosen_members::job_of;
use crate::forward_cost::{ForwardCost, forward_cost};
use crate::planning::Planned;
use crate::tuning::candidates;
use marquetry_job::{Plan, PlannedImage};
use marquetry_spec::{JobSpec, TilesPer};
use std::collections::BTreeSet;

/// Members that are added to a submission together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// What to call it: its member, `*` for folds, or several with commas between.
    pub name: String,
    /// Its members: places among all members of the plan.
    pub members: Vec<usize>,
}

/// The job that is run in rounds: `spec` with tiles of single members, which stay until the end; and what there is to tell.
///
/// # Errors
/// When the job cannot have that: in words.
pub fn in_rounds(spec: &JobSpec) -> Result<(JobSpec, Option<String>), String> {
    if spec.nights.keep > 0 {
        return Err("nights: a night is compared with the one before, and rounds are jobs of their own, with other members: \
                    take `nights` out"
            .to_owned());
    }
    if spec.cascade.is_some() {
        return Err("cascade: what members look at hangs on others, so that no part of them is the same job with fewer: take \
                    `cascade` out"
            .to_owned());
    }
    let mut job = spec.clone();
    job.tiles.per = TilesPer::Member;
    job.tiles.keep = true;
    let job = JobSpec::parse(&job.to_yaml()).map_err(|errors| {
        format!("rounds need tiles of each member, and this job cannot have them: {errors}")
    })?;
    let told = (spec.tiles.per != TilesPer::Member).then(|| {
        let space = match job.tta.space {
            marquetry_ensemble::ScoreSpace::Logits => "logits",
            marquetry_ensemble::ScoreSpace::Probabilities => "probabilities",
        };
        format!(
            "rounds need tiles of each member: what comes out is that of the job with `tiles: {{per: member}}` and \
             `tta: {{space: {space}}}`, which may differ in a few pixels from one of tiles of groups"
        )
    });
    Ok((job, told))
}

/// The rounds of a planned job, in the order of its members. Each is one member, or where images are scored out of fold all
/// that differ in their fold alone; the first has what it takes for every image to have a label. Members without a weight
/// are in none.
pub fn rounds(spec: &JobSpec, planned: &Planned) -> Vec<Round> {
    let Planned { plan, images, entries, .. } = planned;
    let candidates = candidates(spec, plan, entries).into_iter();
    first_whole(
        candidates.map(|candidate| Round { name: candidate.name, members: candidate.members }),
        |members| labels_all(plan, images, members),
    )
}

/// The rounds, of which the first takes in others until `is_enough` of its members.
fn first_whole(mut rounds: impl Iterator<Item = Round>, is_enough: impl Fn(&[usize]) -> bool) -> Vec<Round> {
    let Some(mut first) = rounds.next() else { return Vec::new() };
    while !is_enough(&first.members) {
        let Some(next) = rounds.next() else { break };
        first.name = format!("{}, {}", first.name, next.name);
        first.members.extend(next.members);
    }
    std::iter::once(first).chain(rounds).collect()
}

/// Whether these members have a weight in every class of every image.
fn labels_all(plan: &Plan, images: &[PlannedImage], members: &[usize]) -> bool {
    let scored: BTreeSet<Option<&[u32]>> = images.iter().map(|image| image.members.as_deref()).collect();
    let classes = plan.inference.classes.len();
    scored.into_iter().all(|scored| {
        let scores = |member: &&usize| scored.is_none_or(|all| all.contains(&(**member as u32)));
        let members = members.iter().filter(scores);
        let weights: Vec<&Vec<f32>> = members.map(|member| &plan.merge.weights[*member]).collect();
        (0..classes).all(|class| weights.iter().map(|weights| weights[class]).sum::<f32>() > 0.0)
    })
}

/// The job of the first `count` of `rounds`, which names each of its members. `base` is the folder of the job file of `spec`.
///
/// # Errors
/// When a model's path would be read as a pattern: in words.
pub fn job_of_rounds(
    spec: &JobSpec,
    planned: &Planned,
    rounds: &[Round],
    count: usize,
    base: &str,
) -> Result<JobSpec, String> {
    let members = rounds.iter().take(count).flat_map(|round| &round.members);
    let mut chosen: Vec<(usize, f32)> = members.map(|place| (*place, 1.0)).collect();
    // In the order of the job, which sums have: a round of folds may have members from all over the list.
    chosen.sort_by_key(|(place, _)| *place);
    job_of(spec, planned, &chosen, base)
}

/// What each round costs.
///
/// # Panics
/// When members share tiles.
pub fn costs(planned: &Planned, rounds: &[Round]) -> Vec<ForwardCost> {
    rounds.iter().map(|round| forward_cost(planned, &round.members)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_plans::{image, member_called, plan_of};

    fn round(name: &str, members: &[usize]) -> Round {
        Round { name: name.to_owned(), members: members.to_vec() }
    }

    #[test]
    fn the_first_round_takes_in_what_it_needs() {
        let all = || [round("a", &[0]), round("b", &[1]), round("c", &[2])].into_iter();
        let enough = |count: usize| move |members: &[usize]| members.len() >= count;
        assert_eq!(first_whole(all(), enough(1)), all().collect::<Vec<_>>());
        assert_eq!(first_whole(all(), enough(2)), [round("a, b", &[0, 1]), round("c", &[2])]);
        assert_eq!(first_whole(all(), enough(9)), [round("a, b, c", &[0, 1, 2])]);
        assert_eq!(first_whole(std::iter::empty(), enough(1)), []);
    }

    /// Folds of other tags are rounds of their own, and one of them labels a part of the images only.
    #[test]
    fn every_image_and_class_has_a_member() {
        let mut members = ["a", "b", "c"].map(|name| member_called(name, &[]));
        members[2].weights = vec![1.0, 0.0];
        let plan = plan_of(members.to_vec());
        let all = [image("x")];
        assert!(labels_all(&plan, &all, &[0]) && labels_all(&plan, &all, &[1, 2]));
        assert!(!labels_all(&plan, &all, &[2]), "it has no weight in the second class");
        let folds = [image("x").scored_by(vec![0]), image("y").scored_by(vec![1, 2])];
        assert!(!labels_all(&plan, &folds, &[0]) && !labels_all(&plan, &folds, &[0, 2]));
        assert!(labels_all(&plan, &folds, &[0, 1]));
    }

    fn spec(more: &str) -> JobSpec {
        JobSpec::parse(&format!(
            "version: 1\nimages: i\nclasses: [a, b]\nmembers: [{{onnx: m.onnx}}]\noutputs: [{{masks: png}}]\n{more}"
        ))
        .unwrap()
    }

    #[test]
    fn jobs_get_tiles_of_members_and_are_told_so() {
        let (job, told) = in_rounds(&spec("merge: {space: logits}\n")).unwrap();
        assert_eq!((job.tiles.per, job.tiles.keep), (TilesPer::Member, true));
        assert!(
            told.is_some_and(|told| told.contains("tta: {space: logits}")),
            "as the windows of groups were merged"
        );
        assert_eq!(in_rounds(&spec("tiles: {per: member}\n")).unwrap().1, None);
        assert!(in_rounds(&spec("nights: {keep: 3}\n")).is_err_and(|words| words.contains("nights")));
    }
}
