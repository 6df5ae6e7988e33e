//! Scores of some candidates alone, and how well a few images tell which is better.

use crate::Metric;
use crate::sample::{Sample, Space};

/// The metric of the candidates that `taken` names, with the job's own weights, at the images `among`; `None` where one of these is
/// scored by none of them.
pub fn score_of(
    sample: &Sample,
    among: &[usize],
    taken: &[usize],
    space: Space,
    metric: Metric,
) -> Option<f64> {
    let mut weights = vec![0.0; sample.candidates];
    taken.iter().for_each(|candidate| weights[*candidate] = 1.0);
    let none = vec![0.0; sample.classes];
    sample
        .covers(among.iter().copied(), &weights)
        .then(|| sample.blend(among, &weights, space).mean(&none, metric))
}

/// Spearman's rank correlation of what candidates score at some images alone with what they score at all of them: 1 where a few
/// images rank them as all do. `None` of fewer than three candidates, or where all score alike.
pub fn rank_correlation(sample: &Sample, few: &[usize], space: Space, metric: Metric) -> Option<f64> {
    let all: Vec<usize> = (0..sample.images()).collect();
    let scores = |among: &[usize]| -> Option<Vec<f64>> {
        (0..sample.candidates).map(|candidate| score_of(sample, among, &[candidate], space, metric)).collect()
    };
    if sample.candidates < 3 || few.is_empty() {
        return None;
    }
    spearman(&scores(few)?, &scores(&all)?)
}

/// Pearson's correlation of ranks; of equal values the mean of their ranks.
fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let sum = |pairs: &mut dyn Iterator<Item = (f64, f64)>| {
        pairs.map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>()
    };
    let covariance = sum(&mut a.iter().copied().zip(b.iter().copied()));
    let spread = sum(&mut a.iter().map(|x| (*x, *x))) * sum(&mut b.iter().map(|y| (*y, *y)));
    (spread > 0.0).then(|| covariance / spread.sqrt())
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |value: f64| values.iter().filter(|other| **other < value).count() as f64;
    let equal = |value: f64| values.iter().filter(|other| **other == value).count() as f64;
    values.iter().map(|value| below(*value) + (equal(*value) - 1.0) / 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spearmans_correlation_is_the_books() {
        let (a, b) = ([86.0, 97.0, 99.0, 100.0, 101.0], [2.0, 20.0, 28.0, 27.0, 50.0]);
        assert!((spearman(&a, &b).unwrap() - 0.9).abs() < 1e-12);
        assert_eq!(spearman(&a, &a.map(|x| -x)), Some(-1.0));
        assert_eq!((spearman(&a, &[1.0; 5]), ranks(&[3.0, 1.0, 3.0])), (None, vec![1.5, 0.0, 1.5]));
    }
}
