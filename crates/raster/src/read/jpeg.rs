//! JPEG, on its own and inside TIFF.
//!
//! What comes out is not to the bit what libjpeg-turbo, and so Pillow and OpenCV, make of it: the inverse cosine transform and
//! the filter that enlarges colours are the crate's own. Over 48 pictures of noise and of smoothed noise (qualities 75 and 95,
//! sides that are and are not multiples of 16, baseline and progressive) samples differ by 3 levels at most without
//! subsampling (0.03 on average), by 3 with 4:2:2 (0.19) and by 4 with 4:2:0 (0.36). The other kept crate in pure Rust,
//! jpeg-decoder, comes to 3, 3 and 4 (0.06, 0.22, 0.12); none is exact. Whoever needs the very samples saves PNG or TIFF.

use super::colour::Colour;
use super::error::ReadFault;
use super::file::{Source, Stream};
use super::guarded::guarded;
use super::header::{Format, Header, Limits, exif_orientation};
use super::samples::SampleType;
use super::whole::Whole;
use marquetry_geometry::{D4, Size};
use std::io::{BufRead, BufReader, Read};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

/// Reads the segments that come before the pixels; large ones that are of no use are skipped over.
pub(super) fn header(source: &Source, limits: &Limits) -> Result<Header, ReadFault> {
    source.decode(|mut stream| {
        let found = Segments::read(&mut stream)?;
        let colours = match found.components {
            1 => 1,
            3 | 4 => 3,
            other => return Err(ReadFault::unsupported(format!("it has {other} colour components"))),
        };
        let mut header = Header::plain(Format::Jpeg, found.size, SampleType::U8, colours, colours);
        header.orientation = found.orientation;
        if found.keeps_inks() {
            (header.per_pixel, header.kept, header.colour) =
                (4, (0..4).collect(), Colour::Cmyk { max: 255.0 });
        }
        header.check(limits)?.check_fits(limits)
    })
}

/// Decodes the whole image.
pub(super) fn load(source: &Source, limits: &Limits) -> Result<(Header, Whole), ReadFault> {
    let header = header(source, limits)?;
    if source.length() > limits.memory_bytes.saturating_add(1 << 20) {
        let found = format!("its file of {} bytes is larger than its pixels may be", source.length());
        return Err(ReadFault::too_large(
            found,
            "raise the memory limit or save the image without its metadata",
        ));
    }
    let bytes = source.bytes(0, source.length())?;
    let found = Segments::read(&mut bytes.as_slice())?;
    if !is_complete(&bytes) {
        return Err(ReadFault::unreadable("the file ends too early: its end marker is missing"));
    }
    let wanted = if found.keeps_inks() { IoRequest::AsCoded } else { IoRequest::Rgb };
    let exact = (header.size, header.size);
    let (_, mut pixels) = decode(&bytes, wanted, exact, usize::from(header.per_pixel))?;
    if found.keeps_inks() && found.adobe_transform.is_some() {
        // Adobe's programs write inks the other way round.
        for ink in &mut pixels {
            *ink = 255 - *ink;
        }
    }
    Ok((header, Whole::Memory(pixels)))
}

/// Which colours a decoded JPEG shall have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IoRequest {
    /// Grey stays grey, everything else becomes RGB.
    Rgb,
    /// The components that were coded.
    AsCoded,
}

/// Decodes a JPEG stream of `components` samples a pixel, whose sides must be at least those of `least` and at most those
/// of `most`, px: its size and its samples.
pub(super) fn decode(
    bytes: &[u8],
    wanted: IoRequest,
    (least, most): (Size, Size),
    components: usize,
) -> Result<(Size, Vec<u8>), ReadFault> {
    guarded(|| {
        let options = DecoderOptions::default()
            .set_strict_mode(false)
            .set_max_width(most.width as usize)
            .set_max_height(most.height as usize);
        let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(fault)?;
        let coded = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
        let colours = match coded {
            ColorSpace::Luma => coded,
            _ if wanted == IoRequest::Rgb => ColorSpace::RGB,
            _ => coded,
        };
        let found = decoder.dimensions().map(|(width, height)| Size::new(height as u32, width as u32));
        let found = found.unwrap_or(Size::new(0, 0));
        let is_enough = found.height >= least.height && found.width >= least.width;
        if colours.num_components() != components || !is_enough {
            return Err(ReadFault::unreadable(format!(
                "its JPEG data hold {found} pixels of {} samples, {least} of {components} were expected",
                colours.num_components()
            )));
        }
        decoder.set_options(options.jpeg_set_out_colorspace(colours));
        Ok((found, decoder.decode().map_err(fault)?))
    })
}

fn fault(error: zune_jpeg::errors::DecodeErrors) -> ReadFault {
    match error {
        zune_jpeg::errors::DecodeErrors::Unsupported(what) => ReadFault::unsupported(format!("{what:?}")),
        other => ReadFault::unreadable(format!("{other:?}")).because(other),
    }
}

/// What the segments before the first scan say.
struct Segments {
    size: Size,
    components: u8,
    orientation: D4,
    adobe_transform: Option<u8>,
}

impl Segments {
    /// Four components that are inks. With transform 2 they are coded as luma and chroma, and the decoder takes them to
    /// RGB itself.
    fn keeps_inks(&self) -> bool {
        self.components == 4 && self.adobe_transform != Some(2)
    }

    fn read(stream: &mut impl Skip) -> Result<Self, ReadFault> {
        let mut frame = None;
        let (mut orientation, mut adobe_transform) = (D4::IDENTITY, None);
        let mut start = [0; 2];
        stream.take_bytes(&mut start)?;
        loop {
            let (marker, length) = next_segment(stream)?;
            match marker {
                // Frames; the gaps are Huffman tables (C4), a reserved number (C8) and arithmetic coding (CC).
                0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) && length >= 6 => {
                    let mut bytes = [0; 6];
                    stream.take_bytes(&mut bytes)?;
                    let [bits, h1, h0, w1, w0, components] = bytes;
                    if bits != 8 {
                        return Err(ReadFault::unsupported(format!("its samples have {bits} bits")));
                    }
                    let side = |high, low| u32::from(u16::from_be_bytes([high, low]));
                    frame = Some((Size::new(side(h1, h0), side(w1, w0)), components));
                    stream.skip(length - 6)?;
                }
                0xE1 if length >= 6 => {
                    let mut block = vec![0; length];
                    stream.take_bytes(&mut block)?;
                    if let (Some(exif), D4::IDENTITY) = (block.strip_prefix(b"Exif\0\0"), orientation) {
                        orientation = exif_orientation(exif);
                    }
                }
                0xEE if length >= 12 => {
                    let mut block = vec![0; length];
                    stream.take_bytes(&mut block)?;
                    if block.starts_with(b"Adobe") {
                        adobe_transform = Some(block[11]);
                    }
                }
                0xDA => break,
                _ => stream.skip(length)?,
            }
        }
        let (size, components) = frame.ok_or_else(|| ReadFault::unreadable("it has no frame header"))?;
        Ok(Self { size, components, orientation, adobe_transform })
    }
}

/// The next marker that heads a segment, and how many bytes of the segment follow its length.
fn next_segment(stream: &mut impl Skip) -> Result<(u8, usize), ReadFault> {
    let mut byte = [0];
    let mut after_ff = false;
    let marker = loop {
        stream.take_bytes(&mut byte)?;
        match byte[0] {
            0xFF => after_ff = true,
            // Markers that stand alone, and whatever lies between segments, are passed over.
            0x00 | 0x01 | 0xD0..=0xD8 => after_ff = false,
            0xD9 if after_ff => return Err(ReadFault::unreadable("it ends before its first pixel")),
            marker if after_ff => break marker,
            _ => {}
        }
    };
    let mut length = [0; 2];
    stream.take_bytes(&mut length)?;
    match usize::from(u16::from_be_bytes(length)).checked_sub(2) {
        Some(length) => Ok((marker, length)),
        None => Err(ReadFault::unreadable(format!("its segment {marker:02X} has an impossible length"))),
    }
}

/// Whether the end marker is there. Inside coded pixels a marker cannot occur by chance.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[ff, marker]) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        match (ff, marker) {
            (0xFF, 0xD9) => return true,
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => at += 2,
            (0xFF, 0x02..=0xFE) => {
                let length = bytes
                    .get(at + 2..)
                    .and_then(|rest| rest.first_chunk())
                    .map_or(0, |b| u16::from_be_bytes(*b));
                at += 2 + usize::from(length);
            }
            _ => at += 1,
        }
    }
    false
}

/// A stream that can pass over bytes.
trait Skip: Read {
    fn skip(&mut self, count: usize) -> Result<(), ReadFault>;

    fn take_bytes(&mut self, out: &mut [u8]) -> Result<(), ReadFault> {
        self.read_exact(out).map_err(ReadFault::io)
    }
}

impl Skip for BufReader<Stream<'_>> {
    fn skip(&mut self, count: usize) -> Result<(), ReadFault> {
        self.seek_relative(count as i64).map_err(ReadFault::io)
    }
}

impl Skip for &[u8] {
    fn skip(&mut self, count: usize) -> Result<(), ReadFault> {
        self.consume(count.min(self.len()));
        Ok(())
    }
}
