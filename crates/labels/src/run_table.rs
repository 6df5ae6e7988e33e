//! Tables of run lengths, as competitions ship them.

use crate::classes::ClassList;
use crate::error::LabelError;
use crate::raw::{LabelFacts, RawLabel};
use crate::rules::{LabelRules, RunOrder};
use crate::run_columns::{Columns, Named};
use crate::source::{LabelEntry, LabelSource};
use marquetry_geometry::Size;
use marquetry_raster::read::Limits;
use marquetry_raster::rle::decode_rle;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A CSV of run lengths: rows of an image and a class are a union, an empty text is an image without it, and an image
/// without a row is not labelled. Where classes overlap, the mask of fewer pixels is on top.
///
/// Columns are known by their names (`ImageId`, `EncodedPixels`, `class` and the like). The class has a column of its own,
/// or ends the key after an underscore (`im_7.png_o_ring`): the longest class name that does. Without either, a table is
/// of the one class that is not background.
#[derive(Debug)]
pub struct RunTable {
    path: String,
    rules: LabelRules,
    entries: Vec<LabelEntry>,
    images: Vec<Image>,
    /// What the numbers are called; none where the table has numbers itself.
    names: Option<Vec<(u32, String)>>,
    /// Images whose only text is `1 1`.
    one_pixel: usize,
}

#[derive(Debug, Default)]
struct Image {
    size: Option<Size>,
    /// Line of the table, number of the class, and the text.
    rows: Vec<(u64, u32, String)>,
}

impl RunTable {
    /// Opens a table of at most `limits.memory_bytes` bytes.
    ///
    /// # Errors
    /// When it cannot be read, its columns are not known, or the class of a row is not.
    pub fn open(
        path: &Path,
        rules: &LabelRules,
        classes: &ClassList,
        limits: &Limits,
    ) -> Result<Self, LabelError> {
        let failed = |source| LabelError::Io { path: path.to_owned(), doing: "reading the table", source };
        let bytes = std::fs::metadata(path).map_err(failed)?.len();
        if bytes > limits.memory_bytes {
            let found =
                format!("it has {bytes} bytes, {} are allowed; raise the memory limit", limits.memory_bytes);
            return Err(LabelError::meaning(&path.display(), found));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        Self::parse(&text, path, rules, classes).map_err(|found| LabelError::meaning(&path.display(), found))
    }

    fn parse(text: &str, path: &Path, rules: &LabelRules, classes: &ClassList) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| error.to_string())?.clone();
        let records: Vec<csv::StringRecord> =
            reader.records().collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let columns = Columns::find(&header, &records, rules, classes)?;
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let (mut entries, mut images): (Vec<LabelEntry>, Vec<Image>) = (Vec::new(), Vec::new());
        let mut numbers = Named::new(classes);
        let mut lines = Lines { text, at: 0, line: 1 };
        for record in &records {
            let line = lines.of(record);
            let row = columns.row(record).map_err(|found| format!("line {line}: {found}"))?;
            let number = numbers.number(row.class).map_err(|found| format!("line {line}: {found}"))?;
            let at = *places.entry(row.image.to_owned()).or_insert_with(|| {
                entries.push(LabelEntry { path: row.image.replace('\\', "/") });
                images.push(Image::default());
                images.len() - 1
            });
            if row.size.is_some() && images[at].size.is_some() && row.size != images[at].size {
                return Err(format!("line {line}: {} has another size in a line before", row.image));
            }
            images[at].size = images[at].size.or(row.size);
            if !means_nothing(row.text) {
                images[at].rows.push((line, number, row.text.to_owned()));
            }
        }
        if entries.is_empty() {
            return Err("a table without a row".to_owned());
        }
        let lone = |image: &&Image| matches!(&image.rows[..], [(_, _, text)] if text == "1 1");
        let one_pixel = images.iter().filter(lone).count();
        let names = numbers.names();
        Ok(Self { path: path.display().to_string(), rules: rules.clone(), entries, images, names, one_pixel })
    }

    /// The size of a label, its pixels in the order said and in the other one, and how many two classes share.
    fn painted(&self, entry: usize, image: Option<Size>) -> Result<(Size, [Vec<u32>; 2], u64), LabelError> {
        let Some(size) = self.images[entry].size.or(image) else {
            let found =
                format!("the size of {} is not known; say where the images are", self.entries[entry].path);
            return Err(LabelError::meaning(&self.path, found));
        };
        let painted = self.paint(entry, size).map_err(|found| LabelError::meaning(&self.path, found))?;
        let (said, other, contested) = painted;
        Ok((size, [said, other], contested))
    }

    /// The pixels of each class, in the order said and in the other one, to be told apart by their seams.
    fn paint(&self, entry: usize, size: Size) -> Result<(Vec<u32>, Vec<u32>, u64), String> {
        let image = &self.images[entry];
        let mut masks: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
        for (line, number, text) in &image.rows {
            // Pixels are counted by the style alone, whichever way they lie.
            let runs = decode_rle(text, size, self.rules.run_start)
                .map_err(|error| format!("line {line}, {}: {error}", self.entries[entry].path))?;
            let runs = runs.runs().iter().map(|run| (run.start, run.length));
            masks.entry(*number).or_default().extend(runs);
        }
        let mut masks: Vec<_> = masks.into_iter().collect();
        let area = |runs: &[(u64, u64)]| runs.iter().map(|(_, length)| length).sum::<u64>();
        masks.sort_by_key(|(_, runs)| Reverse(area(runs)));
        let (mut said, mut other) = (vec![0; size.area() as usize], vec![0; size.area() as usize]);
        let mut contested = 0;
        let columns_first = self.rules.run_order == RunOrder::Columns;
        for (number, runs) in &masks {
            for pixel in runs.iter().flat_map(|&(start, length)| start..start + length) {
                let (by_rows, height) = (pixel as usize, u64::from(size.height));
                let by_columns = (pixel % height * u64::from(size.width) + pixel / height) as usize;
                let (own, turned) = if columns_first { (by_columns, by_rows) } else { (by_rows, by_columns) };
                contested += u64::from(said[own] != 0 && said[own] != *number);
                said[own] = *number;
                other[turned] = *number;
            }
        }
        Ok((said, other, contested))
    }
}

impl LabelSource for RunTable {
    fn name(&self) -> String {
        self.path.clone()
    }

    fn entries(&self) -> &[LabelEntry] {
        &self.entries
    }

    fn size(&self, entry: usize) -> Result<Option<Size>, LabelError> {
        Ok(self.images[entry].size)
    }

    fn files(&self, _entry: usize) -> Option<Vec<PathBuf>> {
        Some(vec![PathBuf::from(&self.path)])
    }

    fn read(&self, entry: usize, image: Option<Size>, out: &mut RawLabel) -> Result<(), LabelError> {
        let (size, [said, other], contested) = self.painted(entry, image)?;
        let width = size.width as usize;
        // A square mask is as good a mask when it is turned.
        let seams = if size.is_square() { [0; 2] } else { [seams(&said, width), seams(&other, width)] };
        let facts = LabelFacts { kind: "run lengths".to_owned(), contested, seams, ..LabelFacts::default() };
        let missing = vec![false; said.len()];
        *out = RawLabel { size, values: said, missing, facts, ..RawLabel::default() };
        Ok(())
    }

    fn read_turned(&self, entry: usize, image: Option<Size>, out: &mut RawLabel) -> Result<bool, LabelError> {
        let (size, [_, other], _) = self.painted(entry, image)?;
        let missing = vec![false; other.len()];
        *out = RawLabel { size, values: other, missing, ..RawLabel::default() };
        Ok(true)
    }

    fn value_names(&self) -> Option<&[(u32, String)]> {
        self.names.as_deref()
    }

    fn uncovered(&self) -> Option<u32> {
        Some(0)
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.one_pixel > 1 {
            notes.push(format!(
                "{} images have `1 1` and nothing else: one pixel at the top left, or a word for nothing?",
                self.one_pixel
            ));
        }
        notes
    }
}

/// Whether a text is a word for a mask without a pixel.
fn means_nothing(text: &str) -> bool {
    ["", "-", "-1", "nan", "null", "none", "1 0"].contains(&text.trim().to_lowercase().as_str())
}

/// Counts lines as editors do: the reader's own count is one short where lines end with a carriage return.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of a record, from 1; records come in their order.
    fn of(&mut self, record: &csv::StringRecord) -> u64 {
        let mut start = record.position().map_or(self.at, |position| position.byte() as usize);
        let bytes = self.text.as_bytes();
        while bytes.get(start).is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            start += 1;
        }
        self.line += self.text.get(self.at..start).unwrap_or_default().matches('\n').count() as u64;
        self.at = start.max(self.at);
        self.line
    }
}

/// How often neighbours differ.
fn seams(labels: &[u32], width: usize) -> u64 {
    let beside = labels.chunks_exact(width.max(1)).flat_map(|row| row.windows(2)).filter(|w| w[0] != w[1]);
    let below = labels.iter().zip(&labels[width.min(labels.len())..]).filter(|(a, b)| a != b);
    (beside.count() + below.count()) as u64
}

#[cfg(test)]
#[path = "run_table_tests.rs"]
mod tests;
