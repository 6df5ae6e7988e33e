//! Smooth noise: random values on a lattice, with a smooth surface between them.

use super::dice::Dice;

/// A 32-bit seed for noise, cheaper at each pixel than [`Dice`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise(u32);

impl Noise {
    pub(crate) fn new(dice: Dice, name: u64) -> Self {
        Self((dice.named(name).bits() >> 32) as u32)
    }

    /// The surface's height at a point, in `[-1, 1]`; lattice points are 1 apart.
    pub(crate) fn at(self, x: f32, y: f32) -> f32 {
        let (left, top) = (floor(x), floor(y));
        let (fx, fy) = (fade(x - left as f32), fade(y - top as f32));
        let upper = lerp(self.height(left, top), self.height(left + 1, top), fx);
        let lower = lerp(self.height(left, top + 1), self.height(left + 1, top + 1), fx);
        lerp(upper, lower, fy)
    }

    /// Two octaves of [`Self::at`], in `[-1, 1]`.
    pub(crate) fn rough(self, x: f32, y: f32) -> f32 {
        (2.0 * self.at(x, y) + self.at(2.03 * x + 17.3, 2.03 * y - 9.1)) / 3.0
    }

    /// The same along a line.
    pub(crate) fn along(self, x: f32) -> f32 {
        let left = floor(x);
        lerp(self.height(left, 0), self.height(left + 1, 0), fade(x - left as f32))
    }

    fn height(self, x: i32, y: i32) -> f32 {
        let mut bits = self.0 ^ (x as u32).wrapping_mul(0x85eb_ca6b) ^ (y as u32).wrapping_mul(0xc2b2_ae35);
        bits = (bits ^ (bits >> 16)).wrapping_mul(0x7feb_352d);
        bits = (bits ^ (bits >> 15)).wrapping_mul(0x846c_a68b);
        bits ^= bits >> 16;
        (bits >> 8) as f32 * (2.0 / (1u32 << 24) as f32) - 1.0
    }
}

pub(crate) fn lerp(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}

/// 0 below `low`, 1 above `high`, smooth between; with `low > high` it falls instead of rising.
pub(crate) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The largest whole number not above `x`, several times faster than by `f32::floor` on a plain x86-64.
pub(crate) fn floor(x: f32) -> i32 {
    let towards_zero = x as i32;
    towards_zero - i32::from(towards_zero as f32 > x)
}

fn fade(t: f32) -> f32 {
    t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_continuous_across_lattice_points_and_bounded() {
        let noise = Noise::new(Dice::new(1), 0);
        for step in -50..50 {
            let x = step as f32;
            let (before, after) = (noise.at(x - 1e-3, 0.4), noise.at(x + 1e-3, 0.4));
            assert!((before - after).abs() < 1e-2 && before.abs() <= 1.0, "{x}: {before} {after}");
        }
    }
}
