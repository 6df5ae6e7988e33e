//! PNG: held in memory where it fits, else decoded row by row into the scratch folder.
//!
//! An image has colours: palettes are expanded, few bits are stretched. A label has numbers: the index into the palette,
//! or the grey value, as it stands in the file.

use super::colour::Colour;
use super::error::ReadFault;
use super::file::{Source, Stream};
use super::header::{Format, Header, Limits, exif_orientation};
use super::samples::SampleType;
use super::whole::Whole;
use marquetry_geometry::Size;
use png::{BitDepth, ColorType, Decoder, DecodingError, Reader, Transformations};
use std::io::BufReader;

/// What the samples of a decoded PNG are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PngSamples {
    /// Palettes are RGB, 1 to 4 bits are 8, and transparent colours are an alpha band, which is dropped as any other.
    Colours,
    /// The numbers of the file, of 1 to 4 bits in a byte each.
    Numbers,
}

/// Reads what comes before the pixels. EXIF data is looked for there only, where the standard wants it.
pub(super) fn header(source: &Source, limits: &Limits) -> Result<Header, ReadFault> {
    source.decode(|stream| Ok(start(stream, limits, PngSamples::Colours)?.0))
}

/// Decodes the whole image.
pub(super) fn load(
    source: &Source,
    limits: &Limits,
    samples: PngSamples,
) -> Result<(Header, Whole), ReadFault> {
    source.decode(|stream| {
        let (header, mut reader) = start(stream, limits, samples)?;
        let wide = header.sample == SampleType::U16;
        let bits = reader.output_color_type().1 as usize;
        let row_samples = header.size.width as usize * usize::from(header.per_pixel);
        let row_bytes = (row_samples * bits).div_ceil(8);
        let whole = if header.fits(limits) {
            let mut bytes = vec![0; row_bytes * header.size.height as usize];
            reader.next_frame(&mut bytes).map_err(fault)?;
            to_native(&mut bytes, wide);
            if bits < 8 {
                let mut unpacked = Vec::with_capacity(header.decoded_bytes() as usize);
                bytes.chunks_exact(row_bytes).for_each(|row| unpack(row, bits, row_samples, &mut unpacked));
                bytes = unpacked;
            }
            Whole::Memory(bytes)
        } else {
            let (mut line, mut unpacked) = (vec![0; row_bytes], Vec::new());
            Whole::to_scratch(limits, header.decoded_bytes(), |put| {
                while reader.read_row(&mut line).map_err(fault)?.is_some() {
                    to_native(&mut line, wide);
                    if bits < 8 {
                        unpacked.clear();
                        unpack(&line, bits, row_samples, &mut unpacked);
                        put(&unpacked)?;
                    } else {
                        put(&line)?;
                    }
                }
                Ok(())
            })?
        };
        Ok((header, whole))
    })
}

type PngReader<'a> = Reader<BufReader<Stream<'a>>>;

fn start<'a>(
    stream: BufReader<Stream<'a>>,
    limits: &Limits,
    samples: PngSamples,
) -> Result<(Header, PngReader<'a>), ReadFault> {
    let mut decoder = Decoder::new(stream);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(match samples {
        PngSamples::Colours => Transformations::EXPAND,
        PngSamples::Numbers => Transformations::IDENTITY,
    });
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
    if colour == ColorType::Indexed {
        let colours = info.palette.as_deref().unwrap_or_default().as_chunks::<3>().0;
        header.colour = Colour::Palette(colours.iter().map(|colour| colour.map(f32::from)).collect());
    }
    if let Some(exif) = &info.exif_metadata {
        header.orientation = exif_orientation(exif);
    }
    if info.interlaced && !header.fits(limits) {
        return Err(ReadFault::too_large(
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

/// Puts every sample of a row of `bits` bits, packed from the highest bit on, into a byte of its own.
fn unpack(row: &[u8], bits: usize, samples: usize, out: &mut Vec<u8>) {
    let mask = (1_u8 << bits) - 1;
    let sample = |at: usize| row[at * bits / 8] >> (8 - bits - at * bits % 8) & mask;
    out.extend((0..samples).map(sample));
}

/// PNG has big-endian samples.
fn to_native(bytes: &mut [u8], wide: bool) {
    if wide && cfg!(target_endian = "little") {
        bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|sample| sample.reverse());
    }
}

fn fault(error: DecodingError) -> ReadFault {
    match error {
        DecodingError::IoError(error) => ReadFault::io(error),
        DecodingError::LimitsExceeded => {
            ReadFault::too_large("its rows or its metadata are too long", "convert it to a tiled TIFF")
        }
        DecodingError::Format(error) => ReadFault::unreadable(in_plain_words(&error.to_string())),
        other @ DecodingError::Parameter(_) => ReadFault::damaged(other),
    }
}

/// What the decoder says of a damaged file, without the names and values of its own types.
fn in_plain_words(said: &str) -> String {
    let known = [
        ("Corrupt deflate stream", "its compressed pixels are damaged"),
        ("CRC error", "a part of it is damaged: its checksum is not that of its content"),
        ("IDAT or fdAT chunk is missing", "its pixels are missing"),
        ("IDAT or fDAT chunk does not have enough data", "its pixels end too early"),
        ("Missing palette", "its pixels are numbers of a palette, which it does not have"),
        ("Not enough palette entries", "its palette has too few colours"),
    ];
    if let Some((_, words)) = known.iter().find(|(start, _)| said.starts_with(start)) {
        return (*words).to_owned();
    }
    let own_types = ["ChunkType", "BitDepth", "color type", "combination"];
    if own_types.iter().any(|word| said.contains(word)) {
        return "its header, or the order of its parts, is none that a PNG has".to_owned();
    }
    format!("it is no sound PNG: {}", said.trim_end_matches('.'))
}
