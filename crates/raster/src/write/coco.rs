//! COCO's lists of annotations.

use super::error::{Result, WriteError};
use crate::rle::{CocoMask, Runs};
use serde::{Deserialize, Serialize};
use std::io::Write;

/// The id of an image in a COCO file: a number where the job's id is one, else the text itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CocoId {
    /// COCO's own kind of id.
    Number(u64),
    /// What most readers accept as well.
    Text(String),
}

impl std::fmt::Display for CocoId {
    /// As it stands in the file: a text has its quotation marks, so that 8 and "8" differ.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

impl From<&str> for CocoId {
    /// A text that is exactly how a whole number is written becomes that number; `007` stays a text.
    fn from(id: &str) -> Self {
        match id.parse::<u64>() {
            Ok(number) if number.to_string() == id => Self::Number(number),
            _ => Self::Text(id.to_owned()),
        }
    }
}

/// The outline or mask of an annotation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CocoSegmentation {
    /// A compressed mask.
    Mask(CocoMask),
    /// Rings `x, y, x, y, …` in pixel-edge coordinates.
    Polygons(Vec<Vec<u32>>),
}

/// One annotation of a COCO list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CocoAnnotation {
    /// The image it speaks of.
    pub image_id: CocoId,
    /// The category's number.
    pub category_id: u64,
    /// Where it is.
    pub segmentation: CocoSegmentation,
    /// Pixels in it.
    pub area: u64,
    /// Left, top, width and height of the box around it, px.
    pub bbox: [u32; 4],
    /// 0: one object or stuff; COCO keeps 1 for crowds.
    pub iscrowd: u8,
    /// How sure it is, where a list of results wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
}

/// Joins fragments, each one annotation a line, into one JSON list.
///
/// # Errors
/// When a fragment cannot be had, or the list cannot be written.
pub fn join_coco<E: From<WriteError>>(
    mut out: impl Write,
    fragments: impl IntoIterator<Item = Result<Vec<u8>, E>>,
) -> Result<(), E> {
    let failed = |error| E::from(WriteError::Io { what: "a COCO list", source: error });
    out.write_all(b"[").map_err(failed)?;
    let mut gap: &[u8] = b"\n";
    for fragment in fragments {
        for line in fragment?.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            out.write_all(gap).and_then(|()| out.write_all(line)).map_err(failed)?;
            gap = b",\n";
        }
    }
    out.write_all(b"\n]\n").and_then(|()| out.flush()).map_err(failed)
}

/// Writes one annotation as a line of a fragment.
pub(super) fn write_line(out: &mut impl Write, annotation: &CocoAnnotation) -> Result<()> {
    let mut line = serde_json::to_vec(annotation).expect("numbers and texts are always JSON");
    line.push(b'\n');
    out.write_all(&line).map_err(WriteError::io("COCO annotations"))
}

/// The box around a mask that is not empty: left, top, width, height, px.
pub(super) fn bounding_box(mask: &Runs) -> [u32; 4] {
    let height = u64::from(mask.size().height);
    let (mut left, mut right, mut top, mut bottom) = (u64::MAX, 0, height, 0);
    for run in mask.runs() {
        let (first, last) = (run.start / height, (run.end() - 1) / height);
        (left, right) = (left.min(first), right.max(last + 1));
        // A run that goes on in the next column touches the top and the bottom of the image.
        let whole = first != last;
        top = top.min(if whole { 0 } else { run.start % height });
        bottom = bottom.max(if whole { height } else { (run.end() - 1) % height + 1 });
    }
    [left as u32, top as u32, (right - left) as u32, (bottom - top) as u32]
}
