//! Looking for bytes that a reader does not survive: libFuzzer over the targets in `fuzz/`.

use crate::tools::{cargo, root, run, target};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// What is looked at, and for how long.
#[derive(clap::Args)]
pub(crate) struct Fuzz {
    /// The targets; all of them if none is given.
    targets: Vec<String>,
    /// Time for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Targets that are looked at side by side.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

/// Coverage for libFuzzer, with the compiler that builds everything else; panics that are checks stay.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1 -Cdebug-assertions=yes \
    -Coverflow-checks=yes";
/// One input may take as long; then it counts as hanging.
const INPUT_SECONDS: u32 = 20;
/// Memory of one process. Readers are given limits of 32 MB; the rest is the engine's and the corpus's.
const MEMORY_MB: u32 = 1024;
/// Longest input, bytes: forms show all that they can do in less.
const INPUT_BYTES: u32 = 16 << 10;

impl Fuzz {
    pub(crate) fn run(&self) -> Result<()> {
        let program = build()?;
        let known = targets(&program)?;
        if let Some(strange) = self.targets.iter().find(|name| !known.contains(name)) {
            bail!("`{strange}` is no target; they are {}", known.join(", "));
        }
        let chosen = if self.targets.is_empty() { &known } else { &self.targets };
        let (mut waiting, mut broken) = (chosen.iter(), Vec::new());
        let mut running: Vec<(&String, Child)> = Vec::new();
        loop {
            while running.len() < self.jobs.max(1)
                && let Some(name) = waiting.next()
            {
                eprintln!("fuzzing {name} for {} s", self.seconds);
                running.push((name, self.start(&program, name)?));
            }
            if running.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
            let mut ended = Vec::new();
            for (at, (_, child)) in running.iter_mut().enumerate() {
                if let Some(status) = child.try_wait()? {
                    ended.push((at, status));
                }
            }
            for (at, status) in ended.into_iter().rev() {
                let (name, _) = running.remove(at);
                let log = std::fs::read_to_string(log(name)).unwrap_or_default();
                let done = log.lines().rev().find(|line| line.starts_with("Done ")).unwrap_or("no summary");
                eprintln!("{name}: {done}");
                if !status.success() {
                    broken.push(format!("{name} ({status}):\n{}", reason(&log)));
                }
            }
        }
        if broken.is_empty() {
            return Ok(());
        }
        bail!(
            "{}\nthe input lies in {}: run one again with MARQUETRY_FUZZ=<target> {} FILE; once it is mended, keep the \
             file in fuzz/regressions/<target>/",
            broken.join("\n\n"),
            folder("failures").display(),
            program.display()
        )
    }

    /// Starts one target; what it says goes to a file.
    fn start(&self, program: &Path, name: &str) -> Result<Child> {
        let (corpus, failures) = (folder("corpus").join(name), folder("failures").join(name));
        std::fs::create_dir_all(&corpus)?;
        std::fs::create_dir_all(&failures)?;
        let mut seeds = Command::new(program);
        // libFuzzer says on start what it misses of a sanitizer, which is not there.
        seeds.stderr(std::process::Stdio::null());
        run(seeds.env("MARQUETRY_FUZZ", name).env("MARQUETRY_FUZZ_SEEDS", &corpus))?;
        let log = std::fs::File::create(log(name))?;
        let mut command = Command::new(program);
        command
            .env("MARQUETRY_FUZZ", name)
            .env("RUST_BACKTRACE", "1")
            .args([
                format!("-max_total_time={}", self.seconds),
                format!("-timeout={INPUT_SECONDS}"),
                format!("-rss_limit_mb={MEMORY_MB}"),
                format!("-max_len={INPUT_BYTES}"),
                format!("-artifact_prefix={}/", failures.display()),
                "-print_final_stats=1".to_owned(),
            ])
            .arg(&corpus);
        let kept = root().join("fuzz/regressions").join(name);
        if kept.is_dir() {
            command.arg(kept);
        }
        command.stdout(log.try_clone()?).stderr(log);
        command.spawn().with_context(|| format!("cannot start {}", program.display()))
    }
}

/// Where corpus, failures and logs lie: they can be made again.
fn folder(name: &str) -> PathBuf {
    target().join("fuzz").join(name)
}

fn log(name: &str) -> PathBuf {
    folder(&format!("{name}.log"))
}

/// The end of a log, from the panic on if there was one: libFuzzer says little of it, and says it last.
fn reason(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    let panic = lines.iter().rposition(|line| line.contains("panicked at"));
    let from = panic.unwrap_or_else(|| lines.len().saturating_sub(30));
    lines[from..].iter().take(60).copied().collect::<Vec<_>>().join("\n")
}

/// The targets' names, as the program says them.
fn targets(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program).env("MARQUETRY_FUZZ", "list").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// Builds the program with coverage, in a folder of its own.
fn build() -> Result<PathBuf> {
    let version = Command::new("rustc").arg("-vV").output().context("rustc is needed")?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    eprintln!("building the readers with coverage (the first time two minutes on two cores)");
    // With a target that is named, build scripts and macros are built without coverage.
    run(cargo()
        .args(["build", "--release", "--package", "marquetry-fuzz", "--features", "libfuzzer"])
        .args(["--target", host])
        .env("CARGO_TARGET_DIR", folder("target"))
        .env("RUSTFLAGS", RUSTFLAGS))?;
    Ok(folder("target").join(host).join("release").join("fuzz"))
}
