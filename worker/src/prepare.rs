//! From sample values to what a model sees.

use crate::Failure;
use crate::image::OpenImage;
use crate::measure::{counts, measured};
use marquetry_ensemble::{View, resize_planes, show_planes};
use marquetry_geometry::Size;
use marquetry_job::{BandStatistics, Channels, Input, Mask, Measured, Over};
use marquetry_raster::read::Depth;
use marquetry_raster::read::luma_of;

/// How one channel's samples become what the model sees.
#[derive(Debug, Clone, Copy)]
enum Normaliser {
    /// `v · factor + zero`.
    Fixed { factor: f32, zero: f32 },
    /// `(v − offset) · factor`, in f64: a great mean over a small deviation leaves f32 no digits.
    Measured { offset: f64, factor: f64, mask: Mask, clip: bool },
}

impl Normaliser {
    /// Where nothing deviates the factor is 0, so that a blank band is 0 and not its rounding errors made large.
    fn measured(BandStatistics { offset, spread }: BandStatistics, how: &Measured, depth: Depth) -> Self {
        let rounding = if depth == Depth::F32 { offset.abs() * f64::from(f32::EPSILON) } else { 0.0 };
        let factor = if spread > rounding { 1.0 / spread.max(1e-8) } else { 0.0 };
        Self::Measured { offset, factor, mask: how.mask, clip: how.clip }
    }

    fn of(self, sample: f32) -> f32 {
        match self {
            Self::Fixed { factor, zero } => sample * factor + zero,
            Self::Measured { mask: Mask::Nonzero, .. } if sample == 0.0 => 0.0,
            Self::Measured { offset, factor, clip, .. } => {
                let value = ((f64::from(sample) - offset) * factor) as f32;
                if clip { value.clamp(0.0, 1.0) } else { value }
            }
        }
    }

    /// What a sample of 0 becomes.
    fn zero(self) -> f32 {
        match self {
            Self::Fixed { zero, .. } => zero,
            Self::Measured { .. } => self.of(0.0),
        }
    }
}

/// One window as a model's channels, normalised, in the image's orientation: `[C, H, W]`.
#[derive(Debug)]
pub(crate) struct Prepared {
    size: Size,
    planes: Vec<f32>,
    /// For each channel the normalised value of sample value 0, and the channel's mean in this window.
    zeros: Vec<f32>,
    means: Vec<f32>,
    /// The luma of the window's samples, where that is what is shown.
    luma: Vec<f32>,
}

impl Prepared {
    /// No window yet.
    pub(crate) const fn new() -> Self {
        Self {
            size: Size::new(0, 0),
            planes: Vec::new(),
            zeros: Vec::new(),
            means: Vec::new(),
            luma: Vec::new(),
        }
    }

    /// Chooses and normalises bands: `x = (sample · scale − mean) / std`. Infinity marks padding and becomes the padding's
    /// value; NaN marks what the image does not have and becomes 0, the mean that the model was trained with. `samples` is
    /// `[bands, H, W]`. Means are only taken if some of `views` changes the contrast.
    pub(crate) fn normalise(
        &mut self,
        samples: &[f32],
        size: Size,
        image: &OpenImage,
        input: &Input,
        channels: u32,
        views: &[View],
    ) -> Result<(), Failure> {
        let info = image.image.info();
        let shown = input.channels_of(info.bands, info.rgb, channels).ok_or_else(|| {
            Failure::reject(format!(
                "an image of {} bands is no input of {channels} channels: choose `input.bands`",
                info.bands
            ))
        })?;
        let area = size.area() as usize;
        if shown == Channels::Luma {
            luma_of(samples, area, info.depth, &mut self.luma);
        }
        // Luma is measured, and lies, behind all bands.
        let places: Vec<usize> = match &shown {
            Channels::Bands(bands) => bands.iter().map(|&band| usize::from(band)).collect(),
            Channels::Luma => vec![usize::from(info.bands)],
        };
        let plane = |place: usize| match shown {
            Channels::Bands(_) => &samples[place * area..][..area],
            Channels::Luma => self.luma.as_slice(),
        };
        let statistics = Self::statistics(&places, plane, image, input)?;
        let unit = input.scale.factor(image.full());
        let of = |list: &[f32], channel: usize, default: f64| match list {
            [] => default,
            [one] => f64::from(*one),
            many => f64::from(many[channel]),
        };
        self.size = size;
        self.planes.clear();
        self.zeros.clear();
        let padding = input.padding_value;
        for (channel, &place) in places.iter().enumerate() {
            let normaliser = if let (Some(how), Some(band)) = (&input.measured, statistics.get(channel)) {
                Normaliser::measured(*band, how, info.depth)
            } else {
                let (mean, std) = (of(&input.mean, channel, 0.0), of(&input.std, channel, 1.0));
                Normaliser::Fixed { factor: (unit / std) as f32, zero: (-mean / std) as f32 }
            };
            self.zeros.push(normaliser.zero());
            let to_input = |&v: &f32| {
                if v.is_finite() {
                    normaliser.of(v)
                } else if v.is_nan() {
                    0.0
                } else {
                    padding
                }
            };
            self.planes.extend(plane(place).iter().map(to_input));
        }
        self.means.clear();
        if views.iter().all(|view| view.contrast == 1.0) {
            self.means.resize(places.len(), 0.0);
            return Ok(());
        }
        let mean = |plane: &[f32]| (plane.iter().map(|&v| f64::from(v)).sum::<f64>() / area as f64) as f32;
        self.means.extend(self.planes.chunks_exact(area).map(mean));
        Ok(())
    }

    /// What was measured of the image, or is of this window, for each channel; nothing where nothing is measured.
    fn statistics<'a>(
        places: &[usize],
        plane: impl Fn(usize) -> &'a [f32],
        image: &OpenImage,
        input: &Input,
    ) -> Result<Vec<BandStatistics>, Failure> {
        let Some(how) = input.measured else { return Ok(Vec::new()) };
        if let Some(measure) = input.wants() {
            let bands = image.statistics(&measure);
            let bands = bands.ok_or_else(|| Failure::bug("the image's statistics were not fetched"))?;
            return Ok(places.iter().map(|&place| bands[place]).collect());
        }
        let counted = |place: usize| plane(place).iter().copied().filter(move |v| counts(*v, how.mask));
        if how.over == Over::Bands {
            return Ok(places.iter().map(|&place| measured(counted(place), how.by)).collect());
        }
        let mut distinct = places.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let all = measured(distinct.into_iter().flat_map(counted), how.by);
        Ok(vec![all; places.len()])
    }

    /// The window as `view` shows it, `[C, H, W]`, if that is just what is here.
    pub(crate) fn unchanged(&self, view: View) -> Option<&[f32]> {
        (view == View::IDENTITY).then_some(self.planes.as_slice())
    }

    /// Writes one view of the window, `[C, h, w]`.
    ///
    /// Brightness and contrast speak of sample values before mean and standard deviation are taken off, but come down
    /// to one factor and one offset on the normalised values `n`: with `z` the value of black and `m` the mean of the
    /// window, `b·c·(n − z) + b·(1 − c)·(m − z) + z`.
    pub(crate) fn view(&self, view: View, out: &mut [f32]) {
        let size = self.size;
        let turned = view.d4.apply_to_size(size);
        let shown = view.input_size(size);
        if shown == turned {
            show_planes(&self.planes, size, view.d4, out);
        } else {
            let mut planes = vec![0.0; turned.area() as usize * self.means.len()];
            show_planes(&self.planes, size, view.d4, &mut planes);
            out.copy_from_slice(&resize_planes(&planes, turned, shown));
        }
        if view.brightness == 1.0 && view.contrast == 1.0 {
            return;
        }
        let gain = view.brightness * view.contrast;
        let area = shown.area() as usize;
        for ((plane, &zero), &mean) in out.chunks_exact_mut(area).zip(&self.zeros).zip(&self.means) {
            let offset = view.brightness * (1.0 - view.contrast) * (mean - zero) + zero - gain * zero;
            plane.iter_mut().for_each(|v| *v = gain * *v + offset);
        }
    }
}
