//! Pseudo-labels: a mask of what the ensemble is sure of, how much of each class that is, and a row of the table of all.

use super::SinkContext;
use super::masks;
use super::measures::{own_labels, voices};
use crate::image_result::KeptPixels;
use crate::output_file::OutputFile;
use crate::outputs::output_path;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use marquetry_ensemble::{ConfidenceCounts, PairwiseIou, vote_share_row};
use marquetry_raster::write::LabelSink;
use marquetry_spec::{Choose, KeepRule, Output, PseudoLabels};
use serde::{Deserialize, Serialize};

/// What an image adds to the table of pseudo-labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PseudoLabelRow {
    /// Where its mask lies, below the job's outputs.
    pub label: String,
    /// Share of the image's pixels that have a label.
    pub kept_share: f64,
    /// Mean IoU of every two members, where they have tiles of their own and two of them can be compared.
    pub reliability: Option<f64>,
}

/// The pseudo-labels of output `number`, whose thresholds are known.
pub(crate) fn open(
    context: &SinkContext<'_>,
    number: usize,
    output: &Output,
    pseudo: &PseudoLabels,
) -> Result<Box<dyn RowSink>, SinkError> {
    let KeepRule::Threshold(thresholds) = &pseudo.keep else {
        return Ok(Box::new(Confidences::new(context)));
    };
    let (image, classes) = (context.image, context.spec.classes.len());
    let label = output_path(output, &image.id, None);
    let (file, encoder) = masks::encoder(
        context,
        pseudo.form,
        label.clone(),
        &format!("pseudo-labels-{number}"),
        &context.legend,
    )?;
    let row = PseudoLabelRow { label, kept_share: 0.0, reliability: None };
    Ok(Box::new(PseudoRows {
        number,
        thresholds: thresholds.clone(),
        choose: pseudo.choose,
        agreement: pseudo.agreement,
        by_member: context.has_member_tiles(),
        ignore: context.spec.missing_label(),
        encoder,
        file,
        kept: KeptPixels { labelled: vec![0; classes], kept: vec![0; classes] },
        pixels: image.size.area(),
        pairs: None,
        shares: Vec::new(),
        votes: Vec::new(),
        labels: Vec::new(),
        row,
    }))
}

struct PseudoRows {
    number: usize,
    thresholds: Vec<f32>,
    choose: Choose,
    /// Least share of members that vote for a label.
    agreement: f32,
    /// Whether members are apart.
    by_member: bool,
    ignore: u16,
    encoder: Box<dyn LabelSink>,
    file: OutputFile,
    kept: KeptPixels,
    pixels: u64,
    /// From the first row with members on.
    pairs: Option<PairwiseIou>,
    /// Of the row in hand: each class's share of a pixel, `[C, W]`; the share of votes for the pixel's label; labels.
    shares: Vec<f32>,
    votes: Vec<f32>,
    labels: Vec<u16>,
    row: PseudoLabelRow,
}

impl PseudoRows {
    /// Sets the row in hand to the labels that are up for keeping.
    fn choose_labels(&mut self, labels: &[u16]) {
        self.labels.clear();
        self.labels.extend_from_slice(labels);
        if self.choose == Choose::Label {
            return;
        }
        let mut best = vec![f32::NEG_INFINITY; labels.len()];
        for (class, line) in self.shares.chunks_exact(labels.len()).enumerate() {
            let threshold = self.thresholds[class].max(f32::MIN_POSITIVE);
            for ((label, best), p) in self.labels.iter_mut().zip(&mut best).zip(line) {
                let ratio = p / threshold;
                if ratio > *best {
                    (*best, *label) = (ratio, class as u16);
                }
            }
        }
    }

    /// Counts the members' labels, and how many of them are those of the row in hand.
    fn vote(&mut self, row: &Row<'_>) {
        let members = row.members();
        if !self.by_member || members.is_empty() {
            return;
        }
        let (votes, voices) = (own_labels(members, row.width()), voices(members));
        self.pairs.get_or_insert_with(|| PairwiseIou::new(&voices)).add_row(&votes, &row.unscored());
        self.votes.resize(row.width(), 0.0);
        vote_share_row(&votes, &voices, &self.labels, &mut self.votes);
    }
}

impl RowSink for PseudoRows {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let (Some(labels), Some(scores)) = (row.labels(), row.scores()) else { return Ok(()) };
        let (width, unscored) = (row.width(), row.unscored());
        // What was not looked at is no label to train on.
        scores.write_shares(&unscored, &mut self.shares)?;
        self.choose_labels(labels);
        self.vote(row);
        for x in 0..width {
            let class = usize::from(self.labels[x]);
            if unscored[x] || class >= self.thresholds.len() {
                self.labels[x] = self.ignore;
                continue;
            }
            self.kept.labelled[class] += 1;
            let agreed =
                self.agreement <= 0.0 || self.votes.get(x).is_some_and(|share| *share >= self.agreement);
            if agreed && self.shares[class * width + x] >= self.thresholds[class] {
                self.kept.kept[class] += 1;
            } else {
                self.labels[x] = self.ignore;
            }
        }
        Ok(self.encoder.row(&self.labels)?)
    }

    fn needs_whole_rows(&self) -> bool {
        true
    }

    fn needs_members(&self) -> bool {
        self.by_member
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        self.encoder.finish()?;
        image.files.push(self.file);
        let kept: u64 = self.kept.kept.iter().sum();
        let row = PseudoLabelRow {
            kept_share: kept as f64 / self.pixels.max(1) as f64,
            reliability: self.pairs.and_then(|pairs| pairs.mean()),
            ..self.row
        };
        let text = serde_json::to_string(&row).expect("texts and numbers become JSON");
        image.result.table_rows.insert(self.number, text);
        image.result.kept.insert(self.number, self.kept);
        Ok(())
    }
}

/// Counts how sure the ensemble is of its labels, for thresholds that hang on all images.
struct Confidences {
    counts: ConfidenceCounts,
    /// Of the row in hand, `[C, W]`.
    shares: Vec<f32>,
}

impl Confidences {
    fn new(context: &SinkContext<'_>) -> Self {
        Self { counts: ConfidenceCounts::new(context.spec.classes.len()), shares: Vec::new() }
    }
}

impl RowSink for Confidences {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let (Some(labels), Some(scores)) = (row.labels(), row.scores()) else { return Ok(()) };
        let unscored = row.unscored();
        scores.write_shares(&unscored, &mut self.shares)?;
        for (x, label) in labels.iter().enumerate().filter(|(x, _)| !unscored[*x]) {
            let class = usize::from(*label);
            if let Some(p) = self.shares.get(class * row.width() + x) {
                self.counts.add(class, *p);
            }
        }
        Ok(())
    }

    fn needs_whole_rows(&self) -> bool {
        true
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        image.result.set_confidences(&self.counts);
        Ok(())
    }
}
