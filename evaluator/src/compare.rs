//! Two predictions of the same images.

use crate::evaluate::Evaluation;
use marquetry_evaluation::{ClassCounts, Difference, paired_bootstrap};
use std::collections::BTreeMap;

/// How often images are drawn anew.
const RESAMPLES: u32 = 2000;
/// Where the sequence of draws begins: always there, so that the same results give the same interval.
const SEED: u64 = 0x006d_6172_7175_6574;

/// One prediction beside another, over the images that both have.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The difference of the mean IoU and its interval; none where no image is in both.
    pub difference: Option<Difference>,
    /// For each class, the difference of its IoU over these images.
    pub classes: Vec<Option<f64>>,
    /// Images that only one of them has.
    pub alone: u64,
}

/// The first minus the second, paired by the truth that their predictions belong to.
pub fn compare(first: &Evaluation, second: &Evaluation) -> Comparison {
    let others: BTreeMap<&str, &[(u16, ClassCounts)]> =
        second.rows.iter().map(|row| (row.truth.as_str(), row.classes.as_slice())).collect();
    let pairs: Vec<_> = first
        .rows
        .iter()
        .filter_map(|row| Some((row.classes.as_slice(), *others.get(row.truth.as_str())?)))
        .collect();
    let classes = first.classes.len();
    let mut sums = vec![[ClassCounts::default(); 2]; classes];
    for (own, other) in &pairs {
        for (side, counts) in [own, other].into_iter().enumerate() {
            counts.iter().for_each(|(class, counts)| sums[usize::from(*class)][side].add(counts));
        }
    }
    Comparison {
        difference: paired_bootstrap(classes, &pairs, RESAMPLES, SEED),
        classes: sums.iter().map(|[own, other]| Some(own.iou()? - other.iou()?)).collect(),
        alone: (first.rows.len() + second.rows.len() - 2 * pairs.len()) as u64,
    }
}
