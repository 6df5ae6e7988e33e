use super::*;
use crate::pair::{Distances, LEFT_OUT, LabelPair, NO_CLASS};
use proptest::prelude::*;

fn painted(inside: impl Fn(i64, i64) -> bool) -> Vec<u16> {
    (0..100 * 100).map(|at| u16::from(inside(at / 100, at % 100))).collect()
}

fn of(truth: &[u16], predicted: &[u16], tolerance_px: u32) -> SurfaceCounts {
    let distances = Distances { boundary_px: 3, tolerance_px };
    LabelPair { width: 100, truth, predicted }.count(2, None, distances).surface[1]
}

/// Values of `MetricsReloaded`.
#[test]
fn as_the_version_that_counts_border_pixels() {
    let close = |found: Option<f64>, right: f64| assert!((found.unwrap() - right).abs() < 5e-7, "{found:?}");
    let square =
        |shift: i64| painted(move |y, x| (20..80).contains(&y) && (20 + shift..80 + shift).contains(&x));
    let moved = of(&square(0), &square(2), 1);
    assert_eq!(moved, SurfaceCounts { truth: 236, truth_near: 120, predicted: 236, predicted_near: 120 });
    close(moved.nsd(), 0.508_475);
    close(of(&square(0), &square(2), 2).nsd(), 1.0);
    let disc = |shift: i64| painted(move |y, x| (y - 50).pow(2) + (x - 50 - shift).pow(2) <= 900);
    close(of(&disc(0), &disc(2), 1).nsd(), 0.416_667);
    close(of(&disc(0), &disc(2), 2).nsd(), 1.0);
}

#[test]
fn a_class_on_one_side_alone_counts_nothing_and_on_neither_is_unknown() {
    let (none, some) = (vec![0; 10_000], painted(|y, x| (40..45).contains(&y) && (40..45).contains(&x)));
    let counts = of(&none, &some, 50);
    assert_eq!(counts, SurfaceCounts { truth: 0, truth_near: 0, predicted: 16, predicted_near: 0 });
    assert_eq!(counts.nsd(), Some(0.0));
    assert_eq!(of(&some, &none, 50).nsd(), Some(0.0));
    assert_eq!(of(&none, &none, 50).nsd(), None);
}

/// As of the bands: what the truth leaves out is outside the image, for both sides.
#[test]
fn what_is_left_out_is_outside_for_both() {
    let truth: Vec<u16> = (0..10_000).map(|at| if at % 100 < 50 { 1 } else { LEFT_OUT }).collect();
    let border = 2 * 50 + 2 * 98;
    assert_eq!(
        of(&truth, &vec![1; 10_000], 1),
        SurfaceCounts { truth: border, truth_near: border, predicted: border, predicted_near: border }
    );
}

/// Whether a pixel is of a class, and a neighbour of it is not.
fn is_border(labels: &[u16], width: i64, (y, x): (i64, i64), class: u16) -> bool {
    let height = labels.len() as i64 / width;
    let at = |y: i64, x: i64| {
        let inside = (0..height).contains(&y) && (0..width).contains(&x);
        inside.then(|| labels[(y * width + x) as usize])
    };
    let neighbours = [at(y - 1, x), at(y + 1, x), at(y, x - 1), at(y, x + 1)];
    at(y, x) == Some(class) && neighbours.into_iter().any(|label| label != Some(class))
}

/// Every border pixel against every other.
fn plainly(
    truth: &[u16],
    predicted: &[u16],
    width: usize,
    classes: u16,
    tolerance: i64,
) -> Vec<SurfaceCounts> {
    let outside = |(&t, &p): (&u16, &u16)| if t == LEFT_OUT { LEFT_OUT } else { p };
    let predicted: Vec<u16> = truth.iter().zip(predicted).map(outside).collect();
    let border = |labels: &[u16], class: u16| -> Vec<(i64, i64)> {
        let all = (0..labels.len() as i64).map(|at| (at / width as i64, at % width as i64));
        all.filter(|&place| is_border(labels, width as i64, place, class)).collect()
    };
    let near = |own: &[(i64, i64)], others: &[(i64, i64)]| {
        let within = |(y, x): (i64, i64)| {
            others.iter().any(|(v, u)| (y - v).pow(2) + (x - u).pow(2) <= tolerance * tolerance)
        };
        own.iter().filter(|&&place| within(place)).count() as u64
    };
    let of_class = |class| {
        let (t, p) = (border(truth, class), border(&predicted, class));
        SurfaceCounts {
            truth: t.len() as u64,
            truth_near: near(&t, &p),
            predicted: p.len() as u64,
            predicted_near: near(&p, &t),
        }
    };
    (0..classes).map(of_class).collect()
}

/// Squares of one class on a background, or pixels at random: sides that nearly agree, and sides that do not.
fn sides() -> impl Strategy<Value = (usize, Vec<u16>, Vec<u16>)> {
    let label = prop_oneof![8 => 0_u16..3, 1 => Just(LEFT_OUT), 1 => Just(NO_CLASS)];
    let noise = (1_usize..14, proptest::collection::vec((label.clone(), label), 1..150));
    let noise = noise.prop_map(|(width, cells)| {
        let height = cells.len() / width;
        let (truth, predicted) = cells[..height * width].iter().copied().unzip();
        (width, truth, predicted)
    });
    let square = (0_usize..90, 0_usize..12, 1_usize..90);
    let squares = (square.clone(), square).prop_map(|(first, second)| {
        let width = 90;
        let painted = |(left, top, side): (usize, usize, usize)| -> Vec<u16> {
            let inside = |at: usize| {
                (left..left + side).contains(&(at % width)) && (top..top + side).contains(&(at / width))
            };
            (0..width * 12).map(|at| u16::from(inside(at))).collect()
        };
        (width, painted(first), painted(second))
    });
    prop_oneof![noise, squares]
}

proptest! {
    #[test]
    fn as_the_plain_way((width, mut truth, predicted) in sides(), tolerance_px in 0_u32..9) {
        truth.iter_mut().for_each(|t| if *t == NO_CLASS { *t = LEFT_OUT });
        let pair = LabelPair { width: width as u32, truth: &truth, predicted: &predicted };
        let found = pair.count(3, None, Distances { boundary_px: 1, tolerance_px }).surface;
        prop_assert_eq!(found, plainly(&truth, &predicted, width, 3, i64::from(tolerance_px)));
    }
}
