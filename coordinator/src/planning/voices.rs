//! What outputs that hang on single members can tell: who scores an image, and in which classes each has a say.

use marquetry_ensemble::Voice;
use marquetry_job::{Plan, PlannedImage};
use marquetry_spec::{JobSpec, Measure, Output, TilesPer};
use std::collections::HashSet;

/// A measure that would be of nothing.
#[derive(Debug, thiserror::Error)]
#[error(
    "outputs[{output}]: mutual_information is how far members are apart over all classes, and of the {members} members that \
     score image {image} {found} (output.classes, or a weight of 0 for a class): take entropy or margin, or add a member that has all classes"
)]
pub struct MeasureError {
    output: usize,
    members: usize,
    image: String,
    found: &'static str,
}

/// Whether `output` is of this measure.
fn is_of(output: &Output, measure: Measure) -> bool {
    match output {
        Output::Uncertainty(maps) => maps.measures.contains(&measure),
        Output::Ranking(ranking) => ranking.measure == measure,
        _ => false,
    }
}

/// Whether `output` hangs on which members vote for a label.
fn takes_votes(output: &Output) -> bool {
    is_of(output, Measure::VoteShare)
        || matches!(output, Output::PseudoLabels(pseudo) if pseudo.agreement > 0.0)
}

/// What there is to tell of `spec`'s outputs that hang on what each member says.
///
/// # Errors
/// When mutual information is asked for, and members of an image cannot be compared over all classes.
pub(super) fn check(
    spec: &JobSpec,
    plan: &Plan,
    images: &[PlannedImage],
) -> Result<Vec<String>, MeasureError> {
    let all: Vec<(&str, Voice)> = plan
        .inference
        .members()
        .enumerate()
        .map(|(place, member)| (member.name.as_str(), plan.voice(place)))
        .collect();
    let mut known: HashSet<Option<&[u32]>> = HashSet::new();
    let mut told_by_one = None;
    for image in images.iter().filter(|image| known.insert(image.members.as_deref())) {
        let heard = heard(&all, image);
        if heard.len() < 2 {
            continue;
        }
        if let Some((output, found)) =
            spec.outputs.iter().position(|o| is_of(o, Measure::MutualInformation)).zip(incomparable(&heard))
        {
            return Err(MeasureError { output, members: heard.len(), image: image.id.clone(), found });
        }
        told_by_one = told_by_one.or_else(|| by_one(spec, &heard));
    }
    let votes = spec.outputs.iter().any(takes_votes);
    Ok(alone(spec, &all, images).into_iter().chain(told_by_one.filter(|_| votes)).collect())
}

/// The members that score `image` and have a say in it, by name.
fn heard<'a>(all: &'a [(&'a str, Voice)], image: &PlannedImage) -> Vec<&'a (&'a str, Voice)> {
    let scoring = all.iter().enumerate().filter(|(place, _)| image.is_scored_by(*place));
    scoring.map(|(_, member)| member).filter(|(_, voice)| !voice.is_silent()).collect()
}

/// Why two or more members cannot be compared over all classes, if they cannot.
fn incomparable(heard: &[&(&str, Voice)]) -> Option<&'static str> {
    let classes = heard.first().map_or(0, |(_, voice)| voice.classes());
    // Which of its own classes a pixel has says something where there are two, or where it may have none of them.
    let compares = |voice: &Voice| voice.count() > 1 || (0..classes).all(|class| voice.tells(class));
    if !heard.iter().any(|(_, voice)| voice.is_whole()) {
        Some("none has a say in all of them")
    } else if heard.iter().filter(|(_, voice)| compares(voice)).count() < 2 {
        Some("one alone has a say in more than one of them")
    } else {
        None
    }
}

/// What there is to tell of a class in which one member of several has a say.
fn by_one(spec: &JobSpec, heard: &[&(&str, Voice)]) -> Option<String> {
    let alone = |class: usize| match heard.iter().filter(|(_, v)| v.has(class)).collect::<Vec<_>>()[..] {
        [(name, _)] => Some((class, *name)),
        _ => None,
    };
    let (class, name) = (0..spec.classes.len()).find_map(alone)?;
    Some(format!(
        "of class `{}` member {name} alone has a say (output.classes, or a weight of 0 for a class): agreement and vote_share of its \
         pixels are what it says itself",
        spec.classes[class].name
    ))
}

/// What there is to tell of images that one member scores alone, where an output hangs on what several say.
fn alone(spec: &JobSpec, all: &[(&str, Voice)], images: &[PlannedImage]) -> Option<String> {
    let by_member = spec.tiles.per == TilesPer::Member;
    let reliability = by_member && spec.outputs.iter().any(|o| matches!(o, Output::PseudoLabels(_)));
    let needed = spec.outputs.iter().any(Output::needs_members);
    if !needed && !reliability {
        return None;
    }
    let is_alone = |image: &&PlannedImage| heard(all, image).len() < 2;
    let (first, count) = (images.iter().find(is_alone)?, images.iter().filter(is_alone).count());
    let (noun, are) = if count == 1 { ("image", "is") } else { ("images", "are") };
    let nothing = match (needed, reliability) {
        (true, true) => {
            "agreement, vote_share and mutual_information say nothing there, and the reliability of its pseudo-labels is empty"
        }
        (true, false) => "agreement, vote_share and mutual_information say nothing there",
        (false, _) => "the reliability of its pseudo-labels is empty",
    };
    Some(format!(
        "{count} {noun} ({}{}) {are} scored by one member alone, which agrees with itself: {nothing}",
        first.id,
        if count > 1 { ", …" } else { "" }
    ))
}

#[cfg(test)]
#[path = "voices_tests.rs"]
mod tests;
