//! A source of labels whose images are known.

use crate::error::LabelError;
use crate::folder::FolderSource;
use crate::pairing::{Affixes, key, pair};
use crate::raw::{LabelFacts, RawLabel};
use crate::source::{LabelEntry, LabelSource};
use marquetry_geometry::Size;
use std::path::PathBuf;
use std::sync::Arc;

/// Labels, and the images that they are of: these have sizes, which a table of run lengths may not say. Images that the
/// source does not list are labels too where that is asked for, and hold nothing but background.
pub struct WithImages {
    source: Box<dyn LabelSource>,
    images: Option<Arc<FolderSource>>,
    entries: Vec<LabelEntry>,
    /// For each entry its place among the images.
    image_of: Vec<Option<usize>>,
}

impl WithImages {
    /// The labels of `source`, whose names have `affixes`, and, of those that are not listed there, of `unlisted`: paths
    /// without affixes.
    ///
    /// # Errors
    /// When what a source does not list cannot be called background there.
    pub fn new(
        source: Box<dyn LabelSource>,
        affixes: &Affixes,
        images: Option<Arc<FolderSource>>,
        unlisted: &[String],
    ) -> Result<Self, LabelError> {
        let mut entries = source.entries().to_vec();
        if !unlisted.is_empty() {
            if source.uncovered().is_none() {
                let found =
                    "what it does not list cannot be called background: it is no table of run lengths";
                return Err(LabelError::meaning(&source.name(), found));
            }
            let own: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
            let wanted: Vec<&str> = unlisted.iter().map(String::as_str).collect();
            let alone = pair(&own, affixes, &wanted, &Affixes::default()).second_alone;
            entries.extend(
                alone.into_iter().map(|at| LabelEntry { path: with_affixes(&unlisted[at], affixes) }),
            );
        }
        let mut image_of = vec![None; entries.len()];
        if let Some(images) = &images {
            let own: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
            let theirs: Vec<&str> = images.entries().iter().map(|entry| entry.path.as_str()).collect();
            let pairs = pair(&own, affixes, &theirs, &Affixes::default()).pairs;
            pairs.into_iter().for_each(|(entry, image)| image_of[entry] = Some(image));
        }
        Ok(Self { source, images, entries, image_of })
    }

    fn is_listed(&self, entry: usize) -> bool {
        entry < self.source.entries().len()
    }

    /// The size of the image that a label is of.
    fn image_size(&self, entry: usize) -> Result<Option<Size>, LabelError> {
        match (&self.images, self.image_of[entry]) {
            (Some(images), Some(image)) => images.size(image),
            _ => Ok(None),
        }
    }

    /// What a label's size is, where the source does not say it.
    fn known(&self, entry: usize, image: Option<Size>) -> Result<Option<Size>, LabelError> {
        if image.is_some() || self.is_listed(entry) && self.source.size(entry)?.is_some() {
            return Ok(image);
        }
        self.image_size(entry)
    }
}

/// A path with affixes around its name.
fn with_affixes(path: &str, affixes: &Affixes) -> String {
    let key = key(path, &Affixes::default()).unwrap_or_default();
    let (folder, name) = key.rsplit_once('/').map_or(("", key.as_str()), |(folder, name)| (folder, name));
    let slash = if folder.is_empty() { "" } else { "/" };
    format!("{folder}{slash}{}{name}{}", affixes.prefix, affixes.suffix)
}

impl LabelSource for WithImages {
    fn name(&self) -> String {
        self.source.name()
    }

    fn entries(&self) -> &[LabelEntry] {
        &self.entries
    }

    fn size(&self, entry: usize) -> Result<Option<Size>, LabelError> {
        let own = if self.is_listed(entry) { self.source.size(entry)? } else { None };
        if own.is_some() { Ok(own) } else { self.image_size(entry) }
    }

    fn read(&self, entry: usize, image: Option<Size>, out: &mut RawLabel) -> Result<(), LabelError> {
        let image = self.known(entry, image)?;
        if self.is_listed(entry) {
            return self.source.read(entry, image, out);
        }
        let Some(size) = image else {
            let found =
                format!("the size of {} is not known; say where the images are", self.entries[entry].path);
            return Err(LabelError::meaning(&self.name(), found));
        };
        let facts = LabelFacts { kind: "not listed, background".to_owned(), ..LabelFacts::default() };
        let values = vec![self.source.uncovered().unwrap_or_default(); size.area() as usize];
        *out = RawLabel { size, missing: vec![false; values.len()], values, facts, ..RawLabel::default() };
        Ok(())
    }

    fn files(&self, entry: usize) -> Option<Vec<PathBuf>> {
        if self.is_listed(entry) { self.source.files(entry) } else { None }
    }

    fn read_turned(&self, entry: usize, image: Option<Size>, out: &mut RawLabel) -> Result<bool, LabelError> {
        let image = self.known(entry, image)?;
        if self.is_listed(entry) { self.source.read_turned(entry, image, out) } else { Ok(false) }
    }

    fn value_names(&self) -> Option<&[(u32, String)]> {
        self.source.value_names()
    }

    fn uncovered(&self) -> Option<u32> {
        self.source.uncovered()
    }

    fn on_top(&self) -> &'static str {
        self.source.on_top()
    }

    fn warnings(&self) -> Vec<String> {
        self.source.warnings()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.source.notes();
        let more = self.entries.len() - self.source.entries().len();
        if more > 0 {
            let are = if more == 1 { "image is" } else { "images are" };
            notes.push(format!("{more} {are} not listed in it: background, as was said"));
        }
        notes
    }
}
