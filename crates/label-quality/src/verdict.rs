//! How good the label of an image is, held against what is usual.

use crate::action::{Suggestion, suggest};
use crate::component::Component;
use crate::findings::Findings;
use crate::strength::{self, Usual};
use serde::{Deserialize, Serialize};

/// An area that is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Doubt {
    /// The area.
    pub component: Component,
    /// How rarely usual mistakes are so strong: −ln of their number in an image, nats.
    pub strength: f64,
    /// The probability that its label is wrong, 0 to 1.
    pub probability: f64,
}

/// Boundaries that are in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoundaryDoubt {
    /// As that of an area.
    pub strength: f64,
    /// The probability that they are off by more than is usual, 0 to 1.
    pub probability: f64,
    /// How far the label is to be moved to mend the most, px: rows down and columns right.
    pub shift_px: Option<[i32; 2]>,
}

/// How good the label of an image is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageQuality {
    /// How sure it is that nothing is wrong, 0 (surely wrong) to 1; what images are ranked by, in ascending order. None where
    /// no pixel is labelled.
    pub quality: Option<f64>,
    /// Mean IoU over the classes that label or prediction have.
    pub mean_iou: Option<f64>,
    /// Cleanlab's softmin of the whole image.
    pub softmin: Option<f64>,
    /// The least softmin of its windows.
    pub window_softmin: Option<f64>,
    /// Pixels that are labelled.
    pub labelled_px: u64,
    /// Pixels whose label is not predicted.
    pub differing_px: u64,
    /// Pixels that are confidently of another class than their label (confident learning), see
    /// [`crate::ConfidentCounts::beyond`].
    pub confident_px: u64,
    /// Cohen's kappa of label and prediction.
    pub kappa: Option<f64>,
    /// The strongest areas in doubt, in descending order.
    pub doubts: Vec<Doubt>,
    /// What the boundaries say; none where there are none.
    pub boundaries: Option<BoundaryDoubt>,
    /// What to do, and why.
    pub suggestion: Suggestion,
}

/// Judges an image by what is usual, keeping its `most` strongest doubts. All of them count.
pub fn judge(findings: &Findings, usual: &Usual<'_>, most: usize) -> ImageQuality {
    let mut doubts = doubts(findings, usual);
    let strengths: Vec<f64> = doubts.iter().map(|doubt| doubt.strength).collect();
    let components = strength::together(&strengths);
    let boundaries = usual.boundaries(&findings.edges).map(|strength| BoundaryDoubt {
        strength,
        probability: strength::probability_of_boundaries(strength),
        shift_px: findings.edges.shift_px,
    });
    let labelled_px = findings.confusion.pixels();
    let differing_px = labelled_px - findings.confusion.right();
    let known = labelled_px > 0;
    let kappa = findings.kappa();
    let by_chance = usual.agrees_by_chance(findings);
    let odds = [
        components.map(strength::odds),
        boundaries.map(|b| strength::odds_of_boundaries(b.strength)),
        by_chance,
    ];
    let quality = known.then(|| strength::quality(odds));
    // A label of one class agrees by chance whatever it is: that its objects are missing says more.
    let no_use = kappa.filter(|_| by_chance.is_some() && findings.both_have_classes());
    let suggestion = suggest(quality, no_use, findings.differing(), &doubts, boundaries.as_ref());
    doubts.truncate(most);
    ImageQuality {
        quality,
        mean_iou: known.then(|| findings.confusion.mean_iou()),
        softmin: findings.softmin,
        window_softmin: findings.window_softmin,
        labelled_px,
        differing_px,
        confident_px: findings.confident_others.beyond(usual.thresholds()),
        kappa,
        doubts,
        boundaries,
        suggestion,
    }
}

/// All areas in doubt, the strongest first; of equal ones the one that begins first.
fn doubts(findings: &Findings, usual: &Usual<'_>) -> Vec<Doubt> {
    let labelled_px = findings.confusion.pixels();
    let of = |component: &Component| {
        let strength = usual.component(component, labelled_px);
        Doubt { component: *component, strength, probability: strength::probability(strength) }
    };
    let mut doubts: Vec<Doubt> = findings.components.iter().map(of).collect();
    doubts.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    doubts
}
