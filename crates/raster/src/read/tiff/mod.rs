//! TIFF, read chunk by chunk: only the strips or tiles that a window touches are decoded.

mod codec;
pub(crate) mod directory;
mod layout;
mod places;
mod rows;

use super::cache::Chunks;
use super::error::ReadFault;
use super::file::Source;
use super::header::{Header, Limits};
use super::pixels::Pixels;
use codec::CodedChunk;
use directory::{Directory, tag};
use layout::ChunkLayout;
use marquetry_geometry::{Rect, Size};
use places::Place;

/// Reads the tags that say what the image is.
pub(super) fn header(source: &Source, limits: &Limits) -> Result<Header, ReadFault> {
    Ok(layout(source, limits)?.1.header)
}

fn layout(source: &Source, limits: &Limits) -> Result<(Directory, ChunkLayout), ReadFault> {
    let directory = Directory::first(source)?;
    let mut layout = ChunkLayout::of(&directory, source)?;
    layout.header = layout.header.check(limits)?;
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
    Ok((directory, layout))
}

/// An open TIFF.
#[derive(Debug)]
pub(super) struct Tiff {
    source: Source,
    layout: ChunkLayout,
    /// Where each chunk is. `None`: it was never written, and is `fill`.
    places: Vec<Option<Place>>,
    fill: f32,
    /// What the file says stands for no data.
    nodata: Option<f64>,
    chunks: Chunks,
}

impl Tiff {
    pub(super) fn open(source: Source, limits: &Limits) -> Result<(Header, Self), ReadFault> {
        let (directory, layout) = layout(&source, limits)?;
        let (offsets, counts) = if layout.tiled {
            (tag::TILE_OFFSETS, tag::TILE_BYTE_COUNTS)
        } else {
            (tag::STRIP_OFFSETS, tag::STRIP_BYTE_COUNTS)
        };
        let places = places::of(&directory, &source, &layout, (offsets, counts))?;
        let nodata = directory.bytes(&source, tag::GDAL_NODATA, 64)?.unwrap_or_default();
        let nodata = String::from_utf8_lossy(&nodata);
        let nodata = nodata.trim_matches(['\0', ' ']);
        let (fill, nodata) = (nodata.parse().unwrap_or(0.0), nodata.parse().ok());
        let chunks = Chunks::new(limits.memory_bytes);
        Ok((layout.header.clone(), Self { source, layout, places, fill, nodata, chunks }))
    }

    /// From now on every sample of a pixel is read, alpha too.
    pub(super) fn keep_all_samples(&mut self) {
        self.layout.header.kept = (0..self.layout.header.per_pixel).collect();
    }

    /// What the file says stands for no data, whether its samples can have that value or not.
    pub(super) const fn nodata(&self) -> Option<f64> {
        self.nodata
    }

    /// Whether pixels come back only nearly as they were.
    pub(super) const fn is_lossy(&self) -> bool {
        matches!(self.layout.compression, codec::Compression::Jpeg { .. })
    }

    /// How many chunks were decoded so far.
    #[cfg(test)]
    pub(super) fn decoded(&self) -> u64 {
        self.chunks.decoded()
    }

    /// Reads the kept samples of `rect`, which lies inside the stored image.
    pub(super) fn read(&self, rect: Rect, out: &mut Pixels) -> Result<(), ReadFault> {
        let header = &self.layout.header;
        let (chunk, across) = (self.layout.chunk, self.layout.across);
        out.reshape(rect.size, header.kept.len() as u16);
        let touched =
            |from: i64, to: i64, side: u32| from as u64 / u64::from(side)..=(to as u64 - 1) / u64::from(side);
        for down in touched(rect.top, rect.bottom(), chunk.height) {
            for right in touched(rect.left, rect.right(), chunk.width) {
                let corner =
                    ((down * u64::from(chunk.height)) as i64, (right * u64::from(chunk.width)) as i64);
                let here = Rect::new(corner.0, corner.1, self.layout.size_in_row(down));
                let index = down * across + right;
                if self.layout.planar {
                    let per_plane = across * self.layout.down;
                    for (band, &sample) in header.kept.iter().enumerate() {
                        let index = index + u64::from(sample) * per_plane;
                        self.copy(index, here, rect, &mut std::iter::once((band, 0)), out)?;
                    }
                } else {
                    let all = header.kept.iter().map(|&sample| usize::from(sample)).enumerate();
                    self.copy(index, here, rect, &mut all.into_iter(), out)?;
                }
            }
        }
        Ok(())
    }

    /// Copies what `rect` shares with chunk `index`, which lies at `here`: for each pair the sample into the band.
    fn copy(
        &self,
        index: u64,
        here: Rect,
        rect: Rect,
        pairs: &mut dyn Iterator<Item = (usize, usize)>,
        out: &mut Pixels,
    ) -> Result<(), ReadFault> {
        let shared = here.intersect(rect);
        let place = |row: u32| ((shared.top - rect.top) as u32 + row, (shared.left - rect.left) as u32);
        let Some(chunk_place) = self.places[index as usize] else {
            for (band, _) in pairs {
                for (row, left) in (0..shared.size.height).map(place) {
                    out.row_mut(band, row, left, shared.size.width).fill(self.fill);
                }
            }
            return Ok(());
        };
        let pixel = self.layout.chunk_pixel_bytes();
        let wanted = shared.size.width as usize * pixel;
        let bytes = here.size.area() * pixel as u64;
        let read = |chunk: &[u8]| {
            for (band, sample) in pairs {
                for from in 0..shared.size.height {
                    let down = (shared.top - here.top) as usize + from as usize;
                    let start =
                        (down * here.size.width as usize + (shared.left - here.left) as usize) * pixel;
                    let (row, left) = place(from);
                    let to = out.row_mut(band, row, left, shared.size.width);
                    let samples = self.layout.chunk_samples();
                    self.layout.header.sample.spread(&chunk[start..start + wanted], samples, sample, to);
                }
            }
        };
        // What overhangs the image need not be in the file.
        let inside = here.intersect(Rect::whole(self.layout.header.size)).size;
        self.chunks.with(index, bytes, || self.decode(chunk_place, here.size, inside), read)
    }

    fn decode(&self, place: Place, size: Size, inside: Size) -> Result<Vec<u8>, ReadFault> {
        let layout = &self.layout;
        let expected = size.height as usize * layout.packed_row_bytes();
        // No compression makes data this much longer; what claims so would only fill the memory.
        let longest = 4 * expected as u64 + (1 << 20);
        if place.is_claimed && place.bytes > longest {
            return Err(ReadFault::unreadable(format!(
                "a strip or tile of {expected} bytes claims {} compressed ones",
                place.bytes
            )));
        }
        let bytes = self.source.bytes(place.at, place.bytes.min(longest))?;
        let chunk = CodedChunk {
            bytes,
            is_cut: place.is_cut,
            size,
            inside,
            most: layout.chunk,
            samples: layout.chunk_samples(),
        };
        let bytes = layout.compression.decode(chunk, layout.packed_row_bytes())?;
        Ok(rows::native(layout, bytes))
    }
}
