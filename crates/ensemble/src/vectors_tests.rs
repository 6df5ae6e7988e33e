use super::*;
use crate::{
    Canvas, Decision, Importance, Labelling, ModelOutput, Rule, ScoreSpace, ScoreTransform, ViewMerge,
    WindowScores, WindowSums, blend, normalise, take_off_greatest,
};
use marquetry_geometry::{D4, Rect, Size};
use proptest::prelude::*;
use std::cell::Cell;

thread_local! {
    pub(super) static CHOSEN: Cell<Option<Level>> = const { Cell::new(None) };
}

/// What `compute` gives with each level of this machine, which must be the same; all that it computes on this thread is
/// computed with that level.
pub(crate) fn same_at_each_level<T: PartialEq + std::fmt::Debug>(mut compute: impl FnMut() -> T) -> T {
    let mut of_each = Level::here().into_iter().map(|level| {
        CHOSEN.set(Some(level));
        let computed = compute();
        CHOSEN.set(None);
        computed
    });
    let plain = of_each.next().expect("every processor has the plain level");
    for wider in of_each {
        assert!(wider == plain, "vectors of another width give other bits");
    }
    plain
}

/// Numbers as bits: −0 is not 0, and NaN is itself.
pub(crate) fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

/// Numbers that hang on `seed`, between −12 and 12.
pub(crate) fn noise(seed: u32, numbers: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..numbers)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 8) as f32 / (1 << 24) as f32 * 24.0 - 12.0
        })
        .collect()
}

fn activations(classes: usize) -> [ScoreTransform; 3] {
    let (logits, probabilities) = (ScoreSpace::Logits, ScoreSpace::Probabilities);
    [(logits, Labelling::Multiclass), (logits, Labelling::Multilabel), (probabilities, Labelling::Multiclass)]
        .map(|(from, labelling)| ScoreTransform::between(from, probabilities, labelling, classes))
}

const MERGES: [ViewMerge; 6] =
    [ViewMerge::Mean, ViewMerge::Gmean, ViewMerge::Max, ViewMerge::Min, ViewMerge::Sum, ViewMerge::Tsharpen];

proptest! {
    /// From what a model says through views, members, importance and the canvas to the mean of a block: the same bits with
    /// vectors of any width, and those of each pixel computed by itself.
    #[test]
    fn each_pixel_is_computed_as_if_it_were_alone(
        height in 1_u32..50, width in 1_u32..150, margin in 0_u32..3, classes in 1_usize..6, seed: u32,
        views in prop::collection::vec(0_usize..8, 1..5), activation in 0_usize..3, merge in 0_usize..6,
    ) {
        let (size, merge) = (Size::new(height, width), MERGES[merge]);
        let transform = &activations(classes)[activation];
        let keep = &activations(classes)[2];
        let views: Vec<D4> = views.into_iter().map(|at| D4::ALL[at]).collect();
        let outputs: Vec<(Vec<f32>, Size)> = (0..).zip(&views).map(|(k, d4)| {
            let inner = d4.apply_to_size(size);
            let outer = Size::new(inner.height + margin, inner.width + 2 * margin);
            (noise(seed.wrapping_add(k), outer.area() as usize * classes), outer)
        }).collect();
        let part = |d4: D4| Rect::new(i64::from(margin), i64::from(margin), d4.apply_to_size(size));
        let merged = same_at_each_level(|| {
            let mut scores = WindowScores::new(size, classes, merge);
            let mut rows_of_all = vec![0.0; size.area() as usize * classes];
            for (k, ((planes, outer), d4)) in outputs.iter().zip(&views).enumerate() {
                let raw = ModelOutput { planes, size: *outer, part: part(*d4) };
                if k + 1 < views.len() {
                    scores.add(&raw, *d4, transform).unwrap();
                    continue;
                }
                let mut sink = |first: usize, rows: &[f32]| {
                    let n = rows.len() / classes;
                    for (class, line) in rows.chunks_exact(n).enumerate() {
                        let at = class * size.area() as usize + first * width as usize;
                        rows_of_all[at..at + n].copy_from_slice(line);
                    }
                };
                scores.finish(&raw, *d4, transform, keep, &mut sink).unwrap();
            }
            bits(&rows_of_all)
        });
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let mut alone = WindowScores::new(Size::new(1, 1), classes, merge);
            let mut want = Vec::new();
            for (k, ((planes, outer), d4)) in outputs.iter().zip(&views).enumerate() {
                let (row, col) = d4.inverse().source(d4.apply_to_size(size), y, x);
                let at = ((row + margin) * outer.width + col + margin) as usize;
                let said: Vec<f32> =
                    (0..classes).map(|class| planes[class * outer.area() as usize + at]).collect();
                let one = Size::new(1, 1);
                let raw = ModelOutput { planes: &said, size: one, part: Rect::whole(one) };
                if k + 1 < views.len() {
                    alone.add(&raw, D4::IDENTITY, transform).unwrap();
                } else {
                    alone.finish(&raw, D4::IDENTITY, transform, keep, &mut |_, rows| want = bits(rows)).unwrap();
                }
            }
            let at = (y * width + x) as usize;
            let got: Vec<u32> =
                (0..classes).map(|class| merged[class * size.area() as usize + at]).collect();
            prop_assert_eq!(got, want, "({}, {})", y, x);
        }
    }

    /// All other loops over pixels, with numbers that are none among them.
    #[test]
    fn bits_do_not_hang_on_the_width_of_vectors(
        height in 1_u32..6, width in 1_u32..90, classes in 1_usize..5, left in 0_usize..4, seed: u32,
        strange in prop_oneof![Just(0.0_f32), Just(-0.0), Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY)],
        at in 0_usize..450,
    ) {
        let size = Size::new(height, width);
        let n = size.area() as usize;
        let mut scores = noise(seed, n * classes);
        let numbers = scores.len();
        scores[at % numbers] = strange;
        let map = Importance::Gaussian.map(size);
        let weights: Vec<f32> = (0..classes).map(|class| class as f32 * 0.75).collect();
        same_at_each_level(|| {
            let mut computed = Vec::new();
            let mut sums = WindowSums::new(size, classes);
            let mut canvas = Canvas::new(Rect::whole(Size::new(height, width.div_ceil(2))), classes, 2);
            for round in 0..3 {
                canvas.add_rows(Rect::whole(size), &map, &sums, &weights, 0, &scores);
                sums.add(0, &weights, &scores);
                if round == 2 {
                    canvas.add(Rect::whole(size), &map, &sums);
                }
            }
            for band in canvas.take_above(i64::from(height)) {
                let importance = noise(seed ^ 1, band.part.size.area() as usize);
                computed.extend(bits(&band.into_mean(&importance, &weights)));
            }
            let mut rows = scores.clone();
            take_off_greatest(&mut rows, classes, width as usize);
            computed.extend(bits(&rows));
            let (n, wide) = (width as usize, width as usize + left);
            let (mut sums, mut covered) = (noise(seed ^ 2, wide * classes), vec![0.0; wide]);
            blend(&scores[..n * classes], map.row(0), left, &mut sums, &mut covered);
            normalise(&mut sums, &covered);
            computed.extend(bits(&sums));
            computed.extend(bits(&covered));
            for rule in [Rule::Argmax, Rule::Factors(weights.clone()), Rule::Threshold(weights.clone())] {
                let mut labels = vec![0; n];
                Decision::new(rule, classes, Some(0)).row(&scores[..n * classes], &mut labels);
                computed.extend(labels.into_iter().map(u32::from));
            }
            for transform in activations(classes) {
                let mut row = scores.clone();
                computed.push(u32::from(transform.apply_in_place(&mut row).is_err()));
            }
            computed
        });
    }
}
