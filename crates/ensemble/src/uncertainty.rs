//! How unsure an ensemble is of each pixel, and of what kind that is.
//!
//! Rows of probabilities are `[C, W]`. Entropies are divided by ln C, so that all measures lie from 0 to 1. A pixel's
//! probabilities are taken as they are relative to each other: some ways of merging leave sums that are not 1.

/// What a member says of a row.
#[derive(Debug, Clone, Copy)]
pub struct MemberRow<'a> {
    /// Its probabilities, `[C, W]`.
    pub probabilities: &'a [f32],
    /// What it weighs among the members.
    pub weight: f32,
}

/// Entropy of each pixel of a row, `H[p] / ln C`.
pub fn entropy_row(probabilities: &[f32], out: &mut [f32]) {
    let classes = probabilities.len() / out.len();
    let sums = sums(probabilities, out.len());
    let mut entropy = vec![0.0_f64; out.len()];
    for line in probabilities.chunks_exact(out.len()) {
        for ((h, p), sum) in entropy.iter_mut().zip(line).zip(&sums) {
            let p = f64::from(*p) / sum;
            if p > 0.0 {
                *h -= p * p.ln();
            }
        }
    }
    write(&entropy, classes, out);
}

/// Mutual information of label and member at each pixel, over ln C: the mean of `KL(p_m ‖ mean p)` over members. It is
/// `H[mean p] − mean H[p_m]` (BALD) without the digits that the difference loses.
pub fn mutual_information_row(members: &[MemberRow<'_>], out: &mut [f32]) {
    let width = out.len();
    let Some(first) = members.first() else { return out.fill(0.0) };
    let (size, classes) = (first.probabilities.len(), first.probabilities.len() / width);
    let total: f64 = members.iter().map(|m| f64::from(m.weight)).sum();
    let sums: Vec<Vec<f64>> = members.iter().map(|m| self::sums(m.probabilities, width)).collect();
    let mut mean = vec![0.0_f64; size];
    for (member, sums) in members.iter().zip(&sums) {
        let weight = f64::from(member.weight) / total;
        let lines = mean.chunks_exact_mut(width).zip(member.probabilities.chunks_exact(width));
        for (mean, line) in lines {
            mean.iter_mut()
                .zip(line)
                .zip(sums)
                .for_each(|((mean, p), sum)| *mean += weight * f64::from(*p) / sum);
        }
    }
    let mut information = vec![0.0_f64; width];
    for (member, sums) in members.iter().zip(&sums) {
        let weight = f64::from(member.weight) / total;
        for (mean, line) in mean.chunks_exact(width).zip(member.probabilities.chunks_exact(width)) {
            for (((mi, mean), p), sum) in information.iter_mut().zip(mean).zip(line).zip(sums) {
                let p = f64::from(*p) / sum;
                if p > 0.0 {
                    *mi += weight * p * (p / mean).ln();
                }
            }
        }
    }
    write(&information, classes, out);
}

/// How far the most probable class of each pixel is ahead of the next, 0 to 1.
pub fn margin_row(probabilities: &[f32], out: &mut [f32]) {
    let width = out.len();
    let sums = sums(probabilities, width);
    let mut second = vec![0.0_f32; width];
    out.fill(0.0);
    for line in probabilities.chunks_exact(width) {
        for ((best, second), p) in out.iter_mut().zip(&mut second).zip(line) {
            *second = second.max(p.min(*best));
            *best = best.max(*p);
        }
    }
    for ((best, second), sum) in out.iter_mut().zip(&second).zip(&sums) {
        *best = (f64::from(*best - *second) / sum) as f32;
    }
}

/// The share of members, by weight, that vote for the label of each pixel: `votes` are the labels of each member, `[W]`.
pub fn vote_share_row(votes: &[Vec<u16>], weights: &[f32], labels: &[u16], out: &mut [f32]) {
    let total: f32 = weights.iter().sum();
    out.fill(0.0);
    for (votes, weight) in votes.iter().zip(weights) {
        for ((share, vote), label) in out.iter_mut().zip(votes).zip(labels) {
            *share += if vote == label { *weight } else { 0.0 };
        }
    }
    out.iter_mut().for_each(|share| *share = (*share / total).min(1.0));
}

/// The most probable class of each pixel of a row, of equal ones the first.
pub fn most_probable(probabilities: &[f32], labels: &mut [u16]) {
    let mut best = vec![f32::NEG_INFINITY; labels.len()];
    labels.fill(0);
    for (class, line) in probabilities.chunks_exact(labels.len()).enumerate() {
        for ((label, best), p) in labels.iter_mut().zip(&mut best).zip(line) {
            if *p > *best {
                (*best, *label) = (*p, class as u16);
            }
        }
    }
}

/// The sum of each pixel's probabilities; 1 where it is 0, so that nothing is divided by it.
fn sums(probabilities: &[f32], width: usize) -> Vec<f64> {
    let mut sums = vec![0.0_f64; width];
    for line in probabilities.chunks_exact(width) {
        sums.iter_mut().zip(line).for_each(|(sum, p)| *sum += f64::from(*p));
    }
    sums.iter_mut().filter(|sum| **sum <= 0.0).for_each(|sum| *sum = 1.0);
    sums
}

/// Writes nats as shares of ln C.
fn write(nats: &[f64], classes: usize, out: &mut [f32]) {
    let most = (classes.max(2) as f64).ln();
    out.iter_mut().zip(nats).for_each(|(out, nats)| *out = (nats / most).clamp(0.0, 1.0) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entropy of the mean, mean entropy and mutual information, nats, of one pixel.
    fn nats(members: &[&[f32]]) -> [f64; 3] {
        let classes = members[0].len();
        let scale = (classes as f64).ln();
        let rows: Vec<_> = members.iter().map(|p| MemberRow { probabilities: p, weight: 1.0 }).collect();
        let mean: Vec<f32> =
            (0..classes).map(|c| members.iter().map(|m| m[c]).sum::<f32>() / members.len() as f32).collect();
        let mut out = [0.0];
        entropy_row(&mean, &mut out);
        let of_mean = f64::from(out[0]) * scale;
        let each: f64 = members
            .iter()
            .map(|m| {
                entropy_row(m, &mut out);
                f64::from(out[0]) * scale
            })
            .sum();
        mutual_information_row(&rows, &mut out);
        [of_mean, each / members.len() as f64, f64::from(out[0]) * scale]
    }

    #[test]
    fn entropies_are_the_golden_ones() {
        let cases: [(&[&[f32]], [f64; 3]); 2] = [
            (&[&[0.9, 0.1], &[0.5, 0.5], &[0.1, 0.9]], [std::f64::consts::LN_2, 0.447_771, 0.245_376]),
            (&[&[0.7, 0.2, 0.1], &[0.6, 0.3, 0.1]], [0.856_841, 0.849_882, 0.006_959]),
        ];
        for (members, wanted) in cases {
            let found = nats(members);
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} {wanted:?}");
        }
        let mut out = [0.0];
        let rows = [[0.9_f32, 0.1], [0.5, 0.5], [0.1, 0.9]];
        let rows: Vec<_> = rows.iter().map(|p| MemberRow { probabilities: p, weight: 2.0 }).collect();
        mutual_information_row(&rows, &mut out);
        assert!((out[0] - 0.354_003).abs() < 1e-6, "over ln C, whatever all members weigh: {}", out[0]);
        mutual_information_row(&[rows[0], rows[0]], &mut out);
        assert_eq!(out, [0.0], "members that agree");
        entropy_row(&[1.0, 0.0, 0.0], &mut out);
        assert_eq!(out, [0.0]);
    }

    #[test]
    fn margins_and_votes() {
        let row = [0.2, 0.5, 0.5, 0.5, 0.3, 0.0_f32];
        let mut out = [0.0; 2];
        margin_row(&row, &mut out);
        assert!(out.iter().zip([0.2, 0.0]).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{out:?}");
        let mut labels = [9; 2];
        most_probable(&row, &mut labels);
        assert_eq!(labels, [1, 0], "the first of equals");
        let votes = [vec![1, 1], vec![1, 0], vec![0, 1]];
        vote_share_row(&votes, &[1.0, 2.0, 1.0], &labels, &mut out);
        assert_eq!(out, [0.75, 0.5]);
    }
}
