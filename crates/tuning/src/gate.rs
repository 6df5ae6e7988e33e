//! From which probability on an image has a class, so that hardly any image that has it loses it.

use serde::Serialize;

/// Of so many images that truly have a class one may lose it: 99.5 % keep it.
const ONE_OF: usize = 200;

/// What a gate says of one image, and what is right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GateProbe {
    /// What belongs together: an image is judged by what was fitted to other groups.
    pub group: usize,
    /// The probability that the image has the class, 0 to 1.
    pub probability: f64,
    /// Whether it truly has.
    pub has: bool,
}

/// A threshold that was fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FittedThreshold {
    /// An image is allowed the class from this probability on.
    pub threshold: f32,
    /// Images that truly have the class.
    pub has: usize,
    /// Those of them that are allowed it.
    pub allowed: usize,
    /// Those of them that are allowed it where the threshold was fitted to other groups: what to believe. `None` where there is
    /// one group.
    pub allowed_held_out: Option<usize>,
    /// Images that truly have it not.
    pub has_not: usize,
    /// Those of them in which it is denied.
    pub denied: usize,
}

/// The greatest threshold with which at least 99.5 % of the images that truly have a class are allowed it. `None` where none has it.
pub fn fit_threshold(probes: &[GateProbe]) -> Option<FittedThreshold> {
    let mut positives: Vec<GateProbe> = probes.iter().filter(|probe| probe.has).copied().collect();
    positives.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let threshold = greatest(&positives, None)?;
    let is_allowed = |probe: &GateProbe, threshold: f32| probe.probability >= f64::from(threshold);
    let mut groups: Vec<usize> = probes.iter().map(|probe| probe.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let by_others = groups.iter().map(|group| {
        // Where no other group has the class nothing is known, and it is allowed.
        let threshold = greatest(&positives, Some(*group)).unwrap_or(0.0);
        positives.iter().filter(|probe| probe.group == *group && is_allowed(probe, threshold)).count()
    });
    let allowed_held_out = (groups.len() > 1).then(|| by_others.sum());
    let negatives = || probes.iter().filter(|probe| !probe.has);
    Some(FittedThreshold {
        threshold,
        has: positives.len(),
        allowed: positives.iter().filter(|probe| is_allowed(probe, threshold)).count(),
        allowed_held_out,
        has_not: negatives().count(),
        denied: negatives().filter(|probe| !is_allowed(probe, threshold)).count(),
    })
}

/// The greatest threshold that `positives`, ascending, leave but for those of one group.
fn greatest(positives: &[GateProbe], without: Option<usize>) -> Option<f32> {
    let left = || positives.iter().filter(|probe| Some(probe.group) != without);
    let may_be_lost = left().count() / ONE_OF;
    left().nth(may_be_lost).map(|probe| below(probe.probability))
}

/// The greatest number in single precision that is not above `p`, as thresholds are kept.
fn below(p: f64) -> f32 {
    let near = p as f32;
    if f64::from(near) > p { near.next_down() } else { near }.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn probes() -> impl Strategy<Value = Vec<GateProbe>> {
        let one = (0_usize..20, 0.0_f64..=1.0, any::<bool>());
        prop::collection::vec(
            one.prop_map(|(group, probability, has)| GateProbe { group, probability, has }),
            1..600,
        )
    }

    proptest! {
        /// It keeps what it must, and any greater one does not.
        #[test]
        fn no_greater_threshold_keeps_as_much(probes in probes()) {
            let positives: Vec<f64> = probes.iter().filter(|p| p.has).map(|p| p.probability).collect();
            let Some(fitted) = fit_threshold(&probes) else {
                prop_assert!(positives.is_empty());
                return Ok(());
            };
            let lost = |threshold: f32| positives.iter().filter(|p| **p < f64::from(threshold)).count();
            prop_assert!(lost(fitted.threshold) * ONE_OF <= positives.len());
            prop_assert!(lost(fitted.threshold.next_up()) * ONE_OF > positives.len());
            prop_assert_eq!(fitted.allowed, positives.len() - lost(fitted.threshold));
            prop_assert_eq!(fitted.has + fitted.has_not, probes.len());
        }
    }

    #[test]
    fn other_groups_judge() {
        let probe = |group, probability, has| GateProbe { group, probability, has };
        // The third group is one of which the others know nothing.
        let probes = [
            probe(0, 0.9, true),
            probe(1, 0.8, true),
            probe(2, 0.2, true),
            probe(0, 0.1, false),
            probe(1, 0.5, false),
        ];
        let fitted = fit_threshold(&probes).unwrap();
        assert_eq!((fitted.threshold, fitted.allowed, fitted.denied), (below(0.2), 3, 1));
        assert_eq!(fitted.allowed_held_out, Some(2));
        assert_eq!(fit_threshold(&probes[3..]), None);
        assert_eq!(fit_threshold(&probes[..1]).unwrap().allowed_held_out, None);
    }
}
