//! The command line.

use crate::exit::{EXIT_CODES, Exit, Fatal};
use crate::say;
use crate::storage::StorageArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use marquetry_geometry::Size;
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
    /// Look at everything a job needs without running it: print the job with every default filled in, and its cost.
    Plan(PlanArgs),
    /// Say what an ONNX model takes and gives, and print a member entry for a job file.
    Inspect(InspectArgs),
    /// Print the JSON Schema of job files.
    Schema,
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

#[derive(Args)]
pub(crate) struct RunArgs {
    /// The job file: a path or s3://bucket/key.
    pub(crate) job: String,
    /// Threads that compute windows side by side, each with its own sessions [default: one for each core, at most 8].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) lanes: Option<u16>,
    /// Threads inside each session [default: the cores divided by the lanes].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
    /// Most MB of models kept open by all lanes; more are opened and closed as they are needed.
    #[arg(long, value_name = "MB", default_value_t = 4096)]
    pub(crate) models_mb: u64,
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
pub(crate) struct PlanArgs {
    /// The job file: a path or s3://bucket/key.
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
pub(crate) struct InspectArgs {
    /// The model: a path or s3://bucket/key.
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
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and are no mistakes.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print();
            return exit.into();
        }
    };
    say::start_logging();
    let result = match cli.command {
        Command::Run(args) => crate::run::run(&args),
        Command::Plan(args) => crate::plan::run(&args),
        Command::Inspect(args) => crate::inspect::run(&args),
        Command::Schema => {
            say::data(&serde_json::to_string_pretty(&marquetry_job::spec::schema()).unwrap_or_default());
            Ok(Exit::Done)
        }
    };
    match result {
        Ok(exit) => exit.into(),
        Err(Fatal { exit, message }) => {
            say::error(&message);
            exit.into()
        }
    }
}
