//! What lies between the wood and the file: light, varnish, lens and sensor.

use super::dice::Dice;
use super::noise::{Noise, lerp, smoothstep};
use super::species::Rgb;

/// The colour of a window's or lamp's reflection.
const GLARE: Rgb = [250.0, 247.0, 238.0];

/// The light on the table and the camera above it, of one scene.
pub(super) struct Camera {
    exposure: f32,
    balance: Rgb,
    shade: Noise,
    gloss: Noise,
    glare: f32,
    orange_peel: Noise,
    lens: Lens,
    grain: Dice,
    noise_levels: f32,
}

impl Camera {
    pub(super) fn new(dice: Dice) -> Self {
        let warmth = 0.045 * dice.normal(2);
        Self {
            exposure: 0.98 + 0.10 * dice.normal(1),
            balance: [1.0 + warmth, 1.0 + 0.015 * dice.normal(3), 1.0 - warmth],
            shade: Noise::new(dice, 4),
            gloss: Noise::new(dice, 5),
            glare: dice.range(6, 0.05, 0.38),
            orange_peel: Noise::new(dice, 7),
            lens: Lens::new(dice.range(8, 0.45, 1.05)),
            grain: dice.named(9),
            noise_levels: dice.range(10, 2.0, 6.0),
        }
    }

    /// How many pixels around a rectangle the lens needs.
    pub(super) const fn margin_px(&self) -> u32 {
        self.lens.reach() as u32
    }

    /// A colour of the wood as the light shows it.
    pub(super) fn lit(&self, colour: Rgb, x: f32, y: f32) -> Rgb {
        let shade = self.exposure * (1.0 + 0.26 * self.shade.rough(x / 330.0, y / 330.0));
        // Varnish is not flat: the reflection's edge is frayed by its ripples.
        let ripple = self.orange_peel.at(x / 5.0, y / 5.0);
        let gloss = self.gloss.at(x / 190.0, y / 120.0) + 0.03 * ripple;
        let glare = self.glare * smoothstep(0.15, 0.70, gloss) * (1.0 + 0.07 * ripple);
        [0, 1, 2].map(|c| soft_clip(lerp(colour[c] * shade, GLARE[c], glare) * self.balance[c]))
    }

    /// Blurs an area of `width` pixels a row, in place, along rows and then columns. The outermost
    /// [`Self::margin_px`] pixels of the result are not meaningful.
    pub(super) fn blur(&self, area: &mut [Rgb], width: usize) {
        let mut line = Vec::new();
        for row in area.chunks_exact_mut(width) {
            line.clear();
            line.extend_from_slice(row);
            self.lens.blur_into(row, |index| line[index]);
        }
        let sharp = area.to_vec();
        let reach = self.lens.reach();
        for (row, blurred) in area.chunks_exact_mut(width).enumerate().skip(reach) {
            if (row + reach + 1) * width > sharp.len() {
                break;
            }
            for (column, pixel) in blurred.iter_mut().enumerate() {
                *pixel = self.lens.weigh(|tap| sharp[(row + tap - reach) * width + column]);
            }
        }
    }

    /// A pixel as the sensor stores it.
    pub(super) fn developed(&self, colour: Rgb, x: i32, y: i32) -> [u8; 3] {
        let grain = self.grain.at(x, y);
        [0, 1, 2].map(|c| {
            let signal = colour[c].max(0.0);
            // The cast saturates, at 0 and at 255.
            let deviation = self.noise_levels * (0.4 + 0.6 * (signal / 255.0).sqrt());
            (signal + deviation * grain.normal(c as u64) + 0.5) as u8
        })
    }
}

/// Bends what is too bright towards 255 instead of cutting it off.
fn soft_clip(level: f32) -> f32 {
    const KNEE: f32 = 185.0;
    let over = (level - KNEE).max(0.0);
    level - over + over / (1.0 + over / (255.0 - KNEE))
}

/// A Gaussian blur of a few taps.
struct Lens {
    weights: Vec<f32>,
}

impl Lens {
    fn new(sigma_px: f32) -> Self {
        let reach = (2.5 * sigma_px).ceil() as i32;
        let mut weights: Vec<f32> =
            (-reach..=reach).map(|tap| (-0.5 * (tap as f32 / sigma_px).powi(2)).exp()).collect();
        let sum: f32 = weights.iter().sum();
        for weight in &mut weights {
            *weight /= sum;
        }
        Self { weights }
    }

    const fn reach(&self) -> usize {
        self.weights.len() / 2
    }

    fn blur_into(&self, row: &mut [Rgb], source: impl Fn(usize) -> Rgb) {
        let reach = self.reach();
        let end = row.len().saturating_sub(reach);
        for (column, pixel) in row.iter_mut().enumerate().take(end).skip(reach) {
            *pixel = self.weigh(|tap| source(column + tap - reach));
        }
    }

    fn weigh(&self, source: impl Fn(usize) -> Rgb) -> Rgb {
        self.weights.iter().enumerate().fold([0.0; 3], |sum, (tap, weight)| {
            let colour = source(tap);
            [0, 1, 2].map(|c| sum[c] + weight * colour[c])
        })
    }
}
