//! Which pixel of the image stands in for one outside it.

use serde::{Deserialize, Serialize};

/// How a window is filled where it lies outside the image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Mirrored without repeating the border pixel, as often as it takes: `d c b | a b c d | c b a`.
    #[default]
    Reflect,
    /// The border pixel repeated: `a a a | a b c d | d d d`.
    Replicate,
    /// A fixed value.
    Constant,
}

impl Padding {
    /// The pixel in `0..length` that stands in for `index`, or `None` where a fixed value does.
    ///
    /// Unlike NumPy's, MONAI's and PyTorch's, reflection works for pads of any length: the mirrored image goes on.
    /// An axis of one pixel has nothing to mirror and repeats it.
    ///
    /// # Panics
    /// When `length` is 0.
    pub fn source(self, index: i64, length: u32) -> Option<u32> {
        assert!(length > 0, "an axis without pixels has nothing to pad with");
        let n = i64::from(length);
        if (0..n).contains(&index) {
            return Some(index as u32);
        }
        match self {
            Self::Constant => None,
            Self::Replicate => Some(index.clamp(0, n - 1) as u32),
            Self::Reflect if n == 1 => Some(0),
            Self::Reflect => {
                let k = index.rem_euclid(2 * (n - 1));
                Some(if k < n { k } else { 2 * (n - 1) - k } as u32)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_outside() {
        let row = |padding: Padding, n| (-5..8).map(|i| padding.source(i, n)).collect::<Vec<_>>();
        let want = [3, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1];
        assert_eq!(row(Padding::Reflect, 4)[2..], want.map(Some)[2..]);
        assert_eq!(Padding::Reflect.source(-9, 4), Some(3));
        assert_eq!(Padding::Reflect.source(7, 1), Some(0));
        assert_eq!(Padding::Replicate.source(-3, 4), Some(0));
        assert_eq!(Padding::Replicate.source(9, 4), Some(3));
        assert_eq!(Padding::Constant.source(4, 4), None);
        assert_eq!(Padding::Constant.source(3, 4), Some(3));
    }
}
