//! Classes that an image does not have: their scores are taken out before anything is decided.

use crate::ScoreSpace;

/// How far below the greatest other logit one of a class lies that is out: its probability is below 1e-37, and 0 in half precision.
const BELOW: f32 = 88.0;

/// Takes the classes that are `denied` out of a row of scores, `[C, W]`.
///
/// In probabilities they get 0. Where classes exclude each other, `background` is the one of pixels that are no other: those that
/// are left share among them, in proportion, what all had; and where nothing is left, the background has it. Logits of denied classes
/// are put so far below the others that a softmax or sigmoid comes to the same. A pixel with a score that is no finite number stays as
/// it is, so that it is told.
///
/// # Panics
/// When the row is not of so many classes.
pub fn deny(scores: &mut [f32], denied: &[bool], space: ScoreSpace, background: Option<usize>) {
    assert!(scores.len().is_multiple_of(denied.len().max(1)), "a row of all classes");
    let width = scores.len() / denied.len().max(1);
    for x in 0..width {
        let at = |class: usize| class * width + x;
        let sum = (0..denied.len()).fold(0.0, |sum, class| sum + scores[at(class)]);
        if !sum.is_finite() {
            continue;
        }
        let left = (0..denied.len()).filter(|class| !denied[*class]);
        let out = (0..denied.len()).filter(|class| denied[*class]);
        match (space, background) {
            (ScoreSpace::Logits, None) => out.for_each(|class| scores[at(class)] = -BELOW),
            (ScoreSpace::Probabilities, None) => out.for_each(|class| scores[at(class)] = 0.0),
            (ScoreSpace::Logits, Some(_)) => {
                let greatest =
                    left.fold(f32::NEG_INFINITY, |greatest, class| greatest.max(scores[at(class)]));
                out.for_each(|class| scores[at(class)] = greatest - BELOW);
            }
            (ScoreSpace::Probabilities, Some(background)) => {
                let rest = left.clone().fold(0.0, |rest, class| rest + f64::from(scores[at(class)]));
                out.for_each(|class| scores[at(class)] = 0.0);
                if rest > 0.0 {
                    // What is left may be so little that the share has no place in single precision.
                    let share = f64::from(sum) / rest;
                    left.for_each(|class| scores[at(class)] = (f64::from(scores[at(class)]) * share) as f32);
                } else {
                    // More than 0, so that no class that is out is as great.
                    scores[at(background)] = sum.max(f32::MIN_POSITIVE);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decision, Labelling, Rule, ScoreTransform};
    use proptest::prelude::*;

    const WIDTH: usize = 3;

    fn close(a: &[f32], b: &[f32]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
    }

    proptest! {
        /// What is left keeps its proportions and the whole, and the label is that of the greatest score among what is allowed.
        #[test]
        fn the_next_best_class_is_taken(
            scores in prop::collection::vec(0.0_f32..1.0, 4 * WIDTH), mut denied in prop::collection::vec(any::<bool>(), 4),
        ) {
            denied[1] = false;
            let mut gated = scores.clone();
            deny(&mut gated, &denied, ScoreSpace::Probabilities, Some(1));
            let mut labels = [0; WIDTH];
            Decision::new(Rule::Argmax, 4, Some(1)).row(&gated, &mut labels);
            for x in 0..WIDTH {
                let of = |row: &[f32], class: usize| row[class * WIDTH + x];
                let sums = [&scores, &gated].map(|row| (0..4).map(|class| of(row, class)).sum::<f32>());
                prop_assert!((sums[0] - sums[1]).abs() < 1e-5);
                let allowed = || (0..4).filter(|class| !denied[*class]);
                let best = allowed().max_by(|a, b| of(&scores, *a).total_cmp(&of(&scores, *b)).then(b.cmp(a)));
                let chosen = of(&scores, usize::from(labels[x]));
                prop_assert!(!denied[usize::from(labels[x])] && (chosen - of(&scores, best.unwrap())).abs() < 1e-6);
                prop_assert!((0..4).all(|class| !denied[class] || of(&gated, class) == 0.0));
            }
        }

        /// Logits and probabilities come to the same.
        #[test]
        fn logits_are_denied_as_probabilities_are(
            logits in prop::collection::vec(-30.0_f32..30.0, 3 * WIDTH), dent: bool, independent: bool,
        ) {
            let (labelling, background) =
                if independent { (Labelling::Multilabel, None) } else { (Labelling::Multiclass, Some(0)) };
            let denied = [false, true, dent];
            let to = ScoreTransform::between(ScoreSpace::Logits, ScoreSpace::Probabilities, labelling, 3);
            let mut probabilities = logits.clone();
            to.apply_in_place(&mut probabilities).unwrap();
            deny(&mut probabilities, &denied, ScoreSpace::Probabilities, background);
            let mut gated = logits;
            deny(&mut gated, &denied, ScoreSpace::Logits, background);
            to.apply_in_place(&mut gated).unwrap();
            prop_assert!(close(&gated, &probabilities), "{gated:?} {probabilities:?}");
        }
    }

    #[test]
    fn where_nothing_is_left_the_background_is() {
        let mut row = [0.0, 0.0, 0.0, 1.0, 0.75, 0.0];
        deny(&mut row, &[false, true], ScoreSpace::Probabilities, Some(0));
        assert_eq!(row[..2], [1.0, 0.75]);
        assert!(row[2] > 0.0 && row[3..] == [0.0; 3]);
    }

    /// A member may be so sure of a class that is denied that what it leaves the others is hardly a number.
    #[test]
    fn however_little_is_left_it_shares_the_whole() {
        for left in [1e-30, 1e-38, 1e-40, f32::from_bits(1)] {
            let mut row = [left, 1.0, left];
            deny(&mut row, &[false, true, false], ScoreSpace::Probabilities, Some(0));
            assert!(close(&row, &[0.5, 0.0, 0.5]), "{left:e}: {row:?}");
        }
    }

    #[test]
    fn what_is_no_number_stays_so() {
        for space in [ScoreSpace::Probabilities, ScoreSpace::Logits] {
            let mut row = [0.5, f32::NAN];
            deny(&mut row, &[false, true], space, Some(0));
            assert!(row[1].is_nan());
        }
    }
}
