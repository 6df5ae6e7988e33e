//! Opening images of any format, and reading windows of them as they are shown.

use super::error::{ReadError, ReadFault};
use super::file::{ReadAt, Source};
use super::header::{Format, Header, ImageInfo, Limits};
use super::pixels::Pixels;
use super::png::PngSamples;
use super::tiff::Tiff;
use super::whole::Whole;
use super::{jpeg, other, png, tiff};
use marquetry_geometry::{D4, Rect, Size};
use std::path::{Path, PathBuf};

/// Reads an image's header, and no more of the file than it needs for that.
///
/// # Errors
/// If the file cannot be read, is of an unknown kind, is damaged where it was looked at, or goes over a limit that
/// opening it would go over too.
pub fn probe(path: &Path, limits: &Limits) -> Result<ImageInfo, ReadError> {
    header(Source::open(path), path, limits)
}

/// [`probe`] of what is no file. `name` is what messages call it.
///
/// # Errors
/// As [`probe`].
pub fn probe_from(bytes: Box<dyn ReadAt>, name: &Path, limits: &Limits) -> Result<ImageInfo, ReadError> {
    header(Source::of(bytes), name, limits)
}

fn header(source: Result<Source, ReadFault>, name: &Path, limits: &Limits) -> Result<ImageInfo, ReadError> {
    let header = source.and_then(|source| match detect(&source)? {
        Format::Png => png::header(&source, limits),
        Format::Jpeg => jpeg::header(&source, limits),
        Format::Tiff => tiff::header(&source, limits),
        format @ (Format::WebP | Format::Bmp) => other::header(format, &source, limits),
    });
    Ok(header.map_err(|fault| ReadError::new(name, "reading the header of the image", fault))?.info())
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
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, ReadError> {
        Self::load(Source::open(path), path, limits, PngSamples::Colours)
    }

    /// [`open`](Self::open) of what is no file. `name` is what messages call it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_from(bytes: Box<dyn ReadAt>, name: &Path, limits: &Limits) -> Result<Self, ReadError> {
        Self::load(Source::of(bytes), name, limits, PngSamples::Colours)
    }

    pub(super) fn load(
        source: Result<Source, ReadFault>,
        name: &Path,
        limits: &Limits,
        samples: PngSamples,
    ) -> Result<Self, ReadError> {
        let open = || -> Result<(Header, Content), ReadFault> {
            let source = source?;
            let format = detect(&source)?;
            if format == Format::Tiff {
                let (header, tiff) = Tiff::open(source, limits)?;
                return Ok((header, Content::Tiff(Box::new(tiff))));
            }
            let (header, whole) = match format {
                Format::Png => png::load(&source, limits, samples)?,
                Format::Jpeg => jpeg::load(&source, limits)?,
                _ => other::load(format, &source, limits)?,
            };
            Ok((header, Content::Whole(whole)))
        };
        let (header, content) = open().map_err(|fault| ReadError::new(name, "opening the image", fault))?;
        Ok(Self { path: name.to_owned(), info: header.info(), header, content })
    }

    /// What its header says.
    pub const fn info(&self) -> &ImageInfo {
        &self.info
    }

    /// How many strips and tiles were decoded so far; 0 for an image that was decoded when it was opened.
    #[cfg(test)]
    pub(super) fn chunks_decoded(&self) -> u64 {
        match &self.content {
            Content::Whole(_) => 0,
            Content::Tiff(tiff) => tiff.decoded(),
        }
    }

    /// Reads the window `rect`, in pixels of the image as shown, into `out`.
    ///
    /// # Errors
    /// If the window is not inside the image, the file is damaged there or cannot be read, or a value is no finite
    /// number. `out` is then in no meaningful state.
    pub fn read(&self, rect: Rect, out: &mut Pixels) -> Result<(), ReadError> {
        self.window(rect, out)
            .map_err(|fault| ReadError::new(&self.path, "reading a window of the image", fault))
    }

    fn window(&self, rect: Rect, out: &mut Pixels) -> Result<(), ReadFault> {
        self.shown(rect, out)?;
        if !self.header.sample.is_float() {
            return Ok(());
        }
        match out.first_not_finite() {
            None => Ok(()),
            Some((band, row, col)) => Err(not_finite(rect, (band, row, col))),
        }
    }

    /// Reads the window `rect` of the image as shown, whatever its values are.
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
            self.stored(self.source_of(rect), &mut stored)?;
            stored.transformed_into(element, out);
        }
        Ok(())
    }

    /// The part of the stored image that is shown as `rect`.
    fn source_of(&self, rect: Rect) -> Rect {
        let at =
            |row: i64, col: i64| self.header.orientation.source(self.header.size, row as u32, col as u32);
        let one = at(rect.top, rect.left);
        let other = at(rect.bottom() - 1, rect.right() - 1);
        let (top, left) = (one.0.min(other.0), one.1.min(other.1));
        let size = Size::new(one.0.abs_diff(other.0) + 1, one.1.abs_diff(other.1) + 1);
        Rect::new(i64::from(top), i64::from(left), size)
    }

    fn stored(&self, rect: Rect, out: &mut Pixels) -> Result<(), ReadFault> {
        match &self.content {
            Content::Whole(whole) => whole.read(&self.header, rect, out)?,
            Content::Tiff(tiff) => tiff.read(rect, out)?,
        }
        self.header.colour.apply(out);
        Ok(())
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

/// Band, row and column are those in the window.
fn not_finite(rect: Rect, (band, row, col): (usize, usize, usize)) -> ReadFault {
    let found = format!(
        "its value in band {band}, row {}, column {} is NaN or infinite",
        rect.top + row as i64,
        rect.left + col as i64
    );
    ReadFault::unreadable(found).advise(
        "write a number in its place that the model knows for `no data`, as with `gdal_calc.py -A in.tif \
         --outfile=out.tif --calc='nan_to_num(A)'`, or leave the image out",
    )
}

/// The format, from the first bytes.
pub(crate) fn detect(source: &Source) -> Result<Format, ReadFault> {
    if source.length() == 0 {
        return Err(ReadFault::unreadable("the file is empty"));
    }
    let head = source.bytes(0, source.length().min(12))?;
    match head.as_slice() {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Ok(Format::Png),
        [0xFF, 0xD8, 0xFF, ..] => Ok(Format::Jpeg),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(Format::Tiff),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => Ok(Format::WebP),
        [b'B', b'M', ..] => Ok(Format::Bmp),
        other => Err(ReadFault::unsupported(format!(
            "it is no PNG, JPEG, WebP, BMP or TIFF, it begins with the bytes {other:02X?}"
        ))),
    }
}
