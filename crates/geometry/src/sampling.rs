//! Bilinear sampling with half-pixel centres, one axis at a time.

/// Where one output pixel is taken from along one axis: `(1 − weight)·in[low] + weight·in[high]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tap {
    /// The nearer input pixel towards the origin.
    pub low: u32,
    /// Its neighbour away from the origin; equal to `low` at the borders.
    pub high: u32,
    /// Share of `high`, 0 to 1.
    pub weight: f32,
}

/// The taps of output pixels `from..to` when `input` px become `output` px.
///
/// Pixel centres lie at half-integers, so `x_in = (x_out + ½)·input/output − ½`, clamped to the image: PyTorch's
/// `align_corners=False`, OpenCV's `INTER_LINEAR`. There is no smoothing before shrinking, as there is none in those.
/// Taps depend on the whole axis alone, so any part of an image is sampled like the whole.
///
/// # Panics
/// When `input` or `output` is 0, or `to > output`.
pub fn taps(input: u32, output: u32, from: u32, to: u32) -> Vec<Tap> {
    assert!(input > 0 && output > 0 && to <= output, "taps {from}..{to} of {output} from {input}");
    let scale = f64::from(input) / f64::from(output);
    let tap = |i: u32| {
        let x = ((f64::from(i) + 0.5) * scale - 0.5).clamp(0.0, f64::from(input - 1));
        let low = x.floor();
        Tap { low: low as u32, high: (low as u32 + 1).min(input - 1), weight: (x - low) as f32 }
    };
    (from..to).map(tap).collect()
}

/// For each of `output` px the one of `input` px whose middle is nearest, of equal ones the later: in whole numbers,
/// `(2i + 1) · input / (2 · output)`, rounded down.
///
/// # Panics
/// When `output` is 0.
pub fn nearest(input: u32, output: u32) -> Vec<u32> {
    let at = |i: u32| ((2 * u64::from(i) + 1) * u64::from(input) / (2 * u64::from(output))) as u32;
    (0..output).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_size_is_the_identity() {
        assert!(taps(7, 7, 0, 7).iter().enumerate().all(|(i, t)| t.low == i as u32 && t.weight == 0.0));
    }

    #[test]
    fn the_nearest_is_that_of_half_pixel_centres() {
        assert_eq!(nearest(4, 8), [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(nearest(4, 7), [0, 0, 1, 2, 2, 3, 3]);
        assert_eq!(nearest(5, 2), [1, 3]);
        assert_eq!(nearest(4, 2), [1, 3], "of equal ones the later");
    }

    /// `torch.nn.functional.interpolate([0, 1, 2, 3], size=2 and 8, align_corners=False)`.
    #[test]
    fn halves_and_doubles_as_torch_does() {
        let at = |t: &Tap| t.low as f32 + t.weight;
        assert_eq!(taps(4, 2, 0, 2).iter().map(at).collect::<Vec<_>>(), [0.5, 2.5]);
        let doubled = taps(4, 8, 0, 8).iter().map(at).collect::<Vec<_>>();
        assert_eq!(doubled, [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]);
        assert_eq!(taps(4, 8, 3, 5), taps(4, 8, 0, 8)[3..5]);
    }
}
