//! Where a prediction is wrong, made small: every wrong pixel shows.

use crate::pair::{LEFT_OUT, LabelPair};

/// What is wrong with a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing.
    No,
    /// The truth says nothing.
    Unknown,
    /// Background, or no class, where there is something.
    Missed,
    /// Something where there is background.
    Extra,
    /// One class for another.
    Swapped,
}

/// A small map of errors.
#[derive(Debug, Clone, Copy)]
pub struct ErrorMap {
    /// The side of the square of pixels that stands in one of the map, px, at least 1.
    pub step: u32,
    /// How many classes there are.
    pub classes: usize,
    /// The class that has no objects, if there is one.
    pub background: Option<u16>,
}

impl ErrorMap {
    /// `[ceil(height / step), ceil(width / step)]`: of each square its last wrong pixel; where none is wrong, whether the
    /// truth leaves one out.
    pub fn of(&self, labels: &LabelPair<'_>) -> Vec<Wrong> {
        let (width, step) = (labels.width.max(1) as usize, self.step.max(1) as usize);
        let small = width.div_ceil(step);
        let rows = labels.truth.chunks_exact(width).zip(labels.predicted.chunks_exact(width));
        let mut map = vec![Wrong::No; rows.len().div_ceil(step) * small];
        for (y, (truth, predicted)) in rows.enumerate() {
            let row = &mut map[y / step * small..][..small];
            for (x, (&t, &p)) in truth.iter().zip(predicted).enumerate().filter(|(_, (t, p))| t != p) {
                let pixel = &mut row[x / step];
                if t != LEFT_OUT {
                    *pixel = self.wrong(t, p);
                } else if *pixel == Wrong::No {
                    *pixel = Wrong::Unknown;
                }
            }
        }
        map
    }

    fn wrong(&self, truth: u16, predicted: u16) -> Wrong {
        if Some(truth) == self.background {
            Wrong::Extra
        } else if Some(predicted) == self.background || usize::from(predicted) >= self.classes {
            Wrong::Missed
        } else {
            Wrong::Swapped
        }
    }
}

impl Wrong {
    /// Every one, in the order of a key.
    pub const ALL: [Self; 5] = [Self::No, Self::Missed, Self::Extra, Self::Swapped, Self::Unknown];

    /// What a key says of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "right",
            Self::Missed => "missed",
            Self::Extra => "not there",
            Self::Swapped => "another class",
            Self::Unknown => "left out",
        }
    }

    /// Its colour in pictures: red, green, blue.
    pub const fn colour(self) -> [u8; 3] {
        match self {
            Self::No => [236, 232, 224],
            Self::Missed => [214, 64, 48],
            Self::Extra => [58, 110, 196],
            Self::Swapped => [232, 168, 48],
            Self::Unknown => [128, 128, 128],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::NO_CLASS;

    #[test]
    fn every_wrong_pixel_shows() {
        let truth = [0, 0, 1, 1, 2, /**/ 0, 0, 1, LEFT_OUT, 2, /**/ 0, 0, 0, LEFT_OUT, 2];
        let predicted = [0, 1, 1, 2, 2, /**/ 0, 0, 1, 0, 0, /**/ 0, 0, 0, 1, NO_CLASS];
        let labels = LabelPair { width: 5, truth: &truth, predicted: &predicted };
        let map = ErrorMap { step: 2, classes: 3, background: Some(0) };
        let wanted = [Wrong::Extra, Wrong::Swapped, Wrong::Missed, Wrong::No, Wrong::Unknown, Wrong::Missed];
        assert_eq!(map.of(&labels), wanted);
        let none = ErrorMap { background: None, ..map };
        assert_eq!(none.of(&labels)[..3], [Wrong::Swapped; 3]);
    }
}
