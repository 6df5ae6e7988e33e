//! How alike the labels of members are: the mean IoU of every two of them.

use crate::Voice;

/// Pixels that members give to each class, and that two members give to the same class, of one image.
///
/// Two members are compared over the classes in which both have a say, and at the pixels whose label by either the other tells from
/// its own classes ([`Voice::tells`]). All members count alike, whatever they weigh.
#[derive(Debug, Clone, PartialEq)]
pub struct PairwiseIou {
    voices: Vec<Voice>,
    /// For each member, `[C]`.
    pixels: Vec<Vec<u64>>,
    /// Every two members, (0, 1), (0, 2), …, (1, 2), ….
    pairs: Vec<Pair>,
}

/// Two members.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    members: [usize; 2],
    /// Whether there are classes that one of them does not tell from its own.
    is_partial: bool,
    /// Pixels that both give to a class, `[C]`.
    common: Vec<u64>,
    /// Pixels that each gives to a class, where the two cannot be compared, `[C]`.
    left_out: [Vec<u64>; 2],
}

impl PairwiseIou {
    /// No pixel yet, of members with a say as in `voices`, of which none is silent.
    pub fn new(voices: &[&Voice]) -> Self {
        let voices: Vec<Voice> = voices.iter().map(|voice| (*voice).clone()).collect();
        let classes = voices.first().map_or(0, Voice::classes);
        let tells_all = |member: usize| (0..classes).all(|class| voices[member].tells(class));
        let two = (0..voices.len()).flat_map(|a| (a + 1..voices.len()).map(move |b| [a, b]));
        let pairs = two.map(|members| Pair {
            members,
            is_partial: !members.iter().all(|member| tells_all(*member)),
            common: vec![0; classes],
            left_out: [vec![0; classes], vec![0; classes]],
        });
        Self { pairs: pairs.collect(), pixels: vec![vec![0; classes]; voices.len()], voices }
    }

    /// Counts a row: the labels of each member, `[W]`. Pixels that are `missing` do not count, nor labels that are no class.
    pub fn add_row(&mut self, labels: &[Vec<u16>], missing: &[bool]) {
        for (labels, pixels) in labels.iter().zip(&mut self.pixels) {
            labels.iter().zip(missing).filter(|(_, missing)| !**missing).for_each(|(l, _)| add(pixels, *l));
        }
        for pair in &mut self.pairs {
            let [a, b] = pair.members.map(|member| &labels[member]);
            let there = a.iter().zip(b).zip(missing).filter(|(_, missing)| !**missing).map(|(two, _)| two);
            if !pair.is_partial {
                there.filter(|(a, b)| a == b).for_each(|(a, _)| add(&mut pair.common, *a));
                continue;
            }
            let [of_a, of_b] = pair.members.map(|member| &self.voices[member]);
            for (a, b) in there {
                if !(of_b.tells(usize::from(*a)) && of_a.tells(usize::from(*b))) {
                    add(&mut pair.left_out[0], *a);
                    add(&mut pair.left_out[1], *b);
                } else if a == b {
                    add(&mut pair.common, *a);
                }
            }
        }
    }

    /// The mean, over every two members, of their mean IoU over the classes that either of them sees. `None` with fewer than
    /// two members, or where no two can be compared.
    ///
    /// It is the reliability of an image in ST++, for members instead of checkpoints.
    pub fn mean(&self) -> Option<f64> {
        let means = self.pairs.iter().filter_map(|pair| self.mean_iou(pair));
        let (sum, count) = means.fold((0.0, 0), |(sum, n), mean| (sum + mean, n + 1));
        (count > 0).then(|| sum / f64::from(count))
    }

    fn mean_iou(&self, pair: &Pair) -> Option<f64> {
        let iou = |class: usize| {
            if !pair.members.iter().all(|member| self.voices[*member].has(class)) {
                return None;
            }
            let seen = |n: usize| self.pixels[pair.members[n]][class] - pair.left_out[n][class];
            let union = seen(0) + seen(1) - pair.common[class];
            (union > 0).then(|| pair.common[class] as f64 / union as f64)
        };
        let ious = (0..pair.common.len()).filter_map(iou);
        let (sum, count) = ious.fold((0.0, 0), |(sum, n), iou| (sum + iou, n + 1));
        (count > 0).then(|| sum / f64::from(count))
    }
}

/// Counts a pixel of `label`, if that is a class.
fn add(pixels: &mut [u64], label: u16) {
    if let Some(pixels) = pixels.get_mut(usize::from(label)) {
        *pixels += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClassMap, NO_CLASS, OutputActivation, Rest};

    fn mean(members: &[&[u16]]) -> Option<f64> {
        mean_of(members, &vec![Voice::of_all(vec![1.0; 3]); members.len()])
    }

    fn mean_of(members: &[&[u16]], voices: &[Voice]) -> Option<f64> {
        let labels: Vec<Vec<u16>> = members.iter().map(|m| m.to_vec()).collect();
        let mut pairs = PairwiseIou::new(&voices.iter().collect::<Vec<_>>());
        // In two rows, of which the second has a pixel that does not count.
        let row = |from: usize, to: usize| labels.iter().map(|m| m[from..to].to_vec()).collect::<Vec<_>>();
        pairs.add_row(&row(0, 2), &[false; 2]);
        let mut second = row(2, 4);
        second.iter_mut().zip(0..).for_each(|(m, n)| m.push(n % 3));
        pairs.add_row(&second, &[false, false, true]);
        pairs.mean()
    }

    #[track_caller]
    fn near(found: Option<f64>, wanted: f64) {
        assert!((found.unwrap() - wanted).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn reliability_is_the_golden_one() {
        let [a, b, c]: [&[u16]; 3] = [&[0, 0, 1, 1], &[0, 1, 1, 1], &[0, 1, 1, 1]];
        // ST++ compares with the last alone: (7/12 + 1) / 2 = .791667.
        near(mean(&[a, c]), 7.0 / 12.0);
        near(mean(&[b, c]), 1.0);
        near(mean(&[a, b, c]), (7.0 / 12.0 + 7.0 / 12.0 + 1.0) / 3.0);
        assert_eq!(mean(&[a]), None);
        let all = Voice::of_all(vec![1.0; 3]);
        assert_eq!(PairwiseIou::new(&[&all, &all]).mean(), None);
    }

    #[test]
    fn members_are_compared_over_the_classes_of_both() {
        let all = Voice::of_all(vec![1.0; 3]);
        let map = |channels: [Vec<u16>; 3], rest| ClassMap { channels: channels.into(), rest };
        // A softmax over two classes calls a pixel of class 2 one of its own, whatever it is: that pixel does not count.
        let two = map([vec![0], vec![1], vec![]], Rest::None);
        let two = Voice::new(vec![4.0, 4.0, 0.0], &two, OutputActivation::Softmax, 2);
        let voices = [all.clone(), two.clone()];
        near(mean_of(&[&[0, 1, 2, 2], &[0, 1, 1, 0]], &voices), 1.0);
        near(mean_of(&[&[0, 0, 1, 2], &[0, 1, 1, 0]], &voices), 0.5);
        // One that leaves a pixel to others says that it is none of its own: that counts.
        let one = map([vec![], vec![], vec![0]], Rest::Dropped);
        let one = Voice::new(vec![0.0, 0.0, 1.0], &one, OutputActivation::Sigmoid, 1);
        near(mean_of(&[&[0, 1, 2, 2], &[NO_CLASS, 2, NO_CLASS, 2]], &[all.clone(), one.clone()]), 1.0 / 3.0);
        // No class in common: nothing to compare, but for the others.
        assert_eq!(mean_of(&[&[0; 4], &[NO_CLASS; 4]], &[two.clone(), one.clone()]), None);
        near(mean_of(&[&[0, 1, 2, 2], &[0, 1, 1, 1], &[NO_CLASS, NO_CLASS, 2, 2]], &[all, two, one]), 1.0);
    }
}
