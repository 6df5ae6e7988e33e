//! The compressions of TIFF chunks.

use crate::read::error::ReadFault;
use crate::read::guarded::guarded;
use crate::read::jpeg::{self, IoRequest};
use marquetry_geometry::Size;
use std::io::Read;

/// How chunks are compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Zstd,
    /// Each chunk is a WebP file.
    WebP,
    /// CCITT T.6: one bit a pixel.
    Group4,
    /// `tables` are shared by all chunks, and may be empty.
    Jpeg {
        tables: Vec<u8>,
        to_rgb: bool,
    },
}

/// A chunk as it lies in the file.
#[derive(Clone)]
pub(super) struct CodedChunk {
    pub(super) bytes: Vec<u8>,
    /// Whether the file ends before the chunk does.
    pub(super) is_cut: bool,
    /// Rows and columns that it stands for, px.
    pub(super) size: Size,
    /// Those of them that are inside the image, px: some writers store no others.
    pub(super) inside: Size,
    /// Rows and columns of the chunks above it, px: the last strip of some JPEG writers is as high as all others.
    pub(super) most: Size,
    /// Samples of one of its pixels.
    pub(super) samples: usize,
}

impl Compression {
    /// The bytes of all of a chunk's rows, of `row_bytes` each; rows below the image that are not in the file are 0.
    pub(super) fn decode(&self, chunk: CodedChunk, row_bytes: usize) -> Result<Vec<u8>, ReadFault> {
        let CodedChunk { mut bytes, is_cut, size, inside, most, samples } = chunk;
        let length =
            Length { expected: size.height as usize * row_bytes, least: inside.height as usize * row_bytes };
        match self {
            Self::None => {
                bytes.truncate(length.expected);
                length.complete(bytes)
            }
            Self::Lzw => guarded(|| lzw(&bytes, length)),
            Self::Deflate => {
                guarded(|| fill_and_check(flate2::bufread::ZlibDecoder::new(bytes.as_slice()), length))
            }
            Self::PackBits => pack_bits(&bytes, length),
            Self::Zstd => guarded(|| {
                let reader = zstd::stream::read::Decoder::with_buffer(bytes.as_slice());
                fill_and_check(reader.map_err(ReadFault::io)?.single_frame(), length)
            }),
            Self::Group4 => guarded(|| length.complete(group4(&bytes, size)?)),
            Self::WebP => guarded(|| {
                let (found, out) = webp(&bytes, inside, most, samples)?;
                Ok(if found == size { out } else { placed(&out, found, size, samples) })
            }),
            Self::Jpeg { .. } if is_cut && !jpeg::is_complete(&bytes) => {
                Err(ReadFault::unreadable("the file ends in the middle of a strip or tile"))
            }
            Self::Jpeg { tables, to_rgb } => {
                let wanted = if *to_rgb { IoRequest::Rgb } else { IoRequest::AsCoded };
                let stream = with_tables(tables, &bytes);
                let (found, out) =
                    jpeg::decode(stream.as_deref().unwrap_or(&bytes), wanted, (inside, most), samples)?;
                Ok(if found == size { out } else { placed(&out, found, size, samples) })
            }
        }
    }
}

impl Compression {
    /// The whole rows of a chunk that the file has before it ends in its middle; none where what is there may be something
    /// else, or cannot be told from it: LZW and `PackBits` make rows of any bytes.
    pub(super) fn rows_before_cut(&self, chunk: &CodedChunk, row_bytes: usize) -> Vec<u8> {
        let expected = chunk.size.height as usize * row_bytes;
        let read = |reader: &mut dyn Read| {
            let (rows, error) = read_up_to(reader, expected);
            let is_end = error.is_none_or(|error| error.kind() == std::io::ErrorKind::UnexpectedEof);
            Ok(if is_end { rows } else { Vec::new() })
        };
        let rows = match self {
            Self::None => Ok(chunk.bytes.clone()),
            Self::Deflate => guarded(|| read(&mut flate2::bufread::ZlibDecoder::new(chunk.bytes.as_slice()))),
            Self::Zstd => guarded(|| {
                let reader = zstd::stream::read::Decoder::with_buffer(chunk.bytes.as_slice());
                read(&mut reader.map_err(ReadFault::io)?)
            }),
            Self::Lzw | Self::PackBits | Self::WebP | Self::Group4 | Self::Jpeg { .. } => Ok(Vec::new()),
        };
        let mut rows = rows.unwrap_or_default();
        rows.truncate(rows.len() / row_bytes.max(1) * row_bytes);
        rows
    }
}

/// How many bytes a chunk comes to.
#[derive(Clone, Copy)]
struct Length {
    /// With all of its rows.
    expected: usize,
    /// With those that are inside the image.
    least: usize,
}

impl Length {
    /// `bytes`, filled up with the rows that are below the image.
    fn complete(self, mut bytes: Vec<u8>) -> Result<Vec<u8>, ReadFault> {
        if bytes.len() < self.least {
            return Err(too_short(bytes.len(), self.least));
        }
        bytes.resize(self.expected, 0);
        Ok(bytes)
    }
}

/// A picture of `found` px, of one byte a sample, in the corner of one of `size` px.
fn placed(picture: &[u8], found: Size, size: Size, samples: usize) -> Vec<u8> {
    let (from, to) = (found.width as usize * samples, size.width as usize * samples);
    let mut out = vec![0; size.height as usize * to];
    for (from, to) in picture.chunks_exact(from).zip(out.chunks_exact_mut(to)) {
        let both = from.len().min(to.len());
        to[..both].copy_from_slice(&from[..both]);
    }
    out
}

fn too_short(found: usize, expected: usize) -> ReadFault {
    ReadFault::unreadable(format!("a strip or tile holds {found} bytes where {expected} were expected"))
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> ReadFault {
    ReadFault::unreadable(format!("a strip or tile cannot be decompressed: {error}")).because(error)
}

fn fill(reader: &mut impl Read, length: Length) -> Result<Vec<u8>, ReadFault> {
    match read_up_to(reader, length.expected) {
        // What lies below the image may be damaged or cut off.
        (out, Some(error)) if out.len() < length.least => Err(broken(error)),
        (out, _) => length.complete(out),
    }
}

/// [`fill`], and looks at the checksum, which decoders only do at a stream's end.
fn fill_and_check(mut reader: impl Read, length: Length) -> Result<Vec<u8>, ReadFault> {
    let out = fill(&mut reader, length)?;
    match reader.read(&mut [0]) {
        // What lies below the image may be cut off.
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(ReadFault::damaged(error)),
        _ => Ok(out),
    }
}

/// The first `bytes` that a reader gives, or those before it ends or fails.
fn read_up_to(reader: &mut (impl Read + ?Sized), bytes: usize) -> (Vec<u8>, Option<std::io::Error>) {
    let mut out = vec![0; bytes];
    let (mut done, mut failed) = (0, None);
    while done < out.len() && failed.is_none() {
        match reader.read(&mut out[done..]) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => failed = Some(error),
        }
    }
    out.truncate(done);
    (out, failed)
}

fn lzw(bytes: &[u8], length: Length) -> Result<Vec<u8>, ReadFault> {
    let mut decoder = weezl::decode::Configuration::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
        .with_yield_on_full_buffer(true)
        .build();
    let mut out = vec![0; length.expected];
    let (mut from, mut to) = (0, 0);
    while to < out.len() {
        let step = decoder.decode_bytes(&bytes[from..], &mut out[to..]);
        from += step.consumed_in;
        to += step.consumed_out;
        let status = step.status.map_err(broken)?;
        if !matches!(status, weezl::LzwStatus::Ok) {
            break;
        }
    }
    out.truncate(to);
    length.complete(out)
}

/// A count below 128 is followed by one byte more than it says; one above 128 by a byte to repeat 257 − count times.
fn pack_bits(bytes: &[u8], length: Length) -> Result<Vec<u8>, ReadFault> {
    let mut out = Vec::with_capacity(length.expected);
    let mut rest = bytes;
    while out.len() < length.expected {
        let Some((&count, after)) = rest.split_first() else { break };
        rest = after;
        let count = usize::from(count);
        if count < 128 {
            let literal = &rest[..rest.len().min(count + 1)];
            out.extend_from_slice(literal);
            rest = &rest[literal.len()..];
        } else if let (129.., Some((&byte, after))) = (count, rest.split_first()) {
            out.resize(out.len() + 257 - count, byte);
            rest = after;
        }
    }
    out.truncate(length.expected);
    length.complete(out)
}

/// Rows of one bit a pixel, of which black is 1, packed from the highest bit on.
fn group4(bytes: &[u8], size: Size) -> Result<Vec<u8>, ReadFault> {
    let Ok(width) = u16::try_from(size.width) else {
        return Err(ReadFault::unsupported(format!("it has CCITT compression of {size} px at once")));
    };
    let (mut out, row_bytes) = (Vec::new(), usize::from(width).div_ceil(8));
    // What comes too short is found by its length: no line is white because it is not there.
    let _ = fax::decoder::decode_g4(bytes.iter().copied(), width, None, |line| {
        let start = out.len();
        if start == size.height as usize * row_bytes {
            return;
        }
        out.resize(start + row_bytes, 0_u8);
        for (col, colour) in fax::decoder::pels(line, width).enumerate() {
            if colour == fax::Color::Black {
                out[start + col / 8] |= 0x80 >> (col % 8);
            }
        }
    });
    Ok(out)
}

/// The pixels of a WebP file of at least `least` and at most `most` px.
fn webp(bytes: &[u8], least: Size, most: Size, samples: usize) -> Result<(Size, Vec<u8>), ReadFault> {
    use image::ImageDecoder as _;
    let decoder = image::codecs::webp::WebPDecoder::new(std::io::Cursor::new(bytes)).map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let (found, channels) = (Size::new(height, width), usize::from(decoder.color_type().channel_count()));
    let fits = (least.height..=most.height).contains(&height) && (least.width..=most.width).contains(&width);
    if !fits || channels != samples {
        return Err(ReadFault::unreadable(format!(
            "its WebP data hold {found} pixels of {channels} samples, {least} of {samples} were expected"
        )));
    }
    let mut out = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut out).map_err(broken)?;
    Ok((found, out))
}

/// One stream out of the shared tables and a chunk, which both come with a start marker, and the tables with an end
/// marker. `None` if there are no tables.
fn with_tables(tables: &[u8], chunk: &[u8]) -> Option<Vec<u8>> {
    let tables = tables.strip_suffix(&[0xFF, 0xD9])?;
    let chunk = chunk.strip_prefix(&[0xFF, 0xD8])?;
    Some([tables, chunk].concat())
}
