//! What regions left of all images together: model runs that were spared, images of which all was computed, and how much of
//! the truth lies outside.

use crate::Finished;
use marquetry_aggregator::{ImageResult, TruthOutside};
use marquetry_failure::counted;
use marquetry_job::RegionForwards;
use marquetry_region::Finding;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// More of the truth outside than this share is said aloud.
const OUTSIDE_MAX: f64 = 1e-3;

/// What regions left of a job's images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegionSummary {
    /// Model runs of one window each: of windows that touch regions, and of all.
    pub forwards: RegionForwards,
    /// Pixels of all images.
    pub pixels: u64,
    /// Those outside.
    pub skipped_pixels: u64,
    /// The class of pixels outside; nothing where classes share pixels.
    pub class: Option<String>,
    /// Images of which all was computed, by the reason.
    pub whole: Vec<WholeImages>,
    /// What of the truth lies outside, where any is known.
    pub truth: Option<TruthOutside>,
}

/// Images of which all was computed, since no region could be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WholeImages {
    /// Why.
    pub finding: Finding,
    /// How many.
    pub images: u64,
    /// The id of the first.
    pub first: String,
}

impl RegionSummary {
    /// What `results` of the images of `finished` come to; `None` where the job has no region.
    pub fn of(finished: &Finished<'_>, results: &[Option<ImageResult>]) -> Option<Self> {
        finished.spec.region.as_ref()?;
        let class = finished.spec.outside_class();
        let mut summary = Self {
            forwards: RegionForwards::default(),
            pixels: 0,
            skipped_pixels: 0,
            class: class.map(|class| finished.spec.classes[usize::from(class)].name.clone()),
            whole: Vec::new(),
            truth: None,
        };
        let mut whole: BTreeMap<Finding, WholeImages> = BTreeMap::new();
        for (image, result) in finished.images.iter().zip(results) {
            let Some(region) = result.as_ref().and_then(|result| result.region) else { continue };
            summary.forwards.inside += region.forwards.inside;
            summary.forwards.all += region.forwards.all;
            summary.pixels += image.size.area();
            summary.skipped_pixels += region.skipped_pixels;
            if let Some(truth) = region.truth {
                let sum = summary.truth.get_or_insert_default();
                sum.foreground += truth.foreground;
                sum.outside += truth.outside;
            }
            let finding = region.finding;
            if finding.refusal().is_some() {
                let first = || WholeImages { finding, images: 0, first: image.id.clone() };
                whole.entry(finding).or_insert_with(first).images += 1;
            }
        }
        summary.whole = whole.into_values().collect();
        Some(summary)
    }

    /// The share of model runs that were spared, 0 to 1.
    pub fn spared(&self) -> f64 {
        share(self.forwards.all - self.forwards.inside, self.forwards.all)
    }

    /// What it comes to, in one line.
    pub fn line(&self) -> String {
        let is = match &self.class {
            Some(class) => format!("and have class {class}"),
            None => "and have no class".to_owned(),
        };
        format!(
            "{} of windows are spared ({} of {} forwards); {} of pixels are outside, {is}",
            percent(self.spared()),
            self.forwards.all - self.forwards.inside,
            self.forwards.all,
            percent(share(self.skipped_pixels, self.pixels))
        )
    }

    /// Images of which all was computed, and why; nothing where there are none.
    pub fn whole_line(&self) -> Option<String> {
        let images: u64 = self.whole.iter().map(|whole| whole.images).sum();
        let reasons = self.whole.iter().map(|whole| {
            let more =
                if whole.images > 1 { format!(" and {} more", whole.images - 1) } else { String::new() };
            format!("{} ({}{more})", whole.finding.refusal().unwrap_or_default(), whole.first)
        });
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        let are = if images == 1 { "is" } else { "are" };
        (images > 0).then(|| format!("{} {are} computed whole: {reasons}", counted(images as usize, "image")))
    }

    /// How much of the truth lies outside; nothing where none is known.
    pub fn truth_line(&self) -> Option<String> {
        let TruthOutside { foreground, outside } = self.truth?;
        let but = self.class.as_ref().map_or(String::new(), |class| format!(" that are not {class}"));
        Some(format!(
            "{outside} of {foreground} pixels of the truth{but} lie outside ({})",
            percent(share(outside, foreground))
        ))
    }

    /// Whether much of the truth lies outside.
    pub fn is_lossy(&self) -> bool {
        self.truth.is_some_and(|truth| share(truth.outside, truth.foreground) > OUTSIDE_MAX)
    }

    /// Sentences for the user.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = vec![format!("region: {}", self.line())];
        notes.extend(self.whole_line().map(|line| format!("region: {line}")));
        notes.extend(self.truth_line().map(|line| {
            if self.is_lossy() {
                format!(
                    "warning: region: {line}: no model has looked at them; a larger region.margin, or another region, takes \
                     them in"
                )
            } else {
                format!("region: {line}")
            }
        }));
        notes
    }
}

pub(crate) fn share(part: u64, of: u64) -> f64 {
    part as f64 / of.max(1) as f64
}

pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.095 { format!("{percent:.3} %") } else { format!("{percent:.1} %") }
}
