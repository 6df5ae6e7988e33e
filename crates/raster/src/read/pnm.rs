//! PBM, PGM and PPM (Netpbm), which are only read whole; of a file of several images the first.
//!
//! Samples below a greatest value of less than 255 are stretched to 0..255 as in Pillow; a bit is black where it is 1. A label
//! has the numbers of the file, and 1 for white.

use super::colour::Colour;
use super::error::ReadFault;
use super::file::Source;
use super::header::{Format, Header, Limits};
use super::samples::SampleType;
use super::whole::Whole;
use marquetry_geometry::Size;

/// A header with its comments is looked for in so many bytes.
const HEADER_MAX: u64 = 64 << 10;

/// What the header says.
struct Found {
    header: Header,
    /// The greatest value of a sample.
    max: u32,
    /// Whether samples are written as text.
    is_text: bool,
    is_bitmap: bool,
    /// Where samples begin.
    at: u64,
}

pub(super) fn header(source: &Source, limits: &Limits) -> Result<Header, ReadFault> {
    Ok(found(source, limits)?.header)
}

/// Decodes the whole image.
pub(super) fn load(source: &Source, limits: &Limits) -> Result<(Header, Whole), ReadFault> {
    let Found { header, max, is_text, is_bitmap, at } = found(source, limits)?;
    let (width, height) = (header.size.width as usize, header.size.height as usize);
    let samples = width * height * usize::from(header.per_pixel);
    let rest = source.length() - at;
    // Text may take any room, but most of it is no blanks.
    let bytes_max = if is_text { limits.memory_bytes.saturating_mul(8) } else { limits.memory_bytes };
    let bytes = source.bytes(at, rest.min(bytes_max))?;
    let cut = || ReadFault::unreadable(format!("the file ends too early: {samples} samples were expected"));
    let numbers: Vec<u32> = if is_text {
        text_samples(&bytes, samples, is_bitmap)?
    } else if is_bitmap {
        let row_bytes = width.div_ceil(8);
        let rows = bytes.get(..row_bytes * height).ok_or_else(cut)?;
        let bit = |row: &[u8], col: usize| u32::from(row[col / 8] >> (7 - col % 8) & 1);
        rows.chunks_exact(row_bytes.max(1)).flat_map(|row| (0..width).map(move |col| bit(row, col))).collect()
    } else if max < 256 {
        bytes.get(..samples).ok_or_else(cut)?.iter().map(|&byte| u32::from(byte)).collect()
    } else {
        let pairs = bytes.get(..2 * samples).ok_or_else(cut)?.as_chunks::<2>().0;
        pairs.iter().map(|&pair| u32::from(u16::from_be_bytes(pair))).collect()
    };
    if numbers.len() < samples {
        return Err(cut());
    }
    if let Some(place) = numbers.iter().position(|&number| number > max) {
        let number = numbers[place];
        return Err(ReadFault::unreadable(format!(
            "its sample {place} is {number}, and its greatest value is {max}"
        )));
    }
    let sample = |number: u32| if is_bitmap { 1 - number } else { number };
    let numbers = numbers.into_iter().map(sample);
    let bytes = match header.sample {
        SampleType::U16 => numbers.flat_map(|number| (number as u16).to_ne_bytes()).collect(),
        _ => numbers.map(|number| number as u8).collect(),
    };
    Ok((header, Whole::Memory(bytes)))
}

fn found(source: &Source, limits: &Limits) -> Result<Found, ReadFault> {
    let head = source.bytes(0, source.length().min(HEADER_MAX))?;
    let kind = head.get(1).copied().unwrap_or_default();
    let is_bitmap = matches!(kind, b'1' | b'4');
    let mut words = Words { bytes: &head, at: 2 };
    let mut number = |what: &str| {
        let word = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse::<u32>().ok());
        word.ok_or_else(|| ReadFault::unreadable(format!("its header has no number for its {what}")))
    };
    let (width, height) = (number("width")?, number("height")?);
    let max = if is_bitmap { 1 } else { number("greatest value")? };
    if !(1..=65_535).contains(&max) {
        return Err(ReadFault::unreadable(format!("its greatest value is {max}, and may be 1 to 65535")));
    }
    // One blank stands between the header and samples that are no text.
    let at = words.at as u64 + 1;
    let samples = if matches!(kind, b'3' | b'6') { 3 } else { 1 };
    let sample = if max < 256 { SampleType::U8 } else { SampleType::U16 };
    let mut header = Header::plain(Format::Pnm, Size::new(height, width), sample, samples, samples);
    if max < 255 {
        header.colour = Colour::Stretched { max: max as f32 };
    }
    header.greatest = (sample == SampleType::U16 && max < 65_535).then_some(max as u16);
    let header = header.check(limits)?.check_fits(limits)?;
    let is_text = matches!(kind, b'1'..=b'3');
    Ok(Found { header, max, is_text, is_bitmap, at: at.min(source.length()) })
}

/// The first `count` samples of a text; those of a bitmap need no blanks between them.
fn text_samples(text: &[u8], count: usize, is_bitmap: bool) -> Result<Vec<u32>, ReadFault> {
    let strange = |word: &[u8]| {
        let word = String::from_utf8_lossy(&word[..word.len().min(20)]).into_owned();
        ReadFault::unreadable(format!("`{word}` stands where a sample should be"))
    };
    let mut samples = Vec::new();
    for word in (Words { bytes: text, at: 0 }) {
        if samples.len() >= count {
            break;
        }
        if is_bitmap {
            for digit in word {
                samples.push(match digit {
                    b'0' => 0,
                    b'1' => 1,
                    _ => return Err(strange(word)),
                });
            }
        } else {
            let number = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
            samples.push(number.ok_or_else(|| strange(word))?);
        }
    }
    samples.truncate(count);
    Ok(samples)
}

/// Words between blanks and comments, which reach from `#` to the end of their line.
struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            match self.bytes.get(self.at)? {
                b'#' => {
                    let line = self.bytes[self.at..].iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                    self.at += line.unwrap_or(self.bytes.len() - self.at);
                }
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => break,
            }
        }
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'#');
        let word = &rest[..end.unwrap_or(rest.len())];
        self.at += word.len();
        Some(word)
    }
}
