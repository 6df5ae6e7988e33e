//! What is said of the result: to the user, and in the file.

use super::measured::Measured;
use super::workshop::Member;
use crate::new_model::file_name;
use crate::say;
use marquetry_failure::counted;
use marquetry_onnx::{Averaged, BatchNormState};
use serde_json::{Value, json};
use std::path::Path;

/// What a user should know of the result.
pub(crate) fn notes(state: BatchNormState, members: &[Member]) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(advice) = state.advice() {
        notes.push(format!(
            "BatchNorm: {state}. The mean of folded weights is not what folding the mean gives; {advice}"
        ));
    }
    for (place, member) in members.iter().enumerate() {
        if let Some(other) = members[..place].iter().find(|other| other.sha256 == member.sha256) {
            notes.push(format!("{} and {} have the same content: it counts twice", other.uri, member.uri));
        }
    }
    notes
}

/// What is put into the file: of what it is the mean.
pub(crate) fn note(members: &[Member], job: Option<&str>, measured: Option<Measured>) -> Value {
    let each = members.iter().map(|m| {
        let mut entry = json!({"file": file_name(&m.uri), "sha256": m.sha256[0], "weight": m.weight});
        if m.sha256.len() > 1 {
            entry["external_sha256"] = json!(m.sha256[1..]);
        }
        entry
    });
    let mut note = json!({"members": each.collect::<Vec<_>>(), "bn": "keep"});
    if let (Some(job), Some(of)) = (job, measured) {
        note["bn"] = json!("reestimate");
        note["bn_measured"] =
            json!({"job": file_name(job), "images": of.images, "windows": of.windows, "pixels": of.pixels});
    }
    note
}

pub(crate) fn document(
    note: Value,
    out: &Path,
    sha256: &str,
    averaged: &Averaged,
    state: BatchNormState,
    notes: &[String],
) -> Value {
    let mut document = note;
    document["out"] = json!(out);
    document["sha256"] = json!(sha256);
    document["bytes"] = json!(averaged.onnx.len());
    document["tensors"] = json!(averaged.tensors);
    document["numbers"] = json!(averaged.numbers);
    document["unshared"] = json!(averaged.unshared);
    document["batch_norm"] = match state {
        BatchNormState::Full(there) => json!({"state": "full", "there": there, "all": there}),
        BatchNormState::Partial { there, all } => json!({"state": "partial", "there": there, "all": all}),
        BatchNormState::Folded(all) => json!({"state": "none", "there": 0, "all": all}),
        BatchNormState::Absent => json!({"state": "none", "there": 0, "all": 0}),
    };
    document["notes"] = json!(notes);
    document
}

pub(crate) fn text(
    out: &Path,
    sha256: &str,
    members: &[Member],
    averaged: &Averaged,
    state: BatchNormState,
    measured: Option<Measured>,
) -> String {
    let total: f64 = members.iter().map(|member| member.weight).sum();
    let mut text = format!(
        "{}: the mean of {}, {} with {} numbers that differed\n",
        out.display(),
        counted(members.len(), "file"),
        counted(averaged.tensors, "tensor"),
        say::count(averaged.numbers as u64),
    );
    for member in members {
        text.push_str(&format!("  {:>7.4}  {}\n", member.weight / total, member.uri));
    }
    if averaged.unshared > 0 {
        let tensors = counted(averaged.unshared, "tensor");
        text.push_str(&format!(
            "{tensors} that stood in several places had equal numbers by chance, and no more\n"
        ));
    }
    let there = matches!(state, BatchNormState::Full(_) | BatchNormState::Partial { .. });
    let how = match measured {
        Some(Measured { layers, windows, images, pixels, moved }) => format!(
            ": {} measured anew on {} of {}, {} pixels a channel at least; a mean moved by {moved:.2} standard deviations at most",
            counted(layers, "layer"),
            counted(windows, "window"),
            counted(images, "image"),
            say::count(pixels)
        ),
        None if there => ": running statistics are means of those of the members".to_owned(),
        None => String::new(),
    };
    text.push_str(&format!("BatchNorm  {state}{how}\nsha256     {sha256}\n"));
    text
}
