//! What a sweep comes to: a row for each setting.

use marquetry_tuning::{Judged, Metric};
use serde::Serialize;

/// One setting, beside the job as it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingRow {
    /// What to call it.
    pub name: String,
    /// How good it is, beside the others.
    #[serde(flatten)]
    pub judged: Judged,
    /// Model runs of one window each.
    pub forwards: u64,
    /// Seconds of running members over a million pixels of images on this machine, all lanes at work; without reading images and
    /// storing tiles.
    pub seconds_per_megapixel: f64,
    /// Seconds beside those of the job as it is.
    pub ratio: f64,
    /// The folder of its evaluation.
    pub evaluation: String,
}

/// All settings, the job as it is first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepTable {
    /// What settings are judged by.
    pub metric: Metric,
    /// Images with truth that all settings have labels of.
    pub images: usize,
    /// What is drawn together: groups of images, or where there is one group, images.
    pub groups: usize,
    /// Whether groups are images.
    pub groups_are_images: bool,
    /// The settings.
    pub settings: Vec<SettingRow>,
    /// The best one, as a place among them.
    pub best: usize,
    /// The one to take.
    pub chosen: usize,
    /// Settings that could not be tried, and why.
    pub left_out: Vec<(String, String)>,
}

/// So few groups say little of how far others may be off.
const FEW_GROUPS: usize = 5;

impl SweepTable {
    /// `mean IoU`
    pub const fn metric_name(&self) -> &'static str {
        match self.metric {
            Metric::MeanIou => "mean IoU",
            Metric::MeanDice => "mean Dice",
        }
    }

    /// What is worth knowing of a setting, in words.
    pub fn remarks(&self, place: usize) -> String {
        let row = &self.settings[place];
        let mut words = Vec::new();
        if row.judged.on_front {
            words.push(if row.judged.is_surely_better {
                "front"
            } else {
                "front, within one standard error"
            });
        }
        if place == self.best {
            words.push("best");
        }
        if place == self.chosen {
            words.push("chosen");
        }
        words.join(", ")
    }

    /// Why the chosen one is chosen.
    pub fn verdict(&self) -> String {
        let (chosen, best) = (&self.settings[self.chosen], &self.settings[self.best]);
        if self.groups < 2 {
            return "one image says nothing of how settings do on another: the job stays as it is".to_owned();
        }
        let mut words = if self.chosen == 0 {
            let cheaper = "nothing that is as good within one standard error takes less";
            if self.best == 0 {
                format!("the job stays as it is: nothing is better, and {cheaper}")
            } else {
                format!(
                    "the job stays as it is: the best one, {}, is no more than one standard error better, and {cheaper}",
                    best.name
                )
            }
        } else if self.chosen == self.best {
            format!(
                "{}: the best one; nothing that is as good within one standard error takes less",
                chosen.name
            )
        } else {
            format!(
                "{}: the cheapest one than which the best, {}, is no more than one standard error better",
                chosen.name, best.name
            )
        };
        if self.groups < FEW_GROUPS {
            words += &format!(
                "; with {} groups a standard error is itself uncertain: look at more before you trust it",
                self.groups
            );
        }
        words
    }
}

#[cfg(test)]
pub(super) fn table_of(rows: &[(&str, f64, f64)]) -> SweepTable {
    use marquetry_tuning::Gain;
    let best = (0..rows.len()).fold(0, |best, next| if rows[next].1 > rows[best].1 { next } else { best });
    let front = marquetry_tuning::pareto_front(&rows.iter().map(|row| (row.1, row.2)).collect::<Vec<_>>());
    let row = |(place, (name, score, ratio)): (usize, &(&str, f64, f64))| SettingRow {
        name: (*name).to_owned(),
        judged: Judged {
            score: *score,
            gain: Some(Gain { gain: score - rows[0].1, standard_error: 0.001, low: -0.002, high: 0.002 }),
            on_front: front[place],
            is_surely_better: front[place],
            is_near_best: place == best,
        },
        forwards: 100,
        seconds_per_megapixel: *ratio,
        ratio: *ratio,
        evaluation: String::new(),
    };
    SweepTable {
        metric: Metric::MeanIou,
        images: 12,
        groups: 12,
        groups_are_images: true,
        settings: rows.iter().enumerate().map(row).collect(),
        best,
        chosen: best,
        left_out: Vec::new(),
    }
}
