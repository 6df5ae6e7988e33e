//! Who of an ensemble has a say in which class.
//!
//! A member has a say in the classes for which it has a weight in the merge: none in those of which it does not speak
//! (`output.classes`), or that the job weighs 0. Measures of what members say ask of each class those alone that have a say
//! in it, as the merge does.

use crate::{ClassMap, OutputActivation, Rest};

/// The label of a pixel that a member says is none of its classes.
pub const NO_CLASS: u16 = u16::MAX;

/// In what a member has a say.
#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    /// Its weight in the merge, `[C]`; 0 where it has no say.
    weights: Vec<f32>,
    /// The classes of which it speaks, `[C]`.
    spoken: Vec<bool>,
    /// Whether what its probabilities leave of 1 is that of something else.
    leaves_rest: bool,
}

impl Voice {
    /// The voice of a member of `weights` in the merge, `[C]`, whose model of `channels` channels applies `applied`, and
    /// speaks for classes by `map`.
    pub fn new(weights: Vec<f32>, map: &ClassMap, applied: OutputActivation, channels: usize) -> Self {
        let spoken = (0..weights.len()).map(|class| map.speaks_for(class)).collect();
        // The named channels of a softmax share 1 between them, so they say nothing of whether it is another class.
        let alone = channels == 1 || matches!(applied, OutputActivation::Sigmoid | OutputActivation::Labels);
        Self { weights, spoken, leaves_rest: map.rest == Rest::Dropped && alone }
    }

    /// The voice of a member of `weights` in the merge, `[C]`, that speaks of every class.
    pub fn of_all(weights: Vec<f32>) -> Self {
        Self { spoken: vec![true; weights.len()], weights, leaves_rest: false }
    }

    /// Number of classes of the job.
    pub const fn classes(&self) -> usize {
        self.weights.len()
    }

    /// Its weight in `class`; 0 where that is none.
    pub fn weight_in(&self, class: usize) -> f32 {
        self.weights.get(class).copied().unwrap_or(0.0)
    }

    /// Whether it has a say in `class`.
    pub fn has(&self, class: usize) -> bool {
        self.weight_in(class) > 0.0
    }

    /// Number of classes in which it has a say.
    pub fn count(&self) -> usize {
        self.weights.iter().filter(|weight| **weight > 0.0).count()
    }

    /// Whether it has a say in every class.
    pub fn is_whole(&self) -> bool {
        self.count() == self.weights.len()
    }

    /// Whether it has no say at all: the merge does not hear it.
    pub fn is_silent(&self) -> bool {
        self.count() == 0
    }

    /// What it weighs among members: its mean weight in the classes in which it has a say; 0 without any.
    pub fn weight(&self) -> f32 {
        self.weights.iter().sum::<f32>() / self.count().max(1) as f32
    }

    /// Whether it tells pixels of `class` from those of its own classes, though it may have no say in it. A softmax over
    /// some classes cannot: whatever else a pixel is, it says one of these.
    pub fn tells(&self, class: usize) -> bool {
        self.leaves_rest || self.spoken.get(class).is_none_or(|spoken| *spoken)
    }

    /// Whether what its probabilities leave of 1 is that of something else.
    pub(crate) const fn leaves_rest(&self) -> bool {
        self.leaves_rest
    }

    /// Its own label of each pixel of a row `[C, W]`: of the classes of which it speaks the most probable, of equal ones the
    /// first; [`NO_CLASS`] where it leaves more of 1 than any of them has.
    pub fn own_labels(&self, probabilities: &[f32], labels: &mut [u16]) {
        let width = labels.len();
        let mut best = vec![f32::NEG_INFINITY; width];
        let mut rest = vec![1.0_f32; width];
        labels.fill(0);
        let lines = probabilities.chunks_exact(width).enumerate().filter(|(class, _)| self.spoken[*class]);
        for (class, line) in lines {
            for (((label, best), rest), p) in labels.iter_mut().zip(&mut best).zip(&mut rest).zip(line) {
                *rest -= p;
                if *p > *best {
                    (*best, *label) = (*p, class as u16);
                }
            }
        }
        if self.leaves_rest {
            let more = labels.iter_mut().zip(&best).zip(&rest).filter(|((_, best), rest)| rest > best);
            more.for_each(|((label, _), _)| *label = NO_CLASS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(channels: &[&[u16]], rest: Rest) -> ClassMap {
        ClassMap { channels: channels.iter().map(|own| own.to_vec()).collect(), rest }
    }

    #[test]
    fn a_say_follows_from_weights() {
        let two = map(&[&[0], &[1], &[]], Rest::None);
        let voice = Voice::new(vec![5.0, 3.0, 0.0], &two, OutputActivation::Softmax, 2);
        assert_eq!((voice.weight(), voice.count(), voice.is_whole(), voice.has(2)), (4.0, 2, false, false));
        assert!(voice.tells(1) && !voice.tells(2), "whatever is of class 2 it calls 0 or 1");
        let all = Voice::of_all(vec![1.0, 0.0, 1.0]);
        assert!(all.tells(1) && !all.has(1) && !all.is_whole() && !all.is_silent());
        assert!(Voice::of_all(vec![0.0; 3]).is_silent() && Voice::of_all(vec![0.0; 3]).weight() == 0.0);
        assert!(Voice::of_all(vec![0.5; 3]).is_whole());
    }

    #[test]
    fn what_is_left_of_1_is_something_else_where_classes_do_not_share_it() {
        let one = map(&[&[], &[0], &[]], Rest::Dropped);
        let row = [0.0, 0.0, 0.2, 0.8, 0.0, 0.0_f32];
        let label = |applied, channels| {
            let mut labels = [9; 2];
            Voice::new(vec![0.0, 1.0, 0.0], &one, applied, channels).own_labels(&row, &mut labels);
            labels
        };
        for (applied, channels) in
            [(OutputActivation::Sigmoid, 3), (OutputActivation::None, 1), (OutputActivation::Labels, 1)]
        {
            assert_eq!(label(applied, channels), [NO_CLASS, 1], "{applied:?}");
        }
        assert_eq!(label(OutputActivation::Softmax, 3), [1, 1]);
        // All classes: the most probable of them, however little that is; of equal ones the first.
        let mut labels = [9; 2];
        Voice::of_all(vec![1.0; 3]).own_labels(&[0.1, 0.2, 0.1, 0.3, 0.0, 0.3], &mut labels);
        assert_eq!(labels, [0, 1]);
        // Of class 0 it does not speak.
        let others = map(&[&[], &[0], &[1]], Rest::None);
        Voice::new(vec![0.0, 1.0, 1.0], &others, OutputActivation::Sigmoid, 2)
            .own_labels(&[0.0; 6], &mut labels);
        assert_eq!(labels, [1, 1]);
    }
}
