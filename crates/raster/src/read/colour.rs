//! From the samples a file keeps to the bands a model sees.

use super::pixels::Pixels;

/// What stored samples mean. Bands past the colour, such as a near infrared one, are kept behind it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Colour {
    /// The values themselves.
    AsStored,
    /// Unsigned samples of fewer than 8 bits, stretched from `0..=max` to `0..=255`.
    Stretched { max: f32 },
    /// One band in which 0 is white and `from_max` is black, stretched to `0..=to_max` with black at 0.
    WhiteIsZero { from_max: f32, to_max: f32 },
    /// One band of indices into these colours.
    Palette(Vec<[f32; 3]>),
    /// Cyan, magenta, yellow and black, 0 for no ink and `max` for full ink.
    Cmyk { max: f32 },
}

impl Colour {
    /// Bands that come of `stored` kept samples.
    pub(super) const fn bands(&self, stored: u16) -> u16 {
        match self {
            Self::AsStored | Self::Stretched { .. } | Self::WhiteIsZero { .. } => stored,
            Self::Palette(_) => stored.saturating_add(2),
            Self::Cmyk { .. } => stored.saturating_sub(1),
        }
    }

    /// Whether each sample is a band of its own.
    pub(super) const fn keeps_bands(&self) -> bool {
        !matches!(self, Self::Palette(_) | Self::Cmyk { .. })
    }

    /// Turns stored samples into bands, in place.
    pub(super) fn apply(&self, pixels: &mut Pixels) {
        let area = pixels.size.area() as usize;
        let bands = self.bands(pixels.bands);
        match self {
            Self::AsStored => {}
            Self::Stretched { max } => pixels.data.iter_mut().for_each(|v| *v = (*v * 255.0 / max).round()),
            Self::WhiteIsZero { from_max, to_max } => {
                pixels.data[..area]
                    .iter_mut()
                    .for_each(|v| *v = ((from_max - *v) * to_max / from_max).round());
            }
            Self::Palette(colours) => {
                let added = pixels.data.len()..pixels.data.len() + 2 * area;
                pixels.data.resize(added.end, 0.0);
                // Other bands move behind the three colours.
                pixels.data.copy_within(area..added.start, 3 * area);
                for at in 0..area {
                    let colour = colours.get(pixels.data[at] as usize).copied().unwrap_or_default();
                    (0..3).for_each(|band| pixels.data[band * area + at] = colour[band]);
                }
            }
            Self::Cmyk { max } => {
                let (inks, black) = pixels.data.split_at_mut(3 * area);
                for ink in inks.chunks_exact_mut(area) {
                    for (ink, black) in ink.iter_mut().zip(&*black) {
                        *ink = ((max - *ink) * (max - black) / max).round();
                    }
                }
                pixels.data.drain(3 * area..4 * area);
            }
        }
        pixels.bands = bands;
    }
}
