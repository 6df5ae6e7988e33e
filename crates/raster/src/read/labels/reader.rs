//! The numbers of a label by windows, wherever they come from.

use super::painted::Painted;
use crate::read::beside::Beside;
use crate::read::colour::Colour;
use crate::read::error::{ReadError, ReadFault};
use crate::read::file::{ReadAt, Source};
use crate::read::header::{Format, Limits};
use crate::read::image::{Content, Image, check_inside};
use crate::read::missing::MissingRule;
use crate::read::pixels::Pixels;
use crate::read::png::PngSamples;
use crate::rle::Runs;
use marquetry_geometry::{D4, Reading, Rect, Size};
use std::path::{Path, PathBuf};

/// What a label says of itself before a number is read.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelInfo {
    /// Rows and columns as shown, px: after the file's orientation was applied.
    pub size: Size,
    /// Rows and columns as stored, px.
    pub stored_size: Size,
    /// What the file's orientation does to the stored pixels.
    pub orientation: D4,
    /// Numbers of a pixel, alpha included: 1 for palettes and grey, 3 or 4 for colours, else the bands of a TIFF.
    pub bands: u16,
    /// The band that is alpha, not a number in its own right.
    pub alpha: Option<u16>,
    /// Red, green and blue of each number, where the file has a palette.
    pub palette: Option<Vec<[u8; 3]>>,
    /// Whether the file says that 0 is white: its numbers are handed over as they stand, and other programs may have
    /// turned them round.
    pub white_is_zero: bool,
    /// The number that the file says stands for no data, whether its samples can have it or not.
    pub nodata: Option<f64>,
    /// Whether numbers come back only nearly as they were written. JPEG, alone or in a TIFF, and WebP, which may be
    /// lossless but is not asked.
    pub lossy: bool,
    /// Pages of the file that are left out: others than that (or those, as bands) which it is read from.
    pub pages_left_out: u32,
    /// The file's format; none for what is painted from run lengths or outlines.
    pub format: Option<Format>,
}

/// Samples come as f32, which holds every whole number below this, positive or negative.
const EXACT: i32 = 1 << 24;

/// The numbers of a window.
///
/// Keep one for each thread: its memory is used again by the next read.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    /// `[bands, height, width]`, row-major in each band.
    pub values: Vec<i32>,
    /// Of the same shape: whether the file says that there is no number. What stands in `values` there is the number
    /// for no data where it is a whole one that could be a label, else 0.
    pub missing: Vec<bool>,
    pixels: Pixels,
}

/// An open label, of which any number of threads can read windows at the same time.
///
/// A TIFF is read chunk by chunk, any other file is decoded when it is opened, in the scratch folder where it is too
/// large for memory; of run lengths and outlines, only the runs are kept. Palettes of BMP files come as colours.
#[derive(Debug)]
pub struct LabelReader {
    name: PathBuf,
    info: LabelInfo,
    numbers: Numbers,
}

#[derive(Debug)]
enum Numbers {
    File(Box<Image>),
    Painted(Painted),
}

impl LabelReader {
    /// Opens a label that is an image: PNG, TIFF, BMP, PNM, JPEG or WebP. Where a mask in it, or beside it (`x.tif.msk`), is
    /// 0, there is no number.
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, ReadError> {
        let mask = Self::mask_beside(path);
        let mask = mask.map(|name| Image::open(&name, limits, &Reading::default())).transpose()?;
        let beside = Beside { nodata: None, mask };
        Ok(Self::of_image(
            path,
            Image::load(Source::open(path), path, limits, &Reading::default(), beside, PngSamples::Numbers)?,
        ))
    }

    /// The mask beside a label (`x.tif.msk`), if there is one.
    pub fn mask_beside(path: &Path) -> Option<PathBuf> {
        let mut name = path.as_os_str().to_owned();
        name.push(".msk");
        Some(PathBuf::from(name)).filter(|name| name.is_file())
    }

    /// [`open`](Self::open) of what is no file. `name` is what messages call it.
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn open_from(bytes: Box<dyn ReadAt>, name: &Path, limits: &Limits) -> Result<Self, ReadError> {
        Ok(Self::of_image(
            name,
            Image::load(
                Source::of(bytes),
                name,
                limits,
                &Reading::default(),
                Beside::default(),
                PngSamples::Numbers,
            )?,
        ))
    }

    /// A label of `size` px that is `background` but for `masks`, each painted with its value over those before it.
    ///
    /// # Errors
    /// When a mask is of another size.
    pub fn painted(
        name: &Path,
        size: Size,
        background: u16,
        masks: Vec<(u16, Runs)>,
    ) -> Result<Self, ReadError> {
        if let Some((value, mask)) = masks.iter().find(|(_, mask)| mask.size() != size) {
            let found = format!("a mask of value {value} is {} px, the label {size} px", mask.size());
            return Err(ReadError::new(name, "painting the label", ReadFault::unreadable(found)));
        }
        let info = LabelInfo {
            size,
            stored_size: size,
            orientation: D4::IDENTITY,
            bands: 1,
            alpha: None,
            palette: None,
            white_is_zero: false,
            nodata: None,
            lossy: false,
            pages_left_out: 0,
            format: None,
        };
        Ok(Self { name: name.to_owned(), info, numbers: Numbers::Painted(Painted { background, masks }) })
    }

    fn of_image(name: &Path, mut image: Image) -> Self {
        let header = &mut image.header;
        let alpha = (0..header.per_pixel).find(|sample| !header.kept.contains(sample));
        header.kept = (0..header.per_pixel).collect();
        header.missing = MissingRule::of_mask(header.mask);
        let (palette, white_is_zero) = match std::mem::replace(&mut header.colour, Colour::AsStored) {
            Colour::Palette(colours) => {
                (Some(colours.into_iter().map(|colour| colour.map(|channel| channel as u8)).collect()), false)
            }
            Colour::WhiteIsZero { .. } => (None, true),
            Colour::AsStored | Colour::Stretched { .. } | Colour::Cmyk { .. } => (None, false),
        };
        let (mut lossy, mut nodata) = (matches!(header.format, Format::Jpeg | Format::WebP), None);
        if let Content::Tiff(tiff) = &image.content {
            (lossy, nodata) = (tiff.is_lossy(), header.nodata);
        }
        image.info = image.header.info();
        let info = LabelInfo {
            size: image.info.size,
            stored_size: image.header.size,
            orientation: image.header.orientation,
            bands: image.info.bands,
            alpha,
            palette,
            white_is_zero,
            nodata,
            lossy,
            pages_left_out: image.header.pages.count.saturating_sub(image.header.pages.used.len() as u32),
            format: Some(image.info.format),
        };
        Self { name: name.to_owned(), info, numbers: Numbers::File(Box::new(image)) }
    }

    /// The same label in the frame of its stored pixels, whatever its orientation says: some programs write labels for
    /// the image as it is stored and copy its orientation along.
    #[must_use]
    pub fn as_stored(mut self) -> Self {
        self.info.orientation = D4::IDENTITY;
        self.info.size = self.info.stored_size;
        if let Numbers::File(image) = &mut self.numbers {
            image.header.orientation = D4::IDENTITY;
            image.info = image.header.info();
        }
        self
    }

    /// The same label with the number for no data as a number like any other. What is missing by a mask, or is no number,
    /// stays so.
    #[must_use]
    pub const fn with_nodata_as_number(mut self) -> Self {
        self.info.nodata = None;
        self
    }

    /// What it says of itself.
    pub const fn info(&self) -> &LabelInfo {
        &self.info
    }

    /// Reads the window `rect`, in pixels of the label as shown, into `out`. Where masks are painted, a few calls for
    /// many rows are faster than many for one.
    ///
    /// # Errors
    /// If the window is not inside the label, the file is damaged there or cannot be read, or a sample that is not
    /// missing is no whole number between -16,777,216 and 16,777,216. `out` is then in no meaningful state.
    pub fn read(&self, rect: Rect, out: &mut Labels) -> Result<(), ReadError> {
        let read = match &self.numbers {
            Numbers::File(image) => match image.plain_bytes() {
                Some(bytes) => {
                    check_inside(rect, self.info.size).map(|()| out.take_bytes(bytes, self.info.size, rect))
                }
                None => {
                    image.shown(rect, &mut out.pixels).and_then(|()| out.take_numbers(rect, self.info.nodata))
                }
            },
            Numbers::Painted(painted) => painted.read(self.info.size, rect, out),
        };
        read.map_err(|fault| ReadError::new(&self.name, "reading a window of the label", fault))
    }
}

impl Labels {
    /// Makes whole numbers of the samples that were read from `rect`.
    fn take_numbers(&mut self, rect: Rect, nodata: Option<f64>) -> Result<(), ReadFault> {
        let nodata = nodata.map_or(f32::NAN, |value| value as f32);
        self.values.resize(self.pixels.data.len(), 0);
        self.missing.resize(self.pixels.data.len(), false);
        let mut bad = false;
        // Without a branch, so that many samples are looked at together. What is no whole number does not come back, and
        // what is greater may have been rounded.
        let numbers = self.values.iter_mut().zip(&mut self.missing).zip(&self.pixels.data);
        for ((value, missing), &sample) in numbers {
            let number = sample as i32;
            let whole = number as f32 == sample && number.unsigned_abs() < EXACT.unsigned_abs();
            *missing = sample.is_nan() || sample == nodata;
            *value = if whole { number } else { 0 };
            bad |= !(whole || *missing);
        }
        let is_bad = |&at: &usize| {
            let sample = self.pixels.data[at];
            !(self.missing[at] || sample.fract() == 0.0 && sample.abs() < EXACT as f32)
        };
        let first = if bad { (0..self.pixels.data.len()).find(is_bad) } else { None };
        match first {
            Some(at) => Err(no_number(rect, at, self.pixels.data[at])),
            None => Ok(()),
        }
    }

    /// Takes over the window `rect` of an image of `size` that has a byte for each pixel, as most labels have.
    fn take_bytes(&mut self, bytes: &[u8], size: Size, rect: Rect) {
        let width = rect.size.width as usize;
        self.values.clear();
        for row in rect.top as usize..rect.bottom() as usize {
            let at = row * size.width as usize + rect.left as usize;
            self.values.extend(bytes[at..at + width].iter().map(|&byte| i32::from(byte)));
        }
        self.missing.clear();
        self.missing.resize(self.values.len(), false);
    }

    /// Makes room for a window of one band without missing numbers.
    pub(super) fn fill(&mut self, size: Size, value: i32) {
        self.values.clear();
        self.values.resize(size.area() as usize, value);
        self.missing.clear();
        self.missing.resize(size.area() as usize, false);
    }
}

/// `at` is the sample's place in the window `rect`.
fn no_number(rect: Rect, at: usize, sample: f32) -> ReadFault {
    let (area, width) = (rect.size.area() as usize, rect.size.width as usize);
    let found = format!(
        "its value in band {}, row {}, column {} is {sample}, no whole number between -16777216 and 16777216",
        at / area,
        rect.top + (at % area / width) as i64,
        rect.left + (at % width) as i64
    );
    ReadFault::unreadable(found).advise(
        "write labels as whole numbers, best of 0 to 255, with one of their own for no label; values between whole numbers \
         are scores and no labels",
    )
}
