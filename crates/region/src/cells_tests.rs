use super::*;
use proptest::prelude::*;

/// An image and which of its pixels are marked, `[H, W]`.
fn marked() -> impl Strategy<Value = (Size, Vec<bool>)> {
    (1_u32..40, 1_u32..40).prop_flat_map(|(height, width)| {
        let area = (height * width) as usize;
        let marks = prop::collection::vec(prop::bool::weighted(0.05), area);
        (Just(Size::new(height, width)), marks)
    })
}

fn built(size: Size, marks: &[bool], cells_max: u64) -> Region {
    let mut builder = RegionBuilder::new(size, cells_max);
    for (y, row) in (0..).zip(marks.chunks_exact(size.width as usize)) {
        builder.row(y, row.iter().copied());
    }
    builder.finish()
}

fn pixels(region: &Region) -> Vec<bool> {
    let Size { height, width } = region.size();
    let mut all = vec![false; (height * width) as usize];
    for (y, row) in (0..).zip(all.chunks_exact_mut(width as usize)) {
        region.fill_row(y, row);
    }
    all
}

proptest! {
    /// Every marked pixel is inside, with its cell and nothing else; what is asked of rectangles is what pixels say.
    #[test]
    fn a_region_is_the_cells_of_its_pixels(
        (size, marks) in marked(), cells_max in 1_u64..1700, top in -5_i64..40, left in -5_i64..40, side in 1_u32..20,
    ) {
        let region = built(size, &marks, cells_max);
        let (rows, cols) = (region.rows(), region.cols());
        prop_assert!((rows * cols) as u64 <= cells_max);
        let (inside, n) = (pixels(&region), region.cell_log2());
        let at = |y: u32, x: u32| inside[(y * size.width + x) as usize];
        for y in 0..size.height {
            for x in 0..size.width {
                let of_cell = (0..size.height).filter(|v| v >> n == y >> n).any(|v| {
                    (0..size.width).filter(|u| u >> n == x >> n).any(|u| marks[(v * size.width + u) as usize])
                });
                prop_assert_eq!(at(y, x), of_cell);
            }
        }
        let rect = Rect::new(top, left, Size::square(side));
        let within = |y: u32, x: u32| rect.contains(Rect::new(i64::from(y), i64::from(x), Size::square(1)));
        let any = (0..size.height).any(|y| (0..size.width).any(|x| within(y, x) && at(y, x)));
        prop_assert_eq!(region.touches(rect), any);
        prop_assert_eq!(region.pixels(), inside.iter().filter(|i| **i).count() as u64);
        prop_assert_eq!(region.is_empty(), !inside.contains(&true));
        let again = Region::of_bits(size, n, region.bits().to_vec());
        prop_assert_eq!(again.as_ref(), Some(&region));
    }

    #[test]
    fn growing_reaches_all_that_is_near_and_no_further_than_a_cell(
        (size, marks) in marked(), cells_max in 1_u64..1700, margin in 0_u32..12,
    ) {
        let region = built(size, &marks, cells_max);
        let (before, after) = (pixels(&region), pixels(&region.grown(margin)));
        let far = if margin == 0 { 0 } else { margin + (2 << region.cell_log2()) - 2 };
        let near = |y: i64, x: i64, reach: u32| {
            let reach = i64::from(reach);
            (0..i64::from(size.height)).filter(|v| (v - y).abs() <= reach).any(|v| {
                (0..i64::from(size.width)).filter(|u| (u - x).abs() <= reach)
                    .any(|u| before[(v * i64::from(size.width) + u) as usize])
            })
        };
        for (y, row) in (0..).zip(after.chunks_exact(size.width as usize)) {
            for (x, &inside) in (0..).zip(row) {
                prop_assert!(inside || !near(y, x, margin), "({y}, {x}) is within the margin");
                prop_assert!(!inside || near(y, x, far), "({y}, {x}) is far away");
            }
        }
    }

    #[test]
    fn what_is_within_is_inside_and_near_the_other(
        (size, marks) in marked(), cells_max in 1_u64..1700, rows in 0_u32..40, side in 0_u8..4,
    ) {
        let region = built(size, &marks, cells_max);
        let mut other = RegionBuilder::new(size, size.area() >> (2 * side).min(63));
        (0..rows.min(size.height)).for_each(|y| other.row(y, (0..size.width).map(|x| x % 3 == 0)));
        let other = other.finish();
        let (of, to, both) = (pixels(&region), pixels(&other), pixels(&region.within(&other)));
        prop_assert!(both.iter().zip(&of).all(|(both, of)| !both || *of));
        prop_assert!(both.iter().zip(of.iter().zip(&to)).all(|(both, (of, to))| *both || !(*of && *to)));
        prop_assert!(other.within(&Region::whole(size)) == other);
    }
}

#[test]
fn a_whole_image_is_one_cell() {
    for size in [Size::new(1, 1), Size::new(7, 300), Size::new(100_000, 3)] {
        let region = Region::whole(size);
        assert_eq!((region.bits().len(), region.pixels()), (1, size.area()));
        assert!(region.touches(Rect::new(-1, -1, Size::square(2))) && !region.is_empty());
        assert!(Region::empty(size).is_empty() && Region::empty(size).pixels() == 0);
        assert_eq!(Region::of_bits(size, region.cell_log2(), region.bits().to_vec()), Some(region));
    }
}

#[test]
fn other_bits_are_no_region() {
    let size = Size::new(4, 10);
    assert!(Region::of_bits(size, 0, vec![0; 8]).is_some());
    assert!(Region::of_bits(size, 0, vec![0; 7]).is_none(), "a row is missing");
    assert!(Region::of_bits(size, 33, vec![0; 8]).is_none());
    let mut beyond = vec![0; 8];
    beyond[1] = 0x20;
    assert!(Region::of_bits(size, 0, beyond).is_none(), "a bit beyond the tenth column");
}
