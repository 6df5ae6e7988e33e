//! The members of a job: found, looked into, tried, and grouped by the grid they share.

use crate::planning::candidate::{Candidate, LookedAt};
use crate::planning::findings::{Findings, MemberKind};
use crate::planning::member_devices::MemberDevices;
use crate::planning::member_names::{Named, first_taken, member_names, tags_from_paths};
use crate::planning::members_error::MembersError;
use crate::planning::models::Models;
use crate::planning::padded_sizes::{MadeFor, multiple, padded_sizes};
use crate::planning::parallel_map::parallel_map;
use crate::planning::paths::{Match, expand};
use marquetry_job::Group;
use marquetry_spec::{JobSpec, TilesPer};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Models that are tried at once. Each takes memory, and large ones take much.
const TRIALS: usize = 4;

/// The members of a job.
pub(crate) struct Members {
    pub(crate) groups: Vec<Group>,
    pub(crate) made_for: MadeFor,
    /// For each member, by name, the entry of the job's list that names its model.
    pub(crate) entries: BTreeMap<String, usize>,
    pub(crate) findings: Findings,
}

/// The members of `spec`, grouped, and what there is to tell the user about them. `base` is the job file's folder;
/// of the images there are those that can be used, and their depths.
pub(crate) fn groups(
    spec: &JobSpec,
    base: &str,
    models: &Models<'_>,
    looked_at: LookedAt<'_>,
    each: impl Fn(&str) + Sync,
) -> Result<Members, MembersError> {
    let (candidates, mut errors) = candidates(spec, base, models, looked_at)?;
    let at_once = models.cores.min(TRIALS).min(candidates.len()).max(1);
    let probe = |candidate: &Candidate<'_>| {
        each(&candidate.name);
        candidate.probe(models, models.cores / at_once)
    };
    let is_over = |probed: &Result<_, MembersError>| probed.as_ref().is_err_and(MembersError::is_passing);
    let probed = parallel_map(&candidates, at_once, probe, is_over);
    let (mut groups, mut warnings, mut choices) = (Vec::<Group>::new(), Vec::new(), Vec::new());
    // One after the other, while nothing else runs: they are measured.
    let mut devices = MemberDevices::new(spec, models, candidates.len());
    for (candidate, probed) in candidates.iter().zip(probed) {
        let group = match probed {
            Some(Ok(mut probed)) => {
                warnings.append(&mut probed.warnings);
                if let Err(error) = devices.settle(candidate, &mut probed) {
                    errors.push(error);
                }
                choices.push((candidate.name.clone(), probed.choices));
                probed.group
            }
            Some(Err(error)) => {
                errors.push(error);
                continue;
            }
            // Not begun, since an error ends this.
            None => continue,
        };
        match spec.tiles.per {
            TilesPer::Group => join(&mut groups, group),
            TilesPer::Member => groups.push(group),
        }
    }
    errors.sort_by_key(MembersError::entry);
    MembersError::all(errors)?;
    let notes = devices.told();
    let findings = Findings { warnings, members: MemberKind::of(choices), notes, ..Findings::default() };
    let made_for = candidates.iter().filter_map(|of| Some((of.name.clone(), of.made_for?))).collect();
    let entries = candidates.iter().map(|of| (of.name.clone(), of.entry)).collect();
    Ok(Members { groups, made_for, entries, findings })
}

/// The models that the job names, each with the name and the tags of its member; and what is wrong with entries of which there is
/// none. Those of which there are some are looked at all the same, so that all that is wrong is told at once.
fn candidates<'a>(
    spec: &'a JobSpec,
    base: &str,
    models: &Models<'_>,
    looked_at: LookedAt<'a>,
) -> Result<(Vec<Candidate<'a>>, Vec<MembersError>), MembersError> {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for (entry, member) in spec.members.iter().enumerate() {
        match expand(models.files, &member.onnx, base) {
            Ok(files) => found.extend(files.into_iter().map(|file| (entry, member, file))),
            Err(error) => errors.push(MembersError::Path { entry, error }),
        }
    }
    if found.is_empty() || errors.iter().any(MembersError::is_passing) {
        MembersError::all(std::mem::take(&mut errors))?;
    }
    let named = found.iter().map(|(entry, member, file)| Named {
        entry: *entry,
        given: member.name.as_deref(),
        uri: &file.uri,
    });
    let names = member_names(&named.collect::<Vec<_>>());
    if let Some(place) = first_taken(&names) {
        errors.push(MembersError::Name { entry: found[place].0, name: names[place].clone() });
        errors.sort_by_key(MembersError::entry);
        MembersError::all(std::mem::take(&mut errors))?;
    }
    let tags = tags_from_paths(&found.iter().map(|(.., file)| file.uri.as_str()).collect::<Vec<_>>());
    let mut candidates = Vec::with_capacity(found.len());
    let mut known = BTreeSet::new();
    for ((entry, member, file), (name, mut tags)) in found.into_iter().zip(names.into_iter().zip(tags)) {
        tags.extend(member.tags.clone());
        if !spec.subset.takes(&tags) {
            known.insert(tags);
            continue;
        }
        let Match { uri, stat, .. } = file;
        let whole = Candidate {
            spec,
            member: Cow::Borrowed(member),
            entry,
            name,
            made_for: None,
            tags,
            uri,
            stat,
            looked_at,
        };
        let Some(of) = multiple(member) else {
            candidates.push(whole);
            continue;
        };
        let sizes = padded_sizes(looked_at.images, of).map_err(|reason| whole.unfit(reason))?;
        let several = sizes.len() > 1;
        candidates.extend(sizes.into_iter().map(|size| {
            let mut member = member.clone();
            member.window.size = Some(size);
            let name = if several { format!("{} at {size} px", whole.name) } else { whole.name.clone() };
            Candidate { member: Cow::Owned(member), name, made_for: Some((of, size)), ..whole.clone() }
        }));
    }
    if candidates.is_empty() && errors.is_empty() {
        return Err(MembersError::NoneOfSubset {
            asked: in_words(&spec.subset.members),
            known: all_in_words(&known),
        });
    }
    Ok((candidates, errors))
}

/// Tags as `fold=0, seed=1`.
fn in_words(tags: &BTreeMap<String, String>) -> String {
    tags.iter().map(|(tag, value)| format!("{tag}={value}")).collect::<Vec<_>>().join(", ")
}

/// The values of each tag that some member has.
fn all_in_words(members: &BTreeSet<BTreeMap<String, String>>) -> String {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (tag, value) in members.iter().flatten() {
        values.entry(tag).or_default().insert(value);
    }
    let each = values.into_iter().map(|(tag, values)| format!("{tag}={}", Vec::from_iter(values).join("|")));
    let all = each.collect::<Vec<_>>().join(", ");
    if all.is_empty() { "none".to_owned() } else { all }
}

/// Puts a group of one into the group that shares its grid, or at the end.
fn join(groups: &mut Vec<Group>, lone: Group) {
    let same = |g: &&mut Group| {
        (g.scaling, g.resample, g.window, g.importance, &g.views)
            == (lone.scaling, lone.resample, lone.window, lone.importance, &lone.views)
    };
    match groups.iter_mut().find(same) {
        Some(group) => group.members.extend(lone.members),
        None => groups.push(lone),
    }
}
