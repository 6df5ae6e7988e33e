//! Labels in which what is surely wrong is changed, and nothing else.
//!
//! The rule: an error component that is missing, extra or swapped, and wrong with at least a stated probability, gets the
//! predicted class. Boundaries stay as they were drawn, what is left out stays so, and every other pixel keeps its label.

use crate::component::{ErrorComponents, Kind};
use crate::scores::LabelledScores;
use crate::strength::{self, Usual};
use marquetry_evaluation::{LEFT_OUT, Segment};

/// Labels after the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrected {
    /// `[height, width]`, as they were pushed.
    pub labels: Vec<u16>,
    /// Components that were changed, by kind as in [`Kind::ALL`].
    pub components: [u64; 4],
    /// Pixels that were changed.
    pub changed_px: u64,
}

/// Changes what is wrong with a probability of at least `least_probability`, 0 to 1. `background` is that of the findings.
/// Left-out labels are [`LEFT_OUT`].
pub fn corrected(
    scores: &LabelledScores,
    background: Option<u16>,
    usual: &Usual<'_>,
    least_probability: f64,
) -> Corrected {
    let pair = scores.pair();
    let found = ErrorComponents::new(&pair, scores.evidence(), background);
    let segments = found.segments.list();
    let labelled = segments.iter().filter(|segment| segment.truth != LEFT_OUT);
    let labelled_px = labelled.map(Segment::pixels).sum();
    let mut components = [0; 4];
    let wrong: Vec<bool> = found
        .components
        .iter()
        .map(|slot| {
            let Some(component) = slot.filter(|c| c.kind != Kind::Boundary) else { return false };
            let sure = strength::probability(usual.component(&component, labelled_px));
            components[component.kind as usize] += u64::from(sure >= least_probability);
            sure >= least_probability
        })
        .collect();
    let (mut labels, mut changed_px) = (pair.truth.to_vec(), 0);
    let numbered = segments.iter().zip(&found.of_segment);
    for (segment, _) in numbered.filter(|&(_, &number)| wrong[number as usize]) {
        let row = segment.row as usize * pair.width as usize;
        labels[row + segment.start as usize..row + segment.end as usize].fill(segment.predicted);
        changed_px += segment.pixels();
    }
    Corrected { labels, components, changed_px }
}
