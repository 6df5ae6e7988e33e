//! WebP and BMP: small formats that are only read whole.

use super::error::ReadFault;
use super::file::{Source, Stream};
use super::header::{Format, Header, Limits, exif_orientation};
use super::samples::SampleType;
use super::whole::Whole;
use image::codecs::{bmp::BmpDecoder, webp::WebPDecoder};
use image::{ColorType, ImageDecoder, ImageError};
use marquetry_geometry::Size;
use std::io::BufReader;

/// Reads the header of a file of `format`, which is WebP or BMP.
pub(super) fn header(format: Format, source: &Source, limits: &Limits) -> Result<Header, ReadFault> {
    source.decode(|stream| Ok(start(format, stream, limits)?.0))
}

/// Decodes the whole image.
pub(super) fn load(format: Format, source: &Source, limits: &Limits) -> Result<(Header, Whole), ReadFault> {
    source.decode(|stream| {
        let (header, decoder) = start(format, stream, limits)?;
        let mut bytes = vec![0; header.decoded_bytes() as usize];
        decoder.read_image_boxed(&mut bytes).map_err(fault)?;
        Ok((header, Whole::Memory(bytes)))
    })
}

fn start<'a>(
    format: Format,
    stream: BufReader<Stream<'a>>,
    limits: &Limits,
) -> Result<(Header, Box<dyn ImageDecoder + 'a>), ReadFault> {
    let mut decoder: Box<dyn ImageDecoder + 'a> = if format == Format::Bmp {
        Box::new(BmpDecoder::new(stream).map_err(fault)?)
    } else {
        Box::new(WebPDecoder::new(stream).map_err(fault)?)
    };
    let (width, height) = decoder.dimensions();
    let (colours, per_pixel) = match decoder.color_type() {
        ColorType::L8 => (1, 1),
        ColorType::Rgb8 => (3, 3),
        ColorType::Rgba8 => (3, 4),
        other => return Err(ReadFault::unsupported(format!("its pixels are {other:?}"))),
    };
    let header = Header::plain(format, Size::new(height, width), SampleType::U8, colours, per_pixel);
    let mut header = header.check(limits)?.check_fits(limits)?;
    if let Some(exif) = decoder.exif_metadata().map_err(fault)? {
        header.orientation = exif_orientation(&exif);
    }
    Ok((header, decoder))
}

fn fault(error: ImageError) -> ReadFault {
    match error {
        ImageError::IoError(error) => ReadFault::io(error),
        ImageError::Unsupported(error) => ReadFault::unsupported(error.to_string()).because(error),
        other => ReadFault::damaged(other),
    }
}
