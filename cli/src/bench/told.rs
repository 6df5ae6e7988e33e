//! What a benchmark is told as: for people, and for machines.

use super::model_rates::{ModelKind, ModelRate, ModelRates};
use super::sample::Sample;
use crate::args::Format;
use crate::say;
use crate::threads::Threads;
use marquetry_coordinator::Planned;
use marquetry_failure::counted;
use marquetry_model::Device;
use serde_json::{Value, json};

/// All that was measured.
pub(super) struct Told<'a> {
    pub(super) planned: &'a Planned,
    pub(super) rates: &'a ModelRates,
    pub(super) sample: &'a Sample,
    pub(super) device: Device,
    /// What the option said.
    pub(super) asked_device: Option<String>,
    /// As the sample was run.
    pub(super) threads: Threads,
    /// Of an hour.
    pub(super) price: Option<f64>,
}

impl Told<'_> {
    pub(super) fn print(&self, format: Format) {
        match format {
            Format::Text => say::data(&self.text()),
            Format::Json => say::data(&format!("{:#}\n", self.json())),
        }
    }

    /// Model runs a second that the models alone come to, as often as the job runs each.
    fn alone(&self) -> f64 {
        self.planned.forwards() as f64 / self.rates.seconds().max(1e-9)
    }

    fn seconds(&self) -> f64 {
        self.sample.forecast(self.planned.forwards())
    }

    fn costs(&self) -> Option<f64> {
        Some(self.price? * self.seconds() / 3600.0)
    }

    fn text(&self) -> String {
        let mut text = String::from("windows a second of the models alone\n");
        for kind in &self.rates.kinds {
            text += &format!("  {}\n", who(kind));
            for rate in &kind.rates {
                let best =
                    if kind.rates.len() > 1 && rate.per_second >= kind.best() { "   quickest" } else { "" };
                text += &format!("    {:>10.1}   {}{best}\n", rate.per_second, way(rate));
            }
        }
        let Sample { run, fixed, per_second, is_broken_off } = self.sample;
        let broken_off = if *is_broken_off { ", broken off" } else { "" };
        let failed = match run.failed {
            0 => String::new(),
            n => format!("; {} could not be computed", counted(n as usize, "image")),
        };
        let row = |what: &str, words: String| format!("{what:<14} {words}\n");
        text += &row(
            "sample",
            format!(
                "{} of {} images, {} forwards in {}{broken_off}{failed}",
                say::count(run.images as u64),
                say::count(self.planned.images.len() as u64),
                say::count(run.forwards),
                say::seconds(run.wall)
            ),
        );
        text += &row(
            "pipeline",
            format!(
                "{per_second:.1} forwards/s, {:.2} of what the models alone come to ({:.1}/s)",
                per_second / self.alone().max(1e-9),
                self.alone()
            ),
        );
        let stages = [
            ("read", run.stages.read),
            ("prepare", run.stages.prepare),
            ("infer", run.stages.infer),
            ("stitch", run.stages.stitch),
            ("store", run.stages.store),
            ("put together", run.together),
        ];
        let all: f64 = stages.iter().map(|(_, seconds)| seconds).sum();
        if all > 0.0 {
            let share = |(what, seconds): &(&str, f64)| format!("{what} {:.0} %", seconds / all * 100.0);
            text += &row("threads' time", stages.iter().map(share).collect::<Vec<_>>().join(" · "));
        }
        text += &row(
            "the job",
            format!(
                "{} forwards on {} images: about {}, {} of it whatever their number",
                say::count(self.planned.forwards()),
                say::count(self.planned.images.len() as u64),
                say::seconds(self.seconds()),
                say::seconds(*fixed)
            ),
        );
        if let Some(costs) = self.costs() {
            text += &row("costs", format!("about {costs:.2}"));
        }
        let Threads { lanes, each } = self.threads;
        // The device that the job takes by itself needs no word, and with one it would be another job.
        let device = self.asked_device.as_ref().map(|asked| format!("--device {asked} ")).unwrap_or_default();
        text += &row("run it with", format!("{device}--lanes {lanes} --threads {each}"));
        text
    }

    fn json(&self) -> Value {
        let rate = |rate: &ModelRate| {
            json!({
                "device": rate.device(),
                "lanes": rate.threads.lanes,
                "threads": rate.threads.each,
                "windows_per_second": rate.per_second,
            })
        };
        let kind = |kind: &ModelKind| {
            json!({
                "first": kind.name,
                "members": kind.count,
                "forwards": kind.forwards,
                "rates": kind.rates.iter().map(rate).collect::<Vec<_>>(),
            })
        };
        let Sample { run, fixed, per_second, is_broken_off } = self.sample;
        json!({
            "models": self.rates.kinds.iter().map(kind).collect::<Vec<_>>(),
            "models_alone_per_second": self.alone(),
            "sample": {
                "images": run.images,
                "forwards": run.forwards,
                "seconds": run.wall,
                "broken_off": is_broken_off,
                "failed_images": run.failed,
                "stages": (!is_broken_off).then_some(run.stages),
                "aggregate_seconds": (!is_broken_off).then_some(run.together),
            },
            "forwards_per_second": per_second,
            "fixed_seconds": fixed,
            "job": {"images": self.planned.images.len(), "forwards": self.planned.forwards(), "seconds": self.seconds()},
            "price": self.costs(),
            "device": self.device.to_string(),
            "settings": {"lanes": self.threads.lanes, "threads": self.threads.each},
        })
    }
}

fn who(kind: &ModelKind) -> String {
    match kind.count {
        1 => kind.name.clone(),
        n => format!("{} and {} like it", kind.name, n - 1),
    }
}

fn way(rate: &ModelRate) -> String {
    match rate.device {
        Device::Cuda(_) => rate.device(),
        Device::Cpu => {
            let Threads { lanes, each } = rate.threads;
            let plural =
                |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
            format!("{}, {} of {}", rate.device(), plural(lanes, "session"), plural(each, "thread"))
        }
    }
}
