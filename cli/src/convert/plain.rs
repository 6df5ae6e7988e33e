//! What changes no score: open dimensions fixed, weights in one file, numbers too small to be normal set to 0.

use super::agreement::AGREE_MIN;
use super::{Agreement, ConvertArgs};
use crate::exit::{Exit, Fatal};
use crate::new_model::fatal;
use marquetry_failure::Classify;
use marquetry_model::{Difference, Runtime, difference, image_axes, run_once};
use marquetry_onnx::{Cleaned, with_dimensions, without_denormals};
use std::collections::BTreeMap;
use std::str::FromStr;

/// Scores may be apart by so much of the greatest of them: shapes that are known beforehand let ONNX Runtime sum in another
/// order.
const APART_MAX: f64 = 1e-5;

/// Which dimensions are fixed, and at what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freeze {
    pub(crate) batch: Option<u32>,
    pub(crate) height: Option<u32>,
    pub(crate) width: Option<u32>,
}

impl FromStr for Freeze {
    type Err = String;

    /// Reads `batch=1,height=512,width=512`, in which `size=512` stands for both sides.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut freeze = Self { batch: None, height: None, width: None };
        for part in text.split(',') {
            let form = "write batch=1, height=512, width=512 or size=512, with commas between";
            let (name, length) = part.split_once('=').ok_or_else(|| format!("`{part}`: {form}"))?;
            let length: u32 = length
                .trim()
                .parse()
                .ok()
                .filter(|length| *length > 0)
                .ok_or_else(|| format!("`{part}`: a whole number from 1 is wanted after the ="))?;
            let all = match name.trim() {
                "batch" => vec![&mut freeze.batch],
                "height" => vec![&mut freeze.height],
                "width" => vec![&mut freeze.width],
                "size" => vec![&mut freeze.height, &mut freeze.width],
                _ => return Err(format!("`{part}`: {form}")),
            };
            for of in all {
                if of.replace(length).is_some_and(|before| before != length) {
                    return Err(format!("`{part}`: that dimension was said before, with another length"));
                }
            }
        }
        Ok(freeze)
    }
}

/// The model with nothing changed that changes scores.
pub(crate) struct Plain {
    pub(crate) onnx: Vec<u8>,
    pub(crate) freeze: Option<Freeze>,
    pub(crate) cleaned: Option<Cleaned>,
}

impl Plain {
    pub(crate) fn of(args: &ConvertArgs, runtime: &Runtime, whole: &[u8]) -> Result<Self, Fatal> {
        let mut onnx = whole.to_vec();
        if let Some(freeze) = args.freeze {
            let axes = image_axes(runtime, whole)
                .map_err(|error| Fatal::new(error.class().into(), format!("{}: {error}", args.model)))?;
            let axes = axes.map_err(|reason| {
                Fatal::new(Exit::BadJob, format!("--freeze: it is not known which axis is which: {reason}"))
            })?;
            let wanted =
                [(axes.batch, freeze.batch), (axes.height, freeze.height), (axes.width, freeze.width)];
            let wanted = wanted.into_iter().filter_map(|(axis, length)| Some((axis, u64::from(length?))));
            onnx = with_dimensions(&onnx, &wanted.collect::<BTreeMap<_, _>>()).map_err(|error| {
                Fatal::new(error.class().into(), format!("--freeze: {}: {error}", args.model))
            })?;
        }
        let mut cleaned = None;
        if args.clean_denormals {
            let (clean, done) = without_denormals(&onnx).map_err(|error| fatal(&error))?;
            (onnx, cleaned) = (clean, Some(done));
        }
        Ok(Self { onnx, freeze: args.freeze, cleaned })
    }
}

/// Refuses a model whose scores are not those of the one that it was made of.
pub(crate) fn check(agreement: &Agreement) -> Result<(), Fatal> {
    let counts = agreement.counts;
    let labels = Difference {
        labels: counts.labels,
        labels_apart: counts.labels - counts.same,
        ..Difference::default()
    };
    apart(if agreement.are_labels { labels } else { agreement.difference }, "the windows of the job")
}

/// The same where there are no images: both run on noise. None where neither runs.
pub(crate) fn on_noise(runtime: &Runtime, whole: &[u8], onnx: &[u8]) -> Result<Option<Difference>, Fatal> {
    let found = difference(runtime, whole, onnx).map_err(|error| {
        Fatal::new(
            error.class().into(),
            format!("the model, or what it was to become, cannot be loaded: {error}"),
        )
    })?;
    match found {
        Ok(found) => {
            apart(found, "noise")?;
            Ok(Some(found))
        }
        Err(reason) if matches!(run_once(runtime, whole), Ok(Ok(()))) => Err(Fatal::new(
            Exit::BadJob,
            format!("the model runs, and does not as it was to become, so nothing is written: {reason}"),
        )),
        Err(_) => Ok(None),
    }
}

fn apart(difference: Difference, on: &str) -> Result<(), Fatal> {
    let found = if difference.most > APART_MAX * difference.largest {
        format!(
            "scores differ by up to {:.3e} (the greatest is {:.3e}), and what was asked for should change none by more than \
             {APART_MAX:.0e} of that",
            difference.most, difference.largest
        )
    } else if difference.labels_apart as f64 > (1.0 - AGREE_MIN) * difference.labels as f64 {
        format!("{} of {} labels differ", difference.labels_apart, difference.labels)
    } else {
        return Ok(());
    };
    Err(Fatal::new(
        Exit::BadJob,
        format!(
            "on {on} {found}: nothing is written. If a size was to be fixed: a model whose shapes are written into its graph takes no \
             other; export it for the size that is wanted"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_scores_and_other_labels_are_refused() {
        let scores = |most| Difference { numbers: 9, most, largest: 10.0, ..Difference::default() };
        assert!(apart(scores(9e-5), "noise").is_ok() && apart(scores(2e-4), "noise").is_err());
        assert!(apart(scores(f64::INFINITY), "noise").is_err());
        let labels = |labels_apart| Difference { labels: 1000, labels_apart, ..Difference::default() };
        assert!(apart(labels(1), "noise").is_ok() && apart(labels(2), "noise").is_err());
    }

    #[test]
    fn dimensions_are_read_by_name() {
        let read = |text: &str| text.parse::<Freeze>();
        let all = Freeze { batch: Some(1), height: Some(512), width: Some(256) };
        assert_eq!(read("batch=1,height=512,width=256"), Ok(all));
        assert_eq!(read("size=64"), Ok(Freeze { batch: None, height: Some(64), width: Some(64) }));
        for wrong in ["", "batch", "batch=0", "batch=-1", "depth=3", "size=64,width=32", "batch=1;width=3"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
