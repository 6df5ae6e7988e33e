//! From sample values to what a model sees.

use crate::Failure;
use crate::image::OpenImage;
use marquetry_ensemble::{View, resize_planes};
use marquetry_geometry::{D4, Size};
use marquetry_job::{BandStatistics, Input};

/// One window as a model's channels, normalised, in the image's orientation: `[C, H, W]`.
#[derive(Debug)]
pub(crate) struct Prepared {
    size: Size,
    planes: Vec<f32>,
    /// For each channel the normalised value of sample value 0, and the channel's mean in this window.
    zeros: Vec<f32>,
    means: Vec<f32>,
}

impl Prepared {
    /// No window yet.
    pub(crate) const fn new() -> Self {
        Self { size: Size::new(0, 0), planes: Vec::new(), zeros: Vec::new(), means: Vec::new() }
    }

    /// Chooses and normalises bands: `x = (sample · scale − mean) / std`. Infinity marks padding and becomes the padding's
    /// value; NaN marks what the image does not have and becomes 0, the mean that the model was trained with. `samples` is `[bands, H, W]`. Means are only taken if some of `views` changes the contrast.
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
        let bands = input.bands_of(info.bands, channels).ok_or_else(|| {
            Failure::reject(format!(
                "an image of {} bands is no input of {channels} channels: choose `input.bands`",
                info.bands
            ))
        })?;
        let statistics = if input.per_image {
            Some(image.statistics().ok_or_else(|| Failure::bug("the image's statistics were not fetched"))?)
        } else {
            None
        };
        let unit = input.scale.unwrap_or_else(|| image.unit_scale());
        let of = |list: &[f32], channel: usize, default: f64| match list {
            [] => default,
            [one] => f64::from(*one),
            many => f64::from(many[channel]),
        };
        self.size = size;
        self.planes.clear();
        self.zeros.clear();
        let area = size.area() as usize;
        for (channel, &band) in bands.iter().enumerate() {
            let (mean, std) = match statistics {
                Some(bands) => {
                    let BandStatistics { mean, std } = bands[usize::from(band)];
                    (mean * unit, (std * unit).max(1e-8))
                }
                None => (of(&input.mean, channel, 0.0), of(&input.std, channel, 1.0)),
            };
            let (factor, zero) = ((unit / std) as f32, (-mean / std) as f32);
            self.zeros.push(zero);
            let padding = input.padding_value;
            let band = &samples[usize::from(band) * area..][..area];
            self.planes.extend(band.iter().map(|&v| {
                if v.is_finite() {
                    v * factor + zero
                } else if v.is_nan() {
                    0.0
                } else {
                    padding
                }
            }));
        }
        self.means.clear();
        if views.iter().all(|view| view.contrast == 1.0) {
            self.means.resize(bands.len(), 0.0);
            return Ok(());
        }
        let mean = |plane: &[f32]| (plane.iter().map(|&v| f64::from(v)).sum::<f64>() / area as f64) as f32;
        self.means.extend(self.planes.chunks_exact(area).map(mean));
        Ok(())
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
            self.apply_d4(view.d4, size, turned, out);
        } else {
            let mut planes = vec![0.0; turned.area() as usize * self.means.len()];
            self.apply_d4(view.d4, size, turned, &mut planes);
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

    /// Writes the window, of `size` px, as `d4` shows it: planes of `turned` px.
    fn apply_d4(&self, d4: D4, size: Size, turned: Size, out: &mut [f32]) {
        let (area, width) = (size.area() as usize, turned.width as usize);
        for (from, to) in self.planes.chunks_exact(area).zip(out.chunks_exact_mut(area)) {
            for (y, row) in to.chunks_exact_mut(width).enumerate() {
                let offset = |x: u32| {
                    let (r, c) = d4.source(size, y as u32, x);
                    i64::from(r) * i64::from(size.width) + i64::from(c)
                };
                // The element is affine: one step along a row of the view is one fixed step in the window.
                let first = offset(0);
                let step = if width > 1 { offset(1) - first } else { 0 };
                if step == 1 {
                    row.copy_from_slice(&from[first as usize..][..width]);
                } else {
                    row.iter_mut()
                        .enumerate()
                        .for_each(|(x, v)| *v = from[(first + x as i64 * step) as usize]);
                }
            }
        }
    }
}
