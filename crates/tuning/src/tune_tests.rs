use super::*;
use crate::probes::logarithm;
use crate::{ImageProbes, Probes, disagreement, rounds};
use marquetry_evaluation::SplitMix64;

const CLASSES: usize = 3;

struct Numbers(SplitMix64);

impl Numbers {
    fn share(&mut self) -> f32 {
        self.0.below(1 << 20) as f32 / (1 << 20) as f32
    }

    /// About normal, of variance 1.
    fn noise(&mut self) -> f32 {
        (0..12).map(|_| self.share()).sum::<f32>() - 6.0
    }
}

/// Images of `members` members, each as good as `skill` says: its logit of the true class is raised by it, and by `bias` of a class.
fn sample(images: usize, groups: usize, skill: &[f32], bias: [f32; CLASSES], seed: u64) -> Sample {
    let mut numbers = Numbers(SplitMix64::new(seed));
    let of_image = |image: usize| {
        let mut probes = Probes { classes: CLASSES, members: skill.len(), ..Probes::default() };
        for probe in 0..300_u32 {
            // Rare classes are rare.
            let truth = [0, 0, 0, 0, 0, 0, 0, 1, 1, 2][numbers.0.below(10)];
            probes.places.push([probe, 0]);
            probes.truth.push(truth);
            probes.weights.push(1.0 + numbers.share());
            for skill in skill {
                let logits: Vec<f32> = (0..CLASSES)
                    .map(|class| {
                        bias[class]
                            + 1.5 * numbers.noise()
                            + if class == usize::from(truth) { *skill } else { 0.0 }
                    })
                    .collect();
                let sum: f32 = logits.iter().map(|z| z.exp()).sum();
                probes.scores.extend(logits.iter().map(|z| logarithm(z.exp() / sum)));
            }
        }
        let members = (0..skill.len()).map(|k| (k, 1.0)).collect();
        ImageProbes { group: image % groups, probes, members }
    };
    Sample::new(CLASSES, skill.len(), (0..images).map(of_image).collect(), 1e-6).unwrap()
}

fn verdicts(tuned: &Tuned) -> Vec<Verdict> {
    tuned.steps.iter().map(|step| step.verdict).collect()
}

fn score(sample: &Sample, tuned: &Tuned) -> f64 {
    let all: Vec<usize> = (0..sample.images()).collect();
    sample.blend(&all, &tuned.weights, tuned.space).mean(&tuned.ln_factors, Metric::MeanIou)
}

/// Members that miss rare classes: factors find them again, on data that they were not fitted to.
#[test]
fn class_factors_mend_a_bias_of_all_members() {
    let bias = [0.0, -2.0, -2.5];
    let tuned =
        tune(&sample(40, 40, &[2.0, 2.0], bias, 1), (Space::Probabilities, &[0.0; CLASSES]), Metric::MeanIou);
    assert_eq!(tuned.steps[1].verdict, Verdict::Accepted, "{:?}", tuned.steps);
    assert!(
        tuned.ln_factors[0] == 0.0 && tuned.ln_factors[1] > 0.4 && tuned.ln_factors[2] > 0.4,
        "{tuned:?}"
    );
    let other = sample(40, 40, &[2.0, 2.0], bias, 2);
    let plain = Tuned { ln_factors: vec![0.0; CLASSES], weights: vec![1.0; 2], ..tuned.clone() };
    let (with, without) = (score(&other, &tuned), score(&other, &plain));
    assert!(with > without + 0.03, "{with} {without}");
    // What cross-validation said of it is about what comes of it.
    let said = tuned.steps[1].gain.unwrap();
    assert!(
        (with - without - said.gain).abs() < 4.0 * said.standard_error + 0.01,
        "{said:?} {with} {without}"
    );
}

#[test]
fn where_members_are_alike_equal_weights_stay() {
    let tuned = tune(
        &sample(30, 30, &[2.0; 4], [0.0; CLASSES], 3),
        (Space::Probabilities, &[0.0; CLASSES]),
        Metric::MeanIou,
    );
    assert_eq!(tuned.steps[2].verdict, Verdict::NoGain, "{:?}", tuned.steps);
    assert_eq!(tuned.weights, [1.0; 4]);
}

#[test]
fn useless_members_are_left_out() {
    let skill = [2.0, 2.0, -1.0, -1.0, -1.0];
    let fit_to = sample(30, 30, &skill, [0.0; CLASSES], 4);
    let tuned = tune(&fit_to, (Space::Probabilities, &[0.0; CLASSES]), Metric::MeanIou);
    assert_eq!(tuned.steps[2].verdict, Verdict::Accepted, "{:?}", tuned.steps);
    assert!(
        tuned.weights[..2].iter().all(|w| *w > 0.5) && tuned.weights[2..] == [0.0; 3],
        "{:?}",
        tuned.weights
    );
    assert!(score(&sample(30, 30, &skill, [0.0; CLASSES], 5), &tuned) > tuned.before + 0.05);
    let rounds = rounds(&fit_to, &tuned, &[1.0; 5], Metric::MeanIou);
    assert!(rounds.len() == 2 && rounds.iter().all(|round| round.candidate < 2), "{rounds:?}");
    let differ = disagreement(&fit_to);
    assert!(differ[0][1] < differ[0][2] && differ[1][0] == differ[0][1] && differ[2][2] == 0.0, "{differ:?}");
}

fn as_it_is(members: usize) -> Tuned {
    Tuned {
        space: Space::Probabilities,
        weights: vec![1.0; members],
        ln_factors: vec![0.0; CLASSES],
        before: 0.0,
        sampling_error: 0.0,
        after: 0.0,
        steps: Vec::new(),
    }
}

/// Three members, of which the last is the best by far: what they cost decides which comes first, and what all of them come to is
/// what was fitted.
#[test]
fn what_gains_most_for_its_cost_comes_first() {
    let all = sample(30, 30, &[1.0, 1.4, 2.6], [0.0; CLASSES], 10);
    let order = |costs: [f64; 3]| -> Vec<usize> {
        let rounds = rounds(&all, &as_it_is(3), &costs, Metric::MeanIou);
        rounds.iter().map(|round| round.candidate).collect()
    };
    let by_gain = order([1.0; 3]);
    assert_eq!(by_gain[0], 2);
    assert_eq!(order([1.5, 1.0, 1.9]), by_gain, "they cost alike");
    assert_eq!(order([7.0, 7.0, 7.0]), by_gain, "in any unit");
    assert_eq!(order([1.0, 1.0, 100.0]), [1, 0, 2]);
    assert_eq!(order([1.0, 100.0, 100.0]), [0, 2, 1]);

    let mut tuned = as_it_is(3);
    (tuned.weights, tuned.ln_factors) = (vec![0.3, 0.0, 2.5], vec![0.0, 0.4, 0.8]);
    for space in [Space::Probabilities, Space::Logits] {
        tuned.space = space;
        for costs in [[1.0; 3], [1.0, 1.0, 100.0]] {
            let rounds = rounds(&all, &tuned, &costs, Metric::MeanIou);
            assert_eq!(rounds.len(), 2, "one was left out");
            let last = rounds[1].score;
            assert!((last - score(&all, &tuned)).abs() < 1e-4, "{last} {}", score(&all, &tuned));
        }
    }
}

/// A cheap member that knows nothing is no gain over one label for all, and does not come before a good one.
#[test]
fn what_knows_nothing_is_cheap_in_vain() {
    let all = sample(30, 30, &[2.5, -3.0], [0.0; CLASSES], 11);
    let rounds = rounds(&all, &as_it_is(2), &[1000.0, 1.0], Metric::MeanIou);
    assert_eq!(rounds.iter().map(|round| round.candidate).collect::<Vec<_>>(), [0, 1], "{rounds:?}");
}

#[test]
fn one_group_says_nothing_of_weights() {
    let tuned = tune(
        &sample(30, 1, &[2.0, 0.0], [0.0; CLASSES], 6),
        (Space::Probabilities, &[0.0; CLASSES]),
        Metric::MeanIou,
    );
    assert_eq!(tuned.steps[2].verdict, Verdict::OneGroup);
    assert_eq!(tuned.weights, [1.0; 2]);
    let one = tune(
        &sample(1, 1, &[2.0, 0.0], [0.0; CLASSES], 6),
        (Space::Probabilities, &[0.0; CLASSES]),
        Metric::MeanIou,
    );
    assert_eq!(verdicts(&one), [Verdict::TooFew; 3]);
    let alone = tune(
        &sample(9, 3, &[2.0], [0.0; CLASSES], 6),
        (Space::Probabilities, &[0.0; CLASSES]),
        Metric::MeanIou,
    );
    assert_eq!(
        (verdicts(&alone)[0], verdicts(&alone)[2]),
        (Verdict::NothingToWeigh, Verdict::NothingToWeigh)
    );
}

/// Noise alone: over many samples hardly anything is accepted, and what is loses little on other data.
#[test]
fn nothing_is_accepted_that_loses_much() {
    let mut lost = 0.0;
    for seed in 0..8 {
        let tuned = tune(
            &sample(12, 12, &[1.5; 3], [0.0; CLASSES], 100 + seed),
            (Space::Probabilities, &[0.0; CLASSES]),
            Metric::MeanIou,
        );
        let other = sample(12, 12, &[1.5; 3], [0.0; CLASSES], 200 + seed);
        let plain = Tuned {
            space: Space::Probabilities,
            ln_factors: vec![0.0; CLASSES],
            weights: vec![1.0; 3],
            ..tuned.clone()
        };
        lost += score(&other, &plain) - score(&other, &tuned);
    }
    assert!(lost / 8.0 < 0.002, "{lost}");
}

/// Folds: each image is seen by one member of each configuration.
#[test]
fn candidates_are_configurations_where_members_see_their_fold() {
    let mut folds = sample(20, 20, &[2.0, -1.0], [0.0; CLASSES], 7);
    // The first image lacks the better one.
    folds.images[0].members = vec![(1, 1.0), (1, 2.0)];
    let tuned = tune(&folds, (Space::Probabilities, &[0.0; CLASSES]), Metric::MeanIou);
    assert!(tuned.weights[1] > 0.0, "without it the first image would have no member: {:?}", tuned.weights);
}

/// Factors that the job has are part of what it is: kept where others are no better, and left where they are.
#[test]
fn factors_of_the_job_are_where_it_begins() {
    let fair = sample(40, 40, &[2.0, 2.0], [0.0; CLASSES], 8);
    let own = [0.0, 0.0, 1.5];
    let tuned = tune(&fair, (Space::Probabilities, &own), Metric::MeanIou);
    let plain = tune(&fair, (Space::Probabilities, &[0.0; CLASSES]), Metric::MeanIou);
    assert!(tuned.before < plain.before - 0.01, "{} {}", tuned.before, plain.before);
    assert_eq!(tuned.steps[1].verdict, Verdict::Accepted, "{:?}", tuned.steps);
    assert!(tuned.ln_factors[2] < 0.5 && tuned.after > plain.before - 0.005, "{tuned:?}");
    let biased = sample(40, 40, &[2.0, 2.0], [0.0, 0.0, -1.5], 9);
    let right = tune(&biased, (Space::Probabilities, &own), Metric::MeanIou);
    let kept = right.steps[1].verdict != Verdict::Accepted;
    assert!(!kept || right.ln_factors == own, "{right:?}");
    assert!((score(&biased, &right) - right.after).abs() < 1e-12);
}
