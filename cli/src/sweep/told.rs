//! What a sweep came to, for people and for machines.

use crate::say;
use marquetry_coordinator::{Change, SettingRow, SweepTable, WindowSize};
use marquetry_failure::counted;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// What there is to tell.
pub(super) struct Told<'a> {
    pub(super) table: &'a SweepTable,
    /// What each setting changes.
    pub(super) changes: Vec<&'a Change>,
    pub(super) machine: String,
    /// Images with truth that not all settings have labels of.
    pub(super) without: &'a [&'a str],
    pub(super) output: &'a Path,
    pub(super) page: &'a Path,
}

/// So many images are named.
const NAMED: usize = 3;

pub(super) fn text(told: &Told<'_>) -> String {
    let Told { table, .. } = told;
    let unit = match (table.groups_are_images, table.groups) {
        (true, _) => "each a group of its own".to_owned(),
        (false, groups) => counted(groups, "group"),
    };
    let metric = table.metric_name();
    let images = counted(table.images, "image");
    let mut out =
        format!("{metric} of {images} ({unit}); seconds of {}, for a million pixels\n\n", told.machine);
    let wide = table.settings.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(7);
    let wide_metric = metric.len();
    let _ = writeln!(
        out,
        " #  {:<wide$}  {metric}  gain ± standard error  {:>11}  {:>8}  {:>7}",
        "setting", "forwards", "s/Mpx", "beside"
    );
    for (place, row) in table.settings.iter().enumerate() {
        let gain = row.judged.gain.filter(|_| place > 0);
        let gain = gain.map_or_else(String::new, |gain| {
            format!(
                "{:+.4} ± {:.4}",
                if gain.gain.abs() < 5e-5 { 0.0 } else { gain.gain },
                gain.standard_error
            )
        });
        let line = format!(
            "{:>2}  {:<wide$}  {:>wide_metric$.4}  {gain:<21}  {:>11}  {:>8}  {:>6.2}×  {}",
            place + 1,
            row.name,
            row.judged.score,
            say::count(row.forwards),
            seconds(row),
            row.ratio,
            table.remarks(place)
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    for (name, reason) in &table.left_out {
        let _ = writeln!(out, "not tried: {name}: {}", reason.lines().next().unwrap_or_default());
    }
    if !told.without.is_empty() {
        let named = told.without.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = if told.without.len() > NAMED { ", …" } else { "" };
        let number = counted(told.without.len(), "image");
        let _ = writeln!(out, "left out, since a setting has no labels of them: {number} ({named}{more})");
    }
    let _ = write!(out, "\n{}\n", table.verdict());
    if let Some(words) = table.cross_validated() {
        let _ = writeln!(out, "{words}");
    }
    let _ = write!(
        out,
        "\nwrote {}; `marquetry run {0}` takes it as it is\npage {}",
        told.output.display(),
        told.page.display()
    );
    out
}

/// `0.123`, `45.6`
fn seconds(row: &SettingRow) -> String {
    let seconds = row.seconds_per_megapixel;
    if seconds < 10.0 { format!("{seconds:.3}") } else { format!("{seconds:.1}") }
}

pub(super) fn json(told: &Told<'_>) -> String {
    let Told { table, changes, machine, without, output, page } = told;
    let mut value = serde_json::to_value(table).unwrap_or_default();
    for (setting, of) in changes.iter().enumerate() {
        value["settings"][setting]["change"] = change(of);
    }
    value["left_out"] =
        table.left_out.iter().map(|(name, reason)| json!({"name": name, "reason": reason})).collect();
    value["verdict"] = table.verdict().into();
    value["is_changed"] = (table.chosen != 0).into();
    value["machine"] = machine.as_str().into();
    value["without"] = json!(without);
    value["output"] = output.display().to_string().into();
    value["page"] = page.display().to_string().into();
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

/// What a setting changes; nothing of the job as it is.
fn change(change: &Change) -> Value {
    match change {
        Change::None => Value::Null,
        Change::Views(names) => json!({"views": names}),
        Change::Windows { size, overlap, scale } => {
            let size = size.map(|size| match size {
                WindowSize::Px(size) => json!([size.height, size.width]),
                WindowSize::Times(times) => json!({"times": times}),
            });
            json!({"size": size, "overlap": overlap, "scale": scale})
        }
    }
}
