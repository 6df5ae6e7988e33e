//! Bilinear resizing of planes and of rows, half-pixel centres.

use marquetry_geometry::{Size, Tap, nearest, taps};

/// Resizes `[K, from.height, from.width]` to `[K, to.height, to.width]`, bilinear, half-pixel centres, no smoothing.
///
/// # Panics
/// When a size is empty or `planes` is not a whole number of planes.
pub fn resize_planes(planes: &[f32], from: Size, to: Size) -> Vec<f32> {
    assert_eq!(planes.len() as u64 % from.area(), 0, "planes of {from} px");
    let rows = taps(from.height, to.height, 0, to.height);
    let cols = taps(from.width, to.width, 0, to.width);
    let width = from.width as usize;
    let mut out = Vec::with_capacity((planes.len() as u64 / from.area() * to.area()) as usize);
    let mut mixed = vec![0.0; width];
    for plane in planes.chunks_exact(from.area() as usize) {
        for row in &rows {
            let low = &plane[row.low as usize * width..][..width];
            let high = &plane[row.high as usize * width..][..width];
            mix(low, high, row.weight, &mut mixed);
            out.extend(cols.iter().map(|tap| sample(&mixed, *tap)));
        }
    }
    out
}

/// Resizes a plane of labels to `to` px: each pixel is the one whose middle is nearest, of equal ones the later.
///
/// # Panics
/// When a size is empty or `labels` is not one plane.
pub fn resize_labels(labels: &[f32], from: Size, to: Size) -> Vec<f32> {
    assert_eq!(labels.len() as u64, from.area(), "a plane of {from} px");
    let columns = nearest(from.width, to.width);
    let rows = nearest(from.height, to.height).into_iter();
    let width = from.width as usize;
    rows.flat_map(|y| columns.iter().map(move |x| labels[y as usize * width + *x as usize])).collect()
}

/// One output row of all classes, `[C, out_width]`, from the two input rows `[C, width]` that `row` names.
///
/// # Panics
/// When the rows are not `classes` times the same width.
pub fn resize_rows(low: &[f32], high: &[f32], row: Tap, cols: &[Tap], classes: usize, out: &mut [f32]) {
    let width = low.len() / classes;
    let mut mixed = vec![0.0; width];
    for (class, line) in out.chunks_exact_mut(cols.len()).enumerate() {
        let at = class * width;
        mix(&low[at..at + width], &high[at..at + width], row.weight, &mut mixed);
        for (value, tap) in line.iter_mut().zip(cols) {
            *value = sample(&mixed, *tap);
        }
    }
}

fn mix(low: &[f32], high: &[f32], weight: f32, out: &mut [f32]) {
    for ((o, l), h) in out.iter_mut().zip(low).zip(high) {
        *o = l + (h - l) * weight;
    }
}

fn sample(row: &[f32], tap: Tap) -> f32 {
    let (low, high) = (row[tap.low as usize], row[tap.high as usize]);
    low + (high - low) * tap.weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_never_mixed() {
        let (from, to) = (Size::new(2, 3), Size::new(4, 5));
        let want = [0, 0, 7, 2, 2, 0, 0, 7, 2, 2, 5, 5, 1, 9, 9, 5, 5, 1, 9, 9].map(|v| v as f32);
        assert_eq!(resize_labels(&[0.0, 7.0, 2.0, 5.0, 1.0, 9.0], from, to), want);
    }

    /// `torch.nn.functional.interpolate` of [[1, 2], [3, 4]] to 3 × 4, bilinear, `align_corners=False`.
    #[test]
    fn equals_torch() {
        let want = [1.0, 1.25, 1.75, 2.0, 2.0, 2.25, 2.75, 3.0, 3.0, 3.25, 3.75, 4.0];
        assert_eq!(resize_planes(&[1.0, 2.0, 3.0, 4.0], Size::new(2, 2), Size::new(3, 4)), want);
    }

    #[test]
    fn rows_equal_planes_and_constants_survive() {
        let (from, to) = (Size::new(5, 7), Size::new(11, 3));
        let plane: Vec<f32> = (0..35).map(|i| (i * i % 17) as f32).collect();
        let whole = resize_planes(&plane, from, to);
        let (rows, cols) = (taps(5, 11, 0, 11), taps(7, 3, 0, 3));
        for (y, row) in rows.iter().enumerate() {
            let mut out = vec![0.0; 3];
            let line = |i: u32| &plane[i as usize * 7..][..7];
            resize_rows(line(row.low), line(row.high), *row, &cols, 1, &mut out);
            assert_eq!(out, whole[y * 3..y * 3 + 3]);
        }
        assert!(resize_planes(&[0.3; 35], from, to).iter().all(|&v| v == 0.3));
    }
}
