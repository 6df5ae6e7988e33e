//! Where members are so sure of a pixel that others need not look at it.

use crate::{Decision, Rule};
use serde::{Deserialize, Serialize};

/// When a pixel is sure: both must hold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sureness {
    /// The least distance of its probabilities from another label, 0 to 1: see [`SurePixels`].
    pub margin: f32,
    /// The least share of members that alone would give it the same label, 0 to 1; not asked if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<f32>,
}

/// Tells sure pixels from others, row by row.
///
/// The *margin* of a pixel is how far its probabilities are from those of another label, 0 to 1:
///
/// - where the greatest wins, the difference of the two greatest of `p · factor / Σ p · factor`;
/// - where thresholds decide, the least of all classes' `(p − t) / (1 − t)` above its threshold `t` and `(t − p) / t` below it
///   (of each of its two thresholds with the triplet rule); with exclusive classes of which several exceed theirs also the
///   difference of the two greatest of these.
#[derive(Debug, Clone)]
pub struct SurePixels {
    sure: Sureness,
    rule: Rule,
    decision: Decision,
    classes: usize,
    background: Option<usize>,
    /// Of one row, `[planes, W]`: of all members together, and of one.
    labels: [Vec<u16>; 2],
}

impl SurePixels {
    /// For labels that `rule` decides, over `classes` classes, as [`Decision::new`] takes them.
    ///
    /// # Panics
    /// When the rule does not name every class, or picks one class where classes are independent.
    pub fn new(sure: Sureness, rule: Rule, classes: usize, background: Option<usize>) -> Self {
        let decision = Decision::new(rule.clone(), classes, background);
        Self { sure, rule, decision, classes, background, labels: [Vec::new(), Vec::new()] }
    }

    /// Whether what each member says is asked for.
    pub const fn needs_members(&self) -> bool {
        self.sure.agreement.is_some()
    }

    /// Sets `sure`, `[W]`, for a row of probabilities, `[C, W]`, and those of each member alone. A pixel without members is not
    /// sure where agreement is asked for; one whose probabilities are not numbers never is.
    ///
    /// # Panics
    /// When sizes do not fit.
    pub fn row<'a>(
        &mut self,
        probabilities: &[f32],
        members: impl IntoIterator<Item = &'a [f32]>,
        sure: &mut [bool],
    ) {
        let width = sure.len();
        assert_eq!(probabilities.len(), self.classes * width);
        for (x, sure) in sure.iter_mut().enumerate() {
            *sure = self.margin(probabilities, width, x) >= self.sure.margin;
        }
        let Some(least) = self.sure.agreement else { return };
        let mut agree = vec![0_u32; width];
        let mut voters = 0_u32;
        let [merged, own] = &mut self.labels;
        merged.resize(self.decision.planes() * width, 0);
        own.resize(merged.len(), 0);
        self.decision.row(probabilities, merged);
        for member in members {
            voters += 1;
            self.decision.row(member, own);
            let same = |x: usize| {
                let planes = merged.iter().skip(x).step_by(width).zip(own.iter().skip(x).step_by(width));
                planes.into_iter().all(|(merged, own)| merged == own)
            };
            agree.iter_mut().enumerate().for_each(|(x, agree)| *agree += u32::from(same(x)));
        }
        let share = |agree: u32| f64::from(agree) / f64::from(voters.max(1));
        sure.iter_mut().zip(agree).for_each(|(sure, agree)| *sure &= share(agree) >= f64::from(least));
    }

    /// The margin of pixel `x` of a row of probabilities, `[C, W]`; NaN where one is.
    pub fn margin(&self, probabilities: &[f32], width: usize, x: usize) -> f32 {
        let of = |class: usize| probabilities[class * width + x];
        let all = 0..self.classes;
        if all.clone().any(|class| of(class).is_nan()) {
            return f32::NAN;
        }
        match &self.rule {
            Rule::Argmax => lead(all.map(of)),
            Rule::Factors(factors) => lead(all.map(|class| of(class) * factors[class])),
            Rule::Threshold(thresholds) => self.to_thresholds(of, |class| [thresholds[class]; 2]),
            Rule::Triplet(triplets) => {
                self.to_thresholds(of, |class| [triplets[class].bottom, triplets[class].top])
            }
        }
    }

    fn to_thresholds(&self, of: impl Fn(usize) -> f32, thresholds: impl Fn(usize) -> [f32; 2]) -> f32 {
        let mut least = f32::INFINITY;
        let mut candidates: Vec<f32> = Vec::new();
        for class in (0..self.classes).filter(|class| Some(*class) != self.background) {
            let (p, both) = (of(class), thresholds(class));
            for t in both {
                let far =
                    if p > t { (p - t) / (1.0 - t).max(f32::EPSILON) } else { (t - p) / t.max(f32::EPSILON) };
                least = least.min(far);
            }
            if p > both[0] {
                candidates.push(p);
            }
        }
        if self.background.is_some() && candidates.len() > 1 {
            candidates.sort_by(|a, b| b.total_cmp(a));
            least = least.min(candidates[0] - candidates[1]);
        }
        least.clamp(0.0, 1.0)
    }
}

/// By how much the greatest leads, as a share of all.
fn lead(scores: impl Iterator<Item = f32>) -> f32 {
    let (mut first, mut second, mut sum) = (0.0_f32, 0.0_f32, 0.0_f32);
    for score in scores {
        sum += score;
        if score > first {
            (first, second) = (score, first);
        } else {
            second = second.max(score);
        }
    }
    if sum > 0.0 { (first - second) / sum } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Triplet;
    use proptest::prelude::*;

    fn margin(rule: Rule, background: Option<usize>, pixel: &[f32]) -> f32 {
        let sure = Sureness { margin: 0.5, agreement: None };
        SurePixels::new(sure, rule, pixel.len(), background).margin(pixel, 1, 0)
    }

    fn near(a: f32, b: f32) {
        assert!((a - b).abs() < 1e-6, "{a}, not {b}");
    }

    #[test]
    fn margins_are_distances_from_another_label() {
        near(margin(Rule::Argmax, Some(0), &[0.7, 0.2, 0.1]), 0.5);
        near(margin(Rule::Factors(vec![1.0, 2.0]), Some(0), &[0.6, 0.4]), 0.2 / 1.4);
        near(margin(Rule::Threshold(vec![0.5, 0.8]), None, &[0.1, 0.9]), 0.5);
        near(margin(Rule::Threshold(vec![0.5, 0.8]), None, &[0.1, 0.4]), 0.5);
        // The background's own threshold is not used, and of two candidates the greater wins.
        near(margin(Rule::Threshold(vec![0.9, 0.2, 0.2]), Some(0), &[0.1, 0.6, 0.5]), 0.1);
        let triplet = Triplet { top: 0.8, area_px: 1, bottom: 0.2 };
        near(margin(Rule::Triplet(vec![triplet]), None, &[0.4]), 0.25);
        assert!(margin(Rule::Argmax, Some(0), &[0.5, f32::NAN]).is_nan());
        near(margin(Rule::Argmax, Some(0), &[0.0, 0.0]), 0.0);
    }

    #[test]
    fn those_who_disagree_make_a_pixel_unsure() {
        let sure = Sureness { margin: 0.0, agreement: Some(0.6) };
        let mut pixels = SurePixels::new(sure, Rule::Argmax, 2, Some(0));
        let merged = [0.9, 0.6, 0.1, 0.4];
        let members = [[0.8, 0.4, 0.2, 0.6], [0.9, 0.3, 0.1, 0.7], [0.9, 0.9, 0.1, 0.1]];
        let mut row = [false; 2];
        pixels.row(&merged, members.iter().map(|m| &m[..]), &mut row);
        assert_eq!(row, [true, false], "all three agree; one of three does");
        pixels.row(&merged, [], &mut row);
        assert_eq!(row, [false, false]);
    }

    proptest! {
        /// No change of all probabilities that is smaller than half of the margin changes the label.
        #[test]
        fn what_is_within_half_a_margin_has_the_same_label(
            pixel in prop::collection::vec(0.0_f32..1.0, 2..6), changes in prop::collection::vec(-1.0_f32..1.0, 6),
            thresholds in prop::collection::vec(0.05_f32..0.95, 6), kind in 0..4_usize,
        ) {
            let classes = pixel.len();
            let sum: f32 = pixel.iter().sum::<f32>().max(1e-3);
            let exclusive = kind < 3;
            let pixel: Vec<f32> = pixel.iter().map(|p| if exclusive { p / sum } else { *p }).collect();
            let thresholds = thresholds[..classes].to_vec();
            let rule = [Rule::Argmax, Rule::Factors(thresholds.clone()), Rule::Threshold(thresholds.clone()),
                Rule::Threshold(thresholds)][kind].clone();
            let background = exclusive.then_some(0);
            let distance = margin(rule.clone(), background, &pixel);
            prop_assert!((0.0..=1.0).contains(&distance));
            // A margin is a share of what lies on that side, which is 1 where the greatest wins and thresholds or more of it elsewhere.
            let scale = match &rule {
                Rule::Factors(f) => 0.05 * f.iter().zip(&pixel).map(|(f, p)| f * p).sum::<f32>(),
                Rule::Threshold(_) => 0.05,
                _ => 1.0,
            };
            let changed: Vec<f32> =
                pixel.iter().zip(&changes).map(|(p, by)| p + by * distance * scale * 0.49).collect();
            let mut decision = Decision::new(rule, classes, background);
            let mut labels = [vec![0; decision.planes()], vec![0; decision.planes()]];
            decision.row(&pixel, &mut labels[0]);
            decision.row(&changed, &mut labels[1]);
            if distance > 1e-4 {
                prop_assert_eq!(&labels[0], &labels[1]);
            }
        }
    }
}
