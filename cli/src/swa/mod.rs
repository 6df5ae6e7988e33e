//! `marquetry swa`: one file whose weights are the mean of several checkpoints of one training.

mod greedy;
mod lineage;
mod measured;
mod told;
mod workshop;

use crate::args::{Common, Format};
use crate::exit::{Exit, Fatal};
use crate::job::JobFile;
use crate::new_model::{Bench, Said, Scores, Setup, fatal};
use crate::say;
use crate::storage::StorageArgs;
use clap::{Args, ValueEnum};
use greedy::{chosen, midpoint};
use lineage::several_trainings;
use marquetry_failure::counted;
use marquetry_job::hash;
use marquetry_onnx::with_metadata;
use marquetry_spec::Folds;
use std::cell::Cell;
use std::path::PathBuf;
use told::{document, note, notes, text};
use workshop::Workshop;

/// The key of the note, in the metadata of a file, that says what it is the mean of.
const NOTE: &str = "marquetry.swa";

const SAID: Said = Said { what: "the mean of these files", of: "the first of them" };

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
    /// With --bn reestimate, --bn auto or --greedy: a job file whose images, windows and one kind of member say what the model
    /// is shown, and whose truth, if models are judged, how good it is.
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// With --bn reestimate or auto: most windows that are looked at, evenly spread over those of the job.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    bn_windows: u32,
    /// Begin with the model that scores best on the images of --job, which has truth, and add one after the other, best first,
    /// while the score of their mean does not fall.
    #[arg(long, conflicts_with = "weights")]
    greedy: bool,
    /// Average files that by their names are of several folds, seeds or runs, or whose midpoint scores worse
    /// than they do.
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
    /// They are measured on the images of --job, for the weights as they are now.
    Reestimate,
    /// Whatever scores better on the images of --job, which has truth.
    Auto,
}

pub(crate) fn run(args: &SwaArgs) -> Result<Exit, Fatal> {
    let weights = weights(args)?;
    check_job(args)?;
    let uris: Vec<&str> = args.models.iter().map(String::as_str).collect();
    if let Some(reason) = several_trainings(&uris) {
        if !args.force {
            return Err(Fatal::new(Exit::BadJob, reason));
        }
        say::note(&format!("warning: {reason}"));
    }
    let setup = Setup::open(&args.storage, &args.out, &args.common)?;
    let (bench, runtime, output) = (setup.bench(), &setup.runtime, &setup.output);
    let shop = Workshop { args, bench, told: Cell::new(false) };
    let judged = args.greedy || args.bn == BnWord::Auto;
    let job = args.job.as_deref().filter(|_| judged);
    job.map(|job| can_judge(job, &shop.bench)).transpose()?;
    let scores = job.map(|job| Scores::new(&shop.bench, job));
    let mut picks: Vec<(&str, f64)> = uris.into_iter().zip(weights).collect();
    if let Some(scores) = &scores {
        // What cannot be averaged is said before anything is scored.
        shop.mean(&picks)?;
        if args.greedy {
            picks = chosen(&shop, scores, &picks)?;
        }
        midpoint(&shop, scores, &picks)?;
    }
    let mean = shop.mean(&picks)?;
    let settled = shop.settled(&mean, "the mean", scores.as_ref())?;
    let note = note(&mean.members, args.job.as_deref(), settled.measured);
    let onnx = with_metadata(&settled.onnx, &[(NOTE.to_owned(), note.to_string())]);
    let onnx = onnx.map_err(|error| fatal(&error))?;
    let sha256 = hash(&[&onnx]);
    let first = shop.bench.read(picks[0].0)?;
    let loads = output.write(&onnx, runtime, (&first).into(), SAID)?;
    let notes = notes(mean.state, &mean.members);
    notes.iter().chain(&loads).for_each(|note| say::note(&format!("note: {note}")));
    let scored = scores.map(|scores| scores.said()).unwrap_or_default();
    match args.common.format {
        Format::Json => {
            let mut document = document(note, &args.out, &sha256, &mean.averaged, mean.state, &notes);
            document["bytes"] = serde_json::json!(onnx.len());
            if !scored.is_empty() {
                let each =
                    scored.iter().map(|(what, iou)| serde_json::json!({"what": what, "mean_iou": iou}));
                document["scores"] = each.collect();
            }
            say::data(&serde_json::to_string_pretty(&document).unwrap_or_default());
        }
        Format::Text => {
            say::data(&text(&args.out, &sha256, &mean.members, &mean.averaged, mean.state, settled.measured));
        }
    }
    Ok(Exit::Done)
}

/// A job is there where it is needed, and nowhere else.
fn check_job(args: &SwaArgs) -> Result<(), Fatal> {
    let needs = match args.bn {
        BnWord::Reestimate => Some("--bn reestimate needs images as the model is shown them"),
        BnWord::Auto => Some("--bn auto needs images with truth"),
        BnWord::Keep if args.greedy => Some("--greedy needs images with truth"),
        BnWord::Keep => None,
    };
    match (needs, &args.job) {
        (Some(needs), None) => Err(Fatal::new(Exit::Usage, format!("{needs}: give a job file with --job"))),
        (None, Some(_)) => Err(Fatal::new(
            Exit::Usage,
            "--job is for --bn reestimate, --bn auto and --greedy, of which none is asked for: add one, or leave out --job",
        )),
        _ => Ok(()),
    }
}

/// Looks whether a job can judge a model.
fn can_judge(job: &str, bench: &Bench<'_>) -> Result<(), Fatal> {
    let file = JobFile::read(job, &bench.storage.files)?;
    if file.spec.truth.is_none() {
        let reason = format!(
            "{job} has no `truth`, and models are judged by it: add it, or leave out --greedy and --bn auto"
        );
        return Err(Fatal::new(Exit::BadJob, reason));
    }
    if !matches!(file.spec.folds, Folds::All) {
        let reason = format!(
            "{job} scores images out of fold, and here every model sees every image: give a job whose images none of the \
             models was trained on, without `folds`"
        );
        return Err(Fatal::new(Exit::BadJob, reason));
    }
    Ok(())
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
