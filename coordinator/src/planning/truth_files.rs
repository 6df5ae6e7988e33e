//! The files that labels lie in: on this machine, or fetched to it, and which image each belongs to.

use crate::planning::parallel_map::parallel_map;
use crate::planning::truth::PlanTruthError;
use marquetry_job::PlannedImage;
use marquetry_labels::{
    Affixes, ClassList, FolderSource, LabelRules, LabelSource, Pairing, WithImages, open, pair,
};
use marquetry_raster::read::Limits;
use marquetry_spec::{JobSpec, NoRow, Truth};
use marquetry_transport::uri::{is_uri, join, parent};
use marquetry_transport::{Files, Listed};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// So many files are fetched side by side: each mostly waits.
const AT_ONCE: usize = 16;

/// An open source, and what belongs to what.
pub(crate) struct Fetched {
    pub(crate) source: Box<dyn LabelSource>,
    /// An image's place and its label's, in the order of images.
    pub(crate) pairs: Vec<(usize, usize)>,
    /// Ids of images without a label.
    pub(crate) images_alone: Vec<String>,
    /// Paths of labels without an image.
    pub(crate) labels_alone: Vec<String>,
    pub(crate) notes: Vec<String>,
    /// Copies of what lies in S3.
    pub(crate) held: Option<TempDir>,
}

/// Opens what the job names, and finds the label of each image.
pub(crate) fn fetch(
    spec: &JobSpec,
    truth: &Truth,
    (files, base): (&Files, &str),
    images: &[PlannedImage],
    (rules, classes): (&LabelRules, &ClassList),
    limits: &Limits,
) -> Result<Fetched, PlanTruthError> {
    if let Some(column) = &truth.column {
        let list = join(base, &spec.images.from);
        return by_column(column, (files, &parent(&list)), images, rules, limits);
    }
    let uri = join(base, truth.from.as_deref().unwrap_or_default());
    let (path, held) = if is_uri(&uri) {
        let (path, folder) = copied(files, &uri, &limits.scratch_dir)?;
        (path, Some(folder))
    } else {
        (PathBuf::from(&uri), None)
    };
    let source = open(&path, rules, classes, limits)?;
    let affixes = Affixes { prefix: truth.prefix.clone(), suffix: truth.suffix.clone() };
    let all = images.iter().map(|image| image.id.clone());
    let unlisted: Vec<String> = if truth.no_row == NoRow::Background { all.collect() } else { Vec::new() };
    let source = WithImages::new(source, &affixes, None, &unlisted)?;
    let ids: Vec<&str> = images.iter().map(|image| image.id.as_str()).collect();
    let paths: Vec<&str> = source.entries().iter().map(|entry| entry.path.as_str()).collect();
    let found = pair(&ids, &Affixes::default(), &paths, &affixes);
    if !found.problems.is_empty() {
        return Err(PlanTruthError::Refused(found.problems));
    }
    if found.pairs.is_empty() {
        let first = |list: &[&str]| list.first().map_or("nothing".to_owned(), |first| (*first).to_owned());
        return Err(PlanTruthError::Refused(vec![format!(
            "no label of {} belongs to an image: paths must be equal but for the extension, as {} and {} are not; name what \
             file names of labels have beyond as truth.prefix or truth.suffix",
            source.name(),
            first(&ids),
            first(&paths)
        )]));
    }
    let named = |list: &[usize], names: &[&str]| list.iter().map(|&at| names[at].to_owned()).collect();
    let (images_alone, labels_alone) = (named(&found.first_alone, &ids), named(&found.second_alone, &paths));
    let notes = notes(&found);
    Ok(Fetched { source: Box::new(source), pairs: found.pairs, images_alone, labels_alone, notes, held })
}

/// What there is to tell of the pairing.
fn notes(found: &Pairing) -> Vec<String> {
    let by_tail = (found.by_tail > 0).then(|| {
        format!(
            "{} of {} labels are of one name with their image, in another folder",
            found.by_tail,
            found.pairs.len()
        )
    });
    let other = (!found.second_other.is_empty())
        .then(|| format!("{} labels of another prefix or suffix passed over", found.second_other.len()));
    by_tail.into_iter().chain(other).collect()
}

/// Labels that a column of the list of images names.
fn by_column(
    column: &str,
    (files, folder): (&Files, &str),
    images: &[PlannedImage],
    rules: &LabelRules,
    limits: &Limits,
) -> Result<Fetched, PlanTruthError> {
    if !images.iter().any(|image| image.tags.contains_key(column)) {
        let mut known: Vec<&str> = images.iter().flat_map(|i| i.tags.keys().map(String::as_str)).collect();
        known.sort_unstable();
        known.dedup();
        return Err(PlanTruthError::Refused(vec![format!(
            "the list of images has no column `{column}`; beside image_id and path it has {}",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        )]));
    }
    let (mut pairs, mut paths, mut images_alone) = (Vec::new(), Vec::new(), Vec::new());
    for (at, image) in images.iter().enumerate() {
        match image.tags.get(column).map(|path| path.trim()).filter(|path| !path.is_empty()) {
            Some(path) => {
                pairs.push((at, paths.len()));
                paths.push(path.to_owned());
            }
            None => images_alone.push(image.id.clone()),
        }
    }
    let held =
        is_uri(folder).then(|| tempfile::Builder::new().prefix("labels-").tempdir_in(&limits.scratch_dir));
    let held = held.transpose()?;
    let (root, entries) = match &held {
        None => (PathBuf::from(folder), paths),
        Some(copies) => {
            let copy = |(number, path): (usize, &String)| {
                // One path may go up and out of the folder, so each has a place of its own.
                let name = format!("{number}/{}", path.rsplit('/').next().unwrap_or(path));
                copy_of(files, &join(folder, path), &copies.path().join(&name))?;
                Ok::<_, PlanTruthError>(name)
            };
            let copied = paths.iter().enumerate().map(copy).collect::<Result<Vec<_>, _>>()?;
            (copies.path().to_owned(), copied)
        }
    };
    let source = FolderSource::of_files(&root, entries, rules, limits);
    Ok(Fetched {
        source: Box::new(source),
        pairs,
        images_alone,
        labels_alone: Vec::new(),
        notes: Vec::new(),
        held,
    })
}

/// Copies of a folder or file in S3, below a temporary folder.
fn copied(files: &Files, uri: &str, scratch: &Path) -> Result<(PathBuf, TempDir), PlanTruthError> {
    let held = tempfile::Builder::new().prefix("labels-").tempdir_in(scratch)?;
    let name = uri.trim_end_matches('/').rsplit('/').next().unwrap_or("labels");
    let place = held.path().join(name);
    if !files.is_folder(uri)? {
        copy_of(files, uri, &place)?;
        return Ok((place, held));
    }
    std::fs::create_dir_all(&place)?;
    let listed = files.list(uri)?;
    let folder = format!("{}/", uri.trim_end_matches('/'));
    let copy =
        |listed: &Listed| copy_of(files, &join(&folder, &listed.relative), &place.join(&listed.relative));
    let results = parallel_map(&listed, AT_ONCE, copy, Result::is_err);
    results.into_iter().flatten().collect::<Result<(), _>>()?;
    Ok((place, held))
}

fn copy_of(files: &Files, uri: &str, to: &Path) -> Result<(), PlanTruthError> {
    let file = files.local(uri, None, None)?;
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::copy(file.path(), to).map(drop).map_err(PlanTruthError::from)
}
