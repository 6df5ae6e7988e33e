//! What the values of trial runs say of an output.

use crate::facts::{Activation, Element, OutputForm, Response, ScoreFacts, Values};
use crate::pack::unpack;
use marquetry_geometry::Size;

/// Begins the note of an output of which every pixel's channels sum to one number, and not to 1.
pub const SUMS_TO: &str = "its values sum to";

/// How an output's numbers lie, and what they are.
pub(crate) struct Shape<'a> {
    pub(crate) form: OutputForm,
    pub(crate) channels: u32,
    pub(crate) size: Size,
    pub(crate) element: &'a Element,
}

impl ScoreFacts {
    /// Reads the values that came of `noise`, of windows of `images`, and of the second run of the second noise.
    ///
    /// Whatever an activation makes of one image it makes of all: what noise suggests holds only where images do not
    /// contradict it. Runs that came to NaN or infinity say nothing, unless there are no others.
    pub(crate) fn read_values(
        &mut self,
        noise: [&[f32]; 3],
        again: &[f32],
        images: &[&[f32]],
        element: &Element,
    ) {
        let shape = Shape { form: self.form, channels: self.classes, size: self.size, element };
        let all: Vec<&[f32]> = noise.iter().copied().chain(images.iter().copied()).collect();
        let finite = |runs: &[&[f32]]| -> Vec<Vec<f32>> {
            let whole = runs.iter().filter(|run| run.iter().all(|v| v.is_finite()));
            whole.map(|run| shape.planes(run)).collect()
        };
        let (noisy, seen) = (finite(&noise), finite(images));
        let Values { activation, range } = shape.values(&[&noisy[..], &seen[..]].concat());
        (self.activation, self.range) = (activation, range);
        self.noise = shape.values(&noisy);
        self.images = (!seen.is_empty()).then(|| shape.values(&seen));
        let is_random = noise[1].iter().zip(again).any(|(a, b)| (a - b).abs() > 1e-4 * (1.0 + a.abs()));
        self.response = if all.iter().all(|run| *run == all[0]) {
            Response::Constant
        } else if is_random {
            Response::Random
        } else {
            Response::Image
        };
        let is_constant = self.response == Response::Constant;
        if noisy.len() + seen.len() < all.len() {
            self.notes.push("some values are not finite".to_owned());
        }
        if is_constant {
            self.notes.push("it does not depend on the image".to_owned());
        } else if all.iter().flat_map(|run| *run).all(|&v| v == 0.0 || v == 1.0) {
            self.notes
                .push("its values are only 0 and 1, decided already: scores would merge better".to_owned());
        }
        let shares = shape.multiple_of_shares(&[&noisy[..], &seen[..]].concat());
        if let Some(sum) = shares.filter(|_| !is_constant) {
            self.notes.push(format!("{SUMS_TO} {sum} at every pixel: probabilities times {sum}?"));
        }
        if is_random {
            self.notes.push(
                "two runs of the same input differ: was it exported in training mode, with dropout left on?"
                    .to_owned(),
            );
        }
    }
}

impl Shape<'_> {
    /// A run as planes, image by image.
    fn planes(&self, run: &[f32]) -> Vec<f32> {
        let mut planes = Vec::new();
        let pixels = self.size.area() as usize;
        unpack(run, &mut planes, self.form.is_interleaved(), self.channels as usize, pixels);
        planes
    }

    /// What the values of all `runs`, which are finite, look like.
    fn values(&self, runs: &[Vec<f32>]) -> Values {
        let all = || runs.iter().flatten().copied();
        let range @ (low, high) =
            all().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        Values { activation: self.activation(runs, low, high), range }
    }

    fn activation(&self, runs: &[Vec<f32>], low: f32, high: f32) -> Activation {
        // Of truth values the one channel is what it would be before the comparison: of the class that is not background.
        if *self.element == Element::Bool {
            return Activation::Sigmoid;
        }
        if self.element.is_whole() {
            return Activation::Labels;
        }
        // Whole numbers from 0 up in one channel are labels that were cast to floats; only 0 and 1 may be anything.
        let whole = || runs.iter().flatten().all(|v| v.fract() == 0.0);
        if self.channels == 1 && low >= 0.0 && high >= 2.0 && low < high && whole() {
            return Activation::Labels;
        }
        if runs.is_empty() || low < -1e-6 || high > 1.0 + 1e-3 || low == high {
            return Activation::None;
        }
        if self.channels > 1 && runs.iter().all(|run| self.sums_to(run, 1.0)) {
            Activation::Softmax
        } else {
            Activation::Sigmoid
        }
    }

    /// What the channels of every pixel sum to, where that is one number far above 1 and none is below 0.
    fn multiple_of_shares(&self, runs: &[Vec<f32>]) -> Option<f32> {
        let first = runs.first()?;
        let pixels = self.size.area() as usize;
        let sum: f32 = first.iter().step_by(pixels).take(self.channels as usize).sum();
        let is_one = self.channels > 1
            && sum > 1.5
            && runs.iter().flatten().all(|&value| value >= 0.0)
            && runs.iter().all(|run| self.sums_to(run, sum));
        is_one.then(|| sum.round())
    }

    /// Whether the channels of every pixel sum to `whole`.
    fn sums_to(&self, planes: &[f32], whole: f32) -> bool {
        let tolerance = whole * if *self.element == Element::F16 { 2e-2 } else { 1e-3 };
        let (pixels, channels) = (self.size.area() as usize, self.channels as usize);
        planes.chunks_exact(channels * pixels).all(|image| {
            (0..pixels)
                .all(|at| (image.iter().skip(at).step_by(pixels).sum::<f32>() - whole).abs() < tolerance)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fit, Relation};

    fn read(classes: u32, noise: [&[f32]; 3], images: &[&[f32]]) -> ScoreFacts {
        let values = Values { activation: Activation::None, range: (0.0, 0.0) };
        let mut scores = ScoreFacts {
            form: OutputForm::Nchw,
            classes,
            size: Size::new(1, 2),
            relation: Relation::Same,
            fit: Fit::Resize,
            fit_is_sure: true,
            activation: Activation::None,
            range: (0.0, 0.0),
            noise: values,
            images: None,
            response: Response::Image,
            notes: Vec::new(),
        };
        scores.read_values(noise, noise[1], images, &Element::F32);
        scores
    }

    #[test]
    fn what_noise_suggests_holds_where_images_do_not_contradict_it() {
        use Activation::{Labels, None, Sigmoid, Softmax};
        let of = |classes, noise, images: &[&[f32]]| {
            let scores = read(classes, noise, images);
            (scores.noise.activation, scores.activation)
        };
        // A head that ends with ReLU, and is quiet on noise.
        let quiet: [&[f32]; 3] = [&[0.0, 0.5], &[0.0, 0.75], &[0.25, 0.0]];
        assert_eq!(of(1, quiet, &[]), (Sigmoid, Sigmoid));
        assert_eq!(of(1, quiet, &[&[0.5, 17.25]]), (Sigmoid, None));
        // One image has rows that sum to 1, as noise does; the other has not.
        let shared: [&[f32]; 3] = [&[0.25, 0.5, 0.75, 0.5], &[1.0, 1.0, 0.0, 0.0], &[0.5, 0.5, 0.5, 0.5]];
        assert_eq!(of(2, shared, &[&[0.0, 0.125, 1.0, 0.875]]), (Softmax, Softmax));
        assert_eq!(of(2, shared, &[&[0.25, 0.25, 0.75, 0.5]]), (Softmax, Sigmoid));
        // A softmax that comes to NaN on raw noise is still one.
        let broken: [&[f32]; 3] = [&[0.25, 0.5, 0.75, 0.5], &[f32::NAN; 4], &[f32::NAN; 4]];
        assert_eq!(of(2, broken, &[&[0.0, 0.125, 1.0, 0.875]]), (Softmax, Softmax));
        assert!(read(2, broken, &[]).notes[0].contains("not finite"));
        assert_eq!(of(1, [&[f32::NAN; 2]; 3], &[]).1, None);
        let percent = read(2, [&[25.0, 50.0, 75.0, 50.0], &[0.0, 99.5, 100.0, 0.5], &[50.0; 4]], &[]);
        assert_eq!(percent.notes, ["its values sum to 100 at every pixel: probabilities times 100?"]);
        assert!(read(2, [&[25.0, 50.0, 75.0, 51.0]; 3], &[&[0.0; 4]]).notes.is_empty());
        // Whole numbers from 0 up are labels, and 0 and 1 alone may be anything.
        assert_eq!(of(1, [&[0.0, 3.0], &[1.0, 1.0], &[0.0, 0.0]], &[]).1, Labels);
        assert_eq!(of(1, [&[0.0, 1.0], &[1.0, 1.0], &[0.0, 0.0]], &[]).1, Sigmoid);
        assert_eq!(of(2, [&[0.0, 3.0, 1.0, 1.0]; 3], &[&[0.0; 4]]).1, None);
    }
}
