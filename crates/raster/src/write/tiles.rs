//! A tiled BigTIFF, written a row of tiles at a time.

use super::big_tiff::{BigTiff, Values};
use super::error::{Result, WriteError};
use super::geo::GeoTags;
use marquetry_geometry::Size;
use std::io::{Seek, Write};

/// Deflate, which every program reads.
const COMPRESSION: u16 = 8;

fn compress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// How a TIFF is cut into tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TiffOptions {
    /// Side of a tile, px; a multiple of 16.
    pub tile_px: u32,
}

impl Default for TiffOptions {
    /// Tiles of 512 px.
    fn default() -> Self {
        Self { tile_px: 512 }
    }
}

/// What the samples of a TIFF are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TiffSample {
    U8,
    U16,
    F16,
}

impl TiffSample {
    const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::F16 => 2,
        }
    }
}

/// Takes rows of samples, keeps one row of tiles, and writes planes one beside the other.
pub(super) struct TiledTiff<W> {
    file: BigTiff<W>,
    what: &'static str,
    size: Size,
    planes: usize,
    sample: TiffSample,
    options: TiffOptions,
    /// The rows of the row of tiles in hand, `[planes, rows, W]` in bytes, room for a whole one.
    band: Vec<u8>,
    band_rows: usize,
    /// Offset and length of each tile, in the order of its row of tiles, plane, column.
    written: Vec<(u64, u64)>,
}

impl<W> std::fmt::Debug for TiledTiff<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TiledTiff")
            .field("size", &self.size)
            .field("planes", &self.planes)
            .finish_non_exhaustive()
    }
}

impl<W: Write + Seek> TiledTiff<W> {
    pub(super) fn new(
        out: W,
        what: &'static str,
        size: Size,
        planes: usize,
        sample: TiffSample,
        options: TiffOptions,
    ) -> Result<Self> {
        let TiffOptions { tile_px } = options;
        if tile_px == 0 || !tile_px.is_multiple_of(16) || tile_px > 1 << 14 {
            let found = format!("tiles of {tile_px} px; allowed are multiples of 16 up to 16384");
            return Err(WriteError::impossible(what, found));
        }
        if size.is_empty() || planes > u16::MAX as usize {
            return Err(WriteError::impossible(what, format!("{planes} planes of {size} px")));
        }
        let rows = (tile_px as usize).min(size.height as usize);
        let band = vec![0; planes * rows * size.width as usize * sample.bytes()];
        let file = BigTiff::new(out, what)?;
        Ok(Self { file, what, size, planes, sample, options, band, band_rows: 0, written: Vec::new() })
    }

    /// Bytes of one row of one plane.
    fn row_bytes(&self) -> usize {
        self.size.width as usize * self.sample.bytes()
    }

    /// Rows that the row of tiles in hand can hold.
    fn band_height(&self) -> usize {
        self.band.len() / (self.planes * self.row_bytes())
    }

    /// Takes the next row: `fill` writes each plane's bytes. Rows past the last are the caller's fault.
    pub(super) fn row(&mut self, mut fill: impl FnMut(usize, &mut [u8])) -> Result<()> {
        let (row_bytes, height) = (self.row_bytes(), self.band_height());
        for plane in 0..self.planes {
            fill(plane, &mut self.band[(plane * height + self.band_rows) * row_bytes..][..row_bytes]);
        }
        self.band_rows += 1;
        if self.band_rows == height { self.flush_tiles() } else { Ok(()) }
    }

    /// Compresses and writes the row of tiles in hand.
    fn flush_tiles(&mut self) -> Result<()> {
        let side = self.options.tile_px as usize;
        let (row_bytes, height) = (self.row_bytes(), self.band_height());
        let tile_row = side * self.sample.bytes();
        let mut tile = vec![0; side * tile_row];
        for plane in 0..self.planes {
            for left in (0..row_bytes).step_by(tile_row) {
                let length = tile_row.min(row_bytes - left);
                // What overhangs the image is zero, so that the bytes hang on nothing else.
                tile.fill(0);
                for row in 0..self.band_rows {
                    let from = (plane * height + row) * row_bytes + left;
                    tile[row * tile_row..][..length].copy_from_slice(&self.band[from..from + length]);
                }
                let compressed = compress(&tile).map_err(WriteError::io(self.what))?;
                let at = self.file.append(&compressed)?;
                self.written.push((at, compressed.len() as u64));
            }
        }
        self.band_rows = 0;
        Ok(())
    }

    /// Writes the directory: `extra` tags beside those of the layout, and where the image lies on earth.
    pub(super) fn finish(mut self, extra: Vec<(u16, Values)>, geo: Option<&GeoTags>) -> Result<()> {
        if self.band_rows > 0 {
            self.flush_tiles()?;
        }
        let side = self.options.tile_px;
        let (across, planes) = (self.size.width.div_ceil(side) as usize, self.planes);
        let down = self.size.height.div_ceil(side) as usize;
        // TIFF wants all tiles of the first plane before those of the second.
        let order =
            (0..planes).flat_map(|p| (0..down).flat_map(move |y| (0..across).map(move |x| (y, p, x))));
        let (offsets, lengths) = order.map(|(y, p, x)| self.written[(y * planes + p) * across + x]).unzip();
        let bits = self.sample.bytes() as u16 * 8;
        let format = if self.sample == TiffSample::F16 { 3 } else { 1 };
        let mut tags = vec![
            (256, Values::Long(vec![self.size.width])),
            (257, Values::Long(vec![self.size.height])),
            (258, Values::Short(vec![bits; planes])),
            (259, Values::Short(vec![COMPRESSION])),
            (277, Values::Short(vec![planes as u16])),
            (284, Values::Short(vec![if planes > 1 { 2 } else { 1 }])),
            (322, Values::Long(vec![side])),
            (323, Values::Long(vec![side])),
            (324, Values::Long8(offsets)),
            (325, Values::Long8(lengths)),
            (339, Values::Short(vec![format; planes])),
        ];
        if planes > 1 {
            // Extra samples of no declared meaning: not alpha.
            tags.push((338, Values::Short(vec![0; planes - 1])));
        }
        tags.extend(extra);
        tags.extend(geo.map(GeoTags::tags).unwrap_or_default());
        self.file.finish(tags)
    }
}

/// The tag of GDAL's XML: here, the names of the bands.
pub(super) fn band_names(names: &[String]) -> (u16, Values) {
    use std::fmt::Write as _;
    let mut xml = "<GDALMetadata>\n".to_owned();
    for (index, name) in names.iter().enumerate() {
        let name = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        writeln!(xml, "  <Item name=\"DESCRIPTION\" sample=\"{index}\" role=\"description\">{name}</Item>")
            .expect("a string takes any text");
    }
    (42112, Values::Ascii((xml + "</GDALMetadata>\n").into_bytes()))
}
