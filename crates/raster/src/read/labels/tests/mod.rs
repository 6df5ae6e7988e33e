//! Tests of labels, all on files made by code.

mod coco;
mod files;
mod polygons;

use super::*;
use crate::read::tests::roomy;
use crate::read::{Limits, ReadError};
use marquetry_geometry::{Rect, Size};
use std::path::Path;
use tempfile::TempDir;

/// Opens a label in memory; its scratch folder may go, since a file there has no name.
fn open(bytes: &[u8], change: impl FnOnce(&mut Limits)) -> Result<LabelReader, ReadError> {
    let folder = TempDir::new().unwrap();
    let mut limits = roomy(&folder);
    change(&mut limits);
    LabelReader::open_from(Box::new(bytes.to_vec()), Path::new("label"), &limits)
}

/// All numbers of a label.
fn whole(label: &LabelReader) -> Labels {
    let mut labels = Labels::default();
    label.read(Rect::whole(label.info().size), &mut labels).unwrap();
    labels
}

/// Each row of a label of one band as a text of its digits.
fn digits(label: &LabelReader) -> Vec<String> {
    let row = |row: &[i32]| row.iter().map(ToString::to_string).collect();
    whole(label).values.chunks(label.info().size.width as usize).map(row).collect()
}
