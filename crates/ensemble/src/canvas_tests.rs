use super::*;
use crate::{Importance, Labelling, Raw, Space, Transfer, ViewMerge, blend, normalise};
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
    let keep = Transfer::between(Space::Logits, Space::Logits, Labelling::Multiclass, CLASSES);
    let mut scores = WindowScores::new(spec.inner, CLASSES, ViewMerge::Mean);
    let (mut sums, mut weights) =
        (vec![0.0; CLASSES * image.area() as usize], vec![0.0; image.area() as usize]);
    let width = image.width as usize;
    for block in Blocks::new(&grid, pixels_max).iter() {
        let mut canvas = Canvas::new(block.extent(&grid), CLASSES);
        for member in [[0.5, 3.0], [1.5, 1.0]] {
            for (row, col) in block.rows.clone().flat_map(|r| block.cols.clone().map(move |c| (r, c))) {
                let window = grid.inner(row, col);
                let planes: Vec<f32> = (0..CLASSES)
                    .flat_map(|c| {
                        (window.top..window.bottom())
                            .flat_map(move |y| (window.left..window.right()).map(move |x| truth(c, y, x)))
                    })
                    .collect();
                scores.reset();
                let raw = Raw { planes: &planes, size: window.size, part: Rect::whole(window.size) };
                scores.add(&raw, D4::IDENTITY, &keep).unwrap();
                scores.finish(&keep).unwrap();
                canvas.add(window, &map, &member, &scores);
            }
        }
        let extent = canvas.extent();
        let local = map.sum_over(&grid, &block, extent);
        let tile = canvas.into_mean(&local, &[2.0, 4.0]);
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
