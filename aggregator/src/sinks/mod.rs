//! The sinks of this crate: one module for each thing that is made of an image's rows.

pub(crate) mod corrected_labels;
pub(crate) mod counts;
pub(crate) mod evaluation;
pub(crate) mod gate_truth;
mod label_files;
mod label_panels;
pub(crate) mod label_quality;
mod label_scores;
pub(crate) mod masks;
mod measures;
pub(crate) mod night_labels;
pub(crate) mod optional;
pub(crate) mod pictures;
pub(crate) mod polygons;
pub(crate) mod probabilities;
pub(crate) mod probes;
pub(crate) mod pseudo_labels;
pub(crate) mod ranking;
pub(crate) mod score_files;
pub(crate) mod soft_labels;
pub(crate) mod sure_counts;
pub(crate) mod table_rows;
pub(crate) mod uncertainty;

use crate::output_file::{OutputFile, ScratchFolder, UnfinishedFile};
use marquetry_job::PlannedImage;
use marquetry_raster::write::{GeoTags, Legend};
use marquetry_spec::{JobSpec, TilesPer};

/// What sinks are told of an image and of its job when they are opened.
pub(crate) struct SinkContext<'a> {
    pub(crate) spec: &'a JobSpec,
    /// Names the job's decisions and outputs.
    pub(crate) outputs: &'a str,
    pub(crate) image: &'a PlannedImage,
    pub(crate) legend: Legend,
    /// Where the image lies on earth.
    pub(crate) geo: Option<GeoTags>,
    /// For files that are not finished yet.
    pub(crate) folder: &'a ScratchFolder,
}

impl SinkContext<'_> {
    /// Whether classes exclude each other.
    pub(crate) const fn is_exclusive(&self) -> bool {
        self.spec.decide.background.is_some()
    }

    /// Planes of labels: one, or one for each class where classes share pixels.
    pub(crate) fn planes(&self) -> u32 {
        if self.is_exclusive() { 1 } else { self.spec.classes.len() as u32 }
    }

    /// Whether each member has tiles of its own.
    pub(crate) fn has_member_tiles(&self) -> bool {
        self.spec.tiles.per == TilesPer::Member
    }

    /// A new file that will lie at `place`; `name` tells it from the others of the image.
    fn new_file(&self, place: String, name: &str) -> (OutputFile, UnfinishedFile) {
        let file = UnfinishedFile::new(self.folder, name);
        (OutputFile::written(place, file.clone()), file)
    }
}

#[cfg(test)]
mod probe_tests;
#[cfg(test)]
mod tests;
