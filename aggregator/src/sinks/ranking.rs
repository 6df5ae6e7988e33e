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
    /// Mean uncertainty over all of its pixels, 0 to 1; that of missing ones is 0, so that few pixels do not stand for all.
    pub uncertainty: f64,
    /// What it looks like, in base64: a byte for the mean share of each class in each field, of whose missing pixels each looks
    /// like the mean of those that are there.
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
        rows,
        columns,
        now: Vec::new(),
        done: Vec::new(),
        values: Vec::new(),
        shares: Vec::new(),
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
    rows: Vec<Range<u32>>,
    columns: Vec<Range<u32>>,
    /// Sums of the windows that the row in hand goes through.
    now: Vec<Sums>,
    done: Vec<RankedWindow>,
    /// Of the row in hand: the measure, `[W]`, and each class's share, `[C, W]`.
    values: Vec<f32>,
    shares: Vec<f32>,
}

/// Sums over the pixels of a window.
#[derive(Clone)]
struct Sums {
    /// Pixels that are there.
    pixels: u64,
    uncertainty: f64,
    /// For each field all of its pixels, and those of them that are missing.
    field_pixels: [u64; FIELDS * FIELDS],
    field_missing: [u64; FIELDS * FIELDS],
    /// For each field the sum of each class's share of the pixels that are there, `[fields, C]`.
    shares: Vec<f64>,
}

impl Windows {
    fn new_sums(&self) -> Vec<Sums> {
        let sums = Sums {
            pixels: 0,
            uncertainty: 0.0,
            field_pixels: [0; FIELDS * FIELDS],
            field_missing: [0; FIELDS * FIELDS],
            shares: vec![0.0; FIELDS * FIELDS * self.classes],
        };
        vec![sums; self.columns.len()]
    }

    /// Ends the windows of a row of windows.
    fn end(&mut self, rows: &Range<u32>) {
        let now = std::mem::take(&mut self.now);
        for (sums, columns) in now.into_iter().zip(&self.columns).filter(|(sums, _)| sums.pixels > 0) {
            let [height, width] = [rows, columns].map(|part| part.end - part.start);
            self.done.push(RankedWindow {
                top: rows.start,
                left: columns.start,
                height,
                width,
                uncertainty: sums.uncertainty / (u64::from(height) * u64::from(width)) as f64,
                scene: BASE64_STANDARD.encode(sums.scene(self.classes)),
            });
        }
    }
}

impl Sums {
    /// What the window looks like, some of whose pixels are there: those that are missing, and fields without a pixel, look like
    /// the mean of these.
    fn scene(&self, classes: usize) -> Vec<u8> {
        let mean_of =
            |class| self.shares.iter().skip(class).step_by(classes).sum::<f64>() / self.pixels as f64;
        let mean: Vec<f64> = (0..classes).map(mean_of).collect();
        let fields = self.shares.chunks_exact(classes).zip(self.field_pixels.iter().zip(self.field_missing));
        let of_field = |(sums, (&pixels, missing)): (&[f64], (&u64, u64))| -> Vec<u8> {
            let share = |(sum, mean): (&f64, &f64)| {
                if pixels == 0 { *mean } else { (sum + missing as f64 * mean) / pixels as f64 }
            };
            sums.iter().zip(&mean).map(share).map(|share| (share * 255.0).round() as u8).collect()
        };
        fields.flat_map(of_field).collect()
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
        let unscored = row.unscored();
        scores.write_shares(&unscored, &mut self.shares)?;
        let field = |at: u32, part: &Range<u32>| {
            (u64::from(at - part.start) * FIELDS as u64 / u64::from(part.end - part.start)) as usize
        };
        for (sums, columns) in self.now.iter_mut().zip(&self.columns) {
            for x in columns.clone() {
                let at = x as usize;
                let field = field(y, &rows) * FIELDS + field(x, columns);
                sums.field_pixels[field] += 1;
                if unscored[at] {
                    sums.field_missing[field] += 1;
                    continue;
                }
                let value = self.values[at];
                sums.pixels += 1;
                sums.uncertainty += f64::from(if self.measure.is_certainty() { 1.0 - value } else { value });
                for (class, sum) in sums.shares[field * classes..][..classes].iter_mut().enumerate() {
                    *sum += f64::from(self.shares[class * width + at]);
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
        let ranked = RankedImage { windows: self.done };
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

    /// A window of 8 × 8 px of two classes, its left half `a` and its right half `b`, of which these pixels are missing.
    fn scene_without(missing: impl Fn(usize, usize) -> bool) -> Vec<u8> {
        let mut sums = Sums {
            pixels: 0,
            uncertainty: 0.0,
            field_pixels: [4; FIELDS * FIELDS],
            field_missing: [0; FIELDS * FIELDS],
            shares: vec![0.0; FIELDS * FIELDS * 2],
        };
        for (y, x) in (0..8).flat_map(|y| (0..8).map(move |x| (y, x))) {
            let field = y / 2 * FIELDS + x / 2;
            if missing(y, x) {
                sums.field_missing[field] += 1;
            } else {
                sums.pixels += 1;
                sums.shares[field * 2 + usize::from(x >= 4)] += 1.0;
            }
        }
        sums.scene(2)
    }

    #[test]
    fn missing_pixels_look_like_those_that_are_there() {
        let whole = scene_without(|_, _| false);
        let half = scene_without(|y, _| y >= 4);
        // The lower half has the mean, half of each class.
        assert_eq!((&half[..16], &half[16..]), (&whole[..16], &[128; 16][..]));
        assert!((similarity(&whole, &half) - 0.75).abs() < 0.002, "as unlike as its lower half is");
        // One pixel that is there: the window looks like it, and not like nothing.
        let one = scene_without(|y, x| (y, x) != (3, 1));
        assert_eq!(one, [255, 0].repeat(16));
        assert!((similarity(&one, &scene_without(|_, x| x >= 4)) - 1.0).abs() < 1e-12);
        assert!((similarity(&one, &scene_without(|_, x| x < 4)) - 0.0).abs() < 1e-12);
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
