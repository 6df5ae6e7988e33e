//! Panoptic labels of COCO's form: pictures whose colours number segments, and a file that says of which category each is.

use crate::colours::number;
use crate::error::LabelError;
use crate::file::LabelFile;
use crate::folder::with_mask;
use crate::raw::{LabelFacts, RawLabel};
use crate::rules::{AlphaRule, NodataRule};
use crate::source::{LabelEntry, LabelSource};
use marquetry_geometry::{Reading, Size};
use marquetry_raster::read::{Limits, probe};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct File {
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Annotation {
    file_name: String,
    segments_info: Vec<Segment>,
}

#[derive(Deserialize)]
struct Segment {
    id: u32,
    category_id: u64,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

/// A segment's number is red + 256 × green + 65,536 × blue; 0 is no segment, and left out. Each category has the next number,
/// from 1, in the order of the file.
#[derive(Debug)]
pub(crate) struct PanopticSource {
    path: String,
    folder: PathBuf,
    entries: Vec<LabelEntry>,
    /// For each picture, the number of each colour `0xRRGGBB`.
    numbers: Vec<HashMap<u32, u32>>,
    names: Vec<(u32, String)>,
    limits: Limits,
}

impl PanopticSource {
    /// Opens a file. Its pictures lie in the folder beside it that is called as it is, or in its own.
    ///
    /// # Errors
    /// When it cannot be read or a segment has no category.
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self, LabelError> {
        let name = path.display().to_string();
        let text = std::fs::read(path).map_err(|source| LabelError::Io {
            path: path.to_owned(),
            doing: "reading the segments",
            source,
        })?;
        let file: File = serde_json::from_slice(&text).map_err(|error| {
            LabelError::meaning(&name, format!("it is no panoptic file of COCO: {error}"))
        })?;
        let places: BTreeMap<u64, u32> =
            file.categories.iter().map(|category| category.id).zip(1..).collect();
        let (mut entries, mut numbers) = (Vec::new(), Vec::new());
        for annotation in file.annotations {
            let mut of_colour = HashMap::new();
            for segment in annotation.segments_info {
                let Some(&place) = places.get(&segment.category_id) else {
                    let found = format!(
                        "segment {} of {} is of category {}, which the file does not name",
                        segment.id, annotation.file_name, segment.category_id
                    );
                    return Err(LabelError::meaning(&name, found));
                };
                let [red, green, blue, _] = segment.id.to_le_bytes();
                of_colour.insert(number([red, green, blue]), place);
            }
            entries.push(LabelEntry { path: annotation.file_name.replace('\\', "/") });
            numbers.push(of_colour);
        }
        let own = path.with_extension("");
        let folder = if own.is_dir() { own } else { path.parent().unwrap_or(Path::new("")).to_owned() };
        let names = (1..).zip(file.categories.into_iter().map(|category| category.name)).collect();
        Ok(Self { path: name, folder, entries, numbers, names, limits: limits.clone() })
    }

    fn picture(&self, entry: usize) -> PathBuf {
        self.folder.join(&self.entries[entry].path)
    }
}

impl LabelSource for PanopticSource {
    fn name(&self) -> String {
        self.path.clone()
    }

    fn entries(&self) -> &[LabelEntry] {
        &self.entries
    }

    fn size(&self, entry: usize) -> Result<Option<Size>, LabelError> {
        Ok(Some(probe(&self.picture(entry), &self.limits, &Reading::default())?.size))
    }

    fn files(&self, entry: usize) -> Option<Vec<PathBuf>> {
        let mut files = with_mask(self.picture(entry));
        files.push(PathBuf::from(&self.path));
        Some(files)
    }

    fn read(&self, entry: usize, image: Option<Size>, out: &mut RawLabel) -> Result<(), LabelError> {
        let path = self.picture(entry);
        let (alpha, nodata) = (AlphaRule::Drop, NodataRule::Refuse);
        LabelFile { path: &path, as_colours: true, alpha, nodata, image }.read(&self.limits, out)?;
        let numbers = &self.numbers[entry];
        let width = out.size.width.max(1) as usize;
        for (place, (value, missing)) in out.values.iter_mut().zip(&mut out.missing).enumerate() {
            if *value == 0 {
                *missing = true;
                continue;
            }
            *value = *numbers.get(value).ok_or_else(|| {
                let [_, red, green, blue] = value.to_be_bytes();
                let found = format!(
                    "row {}, column {} is of segment {}, of which {} says nothing",
                    place / width,
                    place % width,
                    u32::from_le_bytes([red, green, blue, 0]),
                    self.path
                );
                LabelError::meaning(&path.display(), found)
            })?;
        }
        out.facts = LabelFacts { kind: "panoptic PNG".to_owned(), ..LabelFacts::default() };
        Ok(())
    }

    fn value_names(&self) -> Option<&[(u32, String)]> {
        Some(&self.names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn open(pixels: &[u8]) -> (tempfile::TempDir, Result<PanopticSource, LabelError>) {
        let folder = tempfile::TempDir::new().unwrap();
        let pictures = folder.path().join("panoptic_val");
        std::fs::create_dir(&pictures).unwrap();
        let file = std::fs::File::create(pictures.join("1.png")).unwrap();
        let mut encoder = png::Encoder::new(file, (pixels.len() / 3) as u32, 1);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header().unwrap().write_image_data(pixels).unwrap();
        let document = json!({
            "categories": [{"id": 7, "name": "road"}, {"id": 300, "name": "sky"}],
            "annotations": [{"file_name": "1.png", "segments_info": [
                {"id": 5, "category_id": 300}, {"id": 66_049, "category_id": 7}, {"id": 256, "category_id": 7},
            ]}],
        });
        let path = folder.path().join("panoptic_val.json");
        std::fs::write(&path, document.to_string()).unwrap();
        let limits =
            Limits { pixels_max: 1 << 20, memory_bytes: 1 << 20, scratch_dir: folder.path().to_owned() };
        let source = PanopticSource::open(&path, &limits);
        (folder, source)
    }

    #[test]
    fn colours_number_segments_from_red_on() {
        // 66,049 is 1 + 2 × 256 + 1 × 65,536.
        let (_folder, source) = open(&[5, 0, 0, 1, 2, 1, 0, 1, 0, 0, 0, 0]);
        let (source, mut label) = (source.unwrap(), RawLabel::default());
        source.read(0, None, &mut label).unwrap();
        assert_eq!(
            (&label.values[..3], &label.missing[..]),
            (&[2, 1, 1][..], &[false, false, false, true][..])
        );
        assert_eq!(source.value_names().unwrap()[1], (2, "sky".to_owned()));
    }

    #[test]
    fn a_segment_that_nobody_names_is_refused() {
        let (_folder, source) = open(&[5, 0, 0, 6, 0, 0]);
        let error = source.unwrap().read(0, None, &mut RawLabel::default()).unwrap_err().to_string();
        assert!(error.contains("row 0, column 1 is of segment 6"), "{error}");
    }
}
