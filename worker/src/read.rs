//! The pixels of windows, resized and padded as their group asks.

use crate::Failure;
use crate::image::OpenImage;
use marquetry_geometry::{Padding, Rect, Size, Tap, taps};
use marquetry_raster::read::Pixels;
use std::time::Instant;

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

    /// Samples of `window`, which is number `k` of the item; read unless they are there with the same padding.
    pub(crate) fn get(
        &mut self,
        k: usize,
        image: &OpenImage,
        scaled: Size,
        window: Rect,
        padding: Padding,
    ) -> Result<&[f32], Failure> {
        let samples = &mut self.windows[k];
        if samples.padding != Some(padding) {
            samples.padding = None;
            let started = Instant::now();
            self.reader.read(image, scaled, window, padding, &mut samples.values)?;
            samples.padding = Some(padding);
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
    /// Sample values of `window`, a rectangle of the image resized to `scaled` px, as planes `[bands, H, W]`.
    /// Constant padding is left as infinity, and what the image does not have as NaN, for the caller to fill in after
    /// normalising.
    fn read(
        &mut self,
        image: &OpenImage,
        scaled: Size,
        window: Rect,
        padding: Padding,
        out: &mut Vec<f32>,
    ) -> Result<(), Failure> {
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
            self.read_resized(image, native, scaled, part)?;
            gather(&self.resized, part.size, &rows, &cols, out);
        }
        Ok(())
    }

    /// `part` of the resized image, sampled on the grid of the whole of it, so that windows do not show.
    fn read_resized(
        &mut self,
        image: &OpenImage,
        native: Size,
        scaled: Size,
        part: Rect,
    ) -> Result<(), Failure> {
        let range = |start: i64, len: u32| (start as u32, start as u32 + len);
        let (from, to) = range(part.top, part.size.height);
        let rows = taps(native.height, scaled.height, from, to);
        let (from, to) = range(part.left, part.size.width);
        let cols = taps(native.width, scaled.width, from, to);
        let span = |taps: &[Tap]| (taps[0].low, taps[taps.len() - 1].high + 1);
        let ((top, bottom), (left, right)) = (span(&rows), span(&cols));
        let source = Rect::new(i64::from(top), i64::from(left), Size::new(bottom - top, right - left));
        image.image.read(source, &mut self.pixels)?;
        let width = source.size.width as usize;
        self.resized.clear();
        for band in self.pixels.data.chunks_exact(source.size.area() as usize) {
            for row in &rows {
                let line = |y: u32| &band[(y - top) as usize * width..][..width];
                let (low, high) = (line(row.low), line(row.high));
                self.resized.extend(cols.iter().map(|col| {
                    let (l, r) = ((col.low - left) as usize, (col.high - left) as usize);
                    let a = between(low[l], low[r], col.weight);
                    let b = between(high[l], high[r], col.weight);
                    between(a, b, row.weight)
                }));
            }
        }
        Ok(())
    }
}

/// What lies between two samples; where one of them is NaN the other one alone.
fn between(a: f32, b: f32, weight: f32) -> f32 {
    if a.is_nan() {
        b
    } else if b.is_nan() {
        a
    } else {
        a + (b - a) * weight
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
