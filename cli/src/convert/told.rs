//! What is said of the result: to the user, and in the file.

use super::HalfWord;
use super::agreement::{Agreement, percent};
use super::half::Half;
use super::plain::Plain;
use crate::say;
use marquetry_failure::counted;
use marquetry_model::Difference;
use marquetry_onnx::Kept;
use serde_json::{Value, json};
use std::path::Path;

/// Nodes that are named one by one, at most.
const NAMED_MAX: usize = 12;

/// What was done, and what was measured.
pub(crate) struct Report<'a> {
    pub(crate) model: &'a str,
    /// Of the file, and of those beside it.
    pub(crate) sha256: Vec<String>,
    /// Of all of them.
    pub(crate) bytes: u64,
    pub(crate) job: Option<&'a str>,
    pub(crate) to: Option<HalfWord>,
    pub(crate) plain: &'a Plain,
    /// Files beside the model whose weights are in it now.
    pub(crate) beside: usize,
    pub(crate) half: Option<&'a Half>,
    pub(crate) agreement: Option<&'a Agreement>,
    pub(crate) on_noise: Option<Difference>,
}

/// What is put into the file, and printed for machines.
pub(crate) fn document(report: &Report<'_>) -> Value {
    let mut document = json!({
        "model": report.model,
        "sha256": report.sha256[0],
        "bytes": report.bytes,
        "to": report.to.map(HalfWord::name),
    });
    if report.beside > 0 {
        document["embedded"] = json!({"files": report.beside, "sha256": report.sha256[1..]});
    }
    if let Some(freeze) = report.plain.freeze {
        let dims = [("batch", freeze.batch), ("height", freeze.height), ("width", freeze.width)];
        document["freeze"] =
            dims.into_iter().filter_map(|(name, length)| Some((name.to_owned(), json!(length?)))).collect();
    }
    if let Some(cleaned) = report.plain.cleaned {
        document["denormals"] = json!({"tensors": cleaned.tensors, "numbers": cleaned.numbers});
    }
    if let Some(half) = report.half {
        let kept = half.kept.iter().map(|(node, why)| json!({"node": node, "why": why.to_string()}));
        document["half"] = json!({
            "nodes": half.nodes,
            "tensors": half.tensors,
            "numbers": half.numbers,
            "casts": half.casts,
            "folded_batch_norms": half.folded,
            "kept": kept.collect::<Vec<_>>(),
            "f32_operators": half.others,
        });
    }
    if let Some(agreement) = report.agreement {
        document["measured"] = measured(agreement);
        document["measured"]["job"] = json!(report.job);
        if let Some(here) = report.half.and_then(|half| half.here.as_ref()) {
            document["measured_on_cpu"] = measured(here);
        }
    }
    if let Some(difference) = report.on_noise {
        document["on_noise"] =
            json!({"numbers": difference.numbers, "score_difference_max": difference.most});
    }
    document
}

fn measured(agreement: &Agreement) -> Value {
    let counts = &agreement.counts;
    let mut measured = json!({
        "windows": agreement.windows,
        "images": agreement.images,
        "labels": counts.labels,
        "labels_same": counts.same,
        "agree": counts.share(),
    });
    if !agreement.are_labels {
        measured["score_difference_max"] = json!(agreement.difference.most);
        measured["score_max"] = json!(counts.largest);
    }
    if let Some((before, after)) = agreement.mean_iou {
        measured["mean_iou"] = json!({"before": before, "after": after});
    }
    measured
}

/// The same for people.
pub(crate) fn text(report: &Report<'_>, out: &Path, sha256: &str, bytes: u64) -> String {
    let mut text = format!(
        "{}: {} in {}, {} before\n",
        out.display(),
        report.model,
        say::bytes(bytes),
        say::bytes(report.bytes)
    );
    if report.beside > 0 {
        text.push_str(&format!("embedded   {} beside the model\n", counted(report.beside, "file")));
    }
    if let Some(freeze) = report.plain.freeze {
        let dims = [("batch", freeze.batch), ("height", freeze.height), ("width", freeze.width)];
        let dims = dims.iter().filter_map(|(name, length)| Some(format!("{name} {}", (*length)?)));
        text.push_str(&format!("frozen     {}\n", dims.collect::<Vec<_>>().join(", ")));
    }
    if let Some(cleaned) = report.plain.cleaned {
        let (numbers, tensors) = (say::count(cleaned.numbers as u64), counted(cleaned.tensors, "tensor"));
        text.push_str(&format!("denormals  {numbers} in {tensors} set to 0\n"));
    }
    if let (Some(to), Some(half)) = (report.to, report.half) {
        text.push_str(&of_half(to, half));
    }
    if let Some(agreement) = report.agreement {
        text.push_str(&of_agreement(agreement));
        if let Some(here) = report.half.and_then(|half| half.here.as_ref()) {
            text.push_str(&format!(
                "           with each node's result rounded, as devices compute; on this processor {} the same\n",
                percent(here.counts.share())
            ));
        }
    }
    match report.on_noise {
        Some(difference) => text.push_str(&on_noise(difference)),
        None if report.agreement.is_none() => {
            text.push_str("scores     not compared: the model runs on no noise\n");
        }
        None => {}
    }
    text.push_str(&format!("sha256     {sha256}\n"));
    text
}

fn on_noise(difference: Difference) -> String {
    let Difference { numbers, most, largest, labels, labels_apart } = difference;
    let mut text = String::new();
    if labels > 0 {
        let same = percent((labels - labels_apart) as f64 / labels as f64);
        text.push_str(&format!("labels     {same} the same of {}, on noise\n", say::count(labels)));
    }
    if numbers > 0 && most == 0.0 {
        text.push_str("scores     the same, bit for bit, on noise\n");
    } else if numbers > 0 {
        text.push_str(&format!("scores     differ by {most:.1e} at most on noise, of {largest:.1e}\n"));
    }
    text
}

fn of_half(to: HalfWord, half: &Half) -> String {
    let tensors = counted(half.tensors, "tensor");
    let mut text = match to {
        HalfWord::F16 => {
            format!(
                "f16        {}, {tensors}, {} put in",
                counted(half.nodes, "node"),
                counted(half.casts, "cast")
            )
        }
        HalfWord::Bf16 => format!("bf16       {tensors}, stored; computed in f32"),
    };
    if half.folded > 0 {
        text.push_str(&format!(", {} folded first", counted(half.folded, "batch normalisation")));
    }
    text.push('\n');
    if to == HalfWord::F16 {
        let others = half.others.iter().map(|(operator, count)| format!("{operator} {count}"));
        let others: Vec<String> = others.collect();
        if !others.is_empty() {
            text.push_str(&format!("in f32     {}\n", others.join(", ")));
        }
    }
    for (node, why) in half.kept.iter().take(NAMED_MAX) {
        let why = match why {
            Kept::Constant(_) => format!("it {why}"),
            _ => why.to_string(),
        };
        text.push_str(&format!("in f32     {node}: {why}\n"));
    }
    if half.kept.len() > NAMED_MAX {
        text.push_str(&format!("in f32     {} more (--format json)\n", half.kept.len() - NAMED_MAX));
    }
    text
}

fn of_agreement(agreement: &Agreement) -> String {
    let counts = &agreement.counts;
    let mut text = format!(
        "labels     {} the same of {}, in {} of {}\n",
        percent(counts.share()),
        say::count(counts.labels),
        counted(agreement.windows, "window"),
        counted(agreement.images, "image")
    );
    if agreement.are_labels {
        // That two labels are numbers apart says nothing.
    } else if agreement.difference.most == 0.0 {
        text.push_str("scores     the same, bit for bit\n");
    } else {
        text.push_str(&format!(
            "scores     differ by {:.1e} at most, of {:.1e}\n",
            agreement.difference.most, agreement.difference.largest
        ));
    }
    if let Some((before, after)) = agreement.mean_iou {
        text.push_str(&format!("mean IoU   {after:.5}, {before:.5} before\n"));
    }
    text
}
