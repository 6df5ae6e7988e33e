//! Trying a model in a process of its own first: compiling some networks crashes the library, and with it whoever called it.

use crate::{CompileOptions, Compiled, OpenVino, OpenVinoError, Precision};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A program that tries models: it is given `command`, the library and what [`TrialRequest::parse`] reads, has the model on its standard
/// input, and prints what [`answer`] says.
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
    /// When the program crashed, or did not come to its end.
    pub fn run(&self, onnx: &[u8], request: &TrialRequest) -> Result<Option<u64>, OpenVinoError> {
        let not_tried = |reason: String| OpenVinoError::NotTried { reason };
        let failed =
            |error: std::io::Error| not_tried(format!("cannot start {}: {error}", self.program.display()));
        let mut command = Command::new(&self.program);
        command.arg(&self.command).arg(&request.library).args(request.numbers());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (status, said) = std::thread::scope(|scope| {
            // One that ends before it has read all of it has said what it has to say.
            scope.spawn(|| input.map(|mut input| input.write_all(onnx)));
            let said = scope.spawn(|| {
                let mut said = String::new();
                output.map(|mut output| output.read_to_string(&mut said));
                said
            });
            let status = wait(&mut child);
            (status, said.join().unwrap_or_default())
        });
        let status = status.map_err(failed)?.ok_or_else(|| {
            not_tried(format!("{} did not end within {} s", self.program.display(), TIME_MAX.as_secs()))
        })?;
        if let Some(how) = crash(status) {
            return Err(OpenVinoError::Crash { how });
        }
        match said.trim().strip_prefix(TRIED).map(str::trim) {
            Some(bytes) => Ok(bytes.parse().ok()),
            None => Err(not_tried(format!(
                "{} ended with {status} and said nothing of it",
                self.program.display()
            ))),
        }
    }
}

/// How long a program may take: large models are compiled in seconds.
const TIME_MAX: Duration = Duration::from_mins(5);
/// Between two looks whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What a program says that has tried a model, or was told by the library why not.
const TRIED: &str = "tried";

/// How a program ended; none where it took too long, and was ended.
fn wait(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    while started.elapsed() < TIME_MAX {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
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

/// Compiles and runs what comes from `model`: what a program does that tries models, which is to print the answer.
///
/// # Errors
/// When the model cannot be read.
pub fn answer(mut model: impl Read, request: &TrialRequest) -> std::io::Result<String> {
    let mut onnx = Vec::new();
    model.read_to_end(&mut onnx)?;
    // Whoever asked is told by the library itself what it has against the model.
    let bytes = tried(&onnx, request).ok().flatten();
    Ok(format!("{TRIED} {}", bytes.map(|bytes| bytes.to_string()).unwrap_or_default()))
}

/// The bytes of memory that a compiled model takes; none where the system does not say.
fn tried(onnx: &[u8], request: &TrialRequest) -> Result<Option<u64>, OpenVinoError> {
    let openvino = OpenVino::load(&request.library)?;
    let compiled = || -> Result<Compiled, OpenVinoError> {
        let mut compiled = openvino.compile(onnx, &request.dims, request.options)?;
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

/// By what a program crashed; none where it ended by itself or was ended by somebody.
fn crash(status: ExitStatus) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;
        // SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV and SIGSYS, and what BSD calls SIGBUS and SIGSYS.
        let own = [4, 5, 6, 7, 8, 10, 11, 12, 31];
        status.signal().filter(|signal| own.contains(signal)).map(|signal| format!("signal {signal}"))
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
        assert_eq!(run("cat > /dev/null; echo tried 4096"), Ok(Some(4096)));
        assert_eq!(run("echo tried"), Ok(None));
        let crashed = run("kill -SEGV $$").unwrap_err();
        assert_eq!(crashed.to_string(), "OpenVINO crashes on this model (signal 11)");
        // No fault of the model.
        for (command, words) in [
            ("exit 0", "said nothing of it"),
            ("exit 70", "said nothing of it"),
            ("kill -KILL $$", "signal: 9"),
        ] {
            let error = run(command).unwrap_err();
            assert!(matches!(error, OpenVinoError::NotTried { .. }), "{error:?}");
            assert!(error.to_string().contains(words), "{error}");
        }
        let none = Trial { program: "/nowhere/program".into(), command: String::new() };
        assert!(none.run(&[], &request()).unwrap_err().to_string().contains("cannot start /nowhere/program"));
    }
}
