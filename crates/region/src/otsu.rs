//! Otsu's threshold (IEEE Transactions on Systems, Man and Cybernetics 9, 1979), and how well it separates.

/// A histogram cut in two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Split {
    /// The greatest value of the lower part.
    pub threshold: u8,
    /// The variance between the parts over that of all values, 0 to 1: 2/π for one bell curve, near 1 for two apart.
    pub separability: f64,
}

/// The cut that leaves the least variance within the parts, of equal ones the first; `None` where all values are equal.
///
/// Counts and sums are whole numbers: the only rounding is one division of each of two of them, which is the same on
/// every machine.
pub fn otsu(histogram: &[u64; 256]) -> Option<Split> {
    let (mut n, mut sum, mut squares) = (0_u128, 0_u128, 0_u128);
    for (value, &count) in (0_u128..).zip(histogram) {
        n += u128::from(count);
        sum += value * u128::from(count);
        squares += value * value * u128::from(count);
    }
    // n² times the variance of all values; that between the parts is (n·sum₀ − n₀·sum)² / (n₀·n₁), n² times.
    let all = n * squares - sum * sum;
    let (mut below, mut sum_below, mut best) = (0_u128, 0_u128, None::<Split>);
    for (value, &count) in (0_u8..255).zip(histogram) {
        below += u128::from(count);
        sum_below += u128::from(value) * u128::from(count);
        if below == 0 || below == n {
            continue;
        }
        let apart = (n * sum_below).abs_diff(below * sum);
        let between = (apart * apart) as f64 / (below * (n - below)) as f64;
        let separability = between / all as f64;
        if best.is_none_or(|best| separability > best.separability) {
            best = Some(Split { threshold: value, separability });
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: impl IntoIterator<Item = u8>) -> [u64; 256] {
        let mut histogram = [0; 256];
        values.into_iter().for_each(|value| histogram[usize::from(value)] += 1);
        histogram
    }

    /// `cv2.threshold(v, 0, 255, cv2.THRESH_OTSU)`, OpenCV 5.0.0, of v = (i·i·37 + i·11) % 256 for i in 0..500, and of a third
    /// of these beside 200 + i % 40.
    #[test]
    fn equals_opencv() {
        let spread = |i: u32| ((i * i * 37 + i * 11) % 256) as u8;
        assert_eq!(otsu(&histogram((0..500).map(spread))).unwrap().threshold, OPENCV[0]);
        let two = (0..500).map(|i| if i % 3 == 0 { spread(i) / 4 } else { (200 + i % 40) as u8 });
        let split = otsu(&histogram(two)).unwrap();
        assert_eq!(split.threshold, OPENCV[1]);
        assert!(split.separability > 0.9, "{split:?}");
    }

    const OPENCV: [u8; 2] = [126, 63];

    #[test]
    fn two_values_separate_wholly_and_one_not_at_all() {
        let split = otsu(&histogram([7, 7, 200])).unwrap();
        assert_eq!((split.threshold, split.separability), (7, 1.0));
        assert_eq!(otsu(&histogram([9; 20])), None);
        assert_eq!(otsu(&[0; 256]), None);
    }

    /// One bell curve: the sum of many small throws. Cut in the middle, 2/π of its variance is between the halves.
    #[test]
    fn one_bell_curve_separates_by_two_over_pi() {
        let throw =
            |i: u64| (0..12).map(|k| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (k * 5)) % 16).sum::<u64>();
        let split = otsu(&histogram((1..40_000).map(|i| 40 + throw(i) as u8))).unwrap();
        assert!((split.separability - std::f64::consts::FRAC_2_PI).abs() < 0.03, "{split:?}");
    }
}
