//! Opened images, shared by all lanes.

use crate::Failure;
use marquetry_geometry::Rect;
use marquetry_imagery::PlannedVersion;
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
        Self { limits, files: options.files.clone(), open: Mutex::default() }
    }

    /// The image, opened now or shared with another task. Takes as long as fetching and decoding do; others that want
    /// the same image wait, so that no two tasks decode one image twice.
    pub(crate) fn open(&self, planned: &PlannedImage) -> Result<Arc<OpenImage>, Failure> {
        let shared = self.shared(&planned.key);
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = shared.upgrade() {
            return Ok(image);
        }
        let version = PlannedVersion {
            uri: &planned.uri,
            size: planned.size,
            bands: planned.bands,
            is_planned: &|fingerprint| planned.is_version(fingerprint),
        };
        let image = version.open(&self.files, &self.limits)?;
        let opened = Arc::new(OpenImage { image, statistics: OnceLock::new() });
        *shared = Arc::downgrade(&opened);
        Ok(opened)
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
        match self.image.info().depth {
            Depth::U8 => 1.0 / 255.0,
            Depth::U16 => 1.0 / 65_535.0,
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
        let mut sums = vec![(0.0_f64, 0.0_f64); usize::from(info.bands)];
        let mut pixels = Pixels::default();
        for top in (0..info.size.height).step_by(STRIP_PX as usize) {
            let mut strip = Rect::whole(info.size);
            strip.top = i64::from(top);
            strip.size.height = STRIP_PX.min(info.size.height - top);
            self.image.read(strip, &mut pixels)?;
            for (band, (sum, squares)) in pixels.data.chunks_exact(strip.size.area() as usize).zip(&mut sums)
            {
                for &value in band {
                    *sum += f64::from(value);
                    *squares += f64::from(value) * f64::from(value);
                }
            }
        }
        let n = info.size.area() as f64;
        let moments = |&(sum, squares): &(f64, f64)| {
            let mean = sum / n;
            BandStatistics { mean, std: (squares / n - mean * mean).max(0.0).sqrt() }
        };
        Ok(sums.iter().map(moments).collect())
    }
}
