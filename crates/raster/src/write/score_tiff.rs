//! Scores as tiled BigTIFF.

use super::big_tiff::Values;
use super::error::Result;
use super::geo::GeoTags;
use super::scores::{BandGuard, ScoreDepth};
use super::sink::ScoreSink;
use super::tiles::{TiffOptions, TiffSample, TiledTiff, band_names};
use marquetry_geometry::Size;
use std::io::{Seek, Write};

/// Writes the probabilities of an image as a tiled BigTIFF with a band for each class, named after it.
///
/// Halves (`F16`) are a band of type Float16 in GDAL from 3.11; older ones show it as Float32. Memory: one row of
/// tiles, `C · tile_px · W` samples; take smaller tiles for wide images of many classes.
#[derive(Debug)]
pub struct ScoreTiff<W: Write + Seek> {
    bands: BandGuard,
    depth: ScoreDepth,
    width: usize,
    classes: Vec<String>,
    geo: Option<GeoTags>,
    tiles: TiledTiff<W>,
}

impl<W: Write + Seek + Send> ScoreTiff<W> {
    /// For an image of `size` px with one name for each class; `geo` is where its source lies on earth. `out` must be
    /// empty.
    ///
    /// # Errors
    /// When the image is empty, there are too many classes, the tiles are no multiple of 16 px, or the header cannot be
    /// written.
    pub fn new(
        out: W,
        size: Size,
        classes: Vec<String>,
        depth: ScoreDepth,
        geo: Option<GeoTags>,
        options: TiffOptions,
    ) -> Result<Self> {
        let sample = match depth {
            ScoreDepth::U8 => TiffSample::U8,
            ScoreDepth::F16 => TiffSample::F16,
        };
        let tiles = TiledTiff::new(out, "a TIFF of scores", size, classes.len(), sample, options)?;
        let bands = BandGuard::new(size, classes.len());
        Ok(Self { bands, depth, width: size.width as usize, classes, geo, tiles })
    }
}

impl<W: Write + Seek + Send> ScoreSink for ScoreTiff<W> {
    fn band(&mut self, scores: &[f32], rows: u32) -> Result<()> {
        self.bands.admit(scores, rows)?;
        let (rows, width, depth) = (rows as usize, self.width, self.depth);
        (0..rows).try_for_each(|row| {
            self.tiles
                .row(|plane, bytes| depth.encode(&scores[(plane * rows + row) * width..][..width], bytes))
        })
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.bands.complete()?;
        let tags = vec![(262, Values::Short(vec![1])), band_names(&self.classes)];
        self.tiles.finish(tags, self.geo.as_ref())
    }
}
