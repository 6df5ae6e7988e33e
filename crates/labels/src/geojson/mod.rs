//! Outlines on a map as labels: GeoJSON over images that say where they lie.
//!
//! One file may speak of many images, each of which gets the features that lie on it; or a folder holds one file for each
//! image, paired by path. Corners are brought from the file's reference system (longitude and latitude on WGS 84, or what its
//! `crs` member names) to the image's, and edges stay straight there, as GDAL does it. A pixel belongs to what its centre
//! lies in; rings inside a polygon are holes; what comes later in the file is on top.

mod file;
mod placing;
mod tally;

use crate::error::LabelError;
use crate::folder::files_below;
use crate::pairing::{Affixes, pair};
use crate::rules::LabelRules;
use crate::shapes::{Draft, Shape, ShapeImage};
use crate::source::LabelSource;
use file::Collection;
use marquetry_failure::counted;
use marquetry_geometry::Size;
use marquetry_raster::write::GeoTags;
use placing::Placing;
use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use tally::Tally;

/// The property that names a feature's class where nothing else is said.
const PROPERTY: &str = "class";
/// The name of what has no such property: it is no class until somebody says so.
const UNNAMED: &str = "without a class";

/// An image, and where it lies.
#[derive(Debug, Clone)]
pub struct PlacedImage {
    /// Its path or id, by which its label is known.
    pub path: String,
    /// Its size as it is shown, px.
    pub size: Size,
    /// Where it lies on a map, for pixels as they are shown; nothing where nothing says it.
    pub tags: Option<GeoTags>,
}

/// Images, and how their names go with those of label files.
#[derive(Debug, Clone, Copy)]
pub struct PlacedImages<'a> {
    /// The images.
    pub images: &'a [PlacedImage],
    /// What names of label files have around what both share.
    pub affixes: &'a Affixes,
    /// What names of images have.
    pub image_affixes: &'a Affixes,
    /// Whether an image that no feature lies on is background; it has no label otherwise.
    pub untouched_is_background: bool,
}

/// Labels, and the image that each belongs to.
pub struct MapLabels {
    /// The labels.
    pub source: Box<dyn LabelSource>,
    /// For each of them the place of its image; nothing for a file of no image.
    pub image_of: Vec<Option<usize>>,
    /// Names of label files without the prefix or suffix that they should have: passed over.
    pub passed_over: u64,
}

/// Whether what lies at `path` is GeoJSON, or a folder of it.
///
/// # Errors
/// When it cannot be read.
pub fn is_geojson(path: &Path) -> Result<bool, LabelError> {
    if path.is_dir() {
        return files_in(path).map(|files| !files.is_empty());
    }
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("geojson") => Ok(true),
        Some("json") if path.exists() => has_features(path),
        _ => Ok(false),
    }
}

/// The GeoJSON files below a folder; none where its first JSON is something else.
fn files_in(folder: &Path) -> Result<Vec<String>, LabelError> {
    let files = files_below(folder, &["geojson"])?;
    if !files.is_empty() {
        return Ok(files);
    }
    let files = files_below(folder, &["json"])?;
    match files.first() {
        Some(first) if has_features(&folder.join(first))? => Ok(files),
        _ => Ok(Vec::new()),
    }
}

/// Whether a JSON file begins as a collection of features.
fn has_features(path: &Path) -> Result<bool, LabelError> {
    const LOOK: u64 = 64 << 10;
    let failed = |source| LabelError::Io { path: path.to_owned(), doing: "reading it", source };
    let mut start = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(LOOK).read_to_end(&mut start).map_err(failed)?;
    let start = String::from_utf8_lossy(&start);
    let has = |name: &str| start.contains(&format!("\"{name}\""));
    // Where members are in the order of their names, what it is stands at the end.
    Ok(has("FeatureCollection") || has("features") && has("geometry"))
}

/// Opens the labels at `path`, a file or a folder of files, for `images`.
///
/// # Errors
/// When a file cannot be read, an image that it is of lies nowhere, or none of a file's features lies on its image, or of a
/// file for all images on any of them: all of these.
pub fn open_on_map(
    path: &Path,
    rules: &LabelRules,
    images: PlacedImages<'_>,
) -> Result<MapLabels, LabelError> {
    if !path.is_dir() {
        return map_labels(&file::read(path)?, path, rules, images);
    }
    let mut drawing = Drawing::new(rules);
    let (image_of, passed_over) = drawing.folder(path, images)?;
    Ok(MapLabels { source: drawing.finish(path)?, image_of, passed_over })
}

/// The labels that one file for all `images` holds: `text` is what stands in it, and `path` what it is called.
///
/// # Errors
/// As [`open_on_map`].
pub fn map_labels(
    text: &[u8],
    path: &Path,
    rules: &LabelRules,
    images: PlacedImages<'_>,
) -> Result<MapLabels, LabelError> {
    let mut drawing = Drawing::new(rules);
    let image_of = drawing.file(text, path, images)?;
    Ok(MapLabels { source: drawing.finish(path)?, image_of, passed_over: 0 })
}

/// Labels on their way from files.
struct Drawing<'a> {
    property: &'a str,
    unnamed: bool,
    draft: Draft,
    tally: Tally,
}

impl<'a> Drawing<'a> {
    fn new(rules: &'a LabelRules) -> Self {
        let property = rules.property.as_deref().unwrap_or(PROPERTY);
        Self { property, unnamed: rules.unnamed, draft: Draft::new(), tally: Tally::default() }
    }

    /// The labels of all images so far.
    fn finish(self, path: &Path) -> Result<Box<dyn LabelSource>, LabelError> {
        let Self { mut draft, tally, .. } = self;
        tally.notes().into_iter().for_each(|note| draft.note(note));
        tally.warnings().into_iter().for_each(|warning| draft.warning(warning));
        Ok(Box::new(draft.finish(path.display().to_string(), "GeoJSON")?))
    }

    /// One file for all images.
    fn file(
        &mut self,
        text: &[u8],
        path: &Path,
        of: PlacedImages<'_>,
    ) -> Result<Vec<Option<usize>>, LabelError> {
        let fault = |found: String| LabelError::meaning(&path.display(), found);
        let collection = self.collection(text, path)?;
        let mut placing = Placing::new(&collection);
        let (mut on_any, mut image_of) = (HashSet::new(), Vec::new());
        let mut unplaced = Vec::new();
        for (place, image) in of.images.iter().enumerate() {
            let found = match placing.on(image) {
                Ok(found) => found,
                Err(reason) => {
                    unplaced.push((&image.path, reason));
                    continue;
                }
            };
            on_any.extend(found.iter().map(|(feature, _)| *feature));
            if !found.is_empty() || of.untouched_is_background {
                self.image(&image.path, image.size, &collection, found);
                image_of.push(Some(place));
            }
        }
        if let Some((first, reason)) = unplaced.first() {
            let images = counted(unplaced.len(), "image");
            if unplaced.len() == of.images.len() {
                return Err(fault(format!("no image can be found on the map, such as {first}: {reason}")));
            }
            self.tally.warn(format!("{images} without a label, such as {first}: {reason}"));
        }
        if on_any.is_empty() {
            return Err(fault(nowhere(&collection, of.images)));
        }
        self.tally.features(&collection, &on_any);
        self.tally.rough(placing.roughest());
        Ok(image_of)
    }

    /// A file for each image. Also how many files were passed over.
    fn folder(
        &mut self,
        folder: &Path,
        of: PlacedImages<'_>,
    ) -> Result<(Vec<Option<usize>>, u64), LabelError> {
        let files = files_in(folder)?;
        let own: Vec<&str> = files.iter().map(String::as_str).collect();
        let theirs: Vec<&str> = of.images.iter().map(|image| image.path.as_str()).collect();
        let pairing = pair(&own, of.affixes, &theirs, of.image_affixes);
        if !pairing.problems.is_empty() {
            return Err(LabelError::meaning(&folder.display(), pairing.problems.join("\n  ")));
        }
        let mut pairs = vec![None; files.len()];
        pairing.pairs.iter().for_each(|&(file, image)| pairs[file] = Some(image));
        let mut image_of = Vec::new();
        for (number, (name, image)) in files.iter().zip(pairs).enumerate() {
            if pairing.first_other.contains(&number) {
                continue;
            }
            image_of.push(image);
            match image {
                Some(image) => self.file_of(&folder.join(name), name, &of.images[image])?,
                None => self.draft.image(ShapeImage { path: name.clone(), size: None, shapes: Vec::new() }),
            }
        }
        Ok((image_of, pairing.first_other.len() as u64))
    }

    /// The file of one image. Why it cannot be used is told with that of others.
    fn file_of(&mut self, path: &Path, name: &str, image: &PlacedImage) -> Result<(), LabelError> {
        let collection = match self.collection(&file::read(path)?, path) {
            Ok(collection) => collection,
            Err(LabelError::Meaning { what, found }) => {
                self.draft.fault(format!("{what}: {found}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut placing = Placing::new(&collection);
        match placing.on(image) {
            Err(reason) => self.draft.fault(format!("{name}: its image {}: {reason}", image.path)),
            Ok(found) if found.is_empty() && !collection.features.is_empty() => {
                let found = nowhere(&collection, std::slice::from_ref(image));
                self.draft.fault(format!("{name}: {found}"));
            }
            Ok(found) => {
                let on: HashSet<usize> = found.iter().map(|(feature, _)| *feature).collect();
                self.tally.files_without_features += u64::from(collection.features.is_empty());
                self.tally.features(&collection, &on);
                self.tally.rough(placing.roughest());
                self.image(name, image.size, &collection, found);
            }
        }
        Ok(())
    }

    fn collection(&self, text: &[u8], path: &Path) -> Result<Collection, LabelError> {
        let collection = Collection::parse(text, path)?;
        let is_named = |feature: &file::Feature| feature.class(self.property).is_some();
        if self.unnamed || collection.features.is_empty() || collection.features.iter().any(is_named) {
            return Ok(collection);
        }
        let known: HashSet<&String> = collection.features.iter().flat_map(|f| f.properties.keys()).collect();
        let mut known: Vec<&str> = known.into_iter().map(String::as_str).collect();
        known.sort_unstable();
        known.truncate(12);
        let have = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let found = format!(
            "no feature has a property `{}` with the name of its class; features have {have}: say which with `property`",
            self.property
        );
        Err(LabelError::meaning(&path.display(), found))
    }

    fn image(&mut self, path: &str, size: Size, from: &Collection, found: Vec<(usize, crate::shapes::Area)>) {
        let shape = |(feature, area): (usize, crate::shapes::Area)| {
            let name = from.features[feature].class(self.property).unwrap_or_else(|| UNNAMED.to_owned());
            Shape { number: self.draft.number(&name), area }
        };
        let shapes = found.into_iter().map(shape).collect();
        self.draft.image(ShapeImage { path: path.to_owned(), size: Some(size), shapes });
    }
}

impl file::Feature {
    /// The name of its class: a text, or a number as it is written.
    fn class(&self, property: &str) -> Option<String> {
        match self.properties.get(property)? {
            serde_json::Value::String(name) => Some(name.clone()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

/// Why a file makes no label: what there is to tell where none of its features lies on an image.
fn nowhere(collection: &Collection, images: &[PlacedImage]) -> String {
    let with_area = collection.features.iter().filter(|feature| !feature.geometry.polygons.is_empty());
    let (with_area, all) = (with_area.count(), counted(collection.features.len(), "feature"));
    let images_in_words =
        if let [image] = images { format!("its image {}", image.path) } else { "any image".to_owned() };
    if with_area == 0 {
        return format!(
            "none of its {all} has an area, so there is no label; leave the file out, or give {images_in_words} one without \
             features where nothing is there"
        );
    }
    let swapped = collection.swapped();
    let mut placing = Placing::new(&swapped);
    let fits = images.iter().any(|image| placing.on(image).is_ok_and(|found| !found.is_empty()));
    let advice = if fits {
        "with the axes swapped they would: positions are longitude first, then latitude (x before y); swap them".to_owned()
    } else {
        format!(
            "its positions are taken for EPSG:{}; is that right, and is it of these images?",
            collection.system
        )
    };
    format!("none of its {all} lies on {images_in_words}; {advice}")
}

#[cfg(test)]
mod tests;
