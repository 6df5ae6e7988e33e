use super::*;
use proptest::prelude::*;

fn looked_at(size: Size, margin_px: u32, pixel: impl Fn(u32, u32) -> [f32; 3]) -> (Region, Finding) {
    let mut nonblank = Nonblank::new(size);
    for y in 0..size.height {
        let row: Vec<[f32; 3]> = (0..size.width).map(|x| pixel(y, x)).collect();
        let bands = [0, 1, 2].map(|band| row.iter().map(|pixel| pixel[band]).collect::<Vec<_>>());
        nonblank.row([&bands[0], &bands[1], &bands[2]]);
    }
    nonblank.finish(margin_px)
}

fn in_rows(region: &Region) -> Vec<usize> {
    let mut row = vec![false; region.size().width as usize];
    let count = |y| {
        region.fill_row(y, &mut row);
        row.iter().filter(|inside| **inside).count()
    };
    (0..region.size().height).map(count).collect()
}

/// A pale disc of tissue with a hole, a line of a blue pen, one dark speck, on a bright ground.
fn slide(y: u32, x: u32) -> [f32; 3] {
    let noise = |i: u32| (i * i * 37 + i * 11) % 7;
    let from = |v: u32, u: u32| y.abs_diff(v).pow(2) + x.abs_diff(u).pow(2);
    if (58..63).contains(&x) && (8..50).contains(&y) {
        return [40.0, 60.0, 170.0];
    }
    if (y, x) == (4, 50) {
        return [200.0, 90.0, 90.0];
    }
    let rgb = if from(28, 24) < 17 * 17 && from(30, 22) >= 25 {
        [222 + noise(y * 72 + x), 202 + noise(y * 3 + x), 219 + noise(y + 5 * x)]
    } else {
        [235 + noise(y * 72 + x) % 5; 3]
    };
    rgb.map(|v| v as f32)
}

/// OpenCV 5.0.0: `medianBlur` of the saturation of `COLOR_RGB2HSV` by 7, `THRESH_OTSU` (123, which separates by 0.94),
/// `MORPH_CLOSE` by 5 × 5, `connectedComponents` of what is left that touch the border; then `dilate` by 7 × 7.
#[test]
fn equals_opencv() {
    let size = Size::new(60, 72);
    let (region, finding) = looked_at(size, 0, slide);
    assert_eq!((finding, region.pixels()), (Finding::Bounded, 1088));
    let tight = [
        0, 0, 0, 0, 1, 0, 0, 0, 5, 5, 5, 5, 14, 20, 24, 26, 28, 30, 32, 34, 34, 36, 36, 36, 38, 38, 38, 38,
        38, 38, 38, 38, 38, 36, 36, 36, 34, 34, 32, 30, 28, 26, 24, 20, 14, 5, 5, 5, 5, 5, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0,
    ];
    assert_eq!(in_rows(&region), tight);
    let (grown, _) = looked_at(size, 3, slide);
    let wide = [
        0, 7, 7, 7, 7, 18, 18, 18, 11, 26, 32, 36, 38, 40, 42, 44, 46, 46, 48, 48, 48, 50, 50, 50, 50, 50,
        50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 48, 48, 48, 46, 46, 44, 42, 40, 38, 36, 32, 26, 11, 11, 11,
        11, 11, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(in_rows(&grown), wide);
}

/// A pen is darker than pale tissue, so that a threshold of grey alone sees the pen and loses the tissue.
#[test]
fn pale_tissue_is_not_lost_beside_a_pen() {
    let size = Size::new(400, 500);
    let disc = |y: u32, x: u32| y.abs_diff(200).pow(2) + x.abs_diff(180).pow(2) < 110 * 110;
    let pen = |x: u32| (400..420).contains(&x);
    let pixel = |with_pen: bool| {
        move |y: u32, x: u32| match (disc(y, x), pen(x) && with_pen) {
            (true, _) => [236.0, 222.0, 233.0],
            (_, true) => [40.0, 60.0, 170.0],
            _ => [242.0, 241.0, 243.0],
        }
    };
    for with_pen in [false, true] {
        let (region, finding) = looked_at(size, 8, pixel(with_pen));
        assert_eq!(finding, Finding::Bounded);
        let mut row = vec![false; 500];
        for y in 0..400 {
            region.fill_row(y, &mut row);
            let lost = (0..500).find(|&x| (disc(y, x) || with_pen && pen(x)) && !row[x as usize]);
            assert_eq!(lost, None, "row {y} with_pen {with_pen}");
        }
        let share = region.pixels() as f64 / 200_000.0;
        assert!((0.19..0.32).contains(&share), "{share}");
    }
}

#[test]
fn what_cannot_be_told_is_the_whole_image() {
    let size = Size::new(90, 100);
    let ground = |_: u32, _: u32| [242.0_f32, 241.0, 243.0];
    let noisy = |y: u32, x: u32| [240.0 + ((y * 31 + x * 17 + y * x) % 7 + (y * 13 + x * x) % 7) as f32; 3];
    let dark = |y: u32, x: u32| if y < 40 && x < 40 { [147.0, 66.0, 66.0] } else { [90.0; 3] };
    let all = |_: u32, _: u32| [200.0, 150.0, 190.0];
    let gone = |_: u32, _: u32| [f32::NAN; 3];
    for (pixel, wanted) in [
        (&ground as &dyn Fn(u32, u32) -> [f32; 3], Finding::TooLittle),
        (&noisy, Finding::TooLittle),
        (&dark, Finding::NotBright),
        (&all, Finding::TooMuch),
        (&gone, Finding::TooLittle),
    ] {
        let (region, finding) = looked_at(size, 8, pixel);
        assert_eq!((finding, region), (wanted, Region::whole(size)));
        assert!(finding.refusal().is_some());
    }
}

/// Missing pixels are neither blank nor not: without them the same is found as of an image that ends there.
#[test]
fn missing_pixels_say_nothing() {
    let size = Size::new(60, 72);
    let (whole, _) = looked_at(size, 0, slide);
    let (cut, finding) =
        looked_at(Size::new(60, 200), 0, |y, x| if x < 72 { slide(y, x) } else { [f32::NAN; 3] });
    assert_eq!(finding, Finding::Bounded);
    assert_eq!(in_rows(&cut), in_rows(&whole));
}

/// An image of more pixels than cells is looked at in larger cells.
#[test]
fn a_large_image_is_looked_at_in_larger_cells() {
    let size = Size::new(2_500, 2_000);
    let disc = |y: u32, x: u32| y.abs_diff(900).pow(2) + x.abs_diff(1_000).pow(2) < 500 * 500;
    let pixel = |y, x| if disc(y, x) { [230.0, 200.0, 225.0] } else { [240.0; 3] };
    let (region, finding) = looked_at(size, 0, pixel);
    assert_eq!((region.cell_log2(), finding), (1, Finding::Bounded));
    let area = std::f64::consts::PI * 500.0 * 500.0;
    assert!((region.pixels() as f64 / area - 1.0).abs() < 0.02, "{}", region.pixels());
}

proptest! {
    /// A larger margin never takes a pixel out, and a mark of some size is always inside.
    #[test]
    fn marks_are_inside_and_margins_grow(
        height in 40_u32..90, width in 40_u32..90, top in 0_u32..25, left in 0_u32..25, margin in 0_u32..20,
        rgb in prop::array::uniform3(0_u8..200),
    ) {
        prop_assume!(rgb.iter().max().unwrap() - rgb.iter().min().unwrap() > 20);
        let size = Size::new(height, width);
        let mark = |y: u32, x: u32| (top..top + 12).contains(&y) && (left..left + 12).contains(&x);
        let pixel = |y: u32, x: u32| if mark(y, x) { rgb.map(f32::from) } else { [245.0; 3] };
        let (tight, finding) = looked_at(size, 0, pixel);
        let (wide, _) = looked_at(size, margin, pixel);
        prop_assert_eq!(finding, Finding::Bounded);
        let (mut a, mut b) = (vec![false; width as usize], vec![false; width as usize]);
        for y in 0..height {
            tight.fill_row(y, &mut a);
            wide.fill_row(y, &mut b);
            prop_assert!((0..width).all(|x| (!mark(y, x) || a[x as usize]) && (!a[x as usize] || b[x as usize])));
        }
    }
}
