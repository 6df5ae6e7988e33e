//! What the gate came to over all images: of which class it denied how many, and how often it was wrong.

use crate::Finished;
use crate::region_summary::{percent, share};
use marquetry_aggregator::ImageResult;
use marquetry_failure::counted;
use marquetry_tuning::{GateProbe, fit_threshold};
use serde::{Deserialize, Serialize};

/// A gate that allows a class in less than this share of the images that truly have it is said aloud.
const RECALL_MIN: f64 = 0.995;
/// Images that are named where the gate was wrong.
const NAMED: usize = 3;

/// What the gate came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateSummary {
    /// Images that it was asked about.
    pub images: u64,
    /// The classes of which some model speaks.
    pub classes: Vec<GateClass>,
}

/// What the gate came to for one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateClass {
    /// Its name.
    pub class: String,
    /// From which probability on it is allowed.
    pub threshold: f32,
    /// Images in which it was denied.
    pub denied: u64,
    /// How right that was, where the truth is known.
    pub truth: Option<GateClassTruth>,
}

/// How right the gate was of one class, in images of which the truth is known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GateClassTruth {
    /// Images that truly have the class.
    pub has: u64,
    /// Those of them in which it was allowed.
    pub allowed: u64,
    /// Pixels that truly are of the class.
    pub pixels: u64,
    /// Those of them in images in which it was denied.
    pub denied_pixels: u64,
    /// The first images that have it and in which it was denied.
    pub lost: Vec<String>,
    /// The greatest threshold with which 99.5 % of the images that truly have the class are allowed it.
    pub keeps: Option<f32>,
}

impl GateClassTruth {
    /// The share of images that truly have the class in which it was allowed, 0 to 1.
    pub fn recall(&self) -> f64 {
        if self.has == 0 { 1.0 } else { self.allowed as f64 / self.has as f64 }
    }
}

impl GateSummary {
    /// What `results` of the images of `finished` come to; `None` where the job has no gate.
    pub fn of(finished: &Finished<'_>, results: &[Option<ImageResult>]) -> Option<Self> {
        let gate = finished.spec.gate.as_ref()?;
        let names = finished.spec.class_names();
        let mut all: Vec<Option<GateClass>> = vec![None; names.len()];
        let mut images = 0;
        let mut said: Vec<Vec<GateProbe>> = vec![Vec::new(); names.len()];
        for (image, result) in finished.images.iter().zip(results) {
            let Some(of) = result.as_ref().and_then(|result| result.gate.as_ref()) else { continue };
            images += 1;
            let spoken = of.probabilities.iter().enumerate();
            for (class, probability) in spoken.filter_map(|(class, said)| Some((class, (*said)?))) {
                let (name, threshold) = (names[class].clone(), gate.thresholds[class]);
                let new = || GateClass { class: name, threshold, denied: 0, truth: None };
                let sum = all[class].get_or_insert_with(new);
                sum.denied += u64::from(of.denied[class]);
                let Some(&pixels) = of.truth.as_ref().and_then(|truth| truth.get(class)) else { continue };
                let truth = sum.truth.get_or_insert_default();
                said[class].push(GateProbe { group: 0, probability, has: pixels > 0 });
                truth.pixels += pixels;
                truth.has += u64::from(pixels > 0);
                if of.denied[class] && pixels > 0 {
                    truth.denied_pixels += pixels;
                    if truth.lost.len() < NAMED {
                        truth.lost.push(image.id.clone());
                    }
                } else {
                    truth.allowed += u64::from(pixels > 0);
                }
            }
        }
        for (of, said) in all.iter_mut().zip(&said) {
            if let Some(truth) = of.as_mut().and_then(|of| of.truth.as_mut()) {
                truth.keeps = fit_threshold(said).map(|fitted| fitted.threshold);
            }
        }
        let background = finished.spec.decide.background;
        let told = all.into_iter().enumerate().filter(|(class, _)| Some(*class) != background);
        Some(Self { images, classes: told.filter_map(|(_, of)| of).collect() })
    }

    /// What it comes to, in one line.
    pub fn line(&self) -> String {
        let each = self.classes.iter().map(|of| format!("`{}` in {}", of.class, of.denied));
        format!(
            "of {} the gate denied {}",
            counted(self.images as usize, "image"),
            each.collect::<Vec<_>>().join(", ")
        )
    }

    /// How right it was, a line for each class that some image truly has.
    pub fn truth_lines(&self) -> Vec<String> {
        let line = |of: &GateClass| {
            let truth = of.truth.as_ref().filter(|truth| truth.has > 0)?;
            Some(format!(
                "`{}` is allowed in {} of {} that truly have it (recall {}); in the others lie {} of its pixels",
                of.class,
                truth.allowed,
                counted(truth.has as usize, "image"),
                percent(truth.recall()),
                percent(share(truth.denied_pixels, truth.pixels))
            ))
        };
        self.classes.iter().filter_map(line).collect()
    }

    /// Classes that it denies too often.
    pub fn warnings(&self) -> Vec<String> {
        let warning = |of: &GateClass| {
            let truth = of.truth.as_ref().filter(|truth| truth.recall() < RECALL_MIN)?;
            let more = if truth.has - truth.allowed > truth.lost.len() as u64 { ", …" } else { "" };
            // Rounded down: what is allowed stays so.
            let keeps = truth.keeps.map(|keeps| (f64::from(keeps) * 1e4).floor() / 1e4);
            let keeps = keeps.map_or_else(String::new, |keeps| format!("; {keeps} keeps 99.5 % of them"));
            Some(format!(
                "`{}` is denied in {} of {} that truly have it ({}{more}), more than 0.5 %: its threshold {} is too high{keeps}",
                of.class,
                truth.has - truth.allowed,
                counted(truth.has as usize, "image"),
                truth.lost.join(", "),
                of.threshold
            ))
        };
        self.classes.iter().filter_map(warning).collect()
    }

    /// Sentences for the user.
    pub fn notes(&self) -> Vec<String> {
        let lines = std::iter::once(self.line()).chain(self.truth_lines());
        let lines = lines.map(|line| format!("gate: {line}"));
        lines.chain(self.warnings().into_iter().map(|text| format!("warning: gate: {text}"))).collect()
    }
}
