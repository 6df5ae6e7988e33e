//! Truth as outlines on a map: where images lie, and which label each has.

use crate::planning::parallel_map::parallel_map;
use crate::planning::reading;
use crate::planning::truth::PlanTruthError;
use crate::planning::truth_files::Fetched;
use marquetry_failure::{chain, counted};
use marquetry_geometry::Reading;
use marquetry_imagery::{ImageError, ImageFiles, find_sidecars, georeference_told};
use marquetry_job::PlannedImage;
use marquetry_labels::{Affixes, LabelRules, MapLabels, PlacedImage, PlacedImages, open_on_map};
use marquetry_raster::read::Limits;
use marquetry_raster::write::GeoTags;
use marquetry_spec::{JobSpec, NoRow, Truth};
use marquetry_transport::Files;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tempfile::TempDir;

/// So many images are asked side by side: each mostly waits.
const AT_ONCE: usize = 16;

/// Labels that are outlines on a map: which image each is of follows from where it lies, or from the names of files.
pub(crate) fn on_map(
    (path, held): (&Path, Option<TempDir>),
    (spec, truth): (&JobSpec, &Truth),
    files: &Files,
    images: &[PlannedImage],
    (rules, affixes): (&LabelRules, &Affixes),
    limits: &Limits,
) -> Result<Fetched, PlanTruthError> {
    let placed = placed_images(spec, files, images, limits)?;
    let of = PlacedImages {
        images: &placed,
        affixes,
        image_affixes: &Affixes { prefix: String::new(), suffix: truth.image_suffix.clone() },
        untouched_is_background: truth.no_row == NoRow::Background,
    };
    let MapLabels { source, image_of, passed_over } = open_on_map(path, rules, of)?;
    let mut labels: BTreeMap<usize, usize> = BTreeMap::new();
    let mut labels_alone = Vec::new();
    for (label, image) in image_of.into_iter().enumerate() {
        match image {
            Some(image) => drop(labels.insert(image, label)),
            None => labels_alone.push(source.entries()[label].path.clone()),
        }
    }
    if labels.is_empty() {
        return Err(PlanTruthError::refused(vec![format!(
            "no file of {} belongs to an image: names must be equal but for the extension, as {} and {} are not; name what they \
             have beyond as truth.prefix or truth.suffix, or truth.image_suffix",
            source.name(),
            images.first().map_or("nothing", |image| &image.id),
            labels_alone.first().map_or("nothing", String::as_str)
        )]));
    }
    let alone = (0..images.len()).filter(|image| !labels.contains_key(image));
    let notes = (passed_over > 0).then(|| {
        format!("{} of another prefix or suffix passed over", counted(passed_over as usize, "file"))
    });
    Ok(Fetched {
        images_alone: alone.map(|at| images[at].id.clone()).collect(),
        pairs: labels.into_iter().collect(),
        source,
        labels_alone,
        notes: notes.into_iter().collect(),
        twice: None,
        held,
        copies: HashMap::new(),
    })
}

/// Where images lie.
fn placed_images(
    spec: &JobSpec,
    files: &Files,
    images: &[PlannedImage],
    limits: &Limits,
) -> Result<Vec<PlacedImage>, PlanTruthError> {
    let reading = reading(spec);
    let place = |image: &PlannedImage| {
        let of = ImageFiles { uri: &image.uri, stat: None, sidecars: &image.sidecars };
        let found = georeference_told(files, &of, limits, &reading).map_err(|error| match error {
            ImageError::File(error) => PlanTruthError::File(error),
            other => {
                PlanTruthError::refused(vec![format!("where image {} lies: {}", image.id, chain(&other))])
            }
        })?;
        Ok(PlacedImage { path: image.id.clone(), size: image.size, tags: found.tags })
    };
    let found = parallel_map(images, AT_ONCE, place, Result::is_err);
    found.into_iter().flatten().collect()
}

/// Where each of `images`, paths below `folder` on this machine, lies on a map, for its pixels as they are shown: by its own tags
/// and the files beside it, as in a job. An error is in words.
pub fn georeferences(folder: &Path, images: &[&str]) -> Vec<Result<Option<GeoTags>, String>> {
    let (files, reading) = (Files::local_only(), Reading::default());
    let limits = Limits { pixels_max: u64::MAX, memory_bytes: u64::MAX, scratch_dir: std::env::temp_dir() };
    let mut names_in: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut place = |image: &&str| {
        let uri = folder.join(image).display().to_string();
        let beside = uri.rfind('/').map_or("", |slash| &uri[..=slash]).to_owned();
        let names =
            names_in.entry(beside).or_insert_with_key(|beside| files.names(beside).unwrap_or_default());
        let (sidecars, _) = find_sidecars(&files, &uri, names.iter().map(String::as_str))?;
        let of = ImageFiles { uri: &uri, stat: None, sidecars: &sidecars };
        Ok::<_, ImageError>(georeference_told(&files, &of, &limits, &reading)?.tags)
    };
    images.iter().map(|image| place(image).map_err(|error| chain(&error))).collect()
}
