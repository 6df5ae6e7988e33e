//! The settled contract of one member.

use crate::ModelError;
use crate::facts::{
    Activation, Batch, Dim, HeadFacts, ImageFacts, Layout, ModelFacts, Relation, ScoreFacts, TensorFacts,
};
use crate::probe::input_dims;
use marquetry_geometry::Size;
use marquetry_job::{Backend, IoContract};
use std::collections::BTreeMap;

/// What a job wants of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoRequest {
    /// The output to use, where the job names one.
    pub head: Option<String>,
    /// Numbers of channels that go with the job's classes; a head that has one of them is used rather than others.
    pub channels_out: Vec<u32>,
    /// Order of the axes of the input, where the job says.
    pub layout: Option<Layout>,
    /// Channels of the images, where the job says.
    pub channels: Option<u32>,
    /// The window, px.
    pub size: Size,
    /// Images a run.
    pub batch: u32,
}

/// A signature and what to tell the user about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedIo {
    /// The contract.
    pub signature: IoContract,
    /// What batch the model could not take as wanted, one sentence each.
    pub warnings: Vec<String>,
}

/// Fits what a job wants to what a model can do.
///
/// # Errors
/// When the model is no segmentation model, has no such head, or takes another layout, number of channels or
/// size. A batch it does not take is no error: one it takes is settled on, with a warning.
pub fn resolve(facts: &ModelFacts, wanted: &IoRequest) -> Result<ResolvedIo, ModelError> {
    if let Some(reason) = &facts.refusal {
        return Err(ModelError::NotSegmentation { reason: reason.clone() });
    }
    let (Some(image), [input]) = (&facts.image, facts.inputs.as_slice()) else {
        return Err(ModelError::NotSegmentation { reason: "it was never run".into() });
    };
    if let Some(layout) = wanted.layout.filter(|layout| *layout != image.layout) {
        return Err(ModelError::WrongLayout { found: image.layout, dims: input.dims_text(), wanted: layout });
    }
    if let Some(channels) = wanted.channels.filter(|channels| *channels != image.channels) {
        return Err(ModelError::WrongChannels { found: image.channels, wanted: channels });
    }
    let mut warnings = Vec::new();
    let (head, scores) = pick_head(facts, wanted)?;
    check_size(image, wanted.size)?;
    let output_size = output_size(image, head, scores, wanted.size)?;
    let batch = batch(image, scores, wanted.batch.max(1), &mut warnings);
    let signature = IoContract {
        input: input.name.clone(),
        layout: image.layout,
        channels: image.channels,
        size: wanted.size,
        batch,
        element_in: input.element.clone(),
        dims: named_dims(input, image, wanted.size, batch),
        head: head.name.clone(),
        form: scores.form,
        classes: scores.classes,
        output_size,
        element_out: head.element.clone(),
        backend: Backend::default(),
    };
    Ok(ResolvedIo { signature, warnings })
}

fn pick_head<'a>(
    facts: &'a ModelFacts,
    wanted: &IoRequest,
) -> Result<(&'a HeadFacts, &'a ScoreFacts), ModelError> {
    let Some(name) = &wanted.head else {
        let best = best_heads(facts, &wanted.channels_out);
        return best
            .last()
            .copied()
            .ok_or_else(|| ModelError::NotSegmentation { reason: "no output holds scores".into() });
    };
    let head = facts.heads.iter().find(|head| head.name == *name);
    let head =
        head.ok_or_else(|| ModelError::UnknownHead { head: name.clone(), heads: facts.heads_in_words() })?;
    let reason = || {
        let why = head.reason.clone().unwrap_or_default();
        format!("{why}; the outputs are {}", facts.heads_in_words().join(", "))
    };
    let scores = head.scores.as_ref();
    scores
        .map(|scores| (head, scores))
        .ok_or_else(|| ModelError::UnusableHead { head: name.clone(), reason: reason() })
}

/// What is good in a head.
type Respect<'a> = &'a dyn Fn(&HeadFacts, &ScoreFacts) -> bool;

/// The heads that are as good as each other for a job whose classes go with these numbers of channels, in the order of
/// the outputs; the last of them is used. What is worse in one respect is left out, one respect after the other.
///
/// One that is called as what models learn or say beside classes is none of them; a head with the right number of channels is a
/// head of scores and not of features; scores are better than labels; a head that is as large as the input is the final
/// one of several with deep supervision, and one that is called auxiliary is not.
pub fn best_heads<'a>(facts: &'a ModelFacts, channels: &[u32]) -> Vec<(&'a HeadFacts, &'a ScoreFacts)> {
    let mut heads: Vec<_> = facts.usable().collect();
    let respects: [Respect<'_>; 5] = [
        // First: a boundary whose channels happen to go with the job's classes is still none of them.
        &|head, _| !is_side_product(&head.name),
        &|_, scores| channels.contains(&scores.classes) || scores.activation == Activation::Labels,
        &|_, scores| scores.activation != Activation::Labels,
        &|_, scores| scores.relation == Relation::Same,
        &|head, _| !head.name.to_ascii_lowercase().contains("aux"),
    ];
    for respect in respects {
        if heads.iter().any(|(head, scores)| respect(head, scores)) {
            heads.retain(|(head, scores)| respect(head, scores));
        }
    }
    heads
}

/// The heads without labels that go with these numbers of channels, are as large as the one that is `used` and are not called
/// auxiliary: each may be meant, whatever their names say.
pub fn rival_heads<'a>(facts: &'a ModelFacts, channels: &[u32], used: &str) -> Vec<&'a str> {
    let Some((_, chosen)) = facts.usable().find(|(head, _)| head.name == used) else { return Vec::new() };
    let is_rival = |head: &HeadFacts, scores: &ScoreFacts| {
        let is_meant = channels.contains(&scores.classes) && scores.activation != Activation::Labels;
        let is_aux = head.name.to_ascii_lowercase().contains("aux");
        head.name == used || (is_meant && scores.size.area() >= chosen.size.area() && !is_aux)
    };
    let heads = facts.usable().filter(|(head, scores)| is_rival(head, scores));
    heads.map(|(head, _)| head.name.as_str()).collect()
}

/// The largest head that has more channels than the one that is `used`, does not go with these numbers of channels, and is no side
/// product: the job's classes may be among its own.
pub fn richer_head<'a>(facts: &'a ModelFacts, channels: &[u32], used: &str) -> Option<(&'a str, u32)> {
    let (_, chosen) = facts.usable().find(|(head, _)| head.name == used)?;
    let is_richer = |head: &HeadFacts, scores: &ScoreFacts| {
        scores.classes > chosen.classes
            && !channels.contains(&scores.classes)
            && scores.size.area() >= chosen.size.area()
            && !is_side_product(&head.name)
            && !head.name.to_ascii_lowercase().contains("aux")
    };
    let richer = facts.usable().filter(|(head, scores)| is_richer(head, scores));
    richer.map(|(head, scores)| (head.name.as_str(), scores.classes)).max_by_key(|(_, classes)| *classes)
}

/// Whether a head is called as what models learn beside classes, or as one of deep supervision.
fn is_side_product(name: &str) -> bool {
    const WORDS: [&str; 40] = [
        "height",
        "heights",
        "elevation",
        "center",
        "centers",
        "centre",
        "centroid",
        "centroids",
        "heatmap",
        "hv",
        "sdf",
        "edge",
        "edges",
        "boundary",
        "boundaries",
        "contour",
        "contours",
        "flow",
        "flows",
        "normal",
        "normals",
        "depth",
        "dist",
        "distance",
        "offset",
        "offsets",
        "feat",
        "feature",
        "features",
        "embedding",
        "embeddings",
        "ds",
        "dsv",
        "conf",
        "confidence",
        "certainty",
        "uncertainty",
        "entropy",
        "variance",
        "sigma",
    ];
    let name = name.to_ascii_lowercase();
    name.split(|letter: char| !letter.is_ascii_alphabetic()).any(|word| WORDS.contains(&word))
}

fn check_size(image: &ImageFacts, wanted: Size) -> Result<(), ModelError> {
    let side = |fixed: &Dim, wanted: u32| fixed.fixed().map_or(wanted, |side| side as u32);
    let fixed = Size::new(side(&image.height, wanted.height), side(&image.width, wanted.width));
    if fixed != wanted || wanted.is_empty() {
        return Err(ModelError::WrongSize { found: fixed, wanted });
    }
    let multiple = image.multiple.filter(|_| wanted != image.tried).unwrap_or(1);
    let round = |dim: &Dim, side: u32| match dim.fixed() {
        Some(_) => side,
        None => side.checked_next_multiple_of(multiple).unwrap_or(side - side % multiple),
    };
    let nearest = Size::new(round(&image.height, wanted.height), round(&image.width, wanted.width));
    if nearest == wanted { Ok(()) } else { Err(ModelError::WrongMultiple { multiple, wanted, nearest }) }
}

fn output_size(
    image: &ImageFacts,
    head: &HeadFacts,
    scores: &ScoreFacts,
    wanted: Size,
) -> Result<Size, ModelError> {
    if wanted == image.tried {
        return Ok(scores.size);
    }
    // Without a multiple no other size than the one tried has ever worked.
    let known = image.multiple.and_then(|_| scores.relation.output(wanted));
    known.ok_or_else(|| ModelError::UnknownSize { head: head.name.clone(), wanted, tried: image.tried })
}

fn batch(image: &ImageFacts, scores: &ScoreFacts, wanted: u32, warnings: &mut Vec<String>) -> u32 {
    let (batch, why) = match &image.batch {
        Batch::Fixed(fixed) => (*fixed, format!("the model takes batches of {fixed} only")),
        Batch::Broken(reason) => (1, format!("the model declares any batch but fails at 2 ({reason})")),
        Batch::Any if !scores.form.has_batch() => (1, "the output has no batch axis".to_owned()),
        Batch::Any => (wanted, String::new()),
    };
    if batch != wanted {
        warnings.push(format!("{why}: it runs at batch {batch}, not {wanted}"));
    }
    batch
}

/// The names of the input's open dimensions and their values; a name that would need two values is left open.
fn named_dims(input: &TensorFacts, image: &ImageFacts, size: Size, batch: u32) -> BTreeMap<String, u32> {
    let values = input_dims(image.layout, batch, image.channels, size);
    let named: Vec<(&String, u32)> = input
        .dims
        .iter()
        .zip(values)
        .filter_map(|(dim, value)| match dim {
            Dim::Symbol(name) if !name.is_empty() => Some((name, value as u32)),
            _ => None,
        })
        .collect();
    let agreed = |(name, value): &&(&String, u32)| named.iter().all(|(other, v)| other != name || v == value);
    named.iter().filter(agreed).map(|(name, value)| ((*name).clone(), *value)).collect()
}

#[cfg(test)]
#[path = "io_request_tests.rs"]
mod tests;
