//! Members and views in two rounds: the groups of the first come before the others, which look only at what it is unsure of.

use marquetry_ensemble::{View, Voice};
use marquetry_failure::counted;
use marquetry_job::{CascadeRule, Group, Plan, PlannedImage};
use marquetry_spec::{Cascade, JobSpec};
use std::collections::HashSet;

/// Why members cannot be put in rounds.
#[derive(Debug, thiserror::Error)]
#[error("cascade: {0}")]
pub struct CascadeError(String);

/// Groups, those of the first round before the others.
#[derive(Debug)]
pub(crate) struct Rounds {
    pub(crate) groups: Vec<Group>,
    /// How many of them are of the first round, where there is another.
    pub(crate) first: Option<u32>,
    /// What there is to tell.
    pub(crate) notes: Vec<String>,
}

/// Puts the members of `spec` in rounds. One of which only some views are of the first round stands in both, in each with the share
/// of its weights that these views have of all.
///
/// # Errors
/// When no member is of the first round, or all of them with all their views are.
pub(crate) fn in_rounds(spec: &JobSpec, groups: Vec<Group>) -> Result<Rounds, CascadeError> {
    let Some(cascade) = &spec.cascade else { return Ok(Rounds { groups, first: None, notes: Vec::new() }) };
    if !cascade.views.is_empty() && spec.tta.space != spec.merge {
        return Err(CascadeError(
            "`views` needs views and members to be merged in one space (tta.space, merge.space): in another their mean is none of \
             the parts' means"
                .to_owned(),
        ));
    }
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for group in groups {
        let (own, rest) = split(spec, cascade, &group);
        first.extend(own);
        later.extend(rest);
    }
    // A member of which only some views are of the first round stands in both.
    let all = |groups: &[Group]| {
        let names = groups.iter().flat_map(|group| group.members.iter().map(|member| member.name.as_str()));
        names.collect::<HashSet<_>>().len()
    };
    let is_part = !spec.subset.members.is_empty();
    if first.is_empty() {
        let tags: Vec<String> = cascade.first.iter().map(|(tag, values)| format!("{tag}={values}")).collect();
        let left = if is_part { " that is left" } else { "" };
        return Err(CascadeError(format!(
            "no member{left} is of the first round: none has the tags {}",
            tags.join(", ")
        )));
    }
    if later.is_empty() {
        let words =
            "every member is of the first round with all its views, and none looks only at what is unsure";
        if !is_part {
            return Err(CascadeError(format!(
                "{words}: choose fewer by `first` or `views`, or leave it out"
            )));
        }
        return Ok(Rounds { groups: first, first: None, notes: vec![format!("cascade: {words}")] });
    }
    let told = format!(
        "cascade: {} in the first round{}, and {} in the second, where the first is unsure (margin below {})",
        counted(all(&first), "member"),
        if cascade.views.is_empty() { String::new() } else { format!(" ({})", cascade.views.join(", ")) },
        all(&later),
        cascade.margin
    );
    let count = first.len() as u32;
    first.extend(later);
    Ok(Rounds { groups: first, first: Some(count), notes: vec![told] })
}

/// What of a group is of the first round, and what is not.
fn split(spec: &JobSpec, cascade: &Cascade, group: &Group) -> (Vec<Group>, Vec<Group>) {
    let (own, others): (Vec<_>, Vec<_>) =
        group.members.iter().cloned().partition(|member| cascade.is_first(&member.tags));
    let of = |members, views: Vec<View>| Group { members, views, ..group.clone() };
    let wanted =
        cascade.first_views(&spec.tta).and_then(|views| views.resolve(group.window.outer(), false).ok());
    let is_first = |view: &View| wanted.as_ref().is_none_or(|wanted| wanted.contains(view));
    let (now, after): (Vec<View>, Vec<View>) = group.views.iter().copied().partition(is_first);
    let share = |part: &[View]| part.len() as f32 / group.views.len() as f32;
    let weighing = |members: &[marquetry_job::Member], share: f32| -> Vec<marquetry_job::Member> {
        let mut members = members.to_vec();
        members.iter_mut().flat_map(|member| &mut member.weights).for_each(|weight| *weight *= share);
        members
    };
    let (mut first, mut later) = (Vec::new(), Vec::new());
    if now.is_empty() || after.is_empty() {
        // A model that takes none of these views shows all that it takes.
        first.push(of(own, group.views.clone()));
    } else {
        first.push(of(weighing(&own, share(&now)), now.clone()));
        later.push(of(weighing(&own, share(&after)), after.clone()));
    }
    later.push(of(others, group.views.clone()));
    let some = |groups: Vec<Group>| groups.into_iter().filter(|group| !group.members.is_empty()).collect();
    (some(first), some(later))
}

/// The rule of a job whose first `groups` are of the first round, and whose members have these `weights`.
pub(crate) fn rule(
    spec: &JobSpec,
    groups: &[Group],
    first: Option<u32>,
    weights: &[Vec<f32>],
) -> Option<CascadeRule> {
    let (cascade, first) = spec.cascade.as_ref().zip(first)?;
    let members: usize = groups[..first as usize].iter().map(|group| group.members.len()).sum();
    Some(CascadeRule {
        groups: first,
        space: spec.merge,
        weights: weights[..members].to_vec(),
        decide: spec.decide.rule.clone(),
        background: spec.decide.background,
        sure: cascade.sure(),
        around_px: cascade.around_px,
    })
}

/// Takes the weight in the merge from members that only say where the others look.
pub(crate) fn leave_out_first(spec: &JobSpec, rule: Option<&CascadeRule>, weights: &mut [Vec<f32>]) {
    if let Some(rule) = rule.filter(|_| spec.cascade.as_ref().is_some_and(|cascade| !cascade.joins)) {
        weights[..rule.weights.len()].iter_mut().for_each(|weights| weights.fill(0.0));
    }
}

/// What there is to tell of images that are not scored in rounds.
///
/// # Errors
/// When a class weighs nothing in the first round of an image, or its members cannot be asked whether they agree.
pub(crate) fn check(plan: &Plan, images: &[PlannedImage]) -> Result<Vec<String>, CascadeError> {
    let (Some(rule), Some(first)) = (&plan.inference.cascade, plan.first_round()) else {
        return Ok(Vec::new());
    };
    if rule.sure.agreement.is_some() {
        let members = first.inference.members().enumerate();
        let is_partial = |voice: &Voice| !voice.is_whole() && !voice.is_silent();
        if let Some((_, member)) = members.into_iter().find(|(place, _)| is_partial(&first.voice(*place))) {
            return Err(CascadeError(format!(
                "`agreement` asks each member of the first round for its label, and member {} speaks of some classes only",
                member.name
            )));
        }
    }
    let mut known: HashSet<Option<&[u32]>> = HashSet::new();
    let mut alone = Vec::new();
    for image in images {
        if plan.cascade_of(image).is_none() {
            alone.push(image.id.as_str());
            continue;
        }
        if !known.insert(image.members.as_deref()) {
            continue;
        }
        if let Some(class) = first.total_weights(image).iter().position(|weight| *weight <= 0.0) {
            return Err(CascadeError(format!(
                "class `{}` has weight 0 in every member of the first round that scores image {}: it would never be unsure of it",
                plan.inference.classes[class], image.id
            )));
        }
    }
    let told = alone.first().map(|id| {
        format!(
            "cascade: {} scored by members of one round alone, which look at everything: {id}{}",
            if alone.len() == 1 { "1 image is".to_owned() } else { format!("{} images are", alone.len()) },
            if alone.len() == 1 { "" } else { ", …" }
        )
    });
    Ok(told.into_iter().collect())
}
