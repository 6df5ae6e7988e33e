//! What a model of one channel is shown of a colour image.

use super::Depth;

/// Puts into `out`, `[area]`, the luma of ITU-R 601 of `planes`, `[3, area]`: 0.299 R + 0.587 G + 0.114 B. Of whole 8-bit samples it is the whole number
/// that Pillow's `convert("L")` comes to.
///
/// # Panics
/// When there are fewer than two planes.
pub fn luma_of(planes: &[f32], area: usize, depth: Depth, out: &mut Vec<f32>) {
    out.clear();
    let (red, rest) = planes.split_at(area);
    let (green, blue) = rest.split_at(area);
    let pixels = red.iter().zip(green).zip(blue).map(|((r, g), b)| [*r, *g, *b]);
    out.extend(pixels.map(|[r, g, b]| {
        let whole = [r, g, b].iter().all(|v| v.fract() == 0.0 && (0.0..=255.0).contains(v));
        if depth == Depth::U8 && whole {
            let [r, g, b] = [r, g, b].map(|v| v as u32);
            return ((r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16) as f32;
        }
        (0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b)) as f32
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Image.convert("L")`, Pillow 13.0.0.
    #[test]
    fn equals_pillow() {
        let pixels =
            [[255.0, 0.0, 0.0], [0.0, 255.0, 0.0], [0.0, 0.0, 255.0], [12.0, 200.0, 77.0], [255.0; 3]];
        let planes: Vec<f32> = (0..3).flat_map(|band| pixels.map(|p: [f32; 3]| p[band])).collect();
        let mut grey = Vec::new();
        luma_of(&planes, 5, Depth::U8, &mut grey);
        assert_eq!(grey, [76.0, 150.0, 29.0, 130.0, 255.0]);
        luma_of(&[1000.0, 2000.0, 3000.0], 1, Depth::U16, &mut grey);
        assert!((grey[0] - 1815.0).abs() < 1e-3, "{grey:?}");
    }
}
