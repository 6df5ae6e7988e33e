//! COCO's lists of annotations.

use super::error::{Result, WriteError};
use crate::rle::{CocoMask, Runs};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
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
    /// Pixels in it. Not among results, as the box: `loadRes` of `pycocotools` takes the area of a box that it finds there
    /// for that of the mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<u64>,
    /// Left, top, width and height of the box around it, px.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bbox: Option<[u32; 4]>,
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

/// An image of a COCO data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CocoImage {
    /// Its number.
    pub id: u64,
    /// Its file.
    pub file_name: String,
    /// Columns, px.
    pub width: u32,
    /// Rows, px.
    pub height: u32,
}

/// Writes a COCO data set: the images, the categories (a number and a name each) and the annotations of all fragments, which
/// are numbered from 1.
///
/// # Errors
/// When a fragment cannot be had, or the file cannot be written.
pub fn write_coco_dataset<E: From<WriteError>>(
    mut out: impl Write,
    images: &[CocoImage],
    categories: &[(u64, &str)],
    fragments: impl IntoIterator<Item = Result<Vec<u8>, E>>,
) -> Result<(), E> {
    let failed = |error| E::from(WriteError::Io { what: "a COCO data set", source: error });
    let categories: Vec<_> =
        categories.iter().map(|(id, name)| serde_json::json!({"id": id, "name": name})).collect();
    let mut head = String::from("{\"images\":[");
    let mut gap = "\n";
    for image in images {
        head += gap;
        head += &serde_json::to_string(image).expect("numbers and texts are always JSON");
        gap = ",\n";
    }
    head += &format!("\n],\n\"categories\":{},\n\"annotations\":[", serde_json::Value::from(categories));
    out.write_all(head.as_bytes()).map_err(failed)?;
    let mut number = 0_u64;
    for fragment in fragments {
        for line in fragment?.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            number += 1;
            let gap = if number == 1 { "" } else { "," };
            write!(out, "{gap}\n{{\"id\":{number},")
                .and_then(|()| out.write_all(&line[1..]))
                .map_err(failed)?;
        }
    }
    out.write_all(b"\n]}\n").and_then(|()| out.flush()).map_err(failed)
}

/// The numbers that images are known by where all their ids are digits, as COCO's file names are (`000000397133` is image
/// 397133); nothing where one is not, or two would have one number.
pub fn numbers_of_ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Option<Vec<u64>> {
    let number = |id: &str| id.bytes().all(|b| b.is_ascii_digit()).then(|| id.parse().ok()).flatten();
    let numbers = ids.into_iter().map(number).collect::<Option<Vec<u64>>>()?;
    let distinct: HashSet<u64> = numbers.iter().copied().collect();
    (distinct.len() == numbers.len()).then_some(numbers)
}

/// The fragment of image `id`, of which it says `number` instead.
pub fn renumbered(fragment: &[u8], id: &str, number: u64) -> Vec<u8> {
    let head = |id: &CocoId| {
        let id = serde_json::to_string(id).expect("numbers and texts are always JSON");
        format!("{{\"image_id\":{id},").into_bytes()
    };
    let (from, to) = (head(&CocoId::from(id)), head(&CocoId::Number(number)));
    let mut out = Vec::with_capacity(fragment.len());
    for line in fragment.split_inclusive(|&byte| byte == b'\n') {
        match line.strip_prefix(from.as_slice()) {
            Some(rest) => out.extend(to.iter().chain(rest)),
            None => out.extend(line),
        }
    }
    out
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
