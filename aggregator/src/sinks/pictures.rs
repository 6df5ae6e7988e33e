//! The report's small pictures of an image, its mask and its confidence.

use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use crate::source_image::SourceImage;
use marquetry_imagery::ImageError;
use marquetry_raster::thumbnail::Thumbnail;

/// Samples labels and confidence as they come, and reads the image itself again at the end.
pub(crate) struct Pictures {
    thumbnail: Thumbnail,
    source: SourceImage,
    colours: Vec<[u8; 3]>,
    /// Whether classes exclude each other.
    exclusive: bool,
    labels: Vec<u16>,
    confidence: Vec<f32>,
}

impl Pictures {
    /// Pictures of the image that `source` reads; `colours` are those of the classes.
    pub(crate) fn new(source: SourceImage, colours: &[[u8; 3]], exclusive: bool) -> Self {
        let thumbnail = Thumbnail::new(source.planned().size);
        let (labels, confidence) = (Vec::new(), Vec::new());
        Self { thumbnail, source, colours: colours.to_vec(), exclusive, labels, confidence }
    }

    /// `row` is `[planes, W]`. Of classes that share pixels the first one is shown.
    fn add_labels(&mut self, row: &[u16], width: usize) {
        if self.exclusive {
            self.labels.extend(self.thumbnail.of(row));
            return;
        }
        let planes: Vec<&[u16]> = row.chunks_exact(width).collect();
        let first = |x: usize| planes.iter().position(|p| p[x] == 1).map_or(u16::MAX, |c| c as u16);
        let shown: Vec<u16> = (0..width).map(first).collect();
        self.labels.extend(self.thumbnail.of(&shown));
    }
}

impl RowSink for Pictures {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        if !self.thumbnail.has_row(row.y()) {
            return Ok(());
        }
        if let Some(scores) = row.scores() {
            self.confidence.extend(self.thumbnail.of(scores.confidence()?));
        }
        if let Some(labels) = row.labels() {
            self.add_labels(labels, row.width());
        }
        Ok(())
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        let shown = self.thumbnail.image(&self.source.open()?).map_err(ImageError::Read)?;
        let mask = self.thumbnail.mask(&self.labels, &self.colours);
        let confidence = self.thumbnail.confidence(&self.confidence);
        let [shown, mask, confidence] = [shown, mask, confidence].map(|rgb| self.thumbnail.png(&rgb));
        image.result.set_pictures(&[shown?, mask?, confidence?]);
        Ok(())
    }
}
