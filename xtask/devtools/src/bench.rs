//! The benchmark: the whole of Marquetry beside ONNX Runtime and nothing else.

use crate::scene::{DatasetSpec, write_dataset};
use crate::{cache, root};
use anyhow::{Context, Result, bail};
use marquetry_geometry::Size;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const WINDOW: u32 = 512;
/// Rounds of each; the best of each counts, since other programs can only make one slower.
const ROUNDS: usize = 2;

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// The binary.
    #[arg(long)]
    marquetry: PathBuf,
    /// Side of the generated image, px.
    #[arg(long)]
    side: u32,
    /// Members, as a pattern below demo/models.
    #[arg(long)]
    members: String,
    /// Views: d4, flips, hflip, …; none for the window alone.
    #[arg(long)]
    views: String,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        let image = self.image()?;
        let models = self.models()?;
        let first = self.run_marquetry(&image)?;
        let forwards = first.forwards;
        println!(
            "image {0} × {0} px, window {WINDOW} px, overlap 0.5, {1} members, views {2}: {3} forwards\n",
            self.side,
            models.len(),
            self.views,
            forwards
        );
        let (mut bare, mut ours) = (Vec::new(), vec![first]);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for round in 0..ROUNDS {
            for (sessions, threads) in settings(cores) {
                let result = bare_loop(&models, forwards, sessions, threads)?;
                println!(
                    "bare loop, {sessions} sessions × {threads} threads   {:>7.2} forwards/s   {:>6.0} MB",
                    result.0,
                    result.1 / 1e6
                );
                bare.push(result);
            }
            if round > 0 {
                ours.push(self.run_marquetry(&image)?);
            }
        }
        let best = bare.iter().copied().fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a });
        let run = ours.into_iter().max_by(|a, b| a.rate().total_cmp(&b.rate())).context("no run")?;
        println!(
            "marquetry run                        {:>7.2} forwards/s   {:>6.0} MB",
            run.rate(),
            run.peak / 1e6
        );
        println!(
            "\nratio {:.3} (best run over best bare loop, wall time from start to finished masks)",
            run.rate() / best.0
        );
        run.print_stages(cores);
        Ok(())
    }

    fn image(&self) -> Result<PathBuf> {
        let folder = cache().join("bench").join(self.side.to_string());
        if !folder.join("folds.csv").is_file() {
            write_dataset(&DatasetSpec {
                out: folder.clone(),
                count: 1,
                seed: 6,
                size: Size::square(self.side),
                folds: 0,
            })?;
        }
        Ok(folder.join("images"))
    }

    fn models(&self) -> Result<Vec<String>> {
        let folder = root().join("demo").join("models");
        let names = marquetry_spec::expand_braces(&format!("{}.onnx", self.members))?;
        Ok(names.iter().map(|n| folder.join(n).to_string_lossy().into_owned()).collect())
    }

    fn run_marquetry(&self, image: &Path) -> Result<Run> {
        let folder = cache().join("bench");
        let _ = fs::remove_dir_all(folder.join("out"));
        let job = folder.join("job.yaml");
        let views = if self.views == "none" { "[]".into() } else { self.views.clone() };
        let spec = json!({
            "version": 1, "name": "bench", "images": image, "classes": ["maple", "cherry", "walnut", "padauk", "ebony"],
            "defaults": {"input": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}, "window": {"size": WINDOW}},
            "members": [{"onnx": root().join("demo/models").join(format!("{}.onnx", self.members))}],
            "outputs": [{"masks": "png"}],
        });
        let mut text = spec;
        text["tta"] = json!({"views": if views == "[]" { json!([]) } else { json!(views) }});
        fs::write(&job, text.to_string())?;
        let mut command = Command::new(&self.marquetry);
        let output = command.arg("run").arg(&job).args(["--format", "json"]).output()?;
        if !output.status.success() {
            bail!("marquetry run failed:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        let summary: Value = serde_json::from_slice(&output.stdout)?;
        let number = |v: &Value| v.as_f64().unwrap_or(f64::NAN);
        Ok(Run {
            forwards: summary["tally"]["forwards"].as_u64().context("forwards")?,
            wall: number(&summary["wall_seconds"]),
            peak: number(&summary["peak_memory_bytes"]),
            stages: ["read", "prepare", "infer", "stitch", "store"]
                .map(|stage| (stage, number(&summary["tally"]["seconds"][stage]))),
            aggregate: number(&summary["tally"]["aggregate_seconds"]),
        })
    }
}

struct Run {
    forwards: u64,
    wall: f64,
    peak: f64,
    stages: [(&'static str, f64); 5],
    aggregate: f64,
}

impl Run {
    fn rate(&self) -> f64 {
        self.forwards as f64 / self.wall
    }

    /// Each stage as a share of all cores' time from start to end; what is left is planning, starting and waiting.
    fn print_stages(&self, cores: usize) {
        let all = self.wall * cores as f64;
        let mut left = all;
        println!("\nwhere {cores} cores × {:.1} s went:", self.wall);
        for (stage, seconds) in self.stages.iter().copied().chain([("put together", self.aggregate)]) {
            println!("  {stage:<22} {seconds:>6.1} s  {:>5.1} %", 100.0 * seconds / all);
            left -= seconds;
        }
        println!("  {:<22} {left:>6.1} s  {:>5.1} %", "planning and waiting", 100.0 * left / all);
    }
}

/// Sessions and threads that use all cores in different ways.
fn settings(cores: usize) -> Vec<(usize, usize)> {
    let mut settings = vec![(1, cores)];
    if cores > 1 {
        settings.push((cores, 1));
    }
    if cores > 3 {
        settings.push((cores / 2, 2));
    }
    settings
}

/// Forwards per second, and peak bytes.
fn bare_loop(models: &[String], forwards: u64, sessions: usize, threads: usize) -> Result<(f64, f64)> {
    let job = json!({
        "models": models, "shape": [1, 3, WINDOW, WINDOW], "forwards": forwards, "sessions": sessions, "threads": threads,
    });
    let script = root().join("xtask/devtools/python/bare_loop.py");
    let output = Command::new("python3").arg(script).arg(job.to_string()).output()?;
    if !output.status.success() {
        bail!("the bare loop failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let result: Value = serde_json::from_slice(&output.stdout)?;
    Ok((result["rate"].as_f64().context("rate")?, result["peak_bytes"].as_f64().context("peak_bytes")?))
}
