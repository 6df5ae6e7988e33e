//! What is asked for.

use marquetry_labels::{Affixes, ClassList, LabelRules};
use marquetry_raster::read::Limits;
use marquetry_raster::write::GeoTags;
use std::path::{Path, PathBuf};

/// Where each of the images in a folder lies on a map, for its pixels as they are shown, if anything says it; an error in words.
pub type Georeferences = fn(&Path, &[&str]) -> Vec<Result<Option<GeoTags>, String>>;

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
    /// How far outlines may be apart and still agree, px.
    pub tolerance_px: u32,
    /// How many images are worked on side by side, at least 1.
    pub threads: usize,
    /// Most bytes that images in hand take together.
    pub memory_bytes: u64,
    /// What reading one label may cost.
    pub limits: Limits,
    /// Where the images lie: of them come sizes that labels do not say, and pictures.
    pub images: Option<PathBuf>,
    /// Tells where images lie; asked where labels are outlines on a map.
    pub georeferences: Georeferences,
    /// The folder that small pictures of every pair are written to, where they are wanted, as `000000.png` and so on, in the
    /// order of predictions.
    pub pictures: Option<PathBuf>,
}

/// One source of labels.
#[derive(Debug, Clone)]
pub struct SideRequest {
    /// A folder or a file.
    pub path: PathBuf,
    /// What its file names have around what both sides share.
    pub affixes: Affixes,
    /// Whether an image that it does not list, or that no feature on a map lies on, is background there: one of the images, or of
    /// the other side where no images are named.
    pub unlisted_is_background: bool,
    /// What is said of its values.
    pub rules: LabelRules,
}
