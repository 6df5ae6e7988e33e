//! What a model's graph applies to its scores: as the job says, held against what a trial run showed.

use crate::planning::findings::{Choice, Origin};
use marquetry_ensemble::{Labelling, OutputActivation};
use marquetry_model::{Activation, Response, SUMS_TO, ScoreFacts};

/// What was settled.
#[derive(Debug, PartialEq)]
pub(crate) struct SettledActivation {
    pub(crate) applied: OutputActivation,
    pub(crate) choice: Choice<String>,
    /// What is suspicious about it.
    pub(crate) warning: Option<String>,
}

/// The activation of an output of `scores`, of which the job says `said`, or that it is to be measured.
///
/// # Errors
/// When what is said cannot be.
pub(crate) fn settle_activation(
    said: Option<OutputActivation>,
    scores: &ScoreFacts,
    labelling: Labelling,
) -> Result<SettledActivation, String> {
    let measured = match by_images(scores).unwrap_or(scores.activation) {
        Activation::None => OutputActivation::None,
        Activation::Softmax => OutputActivation::Softmax,
        Activation::Sigmoid => OutputActivation::Sigmoid,
        Activation::Labels => OutputActivation::Labels,
    };
    let Some(applied) = said else { return Ok(auto(measured, scores, labelling)) };
    impossible(applied, measured, scores)?;
    let [said, seen] = [applied, measured].map(word);
    let contradicted = match (applied, measured) {
        (a, b) if a == b => None,
        // Nothing hangs on which of the two it is, where probabilities are merged; and softmax rounds.
        (OutputActivation::Sigmoid, OutputActivation::Softmax) if labelling == Labelling::Multilabel => None,
        _ if scores.response == Response::Constant => None,
        _ => Some(format!(
            "output.activation says {said}, and {} in {} look like {seen}{}: say activation: {seen}, or leave it out",
            values_in_words(scores),
            tried_on(scores),
            twice(applied, measured),
        )),
    };
    let choice = Choice { value: said.to_owned(), from: Origin::Said };
    Ok(SettledActivation { applied, choice, warning: contradicted })
}

/// What the job's own images show where noise alone says otherwise: probabilities. No scores of a whole image lie in 0 to 1 in one
/// channel, or sum to 1 at every pixel, by chance; and noise is nothing that the model was made for.
fn by_images(scores: &ScoreFacts) -> Option<Activation> {
    let seen = scores.images.as_ref().filter(|_| scores.activation == Activation::None)?;
    let is_sure = seen.activation == Activation::Softmax
        || (seen.activation == Activation::Sigmoid && scores.classes == 1 && !within(seen.range, 0.25));
    is_sure.then_some(seen.activation)
}

/// Whether values differ by less than `width`.
fn within((low, high): (f32, f32), width: f32) -> bool {
    high - low < width
}

fn auto(measured: OutputActivation, scores: &ScoreFacts, labelling: Labelling) -> SettledActivation {
    let mut warning = None;
    let mut applied = measured;
    if labelling == Labelling::Multilabel && measured == OutputActivation::Softmax {
        // They are probabilities all the same.
        applied = OutputActivation::Sigmoid;
        warning = Some(format!(
            "multilabel: true says that classes are independent, and the channels of every pixel sum to 1 in {}, as after \
             a softmax: is it a model of classes that exclude each other?",
            tried_on(scores)
        ));
    }
    if let (Some(_), Some(seen)) = (by_images(scores), &scores.images) {
        warning = Some(format!(
            "its values are {}{} in windows of images, and {} in noise: they are taken for probabilities; say output.activation: none \
             if they are scores",
            range(seen.range),
            if measured == OutputActivation::Softmax { " and sum to 1" } else { "" },
            range(scores.noise.range)
        ));
    }
    if let Some(note) = scores.notes.iter().find(|note| note.starts_with(SUMS_TO)) {
        warning = Some(format!(
            "{note} Scores without an activation do not do that: if they are, have the model divide by it (else the \
             softmax that is applied here takes them for logits)"
        ));
    }
    // No numbers: those of a hundred members differ, and members that are alike share a line.
    let value = match measured {
        OutputActivation::None => "none, as values lie beyond 0 to 1",
        OutputActivation::Softmax => "softmax, as values of a pixel sum to 1",
        OutputActivation::Sigmoid if is_decided(scores) => {
            "sigmoid, as values are only 0 and 1, decided already"
        }
        OutputActivation::Sigmoid => "sigmoid, as values lie in 0 to 1 and sum to anything",
        OutputActivation::Labels => "labels, votes: probabilities are shares of votes",
    };
    let value = value.to_owned();
    SettledActivation { applied, choice: Choice { value, from: Origin::Measured }, warning }
}

/// What no run of a model with `applied` could have shown.
fn impossible(
    applied: OutputActivation,
    measured: OutputActivation,
    scores: &ScoreFacts,
) -> Result<(), String> {
    let said = word(applied);
    let seen = format!("{} in {}", values_in_words(scores), tried_on(scores));
    match (applied, measured) {
        (OutputActivation::Labels, OutputActivation::Labels) => Ok(()),
        (OutputActivation::Labels, _) if scores.classes == 1 && is_decided(scores) => Ok(()),
        (OutputActivation::Labels, _) => Err(format!(
            "output.activation: labels are whole numbers in one channel, and the output has {} with {seen}: leave \
             activation out, and what was measured is used ({})",
            channels(scores.classes),
            word(measured),
        )),
        (_, OutputActivation::Labels) => Err(format!(
            "output.activation: {said} goes with scores, and the output holds labels, {seen}: say activation: labels, or \
             export the model without ArgMax"
        )),
        (OutputActivation::Softmax | OutputActivation::Sigmoid, OutputActivation::None) if out_of(scores) => {
            Err(format!(
                "output.activation: {said} makes probabilities from 0 to 1, and {seen} are none: say activation: none, or \
                 leave it out"
            ))
        }
        _ => Ok(()),
    }
}

/// Whether values lie outside 0 to 1, by more than rounding: in windows of images, where there were any, since noise is nothing
/// that the model was made for.
fn out_of(scores: &ScoreFacts) -> bool {
    let (low, high) = scores.images.as_ref().map_or(scores.range, |seen| seen.range);
    low < -1e-2 || high > 1.01
}

/// Whether only 0 and 1 were seen: labels of two classes look like that too.
fn is_decided(scores: &ScoreFacts) -> bool {
    scores.range == (0.0, 1.0) && scores.notes.iter().any(|note| note.contains("only 0 and 1"))
}

fn twice(applied: OutputActivation, measured: OutputActivation) -> &'static str {
    match (applied, measured) {
        (OutputActivation::None, OutputActivation::Softmax | OutputActivation::Sigmoid) => {
            ", which would be applied twice"
        }
        _ => "",
    }
}

fn word(activation: OutputActivation) -> &'static str {
    match activation {
        OutputActivation::None => "none",
        OutputActivation::Softmax => "softmax",
        OutputActivation::Sigmoid => "sigmoid",
        OutputActivation::Labels => "labels",
    }
}

pub(crate) fn channels(count: u32) -> String {
    if count == 1 { "1 channel".to_owned() } else { format!("{count} channels") }
}

fn range((low, high): (f32, f32)) -> String {
    format!("{low:.3} to {high:.3}")
}

fn values_in_words(scores: &ScoreFacts) -> String {
    format!("values of {}", range(scores.range))
}

fn tried_on(scores: &ScoreFacts) -> &'static str {
    if scores.images.is_some() { "its trial run on images and noise" } else { "its trial run on noise" }
}

#[cfg(test)]
#[path = "activation_tests.rs"]
mod tests;
