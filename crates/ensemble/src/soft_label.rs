//! Soft targets: for each pixel a share of every class, made of probabilities or of labels.
//!
//! Rows are `[C, W]`, as everywhere. The shares of a pixel sum to 1; a pixel of which nothing is known has shares of 0.

use std::cmp::Ordering;

/// What the shares of a pixel in bytes sum to.
const BYTES: f64 = 255.0;

/// Makes the shares of every pixel of a row `[C, W]` sum to 1. Pixels that are `missing`, and those that sum to no positive
/// number, get 0.
pub fn normalise_shares(row: &mut [f32], missing: &[bool]) {
    let width = missing.len();
    let mut sums = vec![0.0_f64; width];
    for line in row.chunks_exact(width) {
        sums.iter_mut().zip(line).for_each(|(sum, p)| *sum += f64::from(*p));
    }
    for line in row.chunks_exact_mut(width) {
        for ((p, sum), missing) in line.iter_mut().zip(&sums).zip(missing) {
            let known = !missing && *sum > 0.0 && sum.is_finite();
            *p = if known { (f64::from(*p) / sum) as f32 } else { 0.0 };
        }
    }
}

/// Uniform label smoothing of a row `[C, W]`: `y (1 − s) + s / C`, with `share` s from 0 to 1. Pixels of which nothing is
/// known stay so.
pub fn smooth_uniformly(row: &mut [f32], missing: &[bool], share: f32) {
    let width = missing.len();
    let even = share / (row.len() / width) as f32;
    for line in row.chunks_exact_mut(width) {
        for (p, _) in line.iter_mut().zip(missing).filter(|(_, missing)| !**missing) {
            *p = *p * (1.0 - share) + even;
        }
    }
}

/// The share of a pixel's own label in [`svls_row`].
const CENTRE: f64 = 0.5;

/// Weights of the eight neighbours: a Gaussian of sigma 1, divided by twice its sum without the centre, so that the centre
/// has as much as all others together (Islam & Glocker, Spatially Varying Label Smoothing).
fn neighbour_weights() -> [f64; 2] {
    let (side, corner) = ((-0.5_f64).exp(), (-1.0_f64).exp());
    let sum = 4.0 * (side + corner);
    [side / sum * CENTRE, corner / sum * CENTRE]
}

/// Spatially varying label smoothing: the shares `[C, W]` of a row of labels, of which `above` and `below` are the rows
/// beside it. Beyond the border the image goes on as it ends: at the first and last row pass the row itself. Labels from
/// `classes` on are none: they take no part, the others weigh more in turn, and a pixel that has such a label itself gets 0.
///
/// # Panics
/// When the rows are not equally long.
pub fn svls_row([above, row, below]: [&[u16]; 3], classes: usize, out: &mut Vec<f32>) {
    let width = row.len();
    assert!(above.len() == width && below.len() == width, "rows of one image");
    let [side, corner] = neighbour_weights();
    out.clear();
    out.resize(classes * width, 0.0);
    let mut shares = vec![0.0_f64; classes];
    for x in 0..width {
        if usize::from(row[x]) >= classes {
            continue;
        }
        let (left, right) = (x.saturating_sub(1), (x + 1).min(width - 1));
        let around = [
            (row[x], CENTRE),
            (above[x], side),
            (below[x], side),
            (row[left], side),
            (row[right], side),
            (above[left], corner),
            (above[right], corner),
            (below[left], corner),
            (below[right], corner),
        ];
        shares.fill(0.0);
        let mut sum = 0.0;
        for (label, weight) in around {
            if let Some(share) = shares.get_mut(usize::from(label)) {
                *share += weight;
                sum += weight;
            }
        }
        for (class, share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            out[class * width + x] = (share / sum) as f32;
        }
    }
}

/// Rounds the shares of a pixel to whole parts of 255 that sum to 255 exactly, by the largest remainder; of equal
/// remainders those of the first classes count. Shares that sum to nothing become 0.
#[derive(Debug, Default)]
pub struct LargestRemainder {
    /// Remainder and class.
    remainders: Vec<(f64, usize)>,
}

impl LargestRemainder {
    /// Rounds the shares of one pixel, which need not sum to 1.
    pub fn round(&mut self, shares: &mut [f32]) {
        let sum: f64 = shares.iter().map(|p| f64::from(*p)).sum();
        if !(sum > 0.0 && sum.is_finite()) {
            shares.fill(0.0);
            return;
        }
        self.remainders.clear();
        let mut left = BYTES;
        for (class, share) in shares.iter_mut().enumerate() {
            let exact = f64::from(*share) / sum * BYTES;
            let whole = exact.floor();
            left -= whole;
            self.remainders.push((exact - whole, class));
            *share = whole as f32;
        }
        let more = (left.max(0.0) as usize).min(shares.len());
        if more == 0 {
            return;
        }
        let largest = |a: &(f64, usize), b: &(f64, usize)| {
            b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1))
        };
        if more < shares.len() {
            self.remainders.select_nth_unstable_by(more - 1, largest);
        }
        self.remainders[..more].iter().for_each(|(_, class)| shares[*class] += 1.0);
    }
}

/// The `top` greatest shares of a pixel and their classes, greatest first; of equal ones the first class. What is left out
/// is shared among those that stay: they sum to 1, unless all are 0.
///
/// # Panics
/// When there are fewer than `top` shares.
pub fn top_shares(shares: &[f32], top: usize, order: &mut Vec<usize>, kept: &mut Vec<f32>) {
    order.clear();
    order.extend(0..shares.len());
    let greatest =
        |a: &usize, b: &usize| shares[*b].partial_cmp(&shares[*a]).unwrap_or(Ordering::Equal).then(a.cmp(b));
    if top < order.len() {
        order.select_nth_unstable_by(top - 1, greatest);
    }
    order.truncate(top);
    order.sort_unstable_by(greatest);
    let sum: f64 = order.iter().map(|class| f64::from(shares[*class])).sum();
    kept.clear();
    kept.extend(
        order.iter().map(|class| if sum > 0.0 { (f64::from(shares[*class]) / sum) as f32 } else { 0.0 }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(shares: &[f32]) -> Vec<f32> {
        let mut shares = shares.to_vec();
        LargestRemainder::default().round(&mut shares);
        shares
    }

    #[test]
    fn bytes_sum_to_255_by_the_largest_remainder() {
        assert_eq!(rounded(&[1.0, 1.0, 1.0]), [85.0; 3]);
        assert_eq!(rounded(&[0.5, 0.5]), [128.0, 127.0], "of equal remainders the first");
        // 255 · (.7, .2, .1) = 178.5, 51, 25.5.
        assert_eq!(rounded(&[0.7, 0.2, 0.1]).iter().sum::<f32>(), 255.0);
        // 36.43 each: 36 · 7 = 252, and three more.
        assert_eq!(rounded(&[1.0; 7]), [37.0, 37.0, 37.0, 36.0, 36.0, 36.0, 36.0]);
        assert_eq!(rounded(&[0.0; 3]), [0.0; 3]);
        assert_eq!(rounded(&[f32::NAN, 1.0]), [0.0; 2]);
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 16_777_216.0
        };
        for classes in 1..40 {
            let shares: Vec<f32> = (0..classes).map(|_| next().powi(5)).collect();
            let (bytes, sum) = (rounded(&shares), shares.iter().sum::<f32>());
            assert_eq!(bytes.iter().sum::<f32>(), 255.0, "{shares:?}");
            assert!(bytes.iter().zip(&shares).all(|(b, p)| (b - p / sum * 255.0).abs() < 1.001));
        }
    }

    #[test]
    fn svls_comes_to_the_golden_values() {
        let [side, corner] = neighbour_weights();
        assert!((side - 0.077_807).abs() < 1e-6 && (corner - 0.047_193).abs() < 1e-6);
        assert!((4.0 * (side + corner) - 0.5).abs() < 1e-12);
        // A straight vertical edge.
        let row: &[u16] = &[0, 0, 1, 1];
        let mut out = Vec::new();
        svls_row([row; 3], 2, &mut out);
        let near = |found: f32, wanted: f32| assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        out[..4].iter().zip([1.0, 0.827_807, 0.172_193, 0.0]).for_each(|(a, b)| near(*a, b));
        out[4..].iter().zip([0.0, 0.172_193, 0.827_807, 1.0]).for_each(|(a, b)| near(*a, b));
        // A pixel alone keeps half.
        svls_row([&[0, 0, 0], &[0, 1, 0], &[0, 0, 0]], 2, &mut out);
        near(out[4], 0.5);
        near(out[3], 0.077_807);
        // At the border the image goes on as it ends: an isolated corner pixel has itself as three of its neighbours.
        svls_row([&[1, 0], &[1, 0], &[0, 0]], 2, &mut out);
        near(out[2], 0.5 + 2.0 * 0.077_807 + 0.047_193);
        // Without the ignored column the rest weighs more.
        svls_row([&[0, 255, 1]; 3], 2, &mut out);
        assert_eq!(out, [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        svls_row([&[0, 1, 255]; 3], 2, &mut out);
        near(out[1], 0.172_193 / 0.827_807);
    }

    #[test]
    fn smoothing_and_the_greatest_shares() {
        let mut row = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
        let missing = [false, true, false];
        smooth_uniformly(&mut row, &missing, 0.3);
        let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-6, "{row:?}");
        [0.8, 0.0, 0.1, 0.1, 0.0, 0.8, 0.1, 0.0, 0.1].iter().zip(row).for_each(|(a, b)| near(*a, b));
        let mut row = [2.0, 1.0, 0.0, 2.0, 3.0, 0.0];
        normalise_shares(&mut row, &missing);
        assert_eq!(row, [0.5, 0.0, 0.0, 0.5, 0.0, 0.0]);
        let (mut order, mut kept) = (Vec::new(), Vec::new());
        top_shares(&[0.1, 0.3, 0.3, 0.25, 0.05], 3, &mut order, &mut kept);
        assert_eq!(order, [1, 2, 3]);
        assert!(
            kept.iter()
                .zip([0.3 / 0.85, 0.3 / 0.85, 0.25 / 0.85])
                .all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6)
        );
        top_shares(&[0.0, 0.0], 2, &mut order, &mut kept);
        assert_eq!((order, kept), (vec![0, 1], vec![0.0, 0.0]));
    }
}
