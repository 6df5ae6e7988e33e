//! The compressed run-length texts of COCO, and its lists of annotations.

use super::error::{Result, WriteError};
use super::runs::{Run, Runs};
use marquetry_geometry::Size;
use serde::{Deserialize, Serialize};
use std::io::Write;

/// A mask as COCO writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CocoMask {
    /// Height and width, px.
    pub size: [u32; 2],
    /// Lengths of runs down the columns, zeros first, in COCO's six-bit text.
    pub counts: String,
}

/// The mask as COCO writes it.
pub fn encode_coco(mask: &Runs) -> CocoMask {
    let mut counts = Counts::default();
    let mut free = 0;
    for run in mask.runs() {
        counts.push(run.start - free);
        counts.push(run.length);
        free = run.end();
    }
    let area = mask.size().area();
    if free < area || area == 0 {
        counts.push(area - free);
    }
    CocoMask { size: [mask.size().height, mask.size().width], counts: counts.text }
}

/// Writes lengths as text: from the fourth on as the difference to the one before the last.
#[derive(Default)]
struct Counts {
    text: String,
    before: [i64; 2],
    written: usize,
}

impl Counts {
    fn push(&mut self, length: u64) {
        let length = length as i64;
        let mut rest = if self.written > 2 { length - self.before[0] } else { length };
        self.before = [self.before[1], length];
        self.written += 1;
        loop {
            let bits = (rest & 0x1f) as u8;
            rest >>= 5;
            // The sign is the fifth bit of the last letter: stop only where it says what is left.
            let more = if bits & 0x10 == 0 { rest != 0 } else { rest != -1 };
            self.text.push(char::from(bits + if more { 0x20 } else { 0 } + b'0'));
            if !more {
                return;
            }
        }
    }
}

/// Reads a mask of [`encode_coco`], or of any COCO file with compressed counts, back.
///
/// # Errors
/// When the text has a strange letter, ends within a number, or does not add up to the image.
pub fn decode_coco(mask: &CocoMask) -> Result<Runs> {
    let fault = |found: String| WriteError::malformed("a COCO mask", found);
    let size = Size::new(mask.size[0], mask.size[1]);
    let mut lengths: Vec<i64> = Vec::new();
    let (mut value, mut shift) = (0_i64, 0_u32);
    for letter in mask.counts.bytes() {
        let bits = letter.wrapping_sub(b'0');
        if bits > 0x3f || shift > 55 {
            return Err(fault(format!("byte {letter} after {} lengths", lengths.len())));
        }
        value |= i64::from(bits & 0x1f) << shift;
        shift += 5;
        if bits & 0x20 != 0 {
            continue;
        }
        if bits & 0x10 != 0 {
            value |= -1 << shift;
        }
        if lengths.len() > 2 {
            value = value.saturating_add(lengths[lengths.len() - 2]);
        }
        lengths.push(value);
        (value, shift) = (0, 0);
    }
    let negative = lengths.iter().any(|&length| length < 0);
    let sum = lengths.iter().fold(0_u64, |sum, &length| sum.saturating_add(length.unsigned_abs()));
    if shift != 0 || negative || sum != size.area() {
        let found = format!("its lengths add up to {sum} px, the image of {size} px has {}", size.area());
        return Err(fault(found));
    }
    let mut start = 0;
    let runs = lengths.iter().enumerate().filter_map(|(index, &length)| {
        let run = Run { start, length: length as u64 };
        start += run.length;
        (index % 2 == 1 && length > 0).then_some(run)
    });
    Runs::new(size, runs.collect::<Vec<_>>())
}

/// The id of an image in a COCO file: a number where the job's id is one, else the text itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CocoId {
    /// COCO's own kind of id.
    Number(u64),
    /// What most readers accept as well.
    Text(String),
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
