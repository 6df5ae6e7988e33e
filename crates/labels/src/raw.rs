//! A label as it stands in its file.

use marquetry_geometry::Size;
use marquetry_raster::read::labels::Labels;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The numbers of one label. Keep one for each thread: its memory is used again.
#[derive(Debug, Clone)]
pub struct RawLabel {
    /// Rows and columns, px.
    pub size: Size,
    /// `[height, width]`: the number of each pixel, one below 0 as its two's complement, or its colour as `0xRRGGBB`.
    pub values: Vec<u32>,
    /// Of the same shape: whether the file says that there is no number.
    pub missing: Vec<bool>,
    /// What the file says of itself.
    pub facts: LabelFacts,
    /// Memory of the reader.
    pub(crate) labels: Labels,
}

impl Default for RawLabel {
    fn default() -> Self {
        let facts = LabelFacts::default();
        let labels = Labels::default();
        Self { size: Size::new(0, 0), values: Vec::new(), missing: Vec::new(), facts, labels }
    }
}

/// What a label says of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LabelFacts {
    /// Its kind in words: files of one kind share a line of the census.
    pub kind: String,
    /// Whether its values are colours.
    pub coloured: bool,
    /// Whether its numbers come back only nearly as they were written.
    pub lossy: bool,
    /// The colour of each number, where it has a palette and its values are numbers.
    pub palette: Option<Vec<[u8; 3]>>,
    /// Whether it has an alpha channel that is not opaque everywhere, and nobody has said what that means.
    pub alpha_varies: bool,
    /// The number that stands for no data.
    pub nodata: Option<f64>,
    /// Pixels that objects of two values share.
    pub contested: u64,
    /// How often neighbours differ, of run lengths in an oblong image: in the order that is said, and in the other one.
    pub seams: [u64; 2],
}

/// A value of a label: a number, or a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Value {
    /// An index into a palette, a grey value, a sample, a category.
    Number(i32),
    /// `0xRRGGBB`.
    Colour(u32),
}

impl Value {
    /// Whether it is 0, or black.
    pub(crate) const fn is_zero(self) -> bool {
        matches!(self, Self::Number(0) | Self::Colour(0))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => write!(f, "value {value}"),
            Self::Colour(rgb) => {
                let [_, red, green, blue] = rgb.to_be_bytes();
                write!(f, "colour {red},{green},{blue}")
            }
        }
    }
}

impl LabelFacts {
    /// The value that a number of this label is.
    pub const fn value(&self, number: u32) -> Value {
        if self.coloured { Value::Colour(number) } else { Value::Number(number.cast_signed()) }
    }
}
