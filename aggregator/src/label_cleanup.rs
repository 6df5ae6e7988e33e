//! Filling holes and taking out regions in label maps that may be larger than memory.

use crate::label_row_file::LabelRowFile;
use marquetry_ensemble::components::{Analysis, Clean, Stage, Verdicts};
use marquetry_spec::Decide;
use std::collections::{BTreeMap, BTreeSet};

/// The rules of a job, in the order in which they are applied: holes are filled, then small regions taken out, then
/// the largest kept. Each rule holds one stage per plane of labels that it concerns.
pub(crate) struct LabelCleanup {
    rules: Vec<Vec<Option<Stage>>>,
}

impl LabelCleanup {
    /// The rules of `decide` for images `width` px wide.
    pub(crate) fn new(decide: &Decide, width: usize) -> Self {
        let stage = |rule: Option<Clean>| rule.map(|rule| Stage::new(rule, decide.connectivity, width));
        let rules: [Vec<Option<Clean>>; 3] = match decide.background {
            Some(background) => exclusive(decide, background as u16).map(|rule| vec![rule]),
            None => independent(decide),
        };
        let rules = rules.into_iter().map(|planes| planes.into_iter().map(stage).collect::<Vec<_>>());
        Self { rules: rules.filter(|planes| planes.iter().any(Option::is_some)).collect() }
    }

    /// Whether there is nothing to tidy up.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Applies all rules to the rows of `file`, `[planes, W]` each.
    pub(crate) fn apply(
        &self,
        mut file: LabelRowFile,
        new_file: impl Fn() -> LabelRowFile,
    ) -> std::io::Result<LabelRowFile> {
        for planes in &self.rules {
            let mut analyses: Vec<_> = planes.iter().map(|s| s.as_ref().map(Stage::analyse)).collect();
            let n = planes.len();
            file.read(|row| {
                for (labels, analysis) in row.chunks_exact(row.len() / n).zip(&mut analyses) {
                    if let Some(analysis) = analysis {
                        analysis.rows(labels);
                    }
                }
                Ok::<_, std::io::Error>(())
            })?;
            let verdicts: Vec<_> = analyses.into_iter().map(|a| a.map(Analysis::finish)).collect();
            if verdicts.iter().flatten().all(Verdicts::change_nothing) {
                continue;
            }
            let mut rewrites: Vec<_> = verdicts.iter().map(|v| v.as_ref().map(Verdicts::rewrite)).collect();
            let mut cleaned = new_file();
            file.read(|row| {
                let width = row.len() / n;
                for (labels, rewrite) in row.chunks_exact_mut(width).zip(&mut rewrites) {
                    if let Some(rewrite) = rewrite {
                        rewrite.rows(labels);
                    }
                }
                cleaned.push(row)
            })?;
            drop(rewrites);
            file = cleaned;
        }
        Ok(file)
    }
}

/// One plane of labels: class indices.
fn exclusive(decide: &Decide, background: u16) -> [Option<Clean>; 3] {
    let chosen = |of: &[bool]| -> BTreeSet<u16> {
        (0..of.len() as u16).filter(|&l| of[l as usize] && l != background).collect()
    };
    let areas_px: BTreeMap<u16, u64> =
        (0_u16..).zip(decide.min_area_px.iter().copied()).filter(|a| a.1 > 0).collect();
    let (holes, largest) = (chosen(&decide.fill_holes), chosen(&decide.largest));
    [
        (!holes.is_empty()).then_some(Clean::FillHoles { background, labels: holes, max_area_px: None }),
        (!areas_px.is_empty()).then_some(Clean::MinArea { areas_px, fill: background }),
        (!largest.is_empty()).then_some(Clean::Largest { labels: largest, fill: background }),
    ]
}

/// A plane of 0 and 1 for each class.
fn independent(decide: &Decide) -> [Vec<Option<Clean>>; 3] {
    let one = || BTreeSet::from([1]);
    let holes = decide
        .fill_holes
        .iter()
        .map(|&fill| fill.then(|| Clean::FillHoles { background: 0, labels: one(), max_area_px: None }));
    let area = |&px: &u64| (px > 0).then(|| Clean::MinArea { areas_px: BTreeMap::from([(1, px)]), fill: 0 });
    let largest = |&only: &bool| only.then(|| Clean::Largest { labels: one(), fill: 0 });
    [
        holes.collect(),
        decide.min_area_px.iter().map(area).collect(),
        decide.largest.iter().map(largest).collect(),
    ]
}
