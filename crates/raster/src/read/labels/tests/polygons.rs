use crate::read::labels::polygon::{PolygonError, fill};
use crate::rle::{CocoMask, Run, Runs, decode_coco};
use marquetry_geometry::Size;
use proptest::prelude::*;

/// Height, width, outline and counts, as pycocotools 2.0.11 draws them.
type Golden = (u32, u32, &'static [f64], &'static str);

const GOLDENS: &[Golden] = &[
    (7, 9, &[2.0, 1.0, 7.0, 1.0, 7.0, 5.0, 2.0, 5.0], "?430000000="),
    (
        14,
        12,
        &[11.72, 4.32, 10.09, 9.52, 14.47, 18.01, 10.29, 13.92, -0.66, 11.77, 12.67, 4.79],
        ";1=0O101N100O1O101N10JL2:N",
    ),
    (40, 48, &[25.0, 11.0, 3.0, 15.0, 20.0, 2.0], "^51V11O00100O1O1O010O1O1O100O001O11O2N1N3N2N^l0"),
    (
        18,
        30,
        &[
            0.44, 16.8, 2.57, 15.21, 11.04, 17.12, 11.98, 16.86, 16.68, 4.32, 22.24, 12.14, 20.53, 8.35,
            6.66, 11.54, 3.21, 12.46, 19.06, 6.78, 23.96, 3.49,
        ],
        "c11R11^O0MOD2>0MNE4:LF4:2O10N3M0N32M12O002NM0D1`0OU4",
    ),
    (
        22,
        43,
        &[
            13.59, 10.87, 2.17, 0.95, 22.79, 10.5, 35.82, 0.44, 23.95, 10.79, 25.71, 16.05, 22.56, 12.39,
            21.15, 13.53, 10.67, 12.16, 28.91, 4.2, 42.59, 16.42,
        ],
        "j21e0100O010O100O100^OM?60LAO?1AO`00@0`0OB0b00L0B0>0B0=2BN>230O0_OO0O=1C21M92F1=NC3<MD5=1N22N1O100O1O1O1O100O001O7",
    ),
    (20, 30, &[-3e5, -2e5, 4e5, 10.0, 3.0, 3e5], "0hb0"),
    (7, 9, &[3.5e7, 3.0, 2.2, -1.0, 0.5, 6.75], "9f1"),
    (1, 1, &[0.5, 0.5, 0.6, 0.1, 0.1, 0.9], "01"),
    (6, 8, &[5.0, 3.0, 12.0, 3.0, 12.0, 9.0, 5.0, 9.0], "Q133000"),
    (5, 5, &[0.0, 0.0, 5.0, 5.0, 5.0, 0.0, 0.0, 5.0], "042N60J2O"),
];

#[test]
fn outlines_are_those_of_pycocotools() {
    for &(height, width, outline, counts) in GOLDENS {
        let size = [height, width];
        let wanted = decode_coco(&CocoMask { size, counts: counts.to_owned() }).unwrap();
        assert_eq!(fill(&[outline.to_vec()], Size::new(height, width), 1000).unwrap(), wanted, "{outline:?}");
    }
}

#[test]
fn several_outlines_are_a_union() {
    let ring = |left: f64, right: f64| vec![left, 0.0, right, 0.0, right, 2.0, left, 2.0];
    let size = Size::new(2, 9);
    let both = fill(&[ring(1.0, 4.0), ring(3.0, 6.0), ring(2.0, 3.0)], size, 100).unwrap();
    assert_eq!(both, Runs::new(size, [Run { start: 2, length: 10 }]).unwrap());
}

#[test]
fn what_has_no_area_has_no_pixels() {
    let size = Size::new(9, 9);
    for outline in [vec![], vec![4.0, 4.0], vec![1.0, 5.0, 3.0, 5.0], vec![1.0, 1.0, 5.0, 5.0, 1.0, 1.0]] {
        assert!(fill(&[outline], size, 100).unwrap().is_empty());
    }
    assert!(fill(&[vec![0.0, 0.0, 5.0, 0.0, 5.0, 5.0]], Size::new(0, 0), 100).unwrap().is_empty());
}

#[test]
fn outlines_that_are_none_are_refused() {
    let size = Size::new(9, 9);
    assert!(matches!(fill(&[vec![1.0; 7]], size, 100), Err(PolygonError::Odd(7))));
    for strange in [f64::NAN, f64::INFINITY, -1e300] {
        let outline = vec![0.0, 0.0, 5.0, strange, 5.0, 5.0];
        assert!(matches!(fill(&[outline], size, 100), Err(PolygonError::Coordinate(_))));
    }
}

/// A zigzag across a wide image has as many crossings as edges times columns: they are bounded.
#[test]
fn a_bomb_of_crossings_is_refused() {
    let size = Size::new(4, 1_000_000);
    let zigzag: Vec<f64> = (0..4000).map(|at| if at % 4 == 2 { 1e6 } else { f64::from(at % 3) }).collect();
    assert!(matches!(fill(&[zigzag], size, 10_000), Err(PolygonError::TooMany(10_000))));
    let short = vec![0.0, 0.0, 900.0, 1.0, 0.0, 2.0];
    assert!(fill(std::slice::from_ref(&short), size, 2000).is_ok());
    assert!(matches!(fill(&[short.clone(), short], size, 2000), Err(PolygonError::TooMany(_))));
    // The same far outside costs nothing.
    let outside: Vec<f64> = (0..4000).map(|at| 2e6 + f64::from(at % 7) * 1e8).collect();
    assert!(fill(&[outside], size, 0).unwrap().is_empty());
}

/// The rule the plain way: every fine point of the outline, one after the other, and a look at each neighbouring pair.
fn plain(outline: &[f64], size: Size) -> Vec<u64> {
    let fine = |value: f64| (5.0 * value + 0.5) as i64;
    let points: Vec<_> = outline.chunks(2).map(|point| (fine(point[0]), fine(point[1]))).collect();
    let mut walk = Vec::new();
    for (&(x0, y0), &(x1, y1)) in points.iter().zip(points.iter().cycle().skip(1)) {
        let (dx, dy) = (x1.abs_diff(x0), y1.abs_diff(y0));
        let steps = dx.max(dy) as i64;
        let forward = if dx >= dy { x0 <= x1 } else { y0 <= y1 };
        let ((ax, ay), (bx, by)) = if forward { ((x0, y0), (x1, y1)) } else { ((x1, y1), (x0, y0)) };
        let between = |from: i64, to: i64, step: i64| {
            (from as f64 + (to - from) as f64 / steps as f64 * step as f64 + 0.5) as i64
        };
        let mut edge: Vec<_> = (0..=steps)
            .map(|step| {
                if dx >= dy { (ax + step, between(ay, by, step)) } else { (between(ax, bx, step), ay + step) }
            })
            .collect();
        if !forward {
            edge.reverse();
        }
        walk.extend(edge);
    }
    let mut toggles = Vec::new();
    for pair in walk.windows(2) {
        let x = pair[0].0.min(pair[1].0);
        if pair[0].0 != pair[1].0
            && (x - 2).rem_euclid(5) == 0
            && (0..i64::from(size.width)).contains(&((x - 2) / 5))
        {
            let y = pair[0].1.min(pair[1].1) as f64;
            let row = ((y + 0.5) / 5.0 - 0.5).clamp(0.0, f64::from(size.height)).ceil() as u64;
            toggles.push((x as u64 - 2) / 5 * u64::from(size.height) + row);
        }
    }
    toggles.sort_unstable();
    toggles.chunks(2).flat_map(|pair| pair[0]..pair[1]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn outlines_are_those_of_the_plain_rule(
        height in 1_u32..30, width in 1_u32..30, scale in 1_u32..4,
        points in proptest::collection::vec((-10.0_f64..40.0, -10.0_f64..40.0), 3..12),
    ) {
        let round = |value: f64| (value * f64::from(scale)).round() / f64::from(scale);
        let outline: Vec<f64> = points.into_iter().flat_map(|(x, y)| [round(x), round(y)]).collect();
        let size = Size::new(height, width);
        let mask = fill(std::slice::from_ref(&outline), size, 100_000).unwrap();
        let pixels: Vec<u64> = mask.runs().iter().flat_map(|run| run.start..run.end()).collect();
        prop_assert_eq!(pixels, plain(&outline, size));
    }
}
