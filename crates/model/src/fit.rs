//! Where an output of another size than the input lies: what two bright spots in the input show of it.

use crate::facts::{Fit, Relation};
use marquetry_geometry::Size;

/// Sides that real networks round a window up to, px.
pub(crate) const ROUNDED_TO: [u32; 8] = [2, 4, 8, 14, 16, 28, 32, 64];

/// Where the spots were along one axis of the input and of the output, px.
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

/// The fit that spots tell of, by rows and by columns, and whether they are clear about it.
///
/// # Errors
/// With the reason, when rows and columns clearly lie differently.
pub(crate) fn measured(
    input: Size,
    output: Size,
    relation: Relation,
    spots: Option<[Spots; 2]>,
) -> Result<(Fit, bool), String> {
    let arithmetic = guess(input, output, relation);
    let Some([rows, columns]) = spots else { return Ok((arithmetic, false)) };
    let rows = along(input.height, output.height, arithmetic, rows);
    let columns = along(input.width, output.width, arithmetic, columns);
    match (rows, columns) {
        ((rows, true), (columns, true)) if rows != columns => {
            let words = |fit| match fit {
                Fit::Resize => "show the whole of the window's",
                Fit::Centre => "are the middle of the window's, px for px",
                Fit::Crop => "begin where the window's do, px for px",
            };
            Err(format!(
                "in a trial run with {input} px its {} rows {}, and its {} columns {}: export it so that both lie alike",
                output.height,
                words(rows),
                output.width,
                words(columns)
            ))
        }
        ((_, false), (columns, true)) => Ok((columns, true)),
        (rows, _) => Ok(rows),
    }
}

/// Whether both spots are in the output, and as far apart as neither px for px nor the whole of the window has them: a part of the
/// window at a resolution of its own. Spots nearer to each other would only say it less clearly.
pub(crate) fn is_of_another_resolution(input: Size, output: Size, [rows, columns]: [Spots; 2]) -> bool {
    let along = |from: u32, to: u32, spots: Spots| {
        let (from, to) = (f64::from(from), f64::from(to));
        let [seen, shown] = [spots.seen, spots.shown].map(|at| at[1] - at[0]);
        let inside = spots.seen.iter().all(|at| (1.0..=to - 2.0).contains(at));
        inside && [shown * to / from, shown].into_iter().all(|meant| is_far(seen, meant))
    };
    along(input.height, output.height, rows) && along(input.width, output.width, columns)
}

/// Whether spots are farther from, or nearer to, each other than they are meant to be, px.
fn is_far(seen: f64, meant: f64) -> bool {
    (seen - meant).abs() > 1.2 + 0.15 * meant
}

/// The fit along an axis of `from` px, of which `to` px came out, and whether it is clear.
fn along(from: u32, to: u32, arithmetic: Fit, spots: Spots) -> (Fit, bool) {
    let (from, to) = (f64::from(from), f64::from(to));
    let mut found = [Fit::Resize, Fit::Centre, Fit::Crop].map(|fit| {
        let place = |at: f64| match fit {
            Fit::Resize => (at + 0.5) * to / from - 0.5,
            Fit::Centre => at + (to - from) / 2.0,
            Fit::Crop => at,
        };
        let off = |k: usize| (place(spots.shown[k]) - spots.seen[k]).abs();
        (off(0).max(off(1)), fit)
    });
    found.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let (best, fit) = found[0];
    // A part of the window at another resolution: no answer has spots so far apart.
    let apart = |at: [f64; 2]| at[1] - at[0];
    let step = if fit == Fit::Resize { to / from } else { 1.0 };
    let (seen, meant) = (apart(spots.seen), apart(spots.shown) * step);
    if is_far(seen, meant) {
        return (arithmetic, false);
    }
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
        measured(input, output, relation(input, output), Some([Spots { shown, seen }; 2])).unwrap()
    }

    /// A model that crops one way and pools the other is no case of one fit for both.
    #[test]
    fn rows_and_columns_that_lie_differently_are_refused() {
        let (input, output) = (Size::square(64), Size::square(32));
        let lying = |seen| Spots { shown: [24.0, 40.0], seen };
        let (middle, whole) = (lying([8.0, 24.0]), lying([11.75, 19.75]));
        let both = |rows, columns| measured(input, output, relation(input, output), Some([rows, columns]));
        let reason = both(middle, whole).unwrap_err();
        assert!(
            reason.contains("32 rows are the middle") && reason.contains("columns show the whole"),
            "{reason}"
        );
        assert_eq!(both(middle, middle), Ok((Fit::Centre, true)));
        assert_eq!(both(lying([3.0, 3.0]), whole), Ok((Fit::Resize, true)), "one of the two is clear");
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

    /// The middle of a window, at half its resolution: none of the three, and not one of them for sure.
    #[test]
    fn a_middle_at_another_resolution_is_not_taken_for_the_whole() {
        for (output, crop) in [(22, 10.0), (16, 16.0)] {
            let seen = [15.5, 47.5].map(|at: f64| ((at - crop) / 2.0).clamp(0.0, f64::from(output) - 1.0));
            assert!(!fit(64, output, seen).1, "{output}: {seen:?}");
        }
        let of = |seen| {
            is_of_another_resolution(
                Size::square(64),
                Size::square(22),
                [Spots { shown: [15.5, 47.5], seen }; 2],
            )
        };
        assert!(of([2.75, 18.75]), "the middle 44 px at half their resolution");
        assert!(!of([5.0, 16.0]) && !of([0.0, 21.0]), "the whole; and edges, which say nothing");
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
            measured(input, output, relation(input, output), Some([Spots { shown, seen }; 2])).unwrap()
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
            measured(input, output, relation(input, output), None).unwrap()
        };
        assert_eq!(none(122, 128), (Fit::Crop, false));
        assert_eq!(none(92, 52), (Fit::Centre, false));
        assert_eq!(none(64, 32), (Fit::Resize, false));
    }
}
