//! Label maps as tiled BigTIFF.

use super::big_tiff::Values;
use super::error::Result;
use super::geo::GeoTags;
use super::legend::Legend;
use super::sink::{LabelSink, RowGuard};
use super::tiles::{TiffOptions, TiffSample, TiledTiff, band_names};
use marquetry_geometry::Size;
use std::io::{Seek, Write};

/// Writes a label map as a tiled BigTIFF of one band with a colour table, or a multi-label image as a band for each
/// class. Samples have 8 bits where every value is below 256, else 16.
///
/// The ignore value, if there is one, is the file's GDAL nodata value. Memory: one row of tiles, `tile_px · W` samples
/// for each plane.
#[derive(Debug)]
pub struct MaskTiff<W: Write + Seek> {
    rows: RowGuard,
    legend: Legend,
    geo: Option<GeoTags>,
    wide: bool,
    /// Whether one band has a colour table.
    palette: bool,
    tiles: TiledTiff<W>,
}

impl<W: Write + Seek + Send> MaskTiff<W> {
    /// For an image of `size` px; `geo` is where its source lies on earth. `out` must be empty.
    ///
    /// # Errors
    /// When the image is empty, the tiles are no multiple of 16 px, or the header cannot be written.
    pub fn new(
        out: W,
        size: Size,
        legend: &Legend,
        geo: Option<GeoTags>,
        options: TiffOptions,
    ) -> Result<Self> {
        let wide = legend.max_value() > 255;
        let sample = if wide { TiffSample::U16 } else { TiffSample::U8 };
        let tiles = TiledTiff::new(out, "a TIFF mask", size, legend.planes(), sample, options)?;
        Ok(Self {
            rows: RowGuard::new(size, legend),
            legend: legend.clone(),
            geo,
            wide,
            palette: true,
            tiles,
        })
    }

    /// The same without a colour table: programs that make colours of one read the labels.
    #[must_use]
    pub fn grey(mut self) -> Self {
        self.palette = false;
        self
    }
}

impl<W: Write + Seek + Send> LabelSink for MaskTiff<W> {
    fn row(&mut self, values: &[u16]) -> Result<()> {
        self.rows.admit(values)?;
        let width = values.len() / self.legend.planes();
        // Planes of a multi-label image hold 0 and 1, which are no classes.
        let (wide, legend, single) = (self.wide, &self.legend, self.legend.planes() == 1);
        self.tiles.row(|plane, bytes| {
            let labels = &values[plane * width..][..width];
            let values = labels.iter().map(|&label| if single { legend.value(label) } else { label });
            if wide {
                let pairs = bytes.as_chunks_mut::<2>().0;
                pairs.iter_mut().zip(values).for_each(|(pair, value)| *pair = value.to_le_bytes());
            } else {
                bytes.iter_mut().zip(values).for_each(|(byte, value)| *byte = value as u8);
            }
        })
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.rows.complete()?;
        let mut tags = Vec::new();
        if self.legend.planes() > 1 {
            tags.push((262, Values::Short(vec![1])));
            tags.push(band_names(self.legend.names()));
        } else if !self.palette {
            tags.push((262, Values::Short(vec![1])));
        } else {
            tags.push((262, Values::Short(vec![3])));
            tags.push((320, Values::Short(colour_map(&self.legend, self.wide))));
        }
        if let Some(ignore) = self.legend.ignore_value() {
            tags.push((42113, Values::Ascii(ignore.to_string().into_bytes())));
        }
        self.tiles.finish(tags, self.geo.as_ref())
    }
}

/// All reds, all greens, all blues, of every value a sample can have, 0..=65535.
fn colour_map(legend: &Legend, wide: bool) -> Vec<u16> {
    let mut table = legend.colour_table();
    table.resize(if wide { 1 << 16 } else { 1 << 8 }, [0; 3]);
    (0..3).flat_map(|channel| table.iter().map(move |colour| u16::from(colour[channel]) * 257)).collect()
}
