//! Opened images, shared by all lanes.

use crate::Failure;
use crate::measure::Measurement;
use marquetry_geometry::{Reading, Rect, Size};
use marquetry_imagery::PlannedVersion;
use marquetry_job::tile::MissingPixels;
use marquetry_job::{BandStatistics, ImageStatistics, Measure, MeasuredBands, PlannedImage, UnreadPart};
use marquetry_raster::read::luma_of;
use marquetry_raster::read::{DamagedPart, Image, Limits, Pixels};
use marquetry_region::Region;
use marquetry_transport::Files;
use marquetry_transport::uri::is_uri;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

/// Rows read at once for an image's statistics.
const STRIP_PX: u32 = 256;

/// What images may cost.
#[derive(Debug, Clone)]
pub struct ImageOptions {
    /// Images of more pixels are refused.
    pub pixels_max: u64,
    /// Most bytes of decoded pixels held for one image.
    pub memory_bytes: u64,
    /// Folder for the decoded pixels of images that are larger than that.
    pub scratch_dir: PathBuf,
    /// Where images are read from.
    pub files: Files,
    /// Whether files of this machine were planned on it: then they are the planned ones only while they are as long, and
    /// were written when, as then.
    pub planned_here: bool,
}

/// One opened image.
#[derive(Debug)]
pub(crate) struct OpenImage {
    pub(crate) image: Image,
    /// What its files were when it was opened, where that is enough to know that they have not changed since.
    stamps: Option<Vec<String>>,
    /// What was measured of it, once a task that wants it has fetched it.
    statistics: RwLock<Vec<MeasuredBands>>,
    /// Parts of it, by the keys under which they are stored.
    regions: RwLock<Vec<(String, Arc<Region>)>>,
}

/// The images that tasks are working on: tasks of one image share one decoded copy, which goes with the last of them.
#[derive(Debug)]
pub struct Images {
    limits: Limits,
    files: Files,
    planned_here: bool,
    open: Mutex<HashMap<String, Arc<Shared>>>,
}

/// Where one image is, or is about to be; locked while it is opened.
type Shared = Mutex<Weak<OpenImage>>;

impl Images {
    /// No image opened yet.
    pub fn new(options: &ImageOptions) -> Self {
        let limits = Limits {
            pixels_max: options.pixels_max,
            memory_bytes: options.memory_bytes,
            scratch_dir: options.scratch_dir.clone(),
        };
        Self {
            limits,
            files: options.files.clone(),
            planned_here: options.planned_here,
            open: Mutex::default(),
        }
    }

    /// Most pixels of an image.
    pub(crate) const fn pixels_max(&self) -> u64 {
        self.limits.pixels_max
    }

    /// The image, opened now or shared with another task. Takes as long as fetching and decoding do; others that want
    /// the same image wait, so that no two tasks decode one image twice.
    pub(crate) fn open(&self, planned: &PlannedImage, reading: &Reading) -> Result<Arc<OpenImage>, Failure> {
        let (pixels, max) = (planned.size.area(), self.limits.pixels_max);
        if pixels > max {
            let reason = format!(
                "image {} has {} million pixels, and this worker takes at most {} (--image-megapixels); the job's own \
                 limit (limits.image_pixels) is greater",
                planned.id,
                pixels.div_ceil(1_000_000),
                max / 1_000_000
            );
            // Another worker may take more; this one is not sick for it.
            return Err(Failure::passing(reason));
        }
        // Two jobs may read one file in two ways.
        let shared = self.shared(&format!("{} {reading:?}", planned.key));
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = shared.upgrade() {
            return Ok(image);
        }
        // Before anything is read.
        let stamps = self.stamps(planned);
        let image =
            self.in_planned_version(planned, reading, |version| version.open(&self.files, &self.limits))?;
        let opened =
            Arc::new(OpenImage { image, stamps, statistics: RwLock::default(), regions: RwLock::default() });
        *shared = Arc::downgrade(&opened);
        Ok(opened)
    }

    /// Checks that the image is still the planned one: what was made of it is not stored otherwise.
    pub(crate) fn check(&self, planned: &PlannedImage) -> Result<(), Failure> {
        let reading = Reading::default();
        Ok(self.in_planned_version(planned, &reading, |version| version.stat(&self.files)).map(drop)?)
    }

    /// The same of an image that was opened before: files of this machine that have not been touched since are still it.
    pub(crate) fn check_opened(&self, planned: &PlannedImage, opened: &OpenImage) -> Result<(), Failure> {
        if opened.stamps.is_some() && self.stamps(planned) == opened.stamps {
            return Ok(());
        }
        self.check(planned)
    }

    /// What the files of an image are now; `None` where that can change without a trace, or nobody knows what was planned.
    fn stamps(&self, planned: &PlannedImage) -> Option<Vec<String>> {
        if !self.planned_here || is_uri(&planned.uri) {
            return None;
        }
        let reading = Reading::default();
        self.in_planned_version(planned, &reading, |version| version.stamps(&self.files))
    }

    fn in_planned_version<T>(
        &self,
        planned: &PlannedImage,
        reading: &Reading,
        read: impl FnOnce(PlannedVersion<'_>) -> T,
    ) -> T {
        read(PlannedVersion {
            uri: &planned.uri,
            sidecars: &planned.sidecars,
            size: planned.size,
            bands: planned.bands,
            reading,
            is_planned: &|fingerprint| planned.is_version(fingerprint),
            planned_here: self.planned_here,
        })
    }

    fn shared(&self, key: &str) -> Arc<Shared> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody waits for and whose image is gone.
        open.retain(|_, shared| {
            Arc::strong_count(shared) > 1
                || shared.lock().unwrap_or_else(PoisonError::into_inner).strong_count() > 0
        });
        Arc::clone(open.entry(key.to_owned()).or_default())
    }
}

impl OpenImage {
    /// The sample value that is full, if the image's depth says so.
    pub(crate) fn full(&self) -> Option<f64> {
        self.image.info().full.map(f64::from)
    }

    /// What was measured in this way, if it is known.
    pub(crate) fn statistics(&self, measure: &Measure) -> Option<Vec<BandStatistics>> {
        let known = self.statistics.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|known| known.measure == *measure).map(|known| known.bands.clone())
    }

    /// The part of it that is stored under `key`, if it is known.
    pub(crate) fn region(&self, key: &str) -> Option<Arc<Region>> {
        let known = self.regions.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(known, _)| known == key).map(|(_, region)| Arc::clone(region))
    }

    /// Makes a part of it known to all tasks of the image. Whoever is first counts: all come to the same.
    pub(crate) fn set_region(&self, key: &str, region: Region) -> Arc<Region> {
        let mut known = self.regions.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, region)) = known.iter().find(|(known, _)| known == key) {
            return Arc::clone(region);
        }
        let region = Arc::new(region);
        known.push((key.to_owned(), Arc::clone(&region)));
        region
    }

    /// Which pixels of `rect`, and of `region` if that is given, are missing; `None` if none is. Read strip by strip.
    pub(crate) fn missing(
        &self,
        rect: Rect,
        region: Option<&Region>,
    ) -> Result<Option<MissingPixels>, Failure> {
        if !self.image.may_miss() && self.image.damage(rect).is_empty() {
            return Ok(None);
        }
        let mut missing = MissingPixels::none(rect);
        let mut pixels = Pixels::default();
        let width = rect.size.width as usize;
        let mut inside = vec![true; self.image.info().size.width as usize];
        for top in (0..rect.size.height).step_by(STRIP_PX as usize) {
            let size = Size::new(STRIP_PX.min(rect.size.height - top), rect.size.width);
            self.image.read(Rect::new(rect.top + i64::from(top), rect.left, size), &mut pixels)?;
            // A pixel is missing in all bands or in none.
            let first = &pixels.data[..size.area() as usize];
            for (row, samples) in (top..).zip(first.chunks_exact(width)) {
                if let Some(region) = region {
                    region.fill_row((rect.top + i64::from(row)) as u32, &mut inside);
                }
                let inside = &inside[rect.left.max(0) as usize..];
                for (col, _) in
                    samples.iter().enumerate().filter(|(col, sample)| sample.is_nan() && inside[*col])
                {
                    missing.mark(row as usize, col);
                }
            }
        }
        Ok(missing.any().then_some(missing))
    }

    /// What cannot be read of `rect`, all of which was read before.
    pub(crate) fn unread(&self, rect: Rect) -> Vec<UnreadPart> {
        let parts = self.image.damage(rect);
        let part = |part: DamagedPart| UnreadPart::new(part.rect, part.unit, part.number, &part.reason);
        UnreadPart::joined(parts.into_iter().map(part).collect())
    }

    /// Makes it known to all tasks of the image. Whoever is first counts: all come to the same.
    pub(crate) fn set_statistics(&self, statistics: &ImageStatistics) {
        let mut known = self.statistics.write().unwrap_or_else(PoisonError::into_inner);
        for measured in statistics.measured() {
            if known.iter().all(|known| known.measure != measured.measure) {
                known.push(measured.clone());
            }
        }
    }

    /// Measures the image in these ways, strip by strip in f64, so that every worker comes to the same bits.
    pub(crate) fn measure(&self, measures: Vec<Measure>) -> Result<Vec<MeasuredBands>, Failure> {
        let info = self.image.info();
        let (bands, luma) = (usize::from(info.bands), info.rgb);
        let new = |measure: &Measure| Measurement::new(measure.clone(), bands, luma);
        let mut measurements: Vec<Measurement> = measures.iter().map(new).collect();
        let (mut pixels, mut grey, mut goes_on) = (Pixels::default(), Vec::new(), true);
        while goes_on {
            for top in (0..info.size.height).step_by(STRIP_PX as usize) {
                let mut strip = Rect::whole(info.size);
                strip.top = i64::from(top);
                strip.size.height = STRIP_PX.min(info.size.height - top);
                self.image.read(strip, &mut pixels)?;
                let area = strip.size.area() as usize;
                if luma {
                    luma_of(&pixels.data, area, info.depth, &mut grey);
                }
                let planes = pixels.data.chunks_exact(area).chain(luma.then_some(grey.as_slice()));
                for (band, plane) in planes.enumerate() {
                    measurements.iter_mut().for_each(|measurement| measurement.add(band, plane));
                }
            }
            // Every measurement ends its pass.
            goes_on = measurements.iter_mut().fold(false, |more, measurement| measurement.next_pass() | more);
        }
        let ended = measures.into_iter().zip(&measurements);
        Ok(ended.map(|(measure, of)| MeasuredBands { measure, bands: of.finish() }).collect())
    }
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
