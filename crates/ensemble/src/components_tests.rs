use super::*;
use proptest::prelude::*;

fn holes(max_area_px: Option<u64>) -> Clean {
    Clean::FillHoles { background: 0, labels: (1..9).collect(), max_area_px }
}

fn min_area(areas: &[(u16, u64)]) -> Clean {
    Clean::MinArea { areas_px: areas.iter().copied().collect(), fill: 0 }
}

fn largest(labels: &[u16]) -> Clean {
    Clean::Largest { labels: labels.iter().copied().collect(), fill: 0 }
}

/// Cleans a map written as rows of digits.
fn cleaned(rule: Clean, connectivity: Connectivity, map: &[&str]) -> Vec<String> {
    let mut labels: Vec<u16> =
        map.iter().flat_map(|row| row.bytes().map(|digit| u16::from(digit - b'0'))).collect();
    Stage::new(rule, connectivity, map[0].len()).clean(&mut labels);
    let text = |row: &[u16]| row.iter().map(ToString::to_string).collect();
    labels.chunks(map[0].len()).map(text).collect()
}

#[test]
fn holes_are_filled_where_one_label_is_around() {
    let ring = ["1111", "1001", "1111"];
    assert_eq!(cleaned(holes(None), Connectivity::Eight, &ring), ["1111", "1111", "1111"]);
    assert_eq!(cleaned(holes(Some(1)), Connectivity::Eight, &ring), ring);
    let mixed = ["1111", "1002", "1111"];
    assert_eq!(cleaned(holes(None), Connectivity::Eight, &mixed), mixed);
    let undecided = ["999", "909", "999"];
    assert_eq!(cleaned(holes(None), Connectivity::Eight, &undecided), undecided);
    let open = ["111", "101", "101"];
    assert_eq!(cleaned(holes(None), Connectivity::Eight, &open), open);
    // A diamond closes only for objects that hold together at corners.
    let diamond = ["00100", "01010", "00100"];
    assert_eq!(cleaned(holes(None), Connectivity::Eight, &diamond), ["00100", "01110", "00100"]);
    assert_eq!(cleaned(holes(None), Connectivity::Four, &diamond), diamond);
}

#[test]
fn small_components_go() {
    let map = ["1100", "0010", "2000", "0033"];
    assert_eq!(
        cleaned(min_area(&[(1, 3), (2, 2)]), Connectivity::Eight, &map),
        ["1100", "0010", "0000", "0033"]
    );
    assert_eq!(
        cleaned(min_area(&[(1, 2), (3, 3)]), Connectivity::Four, &map),
        ["1100", "0000", "2000", "0000"]
    );
}

#[test]
fn the_largest_stays_and_the_first_of_equals() {
    let map = ["10220", "10002", "00110", "20000"];
    assert_eq!(cleaned(largest(&[1, 2]), Connectivity::Eight, &map), ["10220", "10002", "00000", "00000"]);
    // The left one begins first, though its arms meet only in the last row.
    let arms = ["01010", "10101", "11100"];
    assert_eq!(cleaned(largest(&[1]), Connectivity::Four, &arms), ["00000", "10100", "11100"]);
}

#[test]
fn nothing_to_do_is_known() {
    let stage = Stage::new(min_area(&[(1, 2)]), Connectivity::Eight, 3);
    let mut analysis = stage.analyse();
    analysis.rows(&[1, 1, 0]);
    assert!(analysis.finish().change_nothing());
    let mut analysis = stage.analyse();
    analysis.rows(&[1, 0, 1]);
    assert!(!analysis.finish().change_nothing());
}

#[test]
#[should_panic(expected = "rows of the first")]
fn other_rows_in_the_second_pass_are_found() {
    let stage = Stage::new(min_area(&[(1, 2)]), Connectivity::Eight, 3);
    stage.analyse().finish().rewrite().rows(&mut [1, 0, 0]);
}

/// Components by flood fill over the whole map, in order of their first pixel: label and pixels.
fn flood(labels: &[u16], width: usize, eight: bool) -> Vec<(u16, Vec<usize>)> {
    let height = labels.len() / width;
    let mut seen = vec![false; labels.len()];
    let mut components = Vec::new();
    for start in 0..labels.len() {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let (mut pixels, mut next) = (vec![start], 0);
        while next < pixels.len() {
            for pixel in around(pixels[next], width, height, eight) {
                if !seen[pixel] && labels[pixel] == labels[start] {
                    seen[pixel] = true;
                    pixels.push(pixel);
                }
            }
            next += 1;
        }
        components.push((labels[start], pixels));
    }
    components
}

fn around(pixel: usize, width: usize, height: usize, eight: bool) -> Vec<usize> {
    let (y, x) = ((pixel / width) as i64, (pixel % width) as i64);
    let steps = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx)));
    steps
        .filter(|&(dy, dx): &(i64, i64)| (dy, dx) != (0, 0) && (eight || dy == 0 || dx == 0))
        .map(|(dy, dx)| (y + dy, x + dx))
        .filter(|&(y, x)| (0..height as i64).contains(&y) && (0..width as i64).contains(&x))
        .map(|(y, x)| y as usize * width + x as usize)
        .collect()
}

/// The rules as they are written in their docs, on a map in memory.
fn plain(rule: &Clean, eight: bool, labels: &[u16], width: usize) -> Vec<u16> {
    let height = labels.len() / width;
    let hole = matches!(rule, Clean::FillHoles { .. });
    let components = flood(labels, width, if hole { !eight } else { eight });
    let mut out = labels.to_vec();
    for (index, (label, pixels)) in components.iter().enumerate() {
        let area = pixels.len() as u64;
        let becomes = match rule {
            Clean::FillHoles { background, labels: spread, max_area_px } => {
                let border = |&p: &usize| {
                    p / width == 0 || p / width == height - 1 || p % width == 0 || p % width == width - 1
                };
                let neighbours: BTreeSet<u16> = pixels
                    .iter()
                    .flat_map(|&p| around(p, width, height, false))
                    .map(|p| labels[p])
                    .filter(|l| l != background)
                    .collect();
                let only = neighbours.first().copied().filter(|_| neighbours.len() == 1);
                only.filter(|only| {
                    label == background
                        && !pixels.iter().any(border)
                        && spread.contains(only)
                        && max_area_px.is_none_or(|most| area <= most)
                })
            }
            Clean::MinArea { areas_px, fill } => {
                areas_px.get(label).filter(|&&least| area < least).map(|_| *fill)
            }
            Clean::Largest { labels: chosen, fill } => {
                let better = |(other, (l, p)): (usize, &(u16, Vec<usize>))| {
                    l == label && (p.len() > pixels.len() || p.len() == pixels.len() && other < index)
                };
                (chosen.contains(label) && components.iter().enumerate().any(better)).then_some(*fill)
            }
        };
        for &pixel in pixels {
            out[pixel] = becomes.unwrap_or(out[pixel]);
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn same_as_flood_fill_for_any_bands(
        width in 1_usize..12,
        height in 1_usize..12,
        kinds in 2_u16..4,
        seed in prop::collection::vec(0_u16..64, 144),
        eight: bool,
        cuts in prop::collection::vec(1_usize..4, 24),
        most in prop::option::of(1_u64..4),
    ) {
        let connectivity = if eight { Connectivity::Eight } else { Connectivity::Four };
        let mut labels: Vec<u16> =
            seed[..width * height].iter().map(|&s| if s == 63 { 9 } else { s % kinds }).collect();
        for rule in [holes(most), min_area(&[(1, 4), (2, 2)]), largest(&[1])] {
            let want = plain(&rule, eight, &labels, width);
            let stage = Stage::new(rule, connectivity, width);
            let mut analysis = stage.analyse();
            let mut cut = cuts.iter();
            let mut rest = &labels[..];
            while !rest.is_empty() {
                let (band, below) = rest.split_at(rest.len().min(cut.next().unwrap_or(&1) * width));
                analysis.rows(band);
                rest = below;
            }
            let verdicts = analysis.finish();
            let mut rewrite = verdicts.rewrite();
            let changes = labels != want;
            for band in labels.chunks_mut(2 * width) {
                rewrite.rows(band);
            }
            prop_assert_eq!(&labels, &want);
            prop_assert!(!(changes && verdicts.change_nothing()));
        }
    }
}
