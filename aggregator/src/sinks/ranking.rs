//! How unsure the ensemble is of an image, or of its windows, and what these look like, for a table of what to label next.

use super::SinkContext;
use super::measures::measure_row;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use marquetry_spec::{Measure, Ranking};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Fields that a window is cut into along each axis, to tell what it looks like.
const FIELDS: usize = 4;

/// What an image adds to a table of what to label next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankedImage {
    /// Where the image lies.
    pub path: String,
    /// Its windows, or itself; without those that have no pixel.
    pub windows: Vec<RankedWindow>,
}

/// A window, or an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankedWindow {
    /// First row, px.
    pub top: u32,
    /// First column, px.
    pub left: u32,
    /// Rows, px.
    pub height: u32,
    /// Columns, px.
    pub width: u32,
    /// Mean uncertainty over its pixels, 0 to 1.
    pub uncertainty: f64,
    /// What it looks like, in base64: a byte for the mean probability of each class in each field.
    scene: String,
}

impl RankedWindow {
    /// What it looks like; two are compared with [`similarity`].
    pub fn scene(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(&self.scene).unwrap_or_default()
    }
}

/// How alike two scenes are, 0 to 1: 1 less the mean total variation of the probabilities of classes, over fields.
pub fn similarity(a: &[u8], b: &[u8]) -> f64 {
    let fields = (FIELDS * FIELDS) as f64;
    let apart: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    (1.0 - apart as f64 / (2.0 * 255.0 * fields)).max(0.0)
}

/// The rows of output `number`.
pub(crate) fn open(context: &SinkContext<'_>, number: usize, ranking: &Ranking) -> Box<dyn RowSink> {
    let (image, classes) = (context.image, context.spec.classes.len());
    let side = ranking.side_px().unwrap_or(u32::MAX);
    let [rows, columns] = [image.size.height, image.size.width].map(|length| equal_parts(length, side));
    Box::new(Windows {
        number,
        measure: ranking.measure,
        classes,
        path: image.uri.clone(),
        rows,
        columns,
        now: Vec::new(),
        done: Vec::new(),
        values: Vec::new(),
    })
}

/// Cuts `length` px into equal parts of as nearly `side` px as can be, at least one.
fn equal_parts(length: u32, side: u32) -> Vec<Range<u32>> {
    let parts = (u64::from(length) * 2 / u64::from(side)).div_ceil(2).max(1);
    let at = |n: u64| (u64::from(length) * n / parts) as u32;
    (0..parts).map(|n| at(n)..at(n + 1)).filter(|part| !part.is_empty()).collect()
}

struct Windows {
    number: usize,
    measure: Measure,
    classes: usize,
    path: String,
    rows: Vec<Range<u32>>,
    columns: Vec<Range<u32>>,
    /// Sums of the windows that the row in hand goes through.
    now: Vec<Sums>,
    done: Vec<RankedWindow>,
    values: Vec<f32>,
}

/// Sums over the pixels of a window.
#[derive(Clone)]
struct Sums {
    pixels: u64,
    uncertainty: f64,
    /// For each field its pixels, and the sum of each class's probability, `[fields, C]`.
    field_pixels: [u64; FIELDS * FIELDS],
    probabilities: Vec<f64>,
}

impl Windows {
    fn new_sums(&self) -> Vec<Sums> {
        let sums = Sums {
            pixels: 0,
            uncertainty: 0.0,
            field_pixels: [0; FIELDS * FIELDS],
            probabilities: vec![0.0; FIELDS * FIELDS * self.classes],
        };
        vec![sums; self.columns.len()]
    }

    /// Ends the windows of a row of windows.
    fn end(&mut self, rows: &Range<u32>) {
        let now = std::mem::take(&mut self.now);
        for (sums, columns) in now.into_iter().zip(&self.columns).filter(|(sums, _)| sums.pixels > 0) {
            self.done.push(RankedWindow {
                top: rows.start,
                left: columns.start,
                height: rows.end - rows.start,
                width: columns.end - columns.start,
                uncertainty: sums.uncertainty / sums.pixels as f64,
                scene: BASE64_STANDARD.encode(sums.scene(self.classes)),
            });
        }
    }
}

impl Sums {
    fn scene(&self, classes: usize) -> Vec<u8> {
        let fields = self.probabilities.chunks_exact(classes).zip(self.field_pixels);
        let mean = |(sums, pixels): (&[f64], u64)| -> Vec<u8> {
            sums.iter().map(|sum| (sum / pixels.max(1) as f64 * 255.0).round() as u8).collect()
        };
        fields.flat_map(mean).collect()
    }
}

impl RowSink for Windows {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let Some(scores) = row.scores() else { return Ok(()) };
        let (y, width, classes) = (row.y(), row.width(), self.classes);
        let Some(rows) = self.rows.iter().find(|rows| rows.contains(&y)).cloned() else { return Ok(()) };
        if self.now.is_empty() {
            self.now = self.new_sums();
        }
        self.values.resize(width, 0.0);
        measure_row(self.measure, row, scores, &mut self.values)?;
        let probabilities = scores.probabilities()?;
        let field = |at: u32, part: &Range<u32>| {
            (u64::from(at - part.start) * FIELDS as u64 / u64::from(part.end - part.start)) as usize
        };
        for (sums, columns) in self.now.iter_mut().zip(&self.columns) {
            for x in columns.clone().filter(|x| !row.missing()[*x as usize]) {
                let (value, at) = (self.values[x as usize], x as usize);
                sums.pixels += 1;
                sums.uncertainty += f64::from(if self.measure.is_certainty() { 1.0 - value } else { value });
                let field = field(y, &rows) * FIELDS + field(x, columns);
                sums.field_pixels[field] += 1;
                for (class, sum) in sums.probabilities[field * classes..][..classes].iter_mut().enumerate() {
                    *sum += f64::from(probabilities[class * width + at]);
                }
            }
        }
        if y + 1 == rows.end {
            self.end(&rows);
        }
        Ok(())
    }

    fn needs_whole_rows(&self) -> bool {
        self.measure == Measure::VoteShare
    }

    fn needs_members(&self) -> bool {
        self.measure.needs_members()
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        let ranked = RankedImage { path: self.path, windows: self.done };
        let text = serde_json::to_string(&ranked).expect("texts and numbers become JSON");
        image.result.table_rows.insert(self.number, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_equal_and_about_as_long_as_asked() {
        let whole = equal_parts(100, u32::MAX);
        assert_eq!((whole.len(), whole[0].clone()), (1, 0..100));
        assert_eq!(equal_parts(100, 256), whole);
        assert_eq!(equal_parts(100, 30), [0..33, 33..66, 66..100]);
        assert_eq!(equal_parts(512, 256), [0..256, 256..512]);
        assert_eq!(equal_parts(600, 256), [0..300, 300..600]);
        assert_eq!(equal_parts(640, 256).len(), 3, "half is rounded up");
    }

    #[test]
    fn scenes_are_as_alike_as_their_probabilities() {
        let all = |class: usize| -> Vec<u8> {
            (0..FIELDS * FIELDS * 2).map(|n| if n % 2 == class { 255 } else { 0 }).collect()
        };
        assert_eq!(similarity(&all(0), &all(0)), 1.0);
        assert_eq!(similarity(&all(0), &all(1)), 0.0);
        let mut half = all(0);
        half[..FIELDS * FIELDS].copy_from_slice(&all(1)[..FIELDS * FIELDS]);
        assert!((similarity(&all(0), &half) - 0.5).abs() < 1e-12);
    }
}
