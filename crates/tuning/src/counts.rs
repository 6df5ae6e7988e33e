//! Counts over probes, and the metrics that follow from them.

use serde::{Deserialize, Serialize};

/// What is to be as great as it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// IoU, its mean over the classes that occur in the data set, counts of all images added up (`dataset` in evaluations).
    #[default]
    MeanIou,
    /// Dice, its mean in the same way.
    MeanDice,
}

/// Pixels of each class, by weight.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WeightedCounts {
    /// Predicted and right, `[C]`.
    pub hits: Vec<f64>,
    /// Of the truth, `[C]`.
    pub truth: Vec<f64>,
    /// Predicted, `[C]`.
    pub predicted: Vec<f64>,
}

impl WeightedCounts {
    /// Of nothing, of `classes` classes.
    pub fn new(classes: usize) -> Self {
        let none = vec![0.0; classes];
        Self { hits: none.clone(), truth: none.clone(), predicted: none }
    }

    /// Counts pixels of one true class with one label.
    pub fn add(&mut self, truth: u16, label: u16, weight: f32) {
        let weight = f64::from(weight);
        self.truth[usize::from(truth)] += weight;
        self.predicted[usize::from(label)] += weight;
        if truth == label {
            self.hits[usize::from(label)] += weight;
        }
    }

    /// Adds another's.
    pub fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.hits, &other.hits),
            (&mut self.truth, &other.truth),
            (&mut self.predicted, &other.predicted),
        ];
        for (own, other) in pairs {
            own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
        }
    }

    /// The value of `metric` for one class; `None` where the class does not occur.
    pub fn of_class(&self, metric: Metric, class: usize) -> Option<f64> {
        let (hits, both) = (self.hits[class], self.truth[class] + self.predicted[class]);
        let value = match metric {
            Metric::MeanIou => hits / (both - hits),
            Metric::MeanDice => 2.0 * hits / both,
        };
        (both > 0.0).then_some(value)
    }

    /// The metric; 0 where no class occurs.
    pub fn mean(&self, metric: Metric) -> f64 {
        let known = (0..self.hits.len()).filter_map(|class| self.of_class(metric, class));
        let (sum, number) = known.fold((0.0, 0_u32), |(sum, number), value| (sum + value, number + 1));
        sum / f64::from(number.max(1))
    }
}

/// The mean of a metric while labels change one by one: only the two classes concerned are counted anew.
pub(crate) struct Sweep {
    counts: WeightedCounts,
    metric: Metric,
    /// Of each class; what does not occur adds nothing.
    values: Vec<Option<f64>>,
}

impl Sweep {
    pub(crate) fn new(counts: WeightedCounts, metric: Metric) -> Self {
        let values = (0..counts.hits.len()).map(|class| counts.of_class(metric, class)).collect();
        Self { counts, metric, values }
    }

    /// A pixel of class `truth` that was `from` is `to` now.
    pub(crate) fn relabel(&mut self, truth: u16, from: u16, to: u16, weight: f32) {
        let weight = f64::from(weight);
        for (label, sign) in [(from, -1.0), (to, 1.0)] {
            let class = usize::from(label);
            self.counts.predicted[class] += sign * weight;
            if label == truth {
                self.counts.hits[class] += sign * weight;
            }
            self.values[class] = self.counts.of_class(self.metric, class);
        }
    }

    pub(crate) fn mean(&self) -> f64 {
        let known = self.values.iter().flatten();
        let (sum, number) = known.fold((0.0, 0_u32), |(sum, number), value| (sum + value, number + 1));
        sum / f64::from(number.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_the_books() {
        let mut counts = WeightedCounts::new(3);
        for (truth, label, weight) in [(0, 0, 4.0), (0, 1, 1.0), (1, 1, 2.0), (1, 0, 1.0)] {
            counts.add(truth, label, weight);
        }
        // Class 0: 4 of 4 + 1 + 1; class 1: 2 of 2 + 1 + 1; class 2 does not occur.
        assert!((counts.mean(Metric::MeanIou) - f64::midpoint(4.0 / 6.0, 2.0 / 4.0)).abs() < 1e-12);
        assert!((counts.mean(Metric::MeanDice) - f64::midpoint(8.0 / 10.0, 4.0 / 6.0)).abs() < 1e-12);
        let mut sweep = Sweep::new(counts.clone(), Metric::MeanIou);
        sweep.relabel(0, 1, 0, 1.0);
        counts.hits[0] += 1.0;
        counts.predicted = vec![6.0, 2.0, 0.0];
        assert!((sweep.mean() - counts.mean(Metric::MeanIou)).abs() < 1e-12);
    }
}
