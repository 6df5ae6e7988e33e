//! The compressions of TIFF chunks.

use crate::read::error::{ReadFault, guarded};
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
    /// `tables` are shared by all chunks, and may be empty.
    Jpeg {
        tables: Vec<u8>,
        to_rgb: bool,
    },
}

impl Compression {
    /// The first `expected` bytes of a chunk of `size` pixels with `samples` samples each.
    pub(super) fn decode(
        &self,
        mut bytes: Vec<u8>,
        expected: usize,
        size: Size,
        samples: usize,
    ) -> Result<Vec<u8>, ReadFault> {
        match self {
            Self::None if bytes.len() >= expected => {
                bytes.truncate(expected);
                Ok(bytes)
            }
            Self::None => Err(too_short(bytes.len(), expected)),
            Self::Lzw => guarded(|| lzw(&bytes, expected)),
            Self::Deflate => guarded(|| {
                let mut reader = flate2::bufread::ZlibDecoder::new(bytes.as_slice());
                let out = fill(&mut reader, expected)?;
                // The checksum is only looked at where the stream is read to its end.
                match reader.read(&mut [0]) {
                    Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                        Err(ReadFault::damaged(error))
                    }
                    _ => Ok(out),
                }
            }),
            Self::PackBits => pack_bits(&bytes, expected),
            Self::Zstd => guarded(|| {
                let reader = zstd::stream::read::Decoder::with_buffer(bytes.as_slice());
                fill(&mut reader.map_err(ReadFault::io)?, expected)
            }),
            Self::Jpeg { tables, to_rgb } => {
                let wanted = if *to_rgb { IoRequest::Rgb } else { IoRequest::AsCoded };
                let stream = with_tables(tables, &bytes);
                let out = jpeg::decode(stream.as_deref().unwrap_or(&bytes), wanted, size, samples)?;
                if out.len() == expected { Ok(out) } else { Err(too_short(out.len(), expected)) }
            }
        }
    }
}

fn too_short(found: usize, expected: usize) -> ReadFault {
    ReadFault::unreadable(format!("a strip or tile holds {found} bytes where {expected} were expected"))
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> ReadFault {
    ReadFault::unreadable(format!("a strip or tile cannot be decompressed: {error}")).because(error)
}

fn fill(reader: &mut impl Read, expected: usize) -> Result<Vec<u8>, ReadFault> {
    let mut out = vec![0; expected];
    reader.read_exact(&mut out).map_err(broken)?;
    Ok(out)
}

fn lzw(bytes: &[u8], expected: usize) -> Result<Vec<u8>, ReadFault> {
    let mut decoder = weezl::decode::Configuration::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
        .with_yield_on_full_buffer(true)
        .build();
    let mut out = vec![0; expected];
    let (mut from, mut to) = (0, 0);
    while to < expected {
        let step = decoder.decode_bytes(&bytes[from..], &mut out[to..]);
        from += step.consumed_in;
        to += step.consumed_out;
        let status = step.status.map_err(broken)?;
        if to < expected && !matches!(status, weezl::LzwStatus::Ok) {
            return Err(too_short(to, expected));
        }
    }
    Ok(out)
}

/// A count below 128 is followed by one byte more than it says; one above 128 by a byte to repeat 257 − count times.
fn pack_bits(bytes: &[u8], expected: usize) -> Result<Vec<u8>, ReadFault> {
    let mut out = Vec::with_capacity(expected);
    let mut rest = bytes;
    while out.len() < expected {
        let Some((&count, after)) = rest.split_first() else { return Err(too_short(out.len(), expected)) };
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
    out.truncate(expected);
    Ok(out)
}

/// One stream out of the shared tables and a chunk, which both come with a start marker, and the tables with an end
/// marker. `None` if there are no tables.
fn with_tables(tables: &[u8], chunk: &[u8]) -> Option<Vec<u8>> {
    let tables = tables.strip_suffix(&[0xFF, 0xD9])?;
    let chunk = chunk.strip_prefix(&[0xFF, 0xD8])?;
    Some([tables, chunk].concat())
}
