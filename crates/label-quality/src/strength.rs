//! How rarely the members' usual mistakes come out so strong, and how sure it follows that a label is wrong.
//!
//! Members make mistakes of their own, which look like wrong labels. What they usually look like is in the survey: nearly all
//! labels are right. The evidence of mistakes of one pair of classes falls off like `e^(−x / s)`, where s follows from the mean
//! root of evidence (the mean itself would follow the few labels that are wrong). So an image has about
//!
//! `(n + 0.05) · e^(−x / s) · P`
//!
//! mistakes that are as strong in their pair of classes as a component of evidence x in its own: n is how many of its pair are
//! usual in as many pixels as the image has, P the number of pairs that are confused. The *strength* is −ln of that, nats. Evidence at boundaries falls off
//! alike from its median on.
//!
//! Evidence has an end (36.8), so it says nothing where the deep components of a pair usually come near it: members are sure,
//! and wrong. There it is how many of them are so large that counts, with ln of their area taken to deviate by 1 from its mean: −ln
//! of their share is about 2 for each of these deviations.
//!
//! Wrong labels are taken to be there in 5 % of images before one looks, wrong boundaries in 1 %: `p = π e^t / (1 + π e^t)`.

use crate::boundary::EdgeFindings;
use crate::component::Component;
use crate::confident::Thresholds;
use crate::findings::Findings;
use crate::survey::Survey;

/// Pairs of classes with fewer components lend the mean of all, as if they had so many more.
const SHRINK: f64 = 300.0;
/// Components in an image below which a pair of classes is no rarer.
const RARE: f64 = 0.05;
/// The least scale of a component's evidence, nats · px.
const LEAST_SCALE: f64 = 0.04;
/// Where deep components usually have less evidence than the first, their size says nothing; beyond the second it counts in full: a
/// half and three quarters of the most there is, nats · px.
const SURE: [f64; 2] = [18.4, 27.6];
/// Strength for each e-fold of area beyond the usual one.
const LARGER: f64 = 2.0;
/// The least scale of evidence at boundaries, nats.
const LEAST_EDGE_SCALE: f64 = 0.05;
/// Strength for each pixel at a boundary that a shift of the label mends.
const MENDED: f64 = 3.0;
/// Components beyond this strength speak together.
const TOGETHER: f64 = 2.0;
/// A label that agrees no better with the prediction (Cohen's kappa) is of another image: "slight" agreement, as Landis and
/// Koch call it.
const SLIGHT: f64 = 0.2;
/// Where so few pixels differ, kappa says nothing.
const LEAST_DIFFERING: f64 = 0.02;
/// So many times the share of the middle image is far more than is usual.
const FAR: f64 = 4.0;
/// Share of images with a wrong component.
const WRONG_COMPONENTS: f64 = 0.05;
/// Share of images with a wrong boundary: some tolerance is usual.
const WRONG_BOUNDARIES: f64 = 0.01;

/// What a survey says is usual.
#[derive(Debug, Clone)]
pub struct Usual<'a> {
    survey: &'a Survey,
    thresholds: Thresholds,
    mean_root: f64,
    /// Of deep components: the mean √evidence and the mean ln area (px).
    mean_deep: [f64; 2],
    confused_pairs: f64,
    edge_median: f64,
    edge_scale: f64,
}

impl<'a> Usual<'a> {
    /// Of the survey of all images.
    pub fn new(survey: &'a Survey) -> Self {
        let [quartile, median] = survey.usual_edges();
        let deep = survey.all_deep();
        Self {
            survey,
            thresholds: survey.confident().thresholds(),
            mean_root: survey.mean_root(),
            mean_deep: deep.sums().map(|sum| sum / deep.components.max(1) as f64),
            confused_pairs: survey.confused_pairs(RARE).max(1.0),
            edge_median: median,
            // From a quarter to a half of an exponential is ln 1.5 of its scale; what is wrong lies above.
            edge_scale: ((median - quartile) / 1.5_f64.ln()).max(LEAST_EDGE_SCALE),
        }
    }

    /// The thresholds of confident learning.
    pub const fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// The strength of a component of an image with so many labelled pixels, nats.
    pub(crate) fn component(&self, component: &Component, labelled_px: u64) -> f64 {
        let (roots, number) = self.survey.roots(component);
        let root = (roots + SHRINK * self.mean_root) / (number as f64 + SHRINK);
        component.evidence() / (root * root).max(LEAST_SCALE)
            - (self.survey.usual(component, labelled_px) + RARE).ln()
            - self.confused_pairs.ln()
            + self.larger(component)
    }

    /// What a deep component's size adds where evidence cannot tell, nats.
    fn larger(&self, component: &Component) -> f64 {
        if !component.is_deep() {
            return 0.0;
        }
        let deep = self.survey.deep(component);
        let [sums, means] = [deep.sums(), self.mean_deep];
        let [root, area] =
            [0, 1].map(|at| (sums[at] + SHRINK * means[at]) / (deep.components as f64 + SHRINK));
        let sure = ((root * root - SURE[0]) / (SURE[1] - SURE[0])).clamp(0.0, 1.0);
        sure * LARGER * ((component.area_px as f64).ln() - area).max(0.0)
    }

    /// The log odds that a label is none of its image, where it agrees with the prediction hardly better than by chance: of
    /// what is usual that hangs on nothing, so that many such labels do not hide each other. A label of one class does so
    /// whatever it is, and must also differ far more than the middle image.
    pub(crate) fn agrees_by_chance(&self, findings: &Findings) -> Option<f64> {
        let (kappa, differing) = (findings.kappa()?, findings.differing());
        let is_far = findings.both_have_classes() || differing >= FAR * self.survey.usual_differing();
        (kappa <= SLIGHT && differing >= LEAST_DIFFERING && is_far).then_some(1.0 + 10.0 * (SLIGHT - kappa))
    }

    /// The strength of an image's boundaries, nats; none where there are none.
    pub(crate) fn boundaries(&self, edges: &EdgeFindings) -> Option<f64> {
        let beyond = (edges.evidence()? - self.edge_median) / self.edge_scale;
        Some(beyond + std::f64::consts::LN_2 + MENDED * edges.gain())
    }
}

/// The strength of an image's components together: that of the strongest, or of all that are beyond 2, each counting with
/// what it has beyond. `strengths` are in descending order.
pub(crate) fn together(strengths: &[f64]) -> Option<f64> {
    let &strongest = strengths.first()?;
    let beyond: f64 = strengths.iter().map(|t| (t - TOGETHER).max(0.0)).sum();
    Some(if strongest < TOGETHER { strongest } else { TOGETHER + beyond })
}

/// The probability that a component of this strength, nats, is a wrong label and no mistake of the members.
pub fn probability(strength: f64) -> f64 {
    of_odds(odds(strength))
}

/// The same for boundaries.
pub(crate) fn probability_of_boundaries(strength: f64) -> f64 {
    of_odds(odds_of_boundaries(strength))
}

/// The log odds that an image has a wrong component, by the strength of all of them together.
pub(crate) fn odds(strength: f64) -> f64 {
    strength + WRONG_COMPONENTS.ln()
}

/// The same of boundaries.
pub(crate) fn odds_of_boundaries(strength: f64) -> f64 {
    strength + WRONG_BOUNDARIES.ln()
}

/// That nothing is wrong with an image: 1 less the greatest of what these log odds say.
pub(crate) fn quality(odds: [Option<f64>; 3]) -> f64 {
    let odds = odds.into_iter().flatten().fold(f64::NEG_INFINITY, f64::max);
    // Not 1 − p, of which nothing would be left where p is near 1.
    1.0 / (1.0 + odds.exp())
}

fn of_odds(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LabelledScores, judge};
    use marquetry_geometry::Size;

    #[test]
    fn odds_by_hand() {
        assert!((probability(20.0_f64.ln()) - 0.5).abs() < 1e-12);
        assert!((probability_of_boundaries(100.0_f64.ln()) - 0.5).abs() < 1e-12);
        assert!(
            (quality([Some(odds(20.0_f64.ln())), Some(odds_of_boundaries(0.0)), None]) - 0.5).abs() < 1e-12
        );
        assert_eq!(quality([None; 3]), 1.0);
        assert!(quality([Some(700.0), None, None]) > 0.0 && quality([None, None, Some(700.0)]) < 1e-300);
    }

    #[test]
    fn several_speak_together() {
        assert_eq!(together(&[]), None);
        assert_eq!(together(&[1.5, 1.0]), Some(1.5));
        assert_eq!(together(&[5.0, 3.5, 1.0]), Some(2.0 + 3.0 + 1.5));
    }

    /// Against the plain reference: members are sure of all they say, and see a small disc in each of twelve images that is not
    /// there. The first label lacks an object that is larger.
    #[test]
    fn where_members_are_sure_the_larger_area_is_the_stronger() {
        let of_image = |k: usize| {
            let mut scores = LabelledScores::new(Size::square(48), 2);
            for y in 0..48_i64 {
                let disc = |top: i64, left: i64, r2: i64, x: i64| (y - top).pow(2) + (x - left).pow(2) <= r2;
                let object = |x: i64| disc(14, 14, 100, x);
                let p = |x: i64, class: bool| {
                    if (object(x) || disc(36, 34, 36, x)) == class { 0.9995 } else { 0.0005 }
                };
                let row: Vec<f32> =
                    [false, true].iter().flat_map(|&class| (0..48).map(move |x| p(x, class))).collect();
                let labels: Vec<u16> = (0..48).map(|x| u16::from(object(x) && k > 0)).collect();
                scores.push_row(&row, &labels);
            }
            Findings::new(&scores, Some(0))
        };
        let findings: Vec<Findings> = (0..12).map(of_image).collect();
        let mut survey = Survey::new(2);
        findings.iter().for_each(|found| survey.add(found));
        let usual = Usual::new(&survey);
        let doubts: Vec<(u64, f64)> = findings[..2]
            .iter()
            .flat_map(|found| judge(found, &usual, 2).doubts)
            .map(|doubt| (doubt.component.area_px, doubt.strength))
            .collect();
        let wanted =
            [(317, 2.779_171_308_557_677), (113, 0.874_834_463_777_876_7), (113, 0.874_834_463_777_876_7)];
        assert_eq!(doubts.len(), 3);
        for ((area, strength), wanted) in doubts.iter().zip(wanted) {
            assert!(*area == wanted.0 && (strength - wanted.1).abs() < 1e-9, "{doubts:?}");
        }
    }
}
