//! What a model seems to be whose outputs only look like scores: told from their shapes, their names, their values, and
//! from what the model says of itself.

use crate::facts::{Activation, Element, HeadFacts, ModelFacts, Relation, Response, ScoreFacts};

/// Masks of queries are many; fewer channels may be classes.
const QUERIES_MIN: u64 = 10;
/// Places at which a detector looks, at least.
const DETECTIONS_MIN: u64 = 100;

/// Why a model is no segmentation model, although it could be run as one; none where nothing speaks against it.
pub(crate) fn other_purpose(facts: &ModelFacts) -> Option<String> {
    said_of_itself(facts)
        .or_else(|| queries(facts))
        .or_else(|| prototypes(facts))
        .or_else(|| super_resolution(facts))
        .or_else(|| echo(facts))
        .or_else(|| quantity(facts))
}

/// Words that programs write into a model's metadata for what it does.
fn said_of_itself(facts: &ModelFacts) -> Option<String> {
    const PURPOSES: [(&str, &str); 8] = [
        ("regress", "it gives a quantity for each pixel, no scores of classes"),
        ("depth", "it gives a depth for each pixel, no scores of classes"),
        ("superresolution", "it enlarges images"),
        ("detect", "it finds boxes"),
        ("classif", "it gives scores for an image, not for each pixel"),
        ("recognition", "it gives numbers for an image, not for each pixel"),
        ("pose", "it finds points"),
        ("embedding", "it gives numbers for an image, not for each pixel"),
    ];
    let mut said = facts.metadata.iter().filter(|(key, _)| matches!(key.as_str(), "model_type" | "task"));
    said.find_map(|(key, value)| {
        let plain: String = value.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
        if plain.contains("segment") || plain.contains("pixel") {
            return None;
        }
        let (_, does) = PURPOSES.iter().find(|(word, _)| plain.contains(word))?;
        Some(format!("it says `{key} = {value}` of itself: {does}"))
    })
}

/// An output that is no picture: three axes, of which the trial made no scores.
fn lists(facts: &ModelFacts) -> impl Iterator<Item = (&HeadFacts, [u64; 3])> {
    let three = |head: &HeadFacts| <[u64; 3]>::try_from(head.seen.as_slice()).ok();
    facts.heads.iter().filter(|head| head.scores.is_none()).filter_map(move |head| Some((head, three(head)?)))
}

/// `Mask2Former`, `MaskFormer`: a mask for each query, and classes for each query.
fn queries(facts: &ModelFacts) -> Option<String> {
    let (masks, scores) = facts.usable().find(|(_, scores)| {
        let count = u64::from(scores.classes);
        count >= QUERIES_MIN && lists(facts).any(|(_, [_, queries, each])| queries == count && each > 1)
    })?;
    let (classes, [_, queries, each]) =
        lists(facts).find(|(_, dims)| dims[1] == u64::from(scores.classes))?;
    Some(format!(
        "`{}` holds masks of {queries} queries, and `{}` {each} numbers for each query: a model such as Mask2Former, whose \
         masks become scores of pixels only by way of these; export it with that step in the graph",
        masks.name, classes.name
    ))
}

/// YOLO-seg, YOLACT: prototypes of masks, and detections with coefficients for these.
fn prototypes(facts: &ModelFacts) -> Option<String> {
    let coarse = |scores: &ScoreFacts| matches!(scores.relation, Relation::Down(2..));
    facts.usable().filter(|(_, scores)| coarse(scores)).find_map(|(masks, scores)| {
        // A detection is a box, at least one class, and a coefficient for each prototype.
        let least = u64::from(scores.classes) + 5;
        let (boxes, [_, a, b]) = lists(facts)
            .find(|(_, [_, a, b])| *a.min(b) >= least && *a.max(b) >= DETECTIONS_MIN && scores.classes > 4)?;
        Some(format!(
            "`{}` holds {} prototypes of masks, and `{}` {} detections with coefficients for them: a model such as YOLO-seg, \
             which finds objects one by one and gives no scores of pixels",
            masks.name,
            scores.classes,
            boxes.name,
            a.max(b)
        ))
    })
}

fn super_resolution(facts: &ModelFacts) -> Option<String> {
    let channels = facts.image.as_ref()?.channels;
    let mut larger = 0;
    for (_, scores) in facts.usable() {
        match scores.relation {
            Relation::Up(factor) if factor > 1 && scores.classes == channels => larger = factor,
            _ => return None,
        }
    }
    (larger > 0).then(|| {
        format!(
            "its output is {larger} times as large as its input and has as many channels: it enlarges images (super-resolution)"
        )
    })
}

/// Denoisers, autoencoders, filters: the image comes out again.
fn echo(facts: &ModelFacts) -> Option<String> {
    let (head, scores) = facts.usable().next()?;
    facts.usable().all(|(_, scores)| scores.response == Response::Echo).then(|| {
        format!(
            "each of the {} channels of `{}` is nearly that of the input: it gives the image again, as denoisers, autoencoders and \
             filters do",
            scores.classes, head.name
        )
    })
}

/// Depth, height, density: one channel of numbers that are no scores.
fn quantity(facts: &ModelFacts) -> Option<String> {
    let mut heads = facts.usable();
    let ((head, scores), None) = (heads.next()?, heads.next()) else { return None };
    if scores.classes != 1 || scores.activation != Activation::None {
        return None;
    }
    let name = head.name.to_lowercase();
    let (low, high) = scores.range;
    if let Some(what) = ["depth", "disparity", "density"].into_iter().find(|what| name.contains(what)) {
        return Some(format!(
            "`{}` is a {what}, and holds {low:.3} to {high:.3}: no scores of classes",
            head.name
        ));
    }
    // Scores without an activation are of both signs; an image of bytes may come through as it is.
    let is_bytes = facts.inputs.iter().any(|input| input.element == Element::U8);
    (low >= 0.0 && high > 1.5 && !is_bytes).then(|| {
        format!(
            "`{}` is one channel of {low:.3} to {high:.3}, never below 0: a quantity such as a depth, a height or a density, no \
             scores of classes",
            head.name
        )
    })
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
