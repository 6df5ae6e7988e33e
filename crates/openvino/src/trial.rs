//! Trying a model in a process of its own first: compiling some networks crashes the library, and with it whoever called it.

use crate::{CompileOptions, Compiled, OpenVino, OpenVinoError, Precision};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// A program that tries models: it is given [`Trial::arguments`], reads the model from its standard input and calls [`answer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The program.
    pub program: PathBuf,
    /// The argument that makes it try a model.
    pub command: String,
}

/// What a program is asked to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialRequest {
    /// The C library.
    pub library: PathBuf,
    /// How it is compiled.
    pub options: CompileOptions,
    /// Dimensions of its input.
    pub dims: Vec<u64>,
}

impl Trial {
    /// Has the program compile and run a model, as [`OpenVino::compile`] with these arguments does: the bytes of memory that it kept for that,
    /// if it says so. What the library says against the model is not told: compiling it here says that too.
    ///
    /// # Errors
    /// When the program crashed, or could not be started.
    pub fn run(&self, onnx: &[u8], request: &TrialRequest) -> Result<Option<u64>, OpenVinoError> {
        let failed = |error: std::io::Error| OpenVinoError::Trial {
            reason: format!("cannot start {}: {error}", self.program.display()),
        };
        let mut command = Command::new(&self.program);
        command.arg(&self.command).arg(&request.library).args(request.numbers());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut input) = child.stdin.take() {
            // One that ends before it has read all of it has said what it has to say. It says nothing before that.
            let _ = input.write_all(onnx);
        }
        let said = child.wait_with_output().map_err(failed)?;
        match crash(said.status) {
            Some(how) => {
                Err(OpenVinoError::Trial { reason: format!("OpenVINO crashes on this model ({how})") })
            }
            None => Ok(std::str::from_utf8(&said.stdout).ok().and_then(|bytes| bytes.trim().parse().ok())),
        }
    }
}

impl TrialRequest {
    /// As [`TrialRequest::parse`] reads it, but for the library.
    fn numbers(&self) -> Vec<String> {
        let CompileOptions { threads, precision } = self.options;
        let dims = self.dims.iter().map(ToString::to_string);
        [threads.to_string(), precision.name().to_owned()].into_iter().chain(dims).collect()
    }

    /// Reads what a program was given after the library: threads, precision, dimensions. None of what [`Trial`] would not give.
    pub fn parse(library: &Path, numbers: &[String]) -> Option<Self> {
        let [threads, precision, dims @ ..] = numbers else { return None };
        let precision =
            [Precision::F32, Precision::Bf16, Precision::F16].into_iter().find(|p| p.name() == precision)?;
        let options = CompileOptions { threads: threads.parse().ok()?, precision };
        let dims = dims.iter().map(|dim| dim.parse().ok()).collect::<Option<Vec<u64>>>()?;
        Some(Self { library: library.to_owned(), options, dims })
    }
}

/// Compiles and runs what comes from `model`: what a program does that tries models. The bytes of memory that this took, which it is to
/// print; none where the system does not say.
///
/// # Errors
/// When the model cannot be read, or the library says something against it.
pub fn answer(mut model: impl Read, request: &TrialRequest) -> Result<Option<u64>, OpenVinoError> {
    let mut onnx = Vec::new();
    let read = model.read_to_end(&mut onnx);
    read.map_err(|error| OpenVinoError::Trial { reason: format!("cannot read the model: {error}") })?;
    let openvino = OpenVino::load(&request.library)?;
    let compiled = || -> Result<Compiled, OpenVinoError> {
        let mut compiled = openvino.compile(&onnx, &request.dims, request.options)?;
        compiled.run_blank()?;
        Ok(compiled)
    };
    // What the first one takes is there for all.
    let first = compiled()?;
    let before = resident_bytes();
    let second = compiled()?;
    let took = before.zip(resident_bytes()).map(|(before, after)| after.saturating_sub(before));
    drop((first, second));
    Ok(took)
}

/// Memory of this process that is not elsewhere.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes << 10)
}

/// How a program crashed; none where it ended by itself.
fn crash(status: ExitStatus) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;
        status.signal().map(|signal| format!("signal {signal}"))
    }
    // Codes of crashes have the highest bit set.
    #[cfg(not(unix))]
    {
        status.code().filter(|code| *code < 0).map(|code| format!("code {code:#x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> TrialRequest {
        TrialRequest {
            library: "/opt/libopenvino_c.so".into(),
            options: CompileOptions { threads: 3, precision: Precision::Bf16 },
            dims: vec![1, 3, 64, 96],
        }
    }

    #[test]
    fn a_program_reads_what_it_is_asked() {
        let request = request();
        assert_eq!(TrialRequest::parse(&request.library, &request.numbers()), Some(request.clone()));
        for wrong in [&[][..], &["x", "f32"], &["1", "f33"], &["1", "f32", "-1"]] {
            let wrong: Vec<String> = wrong.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(TrialRequest::parse(&request.library, &wrong), None);
        }
    }

    /// The shell stands in for a program: `$0` is the library.
    #[cfg(unix)]
    #[test]
    fn a_crash_is_told_and_nothing_else() {
        let run = |command: &str| {
            let script = format!("#!/bin/sh\n{command}\n");
            let file = std::env::temp_dir().join(format!("marquetry-trial-{}", std::process::id()));
            std::fs::write(&file, script).unwrap();
            let trial = Trial { program: "/bin/sh".into(), command: file.to_string_lossy().into_owned() };
            let said = trial.run(&vec![7; 100_000], &request());
            std::fs::remove_file(&file).unwrap();
            said
        };
        assert_eq!(run("exit 0"), Ok(None));
        assert_eq!(run("cat > /dev/null; echo 4096"), Ok(Some(4096)));
        assert_eq!(run("cat > /dev/null; exit 70"), Ok(None), "the library says why");
        let crashed = run("kill -SEGV $$").unwrap_err().to_string();
        assert_eq!(crashed, "OpenVINO crashes on this model (signal 11)");
        let none = Trial { program: "/nowhere/program".into(), command: String::new() };
        assert!(none.run(&[], &request()).unwrap_err().to_string().contains("cannot start /nowhere/program"));
    }
}
