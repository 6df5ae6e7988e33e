//! `marquetry swa`: one file whose weights are the mean of several checkpoints of one training.

mod lineage;
mod measured;
mod output;

use crate::args::Common;
use crate::args::Format;
use crate::exit::{Exit, Fatal};
use crate::job::{JobFile, load_runtime, start_tokio};
use crate::say;
use crate::storage::StorageArgs;
use clap::{Args, ValueEnum};
use lineage::several_trainings;
use marquetry_coordinator::{ModelReadError, read_model};
use marquetry_failure::{Classify, counted};
use marquetry_job::hash;
use marquetry_model::{ModelFiles, Runtime, external_locations};
use marquetry_onnx::{Averaged, Averaging, BatchNormState, Model, OnnxError, with_all_data, with_metadata};
use marquetry_telemetry::Metrics;
use marquetry_transport::Files;
use marquetry_transport::uri::{is_uri, join, parent};
use measured::{Measured, Source, put_aside, with_one_member};
use output::{Output, is_one_of};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The key of the note, in the metadata of a file, that says what it is the mean of.
const NOTE: &str = "marquetry.swa";

#[derive(Args)]
pub(crate) struct SwaArgs {
    /// Checkpoints of one training, exported in the same way: paths or `s3://bucket/key`, two at least.
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,
    /// The file to write: one file with all its weights in it, none of those that are read. What is there is replaced.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// A weight for each model, in their order [default: 1 for each].
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    weights: Vec<f64>,
    /// What becomes of the running mean and variance of batch normalisation.
    #[arg(long, value_enum, default_value = "keep")]
    bn: BnWord,
    /// With --bn reestimate: a job file whose images, windows and member entry say what the model is shown.
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// With --bn reestimate: most windows that are looked at, evenly spread over those of the job.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    bn_windows: u32,
    /// Average files that by their names are of several folds, seeds or runs.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BnWord {
    /// They are averaged like weights.
    Keep,
    /// They are measured on images, for the weights as they are now.
    Reestimate,
}

/// One of the files that are averaged.
struct Member {
    uri: String,
    weight: f64,
    /// Of the file, and of those beside it that hold weights.
    sha256: Vec<String>,
}

pub(crate) fn run(args: &SwaArgs) -> Result<Exit, Fatal> {
    let weights = weights(args)?;
    let uris: Vec<&str> = args.models.iter().map(String::as_str).collect();
    if let Some(reason) = several_trainings(&uris) {
        if !args.force {
            return Err(Fatal::new(Exit::BadJob, reason));
        }
        say::note(&format!("warning: {reason}"));
    }
    let tokio = start_tokio()?;
    let files = args.storage.open(&tokio, Duration::ZERO, &Metrics::new()).files;
    let output = Output::new(&args.out)?;
    if args.bn == BnWord::Reestimate && args.job.is_none() {
        return Err(Fatal::new(
            Exit::Usage,
            "--bn reestimate needs images as the model is shown them: give a job file with --job",
        ));
    }
    if args.bn == BnWord::Keep && args.job.is_some() {
        return Err(Fatal::new(
            Exit::Usage,
            "--job is for --bn reestimate, which is not asked for: add it, or leave out --job",
        ));
    }
    let runtime = load_runtime(args.common.onnxruntime.as_deref())?;
    let mut members: Vec<Member> = Vec::new();
    let first = read(&files, &uris, 0, weights[0], &output, &mut members)?;
    let whole = with_all_data(&first.onnx, &first.external).map_err(|error| of_file(uris[0], &error))?;
    let state = Model::read(&whole).map(|model| BatchNormState::of(&model));
    let state = state.map_err(|error| of_file(uris[0], &error))?;
    let mut averaging = Averaging::new(uris[0], &whole, weights[0]).map_err(|error| fatal(&error))?;
    for (place, uri) in uris.iter().enumerate().skip(1) {
        let other = read(&files, &uris, place, weights[place], &output, &mut members)?;
        let other = with_all_data(&other.onnx, &other.external).map_err(|error| of_file(uri, &error))?;
        averaging.add(uri, &other, weights[place]).map_err(|error| fatal(&error))?;
    }
    let notes = notes(state, &members);
    let mut averaged = averaging.finish(&[]).map_err(|error| fatal(&error))?;
    let measured = match &args.job {
        Some(job) => Some(measure(job, &mut averaged, state, &files, &runtime, args.bn_windows as usize)?),
        None => None,
    };
    let note = note(&members, args.job.as_deref(), measured);
    averaged.onnx = with_metadata(&averaged.onnx, &[(NOTE.to_owned(), note.to_string())])
        .map_err(|error| fatal(&error))?;
    let sha256 = hash(&[&averaged.onnx]);
    let loads = output.write(&averaged.onnx, &runtime, (&first).into())?;
    notes.iter().chain(&loads).for_each(|note| say::note(&format!("note: {note}")));
    match args.common.format {
        Format::Json => {
            let document = document(note, &args.out, &sha256, &averaged, state, &notes);
            say::data(&serde_json::to_string_pretty(&document).unwrap_or_default());
        }
        Format::Text => say::data(&text(&args.out, &sha256, &members, &averaged, state, measured)),
    }
    Ok(Exit::Done)
}

/// Measures the statistics of the mean on the images of a job.
fn measure(
    job: &str,
    averaged: &mut Averaged,
    state: BatchNormState,
    files: &Files,
    runtime: &Runtime,
    windows_max: usize,
) -> Result<Measured, Fatal> {
    if matches!(state, BatchNormState::Folded(_) | BatchNormState::Absent) {
        let advice = state.advice().unwrap_or("leave out --bn reestimate");
        let reason = format!("--bn reestimate: the models have no BatchNorm to measure, {state}: {advice}");
        return Err(Fatal::new(Exit::BadJob, reason));
    }
    let scratch = tempfile::Builder::new()
        .prefix("marquetry-")
        .tempdir()
        .map_err(|error| Fatal::new(Exit::Unavailable, format!("cannot make a temporary folder: {error}")))?;
    let model = put_aside(scratch.path(), &averaged.onnx, "mean.onnx")?;
    let job_file = with_one_member(JobFile::read(job, files)?, job, &model)?;
    let source = Source { job: job_file, files, runtime, scratch: scratch.path(), windows_max };
    let (onnx, measured) = source.measure(&averaged.onnx)?;
    averaged.onnx = onnx;
    Ok(measured)
}

/// A weight for each model.
fn weights(args: &SwaArgs) -> Result<Vec<f64>, Fatal> {
    let wrong = |reason: String| Err(Fatal::new(Exit::Usage, reason));
    let count = args.models.len();
    if count < 2 {
        return wrong("a mean is of two models at least: name the other checkpoints too".into());
    }
    if args.weights.is_empty() {
        return Ok(vec![1.0; count]);
    }
    if args.weights.len() != count {
        let (given, models) = (counted(args.weights.len(), "weight"), counted(count, "model"));
        return wrong(format!(
            "--weights has {given}, and there are {models}: give one for each, in their order"
        ));
    }
    if let Some(weight) = args.weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
        return wrong(format!("--weights: {weight} is no weight; each is a number from 0"));
    }
    if args.weights.iter().all(|weight| *weight == 0.0) {
        return wrong("--weights: all are 0; one must be greater".into());
    }
    Ok(args.weights.clone())
}

/// Reads a model, and notes what it was. No file of it may be the one that is written.
fn read(
    files: &Files,
    uris: &[&str],
    place: usize,
    weight: f64,
    output: &Output,
    members: &mut Vec<Member>,
) -> Result<ModelFiles, Fatal> {
    let uri = uris[place];
    let failed = |error: marquetry_model::ModelError| Fatal::new(Exit::BadJob, format!("{uri}: {error}"));
    let model = read_model(files, uri, None).map_err(|error| match error {
        ModelReadError::File(error) => Fatal::of_file(&error, &error),
        ModelReadError::Model(error) => failed(error),
    })?;
    if !is_uri(uri) {
        let beside = external_locations(&model.onnx).map_err(failed)?;
        let beside = beside.iter().map(|location| join(&parent(uri), location));
        for path in std::iter::once(uri.to_owned()).chain(beside) {
            if is_one_of(&output.path, &path) {
                return Err(Fatal::new(
                    Exit::Usage,
                    format!("--out {} is {path}, which is read: name another file", output.path.display()),
                ));
            }
        }
    }
    let external = model.external.iter().map(|file| hash(&[&file.bytes]));
    let sha256: Vec<String> = std::iter::once(hash(&[&model.onnx])).chain(external).collect();
    members.push(Member { uri: uri.to_owned(), weight, sha256 });
    Ok(model)
}

/// What a user should know of the result.
fn notes(state: BatchNormState, members: &[Member]) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(advice) = state.advice() {
        notes.push(format!(
            "BatchNorm: {state}. The mean of folded weights is not what folding the mean gives; {advice}"
        ));
    }
    for (place, member) in members.iter().enumerate() {
        if let Some(other) = members[..place].iter().find(|other| other.sha256 == member.sha256) {
            notes.push(format!("{} and {} have the same content: it counts twice", other.uri, member.uri));
        }
    }
    notes
}

/// The name of a model's file: where it lay says nothing of the mean.
fn file_name(uri: &str) -> &str {
    uri.rsplit('/').next().unwrap_or(uri)
}

/// What is put into the file: of what it is the mean.
fn note(members: &[Member], job: Option<&str>, measured: Option<Measured>) -> Value {
    let each = members.iter().map(|m| {
        let mut entry = json!({"file": file_name(&m.uri), "sha256": m.sha256[0], "weight": m.weight});
        if m.sha256.len() > 1 {
            entry["external_sha256"] = json!(m.sha256[1..]);
        }
        entry
    });
    let mut note = json!({"members": each.collect::<Vec<_>>(), "bn": "keep"});
    if let (Some(job), Some(of)) = (job, measured) {
        note["bn"] = json!("reestimate");
        note["bn_measured"] =
            json!({"job": file_name(job), "images": of.images, "windows": of.windows, "pixels": of.pixels});
    }
    note
}

fn document(
    note: Value,
    out: &Path,
    sha256: &str,
    averaged: &Averaged,
    state: BatchNormState,
    notes: &[String],
) -> Value {
    let mut document = note;
    document["out"] = json!(out);
    document["sha256"] = json!(sha256);
    document["bytes"] = json!(averaged.onnx.len());
    document["tensors"] = json!(averaged.tensors);
    document["numbers"] = json!(averaged.numbers);
    document["unshared"] = json!(averaged.unshared);
    document["batch_norm"] = match state {
        BatchNormState::Full(there) => json!({"state": "full", "there": there, "all": there}),
        BatchNormState::Partial { there, all } => json!({"state": "partial", "there": there, "all": all}),
        BatchNormState::Folded(all) => json!({"state": "none", "there": 0, "all": all}),
        BatchNormState::Absent => json!({"state": "none", "there": 0, "all": 0}),
    };
    document["notes"] = json!(notes);
    document
}

fn text(
    out: &Path,
    sha256: &str,
    members: &[Member],
    averaged: &Averaged,
    state: BatchNormState,
    measured: Option<Measured>,
) -> String {
    let total: f64 = members.iter().map(|member| member.weight).sum();
    let mut text = format!(
        "{}: the mean of {} files, {} with {} numbers that differed\n",
        out.display(),
        members.len(),
        counted(averaged.tensors, "tensor"),
        say::count(averaged.numbers as u64),
    );
    for member in members {
        text.push_str(&format!("  {:>7.4}  {}\n", member.weight / total, member.uri));
    }
    if averaged.unshared > 0 {
        let tensors = counted(averaged.unshared, "tensor");
        text.push_str(&format!(
            "{tensors} that stood in several places had equal numbers by chance, and no more\n"
        ));
    }
    let there = matches!(state, BatchNormState::Full(_) | BatchNormState::Partial { .. });
    let how = match measured {
        Some(Measured { layers, windows, images, pixels, moved }) => format!(
            ": {} measured anew on {} of {}, {} pixels a channel at least; a mean moved by {moved:.2} standard deviations at most",
            counted(layers, "layer"),
            counted(windows, "window"),
            counted(images, "image"),
            say::count(pixels)
        ),
        None if there => ": running statistics are means of those of the members".to_owned(),
        None => String::new(),
    };
    text.push_str(&format!("BatchNorm  {state}{how}\nsha256     {sha256}\n"));
    text
}

fn fatal(error: &OnnxError) -> Fatal {
    Fatal::new(error.class().into(), error)
}

fn of_file(uri: &str, error: &OnnxError) -> Fatal {
    Fatal::new(error.class().into(), format!("{uri}: {error}"))
}
