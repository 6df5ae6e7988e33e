//! How often candidates differ: where they hardly do, another one of the kind cannot help.

use crate::sample::{Sample, Space};

/// The share of pixels, by weight, on whose label two candidates differ, `[K, K]`, over the images that both score; NaN where there
/// is none.
pub fn disagreement(sample: &Sample) -> Vec<Vec<f64>> {
    let n = sample.candidates;
    let (mut differ, mut both) = (vec![vec![0.0; n]; n], vec![vec![0.0; n]; n]);
    let none = vec![0.0; sample.classes];
    for (image, of) in sample.images.iter().enumerate() {
        let labels: Vec<Option<Vec<u16>>> = (0..n)
            .map(|candidate| {
                let is_here = of.members.iter().any(|(k, _)| *k == candidate);
                let mut alone = vec![0.0; n];
                alone[candidate] = 1.0;
                let blend = is_here.then(|| sample.blend(&[image], &alone, Space::Probabilities))?;
                Some(blend.labels(&none).collect())
            })
            .collect();
        let all: f64 = of.probes.weights.iter().map(|w| f64::from(*w)).sum();
        for (i, j) in (0..n).flat_map(|i| (0..i).map(move |j| (i, j))) {
            let (Some(a), Some(b)) = (&labels[i], &labels[j]) else { continue };
            let pairs = a.iter().zip(b).zip(&of.probes.weights).filter(|((a, b), _)| a != b);
            differ[i][j] += pairs.map(|(_, w)| f64::from(*w)).sum::<f64>();
            both[i][j] += all;
        }
    }
    let share =
        |i: usize, j: usize| if i == j { 0.0 } else { differ[i.max(j)][i.min(j)] / both[i.max(j)][i.min(j)] };
    (0..n).map(|i| (0..n).map(|j| share(i, j)).collect()).collect()
}
