//! Growing, closing and filling of marks, `[H, W]`.

/// Sets `out` to which of `line` has a mark no further than `reach` away.
pub(crate) fn reach_along(line: &[bool], reach: usize, out: &mut [bool]) {
    let mut since = usize::MAX;
    for (out, &mark) in out.iter_mut().zip(line) {
        since = if mark { 0 } else { since.saturating_add(1) };
        *out = since <= reach;
    }
    since = usize::MAX;
    for (out, &mark) in out.iter_mut().zip(line).rev() {
        since = if mark { 0 } else { since.saturating_add(1) };
        *out |= since <= reach;
    }
}

/// Marks all that is within `reach` of a mark along both axes: OpenCV's `dilate` by a square of `2 · reach + 1`.
fn dilate(marks: &[bool], width: usize, reach: usize) -> Vec<bool> {
    let mut wide = vec![false; marks.len()];
    for (line, out) in marks.chunks_exact(width).zip(wide.chunks_exact_mut(width)) {
        reach_along(line, reach, out);
    }
    let height = marks.len() / width;
    let (mut column, mut grown) = (vec![false; height], vec![false; height]);
    for x in 0..width {
        column.iter_mut().enumerate().for_each(|(y, mark)| *mark = wide[y * width + x]);
        reach_along(&column, reach, &mut grown);
        grown.iter().enumerate().for_each(|(y, mark)| wide[y * width + x] = *mark);
    }
    wide
}

/// Closes gaps of up to `2 · reach`: OpenCV's `morphologyEx(MORPH_CLOSE)` by a square of `2 · reach + 1`. What lies beyond
/// the border neither grows nor takes away.
pub(crate) fn close(marks: &[bool], width: usize, reach: usize) -> Vec<bool> {
    let mut outside = dilate(marks, width, reach);
    outside.iter_mut().for_each(|mark| *mark = !*mark);
    let mut closed = dilate(&outside, width, reach);
    closed.iter_mut().for_each(|mark| *mark = !*mark);
    closed
}

/// Marks what has no way to the border along rows and columns but over marks.
pub(crate) fn fill_holes(marks: &mut [bool], width: usize) {
    let height = marks.len() / width;
    let mut outside = vec![false; marks.len()];
    // Each is put there once, so that it takes four bytes a cell at most.
    let mut next: Vec<u32> = Vec::new();
    let mut reach = |at: usize, next: &mut Vec<u32>| {
        if !marks[at] && !outside[at] {
            outside[at] = true;
            next.push(at as u32);
        }
    };
    (0..width).flat_map(|x| [x, (height - 1) * width + x]).for_each(|at| reach(at, &mut next));
    (0..height).flat_map(|y| [y * width, y * width + width - 1]).for_each(|at| reach(at, &mut next));
    while let Some(at) = next.pop() {
        let at = at as usize;
        let (y, x) = (at / width, at % width);
        let around = [
            (x > 0).then(|| at - 1),
            (x + 1 < width).then(|| at + 1),
            (y > 0).then(|| at - width),
            (y + 1 < height).then(|| at + width),
        ];
        around.into_iter().flatten().for_each(|at| reach(at, &mut next));
    }
    marks.iter_mut().zip(outside).for_each(|(mark, outside)| *mark = !outside);
}

/// Which have at least `least` marks among the `2 · reach + 1` squared around them; beyond the border the last one stands in.
pub(crate) fn crowded(marks: &[bool], width: usize, reach: usize, least: u32) -> Vec<bool> {
    let height = marks.len() / width;
    let clamped = |at: usize, offset: usize, len: usize| (at + offset).saturating_sub(reach).min(len - 1);
    let mut along = vec![0_u32; marks.len()];
    for (line, out) in marks.chunks_exact(width).zip(along.chunks_exact_mut(width)) {
        let mut sum: u32 = (0..=2 * reach).map(|offset| u32::from(line[clamped(0, offset, width)])).sum();
        for x in 0..width {
            out[x] = sum;
            sum += u32::from(line[(x + 1 + reach).min(width - 1)]);
            sum -= u32::from(line[x.saturating_sub(reach)]);
        }
    }
    let row = |y: usize| &along[y * width..][..width];
    let mut sums = vec![0_u32; width];
    for offset in 0..=2 * reach {
        sums.iter_mut().zip(row(clamped(0, offset, height))).for_each(|(sum, n)| *sum += n);
    }
    let mut crowded = Vec::with_capacity(marks.len());
    for y in 0..height {
        crowded.extend(sums.iter().map(|sum| *sum >= least));
        sums.iter_mut().zip(row((y + 1 + reach).min(height - 1))).for_each(|(sum, n)| *sum += n);
        sums.iter_mut().zip(row(y.saturating_sub(reach))).for_each(|(sum, n)| *sum -= n);
    }
    crowded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picture(rows: &[&str]) -> (Vec<bool>, usize) {
        (rows.iter().flat_map(|row| row.chars().map(|c| c == '#')).collect(), rows[0].len())
    }

    fn drawn(marks: &[bool], width: usize) -> Vec<String> {
        let line = |line: &[bool]| line.iter().map(|mark| if *mark { '#' } else { '.' }).collect();
        marks.chunks_exact(width).map(line).collect()
    }

    /// `cv2.morphologyEx(marks, cv2.MORPH_CLOSE, np.ones((3, 3)))`, OpenCV 5.0.0.
    #[test]
    fn closing_equals_opencv() {
        let (marks, width) = picture(&[
            "#..#........",
            "#...........",
            ".......#..#.",
            "............",
            "............",
            "............",
            "..##.....#.#",
            "...........#",
        ]);
        let closed = [
            "####........",
            "#...........",
            ".......#####",
            "............",
            "............",
            "............",
            "..##.....###",
            "..##.....###",
        ];
        assert_eq!(drawn(&close(&marks, width, 1), width), closed.map(fixed));
    }

    fn fixed(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn holes_are_filled_and_bays_are_not() {
        let (mut marks, width) = picture(&["####..", "#..#.#", "#.##.#", "####.#", "..####"]);
        fill_holes(&mut marks, width);
        assert_eq!(drawn(&marks, width), ["####..", "####.#", "####.#", "####.#", "..####"].map(fixed));
    }

    proptest! {
        #[test]
        fn crowds_are_counted_with_the_border_going_on(
            width in 1_usize..9, height in 1_usize..9, seed: u64, reach in 1_usize..4, least in 1_u32..30,
        ) {
            let marks: Vec<bool> = (0..width * height).map(|at| seed >> (at % 64) & 1 == 1).collect();
            let found = crowded(&marks, width, reach, least);
            let reach = reach as i64;
            for y in 0..height as i64 {
                for x in 0..width as i64 {
                    let mark = |v: i64, u: i64| {
                        marks[v.clamp(0, height as i64 - 1) as usize * width + u.clamp(0, width as i64 - 1) as usize]
                    };
                    let around = (-reach..=reach).flat_map(|v| (-reach..=reach).map(move |u| (v, u)));
                    let count = around.filter(|(v, u)| mark(y + v, x + u)).count() as u32;
                    prop_assert_eq!(found[y as usize * width + x as usize], count >= least);
                }
            }
        }

        /// Closing takes nothing away, and a second time it changes nothing.
        #[test]
        fn closing_grows_and_is_done_at_once(width in 1_usize..12, height in 1_usize..12, seed: u64, reach in 0_usize..4) {
            let marks: Vec<bool> = (0..width * height).map(|at| seed.rotate_left(at as u32) & 5 == 5).collect();
            let closed = close(&marks, width, reach);
            prop_assert!(marks.iter().zip(&closed).all(|(mark, closed)| !mark || *closed));
            prop_assert_eq!(&close(&closed, width, reach), &closed);
        }
    }
}
