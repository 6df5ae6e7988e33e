//! A prediction on the grid of its truth.

use marquetry_geometry::{self as geometry, Size};

/// Whether two sizes have one aspect, within half a pixel of the coarser one.
pub(crate) fn same_aspect(a: Size, b: Size) -> bool {
    let off = |from: Size, to: Size| {
        let height = from.height as f64 * to.width as f64 / from.width as f64;
        (height - to.height as f64).abs() <= 0.5
    };
    off(a, b) || off(b, a)
}

/// The nearest pixel, half-pixel centres.
pub(crate) fn nearest(labels: &[u16], from: Size, to: Size) -> Vec<u16> {
    let columns = geometry::nearest(from.width, to.width);
    let rows = geometry::nearest(from.height, to.height).into_iter();
    let width = from.width as usize;
    rows.flat_map(|y| columns.iter().map(move |x| labels[y as usize * width + *x as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By NumPy's integers, for a whole factor and an odd one.
    #[test]
    fn as_half_pixel_centres_say() {
        let small: Vec<u16> = (0..20).collect();
        let doubled = nearest(&small, Size::new(4, 5), Size::new(8, 10));
        assert_eq!(doubled[..10], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
        assert_eq!(doubled[10..12], [0, 0]);
        let odd = nearest(&small, Size::new(4, 5), Size::new(7, 8));
        let rows: Vec<u16> = odd.chunks(8).map(|row| row[0] / 5).collect();
        assert_eq!(rows, [0, 0, 1, 2, 2, 3, 3]);
        assert_eq!(odd[..8], [0, 0, 1, 2, 2, 3, 4, 4]);
    }

    #[test]
    fn aspects_agree_within_half_a_pixel() {
        let same = |a, b, c, d| same_aspect(Size::new(a, b), Size::new(c, d));
        assert!(same(8, 10, 4, 5) && same(7, 8, 4, 5) && same(512, 512, 1000, 1000));
        assert!(!same(19, 22, 16, 20) && !same(8, 10, 10, 8));
    }
}
