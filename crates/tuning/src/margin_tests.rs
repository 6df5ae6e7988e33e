use super::*;
use crate::probes::logarithm;
use crate::{ImageProbes, Probes, tune};
use marquetry_evaluation::SplitMix64;
use proptest::prelude::*;

const CLASSES: usize = 3;

/// Images of three members: the first is unsure where it is wrong, the others know better there.
fn sample(images: usize, seed: u64, honest: bool) -> Sample {
    let mut numbers = SplitMix64::new(seed);
    let of_image = |image: usize| {
        let mut probes = Probes { classes: CLASSES, members: 3, ..Probes::default() };
        for probe in 0..400_u32 {
            let truth = numbers.below(CLASSES) as u16;
            let is_hard = numbers.below(5) == 0;
            let other = (usize::from(truth) + 1) % CLASSES;
            // Sure and right, or unsure and as often wrong; a liar is as sure where it is wrong.
            let first_label = if is_hard && numbers.below(2) == 0 { other } else { usize::from(truth) };
            let sure = if is_hard && honest { 0.4 } else { 0.9 };
            probes.places.push([probe, image as u32]);
            probes.truth.push(truth);
            probes.weights.push(1.0 + (numbers.below(10) as f32) / 10.0);
            for (label, p) in [(first_label, sure), (usize::from(truth), 0.99), (usize::from(truth), 0.99)] {
                let of = |class: usize| if class == label { p } else { (1.0 - p) / 2.0 };
                probes.scores.extend((0..CLASSES).map(|class| logarithm(of(class))));
            }
        }
        ImageProbes { group: image, probes, members: vec![(0, 1.0), (1, 1.0), (2, 1.0)] }
    };
    Sample::new(CLASSES, 3, (0..images).map(of_image).collect(), 1e-6).unwrap()
}

fn as_it_is(sample: &Sample) -> Tuned {
    Tuned { weights: vec![1.0; 3], ..tune(sample, (Space::Probabilities, &[0.0; CLASSES]), Metric::MeanIou) }
}

#[test]
fn who_knows_when_it_is_wrong_spares_the_others_most() {
    let sample = sample(20, 1, true);
    let fitted =
        fit_margin(&sample, &as_it_is(&sample), &[true, false, false], None, Metric::MeanIou).unwrap();
    // It leads by 0.85 where it is sure, and by 0.1 where it is not.
    assert!((0.1..=0.851).contains(&fitted.margin), "{fitted:?}");
    assert!(
        (fitted.sure - 0.8).abs() < 0.02 && fitted.loss.abs() < 1e-9 && fitted.held_out_loss.abs() < 1e-9
    );
}

#[test]
fn who_is_as_sure_where_it_is_wrong_is_never_sure_enough() {
    let sample = sample(20, 1, false);
    let fitted =
        fit_margin(&sample, &as_it_is(&sample), &[true, false, false], None, Metric::MeanIou).unwrap();
    assert_eq!((fitted.margin, fitted.loss), (1.0, 0.0));
    assert_eq!(fitted.sure, 0.0);
}

#[test]
fn those_who_disagree_are_not_sure() {
    let sample = sample(20, 1, false);
    // The first two: where the first is wrong they differ, and nothing is lost whatever the margin.
    let first = [true, true, false];
    let fitted = fit_margin(&sample, &as_it_is(&sample), &first, Some(1.0), Metric::MeanIou).unwrap();
    assert!(fitted.margin < 0.92 && fitted.loss.abs() < 1e-9, "{fitted:?}");
    assert!((fitted.sure - 0.9).abs() < 0.02);
    assert_eq!(fit_margin(&sample, &as_it_is(&sample), &[true; 3], None, Metric::MeanIou), None);
    assert_eq!(fit_margin(&sample, &as_it_is(&sample), &[false; 3], None, Metric::MeanIou), None);
}

proptest! {
    /// No margin at or above the least one loses more than is allowed; and the one below it does.
    #[test]
    fn the_least_margin_is_the_least(
        rows in prop::collection::vec((0_u8..20, 0_u16..3, 0_u16..3, 0_u16..3, 1_u8..5), 1..80),
    ) {
        let pairs: Vec<Pair> = rows
            .iter()
            .map(|&(margin, truth, first, all, weight)| Pair {
                margin: f32::from(margin) / 20.0, truth, first, all, weight: f32::from(weight),
            })
            .collect();
        let all: Vec<&Pair> = pairs.iter().collect();
        let loss = |margin: f32| {
            let mut counts = [WeightedCounts::new(3), WeightedCounts::new(3)];
            for pair in &pairs {
                counts[0].add(pair.truth, pair.all, pair.weight);
                let label = if pair.margin >= margin { pair.first } else { pair.all };
                counts[1].add(pair.truth, label, pair.weight);
            }
            counts[0].mean(Metric::MeanIou) - counts[1].mean(Metric::MeanIou)
        };
        let found = least_margin(&all, 3, Metric::MeanIou);
        for step in 0..=20 {
            let margin = step as f32 / 20.0;
            if margin >= found {
                prop_assert!(loss(margin) <= LOSS_MAX + 1e-9, "{margin} {found}");
            }
        }
        if let Some(below) = pairs.iter().map(|pair| pair.margin).filter(|m| *m < found).max_by(f32::total_cmp) {
            prop_assert!(loss(below) > LOSS_MAX - 1e-9, "{below} {found}");
        }
    }
}
