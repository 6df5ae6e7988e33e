use super::*;
use crate::{
    Importance, Labelling, ModelOutput, ScoreSpace, ScoreTransform, ViewMerge, WindowScores, blend, normalise,
};
use marquetry_geometry::{Blocks, D4, Edges, Grid, Size, WindowSpec};
use proptest::prelude::*;

const CLASSES: usize = 2;

/// What pixel (y, x) of the image really scores.
fn truth(class: usize, y: i64, x: i64) -> f32 {
    if class == 0 { 0.25 } else { (1000 + y * 31 + x) as f32 }
}

/// A whole image through windows, importance, two members of different weights, blocks and reassembly.
fn stitched(image: Size, spec: &WindowSpec, importance: Importance, pixels_max: u64) -> Vec<f32> {
    let grid = Grid::new(image, spec).unwrap();
    let map = importance.map(spec.inner);
    let keep =
        ScoreTransform::between(ScoreSpace::Logits, ScoreSpace::Logits, Labelling::Multiclass, CLASSES);
    let mut scores = WindowScores::new(spec.inner, CLASSES, ViewMerge::Mean);
    let mut window_sums = WindowSums::new(spec.inner, CLASSES);
    let (mut sums, mut weights) =
        (vec![0.0; CLASSES * image.area() as usize], vec![0.0; image.area() as usize]);
    let width = image.width as usize;
    for block in Blocks::new(&grid, pixels_max).iter() {
        let mut canvas = Canvas::new(block.extent(&grid), CLASSES, 5);
        let mut tile = Vec::new();
        let extent = canvas.extent();
        let local = map.sum_over(&grid, &block, extent);
        let mut take = |canvas: &mut Canvas, bottom: i64| {
            for band in canvas.take_above(bottom) {
                let part = map.sum_over(&grid, &block, band.part);
                tile.extend(band.into_mean(&part, &[2.0, 4.0]));
            }
        };
        for (row, col) in block.rows.clone().flat_map(|r| block.cols.clone().map(move |c| (r, c))) {
            let window = grid.inner(row, col);
            take(&mut canvas, window.top);
            let planes: Vec<f32> = (0..CLASSES)
                .flat_map(|c| {
                    (window.top..window.bottom())
                        .flat_map(move |y| (window.left..window.right()).map(move |x| truth(c, y, x)))
                })
                .collect();
            let raw = ModelOutput { planes: &planes, size: window.size, part: Rect::whole(window.size) };
            window_sums.reset();
            let [one, two] = [[0.5, 3.0], [1.5, 1.0]];
            let mut member = |sink: &mut dyn FnMut(usize, &[f32])| {
                scores.reset();
                scores.finish(&raw, D4::IDENTITY, &keep, &keep, sink).unwrap();
            };
            member(&mut |first, rows| window_sums.add(first, &one, rows));
            // Both ways to the canvas, in turn.
            if (row + col) % 2 == 0 {
                member(&mut |first, rows| canvas.add_rows(window, &map, &window_sums, &two, first, rows));
            } else {
                member(&mut |first, rows| window_sums.add(first, &two, rows));
                canvas.add(window, &map, &window_sums);
            }
        }
        take(&mut canvas, extent.bottom());
        for y in 0..extent.size.height as usize {
            let n = extent.size.width as usize;
            let (at, left) = (extent.top as usize + y, extent.left as usize);
            let row = &mut sums[at * CLASSES * width..(at + 1) * CLASSES * width];
            let weight = &mut weights[at * width..(at + 1) * width];
            blend(
                &tile[y * CLASSES * n..(y + 1) * CLASSES * n],
                &local[y * n..(y + 1) * n],
                left,
                row,
                weight,
            );
        }
    }
    for (row, weight) in sums.chunks_exact_mut(CLASSES * width).zip(weights.chunks_exact(width)) {
        normalise(row, weight);
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Law 2: a constant and the pixel's own position come back through windows, importance, members and blocks.
    #[test]
    fn constants_and_positions_survive(
        height in 1u32..70, width in 1u32..70, window in 1u32..24, stride in 1u32..24, side in 1u64..80,
        edges in prop_oneof![Just(Edges::Shift), Just(Edges::Spread), Just(Edges::Pad)],
        importance in prop_oneof![
            Just(Importance::Constant), Just(Importance::Gaussian),
            Just(Importance::GaussianNnunet), Just(Importance::Pyramid)
        ],
    ) {
        let inner = Size::new(window, window + 2);
        let spec = WindowSpec { inner, margin: Size::square(0), stride: Size::square(stride.min(window)), edges };
        let rows = stitched(Size::new(height, width), &spec, importance, side * side);
        for (y, row) in rows.chunks_exact(CLASSES * width as usize).enumerate() {
            for (class, line) in row.chunks_exact(width as usize).enumerate() {
                for (x, &got) in line.iter().enumerate() {
                    let want = truth(class, y as i64, x as i64);
                    prop_assert!((got - want).abs() <= 1e-5 * want, "({class}, {y}, {x}): {got} {want}");
                }
            }
        }
    }
}

/// A window gives the same bits whether its last member goes through the window's sums or straight to the canvas.
#[test]
fn both_ways_to_the_canvas_give_the_same_bits() {
    let size = Size::new(9, 7);
    let map = Importance::Gaussian.map(size);
    let n = size.area() as usize;
    let noise = |seed: usize| -> Vec<f32> {
        (0..2 * n).map(|i| ((i * 7919 + seed * 104_729) % 10_007) as f32 / 997.0).collect()
    };
    let extent = Rect::new(2, 1, Size::new(6, 5));
    let weights = [0.3, 0.7];
    for before in [None, Some(noise(1))] {
        let mut sums = WindowSums::new(size, 2);
        if let Some(scores) = &before {
            sums.add(0, &weights, scores);
        }
        let mut straight = Canvas::new(extent, 2, 4);
        straight.add_rows(Rect::whole(size), &map, &sums, &weights, 0, &noise(2));
        sums.add(0, &weights, &noise(2));
        let mut through = Canvas::new(extent, 2, 4);
        through.add(Rect::whole(size), &map, &sums);
        let bits = |c: &mut Canvas| -> Vec<Vec<f32>> {
            c.take_above(extent.bottom()).into_iter().map(|b| b.sums).collect()
        };
        assert_eq!(bits(&mut straight), bits(&mut through));
    }
}
