//! Labels in, as numbers.
//!
//! An image is read for its colours, a label for the numbers that stand in it: the index into a palette, a grey value, a
//! sample of a TIFF, or the value that a run length or an outline is painted with. A [`LabelReader`] hands them over by
//! windows, with the same bounds on memory as [`super::Image`], and says what kind of file it is. What a number *means*
//! (classes, ignore, whether a lossy file may be a label, which size it must have) is the caller's to decide.

mod census;
mod coco;
mod coco_json;
mod painted;
mod polygon;
mod reader;

#[cfg(test)]
mod tests;

pub use census::{Census, ValueCount};
pub use coco::{CocoCategory, CocoFile, CocoImage, CocoObject};
pub use coco_json::CocoForm;
pub use reader::{LabelInfo, LabelReader, Labels};
