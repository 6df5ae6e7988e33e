//! The demo: the main job on generated pictures, and what each step of the ensemble is worth.

use crate::scene::{DatasetSpec, write_dataset};
use crate::{cache, root, run};
use anyhow::{Context, Result, bail};
use marquetry_evaluation::Confusion;
use marquetry_geometry::Size;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Seeds that no training picture was painted with.
const SMALL_SEED: u32 = 2;
const LARGE_SEED: u32 = 6;
const SMALL_COUNT: u32 = 24;
const CLASSES: usize = 5;

pub(crate) fn demo(binary: &Path) -> Result<()> {
    let pictures = Pictures::painted()?;

    eprintln!(
        "\n1. The job demo/job.yaml: 12 members, 2 views, {SMALL_COUNT} small pictures and one of 4,096 × 4,096 px\n"
    );
    run(Command::new(binary).arg("run").arg("demo/job.yaml"))?;

    eprintln!("\n2. What each step is worth, on the small pictures (mean IoU, higher is better)\n");
    let table = Table { binary, pictures: &pictures };
    table.print()?;
    eprintln!("\nThe report lies in {}", newest_report()?.display());
    Ok(())
}

/// The generated pictures.
struct Pictures {
    small: PathBuf,
}

impl Pictures {
    /// Paints them once; they are the same on every machine of one kind.
    fn painted() -> Result<Self> {
        let folder = cache().join("demo");
        let (small, large) = (folder.join("small"), folder.join("large"));
        let list = folder.join("images.csv");
        if !list.is_file() {
            eprintln!("painting {SMALL_COUNT} pictures of 384 px and one of 4,096 px");
            let size = Size::square(384);
            write_dataset(&DatasetSpec {
                out: small.clone(),
                count: SMALL_COUNT,
                seed: SMALL_SEED,
                size,
                folds: 0,
            })?;
            let size = Size::square(4096);
            write_dataset(&DatasetSpec { out: large.clone(), count: 1, seed: LARGE_SEED, size, folds: 0 })?;
            let mut csv = "image_id,path\n".to_owned();
            for (set, folder) in [("large", &large), ("small", &small)] {
                for name in names(&folder.join("images"))? {
                    csv += &format!("{name},{set}/images/{name}.png\n");
                }
            }
            fs::write(&list, csv)?;
        }
        Ok(Self { small })
    }
}

/// The names of all PNG files in a folder, without their endings, in order.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "png") {
            names.extend(path.file_stem().map(|s| s.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// The table of scores.
struct Table<'a> {
    binary: &'a Path,
    pictures: &'a Pictures,
}

impl Table<'_> {
    fn print(&self) -> Result<()> {
        let mut singles = Vec::new();
        for fold in 0..3 {
            for seed in 0..2 {
                for epoch in [40, 48] {
                    singles.push(self.score(&format!("fold{fold}_seed{seed}_epoch{epoch}"), "[]")?);
                }
            }
        }
        let mean = singles.iter().sum::<f64>() / singles.len() as f64;
        let best = singles.iter().copied().fold(0.0, f64::max);
        let row = |name: &str, members: u32, score: f64| {
            println!("{name:<22} {members:>7}   {score:.4}   {:+.4}", score - mean);
        };
        println!("{:<22} {:>7}   {:<6}   over the mean single member", "", "members", "mIoU");
        row("best single member", 1, best);
        row("mean single member", 1, mean);
        row("folds", 3, self.score("fold{0..2}_seed0_epoch48", "[]")?);
        row("+ seeds", 6, self.score("fold{0..2}_seed{0,1}_epoch48", "[]")?);
        let all = "fold{0..2}_seed{0,1}_epoch{40,48}";
        row("+ epochs", 12, self.score(all, "[]")?);
        row("+ TTA (d4)", 12, self.score(all, "d4")?);
        Ok(())
    }

    /// Runs the members that `pattern` names over the small pictures, and compares the masks with the truth.
    fn score(&self, pattern: &str, views: &str) -> Result<f64> {
        let folder = cache().join("demo").join("table");
        fs::create_dir_all(&folder)?;
        let job = folder.join("job.yaml");
        let models = root().join("demo").join("models");
        let quoted = |path: &Path| serde_json::to_string(&path.to_string_lossy()).unwrap_or_default();
        fs::write(
            &job,
            format!(
                "{{version: 1, name: table, images: {}, classes: [maple, cherry, walnut, padauk, ebony],\n\
                 defaults: {{input: {{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}}, window: {{size: 384}}}},\n\
                 members: [{{onnx: {}}}], tta: {{views: {views}}}, outputs: [{{masks: png}}]}}\n",
                quoted(&self.pictures.small.join("images")),
                quoted(&models.join(format!("{pattern}.onnx"))),
            ),
        )?;
        let mut command = Command::new(self.binary);
        let output = command.arg("run").arg(&job).args(["--format", "json"]).current_dir(root()).output()?;
        if !output.status.success() {
            bail!("the job for {pattern} failed:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let id = summary["job"].as_str().context("a summary names its job")?;
        let masks = folder.join("out").join("jobs").join(id).join("out").join("masks");
        let mut confusion = Confusion::new(CLASSES);
        for name in names(&masks)? {
            let truth = labels(&self.pictures.small.join("masks").join(format!("{name}.png")))?;
            confusion.add(&truth, &labels(&masks.join(format!("{name}.png")))?);
        }
        Ok(confusion.mean_iou())
    }
}

/// The values of a mask, palette indices as they are.
fn labels(path: &Path) -> Result<Vec<u16>> {
    let shown = path.display();
    let file = std::io::BufReader::new(fs::File::open(path).with_context(|| format!("cannot open {shown}"))?);
    let mut reader = png::Decoder::new(file).read_info().with_context(|| format!("{shown} is no PNG"))?;
    let mut bytes = vec![0; reader.output_buffer_size().with_context(|| format!("{shown} is too large"))?];
    let info = reader.next_frame(&mut bytes)?;
    bytes.truncate(info.buffer_size());
    Ok(bytes.into_iter().map(u16::from).collect())
}

fn newest_report() -> Result<PathBuf> {
    let jobs = root().join("out").join("demo").join("jobs");
    let mut found: Vec<_> = fs::read_dir(&jobs)?
        .filter_map(|entry| {
            let report = entry.ok()?.path().join("out").join("report.html");
            Some((fs::metadata(&report).ok()?.modified().ok()?, report))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, report)| report).context("the demo's job wrote no report")
}
