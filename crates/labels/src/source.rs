//! Where labels come from.

use crate::classes::ClassList;
use crate::coco::CocoSource;
use crate::error::LabelError;
use crate::folder::FolderSource;
use crate::raw::RawLabel;
use crate::rules::LabelRules;
use crate::run_table::RunTable;
use marquetry_geometry::Size;
use marquetry_raster::read::Limits;
use std::path::Path;

/// A label that a source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelEntry {
    /// The path of the label, or of its image, as the source has it; parts are separated by `/`.
    pub path: String,
}

/// Labels by key. Any number of threads can read at the same time.
pub trait LabelSource: Send + Sync {
    /// What messages call it.
    fn name(&self) -> String;

    /// The labels it has, in an order that is always the same.
    fn entries(&self) -> &[LabelEntry];

    /// The size of a label, px, where that can be told without reading it.
    ///
    /// # Errors
    /// When its file cannot be read.
    fn size(&self, entry: usize) -> Result<Option<Size>, LabelError>;

    /// Reads a label. `image` is the size of what it belongs to, where that is known: a source without sizes of its own
    /// needs it, and a label that is stored turned is told by it.
    ///
    /// # Errors
    /// When its file is damaged, or makes no label.
    fn read(&self, entry: usize, image: Option<Size>, out: &mut RawLabel) -> Result<(), LabelError>;

    /// What its numbers are called, where they have names. A class is then known by its name, never by its number.
    fn value_names(&self) -> Option<&[(u32, String)]> {
        None
    }

    /// What there is to tell of it, before a label is read.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Opens what lies at `path`: a folder of label images, a COCO file, or a table of run lengths.
///
/// # Errors
/// When there is nothing, or nothing that holds labels.
pub fn open(
    path: &Path,
    rules: &LabelRules,
    classes: &ClassList,
    limits: &Limits,
) -> Result<Box<dyn LabelSource>, LabelError> {
    if path.is_dir() {
        return Ok(Box::new(FolderSource::open(path, rules, limits)?));
    }
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    if extension.as_deref() == Some("json") {
        return Ok(Box::new(CocoSource::open(path, limits)?));
    }
    if extension.as_deref() == Some("csv") && path.exists() {
        return Ok(Box::new(RunTable::open(path, rules, classes, limits)?));
    }
    let found = if path.exists() {
        "it is neither a folder of label images nor a COCO file (.json) nor a table of run lengths (.csv)"
    } else {
        "there is no such folder or file"
    };
    Err(LabelError::meaning(&path.display(), found))
}
