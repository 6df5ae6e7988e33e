//! Windows of the user's images, and what models say of them.

use super::agreement::Agreement;
use crate::exit::{Exit, Fatal};
use crate::job::JobFile;
use crate::new_model::{Bench, Scores, Windows, fatal, put_aside, with_one_member};
use crate::say;
use marquetry_ensemble::{LabelAgreement, LabelRule, OutputActivation};
use marquetry_failure::{Classify, counted};
use marquetry_job::IoContract;
use marquetry_model::{Activations, Difference, ModelError, Network, OrtNetwork, SessionOptions};
use marquetry_onnx::giving;
use marquetry_worker::Failure;
use std::collections::BTreeMap;

/// Values that are held at once, of one window: those of a whole network may not fit into memory.
const VALUES_AT_ONCE: usize = 8;
/// Windows in which values of two models are compared.
const COMPARED_WINDOWS: usize = 8;

/// Windows of a job, and its truth.
pub(crate) struct Calibration<'a> {
    bench: &'a Bench<'a>,
    windows: Windows,
    scores: Option<Scores<'a>>,
}

/// Values by name: the greatest size of each, or how far it is off.
pub(crate) type ByValue = BTreeMap<String, f64>;

impl<'a> Calibration<'a> {
    /// At most `most` windows of `job`, as `onnx`, a model that is called `name`, takes them.
    pub(crate) fn plan(
        bench: &'a Bench<'a>,
        job: &'a str,
        (name, onnx): (&str, &[u8]),
        most: usize,
    ) -> Result<Self, Fatal> {
        let model = put_aside(bench.scratch, onnx, name)?;
        let file = with_one_member(JobFile::read(job, &bench.storage.files)?, job, &model)?;
        let scores = file.spec.truth.is_some().then(|| Scores::new(bench, job));
        let windows = Windows::plan(bench, file, most, true)?;
        if windows.len() == 0 {
            return Err(Fatal::new(Exit::BadJob, format!("no image of {job} can be used")));
        }
        Ok(Self { bench, windows, scores })
    }

    /// How far the scores of two models agree.
    pub(crate) fn compare(&self, first: &[u8], other: &[u8]) -> Result<Agreement, Fatal> {
        let inference = &self.windows.planned.plan.inference;
        let members = inference.groups.iter().flat_map(|group| &group.members);
        let applied = members.map(|member| member.applied).next();
        let applied = applied.ok_or_else(|| Fatal::new(Exit::Bug, "a bug: a plan without a member"))?;
        let labelling = inference.labelling;
        let runtime = self.bench.runtime;
        let open = |contract: &IoContract, options: &SessionOptions| {
            let open = |onnx: &[u8]| OrtNetwork::open(runtime, onnx, contract, options);
            Ok((open(first)?, open(other)?))
        };
        let found =
            self.windows.each("comparing the models", usize::MAX, open, |(a, b), contract, window| {
                let window = window.repeat(contract.batch as usize);
                let (a, b) = (a.run(&window)?, b.run(&window)?);
                let each = contract.output_len() / contract.batch.max(1) as usize;
                let (a, b) = (&a[..each.min(a.len())], &b[..each.min(b.len())]);
                let channels = contract.classes as usize;
                let mut difference = Difference::default();
                a.iter().zip(b).for_each(|(a, b)| difference.add(*a, *b));
                let rule = LabelRule::of(applied, labelling, channels);
                Ok((LabelAgreement::of(rule, a, b, channels), difference))
            })?;
        let are_labels = applied == OutputActivation::Labels;
        let mut agreement = Agreement { images: self.windows.images(), are_labels, ..Agreement::default() };
        for (counts, difference) in good(found)? {
            agreement.windows += 1;
            agreement.counts = agreement.counts.joined(counts);
            agreement.difference = agreement.difference.joined(difference);
        }
        Ok(agreement)
    }

    /// The mean IoU of a model, where the job has truth.
    pub(crate) fn mean_iou(&self, what: &str, onnx: &[u8]) -> Result<Option<f64>, Fatal> {
        self.scores.as_ref().map(|scores| scores.of(what, onnx)).transpose()
    }

    /// The greatest size of each of these values of a model, over all windows; infinite where one is no number. Of the input
    /// too, under the name that the model has for it.
    pub(crate) fn magnitudes(&self, onnx: &[u8], values: &[&str]) -> Result<ByValue, Fatal> {
        let mut all = ByValue::new();
        for values in values.chunks(VALUES_AT_ONCE) {
            let tapped = giving(onnx, values).map_err(|error| fatal(&error))?;
            let runtime = self.bench.runtime;
            let found = self.windows.each(
                "looking at the values of nodes",
                usize::MAX,
                |contract, options| Activations::open(runtime, &tapped, contract, values, options),
                |session, contract, window| {
                    let mut largest = vec![(contract.input.clone(), size_of(window))];
                    session.run(&window.repeat(contract.batch as usize), |place, output| {
                        largest.push((values[place].to_owned(), size_of(output.numbers)));
                    })?;
                    Ok(largest)
                },
            )?;
            for (name, size) in good(found)?.into_iter().flatten() {
                let most = all.entry(name).or_default();
                *most = most.max(size);
            }
        }
        Ok(all)
    }

    /// How far each of these values of `other` is from that of `first`: the root of the mean square of the difference over that of
    /// what the value differs from its channel's mean in a window, since what lies about 2000 may differ by 1 in what matters; infinite where
    /// it is no number.
    pub(crate) fn errors(&self, first: &[u8], other: &[u8], values: &[&str]) -> Result<ByValue, Fatal> {
        let mut all: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for names in values.chunks(VALUES_AT_ONCE) {
            let tapped = |onnx: &[u8]| giving(onnx, names).map_err(|error| fatal(&error));
            let (first, other) = (tapped(first)?, tapped(other)?);
            let runtime = self.bench.runtime;
            let open = |contract: &IoContract, options: &SessionOptions| {
                let of = |onnx: &[u8]| Activations::open(runtime, onnx, contract, names, options);
                Ok((of(&first)?, of(&other)?))
            };
            let run = |(a, b): &mut (Activations, Activations), contract: &IoContract, window: &[f32]| {
                let (window, mut kept) = (window.repeat(contract.batch as usize), Vec::new());
                a.run(&window, |_, output| kept.push(output.numbers.to_vec()))?;
                let mut sums = Vec::new();
                b.run(&window, |place, output| {
                    let area = output.dims.iter().skip(2).product::<u64>().max(1) as usize;
                    let channels = kept[place].chunks(area).zip(output.numbers.chunks(area));
                    let of_channel = channels.map(|(a, b)| squares(a, b));
                    sums.push(of_channel.fold((0.0, 0.0), |sum, more| (sum.0 + more.0, sum.1 + more.1)));
                })?;
                Ok::<_, ModelError>(sums)
            };
            let found = self.windows.each("comparing the values of nodes", COMPARED_WINDOWS, open, run)?;
            for sums in good(found)? {
                for (name, (apart, whole)) in names.iter().zip(sums) {
                    let sum = all.entry((*name).to_owned()).or_default();
                    *sum = (sum.0 + apart, sum.1 + whole);
                }
            }
        }
        let error = |(apart, whole): (f64, f64)| if apart == 0.0 { 0.0 } else { (apart / whole).sqrt() };
        Ok(all.into_iter().map(|(name, sums)| (name, error(sums))).collect())
    }
}

/// What could be found; what could not be read is told.
fn good<T>(found: Vec<Result<T, Failure>>) -> Result<Vec<T>, Fatal> {
    let (mut good, mut failures) = (Vec::new(), Vec::new());
    for found in found {
        match found {
            Ok(found) => good.push(found),
            Err(failure) => failures.push(failure),
        }
    }
    let Some(failure) = failures.first() else { return Ok(good) };
    if good.is_empty() {
        let reason = format!("no window can be read: {}", failure.reason);
        return Err(Fatal::new(failure.class().into(), reason));
    }
    say::note(&format!("warning: {} passed over: {}", counted(failures.len(), "window"), failure.reason));
    Ok(good)
}

fn size_of(numbers: &[f32]) -> f64 {
    let largest = |most: f64, number: &f32| {
        if number.is_nan() { f64::INFINITY } else { most.max(f64::from(number.abs())) }
    };
    numbers.iter().fold(0.0, largest)
}

/// The squares of differences, and of how far `a` is from its mean, summed. Where `a` is no number, nothing can be said.
fn squares(a: &[f32], b: &[f32]) -> (f64, f64) {
    let pairs =
        || a.iter().zip(b).filter(|(a, _)| a.is_finite()).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let count = pairs().count().max(1) as f64;
    let mean = pairs().map(|(a, _)| a).sum::<f64>() / count;
    pairs().fold((0.0, 0.0), |(apart, spread), (a, b)| {
        let of = if b.is_finite() { (a - b).powi(2) } else { f64::INFINITY };
        (apart + of, spread + (a - mean).powi(2))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_squares_know_what_is_no_number() {
        assert_eq!(size_of(&[1.0, -3.0, 2.0]), 3.0);
        assert_eq!(size_of(&[1.0, f32::NAN]), f64::INFINITY);
        assert_eq!(size_of(&[f32::NEG_INFINITY]), f64::INFINITY);
        assert_eq!(squares(&[3.0, 5.0], &[3.0, 3.0]), (4.0, 2.0));
        assert_eq!(squares(&[1.0], &[f32::NAN]).0, f64::INFINITY);
        assert_eq!(squares(&[f32::INFINITY, 1.0], &[f32::INFINITY, 1.0]), (0.0, 0.0));
    }
}
