//! The stored scores of one block.
//!
//! A tile is a [safetensors](https://github.com/huggingface/safetensors) file with one tensor, `scores`, of shape
//! `[H, C, W]`, cut into zstd frames: the header is the first one, then every [`ROWS_PER_FRAME`] rows are one. Where pixels
//! of the image are missing a second tensor, `missing`, says which: a bit each, in one more frame. The tile of a block that lies outside the region of
//! its image (`skipped`) has no row of scores. A
//! skippable frame with the lengths of all frames comes last (the "seekable" format of the zstd project), so that rows
//! can be read without the rest, while `zstd -d tile && python -c "safetensors.numpy.load_file(…)"` sees an ordinary
//! file. Every frame carries a checksum of its content, and the lengths must add up to the object's: a tile that was
//! cut short or changed is never read as one.

use crate::UnreadPart;
use crate::zstd_frame::{compress, decompress};
use half::f16;
use half::slice::HalfFloatSliceExt;
use marquetry_ensemble::ScoreSpace;
use marquetry_failure::{Classify, FailureClass};
use marquetry_geometry::Rect;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Rows of pixels in one frame: what an aggregator must hold at once of each tile.
pub const ROWS_PER_FRAME: u32 = 64;

const FORMAT: &str = "marquetry-tile-2";
const SKIPPABLE_MAGIC: u32 = 0x184D_2A5E;
const SEEKABLE_MAGIC: u32 = 0x8F92_EAB1;
/// Numbers converted at a time: few enough to stay in the first cache.
const HALVES: usize = 4096;

/// How scores are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TileDtype {
    /// Half precision: 3 decimal digits, 2 bytes.
    F16,
    /// Single precision, 4 bytes.
    F32,
    /// `round(255 · p)`, 1 byte; for probabilities alone.
    U8,
}

impl TileDtype {
    /// Bytes of one score.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::U8 => 1,
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    const fn safetensors(self) -> &'static str {
        match self {
            Self::F16 => "F16",
            Self::F32 => "F32",
            Self::U8 => "U8",
        }
    }
}

/// What a tile says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TileHeader {
    /// Names all that its scores hang on ([`crate::Inference::scores_of`]): other tiles are not used.
    pub scores: String,
    /// Names its image and that one's content ([`crate::PlannedImage::content_key`]).
    pub image: String,
    /// Place of its block in the group's grid, row-major.
    pub block: u32,
    /// The pixels of the group's (scaled) image that it covers.
    pub extent: Rect,
    /// Number of classes.
    pub classes: u32,
    /// What the scores are.
    pub space: ScoreSpace,
    /// How they are stored.
    pub dtype: TileDtype,
    /// SHA-256 of the members' models, in the plan's order.
    pub models: Vec<String>,
    /// The part of the image, px, of which the tile says which pixels are missing; `None` where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Rect>,
    /// Parts of the image's file that its block needs and that cannot be read; their pixels are among the missing ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<UnreadPart>,
    /// Whether no window of its block touches the region of the image: it holds no scores then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}

impl TileHeader {
    /// Rows of scores that the tile holds.
    const fn rows(&self) -> u32 {
        if self.skipped { 0 } else { self.extent.size.height }
    }
}

/// Which pixels of a part of an image are missing, bit by bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPixels {
    rect: Rect,
    /// Row by row, each from the highest bit of a byte of its own.
    bits: Vec<u8>,
}

impl MissingPixels {
    /// None is missing of the pixels of `rect`.
    pub fn none(rect: Rect) -> Self {
        Self { rect, bits: vec![0; row_bytes(rect) * rect.size.height as usize] }
    }

    /// The part of the image that it speaks of, px.
    pub const fn rect(&self) -> Rect {
        self.rect
    }

    /// Whether any pixel is missing.
    pub fn any(&self) -> bool {
        self.bits.iter().any(|byte| *byte != 0)
    }

    /// Whether no pixel is there.
    pub fn all(&self) -> bool {
        let missing: u64 = self.bits.iter().map(|byte| u64::from(byte.count_ones())).sum();
        missing == self.rect.size.area()
    }

    /// Marks a pixel, counted from the corner of [`rect`](Self::rect), as missing.
    ///
    /// # Panics
    /// When there is no such pixel.
    pub fn mark(&mut self, row: usize, col: usize) {
        self.bits[row * row_bytes(self.rect) + col / 8] |= 0x80 >> (col % 8);
    }

    /// Marks in row `y` of the whole image, `[W]`, which of its pixels are missing.
    pub fn mark_row(&self, y: u32, row: &mut [bool]) {
        let Ok(inside) = usize::try_from(i64::from(y) - self.rect.top) else { return };
        let each = row_bytes(self.rect);
        let Some(bits) = self.bits.get(inside * each..(inside + 1) * each) else { return };
        let left = self.rect.left.max(0) as usize;
        for (col, missing) in row.iter_mut().skip(left).take(self.rect.size.width as usize).enumerate() {
            *missing |= bits[col / 8] & (0x80 >> (col % 8)) != 0;
        }
    }
}

const fn row_bytes(rect: Rect) -> usize {
    rect.size.width.div_ceil(8) as usize
}

/// The frame that says which pixels are missing: behind those of the rows of a tile whose header names their part of the
/// image.
///
/// # Errors
/// When memory runs out.
pub fn encode_missing(missing: &MissingPixels) -> Result<Frame, TileError> {
    frame(&missing.bits)
}

/// Why a tile cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// A logit beyond what half precision holds.
    #[error("a score of {0} does not fit into f16 (65,504 at most): set `tiles: {{dtype: f32}}`")]
    Overflow(String),
    /// NaN or infinity, which no tile may hold.
    #[error("a score is NaN or infinite")]
    NonFinite,
    /// Not a whole, unchanged tile.
    #[error("the tile is damaged: {0}")]
    Damaged(String),
    /// There is not enough memory to make it smaller, or to read it.
    #[error("there is no memory for the tile: {0}")]
    Memory(String),
}

impl Classify for TileError {
    fn class(&self) -> FailureClass {
        match self {
            Self::Overflow(_) | Self::NonFinite | Self::Damaged(_) => FailureClass::Input,
            Self::Memory(_) => FailureClass::Worker,
        }
    }
}

fn damaged(what: impl std::fmt::Display) -> TileError {
    TileError::Damaged(what.to_string())
}

/// [`ROWS_PER_FRAME`] rows of a tile, or the last of them, compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    bytes: Vec<u8>,
    plain_bytes: u32,
}

/// The frame of some rows, `[rows, C, W]`. Frames hang on nothing but their rows: they can be made in any order, by any
/// thread.
///
/// # Errors
/// When a score does not fit the dtype.
pub fn encode_rows(rows: &[f32], dtype: TileDtype) -> Result<Frame, TileError> {
    frame(&to_bytes(rows, dtype)?)
}

/// The bytes of a tile, from all of its frames in order.
///
/// # Errors
/// When memory runs out.
pub fn assemble(header: &TileHeader, frames: &[Frame]) -> Result<Vec<u8>, TileError> {
    let first = frame(&safetensors_header(header))?;
    let bytes: usize = frames.iter().map(|f| f.bytes.len()).sum();
    let mut tile = Vec::with_capacity(first.bytes.len() + bytes + frames.len() * 8 + 32);
    let all = || std::iter::once(&first).chain(frames);
    all().for_each(|frame| tile.extend_from_slice(&frame.bytes));
    let count = frames.len() as u32 + 1;
    tile.extend(SKIPPABLE_MAGIC.to_le_bytes());
    tile.extend((count * 8 + 9).to_le_bytes());
    for frame in all() {
        tile.extend((frame.bytes.len() as u32).to_le_bytes());
        tile.extend(frame.plain_bytes.to_le_bytes());
    }
    tile.extend(count.to_le_bytes());
    tile.push(0);
    tile.extend(SEEKABLE_MAGIC.to_le_bytes());
    Ok(tile)
}

/// The bytes of a tile; `scores` is `[H, C, W]` over the header's extent.
///
/// # Errors
/// When a score does not fit the dtype.
///
/// # Panics
/// When there are not `H · C · W` scores.
pub fn encode(header: &TileHeader, scores: &[f32]) -> Result<Vec<u8>, TileError> {
    let row = header.classes as usize * header.extent.size.width as usize;
    assert_eq!(scores.len(), row * header.extent.size.height as usize, "scores of {:?}", header.extent);
    let frames = scores.chunks(row * ROWS_PER_FRAME as usize).map(|rows| encode_rows(rows, header.dtype));
    assemble(header, &frames.collect::<Result<Vec<_>, _>>()?)
}

/// Why bytes cannot be decompressed. zstd tells by words alone that memory ran out.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn not_decompressed(error: std::io::Error) -> TileError {
    let said = error.to_string();
    if said.contains("not enough memory") { TileError::Memory(said) } else { TileError::Damaged(said) }
}

fn frame(plain: &[u8]) -> Result<Frame, TileError> {
    // Any bytes can be compressed: what fails here is this machine.
    let bytes = compress(plain).map_err(|error| TileError::Memory(error.to_string()))?;
    Ok(Frame { bytes, plain_bytes: plain.len() as u32 })
}

/// The bytes of a frame, `plain_bytes` at most.
fn plain_of(frame: &[u8], plain_bytes: usize) -> Result<Vec<u8>, TileError> {
    decompress(frame, plain_bytes).map_err(not_decompressed)
}

fn safetensors_header(header: &TileHeader) -> Vec<u8> {
    let size = header.extent.size;
    let row = u64::from(size.width) * u64::from(header.classes) * header.dtype.bytes();
    let bytes = u64::from(header.rows()) * row;
    let mut json = serde_json::json!({
        "__metadata__": {
            "format": FORMAT,
            "axes": "row, class, column",
            "tile": serde_json::to_string(header).expect("plain structs become JSON"),
        },
        "scores": {
            "dtype": header.dtype.safetensors(),
            "shape": [header.rows(), header.classes, size.width],
            "data_offsets": [0, bytes],
        },
    });
    if let Some(rect) = header.missing {
        let more = row_bytes(rect) as u64 * u64::from(rect.size.height);
        json["missing"] = serde_json::json!({
            "dtype": "U8",
            "shape": [rect.size.height, row_bytes(rect)],
            "data_offsets": [bytes, bytes + more],
        });
    }
    let mut text = json.to_string().into_bytes();
    // Padded with spaces so that the numbers after it are aligned.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.append(&mut text);
    out
}

fn to_bytes(scores: &[f32], dtype: TileDtype) -> Result<Vec<u8>, TileError> {
    // Half precision finds what is not finite, and what becomes so, by itself.
    if dtype != TileDtype::F16 && scores.iter().fold(false, |bad, s| bad | !s.is_finite()) {
        return Err(TileError::NonFinite);
    }
    Ok(match dtype {
        TileDtype::F32 => scores.iter().flat_map(|s| s.to_le_bytes()).collect(),
        TileDtype::U8 => scores.iter().map(|s| (s * 255.0).round().clamp(0.0, 255.0) as u8).collect(),
        TileDtype::F16 => {
            let mut bytes = vec![0; scores.len() * 2];
            let mut half = [f16::ZERO; HALVES];
            for (scores, bytes) in scores.chunks(HALVES).zip(bytes.chunks_mut(HALVES * 2)) {
                let half = &mut half[..scores.len()];
                half.convert_from_f32_slice(scores);
                // No early exit: a look at all of them is faster than a branch for each.
                if half.iter().fold(false, |bad, h| bad | !h.is_finite()) {
                    let at = half.iter().position(|h| !h.is_finite()).unwrap_or(0);
                    let overflow = scores[at].is_finite();
                    return Err(if overflow {
                        TileError::Overflow(scores[at].to_string())
                    } else {
                        TileError::NonFinite
                    });
                }
                let pairs = bytes.as_chunks_mut::<2>().0;
                pairs.iter_mut().zip(half).for_each(|(to, half)| *to = half.to_le_bytes());
            }
            bytes
        }
    })
}

/// Where the frames of a tile lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileIndex {
    /// Start and plain length of each frame, and the end of the last.
    frames: Vec<(u64, u32)>,
    end: u64,
}

/// Bytes at the end of a tile that are enough for the index of `rows` rows.
pub fn index_bytes(rows: u32) -> u64 {
    (u64::from(rows.div_ceil(ROWS_PER_FRAME)) + 2) * 8 + 17
}

impl TileIndex {
    /// Reads the index from the last [`index_bytes`] of a tile of `tile_bytes` bytes, or from all of a shorter one.
    ///
    /// # Errors
    /// When it is not the index of a whole tile.
    pub fn parse(tail: &[u8], tile_bytes: u64) -> Result<Self, TileError> {
        let word_of = |tail: &[u8], at: usize| {
            let bytes = tail.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(|| damaged("its end is missing"))
        };
        // How long the index is stands near its end; before it is what is left of the last frame.
        let n = word_of(tail, tail.len().wrapping_sub(9))? as usize;
        let tail =
            n.checked_mul(8).and_then(|bytes| tail.len().checked_sub(bytes + 17)).map(|at| &tail[at..]);
        let tail = tail.ok_or_else(|| damaged("its end is not the index of its rows"))?;
        let word = |at: usize| word_of(tail, at);
        let ends_well = tail.len() == n * 8 + 17
            && word(0)? == SKIPPABLE_MAGIC
            && word(4)? as usize == n * 8 + 9
            && word(tail.len() - 9)? as usize == n
            && word(tail.len() - 4)? == SEEKABLE_MAGIC;
        if !ends_well || n == 0 {
            return Err(damaged("its end is not the index of its rows"));
        }
        let (mut frames, mut at) = (Vec::with_capacity(n), 0_u64);
        for k in 0..n {
            frames.push((at, word(8 + k * 8 + 4)?));
            at += u64::from(word(8 + k * 8)?);
        }
        if at + tail.len() as u64 != tile_bytes {
            return Err(damaged(format!("its frames have {at} bytes, and it has {tile_bytes}")));
        }
        Ok(Self { frames, end: at })
    }

    fn range(&self, frame: usize) -> Range<u64> {
        let end = self.frames.get(frame + 1).map_or(self.end, |f| f.0);
        self.frames[frame].0..end
    }

    /// Where the header lies.
    pub fn header_range(&self) -> Range<u64> {
        self.range(0)
    }

    /// Number of frames of rows, with that of missing pixels where there is one.
    pub fn row_frames(&self) -> usize {
        self.frames.len() - 1
    }

    /// Where frame `k` of rows lies: rows `k · ROWS_PER_FRAME ..`.
    ///
    /// # Panics
    /// When there is no such frame.
    pub fn rows_range(&self, k: usize) -> Range<u64> {
        self.range(k + 1)
    }

    /// The header in the bytes of [`header_range`](Self::header_range).
    ///
    /// # Errors
    /// When it is damaged or of another format.
    pub fn decode_header(&self, bytes: &[u8]) -> Result<TileHeader, TileError> {
        let plain = plain_of(bytes, self.frames[0].1 as usize)?;
        let json: serde_json::Value =
            serde_json::from_slice(plain.get(8..).unwrap_or_default()).map_err(damaged)?;
        let text = |name: &str| json["__metadata__"][name].as_str().unwrap_or_default();
        if text("format") != FORMAT {
            return Err(damaged(format!("its format is `{}`, not {FORMAT}", text("format"))));
        }
        let header: TileHeader = serde_json::from_str(text("tile")).map_err(damaged)?;
        let frames = header.rows().div_ceil(ROWS_PER_FRAME) as usize;
        let more = usize::from(header.missing.is_some());
        if frames + more == self.row_frames() { Ok(header) } else { Err(damaged("rows are missing")) }
    }

    /// Where the frame of missing pixels lies; `None` if none is missing.
    pub fn missing_range(&self, header: &TileHeader) -> Option<Range<u64>> {
        header.missing.map(|_| self.rows_range(self.row_frames() - 1))
    }

    /// The missing pixels in the bytes of [`missing_range`](Self::missing_range); `None` if none is missing.
    ///
    /// # Errors
    /// When they are damaged.
    pub fn decode_missing(
        &self,
        header: &TileHeader,
        bytes: &[u8],
    ) -> Result<Option<MissingPixels>, TileError> {
        let Some(rect) = header.missing else { return Ok(None) };
        let length = row_bytes(rect) * rect.size.height as usize;
        let bits = plain_of(bytes, length)?;
        if bits.len() == length {
            Ok(Some(MissingPixels { rect, bits }))
        } else {
            Err(damaged("pixels are missing"))
        }
    }

    /// The scores in the bytes of [`rows_range`](Self::rows_range) of frame `k`, `[rows, C, W]`.
    ///
    /// # Errors
    /// When they are damaged.
    pub fn decode_rows(&self, header: &TileHeader, k: usize, bytes: &[u8]) -> Result<Vec<f32>, TileError> {
        let size = header.extent.size;
        let rows = ROWS_PER_FRAME.min(size.height.saturating_sub(k as u32 * ROWS_PER_FRAME)) as usize;
        let scores = rows * header.classes as usize * size.width as usize;
        let plain = plain_of(bytes, scores * header.dtype.bytes() as usize)?;
        if plain.len() as u64 != scores as u64 * header.dtype.bytes() {
            return Err(damaged(format!("{} bytes where {scores} scores should be", plain.len())));
        }
        Ok(match header.dtype {
            TileDtype::U8 => plain.iter().map(|&b| f32::from(b) / 255.0).collect(),
            TileDtype::F32 => {
                plain.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
            }
            TileDtype::F16 => {
                let mut out = vec![0.0; scores];
                let mut half = [f16::ZERO; HALVES];
                for (out, bytes) in out.chunks_mut(HALVES).zip(plain.chunks(HALVES * 2)) {
                    let half = &mut half[..out.len()];
                    let pairs = bytes.as_chunks::<2>().0;
                    half.iter_mut().zip(pairs).for_each(|(half, b)| *half = f16::from_le_bytes(*b));
                    half.convert_to_f32_slice(out);
                }
                out
            }
        })
    }
}

#[cfg(test)]
#[path = "tile_tests.rs"]
mod tests;
