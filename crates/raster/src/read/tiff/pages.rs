//! The pages of a TIFF, and which of them are the image.

use super::axes::Axes;
use super::directory::{Directory, tag};
use super::layout::ChunkLayout;
use super::promise;
use crate::read::colour::Colour;
use crate::read::error::ReadFault;
use crate::read::file::Source;
use crate::read::traits::PageUse;
use marquetry_geometry::{Nodata, Pages, Reading};

/// Directories that are looked at; a file of more is read, but only these pages of it.
const DIRECTORIES_MAX: usize = 4096;
/// What tag 254 of the mask of an image at its full size is.
const MASK: u64 = 4;

/// A page that is read.
pub(super) struct Page {
    pub(super) directory: Directory,
    pub(super) layout: ChunkLayout,
}

/// The pages of a file that are read.
pub(super) struct Selected {
    /// The image: one page, or several that are its bands.
    pub(super) pages: Vec<Page>,
    /// The page that is 0 where a pixel of the image is missing.
    pub(super) mask: Option<Page>,
    /// What there is to tell of them.
    pub(super) page_use: PageUse,
}

/// The pages that are the image, and its mask.
pub(super) fn select(source: &Source, reading: &Reading) -> Result<Selected, ReadFault> {
    let (directories, has_more) = Directory::all(source, DIRECTORIES_MAX)?;
    let (mut pages, mut masks): (Vec<Option<Directory>>, Vec<Directory>) = (Vec::new(), Vec::new());
    for (place, directory) in directories.into_iter().enumerate() {
        if place == 0 || is_image(&directory, source) {
            pages.push(Some(directory));
        } else if directory.integer(source, tag::NEW_SUBFILE_TYPE).ok().flatten() == Some(MASK) {
            masks.push(directory);
        }
    }
    let count = pages.len() as u32;
    // As GDAL writes one. Of several images it is not sure whose it is.
    let mask = masks.into_iter().next().filter(|_| count == 1 && reading.nodata == Nodata::Auto);
    let axes = pages[0].as_ref().filter(|_| count > 1).and_then(|first| Axes::of(first, source));
    // Pages that are not looked at may well be there; a page that the job names is the image, whatever else was promised.
    if let Some(first) = pages[0].as_ref().filter(|_| !has_more && reading.page.is_none()) {
        promise::check(first, source, count, axes.as_ref())?;
    }
    let mut take = |page: u32| -> Result<Page, ReadFault> {
        let directory = pages.get_mut(page as usize).and_then(Option::take).ok_or_else(|| {
            let found = format!("page {page} of it is asked for (counted from 0), and it has {count}");
            ReadFault::unreadable(found)
                .advise("name a page that every image has, or leave `images.page` out")
        })?;
        let layout = ChunkLayout::of(&directory, source)?;
        Ok(Page { directory, layout })
    };
    let used = match (reading.page, reading.pages, &axes) {
        (Some(page), Pages::Auto, _) => vec![page],
        (Some(page), Pages::Bands, axes) => channels_beside(page, count, axes.as_ref())?,
        (None, Pages::Bands, _) => (0..count).collect(),
        (None, Pages::Auto, Some(axes)) if axes.channels.iter().all(|&page| page < count) => {
            axes.channels.clone()
        }
        (None, Pages::Auto, _) => vec![0],
    };
    let mut read = vec![take(used[0])?];
    for &page in &used[1..] {
        let next = match take(page) {
            Ok(next) if are_alike(&read[0].layout, &next.layout) => next,
            Ok(_) | Err(_) if reading.pages == Pages::Auto => {
                // What only metadata say is not worth an image.
                read.truncate(1);
                return Ok(Selected {
                    pages: read,
                    mask: None,
                    page_use: page_use(count, vec![used[0]], axes),
                });
            }
            Ok(next) => return Err(unlike(page, &read[0].layout, &next.layout)),
            Err(fault) => return Err(fault.at(&format!("page {page}"))),
        };
        read.push(next);
    }
    let layout = mask.as_ref().and_then(|mask| ChunkLayout::of(mask, source).ok());
    let mask = mask.zip(layout).map(|(directory, layout)| Page { directory, layout });
    let mask = mask.filter(|mask| {
        let (mask, image) = (&mask.layout.header, &read[0].layout.header);
        (mask.size, mask.per_pixel) == (image.size, 1)
    });
    Ok(Selected { pages: read, mask, page_use: page_use(count, used, axes) })
}

/// The pages that are the channels of the place of `page` along all other axes.
fn channels_beside(page: u32, count: u32, axes: Option<&Axes>) -> Result<Vec<u32>, ReadFault> {
    match axes.and_then(|axes| axes.channels_beside(page)) {
        Some(channels) if channels.iter().all(|&page| page < count) => Ok(channels),
        _ if page >= count => Ok(vec![page]),
        _ => Err(ReadFault::unsupported(format!(
            "the channels beside page {page} are asked for, and its metadata does not say which of its {count} pages they are"
        ))
        .advise("leave `images.pages` out to have this page alone, or `images.page` to have all pages as bands")),
    }
}

fn page_use(count: u32, used: Vec<u32>, axes: Option<Axes>) -> PageUse {
    PageUse { count, used, axes: axes.map(|axes| axes.in_words) }
}

/// Whether a directory is an image in its own right: no preview, no mask.
fn is_image(directory: &Directory, source: &Source) -> bool {
    let number = |tag| directory.integer(source, tag).ok().flatten().unwrap_or(0);
    number(tag::NEW_SUBFILE_TYPE) & 5 == 0 && number(tag::SUBFILE_TYPE) != 2
}

/// Whether two pages can be bands of one image.
fn are_alike(a: &ChunkLayout, b: &ChunkLayout) -> bool {
    (a.header.size, a.header.sample, a.bits, a.header.orientation)
        == (b.header.size, b.header.sample, b.bits, b.header.orientation)
        && (a.header.per_pixel, &a.header.kept) == (b.header.per_pixel, &b.header.kept)
        && std::mem::discriminant(&a.header.colour) == std::mem::discriminant(&b.header.colour)
}

fn unlike(page: u32, first: &ChunkLayout, other: &ChunkLayout) -> ReadFault {
    let shape = |layout: &ChunkLayout| {
        format!(
            "{} px, {} × {}",
            layout.header.size,
            layout.header.per_pixel,
            layout.header.sample.in_words()
        )
    };
    ReadFault::unsupported(format!(
        "its pages cannot be bands of one image: the first is {}, page {page} is {}",
        shape(first),
        shape(other)
    ))
    .advise("choose a page with `images: {page: N}`, counted from 0, or leave `images.pages` out")
}

/// The colours of pages that are bands: a palette there is only how they are shown, and 0 is white in each of them or in
/// none.
pub(super) fn joined_colour(colour: &Colour) -> Colour {
    match colour {
        Colour::Palette(_) => Colour::AsStored,
        other => other.clone(),
    }
}
