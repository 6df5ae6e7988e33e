//! What labels mean for outputs and people.

use marquetry_ensemble::Labelling;
use marquetry_raster::write::{Legend, WriteError, palette};
use marquetry_spec::JobSpec;

/// The classes of a job with their colours, and the label of pixels without scores.
///
/// # Errors
/// When there are more classes than labels can name.
pub fn legend(spec: &JobSpec) -> Result<Legend, WriteError> {
    let names = spec.class_names();
    let defaults = palette(&names);
    let colours = spec.classes.iter().zip(defaults).map(|(c, default)| c.colour.unwrap_or(default)).collect();
    let ignore = Some(spec.failures.ignore);
    let legend = match spec.labelling {
        Labelling::Multiclass => Legend::labels(names, ignore)?,
        Labelling::Multilabel => Legend::multilabel(names, ignore)?,
    };
    legend.with_colours(colours)
}

/// The one class of a mask that unites several.
pub const UNION: u16 = 1;

/// The classes that are things: all but the background.
pub fn objects(spec: &JobSpec) -> Vec<u16> {
    (0..spec.classes.len()).filter(|&c| Some(c) != spec.decide.background).map(|c| c as u16).collect()
}

/// How sure the ensemble is of each pixel of a row `[C, W]` of probabilities, 0 to 1: the greatest probability, or,
/// where classes share pixels, how far the least sure class is from one half.
pub fn confidence(row: &[f32], width: usize, labelling: Labelling) -> Vec<f32> {
    match labelling {
        Labelling::Multiclass => fold_lines(row, width, 0.0, |best, p| if p > best { p } else { best }),
        Labelling::Multilabel => fold_lines(row, width, 1.0, |least, p| least.min((2.0 * p - 1.0).abs())),
    }
}

/// Inlined into both calls, so that the loop over a line becomes vector instructions.
fn fold_lines(row: &[f32], width: usize, start: f32, fold: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let mut sure = vec![start; width];
    for line in row.chunks_exact(width) {
        sure.iter_mut().zip(line).for_each(|(s, &p)| *s = fold(*s, p));
    }
    sure
}
