//! The labels that are right: found, read, settled and stored as classes, before any model runs.

use crate::planning::images::ImageKind;
use crate::planning::parallel_map::parallel_map;
use crate::planning::truth_files::fetch;
use crate::planning::truth_rules::rules;
use marquetry_evaluation::boundary_px;
use marquetry_failure::{Classify, FailureClass, chain};
use marquetry_geometry::Size;
use marquetry_job::{NO_TRUTH, PlannedImage, TruthLabels};
use marquetry_labels::{
    Census, ClassList, LEFT_OUT, LabelError, LabelRules, LabelSource, Mapping, RawLabel, Settlement, Side,
    settle,
};
use marquetry_raster::read::Limits;
use marquetry_spec::{JobSpec, Output, Truth};
use marquetry_transport::{FileError, Files};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// So many labels settle what values mean before all are read.
const FIRST: usize = 8;
/// Bytes that a pixel takes while its label is read and counted, and those that it takes more where its quality is judged.
const BYTES_PER_PIXEL: u64 = 12;
const BYTES_PER_PIXEL_JUDGED: u64 = 8;
/// So many reasons are named.
const FAULTS_LISTED: usize = 40;
/// So many names are shown of a list.
const NAMED: usize = 10;

const _: () = assert!(NO_TRUTH == LEFT_OUT);

/// The truth of a job's images.
#[derive(Debug)]
pub struct PlannedTruth {
    /// Where labels come from as the job says it, what they hold, and what their values mean.
    pub found: (String, Census, Settlement),
    /// By an image's id the path of its label, as its source has it.
    pub labels: BTreeMap<String, String>,
    /// Ids of images without a label.
    pub images_alone: Vec<String>,
    /// Paths of labels without an image.
    pub labels_alone: Vec<String>,
    /// What was decided without being said.
    pub notes: Vec<String>,
    /// What is suspicious.
    pub warnings: Vec<String>,
    /// Settled labels, each in a file that its name names.
    folder: TempDir,
}

/// Why the truth cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanTruthError {
    /// Its files cannot be reached.
    #[error("truth: {0}")]
    File(#[from] FileError),
    /// Its source cannot be opened.
    #[error("truth: {0}")]
    Source(#[from] LabelError),
    /// Every reason why labels cannot be used.
    #[error("truth: {}", .0.join("\n"))]
    Refused(Vec<String>),
    /// The temporary folder is in trouble.
    #[error("truth: the temporary folder: {0}")]
    Scratch(#[from] io::Error),
}

impl PlanTruthError {
    /// The first of `faults`, and how many more there are.
    pub(crate) fn refused(mut faults: Vec<String>) -> Self {
        let more = faults.len().saturating_sub(FAULTS_LISTED);
        faults.truncate(FAULTS_LISTED);
        faults.extend((more > 0).then(|| format!("… and {more} more")));
        Self::Refused(faults)
    }
}

impl Classify for PlanTruthError {
    fn class(&self) -> FailureClass {
        match self {
            Self::File(error) => error.class(),
            Self::Source(error) => error.class(),
            Self::Refused(_) => FailureClass::Input,
            Self::Scratch(_) => FailureClass::Worker,
        }
    }
}

impl PlannedTruth {
    /// The file with the settled labels that are named `truth`.
    pub fn file(&self, truth: &str) -> PathBuf {
        self.folder.path().join(truth)
    }

    /// How wide boundaries are of images of which these have a truth, px: Cheng's width for the middle one by size.
    pub(crate) fn boundary_px(images: &[PlannedImage]) -> u32 {
        let with_truth = images.iter().filter(|image| image.truth.is_some());
        let mut widths: Vec<u32> =
            with_truth.map(|image| boundary_px(image.size.height, image.size.width)).collect();
        widths.sort_unstable();
        widths.get(widths.len().saturating_sub(1) / 2).copied().unwrap_or(1)
    }
}

/// Reads and settles every label of `images`, which are then told what their truth is named.
pub(crate) fn read(
    spec: &JobSpec,
    truth: &Truth,
    (files, base): (&Files, &str),
    (images, kinds): (&mut [PlannedImage], &[ImageKind]),
    limits: &Limits,
) -> Result<PlannedTruth, PlanTruthError> {
    let classes = ClassList::new(spec.class_names())?.with_background(spec.background());
    let rules = rules(spec, truth, (files, base), &classes)?;
    let folder = tempfile::Builder::new().prefix("truth-").tempdir_in(&limits.scratch_dir)?;
    let mut fetched = fetch(spec, truth, (files, base), images, (&rules, &classes), limits)?;
    // The same words wherever the job lies, and whether its labels were copied.
    let column = || format!("column {}", truth.column.as_deref().unwrap_or_default());
    let name = truth.from.clone().unwrap_or_else(column);
    let place = fetched.source.name();
    let as_said = |text: &str| text.replace(&place, &name);
    let is_judged = spec
        .outputs
        .iter()
        .any(|output| matches!(output, Output::LabelQuality(_) | Output::CorrectedLabels(_)));
    let pass = Pass {
        source: fetched.source.as_ref(),
        images,
        memory_bytes: limits.memory_bytes,
        bytes_per_pixel: BYTES_PER_PIXEL + if is_judged { BYTES_PER_PIXEL_JUDGED } else { 0 },
        folder: folder.path(),
    };
    let (passed, mut settlement) = pass.settled(&fetched.pairs, &rules, &classes);
    let faults: Vec<String> =
        settlement.problems.iter().chain(&passed.faults).map(|fault| as_said(fault)).collect();
    if !faults.is_empty() {
        return Err(PlanTruthError::refused(faults));
    }
    let mut labels = BTreeMap::new();
    let is_used = spec.outputs.iter().any(Output::takes_truth);
    for (&(image, entry), name) in fetched.pairs.iter().zip(passed.names) {
        images[image].truth = name.filter(|_| is_used);
        labels.insert(images[image].id.clone(), fetched.source.entries()[entry].path.clone());
    }
    let mut notes = std::mem::take(&mut fetched.notes);
    if !is_used {
        notes.push(
            "no output takes it ({evaluation: html} and {label_quality: html} do), so it is only looked at"
                .to_owned(),
        );
    }
    notes.extend(fetched.source.notes());
    notes.append(&mut settlement.notes);
    let mut warnings = std::mem::take(&mut settlement.warnings);
    warnings.extend(fetched.warnings());
    warnings.extend(turned(kinds));
    let named = |text: String| {
        let text = as_said(&text);
        text.strip_prefix(&format!("{name}: ")).map_or(text.clone(), str::to_owned)
    };
    Ok(PlannedTruth {
        notes: notes.into_iter().map(|note| format!("truth: {}", named(note))).collect(),
        warnings: warnings.into_iter().map(named).collect(),
        found: (name, passed.census, settlement),
        labels,
        images_alone: fetched.images_alone,
        labels_alone: fetched.labels_alone,
        folder,
    })
}

/// What there is to tell where images are shown otherwise than they are stored.
fn turned(kinds: &[ImageKind]) -> Option<String> {
    let turned: u64 = kinds.iter().filter(|kind| kind.traits.turn.is_some()).map(|kind| kind.count).sum();
    let images = if turned == 1 { "1 image is".to_owned() } else { format!("{turned} images are") };
    (turned > 0).then(|| {
        format!(
            "{images} shown turned, as the file asks; a label is taken as the image is shown, unless its size is that of the \
             image as stored. Were labels drawn over pixels as they are stored, turn them, or save both without"
        )
    })
}

/// A few names of a list.
pub(crate) fn shown(names: &[String]) -> String {
    let mut text = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        text.push_str(", …");
    }
    text
}

/// Reading labels once.
struct Pass<'a> {
    source: &'a dyn LabelSource,
    images: &'a [PlannedImage],
    memory_bytes: u64,
    bytes_per_pixel: u64,
    folder: &'a Path,
}

/// What a pass came to.
struct Passed {
    census: Census,
    /// Of each pair the name of its settled labels, where they were kept.
    names: Vec<Option<String>>,
    faults: Vec<String>,
}

impl Pass<'_> {
    /// Reads all labels; what their values mean is settled by the first few, and once more when all are read: only where that
    /// makes a difference are all read again.
    fn settled(
        &self,
        pairs: &[(usize, usize)],
        rules: &LabelRules,
        classes: &ClassList,
    ) -> (Passed, Settlement) {
        let settled = |census: &Census| settle(Side::Truth, self.source, census, rules, classes);
        let open = settled(&Census::default());
        let first = self.run(&pairs[..pairs.len().min(FIRST)], &open.mapping, false);
        let meant = settled(&first.census);
        // What cannot be used is read to its end all the same: every reason is told at once.
        let keeps = meant.problems.is_empty();
        let passed = self.run(pairs, &meant.mapping, keeps);
        let settlement = settled(&passed.census);
        let is_sound = settlement.problems.is_empty() && passed.faults.is_empty();
        if is_sound && (!keeps || settlement.mapping != meant.mapping) {
            return (self.run(pairs, &settlement.mapping, true), settlement);
        }
        (passed, settlement)
    }

    /// Reads the labels of `pairs` (image, entry) side by side; with `keeps`, what they mean is stored.
    fn run(&self, pairs: &[(usize, usize)], mapping: &Mapping, keeps: bool) -> Passed {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let read = parallel_map(
            pairs,
            threads,
            |pair| {
                let mut census = Census::default();
                let name = self.label(*pair, mapping, keeps, &mut census);
                (census, name)
            },
            |_| false,
        );
        let mut passed = Passed { census: Census::default(), names: Vec::new(), faults: Vec::new() };
        for (census, name) in read.into_iter().flatten() {
            passed.census.merge(census);
            passed.names.push(name.unwrap_or_else(|fault| {
                passed.faults.push(fault);
                None
            }));
        }
        passed
    }

    fn label(
        &self,
        (image, entry): (usize, usize),
        mapping: &Mapping,
        keeps: bool,
        census: &mut Census,
    ) -> Result<Option<String>, String> {
        let (image, path) = (&self.images[image], &self.source.entries()[entry].path);
        let bytes = image.size.area().saturating_mul(self.bytes_per_pixel);
        if bytes > self.memory_bytes {
            return Err(format!(
                "{path}: image {} has {} px, and reading its label and counting takes {} MB; limits.image_mb allows {}: \
                 raise it, or leave the label out",
                image.id,
                image.size.area(),
                bytes.div_ceil(1 << 20),
                self.memory_bytes >> 20
            ));
        }
        let mut raw = RawLabel::default();
        self.source.read(entry, Some(image.size), &mut raw).map_err(|error| chain(&error))?;
        *census = Census::of(entry, &raw);
        if raw.size != image.size {
            return Err(other_size(path, raw.size, image));
        }
        if !keeps {
            return Ok(None);
        }
        let mut labels = Vec::new();
        mapping.apply(&raw, &mut labels);
        drop(raw);
        let name = TruthLabels::name(image.size, &labels);
        let write = || {
            let place = self.folder.join(&name);
            if place.exists() {
                return Ok(());
            }
            // Two images may have one truth, and be read side by side.
            let mut file = tempfile::NamedTempFile::new_in(self.folder)?;
            io::Write::write_all(&mut file, &TruthLabels::encode(image.size, &labels)?)?;
            file.persist(place).map(drop).map_err(|error| error.error)
        };
        write()
            .map_err(|error| format!("{path}: its labels cannot be kept in the temporary folder: {error}"))?;
        Ok(Some(name))
    }
}

fn other_size(path: &str, size: Size, image: &PlannedImage) -> String {
    let what = if size == image.size.transposed() {
        ": it would fit if it were turned. An image is taken as its file asks to show it (EXIF); turn the label too, or save \
         both without that"
    } else {
        ": a label must have its image's size; resize it by the nearest pixel"
    };
    format!("{path} is {size} px, and its image {} {} px{what}", image.id, image.size)
}
