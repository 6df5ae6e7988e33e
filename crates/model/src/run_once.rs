//! Whether a model loads and runs at all: one run, where an inspection takes many.

use crate::inspect::{NUMBERS_MAX, ScoresOf, declared, layouts, trial_sizes};
use crate::probe::Probe;
use crate::session::{self, SessionOptions};
use crate::{ModelError, ModelRef, Runtime};
use marquetry_geometry::Size;
use std::collections::BTreeMap;

/// Sides that are tried where the model takes any, px: small ones cost little, and some models take none that small.
const SIDES: [u32; 2] = [128, 512];

/// Loads a model and runs it on zeros, on the processor: at the size that it fixes, or at a small one. The inner error is why no
/// run worked.
///
/// # Errors
/// When it is not a model that can be loaded, a file with weights was not given along with it, or memory runs out.
pub fn run_once<'a>(
    runtime: &Runtime,
    model: impl Into<ModelRef<'a>>,
) -> Result<Result<(), String>, ModelError> {
    let model = model.into();
    let intra_threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let options = SessionOptions { intra_threads, ..SessionOptions::default() };
    let mut session = session::open(runtime, model, &options, &BTreeMap::new())?;
    let facts = declared(&session, model);
    let [input] = facts.inputs.as_slice() else {
        return Ok(Err(format!("it has {} inputs, and one image input is needed", facts.inputs.len())));
    };
    let axes = match layouts(input, None) {
        Ok(axes) => axes,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut first = None;
    for (axes, side) in SIDES.iter().flat_map(|side| axes.iter().map(move |axes| (axes, *side))) {
        let batch = axes.batch.fixed().map_or(1, |batch| batch as u32);
        let channels = axes.channels.fixed().map_or_else(|| vec![3, 1, 4], |channels| vec![channels as u32]);
        for (channels, size) in
            channels.iter().flat_map(|c| trial_sizes(axes, Size::square(side)).into_iter().map(|s| (*c, s)))
        {
            let numbers = size.area().saturating_mul(u64::from(batch) * u64::from(channels));
            if numbers == 0 || numbers > NUMBERS_MAX {
                first = first.or_else(|| Some(format!("one run at {size} px takes {numbers} numbers")));
                continue;
            }
            let (element, layout, of) = (&input.element, axes.layout, ScoresOf::Pixels);
            let mut probe = Probe { session: &mut session, element, layout, channels, of };
            match probe.run(batch, size, &vec![0.0; numbers as usize]) {
                Ok(_) => return Ok(Ok(())),
                Err(error @ ModelError::OutOfMemory { .. }) => return Err(error),
                Err(error) => first = first.or_else(|| Some(error.to_string())),
            }
        }
    }
    Ok(Err(first.unwrap_or_default()))
}

/// Which axis of a model's image input is which, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageAxes {
    /// Of images.
    pub batch: usize,
    /// Of rows.
    pub height: usize,
    /// Of columns.
    pub width: usize,
}

/// The axes of the image input, likeliest where its dimensions do not tell. The inner error is why it has none.
///
/// # Errors
/// When it is not a model that can be loaded.
pub fn image_axes<'a>(
    runtime: &Runtime,
    model: impl Into<ModelRef<'a>>,
) -> Result<Result<ImageAxes, String>, ModelError> {
    let model = model.into();
    let session = session::open(runtime, model, &SessionOptions::default(), &BTreeMap::new())?;
    let facts = declared(&session, model);
    let [input] = facts.inputs.as_slice() else {
        return Ok(Err(format!("it has {} inputs, and one image input is needed", facts.inputs.len())));
    };
    let axes = layouts(input, None).map(|all| all[0].layout);
    Ok(axes.map(|layout| match layout {
        crate::Layout::Nchw => ImageAxes { batch: 0, height: 2, width: 3 },
        crate::Layout::Nhwc => ImageAxes { batch: 0, height: 1, width: 2 },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::for_tests;
    use crate::toy::Toy;

    #[test]
    fn axes_follow_the_layout() {
        let runtime = &for_tests();
        let axes = |layout| image_axes(runtime, &Toy { layout, ..Toy::default() }.bytes()).unwrap().unwrap();
        assert_eq!(axes(crate::Layout::Nchw), ImageAxes { batch: 0, height: 2, width: 3 });
        assert_eq!(axes(crate::Layout::Nhwc), ImageAxes { batch: 0, height: 1, width: 2 });
    }

    #[test]
    fn models_of_many_kinds_run_once() {
        let runtime = &for_tests();
        for toy in [
            Toy::default(),
            Toy { size: Some(Size::new(48, 64)), ..Toy::default() },
            Toy { layout: crate::Layout::Nhwc, ..Toy::default() },
            Toy { channels: 1, is_open: true, ..Toy::default() },
            Toy { batch: Some(3), ..Toy::default() },
            Toy { element_in: crate::Element::F16, ..Toy::default() },
        ] {
            assert_eq!(run_once(runtime, &toy.bytes()).unwrap(), Ok(()), "{toy:?}");
        }
        let large = Toy { size: Some(Size::square(1 << 20)), ..Toy::default() };
        let refused = run_once(runtime, &large.bytes()).unwrap().unwrap_err();
        assert!(refused.contains("numbers"), "{refused}");
        assert!(run_once(runtime, &Toy::default().bytes()[..40].to_vec()).is_err());
    }
}
