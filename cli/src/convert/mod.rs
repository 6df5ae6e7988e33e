//! `marquetry convert`: a model in half precision, of fixed dimensions, in one file.

mod agreement;
mod calibration;
mod half;
mod plain;
mod told;

use crate::args::{Common, Format};
use crate::exit::{Exit, Fatal};
use crate::new_model::{Said, Setup, fatal, file_name, of_file};
use crate::say;
use crate::storage::StorageArgs;
use agreement::Agreement;
use calibration::Calibration;
use clap::{Args, ValueEnum};
use half::Half;
use marquetry_job::hash;
use marquetry_onnx::{HalfType, metadata_of, with_all_data, with_metadata};
use plain::{Freeze, Plain};
use std::path::PathBuf;
use told::{Report, document, text};

/// The key of the note, in the metadata of a file, that says how it was made and what was measured.
const NOTE: &str = "marquetry.convert";

/// More bytes than that a protobuf cannot hold.
const ONE_FILE_MAX: usize = i32::MAX as usize;

const SAID: Said = Said { what: "the converted model", of: "the model" };

#[derive(Args)]
pub(crate) struct ConvertArgs {
    /// The model: a path or `s3://bucket/key`. Weights in files beside it are put into the one file that is written.
    #[arg(value_name = "MODEL")]
    model: String,
    /// The file to write, not the one that is read. What is there is replaced.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Half precision: nodes that bear it in f16, or weights stored in bf16 and computed in f32. Inputs and outputs stay as they
    /// are. Needs --job.
    #[arg(long, value_enum)]
    to: Option<HalfWord>,
    /// A job file whose images, windows and one kind of member say what the model is shown: on them both models are
    /// compared; where it has truth, by mean IoU too.
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// Most windows that are looked at, evenly spread over those of the job.
    #[arg(long, value_name = "N", default_value_t = 100, requires = "job", value_parser = clap::value_parser!(u32).range(1..))]
    windows: u32,
    /// Fix open dimensions of the input: `batch=1`, `height=512,width=512` or `size=512`, or all of them.
    #[arg(long, value_name = "DIMENSIONS")]
    freeze: Option<Freeze>,
    /// Set numbers too small to be normal (below 1.2e-38) to 0: processors are slow with them.
    #[arg(long)]
    clean_denormals: bool,
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HalfWord {
    /// IEEE half precision.
    F16,
    /// The upper half of single precision, for storing.
    Bf16,
}

impl HalfWord {
    const fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    const fn ty(self) -> HalfType {
        match self {
            Self::F16 => HalfType::F16,
            Self::Bf16 => HalfType::BF16,
        }
    }
}

pub(crate) fn run(args: &ConvertArgs) -> Result<Exit, Fatal> {
    if let (Some(to), None) = (args.to, &args.job) {
        let reason = format!(
            "--to {} needs images as the model is shown them, on which both are compared before anything is written: give a job \
             file with --job",
            to.name()
        );
        return Err(Fatal::new(Exit::Usage, reason));
    }
    let setup = Setup::open(&args.storage, &args.out, &args.common)?;
    let (bench, runtime, output) = (setup.bench(), &setup.runtime, &setup.output);
    let model = bench.read(&args.model)?;
    if args.to.is_none() && args.freeze.is_none() && !args.clean_denormals && model.external.is_empty() {
        let reason =
            "there is nothing to do: the model is one file already; say --to, --freeze or --clean-denormals";
        return Err(Fatal::new(Exit::Usage, reason));
    }
    let whole = with_all_data(&model.onnx, &model.external).map_err(|error| of_file(&args.model, &error))?;
    if whole.len() > ONE_FILE_MAX {
        let reason = format!(
            "{}: with all its weights it has {}, and a model in one file can have {}",
            args.model,
            say::bytes(whole.len() as u64),
            say::bytes(ONE_FILE_MAX as u64)
        );
        return Err(Fatal::new(Exit::BadJob, reason));
    }
    let plain = Plain::of(args, runtime, &whole)?;
    let (job, windows) = (args.job.as_deref(), args.windows as usize);
    let named = (file_name(&args.model), plain.onnx.as_slice());
    let calibration = job.map(|job| Calibration::plan(&bench, job, named, windows)).transpose()?;
    let (half, onnx, agreement) = match (args.to, &calibration) {
        (Some(to), Some(calibration)) => {
            let (half, onnx) = Half::made(to.ty(), &whole, &plain.onnx, calibration)?;
            let agreement = half.agreement.clone();
            (Some(half), onnx, Some(agreement))
        }
        (_, Some(calibration)) => {
            let agreement = calibration.compare(&whole, &plain.onnx)?;
            plain::check(&agreement)?;
            (None, plain.onnx.clone(), Some(agreement))
        }
        (_, None) => (None, plain.onnx.clone(), None),
    };
    let on_noise = if calibration.is_none() { plain::on_noise(runtime, &whole, &onnx)? } else { None };
    let report = Report {
        model: file_name(&args.model),
        sha256: std::iter::once(hash(&[&model.onnx]))
            .chain(model.external.iter().map(|file| hash(&[&file.bytes])))
            .collect(),
        bytes: model.bytes(),
        job: job.map(file_name),
        to: args.to,
        plain: &plain,
        beside: model.external.len(),
        half: half.as_ref(),
        agreement: agreement.as_ref(),
        on_noise,
    };
    let mut note = document(&report);
    // What was measured when the model itself was made stays with it.
    if let Some(before) = metadata_of(&model.onnx, NOTE).map_err(|error| of_file(&args.model, &error))? {
        note["before"] = serde_json::from_str(&before).unwrap_or(serde_json::Value::String(before));
    }
    let onnx = with_metadata(&onnx, &[(NOTE.to_owned(), note.to_string())]).map_err(|error| fatal(&error))?;
    let sha256 = hash(&[&onnx]);
    let loads = output.write(&onnx, runtime, (&model).into(), SAID)?;
    loads.iter().for_each(|note| say::note(&format!("note: {note}")));
    match args.common.format {
        Format::Json => {
            let mut document = note;
            document["out"] = serde_json::json!(args.out);
            document["out_sha256"] = serde_json::json!(sha256);
            document["out_bytes"] = serde_json::json!(onnx.len());
            say::data(&serde_json::to_string_pretty(&document).unwrap_or_default());
        }
        Format::Text => say::data(&text(&report, &args.out, &sha256, onnx.len() as u64)),
    }
    Ok(Exit::Done)
}
