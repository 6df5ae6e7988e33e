//! An evaluation as JSON: everything that is counted, and every number by its name.

use crate::compare::Comparison;
use crate::evaluate::{Evaluation, Found};
use marquetry_evaluation::{
    CalibrationCounts, ClassCounts, Difference, ErrorKind, ImageMeans, MeanIous, ReliabilityBin, Stratum,
};
use marquetry_labels::{Census, Settlement, Value};
use serde::Serialize;
use std::collections::BTreeMap;

/// Grows when a name changes its meaning.
const FORMAT: u32 = 1;
/// COCO's limits of small, medium and large, px.
const COCO_LIMITS_PX: [u64; 2] = [32 * 32, 96 * 96];

/// The whole document.
#[derive(Debug, Serialize)]
pub struct Document {
    /// 1.
    pub format: u32,
    /// Version of Marquetry.
    pub version: &'static str,
    /// Pairs evaluated, and what is on one side alone.
    pub images: Images,
    /// Pixels that count, that are right, and that the truth leaves out.
    pub pixels: Pixels,
    /// Mean IoU by every convention; `dataset` is the headline.
    pub mean_iou: MeanIous,
    /// Share of the pixels that count which are right.
    pub pixel_accuracy: Option<f64>,
    /// Mean of the classes' Dice, counts of all images added up.
    pub mean_dice: Option<f64>,
    /// Mean of the classes' boundary IoU, and how wide boundaries are.
    pub boundary: Boundary,
    /// Mean of the classes' normalised surface distance, and how it is measured.
    pub surface: Surface,
    /// Mean of the classes' panoptic quality; segments are the connected components of each class.
    pub panoptic_quality: Option<f64>,
    /// Each class.
    pub classes: Vec<Class>,
    /// Pixels by true class (rows) and predicted class; the last column is what is no class.
    pub confusion: Vec<Vec<u64>>,
    /// Kinds of error.
    pub errors: Vec<ErrorRow>,
    /// Objects by their size.
    pub sizes: Sizes,
    /// Whether labels are right as often as their probabilities say, where these are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// What the labels hold.
    pub labels: [LabelSummary; 2],
    /// What was decided without being said.
    pub notes: Vec<String>,
    /// What is suspicious.
    pub warnings: Vec<String>,
    /// Another prediction beside this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
}

/// Images of both sides.
#[derive(Debug, Serialize)]
pub struct Images {
    /// Pairs that were evaluated.
    pub evaluated: usize,
    /// Predictions brought to the size of their truth.
    pub resized: u64,
    /// Predictions without a truth.
    pub without_truth: Vec<String>,
    /// Truths without a prediction.
    pub without_prediction: Vec<String>,
}

/// Pixels of all images.
#[derive(Debug, Serialize)]
pub struct Pixels {
    /// Where the truth names a class.
    pub counted: u64,
    /// Where the prediction names the same one.
    pub right: u64,
    /// Where the truth says nothing.
    pub left_out: u64,
    /// Of those that count, where the prediction names no class.
    pub no_class: u64,
}

/// Boundary IoU (Cheng and others).
#[derive(Debug, Serialize)]
pub struct Boundary {
    /// Width, px, of all images.
    pub width_px: u32,
    /// Mean over the classes that occur.
    pub mean_iou: Option<f64>,
}

/// Normalised surface distance (Nikolov and others).
#[derive(Debug, Serialize)]
pub struct Surface {
    /// How far outlines may be apart (Euclidean) and still agree, px, in all images.
    pub tolerance_px: u32,
    /// What outlines are made of: `border_pixels`, as in `MetricsReloaded`; not lengths of contours.
    pub version: &'static str,
    /// Mean over the classes that occur.
    pub mean_nsd: Option<f64>,
}

/// One class.
#[derive(Debug, Serialize)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Pixels of it that are predicted as it.
    pub true_positives: u64,
    /// Pixels of others that are predicted as it.
    pub false_positives: u64,
    /// Pixels of it that are not.
    pub false_negatives: u64,
    /// Share of the pixels that count.
    pub share_of_truth: Option<f64>,
    /// Over all images.
    pub iou: Option<f64>,
    /// Over all images.
    pub dice: Option<f64>,
    /// Over all images.
    pub precision: Option<f64>,
    /// Over all images.
    pub recall: Option<f64>,
    /// Means over images.
    pub dice_of_images: ImageMeans,
    /// Over all images.
    pub boundary_iou: Option<f64>,
    /// Over the outlines of all images.
    pub nsd: Option<f64>,
    /// Means over images.
    pub nsd_of_images: ImageMeans,
    /// Over all components.
    pub panoptic_quality: Option<f64>,
    /// F1 of components with an IoU above one half.
    pub recognition_quality: Option<f64>,
}

/// One kind of error.
#[derive(Debug, Serialize)]
pub struct ErrorRow {
    /// Which.
    pub kind: ErrorKind,
    /// Wrong pixels.
    pub pixels: u64,
    /// Connected components of them.
    pub components: u64,
    /// How much greater the mean IoU (`dataset`) would be, were these pixels right.
    pub gain_if_mended: f64,
}

/// Objects by their size; the background has none.
#[derive(Debug, Serialize)]
pub struct Sizes {
    /// Up to 32², up to 96², and beyond.
    pub fixed: Vec<Stratum>,
    /// The smallest, middle and largest third of the truth's objects, nearly.
    pub terciles: Vec<Stratum>,
}

/// How the probabilities of labels go with their being right (Guo and others, 2017).
#[derive(Debug, Serialize)]
pub struct Calibration {
    /// The mean over pixels of how far confidence and accuracy of their bin are apart (ECE, 15 bins), 0 to 1.
    pub expected_error: f64,
    /// Mean probability less accuracy: above 0 labels are surer than they are right.
    pub overconfidence: f64,
    /// The bins that have pixels.
    pub curve: Vec<ReliabilityBin>,
}

impl Calibration {
    fn of(counts: &CalibrationCounts) -> Option<Self> {
        let (expected_error, overconfidence) = (counts.expected_error()?, counts.overconfidence()?);
        Some(Self { expected_error, overconfidence, curve: counts.curve().collect() })
    }
}

/// What the labels of one side hold.
#[derive(Debug, Serialize)]
pub struct LabelSummary {
    /// `prediction` or `truth`.
    pub side: &'static str,
    /// Where they come from.
    pub source: String,
    /// Labels read.
    pub files: u64,
    /// Files of each kind.
    pub kinds: BTreeMap<String, u64>,
    /// Different sizes.
    pub sizes: u64,
    /// Different palettes.
    pub palettes: usize,
    /// Pixels without a number.
    pub missing_pixels: u64,
    /// Pixels that objects of two classes share.
    pub contested_pixels: u64,
    /// Each value, how often it occurs and what it means.
    pub values: Vec<ValueRow>,
}

/// One value of the labels.
#[derive(Debug, Serialize)]
pub struct ValueRow {
    /// The value.
    pub value: String,
    /// What it means.
    pub meaning: String,
    /// Pixels that have it.
    pub pixels: u64,
    /// Files that have it.
    pub files: u64,
}

/// Another prediction, over the images that both have.
#[derive(Debug, Serialize)]
pub struct Against {
    /// Where it comes from.
    pub source: String,
    /// Its own mean IoU (`dataset`), over its own images.
    pub mean_iou: Option<f64>,
    /// This minus that, with the interval of the paired bootstrap over images (95 %).
    pub difference: Option<Difference>,
    /// For each class, this minus that.
    pub classes: Vec<Option<f64>>,
    /// Images that only one of them has.
    pub alone: u64,
}

/// The mean of what is known.
pub(crate) fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let known: Vec<f64> = values.flatten().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

impl Document {
    /// All of an evaluation of what `labels` hold; `said` is what was decided, and what is suspicious.
    pub fn new(evaluation: &Evaluation, labels: [LabelSummary; 2], said: [Vec<String>; 2]) -> Self {
        let [notes, warnings] = said;
        let counts = &evaluation.counts;
        let classes = classes(evaluation);
        let confusion = &counts.confusion;
        let row = |truth: usize| {
            let columns = (0..evaluation.classes.len()).map(Some).chain([None]);
            columns.map(|predicted| confusion.count(truth, predicted)).collect()
        };
        let kind = |kind: ErrorKind| ErrorRow {
            kind,
            pixels: counts.kinds.pixels(kind),
            components: counts.kinds.components(kind),
            gain_if_mended: evaluation.gain(kind),
        };
        let counted = |class: u16| evaluation.has_objects(class);
        let terciles = counts.sizes.terciles_px(counted);
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            images: Images {
                evaluated: evaluation.rows.len(),
                resized: evaluation.resized,
                without_truth: evaluation.predicted_alone.clone(),
                without_prediction: evaluation.truth_alone.clone(),
            },
            pixels: Pixels {
                counted: confusion.pixels(),
                right: confusion.right(),
                left_out: counts.left_out,
                no_class: confusion.unclassified().iter().sum(),
            },
            mean_iou: evaluation.mean_ious(),
            pixel_accuracy: confusion.pixel_accuracy(),
            mean_dice: mean(classes.iter().map(|class| class.dice)),
            boundary: Boundary {
                width_px: evaluation.distances.boundary_px,
                mean_iou: mean(classes.iter().map(|class| class.boundary_iou)),
            },
            surface: Surface {
                tolerance_px: evaluation.distances.tolerance_px,
                version: "border_pixels",
                mean_nsd: mean(classes.iter().map(|class| class.nsd)),
            },
            panoptic_quality: mean(classes.iter().map(|class| class.panoptic_quality)),
            classes,
            confusion: (0..evaluation.classes.len()).map(row).collect(),
            errors: ErrorKind::ALL.map(kind).into(),
            sizes: Sizes {
                fixed: counts.sizes.strata(&COCO_LIMITS_PX, counted),
                terciles: counts.sizes.strata(&terciles, counted),
            },
            calibration: counts.calibration.as_ref().and_then(Calibration::of),
            labels,
            notes,
            warnings,
            against: None,
        }
    }

    /// The same beside another prediction, which comes from `source`.
    #[must_use]
    pub fn against(mut self, source: String, other: &Evaluation, comparison: &Comparison) -> Self {
        self.against = Some(Against {
            source,
            mean_iou: other.mean_ious().dataset,
            difference: comparison.difference,
            classes: comparison.classes.clone(),
            alone: comparison.alone,
        });
        self
    }
}

fn classes(evaluation: &Evaluation) -> Vec<Class> {
    let counts = &evaluation.counts;
    let pixels = counts.confusion.pixels();
    let all = counts.confusion.class_counts();
    let class = |(at, own): (usize, &ClassCounts)| {
        let of_image = |row: &crate::fold::ImageRow| {
            let own = row.classes.iter().find(|(class, _)| usize::from(*class) == at);
            own.map_or(ClassCounts::default(), |(_, counts)| *counts)
        };
        let dice = |row| {
            let own: ClassCounts = of_image(row);
            (own.dice(), own.truth() > 0)
        };
        let nsd = |row: &crate::fold::ImageRow| {
            let own = row.nsd.iter().find(|(class, _)| usize::from(*class) == at);
            (own.map(|(_, nsd)| *nsd), of_image(row).truth() > 0)
        };
        Class {
            name: evaluation.classes.names()[at].clone(),
            true_positives: own.true_positives,
            false_positives: own.false_positives,
            false_negatives: own.false_negatives,
            share_of_truth: (pixels > 0).then(|| own.truth() as f64 / pixels as f64),
            iou: own.iou(),
            dice: own.dice(),
            precision: own.precision(),
            recall: own.recall(),
            dice_of_images: ImageMeans::of(evaluation.rows.iter().map(dice)),
            boundary_iou: counts.boundary[at].iou(),
            nsd: counts.surface[at].nsd(),
            nsd_of_images: ImageMeans::of(evaluation.rows.iter().map(nsd)),
            panoptic_quality: counts.panoptic[at].quality(),
            recognition_quality: counts.panoptic[at].recognition(),
        }
    };
    all.iter().enumerate().map(class).collect()
}

impl Found {
    /// The document of an evaluation of what was found.
    pub fn document(&self, evaluation: &Evaluation) -> Document {
        let summary = |side, (source, census, settlement): &(String, Census, Settlement)| {
            LabelSummary::new(side, source, census, &settlement.meanings)
        };
        let labels = [summary("prediction", &self.predicted), summary("truth", &self.truth)];
        Document::new(evaluation, labels, [self.notes.clone(), self.warnings.clone()])
    }
}

impl LabelSummary {
    /// What the labels of `side` hold, which come from `source`; `meanings` are those of their values.
    pub fn new(
        side: &'static str,
        source: &str,
        census: &Census,
        meanings: &BTreeMap<Value, String>,
    ) -> Self {
        let value = |(value, facts): (&Value, &marquetry_labels::ValueFacts)| ValueRow {
            value: value.to_string(),
            meaning: meanings.get(value).cloned().unwrap_or_default(),
            pixels: facts.pixels,
            files: facts.files.count,
        };
        Self {
            side,
            source: source.to_owned(),
            files: census.files,
            kinds: census.kinds.iter().map(|(kind, files)| (kind.clone(), files.count)).collect(),
            sizes: census.sizes.len() as u64,
            palettes: census.palettes.len(),
            missing_pixels: census.missing_pixels,
            contested_pixels: census.contested,
            values: census.values.iter().map(value).collect(),
        }
    }
}
