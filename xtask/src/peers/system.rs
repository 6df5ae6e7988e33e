//! The programs that are measured, and what one run of each took.

use super::case::{Made, STORES, thousands};
use super::venv::{Extra, said};
use super::{Bench, set_aside};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A way to do the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    /// ONNX Runtime alone: forwards of one input that lies in memory, and nothing else.
    Bare { sessions: usize, threads: usize, batch: usize },
    /// The same of OpenVINO, with a session of one thread for each processor: in single precision, or in what it takes by
    /// itself, which is half as wide where the processor has it.
    OpenVino { sessions: usize, exact: bool },
    /// `marquetry run`, which has ONNX Runtime alone, or OpenVINO too.
    Marquetry { openvino: bool },
    /// A Python loop that takes so many images at a time.
    Plain { workers: usize },
    /// MONAI's sliding window, on so many images at a time.
    Monai { workers: usize },
}

/// What one run took.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Taken {
    /// From start to end of the process; of the bare loop that of its forwards alone.
    pub(super) seconds: f64,
    /// How much of that went by before the program's own work began: the interpreter and what it imports.
    pub(super) start_seconds: Option<f64>,
    /// The most memory of the process.
    pub(super) peak_bytes: u64,
    /// The folder of masks.
    pub(super) masks: Option<PathBuf>,
}

impl System {
    /// All of them, those that differ on a machine with so many processors.
    pub(super) fn all(processors: usize, forwards: u64, with: &[Extra]) -> Vec<Self> {
        let mut all = vec![Self::Bare { sessions: 1, threads: processors, batch: 1 }];
        if processors > 1 {
            all.push(Self::Bare { sessions: processors, threads: 1, batch: 1 });
        }
        if forwards.is_multiple_of(8) {
            all.push(Self::Bare { sessions: processors, threads: 1, batch: 8 });
        }
        if with.contains(&Extra::Openvino) {
            all.extend([true, false].map(|exact| Self::OpenVino { sessions: processors, exact }));
        }
        let workers: &[usize] = if processors > 1 { &[1, processors] } else { &[1] };
        all.push(Self::Marquetry { openvino: false });
        if with.contains(&Extra::Openvino) {
            all.push(Self::Marquetry { openvino: true });
        }
        all.extend(workers.iter().map(|&workers| Self::Plain { workers }));
        if with.contains(&Extra::Monai) {
            all.extend(workers.iter().map(|&workers| Self::Monai { workers }));
        }
        all
    }

    pub(super) fn is_bare(self) -> bool {
        matches!(self, Self::Bare { .. })
    }

    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::Marquetry { .. })
    }

    pub(super) fn name(self) -> String {
        let several = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        match self {
            Self::Bare { sessions, threads, batch } => {
                format!(
                    "bare loop, {} of {}, batch {batch}",
                    several(sessions, "session"),
                    several(threads, "thread")
                )
            }
            Self::OpenVino { exact: true, .. } => "bare loop of OpenVINO, f32".into(),
            Self::OpenVino { exact: false, .. } => "bare loop of OpenVINO, its precision".into(),
            Self::Marquetry { openvino: false } => "marquetry run".into(),
            Self::Marquetry { openvino: true } => "marquetry run, with OpenVINO".into(),
            Self::Plain { workers } => format!("plain loop{}", at_a_time(workers)),
            Self::Monai { workers } => format!("MONAI{}", at_a_time(workers)),
        }
    }

    /// One run, in which everything is computed anew.
    pub(super) fn run(self, bench: &Bench, made: &Made) -> Result<Taken> {
        let out = made.folder.join(match self {
            Self::Bare { .. } | Self::OpenVino { .. } => "none".to_owned(),
            Self::Marquetry { openvino } => STORES[usize::from(openvino)].to_owned(),
            Self::Plain { workers } => format!("plain-{workers}"),
            Self::Monai { workers } => format!("monai-{workers}"),
        });
        set_aside(&out)?;
        let venv = &bench.venv;
        let program = match self {
            Self::Bare { sessions, threads, batch } => {
                bare_loop(bench, made, json!({"batch": batch, "sessions": sessions, "threads": threads}))
            }
            Self::OpenVino { sessions, exact } => {
                let openvino = if exact { "f32" } else { "" };
                bare_loop(bench, made, json!({"sessions": sessions, "threads": 1, "openvino": openvino}))
            }
            Self::Marquetry { .. } => {
                let mut command = Command::new(&bench.marquetry);
                command.arg("run").arg(out.with_extension("yaml")).args(["--format", "json"]);
                command
            }
            Self::Plain { workers } => python_loop("plain_loop.py", workers, bench, made, &out),
            Self::Monai { workers } => python_loop("monai_loop.py", workers, bench, made, &out),
        };
        let mut measured = venv.measured(&program);
        if self == (Self::Marquetry { openvino: false }) {
            // It would be found beside ONNX Runtime.
            measured.env("OPENVINO_DYLIB_PATH", "");
        }
        let mut taken = self.read(&said(&mut measured)?, made.forwards)?;
        if matches!(self, Self::Plain { .. } | Self::Monai { .. }) {
            taken.masks = Some(out);
        }
        Ok(taken)
    }

    /// What `measured.py` tells, and in it what the program itself does.
    pub(super) fn read(self, told: &Value, forwards: u64) -> Result<Taken> {
        let text = told["said"].as_str().context("the program said nothing")?;
        let said: Value = serde_json::from_str(text).with_context(|| format!("no JSON: {text}"))?;
        let number = |value: &Value, name: &str| {
            value[name].as_f64().with_context(|| format!("no `{name}` in {value}"))
        };
        let done = if self.is_ours() { &said["tally"]["forwards"] } else { &said["forwards"] };
        if done.as_u64() != Some(forwards) {
            bail!("{done} forwards instead of {}: this is not the same work", thousands(forwards));
        }
        let whole = number(told, "seconds")?;
        let (seconds, start_seconds) = match self {
            Self::Bare { .. } | Self::OpenVino { .. } => (number(&said, "seconds")?, None),
            Self::Marquetry { .. } => (whole, None),
            Self::Plain { .. } | Self::Monai { .. } => (whole, Some(whole - number(&said, "seconds")?)),
        };
        let files = said["files"].as_array().map(Vec::as_slice).unwrap_or_default();
        let masks = files.iter().find(|file| file[0] == "masks").and_then(|file| file[1].as_str());
        let peak_bytes = told["peak_bytes"].as_u64().context("no `peak_bytes`")?;
        Ok(Taken { seconds, start_seconds, peak_bytes, masks: masks.map(PathBuf::from) })
    }
}

fn at_a_time(workers: usize) -> String {
    if workers == 1 { String::new() } else { format!(", {workers} images at a time") }
}

/// With these settings; `batch` is 1 if not said.
fn bare_loop(bench: &Bench, made: &Made, mut settings: Value) -> Command {
    let batch = settings["batch"].as_u64().unwrap_or(1);
    settings["shape"] = json!([batch, 3, made.window, made.window]);
    settings["models"] = json!(made.members);
    settings["forwards"] = json!(made.forwards);
    let mut command = bench.venv.python_program("bare_loop.py");
    command.arg(settings.to_string());
    command
}

fn python_loop(program: &str, workers: usize, bench: &Bench, made: &Made, out: &Path) -> Command {
    let mut command = bench.venv.python_program(&format!("peers/{program}"));
    command.arg(&made.file).arg(out).arg(workers.to_string());
    command
}
