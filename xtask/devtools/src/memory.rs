//! The measure of memory: jobs of every kind that could take much, each with a ceiling that follows from its `limits`.
//!
//! What the process takes for one small image of the same model, threads and libraries with it, is measured first. A job
//! may then take what its limits allow and no more, however large its images are; what it would take if it held
//! everything stands beside it.

mod cases;
mod images;

use crate::cache;
use anyhow::{Context, Result, bail};
use cases::{CASES, Case};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const MB: u64 = 1 << 20;
/// Sums of members that wait for their turn, and results of images that are read ahead (ARCHITECTURE, Memory).
const FIXED_MB: u64 = 128 + 64;
/// Lanes, and images that are put together side by side.
const LANES: u64 = 2;

/// What is tried.
#[derive(clap::Args)]
pub(crate) struct Memory {
    /// The binary.
    #[arg(long)]
    marquetry: PathBuf,
    /// The jobs, by the beginnings of their names, with commas between; all of them if empty.
    #[arg(long)]
    only: String,
    /// Factor on the sides of large images.
    #[arg(long)]
    scale: f64,
}

/// What a job took.
struct Taken {
    peak_mb: u64,
    seconds: f64,
}

impl Memory {
    pub(crate) fn run(&self) -> Result<()> {
        let folder = cache().join("memory");
        fs::create_dir_all(&folder)?;
        let wanted: Vec<&str> = self.only.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let is_wanted =
            |case: &&Case| wanted.is_empty() || wanted.iter().any(|name| case.name.starts_with(name));
        let cases: Vec<&Case> = CASES.iter().filter(is_wanted).collect();
        if cases.is_empty() {
            let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
            bail!("no job is called so; there are {}", names.join(", "));
        }
        println!(
            "{:<22}{:>10}{:>12}{:>14}{:>10}",
            "job", "peak, MB", "ceiling, MB", "all of it, MB", "time, s"
        );
        let mut above = Vec::new();
        for case in cases {
            let place = folder.join(case.name);
            fs::create_dir_all(&place)?;
            eprintln!("{}: {}", case.name, case.about);
            let made = (case.make)(&place, self.scale).with_context(|| format!("making {}", case.name))?;
            let base = self.taken(&place, &small(&made.job))?;
            let taken = self.taken(&place, &made.job)?;
            let ceiling = base.peak_mb + allowed_mb(&made.job) + made.activations_mb;
            println!(
                "{:<22}{:>10}{:>12}{:>14}{:>10.1}",
                case.name, taken.peak_mb, ceiling, made.naive_mb, taken.seconds
            );
            if taken.peak_mb > ceiling {
                above
                    .push(format!("{} took {} MB, and its limits allow {ceiling}", case.name, taken.peak_mb));
            }
        }
        if above.is_empty() { Ok(()) } else { bail!("{}", above.join("\n")) }
    }

    /// Runs a job in a store of its own.
    fn taken(&self, place: &Path, job: &Value) -> Result<Taken> {
        let out = place.join("out");
        let _ = fs::remove_dir_all(&out);
        let file = place.join("job.yaml");
        fs::write(&file, job.to_string())?;
        let started = Instant::now();
        let mut command = Command::new(&self.marquetry);
        command.args(["run", "--format", "json", "--lanes", &LANES.to_string()]).arg(&file);
        let ran = command.stderr(Stdio::piped()).output().context("the binary does not start")?;
        let said = String::from_utf8_lossy(&ran.stderr);
        let summary: Value = serde_json::from_slice(&ran.stdout).with_context(|| said.to_string())?;
        if ran.status.code() != Some(0) {
            bail!("{} ended with {}: {said}", file.display(), ran.status);
        }
        let peak =
            summary["peak_memory_bytes"].as_u64().context("this system does not tell the peak of memory")?;
        let _ = fs::remove_dir_all(&out);
        Ok(Taken { peak_mb: peak / MB, seconds: started.elapsed().as_secs_f64() })
    }
}

/// What limits allow beyond the process itself, MB: canvases of one task that is computed and one that is stored, decoded
/// images in hand of lanes, two bands of each image that is put together, and what is fixed.
fn allowed_mb(job: &Value) -> u64 {
    let limit = |name: &str| job["limits"][name].as_u64().unwrap_or(0);
    2 * limit("block_mb") + LANES * limit("image_mb") + LANES * 2 * limit("band_mb") + FIXED_MB
}

/// The same job for its first image alone, which every folder has: one of a few pixels.
fn small(job: &Value) -> Value {
    let mut small = job.clone();
    let first = small["images"].as_str().map(|folder| Path::new(folder).join("0.png"));
    small["images"] = json!(first);
    small["store"] = json!(Path::new(job["store"].as_str().unwrap_or_default()).with_file_name("out"));
    small
}
