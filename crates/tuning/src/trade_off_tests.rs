use super::*;
use proptest::prelude::*;

/// Groups of 100 pixels of two classes, of which `right` are right in each.
fn tried(right: &[u32], cost: f64) -> Tried {
    let counts = right.iter().map(|right| {
        let mut counts = WeightedCounts::new(2);
        for pixel in 0..100_u32 {
            let truth = (pixel % 2) as u16;
            counts.add(truth, if pixel < *right { truth } else { 1 - truth }, 1.0);
        }
        counts
    });
    Tried { counts: counts.collect(), cost }
}

fn chosen(all: &[Tried]) -> usize {
    trade_off(all, 0, Metric::MeanIou).chosen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No point on the front is beaten, and every other one is, by one on the front.
    #[test]
    fn the_front_is_what_no_other_beats(points in prop::collection::vec((0..8_u8, 0..8_u8), 0..30)) {
        let points: Vec<(f64, f64)> = points.into_iter().map(|(a, b)| (f64::from(a), f64::from(b))).collect();
        let front = pareto_front(&points);
        for (of, is_on) in points.iter().zip(&front) {
            let beaten = |among: &dyn Fn(usize) -> bool| {
                points.iter().enumerate().any(|(n, other)| among(n) && other != of && other.0 >= of.0 && other.1 <= of.1)
            };
            prop_assert_eq!(beaten(&|_| true), !is_on);
            prop_assert_eq!(beaten(&|n| front[n]), !is_on, "what beats it is on the front, or beaten itself");
        }
    }

    /// Whatever is tried: what is chosen is near the best, and nothing that may be taken is cheaper by more than a tenth.
    #[test]
    fn what_is_chosen_is_cheap_among_the_good(
        rights in prop::collection::vec((prop::collection::vec(50..=100_u32, 6), 1..9_u8), 1..7),
        metric in prop_oneof![Just(Metric::MeanIou), Just(Metric::MeanDice)],
    ) {
        let all: Vec<Tried> = rights.iter().map(|(right, cost)| tried(right, f64::from(*cost))).collect();
        let found = trade_off(&all, 0, metric);
        prop_assert!(found.chosen == found.by_rule || found.chosen == 0);
        let (own, judged) = (&all[found.by_rule], &found.judged[found.by_rule]);
        prop_assert!(judged.is_near_best && found.judged[found.best].is_near_best);
        prop_assert!(found.judged.iter().all(|one| one.score <= found.judged[found.best].score));
        if found.by_rule != 0 {
            prop_assert!(own.cost * ALIKE < all[0].cost || judged.gain.is_some_and(is_sure));
        }
        for (one, of) in all.iter().zip(&found.judged) {
            let is_cheaper = one.cost * ALIKE < own.cost;
            prop_assert!(!(is_cheaper && of.is_near_best && of.gain.is_some_and(is_sure)));
        }
    }
}

#[test]
fn a_front_by_hand() {
    let points = [(0.5, 1.0), (0.7, 4.0), (0.6, 4.0), (0.7, 5.0), (0.4, 0.5), (0.5, 1.0)];
    assert_eq!(pareto_front(&points), [true, true, false, false, true, true]);
    assert!(pareto_front(&[]).is_empty());
}

#[test]
fn a_gain_beyond_its_error_is_taken_and_one_within_is_not() {
    let own = tried(&[80, 82, 78, 80, 81, 79], 1.0);
    let surely = tried(&[90, 92, 88, 90, 91, 89], 2.0);
    let dearer = tried(&[90, 92, 88, 90, 91, 89], 8.0);
    let hardly = tried(&[95, 70, 78, 80, 81, 79], 2.0);
    assert_eq!(chosen(&[own.clone(), surely.clone(), dearer.clone()]), 1);
    assert_eq!(chosen(&[own.clone(), dearer, surely]), 2, "the cheaper of two that are as good");
    assert_eq!(chosen(&[own.clone(), hardly]), 0, "better on one group alone");
    assert_eq!(chosen(&[own]), 0);
}

#[test]
fn what_is_as_good_for_less_is_taken() {
    let own = tried(&[80, 82, 78, 80, 81, 79], 4.0);
    let same = |cost| tried(&[80, 82, 78, 80, 81, 79], cost);
    assert_eq!(chosen(&[own.clone(), same(1.0)]), 1);
    assert_eq!(chosen(&[own.clone(), same(3.8)]), 0, "what costs about as much changes nothing");
    assert_eq!(chosen(&[own.clone(), same(40.0)]), 0);
    let worse = tried(&[70, 72, 68, 70, 71, 69], 1.0);
    assert_eq!(chosen(&[own, worse]), 0);
}

/// Of one group nothing says how another does.
#[test]
fn of_one_group_nothing_is_taken() {
    let found = trade_off(&[tried(&[80], 1.0), tried(&[99], 0.5)], 0, Metric::MeanIou);
    assert_eq!((found.chosen, found.best, found.held_out), (0, 1, None));
    assert!(found.judged.iter().all(|one| one.gain.is_none() && !one.is_near_best));
    assert!(found.judged[1].on_front && !found.judged[0].on_front);
}

#[test]
fn a_point_on_the_front_that_is_hardly_better_is_told() {
    let (own, hardly) = (tried(&[80, 82, 78, 80, 81, 79], 1.0), tried(&[95, 70, 78, 80, 81, 79], 2.0));
    let surely = tried(&[96, 92, 88, 90, 91, 89], 3.0);
    let found = trade_off(&[own, hardly, surely], 0, Metric::MeanIou);
    let told: Vec<_> = found.judged.iter().map(|one| (one.on_front, one.is_surely_better)).collect();
    assert_eq!(told, [(true, true), (true, false), (true, true)]);
}

/// What is better by one group alone, whichever that is, is better by nothing where that group is left out.
#[test]
fn what_one_group_decides_is_not_taken() {
    let own = tried(&[80; 10], 1.0);
    let ones: Vec<Tried> = (0..10)
        .map(|lucky| {
            let mut right = [80; 10];
            right[lucky] = 100;
            right[(lucky + 1) % 10] = 79;
            tried(&right, 2.0)
        })
        .collect();
    let all: Vec<Tried> = std::iter::once(own).chain(ones).collect();
    let found = trade_off(&all, 0, Metric::MeanIou);
    let held_out = found.held_out.unwrap();
    assert!(held_out.gain <= held_out.standard_error, "{held_out:?}");
    assert_eq!(found.chosen, 0);
    // What is better everywhere gains as much on what was left out.
    let found = trade_off(&[tried(&[80; 10], 1.0), tried(&[90; 10], 2.0)], 0, Metric::MeanIou);
    let (held_out, gain) = (found.held_out.unwrap().gain, found.judged[1].gain.unwrap().gain);
    assert!((held_out - gain).abs() < 1e-12 && found.chosen == 1, "{held_out} {gain}");
}
