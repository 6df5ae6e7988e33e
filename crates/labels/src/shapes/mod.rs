//! What people draw in annotation programs: shapes with names, one over the other.

mod area;
pub(crate) mod cvat;
pub(crate) mod label_studio;
pub(crate) mod labelme;

pub(crate) use area::Area;

use crate::error::LabelError;
use crate::raw::{LabelFacts, RawLabel};
use crate::source::{LabelEntry, LabelSource};
use marquetry_evaluation::is_background;
use marquetry_geometry::Size;
use std::collections::{BTreeMap, HashMap};

/// So many faults are named.
const FAULTS_MAX: usize = 20;

/// The labels that shapes make. The number 0 is what no shape covers; each name has the next number, as they first come.
#[derive(Debug)]
pub(crate) struct ShapeSource {
    path: String,
    /// What files of this kind are called.
    kind: &'static str,
    entries: Vec<LabelEntry>,
    images: Vec<ShapeImage>,
    names: Vec<(u32, String)>,
    notes: Vec<String>,
    warnings: Vec<String>,
}

/// An image and what is drawn on it.
#[derive(Debug)]
pub(crate) struct ShapeImage {
    /// Its path, as the file has it.
    pub(crate) path: String,
    /// Its size, px, where the file says it.
    pub(crate) size: Option<Size>,
    /// From the bottom to the top.
    pub(crate) shapes: Vec<Shape>,
}

/// An area of a name.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) number: u32,
    pub(crate) area: Area,
}

/// Shapes on their way from a file.
#[derive(Debug)]
pub(crate) struct Draft {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    images: Vec<ShapeImage>,
    faults: Vec<String>,
    faults_all: usize,
    /// How many shapes of each kind have no area.
    without_area: BTreeMap<String, u64>,
    notes: Vec<String>,
    warnings: Vec<String>,
}

impl Draft {
    pub(crate) fn new() -> Self {
        Self {
            names: vec!["background".to_owned()],
            numbers: HashMap::new(),
            images: Vec::new(),
            faults: Vec::new(),
            faults_all: 0,
            without_area: BTreeMap::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The number of a name. What programs call the background is number 0.
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if is_background(name) {
            return 0;
        }
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    pub(crate) fn image(&mut self, image: ShapeImage) {
        self.images.push(image);
    }

    /// Something that makes the file unusable.
    pub(crate) fn fault(&mut self, found: String) {
        self.faults_all += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(found);
        }
    }

    /// A shape that is a line or a point.
    pub(crate) fn without_area(&mut self, kind: &str) {
        *self.without_area.entry(kind.to_owned()).or_default() += 1;
    }

    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(crate) fn warning(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// The source of all that has come from the file or folder called `path`.
    ///
    /// # Errors
    /// When something in it cannot be used, or there is nothing.
    pub(crate) fn finish(mut self, path: String, kind: &'static str) -> Result<ShapeSource, LabelError> {
        if self.faults_all > 0 {
            let more = self.faults_all - self.faults.len();
            let more = if more > 0 { format!("\n  … and {more} more") } else { String::new() };
            return Err(LabelError::meaning(&path, format!("{}{more}", self.faults.join("\n  "))));
        }
        if self.images.is_empty() {
            return Err(LabelError::meaning(&path, "there is no annotated image in it"));
        }
        if !self.without_area.is_empty() {
            let kinds: Vec<String> =
                self.without_area.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
            self.notes.push(format!("shapes without an area, left out: {}", kinds.join(", ")));
        }
        let entries = self.images.iter().map(|image| LabelEntry { path: image.path.replace('\\', "/") });
        Ok(ShapeSource {
            path,
            kind,
            entries: entries.collect(),
            images: self.images,
            names: (0..).zip(self.names).collect(),
            notes: self.notes,
            warnings: self.warnings,
        })
    }
}

impl LabelSource for ShapeSource {
    fn name(&self) -> String {
        self.path.clone()
    }

    fn entries(&self) -> &[LabelEntry] {
        &self.entries
    }

    fn size(&self, entry: usize) -> Result<Option<Size>, LabelError> {
        Ok(self.images[entry].size)
    }

    fn read(&self, entry: usize, image: Option<Size>, out: &mut RawLabel) -> Result<(), LabelError> {
        let own = &self.images[entry];
        let what = || format!("{}, {}", self.path, own.path);
        let size = own.size.or(image).ok_or_else(|| {
            LabelError::meaning(&what(), "the file does not say its size, and it is not known otherwise")
        })?;
        out.size = size;
        out.values.clear();
        out.values.resize(size.area() as usize, 0);
        out.missing.clear();
        out.missing.resize(out.values.len(), false);
        let mut contested = 0;
        for shape in &own.shapes {
            let painted = shape.area.paint(size, |row, columns| {
                let row = row * size.width as usize;
                for value in &mut out.values[row + columns.start..row + columns.end] {
                    contested += u64::from(*value != 0 && *value != shape.number);
                    *value = shape.number;
                }
            });
            painted.map_err(|found| LabelError::meaning(&what(), found))?;
        }
        out.facts = LabelFacts { kind: self.kind.to_owned(), contested, ..LabelFacts::default() };
        Ok(())
    }

    fn on_top(&self) -> &'static str {
        "the later shape"
    }

    fn value_names(&self) -> Option<&[(u32, String)]> {
        Some(&self.names)
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}

#[cfg(test)]
mod tests;
