//! The benchmark beside peers: whole jobs by Marquetry and by what people use instead of it, each as a process of its own,
//! one after the other and round after round, so that what else the machine does meets all of them.

mod case;
mod page;
mod system;
mod table;
mod venv;

#[cfg(test)]
mod tests;

use crate::tools::{cache, cargo, root, run, target};
use anyhow::{Context, Result, bail};
use case::{CASES, Case};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use system::{System, Taken};
use table::{Results, Row};
use venv::{Extra, Venv, said};

/// Two programs do the same work if at most this share of labels differs: tiles hold halves, and a class may be ahead of
/// the next by less than these resolve.
const MOST_UNLIKE: f64 = 2e-3;

/// How the peers are measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// With --peers: how often each program runs; medians are printed.
    #[arg(long, default_value_t = 3, requires = "peers", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// With --peers: what is large and therefore only measured if asked for, with commas between. `monai` brings PyTorch, 3 GB
    /// to fetch and 6 GB on the disk, `openvino` 200 MB.
    #[arg(long, value_enum, value_delimiter = ',', requires = "peers")]
    with: Vec<Extra>,
    /// With --peers: the cases, by the beginnings of their names, with commas between [default: all of them].
    #[arg(long, default_value = "", hide_default_value = true, requires = "peers")]
    cases: String,
    /// With --peers: so many images in each case, instead of its own number: to try things out.
    #[arg(long, requires = "peers", value_parser = clap::value_parser!(u32).range(1..))]
    images: Option<u32>,
    /// With --peers: a binary that is there already; nothing is built.
    #[arg(long, requires = "peers")]
    binary: Option<PathBuf>,
    /// With --peers: write everything that was measured to this file.
    #[arg(long, requires = "peers")]
    json: Option<PathBuf>,
    /// With --peers: put the tables into docs/performance.md.
    #[arg(long, requires = "peers")]
    write: bool,
}

/// What programs are run with.
struct Bench {
    venv: Venv,
    marquetry: PathBuf,
    processors: usize,
}

impl Options {
    pub(crate) fn run(&self) -> Result<()> {
        let cases = chosen(&self.cases)?;
        let marquetry = self.binary()?;
        // Of the folder that the user is in, before anything is run elsewhere.
        let json = self.json.as_ref().map(std::path::absolute).transpose()?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let bench = Bench { venv: Venv::ready(&self.with)?, marquetry, processors };
        let mut results = Vec::new();
        for case in cases {
            results.push(self.measure(&bench, case)?);
            println!("{}", results.last().map(Results::markdown).unwrap_or_default());
        }
        fs::remove_dir_all(aside())?;
        for extra in Extra::value_variants().iter().filter(|extra| !self.with.contains(extra)) {
            println!("{0} was not measured: --with {0} fetches it.", extra.name());
        }
        let machine = page::machine(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default(), processors);
        if let Some(path) = json {
            let all: Vec<Value> = results.iter().map(Results::json).collect();
            let text = serde_json::to_string_pretty(
                &json!({"machine": machine, "packages": bench.venv.packages, "rounds": self.rounds, "cases": all}),
            )?;
            fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
        }
        if self.write {
            page::write(&page::figures(&self.command(), &machine, &bench.venv.packages, &results))?;
        }
        Ok(())
    }

    /// The binary as people have it: with all optimisations, and without the clients of services, which a job in one
    /// process does not use.
    fn binary(&self) -> Result<PathBuf> {
        if let Some(path) = &self.binary {
            let path = std::path::absolute(path)?;
            if !path.is_file() {
                bail!("there is no program {}", path.display());
            }
            return Ok(path);
        }
        eprintln!("building marquetry with all optimisations (the first time five minutes on two cores)");
        run(cargo().args(["build", "--release", "--no-default-features", "--package", "marquetry-cli"]))?;
        Ok(target().join("release").join("marquetry"))
    }

    /// What was typed, as far as figures hang on it.
    fn command(&self) -> String {
        let mut command = "cargo xtask bench --peers".to_owned();
        for extra in &self.with {
            command += &format!(" --with {}", extra.name());
        }
        if !self.cases.is_empty() {
            command += &format!(" --cases {}", self.cases);
        }
        if let Some(images) = self.images {
            command += &format!(" --images {images}");
        }
        if self.rounds != 3 {
            command += &format!(" --rounds {}", self.rounds);
        }
        command
    }

    fn measure(&self, bench: &Bench, case: &Case) -> Result<Results> {
        let folder = cache().join("peers").join(case.name);
        let made = case.make(self.images.unwrap_or(case.images), &folder, &bench.venv)?;
        let systems = System::all(bench.processors, made.forwards, &self.with);
        let mut taken: Vec<Vec<Taken>> = systems.iter().map(|_| Vec::new()).collect();
        for round in 1..=self.rounds {
            for (system, taken) in systems.iter().zip(&mut taken) {
                let one =
                    system.run(bench, &made).with_context(|| format!("{}, {}", case.name, system.name()))?;
                eprintln!(
                    "{}, round {round} of {}: {}: {:.2} s",
                    case.name,
                    self.rounds,
                    system.name(),
                    one.seconds
                );
                taken.push(one);
            }
        }
        let masks = systems.iter().position(|system| system.is_ours());
        let ours =
            masks.and_then(|at| taken[at].last()?.masks.clone()).context("marquetry wrote no masks")?;
        let mut rows = Vec::new();
        for (system, taken) in systems.into_iter().zip(taken) {
            let theirs = taken.last().and_then(|last| last.masks.clone()).filter(|path| *path != ours);
            let unlike = theirs.map(|path| unlike(&bench.venv, &ours, &path)).transpose();
            rows.push(Row { unlike: unlike.with_context(|| system.name())?, system, taken });
        }
        Ok(Results {
            name: case.name,
            about: made.about(case),
            forwards: made.forwards,
            pixels: made.pixels(),
            rows,
        })
    }
}

/// Where what earlier rounds and runs have left lies until all is measured.
fn aside() -> PathBuf {
    cache().join("peers").join("before")
}

/// Makes room at `path`. What was there is not deleted yet: a file system can be several times as slow to make thousands of files when it
/// has deleted thousands a moment before, as ext4 is for a minute, and that hits whoever makes most of them.
fn set_aside(path: &Path) -> Result<()> {
    fs::create_dir_all(aside())?;
    let place = (0..u32::MAX).map(|n| aside().join(n.to_string())).find(|place| !place.exists());
    match place.map(|place| fs::rename(path, place)) {
        Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("moving {} aside", path.display()))
        }
        _ => Ok(()),
    }
}

/// How many labels differ; an error if these are other masks altogether, or such as say nothing.
fn unlike(venv: &Venv, ours: &Path, theirs: &Path) -> Result<u64> {
    let told = said(venv.python_program("peers/compare_masks.py").arg(ours).arg(theirs))?;
    let number = |name: &str| told[name].as_u64().with_context(|| format!("no {name} in {told}"));
    let (pixels, differing, used) = (number("pixels")?, number("differing")?, number("used")?);
    if used < 2 {
        bail!("all labels in {} are the same, so comparing masks shows nothing", ours.display());
    }
    if differing as f64 > MOST_UNLIKE * pixels as f64 {
        bail!("{differing} of {pixels} labels differ from marquetry's: this is not the same work");
    }
    Ok(differing)
}

/// The cases whose names begin with one of these.
fn chosen(names: &str) -> Result<Vec<&'static Case>> {
    let wanted: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let is_wanted = |case: &&Case| wanted.is_empty() || wanted.iter().any(|name| case.name.starts_with(name));
    let cases: Vec<&Case> = CASES.iter().filter(is_wanted).collect();
    if cases.is_empty() {
        let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        bail!("no case is called {names:?}; there are {}", names.join(", "));
    }
    Ok(cases)
}

/// Where the Python programs lie.
fn programs() -> PathBuf {
    root().join("xtask/devtools/python")
}
