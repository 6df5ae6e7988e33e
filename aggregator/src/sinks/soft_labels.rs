//! Soft labels: a share of every class for each pixel, as an array.

use super::SinkContext;
use super::score_files::{ArrayForm, ScoreFiles};
use crate::outputs::output_path;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use marquetry_ensemble::{LargestRemainder, smooth_uniformly, svls_row, top_shares};
use marquetry_spec::{Output, ScoreDtype, Smoothing, SoftLabels, SoftSource};
use std::borrow::Cow;

/// What a byte of 255 is to an encoder of numbers from 0 to 1.
const BYTES: f32 = 255.0;

/// The soft labels of output `number`.
pub(crate) fn open(
    context: &SinkContext<'_>,
    number: usize,
    output: &Output,
    soft: SoftLabels,
) -> Result<Box<dyn RowSink>, SinkError> {
    let classes = context.legend.names();
    let bands = match soft.top {
        None => classes.to_vec(),
        Some(top) => {
            ["class", "share"].iter().flat_map(|what| (1..=top).map(move |n| format!("{what} {n}"))).collect()
        }
    };
    let axis = if soft.top.is_some() { "band" } else { "class" };
    let mut attributes = serde_json::json!({
        "_ARRAY_DIMENSIONS": [axis, "y", "x"],
        "classes": classes,
        "space": "shares",
    });
    if soft.top.is_some() {
        attributes["bands"] = bands.clone().into();
    }
    let form = ArrayForm {
        place: output_path(output, &context.image.id, None),
        name: format!("soft-labels-{number}"),
        format: soft.format,
        dtype: soft.dtype,
        bands: &bands,
        attributes: Some(attributes),
    };
    let files = ScoreFiles::open(context, form)?;
    let rows = SoftRows {
        soft,
        classes: classes.len(),
        files,
        missing: Vec::new(),
        shares: Vec::new(),
        stored: Vec::new(),
        pixel: PixelRounding::default(),
    };
    Ok(match (soft.of, soft.smoothing) {
        (SoftSource::Probabilities, _) => Box::new(OfProbabilities(rows)),
        (SoftSource::Labels, Smoothing::Svls) => Box::new(OfNeighbours { rows, held: Vec::new() }),
        (SoftSource::Labels, Smoothing::Uniform(_)) => Box::new(OfLabels(rows)),
    })
}

/// Smooths, rounds and stores rows of shares.
struct SoftRows {
    soft: SoftLabels,
    classes: usize,
    files: ScoreFiles,
    /// Of the row in hand: pixels without a target, `[W]`.
    missing: Vec<bool>,
    /// Of the row in hand, `[C, W]`.
    shares: Vec<f32>,
    /// Of the row in hand, `[bands, W]`.
    stored: Vec<f32>,
    pixel: PixelRounding,
}

/// What is needed for one pixel after the other.
#[derive(Default)]
struct PixelRounding {
    remainder: LargestRemainder,
    shares: Vec<f32>,
    order: Vec<usize>,
    kept: Vec<f32>,
}

impl SoftRows {
    /// Sets the row in hand to 1 for the label of each pixel. Labels that are no class have no target.
    fn set_labels(&mut self, labels: &[u16]) {
        let (classes, width) = (self.classes, labels.len());
        self.missing.clear();
        self.missing.extend(labels.iter().map(|label| usize::from(*label) >= classes));
        self.shares.clear();
        self.shares.resize(classes * width, 0.0);
        for (x, label) in labels.iter().enumerate().filter(|(_, label)| usize::from(**label) < classes) {
            self.shares[usize::from(*label) * width + x] = 1.0;
        }
    }

    /// Stores the row in hand.
    fn store(&mut self) -> Result<(), SinkError> {
        if let Smoothing::Uniform(share) = self.soft.smoothing
            && share > 0.0
        {
            smooth_uniformly(&mut self.shares, &self.missing, share);
        }
        if self.soft.top.is_none() && self.soft.dtype == ScoreDtype::F16 {
            return self.files.row(&self.shares);
        }
        let (width, bytes) = (self.missing.len(), self.soft.dtype == ScoreDtype::U8);
        let top = self.soft.top.map(|top| top as usize);
        let bands = top.map_or(self.classes, |top| 2 * top);
        self.stored.clear();
        self.stored.resize(bands * width, 0.0);
        let PixelRounding { remainder, shares, order, kept } = &mut self.pixel;
        for x in 0..width {
            shares.clear();
            shares.extend(self.shares.iter().skip(x).step_by(width));
            let mut set = |band: usize, value: f32| {
                // An encoder of bytes multiplies by 255 and rounds, which gives whole parts back.
                self.stored[band * width + x] = if bytes { value / BYTES } else { value };
            };
            let Some(top) = top else {
                remainder.round(shares);
                shares.iter().enumerate().for_each(|(class, share)| set(class, *share));
                continue;
            };
            top_shares(shares, top, order, kept);
            if bytes {
                remainder.round(kept);
            }
            for (n, (class, share)) in order.iter().zip(&*kept).enumerate() {
                set(n, *class as f32);
                set(top + n, *share);
            }
        }
        self.files.row(&self.stored)
    }
}

/// Soft labels of probabilities.
struct OfProbabilities(SoftRows);

impl RowSink for OfProbabilities {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let Some(scores) = row.scores() else { return Ok(()) };
        let rows = &mut self.0;
        rows.missing.clear();
        rows.missing.extend_from_slice(&row.unscored());
        scores.write_shares(&rows.missing, &mut rows.shares)?;
        rows.store()
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        self.0.files.finish(image)
    }
}

/// Labels to train on: what was not looked at is none.
fn targets<'a>(labels: &'a [u16], skipped: Option<&[bool]>) -> Cow<'a, [u16]> {
    let Some(skipped) = skipped else { return Cow::Borrowed(labels) };
    let target = |(label, skipped): (&u16, &bool)| if *skipped { u16::MAX } else { *label };
    Cow::Owned(labels.iter().zip(skipped).map(target).collect())
}

/// Soft labels of labels, pixel by pixel.
struct OfLabels(SoftRows);

impl RowSink for OfLabels {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let Some(labels) = row.labels() else { return Ok(()) };
        self.0.set_labels(&targets(labels, row.skipped()));
        self.0.store()
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        self.0.files.finish(image)
    }
}

/// Soft labels of labels and those around them.
struct OfNeighbours {
    rows: SoftRows,
    /// The last two rows of labels, of which the second is not stored yet: the row below it is still to come.
    held: Vec<Vec<u16>>,
}

impl OfNeighbours {
    /// Stores the last held row, which lies above `below`; beyond the border the image goes on as it ends.
    fn store_above(&mut self, below: Option<&[u16]>) -> Result<(), SinkError> {
        let Some(row) = self.held.last() else { return Ok(()) };
        let above = self.held.first().unwrap_or(row);
        self.rows.missing.clear();
        svls_row([above, row, below.unwrap_or(row)], self.rows.classes, &mut self.rows.shares);
        self.rows.missing.resize(row.len(), false);
        self.rows.store()
    }
}

impl RowSink for OfNeighbours {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let Some(labels) = row.labels() else { return Ok(()) };
        let labels = &*targets(labels, row.skipped());
        self.store_above(Some(labels))?;
        let mut next = if self.held.len() == 2 { self.held.remove(0) } else { Vec::new() };
        next.clear();
        next.extend_from_slice(labels);
        self.held.push(next);
        Ok(())
    }

    fn finish(mut self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        self.store_above(None)?;
        self.rows.files.finish(image)
    }
}
