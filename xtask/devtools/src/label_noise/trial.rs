//! Labels ranked by the product itself: a job over them, and the table that it writes.

use super::ranking::Ranking;
use crate::root;
use crate::scene::class_names;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What labels are ranked by.
pub(super) const RANKED_BY: [&str; 3] = ["label_quality", "softmin", "mean IoU"];

/// Which members judge an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Members {
    /// Those that were trained without it.
    OutOfFold,
    /// All, those too that were trained on it.
    All,
}

impl Members {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::OutOfFold => "members that were trained without the image (folds: out_of_fold)",
            Self::All => "all members, which may know the image (folds: all)",
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::OutOfFold => "out_of_fold",
            Self::All => "all",
        }
    }
}

/// Runs jobs over one store, in which tiles are kept.
pub(super) struct Trials<'a> {
    pub(super) binary: &'a Path,
    pub(super) store: PathBuf,
    pub(super) window_px: u32,
    /// Whose tiles the store has.
    ran: BTreeSet<Members>,
}

impl<'a> Trials<'a> {
    pub(super) const fn new(binary: &'a Path, store: PathBuf, window_px: u32) -> Self {
        Self { binary, store, window_px, ran: BTreeSet::new() }
    }

    /// The table over the images and labels of a list.
    ///
    /// # Errors
    /// If the job fails, or runs a model though only labels have changed.
    pub(super) fn run(&mut self, list: &Path, members: Members) -> Result<Table> {
        let job = list.with_file_name(format!("{}.yaml", members.key()));
        // JSON is a part of YAML.
        fs::write(&job, format!("{:#}\n", self.spec(list, members)))?;
        let mut command = Command::new(self.binary);
        let output = command.arg("run").arg(&job).args(["--format", "json"]).current_dir(root()).output()?;
        if !output.status.success() {
            bail!("the job {} failed:\n{}", job.display(), String::from_utf8_lossy(&output.stderr));
        }
        let summary: Value = serde_json::from_slice(&output.stdout)?;
        let forwards = summary["tally"]["forwards"].as_u64().context("a summary counts forwards")?;
        let first = self.ran.insert(members);
        ensure!(
            first || forwards == 0,
            "{} ran models {forwards} times, though only labels have changed",
            job.display()
        );
        let outputs = summary["outputs"].as_str().context("a summary names its outputs")?;
        Table::read(&root().join(outputs).join("label-quality").join("labels.csv"))
    }

    fn spec(&self, list: &Path, members: Members) -> Value {
        let input = json!({"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]});
        json!({
            "version": 1,
            "name": "label-noise",
            "images": list,
            "classes": class_names(),
            "truth": {"column": "label"},
            "defaults": {"input": input, "window": {"size": self.window_px}},
            "members": [{"onnx": root().join("demo/models/fold{0..2}_seed{0,1}_epoch{40,48}.onnx")}],
            "folds": members.key(),
            "tiles": {"keep": true},
            "outputs": [{"label_quality": "html", "shown": 20}],
            "store": self.store,
        })
    }
}

/// What a table says of each image, by its id: one score for each of [`RANKED_BY`], the least the most suspicious.
#[derive(Debug)]
pub(super) struct Table(BTreeMap<String, [f64; 3]>);

impl Table {
    fn read(path: &Path) -> Result<Self> {
        let file = fs::File::open(path).with_context(|| format!("opening {}", path.display()))?;
        Self::parse(file).with_context(|| format!("reading {}", path.display()))
    }

    fn parse(text: impl std::io::Read) -> Result<Self> {
        let mut reader = csv::Reader::from_reader(text);
        let columns = reader.headers()?.clone();
        let place = |name: &str| {
            columns.iter().position(|column| column == name).with_context(|| format!("no column {name}"))
        };
        let id = place("image_id")?;
        let numbers = [place("rank")?, place("quality")?, place("softmin")?, place("mean_iou")?];
        let mut rows = BTreeMap::new();
        for record in reader.records() {
            let record = record?;
            let [rank, quality, softmin, iou] = numbers.map(|at| record[at].parse().unwrap_or(f64::INFINITY));
            // The order is finer than what is written of the quality, but those of which nothing is held stand in the job's.
            let own = if quality >= 1.0 { f64::INFINITY } else { rank };
            ensure!(
                rows.insert(record[id].to_owned(), [own, softmin, iou]).is_none(),
                "{} twice",
                &record[id]
            );
        }
        Ok(Self(rows))
    }

    /// The rankings of all images; `planted` are places in `names`.
    ///
    /// # Errors
    /// If an image is not in the table.
    pub(super) fn rankings(&self, names: &[String], planted: impl Fn(usize) -> bool) -> Result<[Ranking; 3]> {
        let mut lists = [const { Vec::new() }; 3];
        for (at, name) in names.iter().enumerate() {
            let word = if planted(at) { "the planted image" } else { "the image" };
            let scores = self.0.get(name).with_context(|| format!("{word} {name} is not in the table"))?;
            for (list, score) in lists.iter_mut().zip(scores) {
                list.push((*score, planted(at)));
            }
        }
        ensure!(self.0.len() == names.len(), "{} images are ranked, not {}", self.0.len(), names.len());
        Ok(lists.map(Ranking::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "rank,image_id,reason,quality,mean_iou,softmin\n\
                         1,b,\"one, two\",0.000000,0.8,0.3\n2,c,,0.000000,0.5,0.2\n3,a,,1.000000,0.9,0.9\n4,d,,1.000000,,\n";

    #[test]
    fn a_table_is_three_rankings() {
        let table = Table::parse(TABLE.as_bytes()).unwrap();
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        let found = |planted: usize| {
            table.rankings(&names, |at| at == planted).unwrap().map(|ranking| ranking.average_precision())
        };
        assert_eq!(found(1), [1.0, 0.5, 0.5], "the order counts where the quality is written alike");
        assert_eq!(found(2), [0.5, 1.0, 1.0]);
        let tied = f64::midpoint(1.0 / 3.0, 0.25);
        assert!((found(0)[0] - tied).abs() < 1e-12, "nothing is held of two");
    }

    #[test]
    fn an_image_that_is_not_there_is_told() {
        let table = Table::parse(TABLE.as_bytes()).unwrap();
        let names = ["a", "b", "c", "e"].map(str::to_owned);
        let error = table.rankings(&names, |at| at == 3).unwrap_err().to_string();
        assert_eq!(error, "the planted image e is not in the table");
        assert!(table.rankings(&names[..3], |_| false).is_err(), "one too many");
        assert!(Table::parse("rank,image_id\n".as_bytes()).is_err());
    }
}
