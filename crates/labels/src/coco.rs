//! The labels of a COCO file.

use crate::error::LabelError;
use crate::raw::{LabelFacts, RawLabel};
use crate::source::{LabelEntry, LabelSource};
use marquetry_failure::counted;
use marquetry_geometry::{Rect, Size};
use marquetry_raster::read::Limits;
use marquetry_raster::read::labels::{CocoFile, CocoForm, Labels};
use marquetry_raster::write::CocoId;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// A data set of COCO's form. The number 0 is what no annotation covers, and is called background; each category has the
/// next number, in the order of the file. The smaller of two annotations is on top; crowds are drawn like others.
#[derive(Debug)]
pub struct CocoSource {
    path: String,
    file: CocoFile,
    entries: Vec<LabelEntry>,
    names: Vec<(u32, String)>,
    /// The number of each category.
    numbers: BTreeMap<u64, u16>,
}

impl CocoSource {
    /// Opens a file and looks whether it holds together.
    ///
    /// # Errors
    /// When it cannot be read or is no data set with images and categories.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, LabelError> {
        let file = CocoFile::open(path, limits)?;
        let fault = |found: &str| Err(LabelError::meaning(&path.display(), found));
        if file.images().is_empty() || file.categories().is_empty() {
            return fault(
                "it names no images or no categories; a truth is a whole data set, as instances_train.json",
            );
        }
        if file.categories().len() + file.category_counts().len() > 60_000 {
            return fault("it has more than 60000 categories");
        }
        let mut names = vec![(0, "background".to_owned())];
        let mut numbers = BTreeMap::new();
        for (category, number) in file.categories().iter().zip(1..) {
            numbers.insert(category.id, number);
            names.push((u32::from(number), category.name.clone()));
        }
        // A category that nobody declared has no name to be known by, but may be mapped or left to the others.
        let undeclared = file.category_counts().into_keys().filter(|id| !numbers.contains_key(id));
        for id in undeclared.collect::<Vec<_>>() {
            let number = names.len() as u16;
            numbers.insert(id, number);
            names.push((u32::from(number), format!("category {id}")));
        }
        let entry = |image: &marquetry_raster::read::labels::CocoImage| LabelEntry {
            path: image.file_name.clone().unwrap_or_else(|| image.id.to_string()).replace('\\', "/"),
        };
        let entries = file.images().iter().map(entry).collect();
        Ok(Self { path: path.display().to_string(), file, entries, names, numbers })
    }

    /// What there is to tell of annotations that cover no pixel.
    fn without_segmentation(&self) -> Option<Bare> {
        let (id, image) = self.file.without_segmentation().next()?;
        let (bare, all) = (self.file.without_segmentation().count(), self.file.annotations());
        let id = id.map_or("one without an id".to_owned(), ToString::to_string);
        let have = if bare == 1 { "has" } else { "have" };
        let text = format!(
            "{bare} of {} {have} no segmentation, at most a box, and so no pixel: first {id}, of image {image}",
            counted(all, "annotation")
        );
        Some(Bare { are_most: 2 * bare > all, text })
    }

    fn declared_size(&self, entry: usize) -> Option<Size> {
        let image = &self.file.images()[entry];
        Some(Size::new(image.height?, image.width?))
    }
}

/// Annotations that say where an object is by a box at most.
struct Bare {
    are_most: bool,
    text: String,
}

impl LabelSource for CocoSource {
    fn name(&self) -> String {
        self.path.clone()
    }

    fn entries(&self) -> &[LabelEntry] {
        &self.entries
    }

    fn size(&self, entry: usize) -> Result<Option<Size>, LabelError> {
        Ok(self.declared_size(entry))
    }

    fn files(&self, _entry: usize) -> Option<Vec<PathBuf>> {
        Some(vec![PathBuf::from(&self.path)])
    }

    fn read(&self, entry: usize, image: Option<Size>, out: &mut RawLabel) -> Result<(), LabelError> {
        let id = &self.file.images()[entry].id;
        let Some(size) = self.declared_size(entry).or(image) else {
            let found =
                format!("image {id} has no height and width there, and its size is not known otherwise");
            return Err(LabelError::meaning(&self.path, found));
        };
        let number = |category: u64| self.numbers.get(&category).copied();
        let objects = self.file.objects(id, size)?;
        let forms: HashSet<CocoForm> = objects.iter().map(|object| object.form).collect();
        let contested = contested(&objects, size, number);
        let label = self.file.paint(size, 0, objects, |object| number(object.category_id))?;
        let mut labels = Labels::default();
        label.read(Rect::whole(size), &mut labels)?;
        out.size = size;
        out.values.clear();
        out.values.extend(labels.values.iter().map(|value| value.cast_unsigned()));
        out.missing.clear();
        out.missing.resize(out.values.len(), false);
        out.facts = LabelFacts { kind: kind(&forms), contested, ..LabelFacts::default() };
        Ok(())
    }

    fn value_names(&self) -> Option<&[(u32, String)]> {
        Some(&self.names)
    }

    fn warnings(&self) -> Vec<String> {
        let bare = self.without_segmentation().filter(|bare| bare.are_most);
        bare.map(|bare| format!("{}; take a file with outlines or run lengths", bare.text))
            .into_iter()
            .collect()
    }

    fn notes(&self) -> Vec<String> {
        let bare = self.without_segmentation().filter(|bare| !bare.are_most);
        let mut notes: Vec<String> = bare.map(|bare| bare.text).into_iter().collect();
        let annotated: HashSet<&CocoId> = self.file.annotated_images().collect();
        let images: HashSet<&CocoId> = self.file.images().iter().map(|image| &image.id).collect();
        let empty = images.difference(&annotated).count();
        if empty > 0 {
            notes.push(format!("{} without annotations: all background", counted(empty, "image")));
        }
        let strange: Vec<&&CocoId> = annotated.iter().filter(|id| !images.contains(**id)).collect();
        if let Some(first) = strange.iter().map(ToString::to_string).min() {
            // 8 and "8" are two ids: files have been seen that mix them.
            let bare = first.trim_matches('"');
            let near = images.iter().any(|id| id.to_string().trim_matches('"') == bare);
            let near =
                if near { " (an image has the same id, once as a number and once as a text)" } else { "" };
            notes.push(format!(
                "annotations of {} that it does not name, such as {first}{near}: left out",
                counted(strange.len(), "image")
            ));
        }
        let used = self.file.category_counts();
        let idle: Vec<&str> = self
            .file
            .categories()
            .iter()
            .filter(|c| !used.contains_key(&c.id))
            .map(|c| c.name.as_str())
            .collect();
        if !idle.is_empty() {
            notes.push(format!("categories without an annotation: {}", idle.join(", ")));
        }
        notes
    }
}

/// Stands for more than one owner.
const SEVERAL: u16 = u16::MAX;

/// Pixels that objects of different numbers share.
fn contested(
    objects: &[marquetry_raster::read::labels::CocoObject],
    size: Size,
    number: impl Fn(u64) -> Option<u16>,
) -> u64 {
    let mut numbers: Vec<u16> = objects.iter().filter_map(|object| number(object.category_id)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.len() < 2 {
        return 0;
    }
    let mut owner = vec![0_u16; size.area() as usize];
    for object in objects {
        let Some(own) = number(object.category_id) else { continue };
        for run in object.mask.runs() {
            for pixel in &mut owner[run.start as usize..run.end() as usize] {
                *pixel = if *pixel == 0 || *pixel == own { own } else { SEVERAL };
            }
        }
    }
    owner.iter().filter(|&&own| own == SEVERAL).count() as u64
}

fn kind(forms: &HashSet<CocoForm>) -> String {
    let words = [
        (CocoForm::Polygons, "outlines"),
        (CocoForm::Counts, "run lengths"),
        (CocoForm::Text, "run lengths as text"),
        (CocoForm::Base64Text, "run lengths as text in Base64"),
        (CocoForm::Nothing, "annotations without area"),
    ];
    let found: Vec<&str> =
        words.iter().filter(|(form, _)| forms.contains(form)).map(|(_, word)| *word).collect();
    if found.is_empty() { "COCO, nothing".to_owned() } else { format!("COCO, {}", found.join(" and ")) }
}

#[cfg(test)]
#[path = "coco_tests.rs"]
mod tests;
