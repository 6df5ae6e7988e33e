//! What `tune` found, for people and for machines.

use crate::say;
use marquetry_coordinator::{Probed, TuneCandidate, TunedCascade, TunedGate};
use marquetry_spec::JobSpec;
use marquetry_tuning::{Gain, Metric, Round, Step, Tuned, Verdict, rank_correlation, score_of};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// What there is to tell.
pub(crate) struct Report<'a> {
    pub(crate) spec: &'a JobSpec,
    pub(crate) probed: &'a Probed,
    pub(crate) tuned: &'a Tuned,
    pub(crate) rounds: Vec<Round>,
    /// What came of the job's cascade, where it has one.
    pub(crate) cascade: Option<TunedCascade>,
    /// What came of each class of the job's gate, where it has one.
    pub(crate) gate: Vec<TunedGate>,
    pub(crate) disagreement: Vec<Vec<f64>>,
    pub(crate) metric: Metric,
    /// Images that were given up, and why.
    pub(crate) losses: BTreeSet<(String, String)>,
    pub(crate) output: &'a Path,
}

/// Candidates that agree more than this on their labels, as a share of pixels: another one of the kind cannot help much.
const ALIKE: f64 = 0.02;

/// The order of members.
const ORDER: &str = "in the order of the job: what adds most for its cost first";

pub(crate) fn text(report: &Report<'_>) -> String {
    let sample = &report.probed.sample;
    let groups = if sample.groups() == sample.images() {
        "each a group of its own".to_owned()
    } else {
        many(sample.groups(), "group")
    };
    let metric = match report.metric {
        Metric::MeanIou => "mean IoU",
        Metric::MeanDice => "mean Dice",
    };
    let mut out = format!(
        "{metric} at {} of {} ({groups})\n\n",
        many(sample.probes(), "probe"),
        many(sample.images(), "image")
    );
    let _ = writeln!(out, "{:<16} {:>7}  {:>8}  gain ± standard error", "", "fitted", "held out");
    let _ = writeln!(
        out,
        "{:<16} {:>7}            ± {} as an estimate for all pixels of these images{}",
        "the job as it is",
        share(report.tuned.before),
        share(report.tuned.sampling_error),
        // Outside nothing is drawn: whatever is fitted, these pixels stay as they are stated.
        if report.spec.region.is_some() { " that are inside of their regions" } else { "" }
    );
    report.tuned.steps.iter().for_each(|step| out += &step_line(step));
    out += &factors(report);
    if let Some(cascade) = &report.cascade {
        out += &format!("\n{}\n", cascade.line());
    }
    if !report.gate.is_empty() {
        out += "\n";
    }
    report.gate.iter().for_each(|class| out += &format!("{}\n", class.line()));
    out += &members(report);
    out += &by_tag(report);
    out += &alike(report);
    out += &predicted(report);
    if !report.probed.without.is_empty() {
        let without = &report.probed.without;
        let first: Vec<&str> = without.iter().take(3).map(String::as_str).collect();
        let _ = writeln!(
            out,
            "\nwithout probes: {} images ({}{})",
            without.len(),
            first.join(", "),
            if without.len() > 3 { ", …" } else { "" }
        );
    }
    for (image, reason) in report.losses.iter().take(3) {
        let _ = writeln!(out, "lost: {image}: {reason}");
    }
    let _ = write!(out, "\nwrote {}; `marquetry run {0}` takes it as it is", report.output.display());
    out
}

fn step_line(step: &Step) -> String {
    let value = |value: Option<f64>| value.map_or_else(String::new, share);
    let gain = step.gain.map_or_else(String::new, |Gain { gain, standard_error, .. }| {
        let gain = if gain.abs() < 5e-5 { 0.0 } else { gain };
        format!("{} ± {}", signed(gain), share(standard_error))
    });
    let verdict = match step.verdict {
        Verdict::Accepted => "accepted",
        Verdict::NoGain => "no more than one standard error: left as it was",
        Verdict::OneGroup => {
            "all images are of one group, so nothing says how weights do on another: left as they are"
        }
        Verdict::NothingToWeigh => "one candidate: nothing to weigh",
        Verdict::TooFew => "one image or group: nothing is left to judge by",
    };
    let line = format!(
        "{:<16} {:>7}  {:>8}  {gain:<16} {verdict}",
        step.name,
        value(step.fitted),
        value(step.held_out)
    );
    line.trim_end().to_owned() + "\n"
}

fn factors(report: &Report<'_>) -> String {
    let changed =
        report.tuned.ln_factors.iter().zip(&report.spec.classes).filter(|(factor, _)| **factor != 0.0);
    let said: Vec<String> =
        changed.map(|(factor, class)| format!("{} {:.2}", class.name, factor.exp())).collect();
    if said.is_empty() { String::new() } else { format!("\nclass factors: {}\n", said.join(", ")) }
}

fn members(report: &Report<'_>) -> String {
    let Report { rounds, probed, tuned, .. } = report;
    let wide =
        probed.candidates.iter().map(|candidate| candidate.name.chars().count()).max().unwrap_or(0).max(6);
    let mut out = format!("\n{:<wide$}  together  weight        cost   ({ORDER})\n", "member");
    let costs = costs(report);
    let mut line = |candidate: usize, together: &str, weight: &str| {
        let TuneCandidate { name, members, .. } = &probed.candidates[candidate];
        let of = if members.len() > 1 { format!("   {} models", members.len()) } else { String::new() };
        let cost = costs[candidate].map_or_else(|| "–".to_owned(), |cost| format!("{cost:.1}"));
        let _ = writeln!(out, "{name:<wide$}  {together:>8}  {weight:<8}  {cost:>8}{of}");
    };
    for Round { candidate, score } in rounds {
        let weight = tuned.weights[*candidate] * probed.weights[*candidate];
        line(*candidate, &share(*score), &format!("{weight:.2}"));
    }
    for (candidate, _) in tuned.weights.iter().enumerate().filter(|(_, weight)| **weight == 0.0) {
        line(candidate, "", "left out");
    }
    out + "cost: bytes of the file × pixels of the window × forwards, beside the cheapest; an estimate, not measured\n"
}

/// What each candidate costs beside the cheapest one; `None` where it scores no image.
fn costs(report: &Report<'_>) -> Vec<Option<f64>> {
    let costs = report.probed.costs.iter().copied();
    let least = costs.clone().filter(|cost| *cost > 0.0).fold(f64::INFINITY, f64::min);
    costs.map(|cost| (cost > 0.0).then(|| cost / least)).collect()
}

/// What the members of one value of a tag come to, for each tag of which they have several.
fn tag_scores(report: &Report<'_>) -> Vec<(String, usize, Option<f64>)> {
    let mut values: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (candidate, of) in report.probed.candidates.iter().enumerate() {
        for (tag, value) in &of.tags {
            values.entry((tag, value)).or_default().push(candidate);
        }
    }
    let (sample, space) = (&report.probed.sample, report.tuned.space);
    let all: Vec<usize> = (0..sample.images()).collect();
    let is_some = |taken: &Vec<usize>| taken.len() < report.probed.candidates.len();
    let some = values.into_iter().filter(|(_, taken)| is_some(taken));
    let scored = some.map(|((tag, value), taken)| {
        (format!("{tag}={value}"), taken.len(), score_of(sample, &all, &taken, space, report.metric))
    });
    scored.collect()
}

fn by_tag(report: &Report<'_>) -> String {
    let scores = tag_scores(report);
    let wide = scores.iter().map(|(tag, ..)| tag.chars().count()).max().unwrap_or(0).max(6);
    let mut out =
        if scores.is_empty() { String::new() } else { format!("\n{:<wide$}  together  members\n", "tag") };
    for (tag, members, score) in scores {
        let score = score.map_or_else(|| "–".to_owned(), share);
        let _ = writeln!(out, "{tag:<wide$}  {score:>8}  {members}");
    }
    out
}

/// How well a tenth of the images ranks the members, each alone.
fn tenth(report: &Report<'_>) -> Option<(usize, f64)> {
    let sample = &report.probed.sample;
    let few: Vec<usize> = (0..sample.images()).step_by(10).collect();
    Some((few.len(), rank_correlation(sample, &few, report.tuned.space, report.metric)?))
}

fn predicted(report: &Report<'_>) -> String {
    tenth(report).map_or_else(String::new, |(images, correlation)| {
        format!(
            "{images} of the images rank single members like all of them: rank correlation {correlation:.2}\n"
        )
    })
}

/// Which candidates hardly differ.
fn alike(report: &Report<'_>) -> String {
    let n = report.probed.candidates.len();
    let mut pairs: Vec<(f64, usize, usize)> = (0..n)
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .map(|(i, j)| (report.disagreement[i][j], j, i))
        .filter(|(share, ..)| share.is_finite())
        .collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (Some(least), Some(most)) = (pairs.first(), pairs.last()) else { return String::new() };
    let name = |k: usize| report.probed.candidates[k].name.as_str();
    let mut out = format!(
        "\ntwo members differ on {} to {} % of pixels; least: {} and {}",
        percent(least.0),
        percent(most.0),
        name(least.1),
        name(least.2)
    );
    if least.0 < ALIKE {
        out += ": another one of that kind adds little";
    }
    out + "\n"
}

pub(crate) fn json(report: &Report<'_>) -> String {
    let Report { spec, probed, tuned, .. } = report;
    let candidates: Vec<Value> = probed
        .candidates
        .iter()
        .zip(tuned.weights.iter().zip(&probed.weights))
        .zip(costs(report))
        .map(|((candidate, (factor, own)), cost)| {
            let (name, members) = (&candidate.name, candidate.members.len());
            json!({"name": name, "members": members, "weight": factor * own, "estimated_cost": cost})
        })
        .collect();
    let rounds: Vec<Value> = report
        .rounds
        .iter()
        .map(|round| json!({"member": probed.candidates[round.candidate].name, "score": round.score}))
        .collect();
    let factors: Vec<Value> = spec
        .classes
        .iter()
        .zip(&tuned.ln_factors)
        .map(|(class, factor)| json!({"class": class.name, "factor": factor.exp()}))
        .collect();
    let report = json!({
        "metric": report.metric,
        "images": probed.sample.images(),
        "groups": probed.sample.groups(),
        "probes": probed.sample.probes(),
        "inside_region": spec.region.is_some(),
        "space": tuned.space,
        "before": tuned.before,
        "sampling_error": tuned.sampling_error,
        "after": tuned.after,
        "steps": tuned.steps,
        "factors": factors,
        "members": candidates,
        "rounds": rounds,
        "gate": report
            .gate
            .iter()
            .map(|of| json!({"class": of.name, "fitted": of.fitted, "told": of.line()}))
            .collect::<Vec<_>>(),
        "cascade": report.cascade.as_ref().map(|cascade| match cascade {
            TunedCascade::Fitted(fitted) => json!({"fitted": fitted, "told": cascade.line()}),
            TunedCascade::Kept(_) | TunedCascade::Dropped(_) => json!({"fitted": null, "told": cascade.line()}),
        }),
        "tags": tag_scores(report)
            .into_iter()
            .map(|(tag, members, score)| json!({"tag": tag, "members": members, "score": score}))
            .collect::<Vec<_>>(),
        "tenth": tenth(report).map(|(images, correlation)| json!({"images": images, "rank_correlation": correlation})),
        "disagreement": report.disagreement,
        "without_probes": probed.without,
        "losses": report.losses.iter().map(|(image, reason)| json!({"image": image, "reason": reason})).collect::<Vec<_>>(),
        "output": report.output.display().to_string(),
    });
    serde_json::to_string_pretty(&report).unwrap_or_default()
}

/// `1 image`, `12 images`
fn many(number: usize, what: &str) -> String {
    format!("{} {what}{}", say::count(number as u64), if number == 1 { "" } else { "s" })
}

/// `.6120`
fn share(value: f64) -> String {
    format!("{value:.4}")
}

fn signed(value: f64) -> String {
    format!("{value:+.4}")
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}
