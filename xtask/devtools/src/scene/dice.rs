//! Chance that depends on a place, not on an order.

/// A seed from which independent values are drawn by name.
///
/// Nothing is consumed: the same name gives the same value for ever, so any pixel of a scene can be computed without
/// its neighbours and in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x9e37_79b9_7f4a_7c15))
    }

    /// Another seed, independent of this one and of those under other names.
    pub(crate) const fn named(self, name: u64) -> Self {
        Self(mix(self.0.wrapping_add(name.wrapping_mul(0x9e37_79b9_7f4a_7c15)) ^ 0x5851_f42d_4c95_7f2d))
    }

    /// The seed of a lattice point.
    pub(crate) const fn at(self, x: i32, y: i32) -> Self {
        Self(mix(self.0 ^ ((x as u32 as u64) << 32 | y as u32 as u64)))
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// A number in `[0, 1)`.
    pub(crate) fn unit(self, name: u64) -> f32 {
        (self.named(name).0 >> 40) as f32 / (1u32 << 24) as f32
    }

    /// A number in `[low, high)`.
    pub(crate) fn range(self, name: u64, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit(name)
    }

    /// A number of about the standard normal distribution: four uniform parts of one draw, added.
    pub(crate) fn normal(self, name: u64) -> f32 {
        let bits = self.named(name).0;
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
        (sum as f32 / 65_536.0 - 2.0) * 1.732_050_8
    }

    /// An index drawn with the given weights, which must have a positive sum.
    pub(crate) fn weighted(self, name: u64, weights: &[f32]) -> usize {
        let mut left = self.unit(name) * weights.iter().sum::<f32>();
        for (index, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return index;
            }
        }
        weights.len() - 1
    }
}

/// The finaliser of `SplitMix64`.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept() {
        let dice = Dice::new(7);
        let mut counts = [0u32; 3];
        for name in 0..10_000 {
            counts[dice.weighted(name, &[1.0, 0.0, 3.0])] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((2300..2700).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn normal_has_mean_0_and_deviation_1() {
        let dice = Dice::new(3);
        let draws: Vec<f32> = (0..20_000).map(|name| dice.normal(name)).collect();
        let mean = draws.iter().sum::<f32>() / draws.len() as f32;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / draws.len() as f32;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
