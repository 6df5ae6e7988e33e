//! How well labels agree with the truth: what is counted of the image, and a small picture.

use crate::outputs::evaluation_picture;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use crate::sinks::SinkContext;
use crate::source_image::SourceImage;
use marquetry_ensemble::most_probable;
use marquetry_evaluation::{CalibrationCounts, ErrorMap, ImageCounts, LEFT_OUT, LabelPair, NO_CLASS, Wrong};
use marquetry_failure::chain;
use marquetry_geometry::Size;
use marquetry_imagery::ImageError;
use marquetry_job::NO_TRUTH;
use marquetry_raster::thumbnail::Thumbnail;
use marquetry_spec::Evaluation;
use std::io::Write;
use std::path::PathBuf;

const _: () = assert!(NO_TRUTH == LEFT_OUT);

/// Keeps the labels of both sides: components and boundaries take the whole image.
struct Agreement {
    source: SourceImage,
    colours: Vec<[u8; 3]>,
    background: Option<u16>,
    boundary_px: u32,
    folder: PathBuf,
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
        source: source.clone(),
        colours: context.legend.colours().to_vec(),
        background: context.spec.background(),
        boundary_px: evaluation.boundary_px.unwrap_or(1),
        folder: context.folder.to_owned(),
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
        let classes = self.colours.len();
        // Pixels that could not be computed are of no class, as the ignore value of a mask is.
        let class = |&label: &u16| if usize::from(label) < classes { label } else { NO_CLASS };
        self.predicted.extend(labels.iter().map(class));
        self.truth.extend_from_slice(truth);
        Ok(())
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        let size = self.source.planned().size;
        let labels = LabelPair { width: size.width, truth: &self.truth, predicted: &self.predicted };
        let counts = labels.count(self.colours.len(), self.background, self.boundary_px);
        image.result.evaluation = Some(ImageCounts { calibration: self.calibration.clone(), ..counts });
        image.result.fits_turned = (size.height == size.width).then(|| fits_turned(&labels)).flatten();
        let picture = self.picture(&labels, size, image)?;
        let place = evaluation_picture(&self.source.planned().id);
        let path = self.folder.join("evaluation.png");
        std::fs::File::create(&path)?.write_all(&picture)?;
        image.files.push(crate::sink::OutputFile { place, path });
        Ok(())
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
        let pixels = truth.iter().zip(&self.most_probable).zip(scores.confidence()?).zip(row.missing());
        for (((truth, label), p), _) in
            pixels.filter(|(((truth, _), _), missing)| **truth != LEFT_OUT && !**missing)
        {
            counts.add(*p, label == truth);
        }
        Ok(())
    }

    /// The image, the truth, the labels and where they differ, side by side. An image that cannot be read again is grey.
    fn picture(
        &self,
        labels: &LabelPair<'_>,
        size: Size,
        image: &mut FinishedImage,
    ) -> Result<Vec<u8>, SinkError> {
        let thumbnail = Thumbnail::new(size);
        let shown = self.source.open().and_then(|source| thumbnail.image(&source).map_err(ImageError::Read));
        let shown = shown.unwrap_or_else(|error| {
            let warning = format!("no picture beside its evaluation: {}", chain(&error));
            tracing::warn!(image = image.result.image_id, "{warning}");
            image.result.warnings.push(warning);
            vec![200; thumbnail.size().area() as usize * 3]
        });
        let mask = |labels: &[u16]| thumbnail.mask(&thumbnail.of_image(labels, size.width), &self.colours);
        let map =
            ErrorMap { step: thumbnail.step(), classes: self.colours.len(), background: self.background };
        let wrong = map.of(labels).into_iter().flat_map(Wrong::colour).collect();
        Ok(thumbnail.strip(&[shown, mask(labels.truth), mask(labels.predicted), wrong])?)
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
