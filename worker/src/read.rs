//! The pixels of windows, resized and padded as their group asks.

use crate::Failure;
use crate::image::OpenImage;
use marquetry_geometry::{Kernel, Padding, Rect, Resample, Size};
use marquetry_raster::read::Pixels;
use std::time::Instant;

/// Numbers of a resized image's pixels that are read at once, at most: 16 MiB.
const STRIP_NUMBERS: usize = 4 << 20;

/// What a window shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// A rectangle of the resized image, which may reach beyond it.
    pub(crate) window: Rect,
    /// The size of the resized image, px.
    pub(crate) scaled: Size,
    /// How it comes to that.
    pub(crate) resample: Resample,
    /// What stands in beyond its border.
    pub(crate) padding: Padding,
}

/// The samples of the windows of one work item, read when they are asked for. Memory is kept from one item to the next.
#[derive(Debug, Default)]
pub(crate) struct WindowSamples {
    reader: WindowReader,
    windows: Vec<Samples>,
    /// Seconds spent on reading for this item.
    seconds: f64,
}

#[derive(Debug, Default)]
struct Samples {
    /// `[bands, H, W]`.
    values: Vec<f32>,
    /// How they are padded; none if nothing was read.
    padding: Option<Padding>,
}

impl WindowSamples {
    /// Forgets the item before; the next one has `windows` windows.
    pub(crate) fn start(&mut self, windows: usize) {
        self.windows.resize_with(windows, Samples::default);
        self.windows.iter_mut().for_each(|samples| samples.padding = None);
        self.seconds = 0.0;
    }

    /// Samples of what window number `k` of the item shows; read unless they are there with the same padding.
    pub(crate) fn get(&mut self, k: usize, image: &OpenImage, shown: Shown) -> Result<&[f32], Failure> {
        let samples = &mut self.windows[k];
        if samples.padding != Some(shown.padding) {
            samples.padding = None;
            let started = Instant::now();
            self.reader.read(image, shown, &mut samples.values)?;
            samples.padding = Some(shown.padding);
            self.seconds += started.elapsed().as_secs_f64();
        }
        Ok(&samples.values)
    }

    /// Seconds spent on reading for this item.
    pub(crate) const fn seconds(&self) -> f64 {
        self.seconds
    }
}

/// Reads windows; keeps its buffers from one to the next.
#[derive(Debug, Default)]
struct WindowReader {
    pixels: Pixels,
    resized: Vec<f32>,
    /// For each pixel of a resized part the share of it that is not missing.
    weights: Vec<f32>,
    /// One row of the image, as wide as the resized one, each with the share that is not missing.
    line: Vec<(f32, f32)>,
}

/// Where the rows (or columns) of a window come from, along one axis of the scaled image.
struct Axis {
    /// For each pixel of the window the scaled image's pixel that stands for it, counted from `first`.
    sources: Vec<Option<u32>>,
    first: u32,
    len: u32,
}

impl Axis {
    fn new(start: i64, window: u32, length: u32, padding: Padding) -> Self {
        let sources: Vec<Option<u32>> =
            (start..start + i64::from(window)).map(|i| padding.source(i, length)).collect();
        let first = sources.iter().flatten().min().copied().unwrap_or(0);
        let last = sources.iter().flatten().max().copied().unwrap_or(0);
        let sources = sources.into_iter().map(|s| s.map(|s| s - first)).collect();
        Self { sources, first, len: last - first + 1 }
    }

    /// Whether every pixel stands for itself.
    fn is_contiguous(&self) -> bool {
        self.sources.len() == self.len as usize
            && self.sources.iter().enumerate().all(|(i, source)| *source == Some(i as u32))
    }
}

impl WindowReader {
    /// Sample values of what is shown, as planes `[bands, H, W]`. Constant padding is left as infinity, and what the
    /// image does not have as NaN, for the caller to fill in after normalising.
    fn read(&mut self, image: &OpenImage, shown: Shown, out: &mut Vec<f32>) -> Result<(), Failure> {
        let Shown { window, scaled, resample, padding } = shown;
        let rows = Axis::new(window.top, window.size.height, scaled.height, padding);
        let cols = Axis::new(window.left, window.size.width, scaled.width, padding);
        let part = Rect::new(i64::from(rows.first), i64::from(cols.first), Size::new(rows.len, cols.len));
        let native = image.image.info().size;
        if scaled == native {
            image.image.read(part, &mut self.pixels)?;
            if rows.is_contiguous() && cols.is_contiguous() {
                // Nothing lies beyond the border: the pixels are the window.
                std::mem::swap(&mut self.pixels.data, out);
                return Ok(());
            }
            gather(&self.pixels.data, part.size, &rows, &cols, out);
        } else {
            let range = |start: i64, len: u32| (start as u32, start as u32 + len);
            let (from, to) = range(part.top, part.size.height);
            let down = resample.kernels(native.height, scaled.height, from, to);
            let (from, to) = range(part.left, part.size.width);
            let across = resample.kernels(native.width, scaled.width, from, to);
            self.read_resized(image, &down, &across, image.image.may_miss())?;
            if self.weights.is_empty() && self.resized.iter().any(|v| v.is_nan()) {
                // Something of it is damaged, which nobody knew before.
                self.read_resized(image, &down, &across, true)?;
            }
            gather(&self.resized, part.size, &rows, &cols, out);
        }
        Ok(())
    }

    /// The part of the resized image that these kernels make, whose sampling follows from the whole of it, so that windows
    /// do not show. The image is read in strips of rows, and summed from the top: an image shown at once may be large.
    /// `may_miss`: whether pixels may be missing.
    fn read_resized(
        &mut self,
        image: &OpenImage,
        down: &[Kernel],
        across: &[Kernel],
        may_miss: bool,
    ) -> Result<(), Failure> {
        let span = |kernels: &[Kernel]| {
            (kernels[0].first, kernels.iter().map(Kernel::end).max().unwrap_or(kernels[0].first))
        };
        let ((top, bottom), (left, right)) = (span(down), span(across));
        let (width, bands) = (right - left, usize::from(image.image.info().bands));
        let strip = (STRIP_NUMBERS / (width as usize * bands).max(1)).max(1) as u32;
        let mut sums =
            ResizedRows { down, across, left, resized: &mut self.resized, weights: &mut self.weights };
        sums.start(bands, may_miss);
        for first in (top..bottom).step_by(strip as usize) {
            let height = strip.min(bottom - first);
            let rect = Rect::new(i64::from(first), i64::from(left), Size::new(height, width));
            image.image.read(rect, &mut self.pixels)?;
            let planes = self.pixels.data.chunks_exact((height * width) as usize);
            for (band, plane) in planes.enumerate() {
                for (y, row) in (first..).zip(plane.chunks_exact(width as usize)) {
                    sums.add(band, y, row, &mut self.line);
                }
            }
        }
        sums.finish();
        Ok(())
    }
}

/// The part of a resized image that these kernels make, summed row by row.
struct ResizedRows<'a> {
    down: &'a [Kernel],
    across: &'a [Kernel],
    /// The first pixel of each row.
    left: u32,
    /// `[bands, down, across]`.
    resized: &'a mut Vec<f32>,
    /// The share of each that is not missing; empty where nothing may be.
    weights: &'a mut Vec<f32>,
}

/// A pixel of which less than this is there is missing.
const SHARE_MIN: f32 = 1e-3;

impl ResizedRows<'_> {
    fn start(&mut self, bands: usize, may_miss: bool) {
        let numbers = bands * self.down.len() * self.across.len();
        self.resized.clear();
        self.resized.resize(numbers, 0.0);
        self.weights.clear();
        self.weights.resize(if may_miss { numbers } else { 0 }, 0.0);
    }

    /// Adds row `y` of the image to the rows that are made of it.
    fn add(&mut self, band: usize, y: u32, row: &[f32], line: &mut Vec<(f32, f32)>) {
        let (width, mut is_new) = (self.across.len(), true);
        let start = self.down.partition_point(|kernel| kernel.end() <= y);
        let made = self.down.iter().enumerate().skip(start).take_while(|(_, kernel)| kernel.first <= y);
        for (at, kernel) in made {
            let share = kernel.shares[(y - kernel.first) as usize];
            if std::mem::take(&mut is_new) {
                line.clear();
                let may_miss = !self.weights.is_empty();
                line.extend(self.across.iter().map(|kernel| {
                    let pixels = &row[(kernel.first - self.left) as usize..];
                    let pairs = kernel.shares.iter().zip(pixels);
                    if !may_miss {
                        return (pairs.map(|(share, v)| share * v).sum::<f32>(), 1.0);
                    }
                    let there = pairs.filter(|(_, v)| !v.is_nan());
                    there.fold((0.0, 0.0), |(sum, all), (share, v)| (sum + share * v, all + share))
                }));
            }
            let place = (band * self.down.len() + at) * width;
            for (sum, (v, _)) in self.resized[place..][..width].iter_mut().zip(&*line) {
                *sum += share * v;
            }
            if !self.weights.is_empty() {
                for (sum, (_, all)) in self.weights[place..][..width].iter_mut().zip(&*line) {
                    *sum += share * all;
                }
            }
        }
    }

    /// Makes up for missing pixels; what is made of nothing else is missing too.
    fn finish(self) {
        for (v, share) in self.resized.iter_mut().zip(&*self.weights) {
            *v = if *share > SHARE_MIN { *v / *share } else { f32::NAN };
        }
    }
}

/// Copies `part`'s planes into window planes, each pixel from the one that stands for it.
fn gather(planes: &[f32], part: Size, rows: &Axis, cols: &Axis, out: &mut Vec<f32>) {
    let width = part.width as usize;
    let contiguous = cols.is_contiguous();
    out.clear();
    for plane in planes.chunks_exact(part.area() as usize) {
        for row in &rows.sources {
            let Some(row) = row.map(|r| &plane[r as usize * width..][..width]) else {
                out.extend(std::iter::repeat_n(f32::INFINITY, cols.sources.len()));
                continue;
            };
            if contiguous {
                out.extend_from_slice(row);
            } else {
                out.extend(cols.sources.iter().map(|c| c.map_or(f32::INFINITY, |c| row[c as usize])));
            }
        }
    }
}
