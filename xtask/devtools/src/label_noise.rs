//! How well the output `label_quality` finds labels that were made wrong on purpose, in generated pictures.

mod object;
mod pictures;
mod plant;
mod ranking;
mod smooth;
mod trial;

use crate::cache;
use crate::scene::Dice;
use anyhow::{Context, Result, bail};
use pictures::{Pictures, SIDE};
use plant::{Noise, Truth};
use ranking::Ranking;
use std::fs;
use std::path::{Path, PathBuf};
use trial::{Members, RANKED_BY, Trials};

/// The seed of what is planted.
const SEED: u64 = 20;
/// Budgets beside the planted number, in per cent of all images.
const BUDGETS: [usize; 3] = [5, 10, 20];

/// What is planted.
#[derive(clap::Args)]
pub(crate) struct LabelNoise {
    /// The binary.
    #[arg(long)]
    marquetry: PathBuf,
    /// How many pictures.
    #[arg(long)]
    count: u32,
    /// Wrong labels, in per cent of all, with commas between.
    #[arg(long, value_delimiter = ',')]
    percent: Vec<f64>,
    /// What is wrong with them, by the beginnings of names, with commas between; empty for all.
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<String>,
    /// How often each is planted anew.
    #[arg(long)]
    rounds: u32,
}

impl LabelNoise {
    pub(crate) fn run(&self) -> Result<()> {
        let kinds = self.kinds()?;
        let folder = cache().join("label-noise");
        // What an earlier run left is of other labels.
        let _ = fs::remove_dir_all(&folder);
        eprintln!("painting {} pictures of {SIDE} px", self.count);
        let pictures = Pictures::painted(&folder, self.count)?;
        let truth = Truth::new(pictures.masks.clone(), pictures::classes());
        let mut trials = Trials::new(&self.marquetry, folder.join("store"), SIDE);
        let mut figures = Figures::begun(&folder, &pictures);
        for members in [Members::OutOfFold, Members::All] {
            self.print_head(members, &pictures);
            for &percent in &self.percent {
                let count = ((percent / 100.0 * f64::from(self.count)).round() as usize).max(1);
                for &noise in &kinds {
                    let mut rounds = Vec::new();
                    for round in 0..self.rounds {
                        let dice = Dice::new(SEED).named(u64::from(round)).named((percent * 1000.0) as u64);
                        let wrong = truth.plant(noise, count, dice.named(noise as u64))?;
                        let labels = folder.join(format!("labels/{}_{percent}_{round}", noise.name()));
                        let list = pictures.write_labels(&labels, &wrong)?;
                        let table = trials.run(&list, members)?;
                        rounds.push(table.rankings(pictures.names(), |at| wrong.contains_key(&at))?);
                    }
                    figures.row(members, noise, percent, count, &rounds)?;
                }
            }
        }
        eprintln!("\nThe figures lie in {}, the labels beside it", figures.path.display());
        Ok(())
    }

    fn print_head(&self, members: Members, pictures: &Pictures) {
        let (all, trained) = pictures.counts();
        println!("\n{}", members.words());
        println!(
            "{all} images, of which {trained} were in the training of two thirds of the members, with right labels; mean of {} rounds",
            self.rounds
        );
        let budgets = BUDGETS.map(|b| format!("{:>13}", format!("P R at {b} %"))).concat();
        let columns = ["wrong", "planted", "ranked by"];
        println!(
            "{:>5}  {:<9} {:>7}  {:<14} {:>5} {:>9}{budgets}",
            "", columns[0], columns[1], columns[2], "AP", "P=R at n"
        );
    }

    /// What is to be planted.
    ///
    /// # Errors
    /// If a kind is none, or a number out of range.
    fn kinds(&self) -> Result<Vec<Noise>> {
        let begins = |noise: &Noise, kind: &str| noise.name().starts_with(kind);
        let strange = self.kinds.iter().find(|kind| !Noise::ALL.iter().any(|noise| begins(noise, kind)));
        if let Some(kind) = strange {
            bail!("`{kind}` is none of {}", Noise::ALL.map(Noise::name).join(", "));
        }
        if self.percent.iter().any(|percent| !(0.0..=100.0).contains(percent)) || self.rounds == 0 {
            bail!("wrong labels are 0 to 100 per cent, rounds 1 or more");
        }
        let wanted = |noise: &Noise| self.kinds.iter().any(|kind| begins(noise, kind));
        Ok(Noise::ALL.into_iter().filter(wanted).collect())
    }
}

/// What is printed, and written as a table for programs.
struct Figures {
    images: usize,
    path: PathBuf,
    csv: String,
}

impl Figures {
    fn begun(folder: &Path, pictures: &Pictures) -> Self {
        let budgets = BUDGETS.map(|b| format!(",precision_{b},recall_{b}")).concat();
        let csv =
            format!("members,percent,kind,planted,ranked_by,average_precision,precision_planted{budgets}\n");
        Self { images: pictures.counts().0, path: folder.join("figures.csv"), csv }
    }

    /// The mean of all rounds, for each ranking.
    fn row(
        &mut self,
        members: Members,
        noise: Noise,
        percent: f64,
        planted: usize,
        rounds: &[[Ranking; 3]],
    ) -> Result<()> {
        for (by, name) in RANKED_BY.into_iter().enumerate() {
            let mean = |of: &dyn Fn(&Ranking) -> f64| {
                rounds.iter().map(|round| of(&round[by])).sum::<f64>() / rounds.len() as f64
            };
            let ap = mean(&Ranking::average_precision);
            let at_planted = mean(&|ranking| ranking.found(planted) / planted as f64);
            let head = if by == 0 {
                format!("{:>5}  {:<9} {planted:>7}", format!("{percent} %"), noise.name())
            } else {
                format!("{:>5}  {:<9} {:>7}", "", "", "")
            };
            let (mut line, mut csv) = (
                format!("{head}  {name:<14} {ap:>5.3} {at_planted:>9.2}"),
                format!("{ap:.4},{at_planted:.4}"),
            );
            for budget in BUDGETS {
                let images = (budget * self.images).div_ceil(100);
                let found = mean(&|ranking| ranking.found(images));
                let (precision, recall) = (found / images as f64, found / planted as f64);
                line += &format!("{precision:>8.2} {recall:.2}");
                csv += &format!(",{precision:.4},{recall:.4}");
            }
            println!("{line}");
            let members = format!("{members:?}");
            self.csv += &format!("{members},{percent},{},{planted},{name},{csv}\n", noise.name());
        }
        fs::write(&self.path, &self.csv).with_context(|| format!("writing {}", self.path.display()))
    }
}
