use super::*;
use marquetry_geometry::{Blocks, Edges, WindowSpec};

fn close(a: f32, b: f32, relative: f32) -> bool {
    (a - b).abs() <= relative * b.abs()
}

/// MONAI's 8-px Gaussian, printed by its own function; a single row keeps the other axis at exp(0) = 1.
#[test]
fn gaussian_equals_monai() {
    let map = Importance::Gaussian.map(Size::new(1, 8));
    for (got, want) in map.row(0).iter().zip([0.002_187_5, 0.043_936_9, 0.324_652_4, 0.882_496_9]) {
        assert!(close(*got, want, 1e-4), "{got} {want}");
    }
    let big = Importance::Gaussian.map(Size::square(512));
    let clamped = big.weights.iter().filter(|&&w| w == 1e-3).count() as f64 / big.weights.len() as f64;
    assert!((clamped - 0.322).abs() < 5e-4, "{clamped}");
}

/// nnU-Net's own 512-px map: greatest 10, smallest 1.13e-6, middle of an edge 3.355e-3.
#[test]
fn gaussian_equals_nnunet() {
    let map = Importance::GaussianNnunet.map(Size::square(512));
    assert_eq!(map.row(256)[256], 10.0);
    assert!(close(map.row(0)[256], 3.355e-3, 1e-3));
    let least = map.weights.iter().copied().fold(f32::INFINITY, f32::min);
    assert!(close(least, 1.13e-6, 0.01), "{least}");
}

/// The 4 × 4 map of pytorch-toolbelt.
#[test]
fn pyramid_equals_toolbelt() {
    let map = Importance::Pyramid.map(Size::square(4));
    assert!(close(map.row(0)[0], 0.641_430, 1e-5));
    assert!(close(map.row(0)[1], 0.792_851, 1e-5));
    assert!(close(map.row(1)[1], 1.772_868, 1e-5));
}

#[test]
fn sum_over_counts_each_window_once() {
    let spec = WindowSpec {
        inner: Size::square(8),
        margin: Size::square(2),
        stride: Size::square(4),
        edges: Edges::Shift,
    };
    let grid = Grid::new(Size::new(21, 13), &spec).unwrap();
    let map = Importance::Constant.map(spec.inner);
    let whole = Rect::whole(grid.image());
    let mut total = vec![0.0; whole.size.area() as usize];
    for block in Blocks::new(&grid, 100).iter() {
        let part = block.extent(&grid);
        let sum = map.sum_over(&grid, &block, part);
        for (i, v) in sum.iter().enumerate() {
            let (y, x) = (i / part.size.width as usize, i % part.size.width as usize);
            total[(part.top as usize + y) * 13 + part.left as usize + x] += v;
        }
    }
    let everything = Block { index: 0, rows: 0..grid.tops().len(), cols: 0..grid.lefts().len() };
    assert_eq!(total, map.sum_over(&grid, &everything, whole));
    assert!(total.iter().all(|&v| v >= 1.0));
}
