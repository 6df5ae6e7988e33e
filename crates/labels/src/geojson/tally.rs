//! What there is to tell of the features of all files.

use super::file::Collection;
use marquetry_failure::counted;
use std::collections::{BTreeMap, HashSet};

/// So many broken features are named.
const NAMED: usize = 5;

/// Features by what became of them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Files without a feature: all of their image is background.
    pub(super) files_without_features: u64,
    on_images: usize,
    outside: usize,
    /// By `null`, `empty`, or a kind without an area.
    without_area: BTreeMap<String, u64>,
    broken: usize,
    named: Vec<String>,
    rough: Option<(u16, u16)>,
    warnings: Vec<String>,
}

impl Tally {
    /// Counts the features of a file of which those in `on` lie on an image.
    pub(super) fn features(&mut self, collection: &Collection, on: &HashSet<usize>) {
        for (number, feature) in collection.features.iter().enumerate() {
            let geometry = &feature.geometry;
            if !geometry.broken.is_empty() {
                self.broken += 1;
                if self.named.len() < NAMED {
                    self.named.push(format!("feature {number}: {}", geometry.broken.join(", ")));
                }
            }
            match &geometry.without_area {
                _ if on.contains(&number) => self.on_images += 1,
                Some(kind) if geometry.polygons.is_empty() => {
                    *self.without_area.entry(kind.clone()).or_default() += 1;
                }
                _ if geometry.polygons.is_empty() => {}
                _ => self.outside += 1,
            }
        }
    }

    /// Notes how exact places are in the system of an image.
    pub(super) fn rough(&mut self, found: Option<(u16, u16)>) {
        self.rough = self.rough.max(found);
    }

    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = vec![format!("{} on images", counted(self.on_images, "feature"))];
        if self.outside > 0 {
            notes.push(format!("{} on no image, left out", counted(self.outside, "feature")));
        }
        if !self.without_area.is_empty() {
            let kinds: Vec<String> =
                self.without_area.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
            notes.push(format!("features without an area, left out: {}", kinds.join(", ")));
        }
        if self.files_without_features > 0 {
            let files = counted(self.files_without_features as usize, "file");
            notes.push(format!("{files} without features: all background"));
        }
        notes
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        if self.broken > 0 {
            let more = self.broken - self.named.len();
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            warnings.push(format!(
                "{} with a broken geometry, of which that is left out: {}{more}",
                counted(self.broken, "feature"),
                self.named.join("; ")
            ));
        }
        if let Some((metres, code)) = self.rough {
            warnings.push(format!(
                "outlines lie on images to about {metres} m: how the datum of EPSG:{code} lies to others is not known better here"
            ));
        }
        warnings
    }
}
