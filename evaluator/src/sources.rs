//! Both sources, open, and which of their labels belong together.

use crate::error::EvaluateError;
use crate::request::{Request, SideRequest};
use marquetry_evaluation::boundary_px;
use marquetry_failure::counted;
use marquetry_geometry::Size;
use marquetry_labels::{
    Affixes, FolderSource, LabelRules, LabelSource, Pairing, PlacedImage, PlacedImages, WithImages,
    is_geojson, open, open_on_map, pair,
};
use std::sync::Arc;

/// So many names are shown of a list.
const SHOWN: usize = 10;

/// What is compared.
pub(crate) struct Sources {
    pub(crate) truth: Box<dyn LabelSource>,
    pub(crate) predicted: Box<dyn LabelSource>,
    /// The images, where they are named.
    pub(crate) images: Option<Arc<FolderSource>>,
    /// Predictions first.
    pub(crate) pairing: Pairing,
    /// The size of each pair's truth, px, or of its prediction, where it can be told without reading it.
    pub(crate) sizes: Vec<Option<Size>>,
}

impl Sources {
    pub(crate) fn open(request: &Request) -> Result<Self, EvaluateError> {
        let truth = side(request, &request.truth, &request.predicted)?;
        let predicted = side(request, &request.predicted, &request.truth)?;
        let images = request
            .images
            .as_ref()
            .map(|folder| FolderSource::open(folder, &LabelRules::default(), &request.limits).map(Arc::new));
        let images = images.transpose()?;
        // Before either is completed: neither is made longer by what was only added to the other.
        let (listed_truth, listed_predicted) =
            (keys(&*truth, &request.truth), keys(&*predicted, &request.predicted));
        let complete = |source: Box<dyn LabelSource>, side: &SideRequest, other: Vec<String>| {
            let of_images =
                images.as_deref().map(|images| paths(images).into_iter().map(str::to_owned).collect());
            // Outlines on a map know their images, and what they say of those that none lies on.
            let is_asked = side.unlisted_is_background && !is_geojson(&side.path)?;
            let unlisted = if is_asked { of_images.unwrap_or(other) } else { Vec::new() };
            WithImages::new(source, &side.affixes, images.clone(), &unlisted)
        };
        let truth = complete(truth, &request.truth, listed_predicted)?;
        let predicted = complete(predicted, &request.predicted, listed_truth)?;
        let (truth, predicted): (Box<dyn LabelSource>, Box<dyn LabelSource>) =
            (Box::new(truth), Box::new(predicted));
        let pairing = pair(
            &paths(predicted.as_ref()),
            &request.predicted.affixes,
            &paths(truth.as_ref()),
            &request.truth.affixes,
        );
        if !pairing.problems.is_empty() {
            return Err(EvaluateError::Refused(pairing.problems));
        }
        if pairing.pairs.is_empty() {
            return Err(EvaluateError::Nothing {
                predicted: predicted.name(),
                truth: truth.name(),
                example: format!(
                    "paths must be equal but for the extension, as {} and {} are not; name what one side adds as its prefix or suffix",
                    predicted.entries().first().map_or("nothing", |entry| &entry.path),
                    truth.entries().first().map_or("nothing", |entry| &entry.path)
                ),
            });
        }
        // A file that cannot be looked at is found out when it is read.
        let size = |&(p, t): &(usize, usize)| {
            truth.size(t).ok().flatten().or_else(|| predicted.size(p).ok().flatten())
        };
        let sizes = pairing.pairs.iter().map(size).collect();
        Ok(Self { truth, predicted, images, pairing, sizes })
    }

    /// Cheng's width for the middle one of all sizes.
    pub(crate) fn boundary_px(&self) -> u32 {
        let widths = self.sizes.iter().flatten().map(|size| boundary_px(size.height, size.width));
        let mut widths: Vec<u32> = widths.collect();
        widths.sort_unstable();
        widths.get(widths.len().saturating_sub(1) / 2).copied().unwrap_or(1)
    }

    /// What there is to tell of the pairing.
    pub(crate) fn notes(&self) -> Vec<String> {
        let pairing = &self.pairing;
        let mut notes = Vec::new();
        if pairing.by_tail > 0 {
            notes.push(format!(
                "{} of {} pairs are of one name in different folders",
                pairing.by_tail,
                pairing.pairs.len()
            ));
        }
        if pairing.by_export > 0 {
            notes.push(format!(
                "{} of {} pairs are of one name but for the ending that Roboflow gives (name_jpg.rf.HASH)",
                pairing.by_export,
                pairing.pairs.len()
            ));
        }
        for (source, other) in [(&self.predicted, &pairing.first_other), (&self.truth, &pairing.second_other)]
        {
            if !other.is_empty() {
                notes.push(format!(
                    "{}: {} without the prefix or suffix passed over",
                    source.name(),
                    listed(source.as_ref(), other)
                ));
            }
        }
        notes
    }

    /// What is on one side alone.
    pub(crate) fn unmatched(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.pairing.first_alone.is_empty() {
            warnings.push(format!(
                "{} without a truth, not evaluated: {}",
                counted(self.pairing.first_alone.len(), "prediction"),
                listed(self.predicted.as_ref(), &self.pairing.first_alone)
            ));
        }
        if !self.pairing.second_alone.is_empty() {
            warnings.push(format!(
                "{} without a prediction, not evaluated: {}",
                counted(self.pairing.second_alone.len(), "truth"),
                listed(self.truth.as_ref(), &self.pairing.second_alone)
            ));
        }
        warnings
    }
}

/// Opens one side. Outlines on a map are laid on the images, or, where these are not named, on what the other side has.
fn side(
    request: &Request,
    own: &SideRequest,
    other: &SideRequest,
) -> Result<Box<dyn LabelSource>, EvaluateError> {
    if !is_geojson(&own.path)? {
        return Ok(open(&own.path, &own.rules, &request.classes, &request.limits)?);
    }
    let (folder, image_affixes) = match &request.images {
        Some(folder) => (folder, Affixes::default()),
        None => (&other.path, other.affixes.clone()),
    };
    if !folder.is_dir() {
        return Err(EvaluateError::Refused(vec![format!(
            "{}: outlines on a map need images that say where they lie; name their folder (--images)",
            own.path.display()
        )]));
    }
    let folder_source = FolderSource::open(folder, &LabelRules::default(), &request.limits)?;
    let places = (request.georeferences)(folder, &paths(&folder_source));
    let mut placed = Vec::new();
    for ((at, entry), tags) in folder_source.entries().iter().enumerate().zip(places) {
        let Some(size) = folder_source.size(at)? else { continue };
        let tags = tags.map_err(|found| {
            EvaluateError::Refused(vec![format!("where {} lies on a map: {found}", entry.path)])
        })?;
        // By what both sides share of its name.
        let path = image_affixes.off(&entry.path).unwrap_or_else(|| entry.path.clone());
        placed.push(PlacedImage { path, size, tags });
    }
    let of = PlacedImages {
        images: &placed,
        affixes: &own.affixes,
        image_affixes: &Affixes::default(),
        untouched_is_background: own.unlisted_is_background,
    };
    Ok(open_on_map(&own.path, &own.rules, of)?.source)
}

fn paths(source: &dyn LabelSource) -> Vec<&str> {
    source.entries().iter().map(|entry| entry.path.as_str()).collect()
}

/// The paths of a source without what its names have around what both sides share.
fn keys(source: &dyn LabelSource, side: &SideRequest) -> Vec<String> {
    source.entries().iter().filter_map(|entry| side.affixes.off(&entry.path)).collect()
}

fn listed(source: &dyn LabelSource, entries: &[usize]) -> String {
    let mut names: Vec<&str> =
        entries.iter().take(SHOWN).map(|&at| source.entries()[at].path.as_str()).collect();
    let more = entries.len().saturating_sub(SHOWN);
    let rest = format!("{more} more");
    if more > 0 {
        names.push(&rest);
    }
    names.join(", ")
}
