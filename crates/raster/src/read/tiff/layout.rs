//! How a TIFF's pixels are cut into chunks (strips or tiles) and what their samples mean.

use super::axes;
use super::codec::Compression;
use super::crs;
use super::directory::{Directory, Endian, tag};
use super::nodata;
use crate::read::colour::Colour;
use crate::read::error::ReadFault;
use crate::read::file::Source;
use crate::read::header::{Format, Header, orientation};
use crate::read::samples::SampleType;
use marquetry_geometry::Size;

/// What was done to rows before they were compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    /// Differences of neighbouring pixels.
    Horizontal,
    /// Differences of bytes, with a row's bytes sorted by their weight.
    Float,
}

/// Everything but the places of the chunks.
#[derive(Debug)]
pub(super) struct ChunkLayout {
    pub(super) header: Header,
    pub(super) endian: Endian,
    /// Bits of a sample in the file; `header.sample` is what they become in memory.
    pub(super) bits: u32,
    /// A whole chunk, px. Tiles have this size everywhere; the last strip has fewer rows.
    pub(super) chunk: Size,
    pub(super) tiled: bool,
    /// Chunks from left to right, and from top to bottom.
    pub(super) across: u64,
    pub(super) down: u64,
    /// Whether every sample of a pixel has chunks of its own.
    pub(super) planar: bool,
    pub(super) compression: Compression,
    pub(super) predictor: Predictor,
    /// Whether the bits of each byte stand in reverse order (`FillOrder` 2).
    pub(super) reversed_bits: bool,
}

impl ChunkLayout {
    pub(super) fn of(directory: &Directory, source: &Source) -> Result<Self, ReadFault> {
        let tags = Tags { directory, source };
        let size = Size::new(tags.side(tag::HEIGHT)?, tags.side(tag::WIDTH)?);
        let (samples, bits) = tags.samples()?;
        let header = tags.header(size, samples, bits)?;
        let planar = tags.number(tag::PLANAR, 1)? == 2;
        let compression = tags.compression(&header, bits, planar)?;
        let predictor = tags.predictor(&compression, header.sample, bits)?;
        let tiled = directory.has(tag::TILE_OFFSETS);
        let chunk = if tiled {
            Size::new(tags.side(tag::TILE_HEIGHT)?, tags.side(tag::TILE_WIDTH)?)
        } else {
            let rows = tags.number(tag::ROWS_PER_STRIP, u64::from(u32::MAX))?;
            Size::new(rows.min(u64::from(size.height)) as u32, size.width)
        };
        if chunk.is_empty() && !size.is_empty() {
            return Err(ReadFault::unreadable(format!("its strips or tiles are {chunk} px")));
        }
        let across = u64::from(size.width.div_ceil(chunk.width.max(1)));
        let down = u64::from(size.height.div_ceil(chunk.height.max(1)));
        let endian = directory.endian;
        let own_order = matches!(compression, Compression::Jpeg { .. } | Compression::WebP);
        let reversed_bits = tags.number(tag::FILL_ORDER, 1)? == 2 && !own_order;
        Ok(Self {
            header,
            endian,
            bits,
            chunk,
            tiled,
            across,
            down,
            planar,
            compression,
            predictor,
            reversed_bits,
        })
    }

    /// Number of planes that chunks are stored for.
    pub(super) fn planes(&self) -> u64 {
        if self.planar { u64::from(self.header.per_pixel) } else { 1 }
    }

    /// Number of chunks in the file.
    pub(super) fn chunks(&self) -> u64 {
        self.across.saturating_mul(self.down).saturating_mul(self.planes())
    }

    /// Samples that one pixel of a chunk has.
    pub(super) const fn chunk_samples(&self) -> usize {
        if self.planar { 1 } else { self.header.per_pixel as usize }
    }

    /// Bytes of one decoded pixel of a chunk.
    pub(super) const fn chunk_pixel_bytes(&self) -> usize {
        self.chunk_samples() * self.header.sample.bytes()
    }

    /// Bytes of a whole chunk, decoded.
    pub(super) const fn chunk_bytes(&self) -> u64 {
        self.chunk.area().saturating_mul(self.chunk_pixel_bytes() as u64)
    }

    /// Bytes of one row of a chunk as it is before samples are unpacked.
    pub(super) const fn packed_row_bytes(&self) -> usize {
        (self.chunk.width as usize * self.chunk_samples() * self.bits as usize).div_ceil(8)
    }

    /// Pixels that the chunks of one row of chunks have, tiles with what overhangs the image.
    pub(super) fn size_in_row(&self, down: u64) -> Size {
        let left = u64::from(self.header.size.height) - down * u64::from(self.chunk.height);
        let rows = if self.tiled { self.chunk.height } else { left.min(u64::from(self.chunk.height)) as u32 };
        Size::new(rows, self.chunk.width)
    }
}

/// What is said of a compression that is not read.
fn not_read(number: u64) -> String {
    let name = match number {
        2 => "CCITT modified Huffman",
        3 => "CCITT Group 3",
        6 => "JPEG of the old kind (number 6)",
        32809 => "ThunderScan",
        33003 | 33005 | 34712 => "JPEG 2000",
        34661 => "JBIG",
        34676 | 34677 => "SGI LogLuv",
        34887 => "LERC",
        34892 | 52546 => "that of a raw camera file (DNG)",
        34925 => "LZMA",
        50002 => "JPEG XL",
        other => return format!("its compression has the unknown number {other}"),
    };
    format!("its compression is {name}, which is not read")
}

/// A directory being interpreted.
struct Tags<'a> {
    directory: &'a Directory,
    source: &'a Source,
}

impl Tags<'_> {
    fn number(&self, tag: u16, default: u64) -> Result<u64, ReadFault> {
        Ok(self.directory.integer(self.source, tag)?.unwrap_or(default))
    }

    fn side(&self, tag: u16) -> Result<u32, ReadFault> {
        self.directory.side(self.source, tag)
    }

    /// The numbers of a tag that has one for each sample.
    fn each(&self, tag: u16) -> Result<Vec<u64>, ReadFault> {
        Ok(self.directory.integers(self.source, tag, u64::from(u16::MAX))?.unwrap_or_default())
    }

    /// The one number that every sample must have in common.
    fn common(&self, tag: u16, default: u64, what: &str) -> Result<u64, ReadFault> {
        let all = self.each(tag)?;
        let first = all.first().copied().unwrap_or(default);
        if all.iter().any(|&value| value != first) {
            return Err(ReadFault::unsupported(format!("its samples have {what} that differ: {all:?}")));
        }
        Ok(first)
    }

    /// How a sample lies in memory, and its bits in the file.
    fn samples(&self) -> Result<(SampleType, u32), ReadFault> {
        let format = self.common(tag::SAMPLE_FORMAT, 1, "formats")?;
        let bits = self.common(tag::BITS_PER_SAMPLE, 1, "bit depths")?;
        let sample = match (format, bits) {
            // Format 4, `undefined`, is taken for unsigned.
            (1 | 4, 1..=8) => SampleType::U8,
            (1 | 4, 9..=16) => SampleType::U16,
            (1 | 4, 32) => SampleType::U32,
            (1 | 4, 64) => SampleType::U64,
            (2, 8) => SampleType::I8,
            (2, 16) => SampleType::I16,
            (2, 32) => SampleType::I32,
            (2, 64) => SampleType::I64,
            (3, 16) => SampleType::F16,
            (3, 32) => SampleType::F32,
            (3, 64) => SampleType::F64,
            _ => {
                return Err(ReadFault::unsupported(format!(
                    "its samples have {bits} bits in format {format}"
                )));
            }
        };
        Ok((sample, bits as u32))
    }

    fn header(&self, size: Size, sample: SampleType, bits: u32) -> Result<Header, ReadFault> {
        let said = self.each(tag::BITS_PER_SAMPLE)?.len().max(1) as u64;
        let per_pixel = self.number(tag::SAMPLES_PER_PIXEL, said)?;
        let per_pixel = u16::try_from(per_pixel)
            .ok()
            .filter(|&n| n > 0)
            .ok_or_else(|| ReadFault::unreadable(format!("its pixels have {per_pixel} samples")))?;
        let photometric = self.number(tag::PHOTOMETRIC, 1)?;
        let (colours, colour) = self.colour(photometric, sample, bits)?;
        if per_pixel < colours {
            let found = format!("its pixels have {per_pixel} samples, its colours need {colours}");
            return Err(ReadFault::unreadable(found));
        }
        // The tag speaks of the last samples. 1 and 2 are kinds of alpha; others are bands in their own right.
        let extra = self.each(tag::EXTRA_SAMPLES)?;
        let first_extra = u64::from(per_pixel).saturating_sub(extra.len() as u64);
        let is_alpha = |sample: u16| {
            let place = u64::from(sample).checked_sub(first_extra);
            sample >= colours && place.is_some_and(|i| matches!(extra.get(i as usize), Some(1 | 2)))
        };
        let mut header = Header::plain(Format::Tiff, size, sample, per_pixel, per_pixel);
        header.kept = (0..per_pixel).filter(|&sample| !is_alpha(sample)).collect();
        header.alpha = (0..per_pixel).find(|&sample| is_alpha(sample));
        header.orientation = orientation(self.number(tag::ORIENTATION, 1)?);
        header.colour = colour;
        header.greatest = self.fewer_bits(sample, bits).map(|bits| ((1_u32 << bits) - 1) as u16);
        header.rgb = matches!(photometric, 2 | 3 | 5 | 6);
        match nodata::of(self.directory, self.source, sample.is_float()) {
            Some(Ok(value)) => header.nodata = Some(value),
            other => header.nodata_unread = other.and_then(Result::err),
        }
        header.crs = crs::of(self.directory, self.source);
        let repeated = self.directory.repeated.iter();
        header.remarks =
            repeated.map(|tag| format!("tag {tag} stands in it twice and the first one counts")).collect();
        header.remarks.extend(axes::elsewhere(self.directory, self.source));
        Ok(header)
    }

    /// Bits of a 16-bit sample that mean something, where the file says that they are fewer: it packs them, names the
    /// greatest value, or, as microscopes do, their number.
    fn fewer_bits(&self, sample: SampleType, bits: u32) -> Option<u32> {
        if sample != SampleType::U16 {
            return None;
        }
        if bits < 16 {
            return Some(bits);
        }
        let greatest = self.directory.integer(self.source, tag::MAX_SAMPLE_VALUE).ok().flatten();
        // Only what fills all of some bits speaks of a depth; others are just the greatest value of this image.
        let of_greatest =
            greatest.filter(|value| (value + 1).is_power_of_two()).map(|value| (value + 1).ilog2());
        of_greatest
            .or_else(|| axes::significant_bits(self.directory, self.source))
            .filter(|bits| (9..16).contains(bits))
    }

    /// Number of samples that are colour, and their meaning.
    fn colour(&self, photometric: u64, sample: SampleType, bits: u32) -> Result<(u16, Colour), ReadFault> {
        let unsigned = matches!(sample, SampleType::U8 | SampleType::U16);
        let max = if unsigned { (1_u32 << bits) as f32 - 1.0 } else { 0.0 };
        let plain = if bits < 8 { Colour::Stretched { max } } else { Colour::AsStored };
        Ok(match photometric {
            0 if unsigned => (1, Colour::WhiteIsZero { from_max: max, to_max: max.max(255.0) }),
            // 4 is a mask.
            1 | 4 => (1, plain),
            2 => (3, plain),
            3 if unsigned => (1, Colour::Palette(self.palette(bits)?)),
            5 if unsigned && bits >= 8 => (4, Colour::Cmyk { max }),
            // Only as JPEG, whose decoder makes RGB of it.
            6 if bits == 8 => (3, Colour::AsStored),
            other => {
                let found =
                    format!("its photometric interpretation is {other}, with samples of type {sample:?}");
                return Err(ReadFault::unsupported(found));
            }
        })
    }

    fn palette(&self, bits: u32) -> Result<Vec<[f32; 3]>, ReadFault> {
        let count = 1_usize << bits;
        let map = self.directory.integers(self.source, tag::COLOUR_MAP, 3 << bits)?.unwrap_or_default();
        if map.len() < 3 * count {
            return Err(ReadFault::unreadable(format!(
                "its palette has {} numbers, not {}",
                map.len(),
                3 * count
            )));
        }
        // Colours have 16 bits; some programs write 8.
        let shift = if map.iter().all(|&value| value < 256) { 0 } else { 8 };
        let value = |index: usize| (map[index] >> shift) as f32;
        Ok((0..count).map(|i| [value(i), value(count + i), value(2 * count + i)]).collect())
    }

    fn compression(&self, header: &Header, bits: u32, planar: bool) -> Result<Compression, ReadFault> {
        // Three samples of JPEG of which nothing is said are what the JPEG says of itself.
        let unsaid = !self.directory.has(tag::PHOTOMETRIC) && header.per_pixel == 3 && !planar;
        let ycbcr = self.number(tag::PHOTOMETRIC, 1)? == 6;
        let number = self.number(tag::COMPRESSION, 1)?;
        let compression = match number {
            1 => Compression::None,
            5 => Compression::Lzw,
            7 => {
                let tables = self.directory.bytes(self.source, tag::JPEG_TABLES, 1 << 20)?;
                Compression::Jpeg { tables: tables.unwrap_or_default(), to_rgb: ycbcr || unsaid }
            }
            8 | 32946 => Compression::Deflate,
            32773 => Compression::PackBits,
            50000 => Compression::Zstd,
            50001 => Compression::WebP,
            4 => Compression::Group4,
            other => return Err(ReadFault::unsupported(not_read(other))),
        };
        let jpeg = matches!(compression, Compression::Jpeg { .. });
        if jpeg && (header.sample, bits) != (SampleType::U8, 8) {
            return Err(ReadFault::unsupported(format!("it has JPEG compression with {bits} bits")));
        }
        if ycbcr && (!jpeg || planar) {
            return Err(ReadFault::unsupported(
                "its colours are luma and chroma (YCbCr) without interleaved JPEG compression",
            ));
        }
        let is_webp = compression == Compression::WebP;
        if is_webp
            && ((header.sample, bits) != (SampleType::U8, 8)
                || planar
                || !(3..=4).contains(&header.per_pixel))
        {
            return Err(ReadFault::unsupported(
                "it has WebP compression, and its pixels are not RGB or RGBA of 8 bits",
            ));
        }
        if compression == Compression::Group4 && (bits != 1 || header.per_pixel != 1) {
            return Err(ReadFault::unsupported(format!("it has CCITT compression with {bits} bits")));
        }
        Ok(compression)
    }

    fn predictor(
        &self,
        compression: &Compression,
        sample: SampleType,
        bits: u32,
    ) -> Result<Predictor, ReadFault> {
        let predicts = matches!(compression, Compression::Lzw | Compression::Deflate | Compression::Zstd);
        match self.number(tag::PREDICTOR, 1)? {
            _ if matches!(compression, Compression::Jpeg { .. }) => Ok(Predictor::None),
            0 | 1 => Ok(Predictor::None),
            // Left over from before the file was decompressed; libtiff applies none either.
            _ if !predicts => Ok(Predictor::None),
            2 if bits as usize == 8 * sample.bytes() => Ok(Predictor::Horizontal),
            3 if sample.is_float() => Ok(Predictor::Float),
            other => {
                Err(ReadFault::unsupported(format!("its predictor is {other}, with samples of {bits} bits")))
            }
        }
    }
}
