//! How deep a wrong pixel lies in its error component.
//!
//! Outlines that are off by little make components of one or two pixels' depth; an object that is wrong has an inside.

use crate::component::is_error;
use marquetry_evaluation::LabelPair;

/// Depths beyond this one count as this one, px: a large area is not more surely wrong than a small one.
pub(crate) const DEEPEST: u8 = 4;

/// Of each pixel of `[height, width]` its depth: 0 where label and prediction agree or there is no label; 1 beside a pixel
/// (sides and corners) of another label or prediction, or at the image's border; one more for each ring, up to [`DEEPEST`].
pub(crate) fn depths(pair: &LabelPair<'_>) -> Vec<u8> {
    let width = pair.width.max(1) as usize;
    let height = pair.truth.len() / width;
    let both = pair.truth.iter().zip(pair.predicted);
    let mut depths: Vec<u8> = both.map(|(&t, &p)| if is_error(t, p) { DEEPEST } else { 0 }).collect();
    let alike = |a: usize, b: usize| (pair.truth[a], pair.predicted[a]) == (pair.truth[b], pair.predicted[b]);
    // Neighbours before a pixel from the top left, then, from the bottom right, those after it.
    let sweep = |depths: &mut [u8], y: usize, x: usize, back: bool| {
        let at = y * width + x;
        if depths[at] == 0 {
            return;
        }
        if y == 0 || x == 0 || y + 1 == height || x + 1 == width {
            depths[at] = 1;
            return;
        }
        let neighbours = if back {
            [at + 1, at + width - 1, at + width, at + width + 1]
        } else {
            [at - 1, at - width - 1, at - width, at - width + 1]
        };
        for other in neighbours {
            let reached = if alike(at, other) { depths[other] + 1 } else { 1 };
            depths[at] = depths[at].min(reached);
        }
    };
    for y in 0..height {
        (0..width).for_each(|x| sweep(&mut depths, y, x, false));
    }
    for y in (0..height).rev() {
        (0..width).rev().for_each(|x| sweep(&mut depths, y, x, true));
    }
    depths
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// As looking at squares around every pixel.
        #[test]
        fn as_the_plain_way(width in 1_usize..14, cells in proptest::collection::vec(0_u16..20, 1..160)) {
            let height = cells.len() / width;
            // Mostly one area, so that there is an inside.
            let truth: Vec<u16> = cells[..height * width].iter().map(|c| u16::from(*c == 0)).collect();
            let predicted = vec![2; truth.len()];
            let pair = LabelPair { width: width as u32, truth: &truth, predicted: &predicted };
            let found = depths(&pair);
            for y in 0..height as i64 {
                for x in 0..width as i64 {
                    let label = |y: i64, x: i64| {
                        let inside = (0..height as i64).contains(&y) && (0..width as i64).contains(&x);
                        inside.then(|| truth[y as usize * width + x as usize])
                    };
                    let all = |r: i64| (-r..=r).all(|dy| (-r..=r).all(|dx| label(y + dy, x + dx) == label(y, x)));
                    let depth = (1..i64::from(DEEPEST)).take_while(|&r| all(r)).count() as u8 + 1;
                    prop_assert_eq!(found[y as usize * width + x as usize], depth, "{} {}", y, x);
                }
            }
        }
    }
}
