//! `marquetry plan`: the job with every default filled in, and its cost.

use crate::args::{Format, PlanArgs};
use crate::exit::{Exit, Fatal};
use crate::job::{JobFile, load_runtime, start_tokio, tables};
use crate::say;
use marquetry_coordinator::{Planned, RegionForecast, describe_grid, outputs_hash, round_in_words};
use marquetry_evaluator::LabelSummary;
use marquetry_job::Cost;
use marquetry_spec::JobSpec;
use marquetry_telemetry::Metrics;
use std::time::Duration;

pub(crate) fn run(args: &PlanArgs) -> Result<Exit, Fatal> {
    let tokio = start_tokio()?;
    let storage = args.storage.open(&tokio, Duration::ZERO, &Metrics::new());
    let mut job = JobFile::read(&args.job, &storage.files)?;
    args.subset.apply(&mut job.spec)?;
    job.store()?;
    let runtime = load_runtime(args.common.onnxruntime.as_deref())?;
    args.device.settle_plan(&mut job, &runtime)?;
    let planned = job.plan(&storage.files, &runtime, std::env::temp_dir(), None)?;
    tables(&job, &storage.files, &planned)?;
    let cost = planned.plan.cost(&planned.images);
    let forecast = planned.forecast(&storage.files, &job.limits(std::env::temp_dir()));
    match args.common.format {
        Format::Json => say::data(&json(&job.spec, &planned, &cost, forecast.as_ref())),
        Format::Text => {
            say::data(&job.spec.to_yaml());
            say::data(&text(&job.spec, &planned, &cost, forecast.as_ref()));
        }
    }
    Ok(Exit::Done)
}

/// The cost as comments, so that what is printed is a job file.
fn text(spec: &JobSpec, planned: &Planned, cost: &Cost, forecast: Option<&RegionForecast>) -> String {
    let plan = &planned.plan;
    let mut lines = vec![
        format!("job {}", plan.job),
        format!("images    {} ({} px)", say::count(planned.images.len() as u64), say::count(cost.pixels)),
    ];
    for (place, group) in plan.inference.groups.iter().enumerate() {
        let (members, views) = (group.members.len(), group.views.len());
        let round = round_in_words(&plan.inference, place);
        lines.push(format!("group     {members} members × {views} views, {}{round}", describe_grid(group)));
    }
    for kind in &planned.findings.images {
        lines.push(format!("image     {}: {}", kind.who(), kind.what()));
    }
    for kind in &planned.findings.members {
        lines.push(format!("member    {}: {}", kind.who(), kind.what()));
    }
    for kind in &planned.findings.gate {
        lines.push(format!("gate      {}: {}", kind.who(), kind.what()));
    }
    lines.extend(spec.region.as_ref().map(|region| {
        let from = region.from.as_deref().or(region.column.as_deref()).unwrap_or_default();
        format!("region    {from}, and {} px around it: {}", region.margin_px, spared(forecast))
    }));
    lines.extend(planned.plan.inference.cascade.as_ref().map(|rule| {
        let first = planned.first_forwards();
        format!(
            "cascade   {} forwards of the first round; of the other {} those of windows with an unsure pixel (margin below {})",
            say::count(first),
            say::count(cost.forwards - first),
            rule.sure.margin
        )
    }));
    let memory = memory(spec, cost);
    lines.extend([
        format!("windows   {} (windows × members)", say::count(cost.windows)),
        format!("forwards  {} (windows × members × views{})", say::count(cost.forwards), if plan.wants_gate() { ", and images × models of the gate" } else { "" }),
        format!(
            "tasks     {} (blocks, and images whose mean and deviation, region, gate or unsure pixels are found)",
            say::count(cost.tasks)
        ),
        format!(
            "stored    at most {} of tiles before compression{}",
            say::bytes(cost.tile_bytes),
            if spec.tiles.keep { "" } else { "; an image's tiles are deleted when it is finished" }
        ),
        format!("memory    about {} beside models and their activations", say::bytes(memory)),
    ]);
    lines.iter().map(|line| format!("# {line}\n")).collect()
}

/// What a region comes to, as far as it is known before the run.
fn spared(forecast: Option<&RegionForecast>) -> String {
    let Some(RegionForecast { forwards, whole }) = forecast else {
        return "how many forwards that takes of those below is known when the job has run".to_owned();
    };
    let images = match whole {
        0 => String::new(),
        n => format!("; {} of the images are computed whole", say::count(*n)),
    };
    format!(
        "{} of {} forwards ({:.1} % spared){images}",
        say::count(forwards.inside),
        say::count(forwards.all),
        (forwards.all - forwards.inside) as f64 / forwards.all.max(1) as f64 * 100.0
    )
}

/// Canvases in hand, one image's decoded pixels, and one band.
pub(crate) fn memory(spec: &JobSpec, cost: &Cost) -> u64 {
    let canvases = crate::run::canvas_bytes(spec).max(cost.canvas_bytes_max);
    let all = cost.pixels.saturating_mul(spec.classes.len() as u64 * 4);
    canvases.min(all) + spec.limits.image_bytes().min(cost.pixels * 3) + spec.limits.band_bytes().min(all)
}

fn json(spec: &JobSpec, planned: &Planned, cost: &Cost, forecast: Option<&RegionForecast>) -> String {
    let value = serde_json::json!({
        "job": planned.plan.job,
        "outputs": outputs_hash(spec, &planned.plan.merge),
        "images": planned.images.len(),
        "rejected_images": planned.rejected.len(),
        "cost": cost,
        "memory_bytes": memory(spec, cost),
        "region": forecast.map(|forecast| serde_json::json!({
            "forwards": forecast.forwards,
            "whole_images": forecast.whole,
        })),
        "first_round_forwards": planned.plan.inference.cascade.as_ref().map(|_| planned.first_forwards()),
        "findings": planned.findings,
        "truth": planned.truth.as_ref().map(|truth| {
            let (source, census, settlement) = &truth.found;
            LabelSummary::new("truth", source, census, &settlement.meanings)
        }),
        "spec": spec,
    });
    serde_json::to_string_pretty(&value).unwrap_or_default()
}
