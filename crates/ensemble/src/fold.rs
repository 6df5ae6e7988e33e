//! Pieces of a view brought back into the image's orientation, and merged with what the views before said.

use crate::BadScore;
use crate::turn::{SIDE, turn};
use crate::vectors::Kernel;

/// Some neighbouring pixels of merged scores, each brought to its last form by `each`.
pub(crate) struct TakeLines<'a, F> {
    /// `[C, H, W]`.
    pub(crate) scores: &'a [f32],
    /// Pixels of a plane of `scores`.
    pub(crate) plane: usize,
    /// Where in a plane of `scores` the first of these pixels lies.
    pub(crate) at: usize,
    /// Where they go, `[C, n]`.
    pub(crate) lines: &'a mut [f32],
    pub(crate) each: F,
}

impl<F: Fn(f32) -> f32> Kernel for TakeLines<'_, F> {
    type Output = Result<(), BadScore>;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn run(self) -> Result<(), BadScore> {
        let Self { scores, plane, at, lines, each } = self;
        let n = lines.len() / (scores.len() / plane);
        let mut bad = false;
        for (line, scores) in lines.chunks_exact_mut(n).zip(scores.chunks_exact(plane)) {
            for (to, from) in line.iter_mut().zip(&scores[at..at + n]) {
                *to = each(*from);
                // No early exit: a whole line is checked faster than a branch per pixel is taken.
                bad |= !to.is_finite();
            }
        }
        if bad { Err(BadScore::NonFinite) } else { Ok(()) }
    }
}

/// A rectangle of a view that lies as the image does, or is mirrored.
pub(crate) struct MergeLines<'a, M> {
    /// `[C, H, W]`.
    pub(crate) scores: &'a mut [f32],
    /// Pixels of a plane of `scores`, and of a row of it.
    pub(crate) plane: usize,
    pub(crate) width: usize,
    /// Where in a plane of `scores` the rectangle's upper left corner lies.
    pub(crate) at: usize,
    pub(crate) rows: usize,
    /// What the view says, `[C, rows, n]`.
    pub(crate) piece: &'a [f32],
    /// Whether the view's rows run from the bottom to the top.
    pub(crate) upside_down: bool,
    /// Whether its pixels run from right to left.
    pub(crate) backwards: bool,
    /// What comes of the score so far and the view's.
    pub(crate) merge: M,
}

impl<M: Fn(f32, f32) -> f32> Kernel for MergeLines<'_, M> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn run(self) {
        let Self { scores, plane, width, at, rows, piece, upside_down, backwards, merge } = self;
        let n = piece.len() / rows / (scores.len() / plane);
        for (plane, lines) in scores.chunks_exact_mut(plane).zip(piece.chunks_exact(rows * n)) {
            for (k, line) in lines.chunks_exact(n).enumerate() {
                let y = if upside_down { rows - 1 - k } else { k };
                let own = plane[at + y * width..][..n].iter_mut();
                if backwards {
                    own.zip(line.iter().rev()).for_each(|(a, x)| *a = merge(*a, *x));
                } else {
                    own.zip(line).for_each(|(a, x)| *a = merge(*a, *x));
                }
            }
        }
    }
}

/// A rectangle of a view that lies on its side: rows of it are columns of the image.
pub(crate) struct MergeTurned<'a, M> {
    /// `[C, H, W]`.
    pub(crate) scores: &'a mut [f32],
    /// Pixels of a plane of `scores`, and of a row of it.
    pub(crate) plane: usize,
    pub(crate) width: usize,
    /// Where in a plane of `scores` the first column's topmost pixel lies.
    pub(crate) at: usize,
    /// Of how many neighbouring columns of the image the view speaks, [`SIDE`] at most.
    pub(crate) columns: usize,
    /// What it says, `[SIDE, C, n]`: for each column `n` of its pixels.
    pub(crate) piece: &'a mut [f32],
    /// As many numbers, whatever they are.
    pub(crate) room: &'a mut [f32],
    /// Whether the view's pixels run from the bottom to the top.
    pub(crate) upside_down: bool,
    /// What comes of the score so far and the view's.
    pub(crate) merge: M,
}

impl<M: Fn(f32, f32) -> f32> Kernel for MergeTurned<'_, M> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn run(self) {
        let Self { scores, plane, width, at, columns, piece, room, upside_down, merge } = self;
        // Now `[C, n, SIDE]`.
        turn(piece, room);
        let n = piece.len() / SIDE / (scores.len() / plane);
        for (plane, said) in scores.chunks_exact_mut(plane).zip(piece.as_chunks::<SIDE>().0.chunks_exact(n)) {
            for (k, said) in said.iter().enumerate() {
                let y = if upside_down { n - 1 - k } else { k };
                let own = &mut plane[at + y * width..][..columns];
                // A number of columns that is known is one vector instruction, or two.
                match own.first_chunk_mut::<SIDE>() {
                    Some(own) => *own = std::array::from_fn(|j| merge(own[j], said[j])),
                    None => own.iter_mut().zip(said).for_each(|(a, x)| *a = merge(*a, *x)),
                }
            }
        }
    }
}
