//! The labels that are right: found, read, settled and stored as classes, before any model runs.

use crate::planning::images::ImageKind;
use crate::planning::memory::PlanMemory;
use crate::planning::settled_labels::{Pass, Remembered, SettledLabels};
use crate::planning::truth_files::fetch;
use crate::planning::truth_rules::rules;
use marquetry_evaluation::boundary_px;
use marquetry_failure::{Classify, FailureClass};
use marquetry_job::{NO_TRUTH, PlannedImage};
use marquetry_labels::{Census, ClassList, LEFT_OUT, LabelError, Settlement};
use marquetry_raster::read::Limits;
use marquetry_spec::{JobSpec, Output, Truth};
use marquetry_transport::{FileError, Files};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

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
    /// Settled labels.
    settled: SettledLabels,
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
    /// The file with the settled labels that are named `truth`. Labels that were not read, since they are remembered, are read
    /// now.
    ///
    /// # Errors
    /// When they cannot be read, or are others by now.
    pub fn file(&self, truth: &str) -> Result<PathBuf, PlanTruthError> {
        self.settled.file(truth).map_err(|found| PlanTruthError::Refused(vec![found]))
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
    memory: Option<&PlanMemory>,
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
    let remembered = memory.map(|memory| Remembered::new(memory, files, &fetched, (&rules, &classes)));
    let pass = Pass {
        source: fetched.source.as_ref(),
        images,
        memory_bytes: limits.memory_bytes,
        bytes_per_pixel: BYTES_PER_PIXEL + if is_judged { BYTES_PER_PIXEL_JUDGED } else { 0 },
        folder: folder.path(),
        remembered,
    };
    let (passed, mut settlement) = pass.settled(&fetched.pairs, &rules, &classes);
    let faults: Vec<String> =
        settlement.problems.iter().chain(&passed.faults).map(|fault| as_said(fault)).collect();
    if !faults.is_empty() {
        return Err(PlanTruthError::refused(faults));
    }
    let (mut labels, mut of) = (BTreeMap::new(), BTreeMap::new());
    // What of it lies outside of a region is told of every job that has one.
    let is_used = spec.region.is_some()
        || spec.cascade.is_some()
        || spec.gate.is_some()
        || spec.outputs.iter().any(Output::takes_truth);
    for (&(image, entry), name) in fetched.pairs.iter().zip(passed.names) {
        if let Some(name) = &name {
            of.insert(name.clone(), (entry, images[image].size));
        }
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
    let mapping = settlement.mapping.clone();
    Ok(PlannedTruth {
        notes: notes.into_iter().map(|note| format!("truth: {}", named(note))).collect(),
        warnings: warnings.into_iter().map(named).collect(),
        found: (name, passed.census, settlement),
        labels,
        images_alone: fetched.images_alone,
        labels_alone: fetched.labels_alone,
        settled: SettledLabels { folder, source: fetched.source, of, mapping, _held: fetched.held },
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
