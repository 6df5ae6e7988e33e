//! Label maps as PNG.

use super::error::{Result, WriteError};
use super::legend::Legend;
use super::png_rows::PngRows;
use super::sink::{LabelSink, RowGuard};
use marquetry_geometry::Size;
use std::io::Write;

const WHAT: &str = "a PNG mask";

/// Writes a label map as a PNG: with a palette where every value is below 256, else as 16-bit grey. Without a palette it is
/// 8-bit grey where every value is below 256.
///
/// Pixels are the legend's values of classes, not colours. Memory: a few rows.
pub struct MaskPng<W: Write + Send + 'static> {
    rows: RowGuard,
    legend: Legend,
    wide: bool,
    bytes: Vec<u8>,
    stream: PngRows<W>,
}

impl<W: Write + Send + 'static> std::fmt::Debug for MaskPng<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MaskPng").field("rows", &self.rows).field("wide", &self.wide).finish_non_exhaustive()
    }
}

impl<W: Write + Send + 'static> MaskPng<W> {
    /// For an image of `size` px.
    ///
    /// # Errors
    /// When the legend is multi-label (use [`super::Split`]), the image is empty or has 2³¹ rows or columns, or the
    /// header cannot be written.
    pub fn new(out: W, size: Size, legend: &Legend) -> Result<Self> {
        Self::open(out, size, legend, true)
    }

    /// The same without a palette: programs that make colours of a palette read the labels.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn grey(out: W, size: Size, legend: &Legend) -> Result<Self> {
        Self::open(out, size, legend, false)
    }

    fn open(out: W, size: Size, legend: &Legend, palette: bool) -> Result<Self> {
        if legend.planes() > 1 {
            let found = "a multi-label image is one file for each class; split it";
            return Err(WriteError::impossible(WHAT, found));
        }
        if size.is_empty() || size.height > i32::MAX as u32 || size.width > i32::MAX as u32 {
            let found = format!("its size is {size} px, PNG has 1 to 2147483647 rows and columns; use TIFF");
            return Err(WriteError::impossible(WHAT, found));
        }
        let wide = legend.max_value() > 255;
        let mut encoder = png::Encoder::new(out, size.width, size.height);
        if wide {
            encoder.set_color(png::ColorType::Grayscale);
            encoder.set_depth(png::BitDepth::Sixteen);
        } else if !palette {
            encoder.set_color(png::ColorType::Grayscale);
            encoder.set_depth(png::BitDepth::Eight);
        } else {
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_depth(png::BitDepth::Eight);
            encoder.set_palette(legend.colour_table().concat());
        }
        // Class indices are no brightnesses: differences between them only hide the runs from the compressor.
        encoder.set_filter(png::Filter::NoFilter);
        let stream = PngRows::new(encoder.write_header().map_err(fault)?);
        Ok(Self {
            rows: RowGuard::new(size, legend),
            legend: legend.clone(),
            wide,
            bytes: Vec::new(),
            stream,
        })
    }
}

fn fault(error: png::EncodingError) -> WriteError {
    match error {
        png::EncodingError::IoError(source) => WriteError::Io { what: WHAT, source },
        other => WriteError::refused(WHAT, other),
    }
}

impl<W: Write + Send + 'static> LabelSink for MaskPng<W> {
    fn row(&mut self, values: &[u16]) -> Result<()> {
        self.rows.admit(values)?;
        self.bytes.clear();
        let values = values.iter().map(|&label| self.legend.value(label));
        if self.wide {
            self.bytes.extend(values.flat_map(u16::to_be_bytes));
        } else {
            self.bytes.extend(values.map(|value| value as u8));
        }
        self.stream.row(&self.bytes).map_err(fault)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.rows.complete()?;
        self.stream.finish().map_err(fault)
    }
}
