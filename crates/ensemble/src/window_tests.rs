use super::*;
use crate::{ClassMap, Labelling, OutputActivation, ScoreSpace, WindowSums};
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

fn keep() -> ScoreTransform {
    ScoreTransform::between(ScoreSpace::Logits, ScoreSpace::Logits, Labelling::Multiclass, CLASSES)
}

/// Ends the merge with one more view; the merged planes.
fn finished(
    window: &mut WindowScores,
    raw: &ModelOutput<'_>,
    d4: D4,
    transform: &ScoreTransform,
) -> Vec<f32> {
    let (size, classes) = (window.size(), transform.classes());
    let mut sums = WindowSums::new(size, classes);
    let keep =
        ScoreTransform::between(ScoreSpace::Logits, ScoreSpace::Logits, Labelling::Multilabel, classes);
    let ones = vec![1.0; classes];
    window.finish(raw, d4, transform, &keep, &mut |first, rows| sums.add(first, &ones, rows)).unwrap();
    let lines = (0..classes).flat_map(|c| (0..size.height as usize).map(move |y| (c, y)));
    lines.flat_map(|(c, y)| sums.line(c, y).unwrap()).copied().collect()
}

fn planes_equal(got: &[f32], planes: &[f32]) {
    assert_eq!(got.len(), planes.len());
    for (i, (got, want)) in got.iter().zip(planes).enumerate() {
        assert!((got - want).abs() <= 1e-6 * want.abs(), "{i}: {got} {want}");
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
            let raw = ModelOutput { planes: &raw, size, part };
            planes_equal(&finished(&mut window, &raw, d4, &keep()), &planes);
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
        let (last, others) = D4::ALL.split_last().unwrap();
        for d4 in others {
            let (raw, size, part) = shown(&planes, *d4, round);
            window.add(&ModelOutput { planes: &raw, size, part }, *d4, &keep()).unwrap();
        }
        let (raw, size, part) = shown(&planes, *last, round);
        let raw = ModelOutput { planes: &raw, size, part };
        planes_equal(&finished(&mut window, &raw, *last, &keep()), &planes);
    }
}

proptest! {
    /// ttach's formulas, for one to four views of one pixel.
    #[test]
    fn merges_equal_their_formulas(values in prop::collection::vec(0.01_f32..1.0, 1..5)) {
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
        let keep = ScoreTransform::between(ScoreSpace::Probabilities, ScoreSpace::Probabilities, Labelling::Multilabel, 1);
        for (merge, want) in cases {
            let mut window = WindowScores::new(one, 1, merge);
            let (last, others) = values.split_last().unwrap();
            for &value in others {
                let raw = ModelOutput { planes: &[value], size: one, part: Rect::whole(one) };
                window.add(&raw, D4::IDENTITY, &keep).unwrap();
            }
            let raw = ModelOutput { planes: &[*last], size: one, part: Rect::whole(one) };
            let got = f64::from(finished(&mut window, &raw, D4::IDENTITY, &keep)[0]);
            prop_assert!((got - want).abs() < 1e-5, "{merge:?}: {got} {want}");
        }
    }
}

#[test]
fn geometric_mean_of_a_zero_is_zero() {
    let one = Size::new(1, 1);
    let keep = ScoreTransform::between(
        ScoreSpace::Probabilities,
        ScoreSpace::Probabilities,
        Labelling::Multilabel,
        1,
    );
    let mut window = WindowScores::new(one, 1, ViewMerge::Gmean);
    let raw = |value| ModelOutput { planes: value, size: one, part: Rect::whole(one) };
    window.add(&raw(&[0.0]), D4::IDENTITY, &keep).unwrap();
    assert!(finished(&mut window, &raw(&[0.5]), D4::IDENTITY, &keep)[0] < 1e-30);
}

/// Softmax in half precision may leave −1e-9: it has no logarithm and no root, and counts as 0.
#[test]
fn what_rounding_leaves_below_zero_is_zero_to_roots_and_logarithms() {
    let one = Size::new(1, 1);
    let keep = ScoreTransform::new(
        OutputActivation::Sigmoid,
        Labelling::Multilabel,
        1,
        1,
        &ClassMap::default(),
        ScoreSpace::Probabilities,
    )
    .unwrap();
    let raw = |value| ModelOutput { planes: value, size: one, part: Rect::whole(one) };
    for (merge, want) in [(ViewMerge::Gmean, 0.0), (ViewMerge::Tsharpen, 0.35)] {
        let mut window = WindowScores::new(one, 1, merge);
        window.add(&raw(&[-1e-9]), D4::IDENTITY, &keep).unwrap();
        let got = finished(&mut window, &raw(&[0.49]), D4::IDENTITY, &keep)[0];
        assert!((got - want).abs() < 1e-6, "{merge:?}: {got}");
    }
}

/// Each view is finite; their sum is not, and no tile may say so.
#[test]
fn a_merge_that_overflows_is_an_error() {
    let one = Size::new(1, 1);
    let keep = ScoreTransform::between(ScoreSpace::Logits, ScoreSpace::Logits, Labelling::Multilabel, 1);
    let raw = ModelOutput { planes: &[3e38], size: one, part: Rect::whole(one) };
    let mut window = WindowScores::new(one, 1, ViewMerge::Sum);
    window.add(&raw, D4::IDENTITY, &keep).unwrap();
    assert_eq!(window.finish(&raw, D4::IDENTITY, &keep, &keep, &mut |_, _| {}), Err(BadScore::NonFinite));
}

#[test]
fn nan_is_an_error() {
    let one = Size::new(1, 1);
    let keep = ScoreTransform::between(ScoreSpace::Logits, ScoreSpace::Logits, Labelling::Multilabel, 1);
    let mut window = WindowScores::new(one, 1, ViewMerge::Mean);
    let raw = ModelOutput { planes: &[f32::NAN], size: one, part: Rect::whole(one) };
    assert_eq!(window.add(&raw, D4::IDENTITY, &keep), Err(BadScore::NonFinite));
    window.reset();
    assert_eq!(window.finish(&raw, D4::IDENTITY, &keep, &keep, &mut |_, _| {}), Err(BadScore::NonFinite));
}
