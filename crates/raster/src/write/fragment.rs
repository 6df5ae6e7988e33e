//! What one image adds to a submission, and the sinks that make it.

use super::coco::{CocoAnnotation, CocoId, CocoSegmentation, bounding_box, write_line};
use super::column_runs::ColumnRuns;
use super::error::{Result, WriteError};
use super::legend::{Legend, Target};
use super::sink::{LabelSink, RowGuard, ScoredLabelSink};
use crate::rle::{RleStyle, encode_coco, encode_rle};
use marquetry_geometry::Size;
use serde::{Deserialize, Serialize};
use std::io::Write;

/// What one image adds to a submission in CSV: a text for the image, or one for each class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fragment {
    /// Version of this form; 1.
    pub version: u32,
    /// The image's id.
    pub image_id: String,
    /// The texts.
    pub texts: Vec<FragmentText>,
}

/// One text of a [`Fragment`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FragmentText {
    /// The class it speaks of; none where it speaks of the whole image.
    pub class: Option<u16>,
    /// The cell of the submission.
    pub text: String,
}

impl Fragment {
    const VERSION: u32 = 1;

    /// What stands for an image of which there is nothing else to say.
    pub fn new(image_id: &str, texts: Vec<FragmentText>) -> Self {
        Self { version: Self::VERSION, image_id: image_id.to_owned(), texts }
    }

    /// Reads the JSON that a sink has written.
    ///
    /// # Errors
    /// When it is damaged, or of another version.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "a submission fragment";
        let fragment: Self =
            serde_json::from_slice(bytes).map_err(|error| WriteError::unparsed(WHAT, error))?;
        if fragment.version != Self::VERSION {
            let found = format!("version {}, this program knows {}", fragment.version, Self::VERSION);
            return Err(WriteError::malformed(WHAT, found));
        }
        Ok(fragment)
    }

    fn write(self, mut out: impl Write) -> Result<()> {
        let json = serde_json::to_vec(&self).expect("numbers and texts are always JSON");
        out.write_all(&json).and_then(|()| out.flush()).map_err(WriteError::io("a submission fragment"))
    }
}

/// How masks become texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RleOptions {
    /// How starts are counted.
    pub style: RleStyle,
    /// What stands for an empty mask: nothing (`HuBMAP`), `-` (Contrails), `-1` (SIIM).
    pub empty: String,
}

/// Writes the run-length texts of chosen classes as a [`Fragment`].
///
/// Memory: one open run for each column and plane, 16 bytes for each run.
#[derive(Debug)]
pub struct RleSink<W> {
    columns: ColumnRuns,
    image_id: String,
    options: RleOptions,
    out: W,
}

impl<W: Write + Send> RleSink<W> {
    /// For an image of `size` px; `classes` are those that the submission asks for.
    ///
    /// # Errors
    /// When a class is unknown or given twice.
    pub fn new(
        out: W,
        image_id: &str,
        size: Size,
        legend: &Legend,
        classes: &[u16],
        options: RleOptions,
    ) -> Result<Self> {
        let columns = ColumnRuns::new(size, legend, classes)?;
        Ok(Self { columns, image_id: image_id.to_owned(), options, out })
    }
}

impl<W: Write + Send> LabelSink for RleSink<W> {
    fn row(&mut self, values: &[u16]) -> Result<()> {
        self.columns.row(values)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let RleOptions { style, empty } = self.options;
        let text = |mask: &_| Some(encode_rle(mask, style)).filter(|text| !text.is_empty());
        let masks = self.columns.finish()?;
        let texts = masks.iter().map(|(class, mask)| FragmentText {
            class: Some(*class),
            text: text(mask).unwrap_or_else(|| empty.clone()),
        });
        let texts = texts.collect();
        Fragment { version: Fragment::VERSION, image_id: self.image_id, texts }.write(self.out)
    }
}

/// Writes chosen classes as COCO annotations with compressed masks, one JSON object a line; empty classes are left out.
///
/// [`super::join_coco`] makes one list of the lines of all images.
#[derive(Debug)]
pub struct CocoRleSink<W> {
    columns: ColumnRuns,
    image_id: CocoId,
    targets: Vec<Target>,
    legend: Legend,
    width: usize,
    /// For each target, the sum over its pixels of its class's probability; nothing where none are given.
    sums: Option<Vec<f64>>,
    out: W,
}

impl<W: Write + Send> CocoRleSink<W> {
    /// For an image of `size` px. The category's number is the class's value.
    ///
    /// # Errors
    /// When a class is unknown or given twice.
    pub fn new(out: W, image_id: &str, size: Size, legend: &Legend, classes: &[u16]) -> Result<Self> {
        let columns = ColumnRuns::new(size, legend, classes)?;
        let targets = legend.targets(classes)?;
        let (legend, width) = (legend.clone(), size.width as usize);
        Ok(Self { columns, image_id: image_id.into(), targets, legend, width, sums: None, out })
    }
}

impl<W: Write + Send> LabelSink for CocoRleSink<W> {
    fn row(&mut self, values: &[u16]) -> Result<()> {
        self.columns.row(values)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let masks = self.columns.finish()?;
        for (target, (class, mask)) in masks.iter().enumerate().filter(|(_, (_, mask))| !mask.is_empty()) {
            let score = self.sums.as_ref().map(|sums| (sums[target] / mask.area() as f64) as f32);
            let annotation = CocoAnnotation {
                image_id: self.image_id.clone(),
                category_id: u64::from(self.legend.value(*class)),
                segmentation: CocoSegmentation::Mask(encode_coco(mask)),
                area: score.is_none().then(|| mask.area()),
                bbox: score.is_none().then(|| bounding_box(mask)),
                iscrowd: 0,
                score,
            };
            write_line(&mut self.out, &annotation)?;
        }
        self.out.flush().map_err(WriteError::io("COCO annotations"))
    }
}

impl<W: Write + Send> ScoredLabelSink for CocoRleSink<W> {
    fn scored_row(&mut self, values: &[u16], probabilities: &[f32]) -> Result<()> {
        self.columns.row(values)?;
        let sums = self.sums.get_or_insert_with(|| vec![0.0; self.targets.len()]);
        for (target, sum) in self.targets.iter().zip(sums) {
            let labels = &values[target.plane * self.width..][..self.width];
            let probable = &probabilities[target.class as usize * self.width..][..self.width];
            let inside = labels.iter().zip(probable).filter(|(label, _)| **label == target.value);
            *sum += inside.map(|(_, p)| f64::from(*p)).sum::<f64>();
        }
        Ok(())
    }
}

/// Writes the value of the class of every pixel of a shrunken label map, rows first, as the text of a [`Fragment`].
///
/// The nearest pixel is the one that OpenCV's `INTER_NEAREST` takes, also where its floating-point arithmetic lands one
/// pixel before the exact quotient. Memory: the text.
#[derive(Debug)]
pub struct ClassTextSink<W> {
    rows: RowGuard,
    image_id: String,
    /// The source row of every output row, ascending, and how many of them are written.
    source_rows: Vec<u32>,
    written: usize,
    source_columns: Vec<u32>,
    legend: Legend,
    text: String,
    out: W,
}

impl<W: Write + Send> ClassTextSink<W> {
    /// For an image of `size` px, resized to `target` px: 256 × 256 where the competition says nothing else.
    ///
    /// # Errors
    /// When the legend is multi-label, or either size is empty.
    pub fn new(out: W, image_id: &str, size: Size, legend: &Legend, target: Size) -> Result<Self> {
        let fault = |found: String| Err(WriteError::impossible("a list of class ids", found));
        if legend.planes() > 1 {
            return fault("pixels of a multi-label image have no single class; use run lengths".to_owned());
        }
        if size.is_empty() || target.is_empty() {
            return fault(format!("{size} px cannot be resized to {target} px"));
        }
        Ok(Self {
            rows: RowGuard::new(size, legend),
            image_id: image_id.to_owned(),
            source_rows: nearest(size.height, target.height),
            written: 0,
            source_columns: nearest(size.width, target.width),
            legend: legend.clone(),
            text: String::new(),
            out,
        })
    }
}

/// For each of `target` pixels, the one of `source` pixels that OpenCV takes.
pub(super) fn nearest(source: u32, target: u32) -> Vec<u32> {
    let step = 1.0 / (f64::from(target) / f64::from(source));
    (0..target).map(|index| ((f64::from(index) * step).floor() as u32).min(source - 1)).collect()
}

impl<W: Write + Send> LabelSink for ClassTextSink<W> {
    fn row(&mut self, values: &[u16]) -> Result<()> {
        use std::fmt::Write as _;
        let row = self.rows.admit(values)?;
        while self.source_rows.get(self.written) == Some(&row) {
            for &column in &self.source_columns {
                let gap = if self.text.is_empty() { "" } else { " " };
                let value = self.legend.value(values[column as usize]);
                write!(self.text, "{gap}{value}").expect("a string takes any text");
            }
            self.written += 1;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.rows.complete()?;
        let texts = vec![FragmentText { class: None, text: self.text }];
        Fragment { version: Fragment::VERSION, image_id: self.image_id, texts }.write(self.out)
    }
}
