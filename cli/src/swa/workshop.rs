//! What all steps need, and the mean of some files.

use super::measured::{Measured, measured};
use super::{BnWord, SwaArgs};
use crate::exit::{Exit, Fatal};
use crate::job::JobFile;
use crate::new_model::{Bench, Scores, Windows, fatal, of_file, put_aside, with_one_member};
use marquetry_job::hash;
use marquetry_onnx::{Averaged, Averaging, BatchNormState, Model, with_all_data};
use std::cell::Cell;

/// One of the files that are averaged.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) uri: String,
    pub(crate) weight: f64,
    /// Of the file, and of those beside it that hold weights.
    pub(crate) sha256: Vec<String>,
}

/// The mean of some files.
pub(crate) struct Mean {
    pub(crate) averaged: Averaged,
    pub(crate) members: Vec<Member>,
    pub(crate) state: BatchNormState,
}

/// A mean whose batch normalisation is decided.
pub(crate) struct Settled {
    pub(crate) onnx: Vec<u8>,
    /// What was measured, where that was taken.
    pub(crate) measured: Option<Measured>,
    /// Its mean IoU, where the choice was made by it.
    pub(crate) score: Option<f64>,
}

/// What all steps need.
pub(crate) struct Workshop<'a> {
    pub(crate) args: &'a SwaArgs,
    pub(crate) bench: Bench<'a>,
    /// Whether what there is to say of a job's images was said.
    pub(crate) told: Cell<bool>,
}

impl Workshop<'_> {
    /// The mean of these files with these weights; at any time the first of them and one other are held.
    pub(crate) fn mean(&self, picks: &[(&str, f64)]) -> Result<Mean, Fatal> {
        let read = |(uri, weight): (&str, f64)| {
            let model = self.bench.read(uri)?;
            let external = model.external.iter().map(|file| hash(&[&file.bytes]));
            let sha256 = std::iter::once(hash(&[&model.onnx])).chain(external).collect();
            Ok::<_, Fatal>((model, Member { uri: uri.to_owned(), weight, sha256 }))
        };
        let (uri, weight) = picks[0];
        let (first, member) = read(picks[0])?;
        let mut members = vec![member];
        let whole = with_all_data(&first.onnx, &first.external).map_err(|error| of_file(uri, &error))?;
        let state = Model::read(&whole).map(|model| BatchNormState::of(&model));
        let state = state.map_err(|error| of_file(uri, &error))?;
        let mut averaging = Averaging::new(uri, &whole, weight).map_err(|error| fatal(&error))?;
        for &(uri, weight) in &picks[1..] {
            let (other, member) = read((uri, weight))?;
            let other = with_all_data(&other.onnx, &other.external).map_err(|error| of_file(uri, &error))?;
            averaging.add(uri, &other, weight).map_err(|error| fatal(&error))?;
            members.push(member);
        }
        let averaged = averaging.finish(&[]).map_err(|error| fatal(&error))?;
        Ok(Mean { averaged, members, state })
    }

    /// The mean with batch normalisation as `--bn` asks; `auto` is kept or measured, whatever scores better.
    pub(crate) fn settled(
        &self,
        mean: &Mean,
        what: &str,
        scores: Option<&Scores<'_>>,
    ) -> Result<Settled, Fatal> {
        let kept = |score| Settled { onnx: mean.averaged.onnx.clone(), measured: None, score };
        let (Some(job), BnWord::Reestimate | BnWord::Auto) = (&self.args.job, self.args.bn) else {
            return Ok(kept(None));
        };
        if matches!(mean.state, BatchNormState::Folded(_) | BatchNormState::Absent) {
            let advice = mean.state.advice().unwrap_or("use --bn keep");
            let reason = format!("the models have no BatchNorm to measure, {}: {advice}", mean.state);
            return Err(Fatal::new(Exit::BadJob, reason));
        }
        let onnx = &mean.averaged.onnx;
        let model = put_aside(self.bench.scratch, onnx, "mean.onnx")?;
        let job = with_one_member(JobFile::read(job, &self.bench.storage.files)?, job, &model)?;
        let tell = !self.told.replace(true);
        let windows = Windows::plan(&self.bench, job, self.args.bn_windows as usize, tell)?;
        let (measured_onnx, measured) = measured(&self.bench, &windows, onnx)?;
        let mut score = None;
        if let (BnWord::Auto, Some(scores)) = (self.args.bn, scores) {
            let as_it_was = scores.of(&format!("{what}, BatchNorm kept"), onnx)?;
            let anew = scores.of(&format!("{what}, BatchNorm measured"), &measured_onnx)?;
            if anew <= as_it_was {
                return Ok(kept(Some(as_it_was)));
            }
            score = Some(anew);
        }
        Ok(Settled { onnx: measured_onnx, measured: Some(measured), score })
    }
}
