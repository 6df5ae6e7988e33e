//! Out of fold: every image is scored by the members that were trained without it.

use marquetry_job::{Inference, Member, PlannedImage};
use marquetry_spec::{FoldTags, Subset};
use marquetry_transport::FileError;
use std::collections::{BTreeMap, BTreeSet};

/// The tag of members and of images.
pub(crate) const TAG: &str = "fold";

/// Why it cannot be said which members were trained without an image.
#[derive(Debug, thiserror::Error)]
pub enum FoldsError {
    /// The list of folds cannot be had.
    #[error(transparent)]
    File(#[from] FileError),
    /// The list of folds is none, or does not go with the images.
    #[error("folds.from: {uri}: {reason}")]
    List {
        /// Where it is.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A member without the tag.
    #[error(
        "folds: out_of_fold: member {0} has no tag `fold`; its file must be named like model_fold0.onnx, or give it \
         `tags: {{fold: …}}`: the fold that it was trained without"
    )]
    Member(String),
    /// A member that has seen every image.
    #[error(
        "folds: out_of_fold: member {0} is tagged `fold: all`: it was trained on all images, and none is out of fold for it; \
         leave it out"
    )]
    SeenAll(String),
    /// An image without the tag.
    #[error(
        "folds: out_of_fold: image {id} has no fold ({without} of {all} images have none): list the images in a CSV with \
         the columns image_id,path,fold, or say where folds stand: folds: {{from: splits_final.json}}"
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
        "folds: out_of_fold: image {image} is of fold {fold}, and no member was trained without it; there are members of fold \
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

/// The images, each scored by the members, of which `is_for` holds, that by their tag `fold` were trained without the image's
/// own fold. And who scores what, a sentence for each fold.
///
/// # Errors
/// When a member or an image has no fold, or a fold no member.
pub(crate) fn out_of_fold(
    images: Vec<PlannedImage>,
    tags: FoldTags,
    inference: &Inference,
    is_for: &dyn Fn(u32, &PlannedImage) -> bool,
) -> Result<(Vec<PlannedImage>, Vec<String>), FoldsError> {
    let folds = member_folds(inference)?;
    let without: Vec<&PlannedImage> = images.iter().filter(|image| !image.tags.contains_key(TAG)).collect();
    if let Some(first) = without.first() {
        let (without, all) = (without.len(), images.len());
        return Err(FoldsError::Image { id: first.id.clone(), without, all });
    }
    let scores = |fold: &str| -> Vec<u32> {
        let is_one = |member: &String| (member == fold) == (tags == FoldTags::LeftOut);
        (0..).zip(&folds).filter(|(_, member)| is_one(member)).map(|(place, _)| place).collect()
    };
    // Folds that have members, and no image, are told too.
    let mut known: BTreeMap<String, (usize, Vec<u32>)> =
        folds.iter().map(|fold| (fold.clone(), (0, scores(fold)))).collect();
    let mut scored = Vec::with_capacity(images.len());
    for image in images {
        let said = &image.tags[TAG];
        let fold = usual(said);
        let (count, places) = known.entry(fold).or_insert_with_key(|fold| (0, scores(fold)));
        if places.is_empty() {
            let known =
                BTreeSet::from_iter(&folds).into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(FoldsError::Uncovered { image: image.id.clone(), fold: said.clone(), known });
        }
        *count += 1;
        let places = places.iter().copied().filter(|place| is_for(*place, &image)).collect();
        scored.push(image.scored_by(places));
    }
    let names: Vec<&str> = inference.members().map(|member| member.name.as_str()).collect();
    let who = known.iter().map(|(fold, (count, places))| {
        // One whose views are in two rounds stands in both.
        let each: BTreeSet<&str> = places.iter().map(|&place| names[place as usize]).collect();
        let mut told: Vec<&str> = names.iter().copied().filter(|name| each.contains(name)).collect();
        told.dedup();
        let mut seen = BTreeSet::new();
        told.retain(|name| seen.insert(*name));
        let names = told.join(", ");
        format!("fold {fold}: {count} images, scored by {names}")
    });
    let who = who.collect();
    Ok((scored, who))
}

/// The images that some member of a part of the job sees, and what there is to tell of the others. A whole job keeps all.
///
/// # Errors
/// When a member has no fold.
pub(crate) fn seen(
    images: Vec<PlannedImage>,
    tags: FoldTags,
    inference: &Inference,
    subset: &Subset,
) -> Result<(Vec<PlannedImage>, Option<String>), FoldsError> {
    if subset.members.is_empty() {
        return Ok((images, None));
    }
    let (folds, all) = (member_folds(inference)?, images.len());
    let is_seen = |image: &PlannedImage| {
        let own = fold_of(image);
        own.is_none_or(|own| folds.iter().any(|fold| (*fold == own) == (tags == FoldTags::LeftOut)))
    };
    let images: Vec<PlannedImage> = images.into_iter().filter(is_seen).collect();
    let left = all - images.len();
    let told = (left > 0).then(|| {
        format!("subset: {left} of {all} images are of folds that no member is left for, and are left out")
    });
    Ok((images, told))
}

/// The fold of each member, by its place, as it is usually written.
fn member_folds(inference: &Inference) -> Result<Vec<String>, FoldsError> {
    let fold = |member: &Member| {
        let fold = member.tags.get(TAG).ok_or_else(|| FoldsError::Member(member.name.clone()))?;
        let fold = usual(fold);
        if fold == "all" { Err(FoldsError::SeenAll(member.name.clone())) } else { Ok(fold) }
    };
    inference.members().map(fold).collect()
}

/// The fold of an image, as it is usually written.
pub(crate) fn fold_of(image: &PlannedImage) -> Option<String> {
    image.tags.get(TAG).map(|fold| usual(fold))
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
