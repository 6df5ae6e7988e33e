//! How a job's pixels become a model's input, as far as the job says it.

use crate::planning::activation::channels as counted;
use marquetry_geometry::Padding;
use marquetry_job::{Input, Layout, Scale};
use marquetry_model::ModelFacts;
use marquetry_spec::{InputLayout, InputSpec, Normalise};

/// The input of a model whose job takes `job_bands` of its images, all of them if not given.
pub(crate) fn input(
    job_bands: Option<&[u16]>,
    input: &InputSpec,
    scale: Scale,
    (padding, padding_value): (Padding, f32),
) -> Input {
    let (mean, std, measured) = match &input.normalise {
        Normalise::Fixed { mean, std } => (mean.clone(), std.clone(), None),
        Normalise::Measured(measured) => (Vec::new(), Vec::new(), Some(*measured)),
    };
    // A model's bands are counted among the job's, those among the file's.
    let bands = match (job_bands, &input.bands) {
        (Some(job), Some(own)) => {
            Some(own.iter().filter_map(|&b| job.get(usize::from(b)).copied()).collect())
        }
        (Some(bands), None) => Some(bands.to_vec()),
        (None, own) => own.clone(),
    };
    Input { bands, reversed: input.reversed, scale, mean, std, measured, padding, padding_value }
}

/// The order of the axes, where the job says it.
pub(crate) const fn layout(input: &InputSpec) -> Option<Layout> {
    match input.layout {
        InputLayout::Auto => None,
        InputLayout::Nchw => Some(Layout::Nchw),
        InputLayout::Nhwc => Some(Layout::Nhwc),
    }
}

/// One mean and deviation for all channels, or one for each.
///
/// # Errors
/// With the reason, when there are others.
pub(crate) fn check(input: &InputSpec, channels: u32) -> Result<(), String> {
    let Normalise::Fixed { mean, std } = &input.normalise else { return Ok(()) };
    for (key, list) in [("mean", mean), ("std", std)] {
        if list.len() > 1 && list.len() != channels as usize {
            return Err(format!(
                "input.{key}: it has {} values, and the model has {}: give one for all, or one for each",
                list.len(),
                counted(channels)
            ));
        }
    }
    Ok(())
}

/// What there is to tell of a mean and deviation that are not those of the model's own metadata.
pub(crate) fn unlike_stated(facts: &ModelFacts, normalise: &Normalise) -> Option<String> {
    let stated = facts.normalisation.as_ref()?;
    // What the graph does itself is told of already, and needs nothing of the job.
    if facts.image.as_ref().is_some_and(|image| image.scaling.is_some()) {
        return None;
    }
    let job = match normalise {
        Normalise::Fixed { mean, std } if stated.is(mean, std) => return None,
        Normalise::Fixed { mean, std } if mean.iter().all(|m| *m == 0.0) && std.iter().all(|s| *s == 1.0) => {
            "none".to_owned()
        }
        Normalise::Fixed { mean, std } => format!("mean: {mean:?}, std: {std:?}"),
        Normalise::Measured(_) => "measures them".to_owned(),
    };
    Some(format!(
        "input.mean, input.std: its own metadata has {} ({}), and the job {}{job}: say what it was trained with",
        stated.in_words(),
        stated.keys,
        if matches!(normalise, Normalise::Measured(_)) { "" } else { "has " },
    ))
}
