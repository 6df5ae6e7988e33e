//! What a sweep comes to: a row for each setting.

use marquetry_tuning::{Gain, Judged, Metric};
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
    /// Seconds of running members over a million pixels of images on this machine, all lanes at work; without reading images,
    /// opening models and storing tiles.
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
    /// The one that the rule takes, of all groups.
    pub by_rule: usize,
    /// What the rule gains over the job as it is on groups that it did not see when it chose.
    pub held_out: Option<Gain>,
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

    /// What the rule comes to on groups that it did not see, in words; nothing where it changes nothing.
    pub fn cross_validated(&self) -> Option<String> {
        let Gain { gain, standard_error, low, high } = self.held_out.filter(|_| self.by_rule != 0)?;
        Some(format!(
            "chosen on some of the {} and judged on the others, in turn, that comes to {gain:+.4} ± {standard_error:.4} over the \
             job as it is ({low:+.4} to {high:+.4} with 95 %)",
            if self.groups_are_images { "images" } else { "groups" }
        ))
    }

    /// Why the chosen one is chosen.
    pub fn verdict(&self) -> String {
        let name = |place: usize| self.settings[place].name.as_str();
        if self.groups < 2 {
            return "one image says nothing of how settings do on another: the job stays as it is".to_owned();
        }
        let cheaper = "nothing that is as good within one standard error takes less";
        let by_rule = match (self.by_rule, self.by_rule == self.best) {
            (0, true) => format!("the job stays as it is: nothing is better, and {cheaper}"),
            (0, false) => format!(
                "the job stays as it is: the best one, {}, is no more than one standard error better, and {cheaper}",
                name(self.best)
            ),
            (place, true) => format!("{}: the best one, and {cheaper}", name(place)),
            (place, false) => format!(
                "{}: the cheapest one than which the best, {}, is no more than one standard error better",
                name(place),
                name(self.best)
            ),
        };
        let mut words = if self.chosen == self.by_rule {
            by_rule
        } else {
            format!(
                "the job stays as it is, since the choice does not hold on others; it would have been {by_rule}"
            )
        };
        if self.groups < FEW_GROUPS {
            words += &format!(
                "; with {} {} a standard error is itself uncertain: look at more before you trust it",
                self.groups,
                if self.groups_are_images { "images" } else { "groups" }
            );
        }
        words
    }
}

#[cfg(test)]
pub(super) fn table_of(rows: &[(&str, f64, f64)]) -> SweepTable {
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
        by_rule: best,
        held_out: None,
        chosen: best,
        left_out: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_says_what_is_chosen_and_why() {
        let rows = [("the job as it is", 0.8, 1.0), ("hflip", 0.819, 2.0), ("d4", 0.82, 8.0)];
        let held_out = Some(Gain { gain: 0.018, standard_error: 0.002, low: 0.014, high: 0.022 });
        let of = |by_rule, chosen| SweepTable { by_rule, held_out, chosen, ..table_of(&rows) };
        let says = |table: SweepTable, words: &str| {
            assert!(table.verdict().starts_with(words), "{} is not {words}", table.verdict());
        };
        says(of(2, 2), "d4: the best one, and nothing");
        says(of(1, 1), "hflip: the cheapest one than which the best, d4, is no more");
        says(
            of(1, 0),
            "the job stays as it is, since the choice does not hold on others; it would have been hflip",
        );
        says(of(0, 0), "the job stays as it is: the best one, d4, is no more");
        says(SweepTable { groups: 1, ..of(0, 0) }, "one image says nothing");
        assert!(SweepTable { groups: 3, ..of(1, 1) }.verdict().contains("with 3 images a standard error is"));
        let words = of(1, 1).cross_validated().unwrap();
        assert!(words.contains("+0.0180 ± 0.0020") && words.contains("+0.0140 to +0.0220"), "{words}");
        assert_eq!(of(0, 0).cross_validated(), None);
        assert_eq!([of(1, 1).remarks(1), of(1, 1).remarks(2)], ["front, chosen", "front, best"]);
    }
}
