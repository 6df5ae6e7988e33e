//! PNG: held in memory where it fits, else decoded row by row into the scratch folder.

use super::error::Fault;
use super::file::{Source, Stream};
use super::header::{Format, Header, Limits, exif_orientation};
use super::samples::SampleType;
use super::whole::Whole;
use marquetry_geometry::Size;
use png::{BitDepth, ColorType, Decoder, DecodingError, Reader, Transformations};
use std::io::BufReader;

/// Reads what comes before the pixels. EXIF data is looked for there only, where the standard wants it.
pub(super) fn header(source: &Source, limits: &Limits) -> Result<Header, Fault> {
    source.decode(|stream| Ok(start(stream, limits)?.0))
}

/// Decodes the whole image.
pub(super) fn load(source: &Source, limits: &Limits) -> Result<(Header, Whole), Fault> {
    source.decode(|stream| {
        let (header, mut reader) = start(stream, limits)?;
        let wide = header.sample == SampleType::U16;
        let whole = if header.fits(limits) {
            let mut bytes = vec![0; header.decoded_bytes() as usize];
            reader.next_frame(&mut bytes).map_err(fault)?;
            to_native(&mut bytes, wide);
            Whole::Memory(bytes)
        } else {
            let mut line = vec![0; header.size.width as usize * header.pixel_bytes()];
            Whole::to_scratch(limits, header.decoded_bytes(), |put| {
                while reader.read_row(&mut line).map_err(fault)?.is_some() {
                    to_native(&mut line, wide);
                    put(&line)?;
                }
                Ok(())
            })?
        };
        Ok((header, whole))
    })
}

type PngReader<'a> = Reader<BufReader<Stream<'a>>>;

fn start<'a>(stream: BufReader<Stream<'a>>, limits: &Limits) -> Result<(Header, PngReader<'a>), Fault> {
    let mut decoder = Decoder::new(stream);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    // Palettes to RGB, 1 to 4 bits to 8, transparent colours to an alpha band, which is then dropped as any other.
    decoder.set_transformations(Transformations::EXPAND);
    let reader = decoder.read_info().map_err(fault)?;
    let info = reader.info();
    let size = Size::new(info.height, info.width);
    let (colour, depth) = reader.output_color_type();
    let sample = if depth == BitDepth::Sixteen { SampleType::U16 } else { SampleType::U8 };
    let colours = match colour {
        ColorType::Grayscale | ColorType::GrayscaleAlpha | ColorType::Indexed => 1,
        ColorType::Rgb | ColorType::Rgba => 3,
    };
    let mut header =
        Header::plain(Format::Png, size, sample, colours, colour.samples() as u16).check(limits)?;
    if let Some(exif) = &info.exif_metadata {
        header.orientation = exif_orientation(exif);
    }
    if info.interlaced && !header.fits(limits) {
        return Err(Fault::too_large(
            format!(
                "it is interlaced, and its {size} pixels take {} bytes decoded where {} are allowed",
                header.decoded_bytes(),
                limits.memory_bytes
            ),
            "save it without interlacing, as with `magick in.png -interlace none out.png`, or raise the memory limit",
        ));
    }
    Ok((header, reader))
}

/// PNG has big-endian samples.
fn to_native(bytes: &mut [u8], wide: bool) {
    if wide && cfg!(target_endian = "little") {
        bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|sample| sample.reverse());
    }
}

fn fault(error: DecodingError) -> Fault {
    match error {
        DecodingError::IoError(error) => Fault::io(error),
        DecodingError::LimitsExceeded => {
            Fault::too_large("its rows or its metadata are too long", "convert it to a tiled TIFF")
        }
        other => Fault::damaged(other),
    }
}
