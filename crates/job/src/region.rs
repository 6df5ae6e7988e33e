//! Which part of an image is computed: how it is found, and the region of one image as it is stored.
//!
//! Eight bytes say the form; then come the image ([`PlannedImage::content_key`]), what was found, the side of cells as a power
//! of 2, height and width (four bytes each, the least first), the length of what follows and a zstd frame of the bits of
//! cells. A hash of all of it comes last: half a region is not taken for one.
//!
//! [`PlannedImage::content_key`]: crate::PlannedImage::content_key

use crate::{Plan, PlannedImage, hash};
use marquetry_geometry::Size;
use marquetry_region::{Finding, Region, SampledRegion};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How the region of an image is found. It is a part of what scores hang on: tiles hold nothing outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum RegionRule {
    /// By looking at the image for what is not blank; a worker does that.
    Nonblank {
        /// How far around it the region reaches, px.
        margin_px: u32,
    },
    /// By a mask that the coordinator has read; which one it is names the image ([`PlannedImage::within`]).
    Masks {
        /// How far around what is marked the region reaches, px.
        margin_px: u32,
    },
}

impl RegionRule {
    /// Whether a task finds the region.
    pub const fn is_task(self) -> bool {
        matches!(self, Self::Nonblank { .. })
    }

    /// How far the region reaches around what was found, px.
    pub const fn margin_px(self) -> u32 {
        match self {
            Self::Nonblank { margin_px } | Self::Masks { margin_px } => margin_px,
        }
    }
}

/// The region of one image, and what came of looking for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRegion {
    /// The pixels that are computed.
    pub region: Region,
    /// Whether it is what was asked for, or the whole image, and why.
    pub finding: Finding,
}

/// A stored region that cannot be used; it is found again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    /// It is of another form, of another image, or damaged.
    #[error("the stored region is not that of image {0}")]
    Foreign(String),
    /// There is no memory for it.
    #[error("there is no memory for the region of an image: {0}")]
    Memory(String),
}

const FORM: &[u8; 8] = b"mqregin1";
/// The hash at the end.
const CHECK_BYTES: usize = 16;
/// Bits of regions have long runs; the fastest level comes near the best one.
const LEVEL: i32 = 1;

impl ImageRegion {
    /// What is stored for the image whose content key is `image`.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn to_bytes(&self, image: &str) -> Result<Vec<u8>, RegionError> {
        let bits = zstd::bulk::compress(self.region.bits(), LEVEL);
        let bits = bits.map_err(|error| RegionError::Memory(error.to_string()))?;
        let Size { height, width } = self.region.size();
        let mut bytes = FORM.to_vec();
        bytes.extend(hash(&[image.as_bytes()])[..CHECK_BYTES].bytes());
        bytes.extend([self.finding.code(), self.region.cell_log2()]);
        bytes.extend(height.to_le_bytes());
        bytes.extend(width.to_le_bytes());
        bytes.extend((self.region.bits().len() as u32).to_le_bytes());
        bytes.extend(bits);
        let check = hash(&[&bytes]);
        bytes.extend(check[..CHECK_BYTES].bytes());
        Ok(bytes)
    }

    /// The region in `bytes`, if it is that of the image of `size` px whose content key is `image`.
    ///
    /// # Errors
    /// When it is of another form or image, or damaged.
    pub fn from_bytes(bytes: &[u8], image: &str, size: Size) -> Result<Self, RegionError> {
        let foreign = || RegionError::Foreign(image.to_owned());
        let (body, check) =
            bytes.split_at_checked(bytes.len().wrapping_sub(CHECK_BYTES)).ok_or_else(foreign)?;
        let name = hash(&[image.as_bytes()]);
        let head = [&FORM[..], &name.as_bytes()[..CHECK_BYTES]].concat();
        let rest = body.strip_prefix(&head[..]).filter(|_| hash(&[body]).as_bytes()[..CHECK_BYTES] == *check);
        let rest = rest.ok_or_else(foreign)?;
        let number = |at: usize| Some(u32::from_le_bytes(rest.get(at..at + 4)?.try_into().ok()?));
        let sizes = number(2).zip(number(6)).map(|(height, width)| Size::new(height, width));
        let (Some(&[code, cell_log2]), Some(length)) = (rest.first_chunk(), number(10)) else {
            return Err(foreign());
        };
        let finding = Finding::of_code(code).filter(|_| sizes == Some(size)).ok_or_else(foreign)?;
        let bits = zstd::bulk::decompress(&rest[14..], length as usize).map_err(|_| foreign())?;
        let region = Region::of_bits(size, cell_log2, bits).ok_or_else(foreign)?;
        Ok(Self { region, finding })
    }

    /// Names what is inside, whichever image it is of: 16 hexadecimal digits.
    pub fn name(&self) -> String {
        let (region, Size { height, width }) = (&self.region, self.region.size());
        let head =
            [height.to_le_bytes(), width.to_le_bytes(), [region.cell_log2(), self.finding.code(), 0, 0]];
        hash(&[head.as_flattened(), region.bits()])[..16].to_owned()
    }
}

/// Model runs of one window each that an image takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionForwards {
    /// Of windows that touch its region.
    pub inside: u64,
    /// Of all windows.
    pub all: u64,
}

impl Plan {
    /// Model runs that `image` takes within `region`, and those that it would take without one.
    pub fn forwards_within(&self, image: &PlannedImage, region: &Arc<Region>) -> RegionForwards {
        let mut forwards = RegionForwards::default();
        for (place, group) in self.inference.groups.iter().enumerate() {
            let Some((grid, _)) = self.layout(image, place as u32) else { continue };
            let each = (self.members_of(image, place).len() * group.views.len()) as u64;
            forwards.all += grid.len() * each;
            forwards.inside += SampledRegion::new(Arc::clone(region), grid.image()).count(&grid) * each;
        }
        forwards
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_region::RegionBuilder;

    const SIZE: Size = Size { height: 9, width: 30 };

    fn some() -> ImageRegion {
        let mut builder = RegionBuilder::new(SIZE, 1000);
        builder.row(4, (0..30).map(|x| (5..25).contains(&x)));
        builder.row(8, (0..30).map(|x| x == 29));
        ImageRegion { region: builder.finish(), finding: Finding::Bounded }
    }

    #[test]
    fn regions_come_back_and_damaged_ones_do_not() {
        let whole = ImageRegion { region: Region::whole(SIZE), finding: Finding::TooMuch };
        for region in [some(), whole] {
            let stored = region.to_bytes("k").unwrap();
            assert_eq!(ImageRegion::from_bytes(&stored, "k", SIZE), Ok(region.clone()));
            assert!(ImageRegion::from_bytes(&stored, "other", SIZE).is_err());
            assert!(ImageRegion::from_bytes(&stored, "k", Size::new(30, 9)).is_err());
            for at in 0..stored.len() {
                let mut changed = stored.clone();
                changed[at] ^= 0x10;
                assert!(ImageRegion::from_bytes(&changed, "k", SIZE).is_err(), "byte {at}");
                assert!(ImageRegion::from_bytes(&stored[..at], "k", SIZE).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn names_tell_regions_and_findings_apart() {
        let names = [
            some(),
            ImageRegion { finding: Finding::NoMask, ..some() },
            ImageRegion { region: some().region.grown(1), ..some() },
        ];
        let names: std::collections::BTreeSet<String> = names.iter().map(ImageRegion::name).collect();
        assert_eq!(names.len(), 3);
    }
}
