//! What the numbers of a member's output mean.

use crate::planning::activation::{channels as counted, settle_activation};
use crate::planning::class_map::{Channels, listed, settle_classes};
use crate::planning::findings::{Choice, Origin};
use marquetry_ensemble::{ClassMap, Labelling, OutputActivation};
use marquetry_job::IoContract;
use marquetry_model::{ModelFacts, Response, ScoreFacts, richer_head, rival_heads};
use marquetry_spec::{Concern, JobSpec, OutputSpec};

/// What the numbers of a member's output mean.
pub(crate) struct Meaning {
    pub(crate) applied: OutputActivation,
    pub(crate) classes: ClassMap,
    /// Head, classes and activation in words.
    pub(crate) words: [Choice<String>; 3],
    pub(crate) warnings: Vec<(Concern, String)>,
}

/// What the head's numbers mean: what was said of them, held against what was measured.
///
/// # Errors
/// When it cannot be, or cannot be told.
pub(crate) fn meaning(
    spec: &JobSpec,
    output: &OutputSpec,
    facts: &ModelFacts,
    signature: &IoContract,
) -> Result<Meaning, String> {
    let scores = facts.usable().find(|(head, _)| head.name == signature.head).map(|(_, scores)| scores);
    let scores = scores.ok_or("no output holds scores")?;
    let activation = settle_activation(output.activation, scores, spec.labelling)?;
    let labels = activation.applied == OutputActivation::Labels;
    if labels && scores.range.0 < 0.0 {
        return Err(format!(
            "it says labels down to {}, and labels are whole numbers from 0 up: have its graph add to them (or give what is no class \
             a number of its own), and say with output.classes which label is which class",
            scores.range.0
        ));
    }
    let channels = Channels {
        count: signature.classes,
        applied: activation.applied,
        names: facts.class_names_of(&signature.head),
        label_max: labels.then_some(scores.range.1 as u32),
    };
    let classes = settle_classes(spec, output, &channels).map_err(|reason| {
        let heads = facts.heads_in_words();
        let others = format!("; its outputs are {}", heads.join(", "));
        format!("{reason}{}", if heads.len() > 1 { &others } else { "" })
    })?;
    let rivals = rival_heads(facts, &channels_out(spec, output, facts), &signature.head);
    let several = output.head.is_none() && rivals.len() > 1;
    let head = Choice {
        value: if labels {
            format!("`{}` of labels", signature.head)
        } else {
            format!("`{}` of {}", signature.head, counted(signature.classes))
        },
        from: match (&output.head, several) {
            (Some(_), _) => Origin::Said,
            (None, true) => Origin::Default,
            (None, false) => Origin::Measured,
        },
    };
    let mut warnings = suspicions(scores);
    if several {
        let mut text = format!(
            "the outputs `{}` all go with the job's classes, and `{}` is used: say output.head if it is another",
            rivals.join("`, `"),
            signature.head
        );
        if rivals.len() > 2 {
            text += ", which in models with several is often the first (in U²-Net it joins the others)";
        }
        warnings.push((Concern::Head, text));
    }
    if let (None, Some((name, count))) =
        (&output.head, richer_head(facts, &channels_out(spec, output, facts), &signature.head))
        && !labels
    {
        let text = format!(
            "`{}` of {} is used, since it goes with the job's {} classes; `{name}` has {}: say output.head if that is the one, and \
             which of its channels are which class with output.classes",
            signature.head,
            counted(signature.classes),
            spec.classes.len(),
            counted(count),
        );
        warnings.push((Concern::Head, text));
    }
    warnings.extend(activation.warning.map(|text| (Concern::Activation, text)));
    if let (None, Some(names)) = (&output.classes, facts.unfit_class_names(&signature.head)) {
        // One name of the object, for its one channel or its two, says no order.
        if names.len() > 1 || signature.classes > 2 {
            let text = format!(
                "its own metadata names {} classes ({}) and `{}` has {}, so the names are not used and {}: say which are \
                 which with output.classes if that is not so",
                names.iter().filter(|name| !name.is_empty()).count(),
                listed(names),
                signature.head,
                counted(signature.classes),
                classes.choice.value,
            );
            warnings.push((Concern::Classes, text));
        }
    }
    if let (None, Some(doubt)) = (&output.classes, &facts.class_names_doubt) {
        let text = format!(
            "its own metadata: {doubt}; {}: say which are which with output.classes if that is not so",
            classes.choice.value
        );
        warnings.push((Concern::Classes, text));
    }
    warnings.extend(classes.warning.map(|text| (Concern::Classes, text)));
    Ok(Meaning {
        applied: activation.applied,
        classes: classes.map,
        words: [head, classes.choice, activation.choice],
        warnings,
    })
}

/// Numbers of channels that go with the job's classes.
pub(crate) fn channels_out(spec: &JobSpec, output: &OutputSpec, facts: &ModelFacts) -> Vec<u32> {
    let classes = spec.classes.len() as u32;
    if let Some(said) = &output.classes {
        let least = said.iter().flatten().max().map_or(1, |&channel| u32::from(channel) + 1);
        return facts.usable().map(|(_, scores)| scores.classes).filter(|&count| count >= least).collect();
    }
    let single = classes == 2 && spec.labelling == Labelling::Multiclass;
    if single { vec![2, 1] } else { vec![classes] }
}

/// What no model says that is in order.
fn suspicions(scores: &ScoreFacts) -> Vec<(Concern, String)> {
    let mut found = Vec::new();
    if scores.response == Response::Random {
        let text = "two runs of the same input gave other scores: it was exported in training mode, with dropout left on; \
                    export it anew after model.eval()";
        found.push((Concern::Random, text.to_owned()));
    }
    if scores.response == Response::Constant {
        let text = "what it says does not depend on the image: is it trained, and is its input what it was trained on?";
        found.push((Concern::Constant, text.to_owned()));
    }
    found
}
