//! The files that labels lie in: on this machine, or fetched to it, and which image each belongs to.

use crate::planning::parallel_map::parallel_map;
use crate::planning::truth::{PlanTruthError, shown};
use crate::planning::truth_on_map::on_map;
use marquetry_failure::counted;
use marquetry_job::PlannedImage;
use marquetry_labels::{
    Affixes, ClassList, FolderSource, LabelRules, LabelSource, Pairing, WithImages, is_geojson, open, pair,
};
use marquetry_raster::read::Limits;
use marquetry_spec::{ImageSource, JobSpec, NoRow, Truth};
use marquetry_transport::uri::{is_uri, join, parent};
use marquetry_transport::{FileStat, Files, Listed};
use std::collections::{BTreeMap, HashMap};
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
    /// A label that two images have.
    pub(crate) twice: Option<String>,
    /// Copies of what lies in S3.
    pub(crate) held: Option<TempDir>,
    /// By the paths of these, the versions of what they are copies of, as far as those are known.
    pub(crate) copies: HashMap<PathBuf, String>,
}

impl Fetched {
    /// What is odd about what belongs to what.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        let alone = |list: &[String], noun, what| {
            (!list.is_empty()).then(|| format!("{} {what}: {}", counted(list.len(), noun), shown(list)))
        };
        let images = alone(&self.images_alone, "image", "without a label");
        let labels = alone(&self.labels_alone, "label", "of no image");
        self.twice.clone().into_iter().chain(images).chain(labels)
    }
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
    let (path, held, copies) = if is_uri(&uri) {
        let (path, folder, copies) = copied(files, &uri, &limits.scratch_dir)?;
        (path, Some(folder), copies)
    } else {
        (PathBuf::from(&uri), None, HashMap::new())
    };
    let affixes = Affixes { prefix: truth.prefix.clone(), suffix: truth.suffix.clone() };
    if is_geojson(&path)? {
        return on_map((&path, held), (spec, truth), files, images, (rules, &affixes), limits);
    }
    let source = open(&path, rules, classes, limits)?;
    let all = images.iter().map(|image| image.id.clone());
    let unlisted: Vec<String> = if truth.no_row == NoRow::Background { all.collect() } else { Vec::new() };
    let source = WithImages::new(source, &affixes, None, &unlisted)?;
    let paths: Vec<&str> = source.entries().iter().map(|entry| entry.path.as_str()).collect();
    let named = Affixes { prefix: String::new(), suffix: truth.image_suffix.clone() };
    let is_list = spec.images.source() == ImageSource::Manifest;
    let found = belong(images, is_list, (&paths, &affixes), &named)?;
    if found.pairs.is_empty() {
        let first = |list: Option<&str>| list.unwrap_or("nothing").to_owned();
        return Err(PlanTruthError::refused(vec![format!(
            "no label of {} belongs to an image: paths must be equal but for the extension, as {} and {} are not; name what \
             file names of labels have beyond as truth.prefix or truth.suffix, what those of images have as \
             truth.image_suffix, or name each label in a column of the list of images (truth.column)",
            source.name(),
            first(images.first().map(|image| image.id.as_str())),
            first(paths.first().copied())
        )]));
    }
    let images_alone = found.images_alone.iter().map(|&at| images[at].id.clone()).collect();
    let labels_alone = found.labels_alone.iter().map(|&at| paths[at].to_owned()).collect();
    let Belonging { pairs, notes, .. } = found;
    Ok(Fetched {
        source: Box::new(source),
        pairs,
        images_alone,
        labels_alone,
        notes,
        twice: None,
        held,
        copies,
    })
}

/// What belongs to what, by places in both lists.
struct Belonging {
    pairs: Vec<(usize, usize)>,
    images_alone: Vec<usize>,
    labels_alone: Vec<usize>,
    notes: Vec<String>,
}

/// Finds the label of each image: by its id, which for images in a folder is its path there; where images stand in a list,
/// by the path of its file too. Where the two do not agree nothing is guessed.
fn belong(
    images: &[PlannedImage],
    is_list: bool,
    (labels, affixes): (&[&str], &Affixes),
    image_affixes: &Affixes,
) -> Result<Belonging, PlanTruthError> {
    let ids: Vec<&str> = images.iter().map(|image| image.id.as_str()).collect();
    let uris: Vec<&str> = images.iter().map(|image| image.uri.as_str()).collect();
    let by_id = pair(&ids, image_affixes, labels, affixes);
    let by_path = if is_list { pair(&uris, image_affixes, labels, affixes) } else { Pairing::default() };
    let mut problems = by_id.problems.clone();
    if by_id.pairs.is_empty() {
        problems.extend(by_path.problems.iter().cloned());
    }
    let mut found: BTreeMap<usize, usize> = by_id.pairs.iter().copied().collect();
    for &(image, label) in &by_path.pairs {
        match found.insert(image, label) {
            Some(other) if other != label => problems.push(format!(
                "image {}: by its id its label is {}, by its path ({}) {}; name each label in a column of the list, and \
                 say `truth: {{column: …}}`",
                images[image].id, labels[other], images[image].uri, labels[label]
            )),
            _ => {}
        }
    }
    let mut images_of: BTreeMap<usize, usize> = BTreeMap::new();
    for (&image, &label) in &found {
        if let Some(first) = images_of.insert(label, image) {
            let (first, second) = (&images[first].id, &images[image].id);
            problems.push(format!("{} is the label of two images, {first} and {second}", labels[label]));
        }
    }
    if !problems.is_empty() {
        return Err(PlanTruthError::refused(problems));
    }
    let mut notes = Vec::new();
    let tail = by_id.by_tail.max(by_path.by_tail);
    if tail > 0 {
        notes.push(format!(
            "{tail} of {} labels are of one name with their image, in another folder",
            found.len()
        ));
    }
    let export = by_id.by_export.max(by_path.by_export);
    if export > 0 {
        notes.push(format!(
            "{export} of {} labels belong to their image without the ending of an export",
            found.len()
        ));
    }
    let other = by_id.second_other.len();
    if other > 0 {
        notes.push(format!("{} of another prefix or suffix passed over", counted(other, "label")));
    }
    Ok(Belonging {
        images_alone: (0..images.len()).filter(|image| !found.contains_key(image)).collect(),
        labels_alone: (0..labels.len())
            .filter(|label| !images_of.contains_key(label) && !by_id.second_other.contains(label))
            .collect(),
        pairs: found.into_iter().collect(),
        notes,
    })
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
        return Err(PlanTruthError::refused(vec![format!(
            "no image of the list has anything in a column `{column}`; beside image_id and path there is something in {}",
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
                copy_of(files, &join(folder, path), None, &copies.path().join(&name))?;
                Ok::<_, PlanTruthError>(name)
            };
            let numbered: Vec<(usize, &String)> = paths.iter().enumerate().collect();
            let copied = parallel_map(&numbered, AT_ONCE, |item| copy(*item), Result::is_err);
            (copies.path().to_owned(), copied.into_iter().flatten().collect::<Result<_, _>>()?)
        }
    };
    let source = FolderSource::of_files(&root, entries, rules, limits);
    let mut first_of: BTreeMap<&str, &str> = BTreeMap::new();
    let with_label = images.iter().filter_map(|image| Some((image, image.tags.get(column)?.trim())));
    let twice = with_label.filter(|(_, path)| !path.is_empty()).find_map(|(image, path)| {
        let first = first_of.insert(path, &image.id)?;
        Some(format!("{path} is the label of two images, {first} and {}", image.id))
    });
    Ok(Fetched {
        source: Box::new(source),
        pairs,
        images_alone,
        labels_alone: Vec::new(),
        notes: Vec::new(),
        twice,
        held,
        copies: HashMap::new(),
    })
}

/// Copies of a folder or file in S3, below a temporary folder.
fn copied(
    files: &Files,
    uri: &str,
    scratch: &Path,
) -> Result<(PathBuf, TempDir, HashMap<PathBuf, String>), PlanTruthError> {
    let held = tempfile::Builder::new().prefix("labels-").tempdir_in(scratch)?;
    let name = uri.trim_end_matches('/').rsplit('/').next().unwrap_or("labels");
    let place = held.path().join(name);
    if !files.is_folder(uri)? {
        let stat = files.stat(uri)?;
        copy_of(files, uri, Some(&stat), &place)?;
        return Ok((place.clone(), held, [(place, stat.fingerprint())].into()));
    }
    std::fs::create_dir_all(&place)?;
    let listed = files.list(uri)?;
    let folder = format!("{}/", uri.trim_end_matches('/'));
    let copy = |listed: &Listed| {
        let uri = join(&folder, &listed.relative);
        copy_of(files, &uri, listed.stat.as_ref(), &place.join(&listed.relative))
    };
    let results = parallel_map(&listed, AT_ONCE, copy, Result::is_err);
    results.into_iter().flatten().collect::<Result<(), _>>()?;
    let versions = listed
        .iter()
        .filter_map(|listed| Some((place.join(&listed.relative), listed.stat.as_ref()?.fingerprint())));
    let versions = versions.collect();
    Ok((place, held, versions))
}

/// Copies a file, in the version `stat` if that is given.
fn copy_of(files: &Files, uri: &str, stat: Option<&FileStat>, to: &Path) -> Result<(), PlanTruthError> {
    let file = files.local(uri, stat, None)?;
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::copy(file.path(), to).map(drop).map_err(PlanTruthError::from)
}
