//! Opened images, shared by all lanes.

use crate::Failure;
use marquetry_geometry::{Reading, Rect, Size};
use marquetry_imagery::PlannedVersion;
use marquetry_job::tile::MissingPixels;
use marquetry_job::{BandStatistics, ImageStatistics, PlannedImage};
use marquetry_raster::read::{Depth, Image, Limits, Pixels};
use marquetry_transport::Files;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

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
    /// Mean and standard deviation of each band, once a task that wants them has fetched them.
    statistics: OnceLock<ImageStatistics>,
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

    /// The image, opened now or shared with another task. Takes as long as fetching and decoding do; others that want
    /// the same image wait, so that no two tasks decode one image twice.
    pub(crate) fn open(&self, planned: &PlannedImage, reading: &Reading) -> Result<Arc<OpenImage>, Failure> {
        // Two jobs may read one file in two ways.
        let shared = self.shared(&format!("{} {reading:?}", planned.key));
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = shared.upgrade() {
            return Ok(image);
        }
        let image =
            self.in_planned_version(planned, reading, |version| version.open(&self.files, &self.limits))?;
        let opened = Arc::new(OpenImage { image, statistics: OnceLock::new() });
        *shared = Arc::downgrade(&opened);
        Ok(opened)
    }

    /// Checks that the image is still the planned one: what was made of it is not stored otherwise.
    pub(crate) fn check(&self, planned: &PlannedImage) -> Result<(), Failure> {
        let reading = Reading::default();
        Ok(self.in_planned_version(planned, &reading, |version| version.stat(&self.files)).map(drop)?)
    }

    fn in_planned_version<T>(
        &self,
        planned: &PlannedImage,
        reading: &Reading,
        read: impl FnOnce(PlannedVersion<'_>) -> T,
    ) -> T {
        read(PlannedVersion {
            uri: &planned.uri,
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
    /// What one sample is multiplied by to come to 0 to 1, if its depth says what full is.
    pub(crate) fn unit_scale(&self) -> f64 {
        let info = self.image.info();
        match info.depth {
            Depth::U8 | Depth::U16 => 1.0 / ((1_u32 << info.bits) - 1) as f64,
            Depth::F32 => 1.0,
        }
    }

    /// Mean and standard deviation of each band over the whole image, in sample values, if they are known.
    pub(crate) fn statistics(&self) -> Option<&[BandStatistics]> {
        self.statistics.get().map(ImageStatistics::bands)
    }

    /// Makes them known to all tasks of the image. Whoever is first counts: all come to the same.
    pub(crate) fn set_statistics(&self, statistics: ImageStatistics) {
        let _ = self.statistics.set(statistics);
    }

    /// Measures mean and standard deviation of each band, row by row in f64, so that every worker comes to the same bits.
    pub(crate) fn measure(&self) -> Result<Vec<BandStatistics>, Failure> {
        let info = self.image.info();
        // Sums of what is left over a first value, so that a great mean takes nothing from a small deviation.
        let mut sums: Vec<Option<Moments>> = vec![None; usize::from(info.bands)];
        let mut pixels = Pixels::default();
        for top in (0..info.size.height).step_by(STRIP_PX as usize) {
            let mut strip = Rect::whole(info.size);
            strip.top = i64::from(top);
            strip.size.height = STRIP_PX.min(info.size.height - top);
            self.image.read(strip, &mut pixels)?;
            for (band, sums) in pixels.data.chunks_exact(strip.size.area() as usize).zip(&mut sums) {
                // Missing pixels are NaN.
                let Some(&first) = band.iter().find(|sample| !sample.is_nan()) else { continue };
                sums.get_or_insert(Moments::over(f64::from(first))).add(band);
            }
        }
        Ok(sums.into_iter().map(|sums| sums.unwrap_or(Moments::over(0.0)).statistics()).collect())
    }

    /// Which pixels of `rect` are missing; `None` if none is. Read strip by strip.
    pub(crate) fn missing(&self, rect: Rect) -> Result<Option<MissingPixels>, Failure> {
        if !self.image.may_miss() {
            return Ok(None);
        }
        let mut missing = MissingPixels::none(rect);
        let mut pixels = Pixels::default();
        let width = rect.size.width as usize;
        for top in (0..rect.size.height).step_by(STRIP_PX as usize) {
            let size = Size::new(STRIP_PX.min(rect.size.height - top), rect.size.width);
            self.image.read(Rect::new(rect.top + i64::from(top), rect.left, size), &mut pixels)?;
            // A pixel is missing in all bands or in none.
            let first = &pixels.data[..size.area() as usize];
            for (at, _) in first.iter().enumerate().filter(|(_, sample)| sample.is_nan()) {
                missing.mark(top as usize + at / width, at % width);
            }
        }
        Ok(missing.any().then_some(missing))
    }
}

/// Sums of one band's samples over a value near them: Σ (v − over) and Σ (v − over)².
#[derive(Debug, Clone, Copy)]
struct Moments {
    over: f64,
    sum: f64,
    squares: f64,
    count: u64,
}

impl Moments {
    const fn over(over: f64) -> Self {
        Self { over, sum: 0.0, squares: 0.0, count: 0 }
    }

    fn add(&mut self, samples: &[f32]) {
        for &sample in samples.iter().filter(|sample| !sample.is_nan()) {
            self.count += 1;
            let value = f64::from(sample) - self.over;
            self.sum += value;
            self.squares += value * value;
        }
    }

    fn statistics(self) -> BandStatistics {
        let n = self.count.max(1) as f64;
        let mean = self.sum / n;
        let std = (self.squares / n - mean * mean).max(0.0).sqrt();
        BandStatistics { mean: self.over + mean, std }
    }
}

#[cfg(test)]
mod tests {
    use super::Moments;

    /// By two passes in f64, as `numpy.std` takes.
    #[test]
    fn a_great_mean_takes_nothing_from_a_small_deviation() {
        for mean in [0.0, 255.0, 1e6, 1e7] {
            let sample = |i: i32| (mean + f64::from(i * 79 % 100) / 10.0) as f32;
            let samples: Vec<f32> = (0..10_000).map(sample).collect();
            let n = samples.len() as f64;
            let plain_mean = samples.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let plain_std =
                (samples.iter().map(|&v| (f64::from(v) - plain_mean).powi(2)).sum::<f64>() / n).sqrt();
            let mut moments = Moments::over(f64::from(samples[0]));
            samples.chunks(777).for_each(|part| moments.add(part));
            let found = moments.statistics();
            assert!(
                (found.mean - plain_mean).abs() < 1e-9 * (1.0 + mean),
                "{mean}: {found:?}, not {plain_mean}"
            );
            assert!((found.std - plain_std).abs() < 1e-9 * plain_std, "{mean}: {found:?}, not {plain_std}");
        }
        let mut constant = Moments::over(f64::from(0.1_f32));
        constant.add(&[0.1; 1000]);
        assert!(constant.statistics().std == 0.0);
    }
}
