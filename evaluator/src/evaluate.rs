//! From a request to numbers.

use crate::error::EvaluateError;
use crate::fold::{Cell, Fold, ImageRow};
use crate::pass::{Pass, Passed};
use crate::pictures::{PANELS, Pictures};
use crate::request::Request;
use crate::sources::Sources;
use marquetry_evaluation::{Confusion, Distances, ErrorKind, ImageCounts, MeanIous, mean_ious};
use marquetry_failure::counted;
use marquetry_labels::{Census, ClassList, Settlement, Side, settle};
use marquetry_raster::write::palette;
use std::collections::BTreeMap;

/// So many pairs settle what the values mean before all are read.
const FIRST: usize = 8;

/// What was found before anything is judged: what there is to print first, whatever comes after.
#[derive(Debug)]
pub struct Found {
    /// What predictions hold, where they come from, and what their values mean.
    pub predicted: (String, Census, Settlement),
    /// The same of the truth.
    pub truth: (String, Census, Settlement),
    /// What was decided.
    pub notes: Vec<String>,
    /// What is suspicious.
    pub warnings: Vec<String>,
}

/// How well the predictions agree with the truth.
#[derive(Debug)]
pub struct Evaluation {
    /// The classes.
    pub classes: ClassList,
    /// What outlines were measured with.
    pub distances: Distances,
    /// The counts of all images.
    pub counts: ImageCounts,
    /// What is kept of each image, in the order of predictions.
    pub rows: Vec<ImageRow>,
    /// Where what is confused comes from, by true and predicted class; what is no class is the number of classes.
    pub cells: BTreeMap<(u16, u16), Cell>,
    /// Predictions brought to the size of their truth.
    pub resized: u64,
    /// Predictions without a truth.
    pub predicted_alone: Vec<String>,
    /// Truths without a prediction.
    pub truth_alone: Vec<String>,
    /// What stands side by side in each picture; nothing where none were asked for.
    pub panels: Vec<&'static str>,
    /// The colour of each class.
    pub colours: Vec<[u8; 3]>,
}

/// Compares two sources. The first result is what was found in them, which is there even where they cannot be compared.
///
/// # Errors
/// When a source cannot be opened, nothing belongs together, or the labels cannot be evaluated: every reason.
pub fn evaluate(request: &Request) -> Result<(Found, Result<Evaluation, EvaluateError>), EvaluateError> {
    let sources = Sources::open(request)?;
    let distances = Distances {
        boundary_px: request.boundary_px.unwrap_or_else(|| sources.boundary_px()),
        tolerance_px: request.tolerance_px,
    };
    let settled = |truth: &Census, predicted: &Census| {
        let classes = &request.classes;
        (
            settle(Side::Truth, sources.truth.as_ref(), truth, &request.truth.rules, classes),
            settle(
                Side::Prediction,
                sources.predicted.as_ref(),
                predicted,
                &request.predicted.rules,
                classes,
            ),
        )
    };
    let pictures =
        request.pictures.as_ref().map(|wanted| Pictures::open(wanted, request, &sources)).transpose()?;
    let pass = |(truth, predicted): &(Settlement, Settlement), counts: bool, number: usize| {
        let (truth, predicted) = (&truth.mapping, &predicted.mapping);
        let pictures = pictures.as_ref();
        Pass { request, sources: &sources, truth, predicted, distances, counts, pictures }.run(number)
    };
    let all = sources.pairing.pairs.len();
    let open = settled(&Census::default(), &Census::default());
    let first = pass(&open, false, all.min(FIRST));
    let mut meanings = settled(&first.truth, &first.predicted);
    let hopeless = |meanings: &(Settlement, Settlement)| {
        !meanings.0.problems.is_empty() || !meanings.1.problems.is_empty()
    };
    // What cannot be evaluated is read to its end all the same: every reason is told at once.
    let judged = !hopeless(&meanings);
    let mut passed = pass(&meanings, judged, all);
    let last = settled(&passed.truth, &passed.predicted);
    let same = last.0.mapping == meanings.0.mapping && last.1.mapping == meanings.1.mapping;
    meanings = last;
    let holds = same && judged;
    if !holds && !hopeless(&meanings) && passed.faults_all == 0 {
        passed = pass(&meanings, true, all);
    }
    let faults = faults(&passed, &meanings);
    let mut found = found(&sources, &passed, meanings);
    if let Some(pictures) = &pictures {
        found.warnings.extend(pictures.warning());
    }
    let evaluation = if faults.is_empty() {
        let path = |source: &dyn marquetry_labels::LabelSource, list: &[usize]| {
            list.iter().map(|&at| source.entries()[at].path.clone()).collect()
        };
        Ok(Evaluation {
            classes: request.classes.clone(),
            distances,
            counts: passed.fold.counts,
            rows: passed.fold.rows,
            cells: passed.fold.cells,
            resized: passed.resized,
            predicted_alone: path(sources.predicted.as_ref(), &sources.pairing.first_alone),
            truth_alone: path(sources.truth.as_ref(), &sources.pairing.second_alone),
            panels: pictures.as_ref().map_or(&[][..], |pictures| pictures.panels()).to_vec(),
            colours: palette(request.classes.names()),
        })
    } else {
        if let Some(pictures) = &pictures {
            pictures.remove(all);
        }
        Err(EvaluateError::Refused(faults))
    };
    Ok((found, evaluation))
}

fn faults(passed: &Passed, (truth, predicted): &(Settlement, Settlement)) -> Vec<String> {
    let mut faults: Vec<String> = truth.problems.iter().chain(&predicted.problems).cloned().collect();
    faults.extend(passed.faults.iter().cloned());
    if passed.faults_all > passed.faults.len() as u64 {
        faults.push(format!("… and {} more pairs", passed.faults_all - passed.faults.len() as u64));
    }
    faults
}

fn found(sources: &Sources, passed: &Passed, (truth, predicted): (Settlement, Settlement)) -> Found {
    let mut notes = sources.notes();
    let (own, others) = (sources.predicted.notes(), sources.truth.notes());
    for (name, more) in [(sources.predicted.name(), own), (sources.truth.name(), others)] {
        notes.extend(more.into_iter().map(|note| format!("{name}: {note}")));
    }
    for (name, settlement) in [(sources.predicted.name(), &predicted), (sources.truth.name(), &truth)] {
        notes.extend(
            settlement
                .notes
                .iter()
                .map(|note| if note.starts_with(&name) { note.clone() } else { format!("{name}: {note}") }),
        );
    }
    if passed.resized > 0 {
        notes.push(format!(
            "{} brought to the size of its truth, by the nearest pixel",
            counted(passed.resized as usize, "prediction")
        ));
    }
    let mut warnings = sources.unmatched();
    warnings.extend(predicted.warnings.iter().chain(&truth.warnings).cloned());
    let [better, worse] = passed.turned;
    if better > worse {
        warnings.push(format!(
            "{better} of {} pairs agree better when the pixels of the table of run lengths are numbered the other way; is its \
             run order right? (`--run-order`)",
            better + worse
        ));
    }
    let no_class: u64 = passed.fold.counts.confusion.unclassified().iter().sum();
    if no_class > 0 {
        warnings.push(format!(
            "{no_class} px of predictions are of no class where the truth has one: they are wrong"
        ));
    }
    Found {
        predicted: (sources.predicted.name(), passed.predicted.clone(), predicted),
        truth: (sources.truth.name(), passed.truth.clone(), truth),
        notes,
        warnings,
    }
}

impl Evaluation {
    /// What was counted elsewhere, of images that all have a truth. `panels` and `colours` are those of their pictures.
    pub fn of_images(
        (classes, colours): (ClassList, Vec<[u8; 3]>),
        distances: Distances,
        fold: Fold,
        [predicted_alone, truth_alone]: [Vec<String>; 2],
    ) -> Self {
        Self {
            classes,
            distances,
            counts: fold.counts,
            rows: fold.rows,
            cells: fold.cells,
            resized: 0,
            predicted_alone,
            truth_alone,
            panels: PANELS.to_vec(),
            colours,
        }
    }

    /// Every mean IoU.
    pub fn mean_ious(&self) -> MeanIous {
        let images = self.rows.iter().map(|row| row.classes.as_slice());
        // As in a job: the class that is called background, else the first.
        let background = self.classes.background().unwrap_or(0);
        mean_ious(self.classes.len(), Some(usize::from(background)), images)
    }

    /// How much greater the mean IoU (`dataset`) would be without errors of a kind.
    pub fn gain(&self, kind: ErrorKind) -> f64 {
        let errors: Confusion = self.counts.kinds.confusion(kind, self.classes.len());
        self.counts.confusion.mended(&errors).mean_iou() - self.counts.confusion.mean_iou()
    }

    /// Whether a class has objects.
    pub fn has_objects(&self, class: u16) -> bool {
        Some(class) != self.classes.background()
    }
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
