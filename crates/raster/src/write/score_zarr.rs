//! Scores as a Zarr array in a folder.

use super::error::{Result, WriteError};
use super::scores::{BandGuard, ScoreDepth};
use super::sink::ScoreSink;
use marquetry_geometry::Size;
use std::path::{Path, PathBuf};

const WHAT: &str = "a Zarr array of scores";

/// Bytes of a decoded chunk that are not gone beyond where more than one class is in it.
const CHUNK_BYTES: usize = 4 << 20;

/// Writes the probabilities of an image as a Zarr array `[C, H, W]` in a folder.
///
/// Format 2, which zarr-python 2 and 3, GDAL, `TensorStore`, dask, xarray, napari and zarrita all read. Chunks are
/// compressed with zstd; each holds `side` px squared of as many classes as fit 4 MiB, so that a window of an image is a
/// few files. Attributes: `classes` (names), `space` (`probabilities`), `scale` (what a stored 1.0 is: 255 or 1), and
/// the axes for xarray. Memory: one row of chunks, `C · side · W` samples.
#[derive(Debug)]
pub struct ScoreZarr {
    folder: PathBuf,
    bands: BandGuard,
    size: Size,
    classes: usize,
    depth: ScoreDepth,
    /// Classes, rows and columns of a chunk.
    chunk: [usize; 3],
    /// The rows of the row of chunks in hand, `[C, side, W]` in bytes.
    band: Vec<u8>,
    band_rows: usize,
    next_chunk_row: usize,
}

impl ScoreZarr {
    /// Starts an array in `folder`, which is created and must be empty. `side_px` is the side of a chunk, 512 by
    /// custom.
    ///
    /// # Errors
    /// When the image is empty, there is no class or no side, or the folder is in use or cannot be written.
    pub fn new(
        folder: impl Into<PathBuf>,
        size: Size,
        classes: &[String],
        depth: ScoreDepth,
        side_px: u32,
    ) -> Result<Self> {
        let folder = folder.into();
        if size.is_empty() || classes.is_empty() || !(1..=1 << 14).contains(&side_px) {
            let found = format!("{} classes of {size} px in chunks of {side_px} px", classes.len());
            return Err(WriteError::impossible(WHAT, found));
        }
        let io = WriteError::io(WHAT);
        std::fs::create_dir_all(&folder).map_err(&io)?;
        if std::fs::read_dir(&folder).map_err(&io)?.next().is_some() {
            let found = format!("{} is not empty; choose another folder", folder.display());
            return Err(WriteError::impossible(WHAT, found));
        }
        let side = side_px as usize;
        let chunk = chunk(classes.len(), depth, side);
        describe(&folder, size, classes, depth, chunk).map_err(&io)?;
        let rows = side.min(size.height as usize);
        let band = vec![0; classes.len() * rows * size.width as usize * depth.bytes()];
        Ok(Self {
            folder,
            bands: BandGuard::new(size, classes.len()),
            size,
            classes: classes.len(),
            depth,
            chunk,
            band,
            band_rows: 0,
            next_chunk_row: 0,
        })
    }

    /// Says in the array's attributes that its planes are something else than the probabilities of classes: `attributes` stand
    /// there instead, with what a stored 1.0 is (`scale`).
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn with_attributes(self, mut attributes: serde_json::Value) -> Result<Self> {
        attributes["scale"] = scale(self.depth).into();
        let text = format!("{attributes:#}\n");
        std::fs::write(self.folder.join(".zattrs"), text).map_err(WriteError::io(WHAT))?;
        Ok(self)
    }

    fn row_bytes(&self) -> usize {
        self.size.width as usize * self.depth.bytes()
    }

    fn band_height(&self) -> usize {
        self.chunk[1].min(self.size.height as usize)
    }

    /// Compresses and writes the row of chunks in hand.
    fn flush_chunks(&mut self) -> std::io::Result<()> {
        let [deep, side, _] = self.chunk;
        let (row_bytes, height) = (self.row_bytes(), self.band_height());
        let chunk_row = side * self.depth.bytes();
        let mut chunk = vec![0; deep * side * chunk_row];
        for (z, first) in (0..self.classes).step_by(deep).enumerate() {
            let folder = self.folder.join(z.to_string()).join(self.next_chunk_row.to_string());
            std::fs::create_dir_all(&folder)?;
            for (x, left) in (0..row_bytes).step_by(chunk_row).enumerate() {
                let length = chunk_row.min(row_bytes - left);
                // What overhangs the image is zero, so that the bytes hang on nothing else.
                chunk.fill(0);
                for class in first..(first + deep).min(self.classes) {
                    for row in 0..self.band_rows {
                        let from = (class * height + row) * row_bytes + left;
                        let to = ((class - first) * side + row) * chunk_row;
                        chunk[to..to + length].copy_from_slice(&self.band[from..from + length]);
                    }
                }
                std::fs::write(folder.join(x.to_string()), zstd::bulk::compress(&chunk, 3)?)?;
            }
        }
        self.next_chunk_row += 1;
        self.band_rows = 0;
        Ok(())
    }
}

/// `[C, H, W]` of a chunk of `classes` classes.
fn chunk(classes: usize, depth: ScoreDepth, side: usize) -> [usize; 3] {
    let deep = (CHUNK_BYTES / (side * side * depth.bytes())).clamp(1, classes);
    // The same number in every chunk, as nearly as can be: 20 classes are 10 and 10, not 16 and 4.
    [classes.div_ceil(classes.div_ceil(deep)), side, side]
}

/// The files of an array of `classes` classes, each by its path below the array's folder: what says what it is, and its chunks. A
/// reader takes a chunk that is not there for zeros.
pub fn zarr_files(size: Size, classes: usize, depth: ScoreDepth, side_px: u32) -> Vec<String> {
    let mut files = vec![".zarray".to_owned(), ".zattrs".to_owned()];
    if classes == 0 || side_px == 0 {
        return files;
    }
    let [deep, ..] = chunk(classes, depth, side_px as usize);
    for z in 0..classes.div_ceil(deep) {
        for y in 0..size.height.div_ceil(side_px) {
            files.extend((0..size.width.div_ceil(side_px)).map(|x| format!("{z}/{y}/{x}")));
        }
    }
    files
}

/// What a stored 1.0 is.
const fn scale(depth: ScoreDepth) -> u32 {
    match depth {
        ScoreDepth::U8 => 255,
        ScoreDepth::F16 => 1,
    }
}

/// Writes the two files that say what the array is.
fn describe(
    folder: &Path,
    size: Size,
    classes: &[String],
    depth: ScoreDepth,
    chunk: [usize; 3],
) -> std::io::Result<()> {
    let dtype = match depth {
        ScoreDepth::U8 => "|u1",
        ScoreDepth::F16 => "<f2",
    };
    let array = serde_json::json!({
        "zarr_format": 2,
        "shape": [classes.len(), size.height, size.width],
        "chunks": chunk,
        "dtype": dtype,
        "compressor": {"id": "zstd", "level": 3},
        "fill_value": 0,
        "filters": null,
        "order": "C",
        "dimension_separator": "/",
    });
    let attributes = serde_json::json!({
        "_ARRAY_DIMENSIONS": ["class", "y", "x"],
        "classes": classes,
        "space": "probabilities",
        "scale": scale(depth),
    });
    let write = |name, value: serde_json::Value| std::fs::write(folder.join(name), format!("{value:#}\n"));
    write(".zarray", array)?;
    write(".zattrs", attributes)
}

impl ScoreSink for ScoreZarr {
    fn band(&mut self, scores: &[f32], rows: u32) -> Result<()> {
        self.bands.admit(scores, rows)?;
        let (rows, width) = (rows as usize, self.size.width as usize);
        let (row_bytes, height) = (self.row_bytes(), self.band_height());
        for row in 0..rows {
            for class in 0..self.classes {
                let to = &mut self.band[(class * height + self.band_rows) * row_bytes..][..row_bytes];
                self.depth.encode(&scores[(class * rows + row) * width..][..width], to);
            }
            self.band_rows += 1;
            if self.band_rows == height {
                self.flush_chunks().map_err(WriteError::io(WHAT))?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.bands.complete()?;
        if self.band_rows > 0 {
            self.flush_chunks().map_err(WriteError::io(WHAT))?;
        }
        Ok(())
    }
}
