//! Out of fold: every image is scored by the members that were trained without it.

use marquetry_job::{Inference, PlannedImage};
use std::collections::BTreeMap;

const TAG: &str = "fold";

/// Why it cannot be said which members were trained without an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldsError {
    /// A member without the tag.
    #[error(
        "folds: out_of_fold: member {0} has no tag `fold`; its file must be named like model_fold0.onnx, or give it \
         `tags: {{fold: …}}`: the fold that it was trained without"
    )]
    Member(String),
    /// An image without the tag.
    #[error(
        "folds: out_of_fold: image {id} has no fold ({without} of {all} images have none): list the images in a CSV with \
         the columns image_id,path,fold"
    )]
    Image {
        /// The first of them.
        id: String,
        /// How many have none.
        without: usize,
        /// Of how many.
        all: usize,
    },
    /// A fold of which there is no member.
    #[error(
        "folds: out_of_fold: image {image} is of fold {fold}, and no member is tagged with it; there are members of fold \
         {known}"
    )]
    Uncovered {
        /// The first image.
        image: String,
        /// Its fold.
        fold: String,
        /// The folds that members have.
        known: String,
    },
}

/// The images, each scored by the members whose tag `fold` is its own, and of which `is_for` holds: by the convention of K-fold training a member of
/// fold k was trained without fold k. And who scores what, a sentence for each fold.
///
/// # Errors
/// When a member or an image has no fold, or a fold no member.
pub(crate) fn out_of_fold(
    images: Vec<PlannedImage>,
    inference: &Inference,
    is_for: &dyn Fn(u32, &PlannedImage) -> bool,
) -> Result<(Vec<PlannedImage>, Vec<String>), FoldsError> {
    let mut members: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (place, member) in inference.members().enumerate() {
        let fold = member.tags.get(TAG).ok_or_else(|| FoldsError::Member(member.name.clone()))?;
        members.entry(usual(fold)).or_default().push(place as u32);
    }
    let without: Vec<&PlannedImage> = images.iter().filter(|image| !image.tags.contains_key(TAG)).collect();
    if let Some(first) = without.first() {
        let (without, all) = (without.len(), images.len());
        return Err(FoldsError::Image { id: first.id.clone(), without, all });
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut scored = Vec::with_capacity(images.len());
    for image in images {
        let said = image.tags[TAG].as_str();
        let Some((fold, places)) = members.get_key_value(&usual(said)) else {
            let known = members.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(FoldsError::Uncovered { image: image.id.clone(), fold: said.to_owned(), known });
        };
        *counts.entry(fold).or_default() += 1;
        let places = places.iter().copied().filter(|place| is_for(*place, &image)).collect();
        scored.push(image.scored_by(places));
    }
    let names: Vec<&str> = inference.members().map(|member| member.name.as_str()).collect();
    let who = members.iter().map(|(fold, places)| {
        let names = places.iter().map(|&place| names[place as usize]).collect::<Vec<_>>().join(", ");
        format!("fold {fold}: {} images, scored by {names}", counts.get(fold.as_str()).copied().unwrap_or(0))
    });
    let who = who.collect();
    Ok((scored, who))
}

/// A fold as it is usually written: programs that keep numbers as floats write `0.0`, and file names say `fold00`.
fn usual(fold: &str) -> String {
    let fold = fold.trim();
    let bare = fold.strip_prefix("fold").map_or(fold, |rest| rest.trim_start_matches(['_', '-']));
    match bare.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && number.abs() < 1e9 => format!("{number:.0}"),
        _ => fold.to_owned(),
    }
}

#[cfg(test)]
#[path = "folds_tests.rs"]
mod tests;
