//! What a run came to.

use crate::args::Format;
use crate::coordination::Told;
use crate::exit::{Exit, Fatal};
use crate::say;
use marquetry_coordinator::{
    Finished, LossCount, OutputLists, RunFacts, Tally, WrittenNight, WrittenTogether,
};
use marquetry_spec::STALE_LIST;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What a run came to, told in both ways.
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    /// What else the user should know.
    pub(crate) notes: Vec<String>,
    /// A table for people.
    pub(crate) text: String,
    /// One object for machines.
    pub(crate) json: serde_json::Value,
}

impl Outcome {
    /// `told` is what the evaluation and the pseudo-labels come to; the outputs lie in `folder`.
    pub(crate) fn of(
        finished: &Finished<'_>,
        facts: &RunFacts,
        told: &Told,
        (folder, exit): (&str, Exit),
    ) -> Self {
        let notes = told.together.notes.iter().cloned().chain(told.night.as_ref().map(night)).collect();
        let text = text(finished, facts, &told.together);
        Self { exit, notes, text, json: json(finished, facts, told, (folder, exit)) }
    }

    /// Prints it.
    pub(crate) fn print(&self, format: Format) -> Exit {
        self.notes.iter().for_each(|words| say::note(words));
        match format {
            Format::Text => say::data(&self.text),
            Format::Json => say::data(&serde_json::to_string_pretty(&self.json).unwrap_or_default()),
        }
        self.exit
    }
}

fn text(finished: &Finished<'_>, facts: &RunFacts, together: &WrittenTogether) -> String {
    let tally = finished.tally;
    let stages = tally.seconds;
    let mut rows: Vec<(&str, String)> = vec![
        ("job", finished.plan.job.clone()),
        ("images", {
            let mut images = format!("{} finished", say::count(tally.progress.images_done));
            if tally.images_found > 0 {
                images += &format!(" ({} of them earlier)", say::count(tally.images_found));
            }
            match finished.failed_images() {
                0 => images,
                n => images + &format!(", {} failed", say::count(n)),
            }
        }),
        ("forwards", {
            let rate = tally.forwards as f64 / facts.wall_seconds.max(1e-9);
            let mut forwards = format!("{} ({rate:.1}/s)", say::count(tally.forwards));
            if tally.forwards_found > 0 {
                forwards += &format!(", {} found done", say::count(tally.forwards_found));
            } else if tally.tasks_found > 0 {
                // How many runs they took hangs on the regions of their images.
                forwards += &format!(", {} tasks found done", say::count(tally.tasks_found));
            }
            forwards
        }),
        ("time", say::seconds(facts.wall_seconds)),
        (
            "threads' time",
            format!(
                "read {} · prepare {} · infer {} · stitch {} · store {} · put together {}",
                say::seconds(stages.read),
                say::seconds(stages.prepare),
                say::seconds(stages.infer),
                say::seconds(stages.stitch),
                say::seconds(stages.store),
                say::seconds(tally.aggregate_seconds)
            ),
        ),
        ("tiles stored", say::bytes(tally.tile_bytes)),
    ];
    if let Some(region) = &together.region {
        rows.push(("region", format!("{:.1} % of windows spared", region.spared() * 100.0)));
    }
    if let Some(gate) = &together.gate {
        let denied = gate.classes.iter().map(|of| format!("{} {}", of.class, of.denied));
        rows.push(("denied", denied.collect::<Vec<_>>().join(", ")));
    }
    if let Some(cascade) = &together.cascade {
        rows.push(("cascade", format!("{:.1} % of forwards spared", cascade.spared() * 100.0)));
    }
    if let Some(mean_iou) = together.mean_iou {
        rows.push(("mean IoU", format!("{mean_iou:.4}")));
    }
    if let Some(peak) = facts.peak_memory_bytes {
        rows.push(("peak memory", say::bytes(peak)));
    }
    if tally.retries > 0 {
        rows.push(("retries", say::count(tally.retries)));
    }
    for (name, place) in &facts.files {
        rows.push((name, place.clone()));
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text: String = rows.iter().map(|(name, value)| format!("{name:<width$}  {value}\n")).collect();
    text += &losses(finished);
    text += &match finished.rejected.len() as u64 {
        0 => String::new(),
        1 => "failed: 1 image that was left out when the job was planned, for the reason told then\n"
            .to_owned(),
        n => format!(
            "failed: {} images that were left out when the job was planned, for the reasons told then\n",
            say::count(n)
        ),
    };
    text
}

/// What was known of a job when it ended early.
#[derive(Debug, Default)]
pub(crate) struct LastSeen {
    /// The job and the folder of its outputs, once it is planned.
    pub(crate) job: Option<(String, String)>,
    pub(crate) tally: Tally,
    /// Model runs of one window each in this run, as they are done, where somebody wants to know.
    pub(crate) forwards: Arc<AtomicU64>,
    /// What there is to tell of a job in rounds.
    pub(crate) finish_in: Option<serde_json::Value>,
}

impl LastSeen {
    /// Notes how far the job is; what was given up is copied when there is more of it.
    pub(crate) fn note(&mut self, tally: &Tally) {
        if self.tally.losses.total() == tally.losses.total() {
            self.tally.progress = tally.progress;
        } else {
            self.tally = tally.clone();
        }
    }

    /// Prints for machines how a job ended early; people are told by the error.
    pub(crate) fn print(&self, fatal: &Fatal, format: Format) {
        let Format::Json = format else { return };
        let mut value = serde_json::json!({
            "job": self.job.as_ref().map(|(job, _)| job),
            "state": if fatal.exit == Exit::TryAgain { "stopped" } else { "failed" },
            "exit": fatal.exit.to_json(),
            "outputs": self.job.as_ref().map(|(_, folder)| folder),
            "whole": false,
            "reason": fatal.message,
            "tally": {
                "progress": self.tally.progress,
                "losses_total": self.tally.losses.total(),
                "losses_by_reason": self.tally.losses.by_reason(),
            },
        });
        if let Some(told) = &self.finish_in {
            value["finish_in"] = told.clone();
        }
        say::data(&serde_json::to_string_pretty(&value).unwrap_or_default());
    }
}

/// What a run had, where the job keeps that: how many images came to their result in which way.
fn night(night: &WrittenNight) -> String {
    let mut counts: Vec<String> =
        night.counts.iter().map(|(came, count)| format!("{} {}", say::count(*count), came.words())).collect();
    if night.gone > 0 {
        counts.push(format!("{} gone", say::count(night.gone)));
    }
    format!("night: {}: {}", night.key, counts.join(", "))
}

/// What there is to say of files among the outputs that the run has not made.
pub(crate) fn stale(lists: &OutputLists) -> Option<String> {
    let first = lists.stale.first()?;
    let (files, are, they) = match lists.stale.len() {
        1 => ("1 file".to_owned(), "is", "it is"),
        n => (format!("{} files", say::count(n as u64)), "are", "they are"),
    };
    Some(format!(
        "{files} among the outputs {are} not of this run ({first}{}): of an image that it has left out or that failed, or of an \
         output that is not asked for; {they} left in place and listed in {STALE_LIST}",
        if lists.stale.len() > 1 { ", …" } else { "" }
    ))
}

/// What was given up: each reason once, with how often it came up and the first images that it hit.
fn losses(finished: &Finished<'_>) -> String {
    const NAMED: usize = 3;
    let losses = &finished.tally.losses;
    let line = |kind: &LossCount| {
        let mut seen = HashSet::new();
        let all = losses.of(kind).map(|loss| loss.image.as_str());
        let ids: Vec<&str> = all.filter(|id| seen.insert(*id)).collect();
        let named = ids.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = if ids.len() > NAMED { ", …" } else { "" };
        format!(
            "failed: image {named}{more}: {} ({} times, class {})\n",
            kind.reason,
            say::count(kind.count),
            kind.class
        )
    };
    losses.by_reason().iter().map(line).collect()
}

fn json(
    finished: &Finished<'_>,
    facts: &RunFacts,
    told: &Told,
    (folder, exit): (&str, Exit),
) -> serde_json::Value {
    let mut value = serde_json::json!({
        "job": finished.plan.job,
        "state": if finished.is_whole() { "done" } else { "partial" },
        "exit": exit.to_json(),
        "outputs": folder,
        "whole": finished.is_whole(),
        "failed_images": finished.failed_images(),
        "wall_seconds": facts.wall_seconds,
        "peak_memory_bytes": facts.peak_memory_bytes,
        "tally": finished.tally,
        "rejected": finished.rejected.iter().map(|r| (&r.id, &r.reason)).collect::<Vec<_>>(),
        "machine": facts.machine,
        "files": facts.files,
    });
    if let Some(mean_iou) = told.together.mean_iou {
        value["mean_iou"] = mean_iou.into();
    }
    if let Some(region) = &told.together.region {
        value["region"] = serde_json::to_value(region).unwrap_or_default();
    }
    if let Some(gate) = &told.together.gate {
        value["gate"] = serde_json::to_value(gate).unwrap_or_default();
    }
    if let Some(cascade) = &told.together.cascade {
        value["cascade"] = serde_json::to_value(cascade).unwrap_or_default();
    }
    if !told.together.pseudo_labels.is_null() {
        value["pseudo_labels"] = told.together.pseudo_labels.clone();
    }
    value
}

/// The greatest resident memory of this process so far, where the system tells (Linux).
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
