//! How well labels agree with the truth: what is counted of the image, and a small picture.

use crate::outputs::evaluation_picture;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use crate::sinks::SinkContext;
use crate::sinks::label_panels::LabelPanels;
use crate::source_image::SourceImage;
use marquetry_ensemble::most_probable;
use marquetry_evaluation::{CalibrationCounts, Distances, ImageCounts, LEFT_OUT, LabelPair, NO_CLASS};
use marquetry_job::NO_TRUTH;
use marquetry_spec::Evaluation;

const _: () = assert!(NO_TRUTH == LEFT_OUT);

/// Keeps the labels of both sides: components and boundaries take the whole image.
struct Agreement {
    panels: LabelPanels,
    distances: Distances,
    truth: Vec<u16>,
    predicted: Vec<u16>,
    /// Nothing where scores are no probabilities, or classes share pixels.
    calibration: Option<CalibrationCounts>,
    most_probable: Vec<u16>,
}

/// Opens the sink of an image that has a truth.
pub(crate) fn open(
    context: &SinkContext<'_>,
    source: &SourceImage,
    evaluation: Evaluation,
) -> Box<dyn RowSink> {
    Box::new(Agreement {
        panels: LabelPanels::new(context, source),
        distances: Distances {
            boundary_px: evaluation.boundary_px.unwrap_or(1),
            tolerance_px: evaluation.tolerance_px,
        },
        truth: Vec::new(),
        predicted: Vec::new(),
        calibration: (context.is_exclusive() && context.spec.tta.keeps_probabilities())
            .then(CalibrationCounts::default),
        most_probable: Vec::new(),
    })
}

impl RowSink for Agreement {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        self.calibrate(row)?;
        let (Some(labels), Some(truth)) = (row.labels(), row.truth()) else { return Ok(()) };
        let classes = self.panels.colours.len();
        // Pixels that could not be computed are of no class, as the ignore value of a mask is.
        let class = |&label: &u16| if usize::from(label) < classes { label } else { NO_CLASS };
        self.predicted.extend(labels.iter().map(class));
        self.truth.extend_from_slice(truth);
        Ok(())
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        let size = self.panels.source.planned().size;
        let labels = LabelPair { width: size.width, truth: &self.truth, predicted: &self.predicted };
        let counts = labels.count(self.panels.colours.len(), self.panels.background, self.distances);
        image.result.evaluation = Some(ImageCounts { calibration: self.calibration.clone(), ..counts });
        image.result.fits_turned = (size.height == size.width).then(|| fits_turned(&labels)).flatten();
        let place = evaluation_picture(&self.panels.source.planned().id);
        self.panels.write(&labels, (place, "evaluation"), image)
    }
}

impl Agreement {
    /// Counts how probable the most probable class of each pixel is, and whether it is right. What is decided may be another
    /// class, by thresholds or because components are too small: that says nothing of probabilities.
    fn calibrate(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let (Some(counts), Some(scores), Some(truth)) = (&mut self.calibration, row.scores(), row.truth())
        else {
            return Ok(());
        };
        self.most_probable.resize(truth.len(), 0);
        most_probable(scores.probabilities()?, &mut self.most_probable);
        let unscored = row.unscored();
        let pixels = truth.iter().zip(&self.most_probable).zip(scores.confidence()?).zip(unscored.iter());
        for (((truth, label), p), _) in
            pixels.filter(|(((truth, _), _), unscored)| **truth != LEFT_OUT && !**unscored)
        {
            counts.add(*p, label == truth);
        }
        Ok(())
    }
}

/// Whether the labels of a square image agree better with its truth when its rows are taken for columns, as run lengths are
/// that are numbered the other way; nothing where that makes no great difference.
fn fits_turned(labels: &LabelPair<'_>) -> Option<bool> {
    let side = labels.width as usize;
    let agree = |at: &dyn Fn(usize) -> usize| {
        let pairs =
            labels.predicted.iter().enumerate().map(|(place, &label)| (label, labels.truth[at(place)]));
        pairs.filter(|(label, truth)| label == truth).count()
    };
    let (as_said, turned) = (agree(&|place| place), agree(&|place| place % side * side + place / side));
    let great = labels.predicted.len() / 50;
    (as_said.abs_diff(turned) > great).then_some(turned > as_said)
}
