//! Whether the difference of two results is more than chance.

use crate::counts::ClassCounts;

/// How much greater a mean IoU is than another, and between what.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Difference {
    /// The first result's mean IoU (`dataset`) minus the second's.
    pub difference: f64,
    /// 2.5 % of the resamples have a smaller one.
    pub low: f64,
    /// 2.5 % of the resamples have a greater one.
    pub high: f64,
    /// Share of the resamples in which the first is greater; ties count half.
    pub share_better: f64,
    /// How many resamples were drawn.
    pub resamples: u64,
    /// Images in each.
    pub images: u64,
}

/// The counts of one image's classes that occur.
type Image = [(u16, ClassCounts)];

/// The paired bootstrap over images (Efron, percentile interval): images are drawn with replacement, both results of an
/// image together, and the mean IoU over the data set is taken anew. The same `seed` gives the same numbers. None
/// without images.
pub fn paired_bootstrap(
    classes: usize,
    pairs: &[(&Image, &Image)],
    resamples: u32,
    seed: u64,
) -> Option<Difference> {
    if pairs.is_empty() || resamples == 0 {
        return None;
    }
    let difference_of = |drawn: &mut dyn Iterator<Item = usize>| {
        let mut sums = [vec![ClassCounts::default(); classes], vec![ClassCounts::default(); classes]];
        for index in drawn {
            for (sum, image) in sums.iter_mut().zip([pairs[index].0, pairs[index].1]) {
                image.iter().for_each(|(class, counts)| sum[usize::from(*class)].add(counts));
            }
        }
        let [first, second] = sums.map(|sum| {
            let known: Vec<f64> = sum.iter().filter_map(ClassCounts::iou).collect();
            known.iter().sum::<f64>() / known.len().max(1) as f64
        });
        first - second
    };
    let mut random = SplitMix64::new(seed);
    let mut drawn: Vec<f64> = (0..resamples)
        .map(|_| difference_of(&mut (0..pairs.len()).map(|_| random.below(pairs.len()))))
        .collect();
    drawn.sort_by(f64::total_cmp);
    let at = |share: f64| drawn[((resamples - 1) as f64 * share).round() as usize];
    let better = drawn.iter().filter(|&&d| d > 0.0).count() as f64;
    let equal = drawn.iter().filter(|&&d| d == 0.0).count() as f64;
    Some(Difference {
        difference: difference_of(&mut (0..pairs.len())),
        low: at(0.025),
        high: at(0.975),
        share_better: (better + equal / 2.0) / resamples as f64,
        resamples: u64::from(resamples),
        images: pairs.len() as u64,
    })
}

/// Steele, Lea and Flood's generator: a sequence that follows from the seed alone.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of `0..end`, each as likely as the others but for one part in 2^64 / `end`.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(true_positives: u64, false_negatives: u64) -> Vec<(u16, ClassCounts)> {
        vec![(0, ClassCounts { true_positives, false_positives: 0, false_negatives })]
    }

    /// The first outputs for seed 1234567, as published with the generator.
    #[test]
    fn the_sequence_is_the_published_one() {
        let mut random = SplitMix64(1_234_567);
        let first = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(first.map(|_| random.next()), first);
    }

    #[test]
    fn what_is_always_better_has_an_interval_above_nothing() {
        let (good, bad): (Vec<_>, Vec<_>) =
            (0..50).map(|i| (image(90 + i % 7, 10), image(80 + i % 5, 20))).unzip();
        let pairs: Vec<_> = good.iter().zip(&bad).map(|(a, b)| (a.as_slice(), b.as_slice())).collect();
        let found = paired_bootstrap(1, &pairs, 500, 1).unwrap();
        assert!(
            found.low > 0.0 && found.low < found.difference && found.difference < found.high,
            "{found:?}"
        );
        assert_eq!((found.share_better, found.images), (1.0, 50));
        assert_eq!(paired_bootstrap(1, &pairs, 500, 1), Some(found));
        assert_ne!(paired_bootstrap(1, &pairs, 500, 2), Some(found));
    }

    /// The spread of a mean over n images is the images' own divided by the root of n; one class of equal unions is such
    /// a mean.
    #[test]
    fn the_interval_is_as_wide_as_theory_says() {
        let images: Vec<_> = (0..400).map(|i| (image(50 + i % 2, 50 - i % 2), image(50, 50))).collect();
        let pairs: Vec<_> = images.iter().map(|(a, b)| (a.as_slice(), b.as_slice())).collect();
        let found = paired_bootstrap(1, &pairs, 4000, 7).unwrap();
        let right = 0.005 / 20.0 * 2.0 * 1.96;
        assert!((found.difference - 0.005).abs() < 1e-12);
        assert!(((found.high - found.low) / right - 1.0).abs() < 0.06, "{found:?} for {right}");
    }

    #[test]
    fn equal_results_differ_by_nothing() {
        let images: Vec<_> = (0..9).map(|i| image(i, 9 - i)).collect();
        let pairs: Vec<_> = images.iter().map(|a| (a.as_slice(), a.as_slice())).collect();
        let found = paired_bootstrap(1, &pairs, 100, 3).unwrap();
        assert_eq!((found.low, found.difference, found.high, found.share_better), (0.0, 0.0, 0.0, 0.5));
        assert_eq!(paired_bootstrap(1, &[], 100, 3), None);
    }
}
