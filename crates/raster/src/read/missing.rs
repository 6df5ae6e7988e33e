//! Pixels that are none: no finite number, the value for no data, or alpha 0.

use super::pixels::Pixels;
use super::samples::SampleType;

/// Floats of this size are no measurements: the least and the greatest of their type stand for no data in many files
/// that do not say so.
const TOO_GREAT: f32 = 3.3e38;

/// Which pixels of an image are missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct MissingRule {
    /// Whether samples are floats, which may be no number.
    float: bool,
    /// The value for no data.
    nodata: Option<f32>,
    /// Whether one band that has it is enough. A 0, or a number among unsigned ones, may also be what was measured: then
    /// only a pixel that has it in all of its bands is missing.
    in_any: bool,
    /// The sample that is 0 where a pixel is missing; it is read behind all others.
    pub(super) mask: Option<u16>,
    /// The samples that count, as places among those that are read; all of them if not given.
    counting: Option<Vec<u16>>,
}

impl MissingRule {
    pub(super) fn new(
        sample: SampleType,
        nodata: Option<f64>,
        mask: Option<u16>,
        bands: Option<&[u16]>,
    ) -> Self {
        // NaN is missing always.
        let nodata = nodata.map(|value| value as f32).filter(|value| !value.is_nan());
        Self {
            float: sample.is_float(),
            nodata,
            in_any: nodata.is_some_and(|value| value != 0.0) && !sample.is_unsigned(),
            mask,
            counting: bands.map(<[u16]>::to_vec),
        }
    }

    /// Nothing but a mask says which pixels are missing.
    pub(super) fn of_mask(mask: Option<u16>) -> Self {
        Self { mask, ..Self::default() }
    }

    /// Whether an image may have missing pixels.
    pub(super) const fn may_miss(&self) -> bool {
        self.float || self.nodata.is_some() || self.mask.is_some()
    }

    /// The value for no data, and where it counts.
    pub(super) fn nodata_in_words(&self) -> Option<String> {
        let value = self.nodata?;
        Some(format!("{value}{}", if self.in_any { "" } else { " in all bands" }))
    }

    /// Which of the pixels that were just read are missing, `[H, W]`; the mask is taken off them. `None`: none is.
    pub(super) fn take(&self, pixels: &mut Pixels) -> Option<Vec<bool>> {
        if !self.may_miss() {
            return None;
        }
        let area = pixels.size.area() as usize;
        let mut missing = vec![false; area];
        if self.mask.is_some() {
            pixels.bands -= 1;
            let mask = pixels.data.split_off(area * usize::from(pixels.bands));
            missing.iter_mut().zip(mask).for_each(|(missing, alpha)| *missing = alpha == 0.0);
        }
        let counts =
            |band: &usize| self.counting.as_ref().is_none_or(|counting| counting.contains(&(*band as u16)));
        let planes = || pixels.data.chunks_exact(area.max(1)).enumerate().filter(|(band, _)| counts(band));
        if self.float {
            for (_, plane) in planes() {
                let is_none = |value: f32| value.is_nan() || value.abs() >= TOO_GREAT;
                missing.iter_mut().zip(plane).for_each(|(missing, &value)| *missing |= is_none(value));
            }
        }
        match self.nodata {
            Some(nodata) if self.in_any => {
                for (_, plane) in planes() {
                    missing.iter_mut().zip(plane).for_each(|(missing, &value)| *missing |= value == nodata);
                }
            }
            Some(nodata) => {
                let mut all = vec![true; area];
                let mut any_band = false;
                for (_, plane) in planes() {
                    any_band = true;
                    all.iter_mut().zip(plane).for_each(|(all, &value)| *all &= value == nodata);
                }
                if any_band {
                    missing.iter_mut().zip(all).for_each(|(missing, all)| *missing |= all);
                }
            }
            None => {}
        }
        missing.contains(&true).then_some(missing)
    }
}
