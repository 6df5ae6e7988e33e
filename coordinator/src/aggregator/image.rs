//! One image from its tiles to its outputs.

use crate::aggregator::bands::{Band, Bands};
use crate::aggregator::clean::Cleaning;
use crate::aggregator::outputs::Outputs;
use crate::aggregator::part::Part;
use crate::aggregator::picture::Sampling;
use crate::aggregator::spool::LabelSpool;
use crate::aggregator::{AggregateError, AggregatorOptions};
use crate::outcome;
use marquetry_ensemble::{Decision, Rule, Space, Transfer};
use marquetry_geometry::Size;
use marquetry_job::spec::JobSpec;
use marquetry_job::{Plan, PlannedImage, key};
use marquetry_raster::read::Limits;
use marquetry_transport::{ObjectStore, StoreErrorKind};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Images whose pictures are on the report's contact sheet: the first so many of the plan.
const PICTURES_MAX: u32 = 48;

/// What putting an image together needs.
pub(crate) struct Work<'a> {
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
    /// whose part is stored is finished. Whether there are gaps in it.
    ///
    /// An image that is finished without gaps stays as it is: whoever wanted it with gaps did not know yet.
    pub(crate) fn run(&self) -> Result<bool, AggregateError> {
        let planned = self
            .plan
            .images
            .get(self.image as usize)
            .ok_or_else(|| AggregateError::Plan(format!("there is no image {}", self.image)))?;
        if self.partial && self.is_whole(planned)? {
            return Ok(false);
        }
        let temp = self.options.temp_dir.as_path();
        let mut outputs = Outputs::open(self.spec, planned, temp)?;
        let mut part = Part::new(&planned.id);
        let mut pictures = Pictures::new(planned.size);
        let (decided, kept) = self.decide(planned, &mut outputs, &mut part, &mut pictures)?;
        let values = decided.values;
        let cleaning = Cleaning::new(&self.spec.decide, planned.size.width as usize);
        let new_spool = || LabelSpool::new(values, self.max_value(), temp);
        let mut labels = cleaning.apply(decided.spool, new_spool)?;
        self.write_labels(&mut labels, &kept, planned, &mut outputs, &mut part, &mut pictures)?;
        let (files, folder) = outputs.finish(&mut part)?;
        self.add_pictures(planned, &pictures, &mut part)?;
        // Again: the tiles that were missing may have come while this was at work on the others.
        if self.partial && self.is_whole(planned)? {
            return Ok(false);
        }
        for (place, path) in &files {
            self.put_file(place, path)?;
        }
        drop(folder);
        self.put_part(planned, &part)?;
        Ok(self.partial)
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

    /// Merges bands and decides row by row; labels wait in a spool, since tidying up must see the whole image first.
    fn decide(
        &self,
        planned: &PlannedImage,
        outputs: &mut Outputs,
        part: &mut Part,
        pictures: &mut Pictures,
    ) -> Result<(Decided, Vec<bool>), AggregateError> {
        let scoring = &self.plan.scoring;
        let classes = scoring.classes.len();
        let width = planned.size.width as usize;
        let mut bands = Bands::new(
            self.store,
            self.runtime,
            self.plan,
            self.image,
            self.partial,
            self.spec.limits.band_bytes(),
        )
        .ok_or_else(|| AggregateError::Plan(format!("image {} has no windows", planned.id)))?;
        let to_probabilities =
            Transfer::between(scoring.space, Space::Probabilities, scoring.labelling, classes);
        let decide = &self.spec.decide;
        let mut decision = Decision::new(decide.rule.clone(), classes, decide.background);
        let values = decision.planes() * width;
        let mut spool = LabelSpool::new(values, self.max_value(), &self.options.temp_dir);
        let mut labels = vec![0_u16; values];
        let (mut confidence, mut seen) = (0.0_f64, 0_u64);
        while let Some(mut band) = bands.next()? {
            let rows = band.scores.chunks_exact_mut(classes * width).zip(band.missing.chunks_exact(width));
            for (y, (row, missing)) in (band.top..).zip(rows) {
                // Argmax looks at scores before the activation, which may make near ones equal.
                if matches!(decide.rule, Rule::Argmax) {
                    decision.row(row, &mut labels);
                }
                to_probabilities.apply_in_place(row).map_err(|e| AggregateError::Plan(e.to_string()))?;
                if !matches!(decide.rule, Rule::Argmax) {
                    decision.row(row, &mut labels);
                }
                let sure = outcome::confidence(row, width, scoring.labelling);
                pictures.add_confidence(y, &sure);
                for (x, _) in missing.iter().enumerate().filter(|(_, missing)| **missing) {
                    labels.iter_mut().skip(x).step_by(width).for_each(|l| *l = self.spec.failures.ignore);
                }
                confidence +=
                    sure.iter().zip(missing).filter(|(_, m)| !**m).map(|(s, _)| f64::from(*s)).sum::<f64>();
                seen += missing.iter().filter(|m| !**m).count() as u64;
                spool.push(&labels)?;
            }
            if outputs.want_scores() {
                let rows = (band.scores.len() / (classes * width)) as u32;
                outputs.band(&planes_first(&band, classes, width), rows)?;
            }
        }
        part.missing_pixels = planned.size.area() - seen;
        part.confidence = if seen > 0 { confidence / seen as f64 } else { 0.0 };
        Ok((Decided { spool, values }, decision.kept_classes()))
    }

    /// Takes out the classes that the rule has dropped, counts, and hands every row to the outputs.
    fn write_labels(
        &self,
        labels: &mut LabelSpool,
        kept: &[bool],
        planned: &PlannedImage,
        outputs: &mut Outputs,
        part: &mut Part,
        pictures: &mut Pictures,
    ) -> Result<(), AggregateError> {
        let background = self.spec.decide.background;
        let width = planned.size.width as usize;
        part.class_pixels = vec![0; self.plan.scoring.classes.len()];
        let mut y = 0;
        labels.read(|row| {
            match background {
                Some(background) => {
                    for label in row.iter_mut() {
                        if kept.get(*label as usize) == Some(&false) {
                            *label = background as u16;
                        }
                        if let Some(n) = part.class_pixels.get_mut(*label as usize) {
                            *n += 1;
                        }
                    }
                }
                None => {
                    for ((plane, &kept), n) in
                        row.chunks_exact_mut(width).zip(kept).zip(&mut part.class_pixels)
                    {
                        if !kept {
                            plane.iter_mut().filter(|l| **l == 1).for_each(|l| *l = 0);
                        }
                        *n += plane.iter().filter(|l| **l == 1).count() as u64;
                    }
                }
            }
            pictures.add_labels(y, row, width, background.is_none());
            y += 1;
            outputs.row(row)
        })
    }

    fn add_pictures(
        &self,
        planned: &PlannedImage,
        pictures: &Pictures,
        part: &mut Part,
    ) -> Result<(), AggregateError> {
        if self.image >= PICTURES_MAX {
            return Ok(());
        }
        let limits = Limits {
            pixels_max: self.spec.limits.image_pixels,
            memory_bytes: self.spec.limits.image_bytes(),
            spool_dir: self.options.temp_dir.clone(),
        };
        let image = pictures.sampling.image(Path::new(&planned.uri), &limits)?;
        let legend = outcome::legend(self.spec)?;
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

struct Decided {
    spool: LabelSpool,
    values: usize,
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
