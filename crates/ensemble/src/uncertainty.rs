//! How unsure an ensemble is of each pixel, and of what kind that is.
//!
//! Rows of probabilities are `[C, W]`. Entropies are divided by ln C, so that all measures lie from 0 to 1. A pixel's
//! probabilities are taken as they are relative to each other: some ways of merging leave sums that are not 1.

use crate::Voice;

/// What a member says of a row.
#[derive(Debug, Clone, Copy)]
pub struct MemberRow<'a> {
    /// Its probabilities, `[C, W]`.
    pub probabilities: &'a [f32],
    /// In what it has a say.
    pub voice: &'a Voice,
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

/// The share of members that vote for the label of each pixel: of those that have a say in this class, by their weight in it.
/// `votes` are the labels of each member, `[W]`. It is what the merge comes to for the label where each member is certain of
/// its own. 0 at labels that are no class.
pub fn vote_share_row(votes: &[Vec<u16>], voices: &[&Voice], labels: &[u16], out: &mut [f32]) {
    let classes = voices.first().map_or(0, |voice| voice.classes());
    let total = |class: usize| voices.iter().map(|voice| voice.weight_in(class)).sum::<f32>();
    let totals: Vec<f32> = (0..classes).map(total).collect();
    out.fill(0.0);
    for (votes, voice) in votes.iter().zip(voices) {
        for ((share, vote), label) in out.iter_mut().zip(votes).zip(labels) {
            *share += if vote == label { voice.weight_in(usize::from(*label)) } else { 0.0 };
        }
    }
    for (share, label) in out.iter_mut().zip(labels) {
        let total = totals.get(usize::from(*label)).copied().filter(|total| *total > 0.0);
        *share = total.map_or(0.0, |total| (*share / total).min(1.0));
    }
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
pub(crate) fn sums(probabilities: &[f32], width: usize) -> Vec<f64> {
    let mut sums = vec![0.0_f64; width];
    for line in probabilities.chunks_exact(width) {
        sums.iter_mut().zip(line).for_each(|(sum, p)| *sum += f64::from(*p));
    }
    sums.iter_mut().filter(|sum| **sum <= 0.0).for_each(|sum| *sum = 1.0);
    sums
}

/// Writes nats as shares of ln C.
pub(crate) fn write(nats: &[f64], classes: usize, out: &mut [f32]) {
    let most = (classes.max(2) as f64).ln();
    out.iter_mut().zip(nats).for_each(|(out, nats)| *out = (nats / most).clamp(0.0, 1.0) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NO_CLASS;

    #[test]
    fn entropies_are_the_golden_ones() {
        let nats = |p: &[f32]| {
            let mut out = [0.0];
            entropy_row(p, &mut out);
            f64::from(out[0]) * (p.len() as f64).ln()
        };
        let mean = |of: &[&[f32]]| of.iter().map(|p| nats(p)).sum::<f64>() / of.len() as f64;
        let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        near(nats(&[0.5, 0.5]), std::f64::consts::LN_2);
        near(mean(&[&[0.9, 0.1], &[0.5, 0.5], &[0.1, 0.9]]), 0.447_771);
        near(nats(&[0.65, 0.25, 0.1]), 0.856_841);
        near(mean(&[&[0.7, 0.2, 0.1], &[0.6, 0.3, 0.1]]), 0.849_882);
        near(nats(&[1.0, 0.0, 0.0]), 0.0);
        near(nats(&[1.3, 0.5, 0.2]), 0.856_841);
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
        let voices = [1.0, 2.0, 1.0].map(|weight| Voice::of_all(vec![weight; 3]));
        vote_share_row(&votes, &voices.each_ref(), &labels, &mut out);
        assert_eq!(out, [0.75, 0.5]);
    }

    #[test]
    fn who_has_no_say_in_a_class_has_no_vote_on_it() {
        let voices = [vec![1.0; 3], vec![1.0, 3.0, 0.0], vec![1.0, 0.0, 0.0]].map(Voice::of_all);
        let votes = [vec![2, 1, 0, 0], vec![1, 0, 0, 1], vec![0, NO_CLASS, NO_CLASS, 0]];
        let mut out = [9.0; 4];
        vote_share_row(&votes, &voices.each_ref(), &[2, 1, 0, 255], &mut out);
        assert_eq!(out, [1.0, 0.25, 2.0 / 3.0, 0.0]);
    }
}
