//! How alike the labels of members are: the mean IoU of every two of them.

/// Pixels that members give to each class, and that two members give to the same class, of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairwiseIou {
    classes: usize,
    /// For each member, `[C]`.
    pixels: Vec<Vec<u64>>,
    /// For each pair of members, (0, 1), (0, 2), …, (1, 2), …: `[C]`.
    common: Vec<Vec<u64>>,
}

impl PairwiseIou {
    /// No pixel yet.
    pub fn new(members: usize, classes: usize) -> Self {
        let pairs = members * members.saturating_sub(1) / 2;
        Self { classes, pixels: vec![vec![0; classes]; members], common: vec![vec![0; classes]; pairs] }
    }

    /// Counts a row: the labels of each member, `[W]`. Pixels that are `missing` do not count.
    pub fn add_row(&mut self, labels: &[Vec<u16>], missing: &[bool]) {
        for (labels, pixels) in labels.iter().zip(&mut self.pixels) {
            for (label, _) in labels.iter().zip(missing).filter(|(_, missing)| !**missing) {
                pixels[usize::from(*label)] += 1;
            }
        }
        let pairs = (0..labels.len()).flat_map(|a| (a + 1..labels.len()).map(move |b| (a, b)));
        for ((a, b), common) in pairs.zip(&mut self.common) {
            for ((a, b), missing) in labels[a].iter().zip(&labels[b]).zip(missing) {
                common[usize::from(*a)] += u64::from(a == b && !missing);
            }
        }
    }

    /// The mean, over every two members, of their mean IoU over the classes that either of them sees. `None` with fewer than
    /// two members, or without a pixel.
    ///
    /// It is the reliability of an image in ST++, for members instead of checkpoints.
    pub fn mean(&self) -> Option<f64> {
        let members = self.pixels.len();
        let pairs = (0..members).flat_map(|a| (a + 1..members).map(move |b| (a, b)));
        let means = pairs.zip(&self.common).filter_map(|((a, b), common)| self.mean_iou(a, b, common));
        let (sum, count) = means.fold((0.0, 0), |(sum, n), mean| (sum + mean, n + 1));
        (count > 0).then(|| sum / f64::from(count))
    }

    fn mean_iou(&self, a: usize, b: usize, common: &[u64]) -> Option<f64> {
        let iou = |class: usize| {
            let union = self.pixels[a][class] + self.pixels[b][class] - common[class];
            (union > 0).then(|| common[class] as f64 / union as f64)
        };
        let (sum, count) =
            (0..self.classes).filter_map(iou).fold((0.0, 0), |(sum, n), iou| (sum + iou, n + 1));
        (count > 0).then(|| sum / f64::from(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(members: &[&[u16]]) -> Option<f64> {
        let labels: Vec<Vec<u16>> = members.iter().map(|m| m.to_vec()).collect();
        let mut pairs = PairwiseIou::new(members.len(), 3);
        // In two rows, of which the second has a pixel that does not count.
        let row = |from: usize, to: usize| labels.iter().map(|m| m[from..to].to_vec()).collect::<Vec<_>>();
        pairs.add_row(&row(0, 2), &[false; 2]);
        let mut second = row(2, 4);
        second.iter_mut().zip(0..).for_each(|(m, n)| m.push(n % 3));
        pairs.add_row(&second, &[false, false, true]);
        pairs.mean()
    }

    #[test]
    fn reliability_is_the_golden_one() {
        let [a, b, c]: [&[u16]; 3] = [&[0, 0, 1, 1], &[0, 1, 1, 1], &[0, 1, 1, 1]];
        let near =
            |found: Option<f64>, wanted: f64| assert!((found.unwrap() - wanted).abs() < 1e-12, "{found:?}");
        // ST++ compares with the last alone: (7/12 + 1) / 2 = .791667.
        near(mean(&[a, c]), 7.0 / 12.0);
        near(mean(&[b, c]), 1.0);
        near(mean(&[a, b, c]), (7.0 / 12.0 + 7.0 / 12.0 + 1.0) / 3.0);
        assert_eq!(mean(&[a]), None);
        assert_eq!(PairwiseIou::new(2, 3).mean(), None);
    }
}
