//! What labels mean for outputs and people.

use marquetry_ensemble::Labelling;
use marquetry_raster::write::{Legend, WriteError, palette};
use marquetry_spec::JobSpec;

/// The classes of a job with their colours and their values in files, and the label of pixels without scores.
///
/// # Errors
/// When there are more classes than labels can name, or two of one value.
pub fn legend(spec: &JobSpec) -> Result<Legend, WriteError> {
    let names = spec.class_names();
    let defaults = palette(&names);
    let colours = spec.classes.iter().zip(defaults).map(|(c, default)| c.colour.unwrap_or(default)).collect();
    let ignore = Some(spec.missing_label());
    let legend = match spec.labelling {
        Labelling::Multiclass => {
            Legend::labels(names, ignore)?.with_values(spec.labels.clone(), spec.failures.ignore)?
        }
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
