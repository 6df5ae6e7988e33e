//! TIFF, read chunk by chunk: only the strips or tiles that a window touches are decoded.

mod axes;
mod codec;
mod crs;
pub(crate) mod directory;
mod layout;
mod nodata;
mod pages;
mod places;
mod promise;
mod rows;

use super::cache::Chunks;
use super::damage::{ChunkFault, DamageLog, DamagedPart};
use super::error::ReadFault;
use super::file::Source;
use super::header::{Header, Limits};
use super::pixels::Pixels;
use codec::CodedChunk;
use directory::tag;
use layout::ChunkLayout;
use marquetry_geometry::{Reading, Rect, Size};
use pages::{Page, Selected};
use places::{Place, Stored};

/// Reads the tags that say what the image is.
pub(super) fn header(source: &Source, limits: &Limits, reading: &Reading) -> Result<Header, ReadFault> {
    header_of(&pages::select(source, reading)?, limits)
}

/// The header of the image that the pages are.
fn header_of(selected: &Selected, limits: &Limits) -> Result<Header, ReadFault> {
    let Selected { pages, mask, page_use } = selected;
    let layout = &pages[0].layout;
    let mut header = layout.header.clone().check(limits)?;
    header.pages = page_use.clone();
    if pages.len() > 1 {
        let (each, count) = (header.per_pixel, pages.len() as u64);
        let samples = u64::from(each) * count;
        header.per_pixel = u16::try_from(samples).map_err(|_| {
            ReadFault::unsupported(format!("its pages have {samples} samples for each pixel"))
        })?;
        let kept = std::mem::take(&mut header.kept);
        let of_page = |page: u16| kept.iter().map(move |sample| page * each + sample);
        header.kept = (0..count as u16).flat_map(of_page).collect();
        header.colour = pages::joined_colour(&header.colour);
    }
    // The mask's only sample comes behind all others.
    header.mask = mask.as_ref().map(|_| header.per_pixel);
    for Page { layout, .. } in pages.iter().chain(mask) {
        if layout.chunk_bytes() > limits.memory_bytes {
            let kind = if layout.tiled { "tiles" } else { "strips" };
            return Err(ReadFault::too_large(
                format!(
                    "its {kind} of {} px take {} bytes decoded, {} are allowed",
                    layout.chunk,
                    layout.chunk_bytes(),
                    limits.memory_bytes
                ),
                "cut it into tiles with `gdal_translate -co TILED=YES -co COMPRESS=DEFLATE in.tif out.tif`, or raise the \
                 memory limit",
            ));
        }
    }
    Ok(header)
}

/// An open TIFF.
#[derive(Debug)]
pub(super) struct Tiff {
    source: Source,
    pages: Vec<OpenPage>,
    chunks: Chunks,
    /// What was found damaged, where that makes pixels missing; otherwise it is an error.
    damage: Option<DamageLog>,
}

/// A page that is read: alone, or with others as bands.
#[derive(Debug)]
struct OpenPage {
    layout: ChunkLayout,
    /// Where each chunk is.
    places: Vec<Stored>,
    /// The value of what was never written.
    fill: f32,
    /// Tells its chunks from those of other pages.
    first_key: u64,
}

impl Tiff {
    pub(super) fn open(
        source: Source,
        limits: &Limits,
        reading: &Reading,
    ) -> Result<(Header, Self), ReadFault> {
        let selected = pages::select(&source, reading)?;
        let header = header_of(&selected, limits)?;
        let (mut pages, mut first_key) = (Vec::new(), 0);
        for Page { directory, layout } in selected.pages.into_iter().chain(selected.mask) {
            let tags = if layout.tiled {
                (tag::TILE_OFFSETS, tag::TILE_BYTE_COUNTS)
            } else {
                (tag::STRIP_OFFSETS, tag::STRIP_BYTE_COUNTS)
            };
            let places = places::of(&directory, &source, &layout, tags)?;
            let fill = layout.header.nodata.unwrap_or(0.0) as f32;
            let count = places.len() as u64;
            pages.push(OpenPage { layout, places, fill, first_key });
            first_key += count;
        }
        let chunks = Chunks::new(limits.memory_bytes);
        Ok((header, Self { source, pages, chunks, damage: None }))
    }

    /// What stands where the file leaves a strip or tile out: its nodata, if that is said elsewhere.
    pub(super) fn fill_with(&mut self, nodata: f64) {
        self.pages.iter_mut().for_each(|page| page.fill = nodata as f32);
    }

    /// From now on what is damaged is missing.
    pub(super) fn tolerate_damage(&mut self) {
        self.damage = Some(DamageLog::default());
    }

    /// The strips and tiles within `rect` of the stored image that were found damaged so far.
    pub(super) fn damage(&self, rect: Rect) -> Vec<DamagedPart> {
        self.damage.as_ref().map_or_else(Vec::new, |log| log.within(rect))
    }

    /// Whether pixels come back only nearly as they were.
    pub(super) fn is_lossy(&self) -> bool {
        self.pages.iter().any(|page| matches!(page.layout.compression, codec::Compression::Jpeg { .. }))
    }

    /// How many chunks were decoded so far.
    #[cfg(test)]
    pub(super) fn decoded(&self) -> u64 {
        self.chunks.decoded()
    }

    /// Reads `samples` of `rect`, which lies inside the stored image; those of a second page come after those of the first.
    /// Returns the parts of it that are damaged, whose values mean nothing.
    pub(super) fn read(&self, samples: &[u16], rect: Rect, out: &mut Pixels) -> Result<Vec<Rect>, ReadFault> {
        let mut lost = Vec::new();
        out.reshape(rect.size, samples.len() as u16);
        let each = self.pages[0].layout.header.per_pixel;
        for (number, page) in self.pages.iter().enumerate() {
            let of_page =
                samples.iter().enumerate().filter(|(_, sample)| usize::from(*sample / each) == number);
            let bands: Vec<(usize, usize)> =
                of_page.map(|(band, sample)| (band, usize::from(sample % each))).collect();
            if !bands.is_empty() {
                lost.extend(self.read_page(page, &bands, rect, out)?);
            }
        }
        Ok(lost)
    }

    /// Reads `rect` of a page: for each pair the sample into the band.
    fn read_page(
        &self,
        page: &OpenPage,
        pairs: &[(usize, usize)],
        rect: Rect,
        out: &mut Pixels,
    ) -> Result<Vec<Rect>, ReadFault> {
        let mut lost = Vec::new();
        let layout = &page.layout;
        let (chunk, across) = (layout.chunk, layout.across);
        let touched =
            |from: i64, to: i64, side: u32| from as u64 / u64::from(side)..=(to as u64 - 1) / u64::from(side);
        for down in touched(rect.top, rect.bottom(), chunk.height) {
            for right in touched(rect.left, rect.right(), chunk.width) {
                let corner =
                    ((down * u64::from(chunk.height)) as i64, (right * u64::from(chunk.width)) as i64);
                let here = Rect::new(corner.0, corner.1, layout.size_in_row(down));
                let index = down * across + right;
                if layout.planar {
                    let per_plane = across * layout.down;
                    for &(band, sample) in pairs {
                        let index = index + sample as u64 * per_plane;
                        let copied = self.copy(page, index, here, rect, &[(band, 0)], out);
                        lost.extend(self.tolerated(page, (index, here), rect, copied)?);
                    }
                } else {
                    let copied = self.copy(page, index, here, rect, pairs, out);
                    lost.extend(self.tolerated(page, (index, here), rect, copied)?);
                }
            }
        }
        Ok(lost)
    }

    /// What is lost of `rect` by chunk `index`, which lies at `here`, where damage is tolerated.
    fn tolerated(
        &self,
        page: &OpenPage,
        (index, here): (u64, Rect),
        rect: Rect,
        copied: Result<u32, ChunkFault>,
    ) -> Result<Option<Rect>, ReadFault> {
        let mut lost = here.intersect(Rect::whole(page.layout.header.size));
        let (log, reason) = match (copied, &self.damage) {
            (Ok(rows), Some(log)) if rows < lost.size.height => {
                lost.top += i64::from(rows);
                lost.size.height -= rows;
                (log, "the file ends in its middle".to_owned())
            }
            (Ok(_), _) => return Ok(None),
            (Err(ChunkFault::Damaged(fault)), Some(log)) => (log, fault.into_found()),
            (Err(fault), _) => return Err(fault.into_fault()),
        };
        let unit = if page.layout.tiled { "tile" } else { "strip" };
        log.note(page.first_key + index, || DamagedPart { rect: lost, unit, number: index, reason });
        Ok(Some(lost.intersect(rect)).filter(|lost| !lost.size.is_empty()))
    }

    /// Copies what `rect` shares with chunk `index`, which lies at `here`: for each pair the sample into the band. Returns how
    /// many rows of the chunk are there.
    fn copy(
        &self,
        page: &OpenPage,
        index: u64,
        here: Rect,
        rect: Rect,
        pairs: &[(usize, usize)],
        out: &mut Pixels,
    ) -> Result<u32, ChunkFault> {
        let shared = here.intersect(rect);
        let place = |row: u32| ((shared.top - rect.top) as u32 + row, (shared.left - rect.left) as u32);
        let chunk_place = match &page.places[index as usize] {
            Stored::At(place) => *place,
            Stored::Nowhere(words) => return Err(ChunkFault::Damaged(ReadFault::unreadable(words.as_str()))),
            Stored::LeftOut => {
                for &(band, _) in pairs {
                    for (row, left) in (0..shared.size.height).map(place) {
                        out.row_mut(band, row, left, shared.size.width).fill(page.fill);
                    }
                }
                return Ok(here.size.height);
            }
        };
        let layout = &page.layout;
        let pixel = layout.chunk_pixel_bytes();
        let wanted = shared.size.width as usize * pixel;
        let bytes = here.size.area() * pixel as u64;
        let read = |chunk: &[u8]| {
            let rows = chunk.len() / (here.size.width as usize * pixel).max(1);
            let above = (shared.top - here.top) as usize;
            let there = shared.size.height.min(rows.saturating_sub(above) as u32);
            for &(band, sample) in pairs {
                for from in 0..there {
                    let down = above + from as usize;
                    let start =
                        (down * here.size.width as usize + (shared.left - here.left) as usize) * pixel;
                    let (row, left) = place(from);
                    let to = out.row_mut(band, row, left, shared.size.width);
                    let samples = layout.chunk_samples();
                    layout.header.sample.spread(&chunk[start..start + wanted], samples, sample, to);
                }
            }
            rows as u32
        };
        // What overhangs the image need not be in the file.
        let inside = here.intersect(Rect::whole(layout.header.size)).size;
        let key = page.first_key + index;
        self.chunks.with(key, bytes, || self.decode(layout, chunk_place, here.size, inside), read)
    }

    fn decode(
        &self,
        layout: &ChunkLayout,
        place: Place,
        size: Size,
        inside: Size,
    ) -> Result<Vec<u8>, ChunkFault> {
        let expected = size.height as usize * layout.packed_row_bytes();
        // No compression makes data this much longer; what claims so would only fill the memory.
        let longest = 4 * expected as u64 + (1 << 20);
        if place.is_claimed && place.bytes > longest {
            return Err(ChunkFault::Damaged(ReadFault::unreadable(format!(
                "a strip or tile of {expected} bytes claims {} compressed ones",
                place.bytes
            ))));
        }
        let bytes = self.source.bytes(place.at, place.bytes.min(longest));
        let mut bytes = bytes.map_err(ChunkFault::Other)?;
        if layout.reversed_bits {
            bytes.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        let chunk = CodedChunk {
            bytes,
            is_cut: place.is_cut,
            size,
            inside,
            most: layout.chunk,
            samples: layout.chunk_samples(),
        };
        let row_bytes = layout.packed_row_bytes();
        // Where damage is tolerated what is there of a chunk at the end of a file that was cut off counts.
        let may_be_rescued =
            place.is_cut && (place.is_plain || layout.compression != codec::Compression::None);
        let cut = (may_be_rescued && self.damage.is_some()).then(|| chunk.clone());
        let mut decoded = layout.compression.decode(chunk, row_bytes);
        if let (Err(_), Some(chunk)) = (&decoded, cut) {
            let rows = layout.compression.rows_before_cut(&chunk, row_bytes);
            if !rows.is_empty() {
                decoded = Ok(rows);
            }
        }
        let bytes = decoded.map_err(|fault| {
            if fault.is_of_content() { ChunkFault::Damaged(fault) } else { ChunkFault::Other(fault) }
        })?;
        Ok(rows::native(layout, bytes))
    }
}
