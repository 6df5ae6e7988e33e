//! The model in half precision: as many nodes as the gate lets through.

use super::agreement::Agreement;
use super::calibration::Calibration;
use crate::exit::{Exit, Fatal};
use crate::new_model::fatal;
use crate::say;
use marquetry_failure::counted;
use marquetry_model::HALF_PRECISION_MAGNITUDE_MAX;
use marquetry_onnx::{HalfType, Halving, Kept, with_folded_norms};
use std::collections::BTreeMap;

/// How often nodes are given back to single precision: one the first time, and each time twice as many.
const TRIES_MAX: u32 = 8;

/// What came of it.
pub(crate) struct Half {
    /// Of what devices say that compute in half precision.
    pub(crate) agreement: Agreement,
    /// Of what ONNX Runtime says here, where that is something else.
    pub(crate) here: Option<Agreement>,
    /// Nodes in half precision; of `bf16` those that take weights stored in it.
    pub(crate) nodes: usize,
    pub(crate) tensors: usize,
    pub(crate) numbers: u64,
    pub(crate) casts: usize,
    /// Batch normalisations that were folded first.
    pub(crate) folded: usize,
    /// Nodes that could be in half precision and are not, and why.
    pub(crate) kept: Vec<(String, Kept)>,
    /// Operators that never are, and how many there are of each.
    pub(crate) others: BTreeMap<String, usize>,
}

impl Half {
    /// Makes `plain` a model in half precision that agrees with `whole`, the model as it was given.
    pub(crate) fn made(
        to: HalfType,
        whole: &[u8],
        plain: &[u8],
        calibration: &Calibration<'_>,
    ) -> Result<(Self, Vec<u8>), Fatal> {
        // A variance below 6e-5 would be no normal number of half precision: normalisation is folded first, in single.
        let (onnx, folded) = match to {
            HalfType::F16 => with_folded_norms(plain).map_err(|error| fatal(&error))?,
            HalfType::BF16 => (plain.to_vec(), 0),
        };
        let mut halving = Halving::new(&onnx, to).map_err(|error| fatal(&error))?;
        if to == HalfType::F16 {
            keep_large(&mut halving, &onnx, calibration)?;
        }
        let (mut before, mut last) = (None, None);
        for tries in 0..=TRIES_MAX {
            let halved = halving.write().map_err(|error| fatal(&error))?;
            if halved.tensors == 0 {
                return Err(
                    last.map_or_else(|| nothing_to_do(&halving), |reason: String| refused(&reason, &halving))
                );
            }
            if to == HalfType::BF16 && halved.onnx.len() >= plain.len() {
                let reason = last.unwrap_or_else(|| "its weights are few".to_owned());
                return Err(refused(
                    &format!("{reason}; what could be stored as bf16 makes no smaller file"),
                    &halving,
                ));
            }
            // The processor hardly computes in half precision, and would say better scores than devices that do.
            let rounded = match to {
                HalfType::F16 => halving.rounded().map_err(|error| fatal(&error))?,
                HalfType::BF16 => halved.onnx.clone(),
            };
            let mut agreement = calibration.compare(whole, &rounded)?;
            if agreement.refusal().is_none()
                && let Some(after) = calibration.mean_iou("converted", &rounded)?
            {
                if before.is_none() {
                    before = calibration.mean_iou("as it was", whole)?;
                }
                agreement.mean_iou = before.map(|before| (before, after));
            }
            let Some(reason) = agreement.refusal() else {
                let here = match to {
                    HalfType::F16 => {
                        let mut here = calibration.compare(whole, &halved.onnx)?;
                        if here.refusal().is_none()
                            && let Some(after) =
                                calibration.mean_iou("converted, as it runs here", &halved.onnx)?
                        {
                            here.mean_iou = before.map(|before| (before, after));
                        }
                        Some(here)
                    }
                    HalfType::BF16 => None,
                };
                if let Some(reason) = here.as_ref().and_then(Agreement::refusal) {
                    return Err(refused(&format!("as it runs here, {reason}"), &halving));
                }
                let half = Self {
                    agreement,
                    here,
                    nodes: halved.nodes,
                    tensors: halved.tensors,
                    numbers: halved.numbers,
                    casts: halved.casts,
                    folded,
                    kept: halving.kept().collect(),
                    others: halving.others(),
                };
                return Ok((half, halved.onnx));
            };
            if tries == TRIES_MAX {
                return Err(refused(&reason, &halving));
            }
            let worst = worst(&halving, [&onnx, &rounded], calibration, 1 << tries)?;
            if worst.is_empty() {
                return Err(refused(&reason, &halving));
            }
            say::note(&format!("{reason}: what is off most stays in f32 ({})", counted(worst.len(), "node")));
            last = Some(reason);
            worst.into_iter().for_each(|(place, error)| halving.keep(place, Kept::Error(error)));
        }
        Err(Fatal::new(Exit::Bug, "a bug: tries went on"))
    }
}

fn keep_large(halving: &mut Halving<'_>, onnx: &[u8], calibration: &Calibration<'_>) -> Result<(), Fatal> {
    let magnitudes = calibration.magnitudes(onnx, &halving.values().map_err(|error| fatal(&error))?)?;
    let nodes = halving.nodes().map_err(|error| fatal(&error))?;
    let nodes = nodes.into_iter().filter_map(|candidate| {
        let values = candidate.node.inputs.iter().chain(&candidate.node.outputs);
        let most = values.filter_map(|name| magnitudes.get(*name)).copied().fold(0.0, f64::max);
        (most > HALF_PRECISION_MAGNITUDE_MAX).then_some((candidate.place, most))
    });
    let large: Vec<(usize, f64)> = nodes.collect();
    large.into_iter().for_each(|(place, most)| halving.keep(place, Kept::Magnitude(most as f32)));
    Ok(())
}

/// The nodes that add most to how far values are off, relative to how much these vary: at most so many, each with how far what it gives is
/// off. What a node is given is off already: that is not its fault.
fn worst(
    halving: &Halving<'_>,
    [onnx, rounded]: [&[u8]; 2],
    calibration: &Calibration<'_>,
    most: usize,
) -> Result<Vec<(usize, f64)>, Fatal> {
    let values = halving.values().map_err(|error| fatal(&error))?;
    let errors = calibration.errors(onnx, rounded, &values)?;
    let of = |names: &[&str]| names.iter().filter_map(|name| errors.get(*name)).copied().fold(0.0, f64::max);
    let nodes = halving.nodes().map_err(|error| fatal(&error))?;
    let nodes = nodes.into_iter().map(|candidate| {
        let (after, before) = (of(&candidate.node.outputs), of(&candidate.node.inputs));
        let added = if before.is_infinite() { 0.0 } else { after - before };
        (candidate.place, after, added)
    });
    let mut nodes: Vec<(usize, f64, f64)> = nodes.filter(|(.., added)| *added > 0.0).collect();
    nodes.sort_by(|a, b| b.2.total_cmp(&a.2));
    nodes.truncate(most);
    Ok(nodes.into_iter().map(|(place, error, _)| (place, error)).collect())
}

fn refused(reason: &str, halving: &Halving<'_>) -> Fatal {
    let half = halving.nodes().map_or(0, |nodes| nodes.len());
    let kept = halving.kept().count();
    Fatal::new(
        Exit::BadJob,
        format!(
            "the model does not bear it, and nothing is written: {reason}; of its nodes {half} were in half precision, and {kept} that \
             could be stayed in f32 already. Use the model as it is"
        ),
    )
}

fn nothing_to_do(halving: &Halving<'_>) -> Fatal {
    let kept: Vec<String> = halving.kept().take(3).map(|(node, why)| format!("{node}: {why}")).collect();
    let reason = if kept.is_empty() {
        let others: Vec<String> = halving.others().into_keys().collect();
        format!(
            "it has no weights of convolutions or products of matrices in f32, or too few to be worth it (operators in f32: {})",
            others.join(", ")
        )
    } else {
        format!("what could be stays in f32 ({})", kept.join("; "))
    };
    Fatal::new(
        Exit::BadJob,
        format!("nothing of the model would be in half precision, and nothing is written: {reason}"),
    )
}
