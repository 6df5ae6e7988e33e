//! Which part of each image is computed: masks are read before any model runs, one region for each image.

use crate::planning::Planned;
use crate::planning::images::Rejected;
use crate::planning::parallel_map::parallel_map;
use crate::planning::truth::{PlanTruthError, shown};
use crate::planning::truth_files::{Fetched, fetch};
use marquetry_failure::{Classify, FailureClass, chain, counted};
use marquetry_imagery::ImageFiles;
use marquetry_job::{ImageRegion, PlannedImage, RegionForwards};
use marquetry_labels::{ClassList, IgnoreRule, LabelRules, LabelSource, NodataRule, RawLabel};
use marquetry_raster::read::Limits;
use marquetry_region::{Finding, Region, RegionBuilder};
use marquetry_spec::JobSpec;
use marquetry_transport::uri::is_uri;
use marquetry_transport::{FileError, Files};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Cells of one region, at most: 8 MiB. A mask of a larger image is rounded out to cells of 2, 4 or more px.
const CELLS_MAX: u64 = 1 << 26;
/// Bytes that a pixel takes while its mask is read.
const BYTES_PER_PIXEL: u64 = 12;

/// The regions of a job's images that masks say.
#[derive(Debug)]
pub struct PlannedRegions {
    /// Each in a file that the image's content key names.
    folder: TempDir,
    /// What there is to tell.
    pub(crate) notes: Vec<String>,
    /// What is suspicious.
    pub(crate) warnings: Vec<String>,
}

/// Why regions cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanRegionError {
    /// Their files cannot be reached.
    #[error("region: {0}")]
    File(FileError),
    /// Masks cannot be used, or are in trouble.
    #[error("region: {words}")]
    Masks {
        /// What was found.
        words: String,
        /// Who is to blame.
        class: FailureClass,
    },
}

impl From<PlanTruthError> for PlanRegionError {
    /// Masks are found as labels of a truth are, whose keys are called otherwise.
    fn from(error: PlanTruthError) -> Self {
        match error {
            PlanTruthError::File(error) => Self::File(error),
            error => {
                let (text, class) = (error.to_string(), error.class());
                let words = text.strip_prefix("truth: ").unwrap_or(&text);
                Self::Masks { words: words.replace("truth.", "region.").replace("truth:", "region:"), class }
            }
        }
    }
}

impl From<io::Error> for PlanRegionError {
    fn from(error: io::Error) -> Self {
        Self::from(PlanTruthError::Scratch(error))
    }
}

impl Classify for PlanRegionError {
    fn class(&self) -> FailureClass {
        match self {
            Self::File(error) => error.class(),
            Self::Masks { class, .. } => *class,
        }
    }
}

impl PlannedRegions {
    /// The file with the stored region of an image.
    pub fn file(&self, image: &PlannedImage) -> PathBuf {
        self.folder.path().join(image.content_key())
    }

    /// The region of an image.
    ///
    /// # Errors
    /// When the temporary folder is in trouble.
    pub fn of(&self, image: &PlannedImage) -> io::Result<ImageRegion> {
        let stored = std::fs::read(self.file(image))?;
        ImageRegion::from_bytes(&stored, image.content_key(), image.size).map_err(io::Error::other)
    }
}

/// What regions come to before a job is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegionForecast {
    /// Model runs that images take within their regions, and that they would take without.
    pub forwards: RegionForwards,
    /// Images of which all is computed, since no region can be told.
    pub whole: u64,
}

/// Pixels of all images that are looked at for what is not blank when a job is planned, at most.
const FORECAST_PIXELS: u64 = 100_000_000;

impl Planned {
    /// What its regions come to: of masks as they are; of what is not blank where the images lie on this machine and have few pixels. `None` where that
    /// is known only when the job has run, or an image or the temporary folder is in trouble.
    pub fn forecast(&self, files: &Files, limits: &Limits) -> Option<RegionForecast> {
        let rule = self.plan.inference.region?;
        let pixels: u64 = self.images.iter().map(|image| image.size.area()).sum();
        let is_far = self.images.iter().any(|image| is_uri(&image.uri));
        if rule.is_task() && (is_far || pixels > FORECAST_PIXELS) {
            return None;
        }
        let of = |image: &PlannedImage| {
            if let Some(regions) = &self.regions {
                return regions.of(image).ok();
            }
            let of = ImageFiles { uri: &image.uri, stat: None, sidecars: &image.sidecars };
            let opened = marquetry_imagery::open(files, &of, limits, &self.plan.inference.reading).ok()?;
            let found = marquetry_imagery::nonblank(&opened.tolerating_damage(), rule.margin_px());
            found.ok().map(|(region, finding)| ImageRegion { region, finding })
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let work = |image: &PlannedImage| {
            let ImageRegion { region, finding } = of(image)?;
            Some((self.plan.forwards_within(image, &Arc::new(region)), finding.refusal().is_some()))
        };
        let found = parallel_map(&self.images, cores, work, Option::is_none);
        found.into_iter().flatten().try_fold(RegionForecast::default(), |mut sum, found| {
            let (forwards, whole) = found?;
            sum.forwards.inside += forwards.inside;
            sum.forwards.all += forwards.all;
            sum.whole += u64::from(whole);
            Some(sum)
        })
    }
}

/// Images with their regions.
pub(crate) struct Masked {
    pub(crate) images: Vec<PlannedImage>,
    /// Those whose masks cannot be used.
    pub(crate) rejected: Vec<Rejected>,
    /// Nothing where images tell their regions themselves, or have none.
    pub(crate) regions: Option<PlannedRegions>,
}

/// Reads the masks of `images`, which are then told what their regions are named. An image whose mask cannot be used is set
/// aside.
///
/// # Errors
/// When masks cannot be found, or none belongs to an image.
pub(crate) fn read(
    spec: &JobSpec,
    (files, base): (&Files, &str),
    images: Vec<PlannedImage>,
    limits: &Limits,
) -> Result<Masked, PlanRegionError> {
    let Some(region) = spec.region.as_ref().filter(|region| !region.is_nonblank() && !images.is_empty())
    else {
        return Ok(Masked { images, rejected: Vec::new(), regions: None });
    };
    let classes = ClassList::new(spec.class_names()).map_err(PlanTruthError::from)?;
    // A mask is read for its numbers alone.
    let rules = LabelRules {
        ignore: IgnoreRule::Nothing,
        nodata: NodataRule::Value,
        unnamed: true,
        ..LabelRules::default()
    };
    let fetched = fetch(spec, &region.masks(), (files, base), &images, (&rules, &classes), limits)?;
    let folder = tempfile::Builder::new().prefix("regions-").tempdir_in(&limits.scratch_dir)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let masks: HashMap<usize, usize> = fetched.pairs.iter().copied().collect();
    let places: Vec<usize> = (0..images.len()).collect();
    let work = |&place: &usize| {
        let (image, mask) = (&images[place], masks.get(&place).copied());
        let found = found(fetched.source.as_ref(), mask, image, region.margin_px, limits)?;
        let image = image.clone().within(&found.name());
        store(folder.path(), &image, &found).map_err(|error| format!("the temporary folder: {error}"))?;
        Ok::<_, String>(image)
    };
    let results = parallel_map(&places, threads, work, |_| false);
    let (mut planned, mut rejected) = (Vec::new(), Vec::new());
    for (place, result) in results.into_iter().enumerate() {
        let PlannedImage { id, uri, .. } = &images[place];
        match result {
            Some(Ok(image)) => planned.push(image),
            Some(Err(reason)) => {
                let reason = format!("region: {reason}");
                rejected.push(Rejected { id: id.clone(), uri: uri.clone(), reason });
            }
            None => {}
        }
    }
    let (notes, warnings) = told(&fetched);
    Ok(Masked { images: planned, rejected, regions: Some(PlannedRegions { folder, notes, warnings }) })
}

/// What there is to tell of what belongs to what, and what is odd about it.
fn told(fetched: &Fetched) -> (Vec<String>, Vec<String>) {
    let mut notes: Vec<String> = fetched.notes.iter().map(|note| format!("region: {note}")).collect();
    let alone = &fetched.images_alone;
    if !alone.is_empty() {
        let images = counted(alone.len(), "image");
        notes.push(format!("region: {images} without a mask, computed whole: {}", shown(alone)));
    }
    let mut warnings: Vec<String> = fetched.twice.iter().cloned().collect();
    let masks = &fetched.labels_alone;
    if !masks.is_empty() {
        warnings.push(format!("{} of no image: {}", counted(masks.len(), "mask"), shown(masks)));
    }
    warnings.extend(fetched.source.warnings());
    (notes, warnings)
}

/// The region of an image by its mask; the whole image where it has none.
fn found(
    source: &dyn LabelSource,
    mask: Option<usize>,
    image: &PlannedImage,
    margin_px: u32,
    limits: &Limits,
) -> Result<ImageRegion, String> {
    let Some(entry) = mask else {
        return Ok(ImageRegion { region: Region::whole(image.size), finding: Finding::NoMask });
    };
    let path = &source.entries()[entry].path;
    let bytes = image.size.area().saturating_mul(BYTES_PER_PIXEL);
    if bytes > limits.memory_bytes {
        return Err(format!(
            "{path}: reading the mask of {} px takes {} MB; limits.image_mb allows {}: raise it",
            image.size.area(),
            bytes.div_ceil(1 << 20),
            limits.memory_bytes >> 20
        ));
    }
    let mut raw = RawLabel::default();
    source.read(entry, Some(image.size), &mut raw).map_err(|error| chain(&error))?;
    if raw.size != image.size {
        let turned =
            if raw.size == image.size.transposed() { ", and would fit if it were turned" } else { "" };
        return Err(format!(
            "{path} is {} px, and its image {} px{turned}: a mask must have its image's size; resize it by the nearest pixel",
            raw.size, image.size
        ));
    }
    if raw.facts.lossy {
        return Err(format!(
            "{path} is stored with loss, so that its 0 is not 0 everywhere: save the mask as PNG or TIFF"
        ));
    }
    if raw.facts.alpha_varies {
        return Err(format!(
            "{path} has an alpha channel that is not opaque everywhere: save the mask without it, as one channel of 0 and another \
             number"
        ));
    }
    let width = image.size.width.max(1) as usize;
    let mut builder = RegionBuilder::new(image.size, CELLS_MAX);
    for ((y, values), missing) in
        (0..).zip(raw.values.chunks_exact(width)).zip(raw.missing.chunks_exact(width))
    {
        // What a mask says nothing of may be inside.
        builder.row(y, values.iter().zip(missing).map(|(value, missing)| *value != 0 || *missing));
    }
    Ok(ImageRegion { region: builder.finish().grown(margin_px), finding: Finding::Bounded })
}

fn store(folder: &Path, image: &PlannedImage, found: &ImageRegion) -> io::Result<()> {
    let stored = found.to_bytes(image.content_key()).map_err(io::Error::other)?;
    std::fs::write(folder.join(image.content_key()), stored)
}
