//! Where labels come from.

use crate::classes::ClassList;
use crate::coco::CocoSource;
use crate::error::LabelError;
use crate::folder::{FolderSource, files_below};
use crate::panoptic::PanopticSource;
use crate::raw::RawLabel;
use crate::rules::LabelRules;
use crate::run_table::RunTable;
use crate::shapes::{cvat, label_studio, labelme};
use marquetry_geometry::Size;
use marquetry_raster::read::Limits;
use std::io::Read;
use std::path::{Path, PathBuf};

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

    /// Reads a label as it is if its pixels are numbered the other way, columns for rows; false, and nothing read, where there
    /// is but one way.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_turned(
        &self,
        _entry: usize,
        _image: Option<Size>,
        _out: &mut RawLabel,
    ) -> Result<bool, LabelError> {
        Ok(false)
    }

    /// The files that a label is read from: while none of them changes, nor what is said of them, it reads as it did. `None`
    /// where that cannot be told.
    fn files(&self, _entry: usize) -> Option<Vec<PathBuf>> {
        None
    }

    /// What its numbers are called, where they have names. A class is then known by its name, never by its number.
    fn value_names(&self) -> Option<&[(u32, String)]> {
        None
    }

    /// The number of what it does not cover, where an image that it does not list may be taken to be all of that.
    fn uncovered(&self) -> Option<u32> {
        None
    }

    /// What is on top where objects of two classes share pixels.
    fn on_top(&self) -> &'static str {
        "the smaller object"
    }

    /// What there is to tell of it, before a label is read.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// What is suspicious of it, before a label is read.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Opens what lies at `path`: a folder of label images or of labelme's files, a COCO file, an export of Label Studio or
/// CVAT, or a table of run lengths.
///
/// # Errors
/// When there is nothing, or nothing that holds labels.
pub fn open(
    path: &Path,
    rules: &LabelRules,
    classes: &ClassList,
    limits: &Limits,
) -> Result<Box<dyn LabelSource>, LabelError> {
    if crate::geojson::is_geojson(path)? {
        let found = "it is GeoJSON, whose places need images that say where they lie on a map";
        return Err(LabelError::meaning(&path.display(), found));
    }
    if path.is_dir() {
        let shapes = labelme_files(path)?;
        if !shapes.is_empty() {
            return Ok(Box::new(labelme::open(path, &shapes, limits)?));
        }
        return Ok(Box::new(FolderSource::open(path, rules, limits)?));
    }
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("json") => match JsonKind::of(path)? {
            JsonKind::Coco => return Ok(Box::new(CocoSource::open(path, limits)?)),
            JsonKind::Panoptic => return Ok(Box::new(PanopticSource::open(path, limits)?)),
            JsonKind::CocoResults => {
                let found = "it is a list of COCO results, which names neither its images nor its categories; put it as \
                             `annotations` into the data set that it is for, with `images` and `categories`";
                return Err(LabelError::meaning(&path.display(), found));
            }
            JsonKind::LabelStudio => return Ok(Box::new(label_studio::open(path)?)),
            JsonKind::Labelme => {
                let file = (String::new(), path.to_owned());
                return Ok(Box::new(labelme::open(path, &[file], limits)?));
            }
        },
        Some("csv") => return Ok(Box::new(RunTable::open(path, rules, classes, limits)?)),
        Some("xml") => return Ok(Box::new(cvat::open(path)?)),
        _ => {}
    }
    let found = if path.exists() {
        "it is neither a folder of label images or of labelme's files, nor a COCO file or an export of Label Studio (.json), \
         nor one of CVAT (.xml), nor a table of run lengths (.csv), nor outlines on a map (.geojson)"
    } else {
        "there is no such folder or file"
    };
    Err(LabelError::meaning(&path.display(), found))
}

/// Whose file a JSON is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JsonKind {
    Coco,
    Labelme,
    LabelStudio,
    Panoptic,
    CocoResults,
}

impl JsonKind {
    /// Looks at the beginning: files may be large. What is none of these is COCO's to refuse.
    fn of(path: &Path) -> Result<Self, LabelError> {
        const LOOK: u64 = 64 << 10;
        let failed = |source| LabelError::Io { path: path.to_owned(), doing: "reading it", source };
        let mut start = Vec::new();
        std::fs::File::open(path).map_err(failed)?.take(LOOK).read_to_end(&mut start).map_err(failed)?;
        let start = String::from_utf8_lossy(&start);
        let start = start.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
        // Of large files the beginning may hold nothing but images, so the usual name counts too.
        let is_panoptic = start.contains("\"segments_info\"")
            || path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("panoptic"));
        let is_labelme = start.contains("\"shapes\"") && !start.contains("\"categories\"");
        Ok(match start.as_bytes().first() {
            Some(b'[') if start.contains("\"category_id\"") && !start.contains("\"annotations\"") => {
                Self::CocoResults
            }
            Some(b'[') => Self::LabelStudio,
            _ if is_panoptic => Self::Panoptic,
            _ if is_labelme => Self::Labelme,
            _ => Self::Coco,
        })
    }
}

/// The files of labelme in a folder and the folders in it, with their folders' paths; none if its first JSON is another.
fn labelme_files(root: &Path) -> Result<Vec<(String, PathBuf)>, LabelError> {
    let mut files = files_below(root, &["json"])?;
    if let Some(first) = files.first()
        && JsonKind::of(&root.join(first))? != JsonKind::Labelme
    {
        files.clear();
    }
    let folder = |file: &str| file.rfind('/').map_or("", |at| &file[..=at]).to_owned();
    Ok(files.into_iter().map(|file| (folder(&file), root.join(&file))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_apart_by_its_beginning() {
        let kind = |name: &str, text: &str| {
            let folder = tempfile::TempDir::new().unwrap();
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            JsonKind::of(&path).unwrap()
        };
        for (name, text, wanted) in [
            ("train.json", r#"{"images": [], "annotations": [], "categories": []}"#, JsonKind::Coco),
            ("a.json", "\u{feff}{\"version\": \"5\", \"shapes\": []}", JsonKind::Labelme),
            (
                "export.json",
                r#" [{"id": 1, "data": {"image": "a"}, "annotations": []}]"#,
                JsonKind::LabelStudio,
            ),
            ("results.json", r#"[{"image_id": 7, "category_id": 1}]"#, JsonKind::CocoResults),
            ("b.json", r#"{"annotations": [{"segments_info": []}]}"#, JsonKind::Panoptic),
            ("panoptic_val2017.json", "{}", JsonKind::Panoptic),
        ] {
            assert_eq!(kind(name, text), wanted, "{name}");
        }
    }
}
