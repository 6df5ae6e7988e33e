//! A folder of label images.

use crate::error::LabelError;
use crate::file::LabelFile;
use crate::npy::{self, ArrayFile};
use crate::raw::RawLabel;
use crate::rules::{AlphaRule, LabelRules, NodataRule};
use crate::source::{LabelEntry, LabelSource};
use marquetry_geometry::{Reading, Size};
use marquetry_raster::read::labels::LabelReader;
use marquetry_raster::read::{Limits, probe};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Names that end like this are looked at.
const EXTENSIONS: [&str; 14] =
    ["png", "tif", "tiff", "bmp", "jpg", "jpeg", "jfif", "webp", "pgm", "ppm", "pbm", "pnm", "npy", "npz"];

/// The label images in a folder and the folders in it, in the order of their paths.
#[derive(Debug)]
pub struct FolderSource {
    root: PathBuf,
    entries: Vec<LabelEntry>,
    as_colours: bool,
    alpha: AlphaRule,
    nodata: NodataRule,
    array: Option<String>,
    limits: Limits,
}

impl FolderSource {
    /// Lists `root`.
    ///
    /// # Errors
    /// When it cannot be read or has no label image.
    pub fn open(root: &Path, rules: &LabelRules, limits: &Limits) -> Result<Self, LabelError> {
        let files = files_below(root, &EXTENSIONS)?;
        if files.is_empty() {
            let found = format!("no label image is in it ({})", EXTENSIONS.join(", "));
            return Err(LabelError::meaning(&root.display(), found));
        }
        Ok(Self::of_files(root, files, rules, limits))
    }

    /// These files, whose paths are relative to `root`.
    pub fn of_files(root: &Path, files: Vec<String>, rules: &LabelRules, limits: &Limits) -> Self {
        let entries = files.into_iter().map(|path| LabelEntry { path }).collect();
        let (alpha, nodata, array) = (rules.alpha, rules.nodata, rules.array.clone());
        let (root, as_colours, limits) = (root.to_owned(), rules.colours.is_some(), limits.clone());
        Self { root, entries, as_colours, alpha, nodata, array, limits }
    }

    fn path(&self, entry: usize) -> PathBuf {
        self.root.join(&self.entries[entry].path)
    }

    fn array<'a>(&'a self, path: &'a Path) -> ArrayFile<'a> {
        ArrayFile { path, name: self.array.as_deref(), memory_bytes: self.limits.memory_bytes }
    }
}

/// The files below `root` whose names end so, by their paths, in order.
///
/// # Errors
/// When a folder cannot be listed.
pub(crate) fn files_below(root: &Path, extensions: &[&str]) -> Result<Vec<String>, LabelError> {
    let mut files = Vec::new();
    walk(root, "", extensions, &mut HashSet::new(), &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(
    folder: &Path,
    prefix: &str,
    extensions: &[&str],
    seen: &mut HashSet<PathBuf>,
    files: &mut Vec<String>,
) -> Result<(), LabelError> {
    let failed = |source| LabelError::Io { path: folder.to_owned(), doing: "listing the folder", source };
    // A link may lead back to where it lies.
    if !seen.insert(folder.canonicalize().map_err(failed)?) {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let (path, own) = (entry.path(), format!("{prefix}{name}"));
        if path.is_dir() {
            walk(&path, &format!("{own}/"), extensions, seen, files)?;
        } else if extensions.iter().any(|known| name.to_lowercase().ends_with(&format!(".{known}"))) {
            files.push(own);
        }
    }
    Ok(())
}

fn is_array(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| ["npy", "npz"].iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// The file of a label, and the mask beside it where there is one, which says where it has no value.
pub(crate) fn with_mask(label: PathBuf) -> Vec<PathBuf> {
    let mask = LabelReader::mask_beside(&label);
    [Some(label), mask].into_iter().flatten().collect()
}

impl LabelSource for FolderSource {
    fn name(&self) -> String {
        self.root.display().to_string()
    }

    fn entries(&self) -> &[LabelEntry] {
        &self.entries
    }

    fn size(&self, entry: usize) -> Result<Option<Size>, LabelError> {
        let path = self.path(entry);
        if is_array(&path) {
            return npy::size(self.array(&path));
        }
        Ok(Some(probe(&path, &self.limits, &Reading::default())?.size))
    }

    fn files(&self, entry: usize) -> Option<Vec<PathBuf>> {
        Some(with_mask(self.path(entry)))
    }

    fn read(&self, entry: usize, image: Option<Size>, out: &mut RawLabel) -> Result<(), LabelError> {
        let path = self.path(entry);
        if is_array(&path) {
            return npy::read(self.array(&path), out);
        }
        let (as_colours, alpha, nodata) = (self.as_colours, self.alpha, self.nodata);
        LabelFile { path: &path, as_colours, alpha, nodata, image }.read(&self.limits, out)
    }
}
