//! Opening images of any format, and reading windows of them as they are shown.

use super::beside::Beside;
use super::colour::Colour;
use super::damage::DamagedPart;
use super::error::{ReadError, ReadFault};
use super::file::{ReadAt, Source};
use super::header::{Format, Header, ImageInfo, Limits};
use super::kinds::detect;
use super::pixels::Pixels;
use super::png::PngSamples;
use super::samples::SampleType;
use super::tiff::Tiff;
use super::whole::Whole;
use super::{jpeg, other, png, pnm, tiff};
use marquetry_geometry::{D4, Reading, Rect, Size};
use std::path::{Path, PathBuf};

/// Reads an image's header, and no more of the file than it needs for that.
///
/// # Errors
/// If the file cannot be read, is of an unknown kind, is damaged where it was looked at, or goes over a limit that
/// opening it would go over too.
pub fn probe(path: &Path, limits: &Limits, reading: &Reading) -> Result<ImageInfo, ReadError> {
    header(Source::open(path), path, limits, reading, &Beside::default())
}

/// [`probe`] of what is no file, with what is said beside it. `name` is what messages call it.
///
/// # Errors
/// As [`probe`].
pub fn probe_from(
    bytes: Box<dyn ReadAt>,
    name: &Path,
    limits: &Limits,
    reading: &Reading,
    beside: &Beside,
) -> Result<ImageInfo, ReadError> {
    header(Source::of(bytes), name, limits, reading, beside)
}

fn header(
    source: Result<Source, ReadFault>,
    name: &Path,
    limits: &Limits,
    reading: &Reading,
    beside: &Beside,
) -> Result<ImageInfo, ReadError> {
    let header = source.and_then(|source| {
        let header = match detect(&source)? {
            Format::Png => png::header(&source, limits),
            Format::Jpeg => jpeg::header(&source, limits),
            Format::Tiff => tiff::header(&source, limits, reading),
            Format::Pnm => pnm::header(&source, limits),
            format @ (Format::WebP | Format::Bmp) => other::header(format, &source, limits),
        };
        check_page(header?, reading)?.read_as(reading, beside)
    });
    Ok(header.map_err(|fault| ReadError::new(name, "reading the header of the image", fault))?.info())
}

/// Refuses a page that a file of a format without pages does not have.
fn check_page(header: Header, reading: &Reading) -> Result<Header, ReadFault> {
    match reading.page {
        Some(page) if page > 0 && header.pages.count == 0 => Err(ReadFault::unreadable(format!(
            "page {page} of it is asked for (counted from 0), and it has one image only"
        ))
        .advise("leave `images.page` out")),
        _ => Ok(header),
    }
}

/// An open image, of which any number of threads can read windows at the same time.
///
/// A TIFF is read chunk by chunk, with the chunks used last kept within the memory limit. Anything else is decoded when
/// it is opened, and kept.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    pub(super) info: ImageInfo,
    pub(super) header: Header,
    pub(super) content: Content,
    /// The mask that lies beside it.
    pub(super) mask: Option<Box<Image>>,
}

#[derive(Debug)]
pub(super) enum Content {
    Whole(Whole),
    Tiff(Box<Tiff>),
}

impl Image {
    /// Opens an image.
    ///
    /// # Errors
    /// As [`probe`], and if the pixels of a file that is decoded whole are damaged, or the scratch folder has no room.
    pub fn open(path: &Path, limits: &Limits, reading: &Reading) -> Result<Self, ReadError> {
        Self::load(Source::open(path), path, limits, reading, Beside::default(), PngSamples::Colours)
    }

    /// [`open`](Self::open) of what is no file, with what is said beside it. `name` is what messages call it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_from(
        bytes: Box<dyn ReadAt>,
        name: &Path,
        limits: &Limits,
        reading: &Reading,
        beside: Beside,
    ) -> Result<Self, ReadError> {
        Self::load(Source::of(bytes), name, limits, reading, beside, PngSamples::Colours)
    }

    pub(super) fn load(
        source: Result<Source, ReadFault>,
        name: &Path,
        limits: &Limits,
        reading: &Reading,
        beside: Beside,
        samples: PngSamples,
    ) -> Result<Self, ReadError> {
        let open = || -> Result<(Header, Content), ReadFault> {
            let source = source?;
            let format = detect(&source)?;
            if format == Format::Tiff {
                let (header, mut tiff) = Tiff::open(source, limits, reading)?;
                if let Some(Ok(nodata)) = &beside.nodata {
                    tiff.fill_with(*nodata);
                }
                return Ok((header.read_as(reading, &beside)?, Content::Tiff(Box::new(tiff))));
            }
            let (header, whole) = match format {
                Format::Png => png::load(&source, limits, samples)?,
                Format::Jpeg => jpeg::load(&source, limits)?,
                Format::Pnm => pnm::load(&source, limits)?,
                _ => other::load(format, &source, limits)?,
            };
            Ok((check_page(header, reading)?.read_as(reading, &beside)?, Content::Whole(whole)))
        };
        let (header, content) = open().map_err(|fault| ReadError::new(name, "opening the image", fault))?;
        let mask = beside.into_mask(reading);
        Ok(Self { path: name.to_owned(), info: header.info(), header, content, mask })
    }

    /// What its header says.
    pub const fn info(&self) -> &ImageInfo {
        &self.info
    }

    /// From now on the pixels of a strip or tile that is damaged are missing, and [`damage`](Self::damage) says which they
    /// are. A file that is decoded whole is as it was: what is damaged there is found when it is opened.
    #[must_use]
    pub fn tolerating_damage(mut self) -> Self {
        if let Content::Tiff(tiff) = &mut self.content {
            tiff.tolerate_damage();
        }
        self
    }

    /// The strips and tiles that reach into `rect`, in pixels of the image as shown, and were found damaged when they were
    /// read, in the order of the file.
    pub fn damage(&self, rect: Rect) -> Vec<DamagedPart> {
        let Content::Tiff(tiff) = &self.content else { return Vec::new() };
        if rect.size.is_empty() {
            return Vec::new();
        }
        let turn = self.header.orientation;
        let mut parts = tiff.damage(turned(rect, turn, self.header.size));
        parts.iter_mut().for_each(|part| part.rect = turned(part.rect, turn.inverse(), self.info.size));
        parts
    }

    /// How many strips and tiles were decoded so far; 0 for an image that was decoded when it was opened.
    #[cfg(test)]
    pub(super) fn chunks_decoded(&self) -> u64 {
        match &self.content {
            Content::Whole(_) => 0,
            Content::Tiff(tiff) => tiff.decoded(),
        }
    }

    /// Whether pixels of it may be missing.
    pub const fn may_miss(&self) -> bool {
        self.header.missing.may_miss() || self.mask.is_some()
    }

    /// Reads the window `rect`, in pixels of the image as shown, into `out`. A missing pixel is NaN in every band; all other
    /// values are finite.
    ///
    /// # Errors
    /// If the window is not inside the image, or the file is damaged there or cannot be read. `out` is then in no meaningful
    /// state.
    pub fn read(&self, rect: Rect, out: &mut Pixels) -> Result<(), ReadError> {
        self.shown(rect, out).map_err(|fault| {
            let Rect { top, left, size } = rect;
            let part = format!("{size} px at row {top}, column {left}");
            ReadError::new(&self.path, "reading a window of the image", fault.at(&part))
        })
    }

    /// [`read`](Self::read), with an error that does not name the image yet.
    pub(super) fn shown(&self, rect: Rect, out: &mut Pixels) -> Result<(), ReadFault> {
        check_inside(rect, self.info.size)?;
        if rect.size.is_empty() {
            out.reshape(rect.size, self.info.bands);
            return Ok(());
        }
        let element = self.header.orientation;
        if element == D4::IDENTITY {
            self.stored(rect, out)?;
        } else {
            let mut stored = Pixels::default();
            self.stored(turned(rect, element, self.header.size), &mut stored)?;
            stored.transformed_into(element, out);
        }
        Ok(())
    }

    /// All samples, where a pixel is one of 8 bits in memory, shown as it is stored, and none is missing.
    pub(super) fn plain_bytes(&self) -> Option<&[u8]> {
        let header = &self.header;
        let is_plain = header.sample == SampleType::U8
            && header.per_pixel == 1
            && header.kept == [0]
            && header.orientation == D4::IDENTITY
            && matches!(header.colour, Colour::AsStored)
            && !header.missing.may_miss()
            && self.mask.is_none();
        match &self.content {
            Content::Whole(Whole::Memory(bytes)) if is_plain => Some(bytes),
            Content::Whole(_) | Content::Tiff(_) => None,
        }
    }

    pub(super) fn stored(&self, rect: Rect, out: &mut Pixels) -> Result<(), ReadFault> {
        let samples = self.header.read_samples();
        let lost = match &self.content {
            Content::Whole(whole) => {
                whole.read(&self.header, &samples, rect, out)?;
                Vec::new()
            }
            Content::Tiff(tiff) => tiff.read(&samples, rect, out)?,
        };
        let mut missing = self.header.missing.take(out);
        self.mark_masked(rect, &mut missing)?;
        mark_lost(&lost, rect, &mut missing);
        self.header.colour.apply(out);
        if let Some(missing) = missing {
            for plane in out.data.chunks_exact_mut(missing.len()) {
                plane
                    .iter_mut()
                    .zip(&missing)
                    .filter(|(_, missing)| **missing)
                    .for_each(|(v, _)| *v = f32::NAN);
            }
        }
        Ok(())
    }
}

/// The part of an image of `size` that `element` shows as `rect`, which is not empty.
fn turned(rect: Rect, element: D4, size: Size) -> Rect {
    let at = |row: i64, col: i64| element.source(size, row as u32, col as u32);
    let one = at(rect.top, rect.left);
    let other = at(rect.bottom() - 1, rect.right() - 1);
    let (top, left) = (one.0.min(other.0), one.1.min(other.1));
    let size = Size::new(one.0.abs_diff(other.0) + 1, one.1.abs_diff(other.1) + 1);
    Rect::new(i64::from(top), i64::from(left), size)
}

/// Marks the pixels of `lost`, which are parts of `rect`.
fn mark_lost(lost: &[Rect], rect: Rect, missing: &mut Option<Vec<bool>>) {
    if lost.is_empty() {
        return;
    }
    let missing = missing.get_or_insert_with(|| vec![false; rect.size.area() as usize]);
    for part in lost {
        for row in part.top..part.bottom() {
            let start =
                (row - rect.top) as usize * rect.size.width as usize + (part.left - rect.left) as usize;
            missing[start..start + part.size.width as usize].fill(true);
        }
    }
}

/// Refuses windows that reach out of an image of `size`.
pub(super) fn check_inside(rect: Rect, size: Size) -> Result<(), ReadFault> {
    if Rect::whole(size).contains(rect) {
        return Ok(());
    }
    let found = format!(
        "the window of {} px at ({}, {}) is not inside its {size} px",
        rect.size, rect.top, rect.left
    );
    Err(ReadFault::unreadable(found).advise("plan the job again if the file has changed since"))
}
