//! What is asked for.

use marquetry_labels::{ClassList, LabelRules};
use marquetry_raster::read::Limits;
use std::path::PathBuf;

/// Two sources of labels, and what is said of them.
#[derive(Debug, Clone)]
pub struct Request {
    /// The labels that are right.
    pub truth: SideRequest,
    /// The labels that are judged.
    pub predicted: SideRequest,
    /// The classes.
    pub classes: ClassList,
    /// Whether a prediction of another size is brought to that of its truth.
    pub resize: bool,
    /// How wide boundaries are, px; unsaid, 2 % of the diagonal of the middle one of all images by size.
    pub boundary_px: Option<u32>,
    /// How many images are worked on side by side, at least 1.
    pub threads: usize,
    /// Most bytes that images in hand take together.
    pub memory_bytes: u64,
    /// What reading one label may cost.
    pub limits: Limits,
    /// Small pictures of every pair, where they are wanted.
    pub pictures: Option<PictureRequest>,
}

/// Pictures of every pair.
#[derive(Debug, Clone)]
pub struct PictureRequest {
    /// The folder they are written to, as `000000.png` and so on, in the order of predictions.
    pub folder: PathBuf,
    /// Where the images lie, if they are to be shown.
    pub images: Option<PathBuf>,
}

/// One source of labels.
#[derive(Debug, Clone)]
pub struct SideRequest {
    /// A folder or a file.
    pub path: PathBuf,
    /// What its file names have before their extension.
    pub suffix: String,
    /// What is said of its values.
    pub rules: LabelRules,
}
