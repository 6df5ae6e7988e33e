//! The evaluation of a job's labels: counts of its images, added up, and the page made of them.

use crate::fold_scores::FoldScores;
use crate::planning::fold_of;
use crate::report::Finished;
use bytes::Bytes;
use marquetry_aggregator::legend::legend;
use marquetry_aggregator::{ImageResult, evaluation_picture};
use marquetry_evaluation::Distances;
use marquetry_evaluator::{Document, Evaluation, Fold, ImageRow, LabelSummary, results};
use marquetry_geometry::Size;
use marquetry_labels::{Census, ClassList, Files, Value, ValueFacts};
use marquetry_spec::{Concern, EVALUATION, Folds, Output};
use std::io;

/// What is left of an evaluation.
#[derive(Debug, Default)]
pub struct EvaluationFiles {
    /// What is odd about what was counted.
    pub warnings: Vec<String>,
    /// The mean IoU (`dataset`), if any class occurs.
    pub mean_iou: Option<f64>,
    /// Its files by their places below the job's outputs.
    pub files: Vec<(String, Bytes)>,
}

/// An image that is to be counted.
#[derive(Debug)]
struct Expected {
    id: String,
    /// The path of its label.
    label: String,
    picture: String,
    size: Size,
    /// Where images are scored out of fold.
    fold: Option<String>,
}

/// What was counted of the images of a job so far.
#[derive(Debug)]
pub struct Evaluated {
    fold: Fold,
    /// For each image of the job that has a truth, until it is counted.
    rows: Vec<Option<Expected>>,
    /// What stands for each class in the job's masks.
    values: Vec<u16>,
    /// What the job's own labels hold, of images with a truth.
    predicted: Census,
    /// Square images whose truth would agree worse, and better, with rows taken for columns.
    turned: [u64; 2],
    /// How well images are scored out of fold.
    fold_scores: FoldScores,
}

impl Evaluated {
    /// Nothing counted yet; nothing at all where the job evaluates nothing.
    pub(crate) fn new(finished: &Finished<'_>) -> Option<Self> {
        let truth = finished
            .truth
            .filter(|_| finished.spec.outputs.iter().any(|output| matches!(output, Output::Evaluation(_))))?;
        let inside = format!("{EVALUATION}/");
        let spec = finished.spec;
        let is_out_of_fold =
            matches!(spec.folds, Folds::OutOfFold(_)) && !spec.allow.contains(&Concern::Folds);
        let rows = finished.images.iter().map(|image| {
            image.truth.as_ref()?;
            let picture = evaluation_picture(&image.id);
            let picture = picture.strip_prefix(&inside).unwrap_or(&picture).to_owned();
            let fold = fold_of(image).filter(|_| is_out_of_fold);
            let label = truth.labels.get(&image.id)?.clone();
            Some(Expected { id: image.id.clone(), label, picture, size: image.size, fold })
        });
        let classes = finished.spec.classes.len();
        let values = finished.spec.labels.clone();
        Some(Self {
            values,
            fold: Fold::new(classes),
            rows: rows.collect(),
            predicted: Census::default(),
            turned: [0; 2],
            fold_scores: FoldScores::default(),
        })
    }

    /// Adds the image at `place` among those of the job. To be called in their order.
    pub(crate) fn add(&mut self, place: usize, result: &mut ImageResult) {
        let (Some(counts), Some(row)) = (result.evaluation.take(), self.rows[place].take()) else { return };
        self.turned[usize::from(result.fits_turned == Some(true))] += u64::from(result.fits_turned.is_some());
        let Expected { id, label, picture, size, fold } = row;
        let row = ImageRow::new(id, label, picture, size, &counts);
        if let Some((fold, mean_iou)) = fold.zip(row.mean_iou()) {
            self.fold_scores.add(&fold, mean_iou);
        }
        self.fold.add(row, &counts);
        let own = Files { count: 1, first: place };
        let pixels = result.class_pixels.iter().zip(&self.values);
        let values = pixels.filter(|(pixels, _)| **pixels > 0).map(|(&pixels, &value)| {
            (Value::Number(i32::from(value)), ValueFacts { pixels, files: own, row: 0, column: 0 })
        });
        self.predicted.merge(Census {
            files: 1,
            pixels: size.area(),
            kinds: [("labels of this job".to_owned(), own)].into(),
            sizes: [((size.height, size.width), own)].into(),
            values: values.collect(),
            missing_pixels: result.missing_pixels,
            ..Census::default()
        });
    }

    /// Images with a truth that were not counted: they were given up.
    fn lost(&self) -> impl Iterator<Item = &Expected> {
        self.rows.iter().flatten()
    }

    /// What is odd about what was counted.
    fn warnings(&self) -> Vec<String> {
        let mut odd = Vec::new();
        let lost: Vec<&str> = self.lost().map(|image| image.id.as_str()).collect();
        if !lost.is_empty() {
            let named = lost.iter().take(10).copied().collect::<Vec<_>>().join(", ");
            odd.push(format!(
                "images with a label that failed are not evaluated, {} of them: {named}",
                lost.len()
            ));
        }
        let no_class: u64 = self.fold.counts().confusion.unclassified().iter().sum();
        if no_class > 0 {
            odd.push(format!(
                "{no_class} px of which the truth has a class are missing in the job's labels: they count as wrong"
            ));
        }
        let [worse, better] = self.turned;
        // A few images may do so by chance.
        if better >= 3 && better > 2 * worse {
            odd.push(format!(
                "{better} of {} square images agree better with their labels when rows are taken for columns; is the order \
                 in which run lengths number pixels right (truth.run_order)?",
                better + worse
            ));
        }
        odd.extend(self.fold_scores.told());
        odd
    }

    /// What is left of the evaluation.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn into_files(self, finished: &Finished<'_>) -> io::Result<EvaluationFiles> {
        let Some(truth) = finished.truth else { return Ok(EvaluationFiles::default()) };
        let spec = finished.spec;
        let classes = ClassList::new(spec.class_names()).map_err(io::Error::other)?;
        let classes = classes.with_background(spec.background());
        let colours = legend(spec).map_err(io::Error::other)?.colours().to_vec();
        let said = spec.outputs.iter().find_map(|output| match output {
            Output::Evaluation(evaluation) => Some(*evaluation),
            _ => None,
        });
        let Some(said) = said else { return Ok(EvaluationFiles::default()) };
        let distances =
            Distances { boundary_px: said.boundary_px.unwrap_or(1), tolerance_px: said.tolerance_px };
        let (source, census, settlement) = &truth.found;
        let names = self.values.iter().zip(classes.names());
        let meanings = names.map(|(&value, name)| (Value::Number(i32::from(value)), name.clone())).collect();
        let labels = [
            LabelSummary::new("prediction", &finished.plan.job, &self.predicted, &meanings),
            LabelSummary::new("truth", source, census, &settlement.meanings),
        ];
        let mut odd = self.warnings();
        let warnings = odd.clone();
        // Labels of images that were given up, and of none.
        let lost = self.lost().map(|image| image.label.clone());
        let alone = [truth.images_alone.clone(), truth.labels_alone.iter().cloned().chain(lost).collect()];
        let evaluation = Evaluation::of_images((classes, colours), distances, self.fold, alone);
        let notes = finished.findings.notes.iter().filter(|note| note.starts_with("truth: ")).cloned();
        let known = finished.findings.warnings.iter().filter(|w| w.concern == Concern::Truth);
        odd.splice(0..0, known.map(|warning| warning.text.clone()));
        let said = [notes.collect(), odd];
        let document = Document::new(&evaluation, labels, said);
        let place = |(name, bytes): (&str, Vec<u8>)| (format!("{EVALUATION}/{name}"), Bytes::from(bytes));
        let files = results(&document, &evaluation)?.into_iter().map(place).collect();
        Ok(EvaluationFiles { warnings, mean_iou: document.mean_iou.dataset, files })
    }
}
