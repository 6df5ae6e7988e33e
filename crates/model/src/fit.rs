//! Where an output of another size than the input lies: what two bright spots in the input show of it.

use crate::facts::{Fit, Relation};
use marquetry_geometry::Size;

/// Sides that real networks round a window up to, px.
pub(crate) const ROUNDED_TO: [u32; 8] = [2, 4, 8, 14, 16, 28, 32, 64];

/// Where the spots were in the input and in the output, rows in px.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spots {
    pub(crate) shown: [f64; 2],
    pub(crate) seen: [f64; 2],
}

/// Which fit the sizes alone suggest.
pub(crate) fn guess(input: Size, output: Size, relation: Relation) -> Fit {
    match relation {
        Relation::Less(_) => Fit::Centre,
        _ if is_rounded_up(input, output) => Fit::Crop,
        _ => Fit::Resize,
    }
}

/// The fit that `spots` tell of, and whether they are clear about it.
pub(crate) fn measured(input: Size, output: Size, relation: Relation, spots: Option<Spots>) -> (Fit, bool) {
    let arithmetic = guess(input, output, relation);
    let Some(spots) = spots else { return (arithmetic, false) };
    let (from, to) = (f64::from(input.height), f64::from(output.height));
    let mut found = [Fit::Resize, Fit::Centre, Fit::Crop].map(|fit| {
        let place = |row: f64| match fit {
            Fit::Resize => (row + 0.5) * to / from - 0.5,
            Fit::Centre => row + (to - from) / 2.0,
            Fit::Crop => row,
        };
        let off = |k: usize| (place(spots.shown[k]) - spots.seen[k]).abs();
        (off(0).max(off(1)), fit)
    });
    found.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let (best, fit) = found[0];
    // Far from all answers: what was seen is the edge of an output that does not show the spots.
    if best > 1.0 + to / 12.0 {
        return (arithmetic, false);
    }
    // A coarse output places a spot by the middle of its cells, which is near to several answers.
    let (second, _) = found[1];
    if second - best < 1.0 || best > second / 2.0 {
        let near = found.iter().any(|(off, fit)| *fit == arithmetic && *off < best + 1.0);
        return (if near { arithmetic } else { fit }, false);
    }
    (fit, true)
}

/// Whether each side of `output` is that of `input`, rounded up to a multiple.
pub(crate) fn is_rounded_up(input: Size, output: Size) -> bool {
    input != output
        && ROUNDED_TO.iter().any(|m| {
            [(input.height, output.height), (input.width, output.width)]
                .iter()
                .all(|(side, to)| side.checked_next_multiple_of(*m) == Some(*to))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::relation;

    fn fit(input: u32, output: u32, seen: [f64; 2]) -> (Fit, bool) {
        let (input, output) = (Size::square(input), Size::square(output));
        let shown = [f64::from(input.height) / 4.0, f64::from(input.height) * 0.75];
        measured(input, output, relation(input, output), Some(Spots { shown, seen }))
    }

    #[test]
    fn spots_tell_what_sizes_do_not() {
        assert_eq!(fit(92, 52, [3.0, 49.0]), (Fit::Centre, true));
        assert_eq!(fit(92, 52, [12.8, 38.8]), (Fit::Resize, true));
        assert_eq!(fit(122, 128, [30.5, 91.5]), (Fit::Crop, true));
        assert_eq!(fit(122, 128, [33.5, 94.5]), (Fit::Centre, true));
        assert_eq!(fit(122, 128, [32.0, 96.0]), (Fit::Resize, true));
        assert_eq!(fit(64, 16, [16.0 / 4.0, 12.0]), (Fit::Resize, true));
        assert_eq!(fit(100, 96, [25.0, 75.0]), (Fit::Crop, true), "the last px of the window are left out");
    }

    /// A frame of a quarter of the window and more around it is found as well as a narrow one.
    #[test]
    fn outputs_that_are_much_larger_are_not_taken_for_stretched_ones() {
        for (input, output) in [(64, 96), (64, 128), (128, 192), (100, 300)] {
            let (from, to) = (f64::from(input), f64::from(output));
            let frame = (to - from) / 2.0;
            assert_eq!(fit(input, output, [from / 4.0 + frame, from * 0.75 + frame]), (Fit::Centre, true));
            assert_eq!(fit(input, output, [from / 4.0, from * 0.75]), (Fit::Crop, true));
            assert_eq!(fit(input, output, [to / 4.0, to * 0.75]), (Fit::Resize, true));
        }
    }

    /// Where an output is a small part of its window, spots are shown near the middle.
    #[test]
    fn small_middles_are_told_from_small_pictures_of_the_whole() {
        let (input, output) = (Size::square(64), Size::square(16));
        let fit = |shown: [f64; 2], seen: [f64; 2]| {
            measured(input, output, relation(input, output), Some(Spots { shown, seen }))
        };
        // At quarters of the window they are beyond the middle, whose edges are what moves.
        assert_eq!(fit([15.5, 47.5], [0.3, 14.7]), (Fit::Resize, false));
        assert_eq!(fit([27.5, 35.5], [3.5, 11.5]), (Fit::Centre, true));
        assert_eq!(fit([27.5, 35.5], [6.5, 8.5]), (Fit::Resize, true));
    }

    #[test]
    fn what_spots_leave_open_follows_from_the_sizes() {
        assert_eq!(fit(122, 128, [30.0, 93.5]), (Fit::Crop, false));
        let none = |input, output| {
            let (input, output) = (Size::square(input), Size::square(output));
            measured(input, output, relation(input, output), None)
        };
        assert_eq!(none(122, 128), (Fit::Crop, false));
        assert_eq!(none(92, 52), (Fit::Centre, false));
        assert_eq!(none(64, 32), (Fit::Resize, false));
    }
}
