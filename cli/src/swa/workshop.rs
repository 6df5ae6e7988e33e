//! What all steps need: where files are read, the runtime, and a folder for what is not finished.

use super::measured::{Measured, Source, put_aside, with_one_member};
use super::output::{Output, is_one_of};
use super::score::Scores;
use super::{BnWord, SwaArgs};
use crate::exit::{Exit, Fatal};
use crate::job::JobFile;
use crate::storage::Storage;
use marquetry_coordinator::{ModelReadError, read_model};
use marquetry_failure::Classify;
use marquetry_job::hash;
use marquetry_model::{ModelFiles, Runtime, external_locations};
use marquetry_onnx::{Averaged, Averaging, BatchNormState, Model, OnnxError, with_all_data};
use marquetry_transport::uri::{is_uri, join, parent};
use std::cell::Cell;
use std::path::Path;

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
    pub(crate) storage: &'a Storage,
    pub(crate) runtime: &'a Runtime,
    pub(crate) tokio: &'a tokio::runtime::Runtime,
    pub(crate) scratch: &'a Path,
    pub(crate) output: &'a Output,
    /// Whether what there is to say of a job's images was said.
    pub(crate) told: Cell<bool>,
}

impl Workshop<'_> {
    /// Reads a model. No file of it may be the one that is written.
    pub(crate) fn read(&self, uri: &str) -> Result<ModelFiles, Fatal> {
        let failed = |error: marquetry_model::ModelError| Fatal::new(Exit::BadJob, format!("{uri}: {error}"));
        let model = read_model(&self.storage.files, uri, None).map_err(|error| match error {
            ModelReadError::File(error) => Fatal::of_file(&error, &error),
            ModelReadError::Model(error) => failed(error),
        })?;
        if is_uri(uri) {
            return Ok(model);
        }
        let beside = external_locations(&model.onnx).map_err(failed)?;
        let beside = beside.iter().map(|location| join(&parent(uri), location));
        let out = &self.output.path;
        match std::iter::once(uri.to_owned()).chain(beside).find(|path| is_one_of(out, path)) {
            None => Ok(model),
            Some(path) => Err(Fatal::new(
                Exit::Usage,
                format!("--out {} is {path}, which is read: name another file", out.display()),
            )),
        }
    }

    /// A model as one file.
    pub(crate) fn whole(&self, uri: &str) -> Result<Vec<u8>, Fatal> {
        let model = self.read(uri)?;
        with_all_data(&model.onnx, &model.external)
            .map(std::borrow::Cow::into_owned)
            .map_err(|error| of_file(uri, &error))
    }

    /// The mean of these files with these weights; at any time the first of them and one other are held.
    pub(crate) fn mean(&self, picks: &[(&str, f64)]) -> Result<Mean, Fatal> {
        let read = |(uri, weight): (&str, f64)| {
            let model = self.read(uri)?;
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
        let model = put_aside(self.scratch, onnx, "mean.onnx")?;
        let files = &self.storage.files;
        let job = with_one_member(JobFile::read(job, files)?, job, &model)?;
        let windows_max = self.args.bn_windows as usize;
        let tell = !self.told.replace(true);
        let source = Source { job, files, runtime: self.runtime, scratch: self.scratch, windows_max, tell };
        let (measured_onnx, measured) = source.measure(onnx)?;
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

pub(crate) fn fatal(error: &OnnxError) -> Fatal {
    Fatal::new(error.class().into(), error)
}

fn of_file(uri: &str, error: &OnnxError) -> Fatal {
    Fatal::new(error.class().into(), format!("{uri}: {error}"))
}
