//! The command line.

use crate::broker::Broker;
use crate::exit::{EXIT_CODES, Exit, Fatal};
use crate::hardware::DeviceArgs;
use crate::in_time::FinishInArgs;
use crate::process::{DrainArgs, LogKind, ProcessArgs};
use crate::say;
use crate::storage::StorageArgs;
use crate::subset::SubsetArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use marquetry_geometry::Size;
use marquetry_model::{Device, OpenVinoTrialRequest, answer_openvino_trial};
use marquetry_telemetry::{LogFormat, start_logging};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs an ensemble of segmentation models over images of any size.
#[derive(Parser)]
#[command(name = "marquetry", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a job on this machine, from the job file to the finished submission. Run again after a stop, it goes on
    /// where it stopped.
    #[command(after_help = EXIT_CODES)]
    Run(RunArgs),
    /// Run a job on a cluster: plan it, send its tasks to workers by Kafka, follow it to the finished submission. Run
    /// again after a stop, it goes on where it stopped.
    #[command(after_help = EXIT_CODES)]
    Coordinate(CoordinateArgs),
    /// Run members for the jobs of a cluster, until it is asked to stop.
    Worker(WorkerArgs),
    /// Put finished images together for the jobs of a cluster, until it is asked to stop.
    Aggregate(AggregateArgs),
    /// Say how far jobs are, or wait for the end of one.
    #[command(after_help = EXIT_CODES)]
    Status(StatusArgs),
    /// Stop a job; what is finished is kept, and `coordinate` goes on with it.
    Cancel(CancelArgs),
    /// Ask for another try of what a job has given up, after what was wrong is mended.
    Retry(RetryArgs),
    /// Measure a job's models on this machine, and the job itself on some of its images: how long it will take, where the time goes, and
    /// which lanes and threads are best.
    #[command(after_help = EXIT_CODES)]
    Bench(Box<crate::bench::BenchArgs>),
    /// List what models can run on here: the processor and GPUs, each tried.
    Providers(ProvidersArgs),
    /// Look at everything a job needs without running it: print the job with every default filled in, and its cost.
    Plan(PlanArgs),
    /// Say what an ONNX model takes and gives, and print a member entry for a job file.
    Inspect(InspectArgs),
    /// Say how well labels agree with the truth: masks of any program, of any kind that is named in the options.
    Evaluate(Box<crate::evaluate::EvaluateArgs>),
    /// Fit class factors, weights of members and the space they meet in to the job's truth, and write the job with them; or try
    /// other windows or views beside their seconds.
    #[command(after_help = EXIT_CODES)]
    Tune(crate::tune::TuneArgs),
    /// Average the weights of checkpoints of one training (SWA): one file that costs what
    /// one of them does.
    #[command(after_help = EXIT_CODES)]
    Swa(Box<crate::swa::SwaArgs>),
    /// Write a model in half precision, with fixed dimensions or in one file, once it was seen to say the same on the images of a job.
    #[command(after_help = EXIT_CODES)]
    Convert(Box<crate::convert::ConvertArgs>),
    /// Compare what two runs of a job had: images that came, went and changed, and which pixels have another label.
    Diff(crate::diff::DiffArgs),
    /// Print the JSON Schema of job files.
    Schema,
    /// What the others start to see whether OpenVINO bears a model, which it reads from standard input.
    #[command(hide = true, name = TRY_OPENVINO)]
    TryOpenVino(TryOpenVinoArgs),
}

/// The command that tries models by OpenVINO.
pub(crate) const TRY_OPENVINO: &str = "try-openvino";

#[derive(Args)]
pub(crate) struct TryOpenVinoArgs {
    library: PathBuf,
    /// Threads, precision, and the dimensions of the input.
    numbers: Vec<String>,
}

#[cfg(not(feature = "kafka"))]
impl Command {
    /// Whether it speaks with a broker.
    const fn needs_broker(&self) -> bool {
        matches!(self, Self::Coordinate(_) | Self::Worker(_) | Self::Aggregate(_) | Self::Retry(_))
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For machines: one JSON object on standard output.
    Json,
}

#[derive(Args)]
pub(crate) struct Common {
    /// The ONNX Runtime library; else `ORT_DYLIB_PATH`, the binary's own folder, and the active Python's
    /// `onnxruntime` package are searched.
    #[arg(long, value_name = "FILE")]
    pub(crate) onnxruntime: Option<PathBuf>,
    /// How results are printed.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

/// How the cores compute. None of it changes a byte of what comes out.
#[derive(Args)]
pub(crate) struct LaneArgs {
    /// Threads that compute windows side by side, each with its own sessions [default: one for each core, at most 8].
    #[arg(long, value_name = "N", env = "MARQUETRY_LANES", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) lanes: Option<u16>,
    /// Threads inside each session [default: the cores divided by the lanes].
    #[arg(long, value_name = "N", env = "MARQUETRY_THREADS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
    /// Most MB of models kept open by all lanes; more are opened and closed as they are needed.
    #[arg(long, value_name = "MB", env = "MARQUETRY_MODELS_MB", default_value_t = 4096)]
    pub(crate) models_mb: u64,
}

#[derive(Args)]
pub(crate) struct RunArgs {
    /// The job file: a path or `s3://bucket/key`.
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) subset: SubsetArgs,
    #[command(flatten)]
    pub(crate) time: FinishInArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    #[command(flatten)]
    pub(crate) lanes: LaneArgs,
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
pub(crate) struct CoordinateArgs {
    /// The job file: a path or `s3://bucket/key`.
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) subset: SubsetArgs,
    #[command(flatten)]
    pub(crate) time: FinishInArgs,
    /// A block or image that is out for longer than this, and much longer than the others take, is sent again.
    #[arg(long, value_name = "SECONDS", env = "MARQUETRY_LATE_SECONDS", default_value_t = 60)]
    pub(crate) late_seconds: u64,
    /// After the job, wait so long for someone to read the last metrics, where --metrics serves them.
    #[arg(long, value_name = "SECONDS", env = "MARQUETRY_LINGER_SECONDS", default_value_t = 60)]
    pub(crate) linger_seconds: u64,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) broker: Broker,
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
}

#[derive(Args)]
pub(crate) struct WorkerArgs {
    /// Where members run whose job names no device, and on which GPU those that name one: cpu, cuda or cuda:N.
    #[arg(long, value_name = "DEVICE", env = "MARQUETRY_DEVICE", default_value = "cpu")]
    pub(crate) device: Device,
    #[command(flatten)]
    pub(crate) lanes: LaneArgs,
    /// Most MB of canvases in hand; a block that needs more is worked on alone.
    #[arg(long, value_name = "MB", env = "MARQUETRY_CANVAS_MB", default_value_t = 1024)]
    pub(crate) canvas_mb: u64,
    /// A task that takes longer is given up by this worker and tried again, here or elsewhere.
    #[arg(long, value_name = "SECONDS", env = "MARQUETRY_DEADLINE_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) deadline_seconds: u64,
    /// Most MB of decoded pixels held for one image.
    #[arg(long, value_name = "MB", env = "MARQUETRY_IMAGE_MB", default_value_t = 512)]
    pub(crate) image_mb: u64,
    /// Images of more than so many million pixels are refused.
    #[arg(long, value_name = "N", env = "MARQUETRY_IMAGE_MEGAPIXELS", default_value_t = 20_000)]
    pub(crate) image_megapixels: u64,
    /// The ONNX Runtime library; else `ORT_DYLIB_PATH`, the binary's own folder, and the active Python's
    /// `onnxruntime` package are searched.
    #[arg(long, value_name = "FILE")]
    pub(crate) onnxruntime: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) broker: Broker,
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
    #[command(flatten)]
    pub(crate) drain: DrainArgs,
}

/// Which stores a role opens that is told by messages where to work.
#[derive(Args)]
pub(crate) struct TrustArgs {
    /// Open only this store and those below it: a folder or `s3://bucket/prefix`; may be given several times. They are
    /// tried before any work is taken [default: any store that a message names, if it is there].
    #[arg(
        long = "store",
        value_name = "STORE",
        env = "MARQUETRY_STORES",
        value_delimiter = ',',
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    pub(crate) stores: Vec<String>,
}

#[derive(Args)]
pub(crate) struct AggregateArgs {
    /// Images put together at the same time; each holds one band of rows.
    #[arg(long, value_name = "N", env = "MARQUETRY_IMAGES", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) images: u16,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) broker: Broker,
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
    #[command(flatten)]
    pub(crate) drain: DrainArgs,
}

#[derive(Args)]
pub(crate) struct StatusArgs {
    /// The job [default: all of the store].
    pub(crate) job: Option<String>,
    /// Wait until the job has ended, and end with the code that `coordinate` ended with.
    #[arg(long, requires = "job")]
    pub(crate) wait: bool,
    /// The store: a folder or `s3://bucket/prefix`.
    #[arg(long, value_name = "STORE", env = "MARQUETRY_STORE")]
    pub(crate) store: String,
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    /// How results are printed.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Args)]
pub(crate) struct CancelArgs {
    /// The job.
    pub(crate) job: String,
    /// The store: a folder or `s3://bucket/prefix`.
    #[arg(long, value_name = "STORE", env = "MARQUETRY_STORE")]
    pub(crate) store: String,
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
}

#[derive(Args)]
pub(crate) struct RetryArgs {
    /// The job.
    pub(crate) job: String,
    /// The store: a folder or `s3://bucket/prefix`.
    #[arg(long, value_name = "STORE", env = "MARQUETRY_STORE")]
    pub(crate) store: String,
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    #[command(flatten)]
    pub(crate) broker: Broker,
}

#[derive(Args)]
pub(crate) struct ProvidersArgs {
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
pub(crate) struct PlanArgs {
    /// The job file: a path or `s3://bucket/key`.
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) subset: SubsetArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
pub(crate) struct InspectArgs {
    /// The model: a path or `s3://bucket/key`.
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    /// Window to try where the model takes any size, px: 512 or 384x640.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) window: Option<Size>,
    #[command(flatten)]
    pub(crate) common: Common,
}

fn parse_size(text: &str) -> Result<Size, String> {
    let side = |t: &str| t.trim().parse::<u32>().ok().filter(|s| (1..=16_384).contains(s));
    let (height, width) = text.split_once('x').unwrap_or((text, text));
    match (side(height), side(width)) {
        (Some(height), Some(width)) => Ok(Size::new(height, width)),
        _ => Err("a size is a number of px, or HEIGHTxWIDTH, each 1 to 16384".into()),
    }
}

/// Parses the command line, runs the command, prints an error if there is one.
pub(crate) fn run() -> ExitCode {
    keep_decoders_quiet();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and are no mistakes.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print();
            return exit.into();
        }
    };
    let format = match &cli.command {
        Command::Coordinate(CoordinateArgs { process, .. })
        | Command::Worker(WorkerArgs { process, .. })
        | Command::Aggregate(AggregateArgs { process, .. }) => process.log_format,
        _ => LogKind::Text,
    };
    start_logging(
        if matches!(format, LogKind::Json) { LogFormat::Json } else { LogFormat::Text },
        &format!("warn,ort=error,{}", marquetry_transport::S3_LOG_FILTER),
    );
    match or_bug(|| command(cli.command)) {
        Ok(exit) => exit.into(),
        Err(Fatal { exit, message }) => {
            say::error(&message);
            exit.into()
        }
    }
}

fn command(command: Command) -> Result<Exit, Fatal> {
    match command {
        Command::TryOpenVino(args) => try_openvino(&args),
        #[cfg(not(feature = "kafka"))]
        command if command.needs_broker() => Err(crate::broker::absent()),
        Command::Run(args) => crate::run::run(&args),
        Command::Coordinate(args) => crate::coordinate::run(&args),
        Command::Worker(args) => crate::worker::run(&args),
        Command::Aggregate(args) => crate::aggregate::run(&args),
        Command::Status(args) => crate::control::status(&args),
        Command::Cancel(args) => crate::control::run_cancel(&args),
        Command::Retry(args) => crate::control::run_retry(&args),
        Command::Bench(args) => crate::bench::run(&args),
        Command::Providers(args) => crate::providers::run(&args),
        Command::Plan(args) => crate::plan::run(&args),
        Command::Inspect(args) => crate::inspect::run(&args),
        Command::Evaluate(args) => crate::evaluate::run(&args),
        Command::Tune(args) => crate::tune::run(&args),
        Command::Swa(args) => crate::swa::run(&args),
        Command::Convert(args) => crate::convert::run(&args),
        Command::Diff(args) => crate::diff::run(&args),
        Command::Schema => {
            say::data(&serde_json::to_string_pretty(&marquetry_spec::schema()).unwrap_or_default());
            Ok(Exit::Done)
        }
    }
}

/// What `work` comes to. A panic is a bug, with the code for one: Rust's own, 101, says nothing to a scheduler.
fn or_bug(work: impl FnOnce() -> Result<Exit, Fatal>) -> Result<Exit, Fatal> {
    // Nothing that `work` has touched is looked at again.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Fatal::new(
            Exit::Bug,
            "a bug in Marquetry: what was being done panicked, as said above; please report it",
        ))
    })
}

fn try_openvino(args: &TryOpenVinoArgs) -> Result<Exit, Fatal> {
    let request = OpenVinoTrialRequest::parse(&args.library, &args.numbers).ok_or_else(|| {
        Fatal::new(Exit::Usage, "a library, threads, a precision and dimensions are needed")
    })?;
    let answer = answer_openvino_trial(std::io::stdin().lock(), &request)
        .map_err(|error| Fatal::new(Exit::Unavailable, format!("the model cannot be read: {error}")))?;
    say::data(&format!("{answer}\n"));
    Ok(Exit::Done)
}

/// A decoder that panics on a damaged file makes that file a failure with its reason; its own words would only confuse.
fn keep_decoders_quiet() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !marquetry_raster::read::is_decoder_panic(panic) {
            report(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_bug_and_nothing_else_is() {
        assert_eq!(or_bug(|| panic!("on purpose")).unwrap_err().exit, Exit::Bug);
        assert_eq!(or_bug(|| Ok(Exit::Partial)).unwrap(), Exit::Partial);
        let full = || Err(Fatal::new(Exit::Unavailable, "no room"));
        assert_eq!(or_bug(full).unwrap_err().exit, Exit::Unavailable);
    }
}
