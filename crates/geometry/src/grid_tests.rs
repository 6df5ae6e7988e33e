use super::*;
use proptest::prelude::*;

fn axis(length: u32, window: u32, stride: u32, edges: Edges) -> Vec<i64> {
    let spec = WindowSpec {
        inner: Size::new(window, 1),
        margin: Size::new(0, 0),
        stride: Size::new(stride, 1),
        edges,
    };
    Grid::new(Size::new(length, 1), &spec).unwrap().tops().to_vec()
}

/// Positions that nnU-Net's own function gives (half steps, so stride = window / 2).
#[test]
fn spread_equals_nnunet() {
    assert_eq!(axis(110, 64, 32, Edges::Spread), [0, 23, 46]);
    assert_eq!(axis(125, 64, 32, Edges::Spread), [0, 30, 61]);
    assert_eq!(axis(127, 64, 32, Edges::Spread), [0, 32, 63]);
    assert_eq!(axis(1000, 512, 256, Edges::Spread), [0, 244, 488]);
    let want = [
        0, 249, 499, 748, 997, 1247, 1496, 1745, 1995, 2244, 2493, 2743, 2992, 3241, 3491, 3740, 3989, 4239,
        4488,
    ];
    assert_eq!(axis(5000, 512, 256, Edges::Spread), want);
}

/// Positions that MONAI's sliding window gives at overlap 0.25, and mmsegmentation's at stride 341.
#[test]
fn shift_equals_monai_and_mmseg() {
    assert_eq!(axis(1000, 512, 384, Edges::Shift), [0, 384, 488]);
    assert_eq!(axis(110, 64, 48, Edges::Shift), [0, 46]);
    let long = axis(5000, 512, 384, Edges::Shift);
    assert_eq!((&long[..2], &long[long.len() - 2..]), (&[0, 384][..], &[4224, 4488][..]));
    assert_eq!(axis(1000, 512, 341, Edges::Shift), [0, 341, 488]);
}

#[test]
fn pad_overhangs_and_small_images_are_centred() {
    assert_eq!(axis(1000, 512, 256, Edges::Pad), [0, 256, 512]);
    assert_eq!(axis(5, 8, 4, Edges::Shift), [-1]);
    assert_eq!(axis(5, 8, 4, Edges::Pad), [0]);
}

#[test]
fn impossible_windows_are_refused() {
    let spec = |inner, stride| WindowSpec { inner, margin: Size::square(0), stride, edges: Edges::Shift };
    let grid = |image, inner, stride| Grid::new(image, &spec(inner, stride));
    let one = Size::square(1);
    assert_eq!(grid(Size::new(0, 4), one, one), Err(GridError::EmptyImage(Size::new(0, 4))));
    assert_eq!(grid(one, Size::new(4, 0), one), Err(GridError::EmptyWindow(Size::new(4, 0))));
    assert!(matches!(grid(one, Size::square(4), Size::new(5, 4)), Err(GridError::Stride { .. })));
    assert!(matches!(grid(one, Size::square(4), Size::new(0, 4)), Err(GridError::Stride { .. })));
}

pub(crate) fn edges() -> impl Strategy<Value = Edges> {
    prop_oneof![Just(Edges::Shift), Just(Edges::Spread), Just(Edges::Pad)]
}

proptest! {
    /// Law 1: every pixel lies in at least one window's kept part.
    #[test]
    fn windows_cover_the_axis(length in 1u32..600, window in 1u32..200, stride in 1u32..200, edges in edges()) {
        let stride = stride.min(window);
        let starts = axis(length, window, stride, edges);
        let mut covered = 0_i64;
        for &start in &starts {
            prop_assert!(start <= covered, "gap before {start} in {starts:?}");
            covered = covered.max(start + i64::from(window));
        }
        prop_assert!(starts[0] <= 0 && covered >= i64::from(length));
        prop_assert!(starts.windows(2).all(|w| w[0] < w[1]), "not ascending: {starts:?}");
        if length >= window && edges != Edges::Pad {
            prop_assert!(starts[0] == 0 && starts[starts.len() - 1] + i64::from(window) == i64::from(length));
        }
    }
}
