//! What files beside an image's own say of its pixels.

use super::colour::Colour;
use super::error::ReadFault;
use super::header::Header;
use super::image::Image;
use super::missing::MissingRule;
use super::pixels::Pixels;
use marquetry_geometry::{Nodata, Reading, Rect, Size};

/// What files beside an image's own say of its pixels; nothing where there are none.
#[derive(Debug, Default)]
pub struct Beside {
    /// The value for no data, which counts before that of the image's file; the text where it is no number.
    pub nodata: Option<Result<f64, String>>,
    /// An image that is 0 where a pixel is missing, as GDAL's `x.tif.msk`. It speaks of the pixels as they are stored.
    pub mask: Option<Image>,
}

impl Beside {
    /// Puts into `header`, which nothing was settled of yet, what is said beside the image.
    pub(super) fn settle(&self, header: &mut Header, reading: &Reading) -> Result<(), ReadFault> {
        match &self.nodata {
            Some(Ok(value)) => (header.nodata, header.nodata_unread) = (Some(*value), None),
            Some(Err(text)) => (header.nodata, header.nodata_unread) = (None, Some(text.clone())),
            None => {}
        }
        match &self.mask {
            Some(mask) if counts(reading) && mask.header.size != header.size => Err(ReadFault::unreadable(
                format!("the mask beside it has {} px, and it has {} px", mask.header.size, header.size),
            )
            .advise("remove the mask or make it anew, or say `images: {nodata: none}`")),
            _ => Ok(()),
        }
    }

    /// The mask, where the job lets it count. As in GDAL its stored numbers count, whatever colour they stand for: 0 is a
    /// missing pixel also where 0 is white, and so is one that is no data there.
    pub(super) fn into_mask(self, reading: &Reading) -> Option<Box<Image>> {
        let mut mask = self.mask.filter(|_| counts(reading))?;
        (mask.header.colour, mask.header.missing) = (Colour::AsStored, MissingRule::default());
        mask.info = mask.header.info();
        Some(Box::new(mask))
    }
}

/// Whether masks count: a job that says what stands for no data says all of it.
fn counts(reading: &Reading) -> bool {
    reading.nodata == Nodata::Auto
}

impl Image {
    /// Marks in `missing` the pixels of `rect` of the stored image that its mask beside it says are none.
    pub(super) fn mark_masked(&self, rect: Rect, missing: &mut Option<Vec<bool>>) -> Result<(), ReadFault> {
        let Some(mask) = &self.mask else { return Ok(()) };
        let mut pixels = Pixels::default();
        mask.stored(rect, &mut pixels)?;
        let area = area(rect.size);
        let missing = missing.get_or_insert_with(|| vec![false; area]);
        for plane in pixels.data.chunks_exact(area.max(1)) {
            missing.iter_mut().zip(plane).for_each(|(missing, &value)| *missing |= value == 0.0);
        }
        Ok(())
    }
}

fn area(size: Size) -> usize {
    size.area() as usize
}
