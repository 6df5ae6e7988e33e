//! How far the outputs of two models that should say the same are apart.

use crate::facts::Element;
use crate::inspect::{NUMBERS_MAX, ScoresOf, declared, layouts, trial_sizes};
use crate::probe::{Noise, Probe};
use crate::session::{self, SessionOptions};
use crate::{ModelError, ModelRef, Runtime};
use marquetry_geometry::Size;
use std::collections::BTreeMap;

/// Side that is tried where the models take any, px.
const SIDE: u32 = 256;

/// How far outputs are apart, over all numbers of all outputs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Difference {
    /// Numbers that were compared, of floats.
    pub numbers: u64,
    /// The greatest difference; infinite where one is no number and the other is.
    pub most: f64,
    /// The greatest size of a number of the first model.
    pub largest: f64,
    /// Whole numbers that were compared: labels, of which one that differs differs by any number.
    pub labels: u64,
    /// Those that differ.
    pub labels_apart: u64,
}

impl Difference {
    /// Takes in two numbers of one place.
    pub fn add(&mut self, first: f32, other: f32) {
        self.numbers += 1;
        if first.is_finite() {
            self.largest = self.largest.max(f64::from(first).abs());
        }
        if first.to_bits() != other.to_bits() && !(first.is_nan() && other.is_nan()) {
            let apart = (f64::from(first) - f64::from(other)).abs();
            self.most = self.most.max(if apart.is_nan() { f64::INFINITY } else { apart });
        }
    }

    /// Both together.
    #[must_use]
    pub fn joined(self, more: Self) -> Self {
        Self {
            numbers: self.numbers + more.numbers,
            most: self.most.max(more.most),
            largest: self.largest.max(more.largest),
            labels: self.labels + more.labels,
            labels_apart: self.labels_apart + more.labels_apart,
        }
    }
}

/// Runs two models, on the processor, on noise of the spread of normalised pixels and on noise of that of raw ones, at a size that `second`
/// takes, and compares all that they give. The inner error is why no run worked.
///
/// # Errors
/// When one is no model that can be loaded, or memory runs out.
pub fn difference<'a>(
    runtime: &Runtime,
    first: impl Into<ModelRef<'a>>,
    second: impl Into<ModelRef<'a>>,
) -> Result<Result<Difference, String>, ModelError> {
    let (first, second) = (first.into(), second.into());
    let options = SessionOptions::default();
    let mut a = session::open(runtime, first, &options, &BTreeMap::new())?;
    let mut b = session::open(runtime, second, &options, &BTreeMap::new())?;
    let facts = declared(&b, second);
    let [input] = facts.inputs.as_slice() else {
        return Ok(Err(format!("it has {} inputs, and one image input is needed", facts.inputs.len())));
    };
    let axes = match layouts(input, None) {
        Ok(axes) => axes,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut reasons = None;
    for axes in &axes {
        let batch = axes.batch.fixed().map_or(1, |batch| batch as u32);
        let channels = axes.channels.fixed().map_or_else(|| vec![3, 1, 4], |channels| vec![channels as u32]);
        let sizes = trial_sizes(axes, Size::square(SIDE));
        for (channels, size) in channels.iter().flat_map(|c| sizes.iter().map(|size| (*c, *size))) {
            let count = size.area().saturating_mul(u64::from(batch) * u64::from(channels));
            if count == 0 || count > NUMBERS_MAX {
                reasons = reasons.or_else(|| Some(format!("one run at {size} px takes {count} numbers")));
                continue;
            }
            let mut found = Difference::default();
            let mut run = |low, high| {
                let noise = Noise::fill(1, count as usize, low, high);
                let element: &Element = &input.element;
                let of = |session| {
                    Probe { session, element, layout: axes.layout, channels, of: ScoresOf::Pixels }
                        .run(batch, size, &noise)
                };
                let (first, second) = (of(&mut a)?, of(&mut b)?);
                for (first, second) in first.iter().zip(&second) {
                    if first.values.len() != second.values.len() {
                        found.most = f64::INFINITY;
                    }
                    let is_float = matches!(first.element, Element::F32 | Element::F16 | Element::F64);
                    for (x, y) in first.values.iter().zip(&second.values) {
                        if is_float {
                            found.add(*x, *y);
                        } else {
                            found.labels += 1;
                            found.labels_apart += u64::from(x != y);
                        }
                    }
                }
                Ok::<(), ModelError>(())
            };
            match run(-2.0, 2.0).and_then(|()| run(0.0, 255.0)) {
                Ok(()) => return Ok(Ok(found)),
                Err(error @ ModelError::OutOfMemory { .. }) => return Err(error),
                Err(error) => reasons = reasons.or_else(|| Some(error.to_string())),
            }
        }
    }
    Ok(Err(reasons.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::for_tests;
    use crate::toy::Toy;

    #[test]
    fn numbers_that_are_none_are_far_from_those_that_are() {
        let apart = |a: f32, b: f32| {
            let mut difference = Difference::default();
            difference.add(a, b);
            difference.most
        };
        assert_eq!(apart(1.0, 1.5), 0.5);
        assert_eq!(apart(f32::NAN, f32::NAN), 0.0);
        assert_eq!(apart(f32::INFINITY, f32::INFINITY), 0.0);
        for (a, b) in
            [(1.0, f32::NAN), (f32::NAN, 1.0), (1.0, f32::INFINITY), (f32::INFINITY, -f32::INFINITY)]
        {
            assert_eq!(apart(a, b), f64::INFINITY, "{a} {b}");
        }
    }

    #[test]
    fn two_models_are_compared_on_noise() {
        let runtime = &for_tests();
        let toy = Toy { size: Some(Size::square(32)), ..Toy::default() };
        let same = difference(runtime, &toy.bytes(), &toy.bytes()).unwrap().unwrap();
        assert_eq!(same.most, 0.0);
        assert!(same.numbers > 0 && same.largest > 0.0, "{same:?}");
        let labels = Toy { activation: crate::Activation::Labels, element_out: Element::I64, ..toy };
        let same = difference(runtime, &labels.bytes(), &labels.bytes()).unwrap().unwrap();
        assert_eq!((same.numbers, same.labels_apart), (0, 0));
        assert!(same.labels > 0, "{same:?}");
    }
}
