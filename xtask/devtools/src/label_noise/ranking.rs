//! How well a ranking finds what was planted.

/// Images in order, the most suspicious first; those of equal scores stand together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranking {
    ties: Vec<Tie>,
}

/// Images with one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tie {
    images: usize,
    planted: usize,
}

impl Ranking {
    /// Of each image's score, the least the most suspicious, and whether its label was planted.
    pub(super) fn new(mut images: Vec<(f64, bool)>) -> Self {
        images.sort_by(|a, b| a.0.total_cmp(&b.0));
        let ties = images.chunk_by(|a, b| a.0 == b.0);
        let tie = |tie: &[(f64, bool)]| Tie {
            images: tie.len(),
            planted: tie.iter().filter(|(_, planted)| *planted).count(),
        };
        Self { ties: ties.map(tie).collect() }
    }

    /// The mean, over planted images, of the share of planted ones among those down to it, 0 to 1. Equal scores stand in
    /// every order alike: it is the mean of what all orders give.
    pub(super) fn average_precision(&self) -> f64 {
        let (mut before, mut sum) = (Tie::default(), 0.0);
        for tie in &self.ties {
            // One at a place of the tie is planted with this chance, and each place before it with that.
            let chance = tie.planted as f64 / tie.images as f64;
            let others = tie.planted.saturating_sub(1) as f64 / (tie.images.max(2) - 1) as f64;
            for place in 0..tie.images {
                let planted = before.planted as f64 + 1.0 + place as f64 * others;
                sum += chance * planted / (before.images + place + 1) as f64;
            }
            before.images += tie.images;
            before.planted += tie.planted;
        }
        sum / before.planted.max(1) as f64
    }

    /// How many planted images are among the first so many: of a tie, its share.
    pub(super) fn found(&self, budget: usize) -> f64 {
        let (mut left, mut found) = (budget, 0.0);
        for tie in &self.ties {
            let taken = tie.images.min(left);
            found += taken as f64 * tie.planted as f64 / tie.images as f64;
            left -= taken;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the order of the list, whatever the scores.
    fn plain(planted: &[bool]) -> f64 {
        let places = planted.iter().enumerate().filter(|(_, planted)| **planted).map(|(place, _)| place);
        let precisions: Vec<f64> =
            places.enumerate().map(|(before, place)| (before + 1) as f64 / (place + 1) as f64).collect();
        precisions.iter().sum::<f64>() / precisions.len() as f64
    }

    fn distinct(planted: &[bool]) -> Ranking {
        Ranking::new(planted.iter().enumerate().map(|(place, &planted)| (place as f64, planted)).collect())
    }

    #[test]
    fn by_hand() {
        let ranking = distinct(&[true, false, true, false]);
        assert!((ranking.average_precision() - 5.0 / 6.0).abs() < 1e-12);
        assert_eq!([0, 1, 2, 3, 9].map(|budget| ranking.found(budget)), [0.0, 1.0, 1.0, 2.0, 2.0]);
        assert_eq!(distinct(&[true, true, false]).average_precision(), 1.0);
        let backwards = Ranking::new(vec![(3.0, true), (2.0, false), (1.0, false)]);
        assert!((backwards.average_precision() - 1.0 / 3.0).abs() < 1e-12, "the least score stands first");
        assert_eq!(Ranking::new(Vec::new()).average_precision(), 0.0);
    }

    /// The mean over all orders of the tied ones.
    #[test]
    fn a_tie_is_all_its_orders() {
        // A planted image, five tied ones of which two are planted, and a planted one.
        let tied =
            [(0.0, true), (1.0, true), (1.0, false), (1.0, true), (1.0, false), (1.0, false), (2.0, true)];
        let ranking = Ranking::new(tied.to_vec());
        let mut orders = Vec::new();
        for first in 0..5 {
            for second in first + 1..5 {
                let mut order = [true, false, false, false, false, false, true];
                (order[1 + first], order[1 + second]) = (true, true);
                orders.push(plain(&order));
            }
        }
        let mean = orders.iter().sum::<f64>() / orders.len() as f64;
        assert!((ranking.average_precision() - mean).abs() < 1e-12, "{} {mean}", ranking.average_precision());
        assert!((ranking.found(3) - 1.8).abs() < 1e-12);
        // A score that says nothing is worth what chance is, wherever the planted ones stand in the list.
        let nothing = |planted: &[bool]| {
            Ranking::new(planted.iter().map(|&planted| (0.5, planted)).collect()).average_precision()
        };
        assert_eq!(nothing(&[true, false, false]), nothing(&[false, false, true]));
        assert!((nothing(&[true, false, false]) - (1.0 + 0.5 + 1.0 / 3.0) / 3.0).abs() < 1e-12);
    }
}
