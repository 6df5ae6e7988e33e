//! Logits without what all classes of a pixel share.

use crate::vectors::{Kernel, with_widest_vectors};

/// Takes off the scores of each pixel the greatest of them: softmax, and which class is greatest, heed no number that is
/// added to all. `rows` is `[rows, classes, width]`.
///
/// What is left can be stored in few bits: half precision has three digits, and a model whose logits are all near 1,000
/// would spend them on the 1,000.
///
/// # Panics
/// When `rows` is no whole number of rows.
pub fn take_off_greatest(rows: &mut [f32], classes: usize, width: usize) {
    assert_eq!(rows.len() % (classes * width).max(1), 0, "whole rows of {classes} classes and {width} px");
    with_widest_vectors(TakeOff { rows, classes, width });
}

/// [`take_off_greatest`].
struct TakeOff<'a> {
    rows: &'a mut [f32],
    classes: usize,
    width: usize,
}

impl Kernel for TakeOff<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn run(self) {
        let Self { rows, classes, width } = self;
        let mut greatest = vec![0.0_f32; width];
        for row in rows.chunks_exact_mut((classes * width).max(1)) {
            greatest.fill(f32::NEG_INFINITY);
            for scores in row.chunks_exact(width) {
                greatest.iter_mut().zip(scores).for_each(|(most, score)| *most = most.max(*score));
            }
            for scores in row.chunks_exact_mut(width) {
                scores.iter_mut().zip(&greatest).for_each(|(score, most)| *score -= most);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_is_0_and_differences_stay() {
        let mut rows = vec![1000.0, -3.0, 1001.5, -1.0, /* the second row */ 5.0, 0.0, 5.0, -1e6];
        take_off_greatest(&mut rows, 2, 2);
        assert_eq!(rows, [-1.5, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1e6]);
        let mut none: [f32; 0] = [];
        take_off_greatest(&mut none, 3, 4);
        // What is no number stays none.
        for bad in [f32::NAN, f32::INFINITY] {
            let mut rows = [bad, 1.0];
            take_off_greatest(&mut rows, 2, 1);
            assert!(rows.iter().any(|score| !score.is_finite()));
        }
    }
}
