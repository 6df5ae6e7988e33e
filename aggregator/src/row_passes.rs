//! From an image's scores to rows with labels, which every sink takes.

use crate::error::AggregateError;
use crate::gate::Denied;
use crate::label_cleanup::LabelCleanup;
use crate::label_row_file::LabelRowFile;
use crate::outside::Outside;
use crate::row::{Row, RowScores, ScoreLens};
use crate::sink::{RowSink, SinkError};
use marquetry_ensemble::{Decision, Labelling, MemberRow, Rule, ScoreSpace, ScoreTransform};
use marquetry_job::{TruthLabels, TruthRows};
use marquetry_scores::{ScoreError, ScoreReader, ScoreRows};
use marquetry_spec::{Decide, JobSpec};
use std::io;
use std::path::Path;
use std::sync::mpsc;

/// How an image's scores become rows.
pub(crate) struct RowPasses<'a> {
    /// The space of merged scores.
    pub(crate) space: ScoreSpace,
    pub(crate) classes: usize,
    pub(crate) labelling: Labelling,
    pub(crate) decide: &'a Decide,
    /// The label of missing pixels in rows.
    pub(crate) ignore: u16,
    /// Most bytes of scores that are worked on at a time.
    pub(crate) band_bytes: u64,
    /// For labels that are not final yet.
    pub(crate) scratch: &'a Path,
    /// The labels that are right.
    pub(crate) truth: Option<&'a TruthLabels>,
    /// What pixels outside of the image's region are, where there are such.
    pub(crate) outside: Option<&'a Outside>,
    /// The classes that the image does not have, where there are such.
    pub(crate) denied: Option<&'a Denied>,
}

impl<'a> RowPasses<'a> {
    /// As `spec` says, for scores in `space`.
    pub(crate) fn new(
        spec: &'a JobSpec,
        space: ScoreSpace,
        scratch: &'a Path,
        truth: Option<&'a TruthLabels>,
    ) -> Self {
        Self {
            space,
            classes: spec.classes.len(),
            labelling: spec.labelling,
            decide: &spec.decide,
            ignore: spec.missing_label(),
            band_bytes: spec.limits.band_bytes(),
            scratch,
            truth,
            outside: None,
            denied: None,
        }
    }

    /// With pixels outside of a region.
    pub(crate) fn outside(self, outside: Option<&'a Outside>) -> Self {
        Self { outside, ..self }
    }

    /// Without classes that the image does not have.
    pub(crate) fn denied(self, denied: Option<&'a Denied>) -> Self {
        Self { denied, ..self }
    }

    /// Gives every row of an image to all `sinks`. `open` begins to read the image's scores, with those of members if it is
    /// told so: once, or a second time if labels are tidied up and a sink wants them together with scores.
    pub(crate) fn run(
        &self,
        open: impl Fn(bool) -> Result<ScoreReader, ScoreError>,
        sinks: &mut [Box<dyn RowSink>],
    ) -> Result<(), AggregateError> {
        let by_member = sinks.iter().any(|sink| sink.needs_members());
        let together = sinks.iter().any(|sink| sink.needs_whole_rows());
        let open = |whole: bool| open(whole && by_member);
        let at_once =
            |cleanup: &LabelCleanup| cleanup.is_empty() && !matches!(self.decide.rule, Rule::Triplet(_));
        // Where all is read a second time, the first needs no more than labels do.
        let reader = open(at_once(&LabelCleanup::new(self.decide, 1)) || !together)?;
        let width = reader.size().width as usize;
        let cleanup = LabelCleanup::new(self.decide, width);
        let mut deciding = Deciding::new(self, width);
        if at_once(&cleanup) {
            // Every label is final as it is decided.
            return self.each_row(reader, |row| {
                let labels = Some(deciding.row(row)?);
                give(sinks, &row.with(labels))
            });
        }
        let max_value = self.ignore.max(self.classes as u16);
        let values = deciding.labels.len();
        let new_file = || LabelRowFile::new(values, max_value, self.scratch);
        let mut decided = new_file();
        self.each_row(reader, |row| {
            decided.push(deciding.row(row)?)?;
            if together { Ok(()) } else { give(sinks, &row.with(None)) }
        })?;
        let mut finals = cleanup.apply(decided, new_file)?;
        let mut rows = finals.rows()?;
        let kept = deciding.decision.kept_classes();
        if together {
            return self.each_row(open(true)?, |row| {
                let labels = rows.next_row()?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
                self.drop_classes(labels, &kept, width);
                // What tidies up may have filled a hole there.
                if let Some((outside, skipped)) = self.outside.zip(row.skipped) {
                    outside.label(labels, skipped);
                }
                give(sinks, &row.with(Some(labels)))
            });
        }
        let (mut missing, mut skipped) = (vec![false; width], vec![false; width]);
        let mut truths = self.truth.map(TruthLabels::rows).transpose()?;
        for y in 0.. {
            let Some(labels) = rows.next_row()? else { break };
            self.drop_classes(labels, &kept, width);
            // The ignore label is no class, and stands at missing pixels alone.
            missing.iter_mut().zip(&*labels).for_each(|(missing, label)| *missing = *label == self.ignore);
            if let Some(outside) = self.outside {
                outside.skipped(y, &missing, &mut skipped);
                outside.label(labels, &skipped);
            }
            let skipped = self.outside.map(|_| &skipped[..]);
            let truth = truths.as_mut().map(TruthRows::next_row).transpose()?;
            let labels = Some(&*labels);
            give(sinks, &Row { y, labels, scores: None, members: &[], missing: &missing, skipped, truth })?;
        }
        Ok(())
    }

    /// Gives every row of scores to `each`. The next band is read and merged by a thread of its own meanwhile.
    fn each_row(
        &self,
        reader: ScoreReader,
        mut each: impl FnMut(&ScoredRow<'_>) -> Result<(), AggregateError>,
    ) -> Result<(), AggregateError> {
        let (labelling, classes) = (self.labelling, self.classes);
        let to_probabilities =
            ScoreTransform::between(self.space, ScoreSpace::Probabilities, labelling, classes);
        let lens = ScoreLens::new(to_probabilities, labelling);
        let voices = reader.voices();
        let mut truths = self.truth.map(TruthLabels::rows).transpose()?;
        let mut band = |mut band: ScoreRows| {
            if let Some(denied) = self.denied {
                denied.take_out(&mut band, self.space);
            }
            // What is stated of pixels outside holds whatever the gate says.
            let stated = self.outside.map(|outside| outside.state(&mut band, self.space));
            let first = band.rows.start;
            band.iter().try_for_each(|(y, scores, missing)| {
                let place = (y - first) as usize * missing.len();
                let skipped = stated.as_ref().map(|stated| &stated[place..][..missing.len()]);
                let said = band.members_at(y).zip(&voices);
                let members: Vec<_> =
                    said.map(|(probabilities, voice)| MemberRow { probabilities, voice }).collect();
                let truth = truths.as_mut().map(TruthRows::next_row).transpose()?;
                each(&ScoredRow { y, scores: &lens.row(scores), members: &members, missing, skipped, truth })
            })
        };
        let mut bands = reader.bands(self.band_bytes);
        if bands.size_hint().1.is_some_and(|bands| bands <= 1) {
            // There is nothing to be read meanwhile, and a thread takes as long as a small image.
            return bands.try_for_each(|read| band(read?));
        }
        std::thread::scope(|scope| {
            let (send, receive) = mpsc::sync_channel(0);
            let read = move || bands.all(|band| send.send(band).is_ok());
            let reading = std::thread::Builder::new().spawn_scoped(scope, read);
            let reading = reading.map_err(AggregateError::Thread)?;
            let done = receive.into_iter().try_for_each(|read| band(read?));
            if let Err(panic) = reading.join() {
                std::panic::resume_unwind(panic);
            }
            done
        })
    }

    /// Takes the classes that the rule has dropped out of a row of labels, `[planes, W]`.
    fn drop_classes(&self, labels: &mut [u16], kept: &[bool], width: usize) {
        if !kept.contains(&false) {
            return;
        }
        if let Some(background) = self.decide.background {
            let dropped = |label: u16| kept.get(label as usize) == Some(&false);
            labels.iter_mut().filter(|label| dropped(**label)).for_each(|label| *label = background as u16);
            return;
        }
        for (plane, _) in labels.chunks_exact_mut(width).zip(kept).filter(|(_, kept)| !**kept) {
            plane.iter_mut().filter(|label| **label == 1).for_each(|label| *label = 0);
        }
    }
}

/// A row of scores whose labels are still to come.
struct ScoredRow<'a> {
    y: u32,
    scores: &'a RowScores<'a>,
    members: &'a [MemberRow<'a>],
    missing: &'a [bool],
    skipped: Option<&'a [bool]>,
    truth: Option<&'a [u16]>,
}

impl<'a> ScoredRow<'a> {
    /// The row as sinks take it.
    const fn with(&self, labels: Option<&'a [u16]>) -> Row<'a> {
        let Self { y, scores, members, missing, skipped, truth } = *self;
        Row { y, labels, scores: Some(scores), members, missing, skipped, truth }
    }
}

fn give(sinks: &mut [Box<dyn RowSink>], row: &Row<'_>) -> Result<(), AggregateError> {
    sinks.iter_mut().try_for_each(|sink| sink.row(row)).map_err(AggregateError::from)
}

/// From scores to labels, row by row.
struct Deciding<'a> {
    outside: Option<&'a Outside>,
    decision: Decision,
    /// Argmax looks at scores before the activation, which may make near ones equal.
    on_merged: bool,
    ignore: u16,
    width: usize,
    labels: Vec<u16>,
}

impl<'a> Deciding<'a> {
    fn new(passes: &RowPasses<'a>, width: usize) -> Self {
        let Decide { rule, background, .. } = passes.decide;
        let decision = Decision::new(rule.clone(), passes.classes, *background);
        let labels = vec![0; decision.planes() * width];
        let on_merged = matches!(rule, Rule::Argmax);
        Self { outside: passes.outside, decision, on_merged, ignore: passes.ignore, width, labels }
    }

    /// The labels of a row, `[planes, W]`.
    fn row(&mut self, row: &ScoredRow<'_>) -> Result<&[u16], SinkError> {
        let (scores, missing) = (row.scores, row.missing);
        let decided_on = if self.on_merged { scores.merged() } else { scores.probabilities()? };
        self.decision.row(decided_on, &mut self.labels);
        for (x, _) in missing.iter().enumerate().filter(|(_, missing)| **missing) {
            self.labels.iter_mut().skip(x).step_by(self.width).for_each(|label| *label = self.ignore);
        }
        if let Some((outside, skipped)) = self.outside.zip(row.skipped) {
            outside.label(&mut self.labels, skipped);
        }
        Ok(&self.labels)
    }
}

#[cfg(test)]
#[path = "row_passes_tests.rs"]
mod tests;
