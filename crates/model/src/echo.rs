//! Outputs that are the image again: of denoisers, autoencoders, filters.

use crate::facts::{Relation, ScoreFacts};
use crate::pack::unpack;
use marquetry_geometry::Size;

/// Channels of scores may look like one of the image's; all of them, each like its own, and as much as this, do not.
const CORRELATION_MIN: f64 = 0.95;

/// Whether each channel of an output follows that of the input in all windows of images: `pairs` of `[channels, H, W]` and
/// the first image's values as they came. Not without an image that has something to follow.
pub(crate) fn is_echo<'a>(
    channels: u32,
    size: Size,
    scores: &ScoreFacts,
    pairs: impl Iterator<Item = (&'a [f32], &'a [f32])>,
) -> bool {
    if scores.relation != Relation::Same || scores.classes != channels {
        return false;
    }
    let (pixels, mut planes) = (size.area() as usize, Vec::new());
    let mut least: Option<f64> = None;
    for (window, values) in pairs {
        let Some(values) = values.get(..window.len()) else { continue };
        unpack(values, &mut planes, scores.form.is_interleaved(), channels as usize, pixels);
        for (shown, came) in window.chunks_exact(pixels).zip(planes.chunks_exact(pixels)) {
            if let Some(correlation) = correlation(shown, came) {
                least = Some(least.map_or(correlation, |least| least.min(correlation)));
            }
        }
    }
    least.is_some_and(|least| least >= CORRELATION_MIN)
}

/// Pearson's correlation of two planes; none where one of them is flat or not finite.
fn correlation(a: &[f32], b: &[f32]) -> Option<f64> {
    let mean = |plane: &[f32]| plane.iter().map(|v| f64::from(*v)).sum::<f64>() / plane.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a) - mean_a, f64::from(*b) - mean_b);
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    let correlation = ab / (aa * bb).sqrt();
    correlation.is_finite().then_some(correlation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Activation, Fit, OutputForm, Response, Values};

    fn scores(classes: u32, form: OutputForm) -> ScoreFacts {
        let values = Values { activation: Activation::None, range: (0.0, 1.0) };
        ScoreFacts {
            form,
            classes,
            size: Size::square(2),
            relation: Relation::Same,
            fit: Fit::Resize,
            fit_is_sure: true,
            activation: Activation::None,
            range: (0.0, 1.0),
            noise: values,
            images: None,
            response: Response::Image,
            notes: Vec::new(),
        }
    }

    #[test]
    fn an_output_that_is_the_image_again_is_told_from_scores() {
        let window = [0.0, 1.0, 2.0, 3.0, 4.0, 1.0, 0.0, 2.0];
        let planes: Vec<f32> = window.iter().map(|v| v * 0.5 - 1.0).collect();
        let interleaved = [-1.0, 1.0, -0.5, -0.5, 0.0, -1.0, 0.5, 0.0];
        let (nchw, nhwc) = (scores(2, OutputForm::Nchw), scores(2, OutputForm::Nhwc));
        let is = |scores: &ScoreFacts, values: &[f32]| {
            is_echo(2, Size::square(2), scores, [(&window[..], values)].into_iter())
        };
        assert!(is(&nchw, &planes) && is(&nhwc, &interleaved));
        assert!(!is(&nchw, &interleaved), "planes that are mixed up");
        let mut other = planes.clone();
        other[7] = -1.0;
        assert!(!is(&nchw, &other), "one of the two follows");
        assert!(!is(&nchw, &[0.5; 8]), "nothing moves");
        assert!(!is_echo(2, Size::square(2), &nchw, [].into_iter()), "nothing was shown");
        assert!(!is_echo(3, Size::square(2), &nchw, [(&window[..], &planes[..])].into_iter()));
    }
}
