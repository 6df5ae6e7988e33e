use super::*;
use crate::{Labelling, Space};
use proptest::prelude::*;

const SIZE: Size = Size::new(37, 21);
const CLASSES: usize = 3;

/// Planes `[C, H, W]` whose value names class, row and column.
fn position(size: Size) -> Vec<f32> {
    let at = |c: usize, y: u32, x: u32| 10_000.0 * c as f32 + 100.0 * y as f32 + x as f32;
    (0..CLASSES)
        .flat_map(|c| (0..size.height).flat_map(move |y| (0..size.width).map(move |x| at(c, y, x))))
        .collect()
}

/// What a model that returns its input says of view `d4`, with `margin` px of noise around.
fn shown(planes: &[f32], d4: D4, margin: u32) -> (Vec<f32>, Size, Rect) {
    let inner = d4.apply_to_size(SIZE);
    let outer = Size::new(inner.height + 2 * margin, inner.width + 2 * margin);
    let mut out = vec![-1e9; CLASSES * outer.area() as usize];
    for c in 0..CLASSES {
        for r in 0..inner.height {
            for x in 0..inner.width {
                let (row, col) = d4.source(SIZE, r, x);
                let from = c * SIZE.area() as usize + (row * SIZE.width + col) as usize;
                let to = c * outer.area() as usize + ((r + margin) * outer.width + x + margin) as usize;
                out[to] = planes[from];
            }
        }
    }
    (out, outer, Rect::new(i64::from(margin), i64::from(margin), inner))
}

fn keep() -> Transfer {
    Transfer::between(Space::Logits, Space::Logits, Labelling::Multiclass, CLASSES)
}

fn rows_equal(window: &WindowScores, planes: &[f32], value: impl Fn(f32) -> f32) {
    for y in 0..SIZE.height as usize {
        for c in 0..CLASSES {
            for x in 0..SIZE.width as usize {
                let want = value(planes[c * SIZE.area() as usize + y * SIZE.width as usize + x]);
                let got = window.line(c, y)[x];
                assert!((got - want).abs() <= 1e-6 * want.abs(), "({c}, {y}, {x}): {got} {want}");
            }
        }
    }
}

/// Law 3: every inverse undoes its view, on a tensor that is not square, with and without a margin.
#[test]
fn inverse_undoes_every_view() {
    let planes = position(SIZE);
    for d4 in D4::ALL {
        for margin in [0, 3] {
            let (raw, size, part) = shown(&planes, d4, margin);
            let mut window = WindowScores::new(SIZE, CLASSES, ViewMerge::Mean);
            window.add(&Raw { planes: &raw, size, part }, d4, &keep()).unwrap();
            window.finish(&keep()).unwrap();
            rows_equal(&window, &planes, |v| v);
        }
    }
}

/// Law 2: the mean over all eight views of the position field is the position field.
#[test]
fn position_survives_all_views() {
    let planes = position(SIZE);
    let mut window = WindowScores::new(SIZE, CLASSES, ViewMerge::Mean);
    for round in 0..2 {
        window.reset();
        for d4 in D4::ALL {
            let (raw, size, part) = shown(&planes, d4, round);
            window.add(&Raw { planes: &raw, size, part }, d4, &keep()).unwrap();
        }
        window.finish(&keep()).unwrap();
        rows_equal(&window, &planes, |v| v);
    }
}

proptest! {
    /// ttach's formulas, for two to four views of one pixel.
    #[test]
    fn merges_equal_their_formulas(values in prop::collection::vec(0.01_f32..1.0, 2..5)) {
        let one = Size::new(1, 1);
        let n = values.len() as f64;
        let sum = |f: fn(f64) -> f64| values.iter().map(|&v| f(f64::from(v))).sum::<f64>();
        let cases = [
            (ViewMerge::Mean, sum(|v| v) / n),
            (ViewMerge::Sum, sum(|v| v)),
            (ViewMerge::Gmean, (sum(f64::ln) / n).exp()),
            (ViewMerge::Tsharpen, sum(f64::sqrt) / n),
            (ViewMerge::Max, f64::from(values.iter().copied().fold(0.0, f32::max))),
            (ViewMerge::Min, f64::from(values.iter().copied().fold(1.0, f32::min))),
        ];
        let keep = Transfer::between(Space::Probabilities, Space::Probabilities, Labelling::Multilabel, 1);
        for (merge, want) in cases {
            let mut window = WindowScores::new(one, 1, merge);
            for &value in &values {
                let raw = Raw { planes: &[value], size: one, part: Rect::whole(one) };
                window.add(&raw, D4::IDENTITY, &keep).unwrap();
            }
            window.finish(&keep).unwrap();
            let got = f64::from(window.line(0, 0)[0]);
            prop_assert!((got - want).abs() < 1e-5, "{merge:?}: {got} {want}");
        }
    }
}

#[test]
fn geometric_mean_of_a_zero_is_zero() {
    let one = Size::new(1, 1);
    let keep = Transfer::between(Space::Probabilities, Space::Probabilities, Labelling::Multilabel, 1);
    let mut window = WindowScores::new(one, 1, ViewMerge::Gmean);
    for value in [0.0, 0.5] {
        window
            .add(&Raw { planes: &[value], size: one, part: Rect::whole(one) }, D4::IDENTITY, &keep)
            .unwrap();
    }
    window.finish(&keep).unwrap();
    assert!(window.line(0, 0)[0] < 1e-30);
}

#[test]
fn nan_is_an_error() {
    let one = Size::new(1, 1);
    let keep = Transfer::between(Space::Logits, Space::Logits, Labelling::Multilabel, 1);
    let mut window = WindowScores::new(one, 1, ViewMerge::Mean);
    let raw = Raw { planes: &[f32::NAN], size: one, part: Rect::whole(one) };
    assert_eq!(window.add(&raw, D4::IDENTITY, &keep), Err(NonFinite));
}
