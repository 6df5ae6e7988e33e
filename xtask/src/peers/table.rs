//! Medians, ratios, and the table of a case.

use super::case::thousands;
use super::system::{System, Taken};
use serde_json::{Value, json};

/// A program and all its runs.
pub(super) struct Row {
    pub(super) system: System,
    pub(super) taken: Vec<Taken>,
    /// Labels that differ from Marquetry's.
    pub(super) unlike: Option<u64>,
}

/// What was measured in a case.
pub(super) struct Results {
    pub(super) name: &'static str,
    pub(super) about: String,
    pub(super) forwards: u64,
    pub(super) pixels: u64,
    pub(super) rows: Vec<Row>,
}

/// The middle number, or the mean of the two in the middle; nothing of nothing.
pub(super) fn median(numbers: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    let upper = *numbers.get(middle)?;
    Some(if numbers.len().is_multiple_of(2) { f64::midpoint(numbers[middle - 1], upper) } else { upper })
}

impl Row {
    fn seconds(&self) -> f64 {
        median(self.taken.iter().map(|taken| taken.seconds)).unwrap_or(f64::NAN)
    }

    fn start_seconds(&self) -> Option<f64> {
        median(self.taken.iter().filter_map(|taken| taken.start_seconds))
    }

    /// Of all runs: a peak is not noise, and who runs out of memory once has failed.
    fn peak_bytes(&self) -> u64 {
        self.taken.iter().map(|taken| taken.peak_bytes).max().unwrap_or(0)
    }
}

impl Results {
    /// The bare loop in the settings that are quickest here.
    fn bare(&self) -> Option<&Row> {
        let bare = self.rows.iter().filter(|row| row.system.is_bare());
        bare.min_by(|a, b| a.seconds().total_cmp(&b.seconds()))
    }

    /// How much of the bare loop's speed a program has.
    fn ratio(&self, row: &Row) -> f64 {
        self.bare().map_or(f64::NAN, |bare| bare.seconds() / row.seconds())
    }

    /// Of the bare loops the quickest, and all else.
    fn shown(&self) -> impl Iterator<Item = &Row> {
        let bare = self.bare().map(|row| row.system);
        self.rows.iter().filter(move |row| !row.system.is_bare() || Some(row.system) == bare)
    }

    /// What does better than Marquetry where that is quickest, in words, so that no table is read for what it would rather say.
    fn better(&self) -> String {
        let ours = self.rows.iter().filter(|row| row.system.is_ours());
        let ours = ours.min_by(|a, b| a.seconds().total_cmp(&b.seconds()));
        let names = |is_better: fn(&Row, &Row) -> bool| {
            let others = self.shown().filter(|row| !row.system.is_ours());
            let better = others.filter(|row| ours.is_some_and(|ours| is_better(row, ours)));
            let names: Vec<String> = better.map(|row| row.system.name()).collect();
            if names.is_empty() { "nothing".to_owned() } else { names.join("; ") }
        };
        format!(
            "Quicker than `{}`: {}. In less memory: {}.\n",
            ours.map(|ours| ours.system.name()).unwrap_or_default(),
            names(|row, ours| row.seconds() < ours.seconds()),
            names(|row, ours| row.peak_bytes() < ours.peak_bytes())
        )
    }

    /// A line for each program, as Markdown that also reads well on a terminal; the bare loop once.
    pub(super) fn markdown(&self) -> String {
        let mut lines =
            vec![["", "wall, s", "ratio", "start, s", "peak, MB", "other labels"].map(str::to_owned)];
        for row in self.shown() {
            let share = |count: u64| 100.0 * count as f64 / self.pixels as f64;
            lines.push([
                row.system.name(),
                format!("{:.2}", row.seconds()),
                format!("{:.2}", self.ratio(row)),
                row.start_seconds().map(|seconds| format!("{seconds:.2}")).unwrap_or_default(),
                format!("{:.0}", row.peak_bytes() as f64 / 1e6),
                row.unlike.map(|n| format!("{} ({:.3} %)", thousands(n), share(n))).unwrap_or_default(),
            ]);
        }
        format!("**{}**: {}.\n\n{}\n{}", self.name, self.about, aligned(&lines), self.better())
    }

    pub(super) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let runs = row.taken.iter();
            json!({
                "system": row.system.name(), "median_seconds": row.seconds(), "ratio": self.ratio(row),
                "start_seconds": row.start_seconds(), "peak_bytes": row.peak_bytes(), "other_labels": row.unlike,
                "seconds": runs.map(|taken| taken.seconds).collect::<Vec<_>>(),
            })
        });
        json!({
            "case": self.name, "about": self.about, "forwards": self.forwards, "pixels": self.pixels,
            "systems": rows.collect::<Vec<_>>(),
        })
    }
}

/// A Markdown table whose columns stand below each other: the first to the left, numbers to the right.
fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0).max(3);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells: Vec<String> = (0..N)
            .map(|at| match at {
                0 => format!("{:<w$}", line[at], w = widths[at]),
                _ => format!("{:>w$}", line[at], w = widths[at]),
            })
            .collect();
        text += &format!("| {} |\n", cells.join(" | "));
        if number == 0 {
            let rule =
                |at: usize| if at == 0 { "-".repeat(widths[0]) } else { "-".repeat(widths[at] - 1) + ":" };
            text += &format!("| {} |\n", (0..N).map(rule).collect::<Vec<_>>().join(" | "));
        }
    }
    text
}
