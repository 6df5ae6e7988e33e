//! A small picture of an image beside labels of both sides and where they differ.

use super::SinkContext;
use crate::output_file::OutputFile;
use crate::sink::{FinishedImage, SinkError};
use crate::source_image::SourceImage;
use marquetry_evaluation::{ErrorMap, LabelPair, Wrong};
use marquetry_failure::chain;
use marquetry_imagery::ImageError;
use marquetry_raster::thumbnail::Thumbnail;

/// What a picture is made of: the image, the truth, the prediction and where they differ, side by side.
pub(super) struct LabelPanels {
    pub(super) source: SourceImage,
    pub(super) colours: Vec<[u8; 3]>,
    pub(super) background: Option<u16>,
}

impl LabelPanels {
    pub(super) fn new(context: &SinkContext<'_>, source: &SourceImage) -> Self {
        Self {
            source: source.clone(),
            colours: context.legend.colours().to_vec(),
            background: context.spec.background(),
        }
    }

    /// Makes the picture that will lie at `place`. An image that cannot be read
    /// again is grey, and `what` says what it is missing from.
    pub(super) fn write(
        &self,
        labels: &LabelPair<'_>,
        (place, what): (String, &str),
        image: &mut FinishedImage,
    ) -> Result<(), SinkError> {
        let thumbnail = Thumbnail::new(self.source.planned().size);
        let shown = self.source.open().and_then(|source| thumbnail.image(&source).map_err(ImageError::Read));
        let shown = shown.unwrap_or_else(|error| {
            let warning = format!("no picture beside its {what}: {}", chain(&error));
            tracing::warn!(image = image.result.image_id, "{warning}");
            image.result.warnings.push(warning);
            vec![200; thumbnail.size().area() as usize * 3]
        });
        let width = labels.width;
        let mask = |labels: &[u16]| thumbnail.mask(&thumbnail.of_image(labels, width), &self.colours);
        let map =
            ErrorMap { step: thumbnail.step(), classes: self.colours.len(), background: self.background };
        let wrong = map.of(labels).into_iter().flat_map(Wrong::colour).collect();
        let picture = thumbnail.strip(&[shown, mask(labels.truth), mask(labels.predicted), wrong])?;
        image.files.push(OutputFile::of_bytes(place, picture));
        Ok(())
    }
}
