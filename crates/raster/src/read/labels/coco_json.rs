//! What stands in a COCO file, and the mask of one annotation.

use super::polygon::{self, PolygonError};
use crate::read::error::ReadFault;
use crate::rle::{CocoMask, Runs, decode_coco, decode_counts};
use crate::write::CocoId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use marquetry_geometry::Size;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A file as it stands: a whole data set, of which the other keys are passed over.
#[derive(Debug, Default, Deserialize)]
pub(super) struct DataSet {
    #[serde(default)]
    pub(super) images: Vec<super::CocoImage>,
    #[serde(default)]
    pub(super) categories: Vec<super::CocoCategory>,
    #[serde(default)]
    pub(super) annotations: Vec<Annotation>,
}

/// One annotation, its outline or mask unread: that is most of the file, and one that is strange is no harm to the rest.
#[derive(Debug, Deserialize)]
pub(super) struct Annotation {
    #[serde(default)]
    pub(super) id: Option<CocoId>,
    pub(super) image_id: CocoId,
    pub(super) category_id: u64,
    #[serde(default)]
    segmentation: Option<Box<RawValue>>,
    #[serde(default)]
    iscrowd: Flag,
}

/// Files have 0 and 1, or false and true.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Flag {
    Number(u64),
    Truth(bool),
}

impl Default for Flag {
    fn default() -> Self {
        Self::Truth(false)
    }
}

/// How an annotation says where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CocoForm {
    /// Not at all: there is no segmentation, or only a box beside it.
    Nothing,
    /// Outlines as lists of coordinates.
    Polygons,
    /// Run lengths as a list of numbers.
    Counts,
    /// Run lengths in COCO's six-bit text.
    Text,
    /// The same text once more in Base64, as some exporters write it.
    Base64Text,
}

#[derive(Deserialize)]
struct Mask {
    size: [u32; 2],
    counts: Counts,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Counts {
    Numbers(Vec<u64>),
    Text(String),
}

impl Annotation {
    pub(super) fn is_crowd(&self) -> bool {
        matches!(self.iscrowd, Flag::Number(1..) | Flag::Truth(true))
    }

    /// Whether it has outlines or run lengths: one of a detector's data sets has a box and nothing, or an empty list.
    pub(super) fn has_segmentation(&self) -> bool {
        let text = self.segmentation.as_deref().map_or("null", RawValue::get);
        match text.as_bytes().first() {
            Some(b'{') => true,
            Some(b'[') => {
                text.bytes().any(|byte| !matches!(byte, b'[' | b']' | b',') && !byte.is_ascii_whitespace())
            }
            _ => false,
        }
    }

    /// Its form and its pixels in an image of `size`. Outlines of fewer than three points have none; all others together
    /// may cross columns of the image `crossings_max` times.
    pub(super) fn mask(&self, size: Size, crossings_max: usize) -> Result<(CocoForm, Runs), ReadFault> {
        let text = self.segmentation.as_deref().map_or("null", RawValue::get);
        match text.as_bytes()[0] {
            b'{' => {
                let Mask { size: [height, width], counts } =
                    serde_json::from_str(text).map_err(ReadFault::damaged)?;
                let own = Size::new(height, width);
                if own != size {
                    return Err(ReadFault::unreadable(format!("its mask is {own} px, the image {size} px")));
                }
                match counts {
                    Counts::Numbers(counts) => {
                        Ok((CocoForm::Counts, decode_counts(size, &counts).map_err(ReadFault::damaged)?))
                    }
                    Counts::Text(counts) => from_text(&CocoMask { size: [height, width], counts }),
                }
            }
            b'[' if self.has_segmentation() => {
                let rings = serde_json::from_str::<Vec<Vec<f64>>>(text)
                    // Some programs leave out the list around the only outline.
                    .or_else(|error| serde_json::from_str(text).map(|ring| vec![ring]).map_err(|_| error))
                    .map_err(ReadFault::damaged)?;
                let runs = polygon::fill(&rings, size, crossings_max).map_err(refused)?;
                Ok((CocoForm::Polygons, runs))
            }
            _ => Ok((CocoForm::Nothing, Runs::new(size, []).map_err(ReadFault::damaged)?)),
        }
    }
}

fn refused(error: PolygonError) -> ReadFault {
    match error {
        PolygonError::TooMany(_) => {
            let advice = "raise the memory limit if the file is to be trusted";
            ReadFault::too_large(error.to_string(), advice).because(error)
        }
        other => ReadFault::damaged(other),
    }
}

/// The mask of a text. One that does not add up, but does so once Base64 is taken off, was packed twice.
fn from_text(mask: &CocoMask) -> Result<(CocoForm, Runs), ReadFault> {
    let plain = decode_coco(mask);
    let unpacked = || {
        let bytes = STANDARD.decode(&mask.counts).ok()?;
        let counts = String::from_utf8(bytes).ok()?;
        decode_coco(&CocoMask { size: mask.size, counts }).ok()
    };
    match plain {
        Ok(runs) => Ok((CocoForm::Text, runs)),
        Err(error) => match unpacked() {
            Some(runs) => Ok((CocoForm::Base64Text, runs)),
            None => Err(ReadFault::damaged(error)),
        },
    }
}
