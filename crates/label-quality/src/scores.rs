//! A label, and what an ensemble says of each of its pixels, row by row.

use crate::confident::{ConfidentCounts, ConfidentSums};
use crate::evidence::evidence;
use crate::softmin::WindowSoftmin;
use marquetry_evaluation::{LEFT_OUT, LabelPair};
use marquetry_geometry::Size;

/// What is kept of an image while its rows go by: label, predicted class and evidence, 5 bytes a pixel.
#[derive(Debug, Clone)]
pub struct LabelledScores {
    size: Size,
    classes: usize,
    labels: Vec<u16>,
    predicted: Vec<u16>,
    /// Of pixels whose label is not the predicted class: see `evidence`.
    evidence: Vec<u8>,
    softmin: WindowSoftmin,
    confident: ConfidentSums,
    confident_others: ConfidentCounts,
    /// Of the row at hand: the probability of the predicted class, and of the label.
    best: Vec<f32>,
    own: Vec<f32>,
}

impl LabelledScores {
    /// Of an image of `size` and `classes` classes, at most 65,534; no row yet.
    pub fn new(size: Size, classes: usize) -> Self {
        let (pixels, width) = (size.area() as usize, size.width as usize);
        Self {
            size,
            classes,
            labels: Vec::with_capacity(pixels),
            predicted: Vec::with_capacity(pixels),
            evidence: Vec::with_capacity(pixels),
            softmin: WindowSoftmin::new(size.height as usize, width),
            confident: ConfidentSums::new(classes),
            confident_others: ConfidentCounts::default(),
            best: vec![0.0; width],
            own: vec![0.0; width],
        }
    }

    /// Takes the next row, from top to bottom: `probabilities` as `[C, W]`, `labels` as `[W]`. A label that is no class is
    /// left out, and so is a pixel of which a probability that matters is no finite number. Of equal probabilities the first
    /// class is predicted.
    ///
    /// # Panics
    /// When it is no row of the image, or one too many.
    pub fn push_row(&mut self, probabilities: &[f32], labels: &[u16]) {
        let width = self.size.width as usize;
        assert!(
            labels.len() == width && probabilities.len() == width * self.classes,
            "{} labels and {} probabilities in a row of {width}",
            labels.len(),
            probabilities.len()
        );
        assert!(self.labels.len() + width <= self.size.area() as usize, "more rows than {}", self.size);
        let from = self.labels.len();
        self.labels.extend_from_slice(labels);
        self.predicted.resize(from + width, 0);
        self.predict(probabilities, from);
        let rows = self.labels[from..].iter_mut().zip(&self.predicted[from..]);
        for ((label, predicted), (best, own)) in rows.zip(self.best.iter().zip(&self.own)) {
            if usize::from(*label) >= self.classes || !best.is_finite() || !own.is_finite() {
                *label = LEFT_OUT;
            } else {
                self.confident.add(*label, *own);
            }
            let wrong = *label != LEFT_OUT && *label != *predicted;
            if wrong {
                self.confident_others.add(*predicted, *best);
            }
            self.evidence.push(if wrong { evidence(*best, *own) } else { 0 });
        }
        let known = self.labels[from..].iter().zip(&self.own);
        self.softmin.push_row(known.map(|(&label, own)| (label != LEFT_OUT).then_some(own.clamp(0.0, 1.0))));
    }

    /// The predicted classes of the row that begins at pixel `from`, their probabilities, and those of labels.
    fn predict(&mut self, probabilities: &[f32], from: usize) {
        self.best.fill(f32::NEG_INFINITY);
        let (labels, predicted) = (&self.labels[from..], &mut self.predicted[from..]);
        for (class, line) in probabilities.chunks_exact(labels.len().max(1)).enumerate() {
            for ((best, predicted), &p) in self.best.iter_mut().zip(predicted.iter_mut()).zip(line) {
                if p > *best {
                    (*best, *predicted) = (p, class as u16);
                }
            }
        }
        for (x, (own, &label)) in self.own.iter_mut().zip(labels).enumerate() {
            *own = probabilities.get(usize::from(label) * labels.len() + x).copied().unwrap_or(f32::NAN);
        }
    }

    /// The image's size.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// How many classes there are.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// The rows so far: the given label as the truth, and the predicted class.
    pub fn pair(&self) -> LabelPair<'_> {
        LabelPair { width: self.size.width, truth: &self.labels, predicted: &self.predicted }
    }

    /// Evidence against each pixel's label, in steps of 1/25 nat; 0 where the label is predicted, or left out.
    pub fn evidence(&self) -> &[u8] {
        &self.evidence
    }

    /// The softmin of the labels' probabilities.
    pub const fn softmin(&self) -> &WindowSoftmin {
        &self.softmin
    }

    /// Pixels that are predicted to be of another class than their label, by how sure that is.
    pub const fn confident_others(&self) -> &ConfidentCounts {
        &self.confident_others
    }

    /// What the image adds to the thresholds of confident learning.
    pub const fn confident(&self) -> &ConfidentSums {
        &self.confident
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_each_sort() {
        let mut scores = LabelledScores::new(Size::new(1, 5), 2);
        let nan = f32::NAN;
        scores.push_row(&[/**/ 0.9, 0.25, 0.5, nan, 0.9, /**/ 0.1, 0.75, 0.5, nan, 0.1], &[0, 0, 1, 0, 2]);
        assert_eq!(scores.pair().truth, [0, 0, 1, LEFT_OUT, LEFT_OUT]);
        assert_eq!(scores.pair().predicted[..3], [0, 1, 0], "of equal ones the first");
        assert_eq!(scores.evidence(), [0, 27, 0, 0, 0]);
        let thresholds = scores.confident().thresholds();
        assert!((thresholds.of(0).expect("two pixels") - 0.575).abs() < 1e-6);
    }

    #[test]
    #[should_panic(expected = "more rows")]
    fn no_row_too_many() {
        let mut scores = LabelledScores::new(Size::new(1, 1), 1);
        scores.push_row(&[1.0], &[0]);
        scores.push_row(&[1.0], &[0]);
    }
}
