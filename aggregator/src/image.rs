//! One image from its tiles to its outputs.

use crate::bands::{Band, Bands};
use crate::clean::Cleaning;
use crate::legend;
use crate::outputs::Outputs;
use crate::part::Part;
use crate::picture::Sampling;
use crate::spool::LabelSpool;
use crate::{AggregateError, AggregatorOptions};
use marquetry_ensemble::{Decision, Rule, Space, Transfer};
use marquetry_geometry::Size;
use marquetry_imagery::ImageError;
use marquetry_job::{Plan, PlannedImage, RunId, key};
use marquetry_raster::read::Limits;
use marquetry_spec::{JobSpec, Output};
use marquetry_transport::{ObjectStore, StoreErrorKind};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Images whose pictures are on the report's contact sheet: the first so many of the plan.
const PICTURES_MAX: u32 = 48;

/// What became of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// All of it is stored.
    Whole,
    /// It is stored, without the blocks that were given up.
    WithGaps,
    /// Nothing: its run does not count any more.
    Nothing,
}

/// What putting an image together needs.
pub(crate) struct Work<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) store: &'a Arc<dyn ObjectStore>,
    pub(crate) runtime: &'a Handle,
    pub(crate) plan: &'a Plan,
    pub(crate) spec: &'a JobSpec,
    pub(crate) outputs: &'a str,
    pub(crate) image: u32,
    pub(crate) partial: bool,
    pub(crate) options: &'a AggregatorOptions,
}

impl Work<'_> {
    /// Merges the image's tiles, decides, tidies up, writes every output and, last of all, the image's part: an image
    /// whose part is stored is finished.
    ///
    /// An image that is finished without gaps stays as it is, and its tiles may be gone: whoever wants it again, or with
    /// gaps, has not heard of it yet.
    pub(crate) fn run(&self) -> Result<Made, AggregateError> {
        let planned = self
            .plan
            .images
            .get(self.image as usize)
            .ok_or_else(|| AggregateError::Plan(format!("there is no image {}", self.image)))?;
        if self.is_whole(planned)? {
            return Ok(Made::Whole);
        }
        let temp = self.options.temp_dir.as_path();
        let decide = &self.spec.decide;
        let mut rows = LabelRows {
            background: decide.background,
            kept: vec![true; self.plan.scoring.classes.len()],
            width: planned.size.width as usize,
            y: 0,
            class_pixels: vec![0; self.plan.scoring.classes.len()],
            outputs: Outputs::open(self.spec, planned, &self.options.files, temp)?,
            pictures: Pictures::new(planned.size),
        };
        let mut part = Part::new(&planned.id);
        let cleaning = Cleaning::new(decide, rows.width);
        if cleaning.is_empty() && !matches!(decide.rule, Rule::Triplet(_)) {
            // Every label is final as it is decided.
            self.decide(planned, &mut part, &mut rows, LabelRows::write)?;
        } else {
            let values =
                Decision::new(decide.rule.clone(), rows.kept.len(), decide.background).planes() * rows.width;
            let new_spool = || LabelSpool::new(values, self.max_value(), temp);
            let mut spool = new_spool();
            rows.kept = self.decide(planned, &mut part, &mut rows, |_, labels| Ok(spool.push(labels)?))?;
            cleaning.apply(spool, new_spool)?.read(|labels| rows.write(labels))?;
        }
        part.class_pixels = rows.class_pixels;
        let (files, folder) = rows.outputs.finish(&mut part)?;
        self.add_pictures(planned, &rows.pictures, &mut part)?;
        // All this may have taken long, and others were at work too: what they wrote for a later run, or of all tiles
        // where some were missing here, is not to be written over.
        if !self.counts()? {
            return Ok(Made::Nothing);
        }
        if self.is_whole(planned)? {
            return Ok(Made::Whole);
        }
        for (place, path) in &files {
            self.put_file(place, path)?;
        }
        drop(folder);
        self.put_part(planned, &part)?;
        Ok(if self.partial { Made::WithGaps } else { Made::Whole })
    }

    /// Whether the run is still the one that counts.
    fn counts(&self) -> Result<bool, AggregateError> {
        match self.runtime.block_on(self.store.get(&key::run(&self.run.job))) {
            Ok(run) => Ok(run == self.run.run.as_bytes()),
            Err(error) if error.kind == StoreErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the image is stored without gaps.
    fn is_whole(&self, planned: &PlannedImage) -> Result<bool, AggregateError> {
        let is_there = |key: String| match self.runtime.block_on(self.store.head(&key)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == StoreErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        };
        let (job, image) = (&self.plan.job, &planned.key);
        Ok(is_there(key::part(job, self.outputs, image))? && !is_there(key::gaps(job, self.outputs, image))?)
    }

    /// That there are gaps is written before the part they are in, and taken back after the one without: who dies in
    /// between leaves an image that is made again.
    fn put_part(&self, planned: &PlannedImage, part: &Part) -> Result<(), AggregateError> {
        let gaps = key::gaps(&self.plan.job, self.outputs, &planned.key);
        if self.partial {
            self.runtime.block_on(self.store.put(&gaps, bytes::Bytes::new()))?;
        }
        let key = key::part(&self.plan.job, self.outputs, &planned.key);
        self.runtime.block_on(self.store.put(&key, part.to_bytes().into()))?;
        if !self.partial {
            self.runtime.block_on(self.store.delete(&gaps))?;
        }
        Ok(())
    }

    fn max_value(&self) -> u16 {
        self.spec.failures.ignore.max(self.plan.scoring.classes.len() as u16)
    }

    /// Merges bands and decides row by row; `each` takes the labels. Which classes stay.
    ///
    /// The next band is read and merged by a thread of its own while this one is decided.
    fn decide(
        &self,
        planned: &PlannedImage,
        part: &mut Part,
        rows: &mut LabelRows,
        mut each: impl FnMut(&mut LabelRows, &mut [u16]) -> Result<(), AggregateError>,
    ) -> Result<Vec<bool>, AggregateError> {
        let bands = Bands::new(
            self.store,
            self.runtime,
            self.plan,
            self.image,
            self.partial,
            self.spec.limits.band_bytes(),
        )
        .ok_or_else(|| AggregateError::Plan(format!("image {} has no windows", planned.id)))?;
        let mut deciding = Deciding::new(self, rows.width);
        std::thread::scope(|scope| {
            let (send, receive) = std::sync::mpsc::sync_channel(0);
            scope.spawn(move || bands.into_iter().all(|band| send.send(band).is_ok()));
            for band in receive {
                let mut band = band?;
                deciding.band(&mut band, rows, &mut each)?;
            }
            Ok::<_, AggregateError>(())
        })?;
        part.missing_pixels = planned.size.area() - deciding.seen;
        part.confidence = if deciding.seen > 0 { deciding.confidence / deciding.seen as f64 } else { 0.0 };
        Ok(deciding.decision.kept_classes())
    }

    fn add_pictures(
        &self,
        planned: &PlannedImage,
        pictures: &Pictures,
        part: &mut Part,
    ) -> Result<(), AggregateError> {
        // The image is read a second time for this.
        if self.image >= PICTURES_MAX || !self.spec.outputs.contains(&Output::Report) {
            return Ok(());
        }
        let limits = Limits {
            pixels_max: self.spec.limits.image_pixels,
            memory_bytes: self.spec.limits.image_bytes(),
            scratch_dir: self.options.temp_dir.clone(),
        };
        let image = marquetry_imagery::open(&self.options.files, &planned.uri, None, &limits)?;
        let image = pictures.sampling.image(&image).map_err(ImageError::Read)?;
        let legend = legend::legend(self.spec)?;
        let mask = pictures.sampling.mask(&pictures.labels, legend.colours());
        let confidence = pictures.sampling.confidence(&pictures.confidence);
        part.set_pictures(&[image, mask, confidence]);
        Ok(())
    }

    fn put_file(&self, place: &str, path: &Path) -> Result<(), AggregateError> {
        let key = key::out(&self.plan.job, place);
        Ok(self.runtime.block_on(self.store.put_file(&key, path))?)
    }
}

/// From scores to labels, band by band.
struct Deciding<'a> {
    spec: &'a JobSpec,
    classes: usize,
    width: usize,
    to_probabilities: Transfer,
    decision: Decision,
    labels: Vec<u16>,
    /// Sum over the pixels `seen`.
    confidence: f64,
    seen: u64,
}

impl<'a> Deciding<'a> {
    fn new(work: &Work<'a>, width: usize) -> Self {
        let (spec, scoring) = (work.spec, &work.plan.scoring);
        let classes = scoring.classes.len();
        let decision = Decision::new(spec.decide.rule.clone(), classes, spec.decide.background);
        Self {
            spec,
            classes,
            width,
            to_probabilities: Transfer::between(
                scoring.space,
                Space::Probabilities,
                scoring.labelling,
                classes,
            ),
            labels: vec![0; decision.planes() * width],
            decision,
            confidence: 0.0,
            seen: 0,
        }
    }

    fn band(
        &mut self,
        band: &mut Band,
        to: &mut LabelRows,
        each: &mut impl FnMut(&mut LabelRows, &mut [u16]) -> Result<(), AggregateError>,
    ) -> Result<(), AggregateError> {
        let (width, row_len) = (self.width, self.classes * self.width);
        let rows = band.scores.chunks_exact_mut(row_len).zip(band.missing.chunks_exact(width));
        for (y, (row, missing)) in (band.top..).zip(rows) {
            self.row(row)?;
            let sure = legend::confidence(row, width, self.spec.labelling);
            to.pictures.add_confidence(y, &sure);
            for (x, _) in missing.iter().enumerate().filter(|(_, missing)| **missing) {
                self.labels.iter_mut().skip(x).step_by(width).for_each(|l| *l = self.spec.failures.ignore);
            }
            self.confidence +=
                sure.iter().zip(missing).filter(|(_, m)| !**m).map(|(s, _)| f64::from(*s)).sum::<f64>();
            self.seen += missing.iter().filter(|m| !**m).count() as u64;
            each(to, &mut self.labels)?;
        }
        if to.outputs.want_scores() {
            let rows = (band.scores.len() / row_len) as u32;
            to.outputs.band(&planes_first(band, self.classes, width), rows)?;
        }
        Ok(())
    }

    /// Decides one row, and makes its scores probabilities.
    fn row(&mut self, row: &mut [f32]) -> Result<(), AggregateError> {
        // Argmax looks at scores before the activation, which may make near ones equal.
        let argmax = matches!(self.spec.decide.rule, Rule::Argmax);
        if argmax {
            self.decision.row(row, &mut self.labels);
        }
        self.to_probabilities.apply_in_place(row).map_err(|e| AggregateError::Plan(e.to_string()))?;
        if !argmax {
            self.decision.row(row, &mut self.labels);
        }
        Ok(())
    }
}

/// Where final labels go.
struct LabelRows {
    background: Option<usize>,
    /// Classes that the rule has not dropped.
    kept: Vec<bool>,
    width: usize,
    y: u32,
    class_pixels: Vec<u64>,
    outputs: Outputs,
    pictures: Pictures,
}

impl LabelRows {
    /// Takes out of the next row, `[planes, W]`, the classes that the rule has dropped, counts, and hands it to the
    /// outputs.
    fn write(&mut self, row: &mut [u16]) -> Result<(), AggregateError> {
        if let Some(background) = self.background {
            self.count_exclusive(row, background as u16);
        } else {
            self.count_independent(row);
        }
        self.pictures.add_labels(self.y, row, self.width, self.background.is_none());
        self.y += 1;
        self.outputs.row(row)
    }

    fn count_exclusive(&mut self, row: &mut [u16], background: u16) {
        if self.kept.contains(&false) {
            let dropped = |label: u16| self.kept.get(label as usize) == Some(&false);
            row.iter_mut().filter(|label| dropped(**label)).for_each(|label| *label = background);
        }
        for label in row {
            if let Some(n) = self.class_pixels.get_mut(*label as usize) {
                *n += 1;
            }
        }
    }

    fn count_independent(&mut self, row: &mut [u16]) {
        let planes = row.chunks_exact_mut(self.width).zip(&self.kept);
        for ((plane, &kept), n) in planes.zip(&mut self.class_pixels) {
            if !kept {
                plane.iter_mut().filter(|l| **l == 1).for_each(|l| *l = 0);
            }
            *n += plane.iter().filter(|l| **l == 1).count() as u64;
        }
    }
}

/// A band as planes, `[C, rows, W]`.
fn planes_first(band: &Band, classes: usize, width: usize) -> Vec<f32> {
    let mut planes = Vec::with_capacity(band.scores.len());
    for class in 0..classes {
        for row in band.scores.chunks_exact(classes * width) {
            planes.extend_from_slice(&row[class * width..(class + 1) * width]);
        }
    }
    planes
}

/// What the report's small pictures are made of.
struct Pictures {
    sampling: Sampling,
    labels: Vec<u16>,
    confidence: Vec<f32>,
}

impl Pictures {
    fn new(size: Size) -> Self {
        Self { sampling: Sampling::new(size), labels: Vec::new(), confidence: Vec::new() }
    }

    fn add_confidence(&mut self, y: u32, row: &[f32]) {
        if self.sampling.has_row(y) {
            self.confidence.extend(self.sampling.of(row));
        }
    }

    /// `row` is `[planes, W]`. Of classes that share pixels the first one is shown.
    fn add_labels(&mut self, y: u32, row: &[u16], width: usize, independent: bool) {
        if !self.sampling.has_row(y) {
            return;
        }
        if !independent {
            self.labels.extend(self.sampling.of(row));
            return;
        }
        let planes: Vec<&[u16]> = row.chunks_exact(width).collect();
        let first = |x: usize| planes.iter().position(|p| p[x] == 1).map_or(u16::MAX, |c| c as u16);
        let shown: Vec<u16> = (0..width).map(first).collect();
        self.labels.extend(self.sampling.of(&shown));
    }
}
