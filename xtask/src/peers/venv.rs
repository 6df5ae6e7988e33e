//! A virtual environment of Python for the peers, and programs that run in it.

use super::programs;
use crate::tools::{ONNXRUNTIME, OPENVINO, cache, onnxruntime_library, run};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What every peer needs. Versions are fixed, so that figures can be had again.
const PACKAGES: [&str; 4] = [ONNXRUNTIME, "numpy==2.4.6", "onnx==1.23.2", "opencv-python-headless==5.0.0.93"];

/// A peer that is only installed if it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Extra {
    /// MONAI's sliding window.
    Monai,
    /// A bare loop of OpenVINO.
    Openvino,
}

impl Extra {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Monai => "monai",
            Self::Openvino => "openvino",
        }
    }

    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Monai => &["torch==2.15.0", "monai==1.6.1"],
            Self::Openvino => &[OPENVINO],
        }
    }
}

/// The environment.
pub(super) struct Venv {
    python: PathBuf,
    /// For `ORT_DYLIB_PATH`: all programs run the same ONNX Runtime.
    pub(super) library: PathBuf,
    /// Names and versions of what was asked for.
    pub(super) packages: Vec<&'static str>,
}

impl Venv {
    /// Makes it in `.cache/peers` and installs what is missing. Nothing else on the machine is changed.
    pub(super) fn ready(with: &[Extra]) -> Result<Self> {
        let folder = cache().join("peers").join("venv");
        let python = folder.join("bin").join("python");
        let packages: Vec<&str> = PACKAGES
            .into_iter()
            .chain(with.iter().flat_map(|extra| extra.packages().iter().copied()))
            .collect();
        let note = folder.join("marquetry-packages.txt");
        let installed = fs::read_to_string(&note).unwrap_or_default();
        let installed: Vec<&str> = installed.lines().collect();
        let missing = missing(&packages, &installed);
        if !python.exists() {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
                .context("Python 3.11 or newer with venv is needed (Debian: apt-get install python3-venv)")?;
        }
        if !missing.is_empty() {
            eprintln!("installing {} into {}", missing.join(", "), folder.display());
            // All of them are named, so that what is there already stays as it is.
            run(Command::new(&python)
                .env_remove("PYTHONPATH")
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"])
                .args(&packages))?;
            fs::write(&note, noted(&installed, &packages).join("\n") + "\n")?;
        }
        let (major, minor) = python_version(&python)?;
        let site = folder.join("lib").join(format!("python{major}.{minor}")).join("site-packages");
        Ok(Self { library: onnxruntime_library(&site)?, python, packages })
    }

    /// A Python program of ours, by its path below `xtask/devtools/python`.
    pub(super) fn python_program(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(programs().join(name)).env_remove("PYTHONPATH");
        command
    }

    /// A program under the eyes of `measured.py`: `said` is what it printed.
    pub(super) fn measured(&self, program: &Command) -> Command {
        let mut command = self.python_program("peers/measured.py");
        command.arg(program.get_program()).args(program.get_args()).env("ORT_DYLIB_PATH", &self.library);
        command
    }
}

/// Runs a program that prints JSON.
pub(super) fn said(command: &mut Command) -> Result<Value> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{command:?} failed ({}):\n{errors}", output.status);
    }
    let said: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{command:?} printed no JSON:\n{errors}"))?;
    // What `measured.py` says of the program that it ran.
    if said["code"].as_i64().is_some_and(|code| code != 0) {
        bail!("{command:?} ran a program that failed ({}):\n{errors}", said["code"]);
    }
    Ok(said)
}

/// What is wanted and not installed in this very version.
pub(super) fn missing<'a>(wanted: &[&'a str], installed: &[&str]) -> Vec<&'a str> {
    wanted.iter().copied().filter(|package| !installed.contains(package)).collect()
}

/// What is there once these packages were installed: of each its last version.
pub(super) fn noted<'a>(before: &[&'a str], installed: &[&'a str]) -> Vec<&'a str> {
    let name = |package: &'a str| package.split("==").next();
    let is_left = |package: &&&'a str| installed.iter().all(|other| name(other) != name(package));
    before.iter().filter(is_left).chain(installed).copied().collect()
}

fn python_version(python: &PathBuf) -> Result<(u32, u32)> {
    let output = Command::new(python).args(["-c", "import sys; print(*sys.version_info[:2])"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse().ok());
    let version =
        numbers.next().zip(numbers.next()).context("the Python of the virtual environment does not run")?;
    if version < (3, 11) {
        bail!("Python 3.11 or newer is needed, and python3 is {}.{}", version.0, version.1);
    }
    Ok(version)
}
