//! Rows and columns exchanged, in pieces that stay in the cache, by steps that become vector instructions.

use crate::vectors::{Kernel, with_widest_vectors};
use marquetry_geometry::{D4, Size};

/// Rows that are turned together: 16 floats are one cache line of the result, and a vector of AVX-512.
pub(crate) const SIDE: usize = 16;

/// Pixels of each of these rows that are turned together: 16 rows of them, and as much room, are in the first cache.
const LENGTH: usize = 128;

/// Exchanges rows and columns of [`SIDE`] rows: `[SIDE, n]` becomes `[n, SIDE]`. `room` is as long, whatever is in it.
///
/// In two steps, each of which deals the four quarters of the rows out in turn, as cards are: the two highest bits of the
/// place of a number become the lowest ones.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
pub(crate) fn turn(rows: &mut [f32], room: &mut [f32]) {
    const { assert!(SIDE == 4 * 4, "two steps of four quarters") };
    deal(rows, room);
    deal(room, rows);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
fn deal(from: &[f32], to: &mut [f32]) {
    let (upper, lower) = from.split_at(from.len() / 2);
    let (first, second) = upper.split_at(upper.len() / 2);
    let (third, fourth) = lower.split_at(lower.len() / 2);
    let quarters = first.iter().zip(second).zip(third.iter().zip(fourth));
    for (to, ((a, b), (c, d))) in to.as_chunks_mut::<4>().0.iter_mut().zip(quarters) {
        *to = [*a, *b, *c, *d];
    }
}

/// Writes planes of `size` px, `[C, H, W]`, as `d4` shows them.
///
/// # Panics
/// When there are not as many numbers in `out`.
pub fn show_planes(planes: &[f32], size: Size, d4: D4, out: &mut [f32]) {
    assert_eq!(planes.len(), out.len(), "a view has as many pixels");
    if size.is_empty() {
        return;
    }
    let area = size.area() as usize;
    for (from, to) in planes.chunks_exact(area).zip(out.chunks_exact_mut(area)) {
        if d4.transposes() {
            with_widest_vectors(ShowTurned { from, size, d4, to });
        } else {
            with_widest_vectors(ShowUpright { from, size, d4, to });
        }
    }
}

/// One plane in a view that lies as the image does, or is mirrored.
struct ShowUpright<'a> {
    from: &'a [f32],
    size: Size,
    d4: D4,
    to: &'a mut [f32],
}

impl Kernel for ShowUpright<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn run(self) {
        let Self { from, size, d4, to } = self;
        let width = size.width as usize;
        for (y, to) in (0..).zip(to.chunks_exact_mut(width)) {
            // Its first pixel tells which row it shows, and whether that runs backwards.
            let (row, first) = d4.source(size, y, 0);
            let from = &from[row as usize * width..][..width];
            if first == 0 {
                to.copy_from_slice(from);
            } else {
                to.iter_mut().zip(from.iter().rev()).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// One plane in a view that lies on its side.
struct ShowTurned<'a> {
    from: &'a [f32],
    size: Size,
    d4: D4,
    to: &'a mut [f32],
}

impl Kernel for ShowTurned<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn run(self) {
        let Self { from, size, d4, to } = self;
        let (width, height) = (size.width as usize, size.height as usize);
        let (mut rows, mut room) = ([0.0; SIDE * LENGTH], [0.0; SIDE * LENGTH]);
        let back = d4.inverse();
        let view = d4.apply_to_size(size);
        // Pixel (y, x) of the image lies in row `row(x)` of the view.
        let row = |x: usize| back.source(view, 0, x as u32).0 as usize;
        for left in (0..height).step_by(SIDE) {
            let columns = SIDE.min(height - left);
            for x in (0..width).step_by(LENGTH) {
                let n = LENGTH.min(width - x);
                let (rows, room) = (&mut rows[..SIDE * n], &mut room[..SIDE * n]);
                for (j, to) in rows.chunks_exact_mut(n).take(columns).enumerate() {
                    // The row of the image that column `left + j` of the view shows.
                    let y = d4.source(size, 0, (left + j) as u32).0 as usize;
                    to.copy_from_slice(&from[y * width + x..][..n]);
                }
                turn(rows, room);
                for (k, shown) in rows.as_chunks::<SIDE>().0.iter().enumerate() {
                    let at = row(x + k) * height + left;
                    // As many as is known are one vector instruction, or two.
                    match to[at..at + columns].first_chunk_mut::<SIDE>() {
                        Some(to) => *to = *shown,
                        None => copy_rest(&shown[..columns], &mut to[at..at + columns]),
                    }
                }
            }
        }
    }
}

/// Not inlined: the compiler would call a function to copy whole pieces too.
#[inline(never)]
fn copy_rest(from: &[f32], to: &mut [f32]) {
    to.copy_from_slice(from);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::tests::same_at_each_level;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_pixel_is_the_one_that_the_view_shows(height in 1_u32..40, width in 1_u32..300, at in 0_usize..8) {
            let (size, d4) = (Size::new(height, width), D4::ALL[at]);
            let area = size.area() as usize;
            let planes: Vec<f32> = (0..2 * area).map(|i| i as f32).collect();
            let shown = same_at_each_level(|| {
                let mut out = vec![-1.0; planes.len()];
                show_planes(&planes, size, d4, &mut out);
                out
            });
            let view = d4.apply_to_size(size);
            for plane in 0..2 {
                for row in 0..view.height {
                    for col in 0..view.width {
                        let (y, x) = d4.source(size, row, col);
                        let got = shown[plane * area + (row * view.width + col) as usize];
                        prop_assert_eq!(got, planes[plane * area + (y * width + x) as usize]);
                    }
                }
            }
        }
    }
}
