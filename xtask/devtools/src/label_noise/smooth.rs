//! Labels with smoothed outlines.

use super::object::Mask;

/// How far the bell of a Gaussian is followed, in its scale.
const REACH: f32 = 3.0;

/// The label whose every pixel has the class of most weight around it, by a Gaussian of this scale (px); of equal ones the
/// first. Beyond the border is more of the same.
pub(super) fn smoothed(mask: &Mask, classes: u8, sigma_px: f32) -> Mask {
    let bell = bell(sigma_px);
    let mut smooth = mask.clone();
    let mut greatest = vec![0.0_f32; mask.pixels.len()];
    for class in (0..classes).filter(|class| mask.pixels.contains(class)) {
        let plane: Vec<f32> = mask.pixels.iter().map(|&own| f32::from(u8::from(own == class))).collect();
        // Rows, then columns: what is turned twice lies as it did.
        let across = blurred_and_turned(&plane, mask.width(), &bell);
        let weights = blurred_and_turned(&across, mask.height(), &bell);
        for ((pixel, greatest), weight) in smooth.pixels.iter_mut().zip(&mut greatest).zip(weights) {
            if weight > *greatest {
                (*pixel, *greatest) = (class, weight);
            }
        }
    }
    smooth
}

/// Weights from the middle to the end.
fn bell(sigma_px: f32) -> Vec<f32> {
    let reach = (REACH * sigma_px).ceil() as i32;
    (0..=reach).map(|px| (-0.5 * (px as f32 / sigma_px).powi(2)).exp()).collect()
}

/// Rows of `width` blurred, and written as columns.
fn blurred_and_turned(plane: &[f32], width: usize, bell: &[f32]) -> Vec<f32> {
    let height = plane.len() / width.max(1);
    let mut turned = vec![0.0; plane.len()];
    for (y, row) in plane.chunks_exact(width.max(1)).enumerate() {
        for x in 0..width {
            let beside = |px: usize| row[x.saturating_sub(px)] + row[(x + px).min(width - 1)];
            let sum: f32 = bell.iter().enumerate().skip(1).map(|(px, weight)| weight * beside(px)).sum();
            turned[x * height + y] = bell[0] * row[x] + sum;
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_geometry::Size;

    fn mask(class: impl Fn(usize, usize) -> u8) -> Mask {
        let pixels = (0..40 * 60).map(|at| class(at / 60, at % 60)).collect();
        Mask { size: Size::new(40, 60), pixels }
    }

    #[test]
    fn a_straight_outline_stays_and_a_corner_is_rounded() {
        let half = mask(|_, x| u8::from(x >= 30));
        assert_eq!(smoothed(&half, 2, 4.0), half);
        let corner = mask(|y, x| u8::from(y >= 20 && x >= 30));
        let round = smoothed(&corner, 2, 4.0);
        let gone: Vec<_> = (0..2400).filter(|&at| round.pixels[at] != corner.pixels[at]).collect();
        assert!(gone.contains(&(20 * 60 + 30)) && gone.len() < 40, "{gone:?}");
        assert!(gone.iter().all(|&at| corner.pixels[at] == 1), "only the corner's own pixels");
    }

    #[test]
    fn what_is_thin_goes() {
        let line = mask(|y, _| u8::from(y == 20));
        assert!(smoothed(&line, 2, 3.0).pixels.iter().all(|&class| class == 0));
    }
}
