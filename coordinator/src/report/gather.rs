//! From a finished job to what its report shows.

use crate::cascade_summary::CascadeSummary;
use crate::gate_summary::GateSummary;
use crate::kept_labels::KeptLabels;
use crate::losses::Lost;
use crate::planning::{Findings, PlannedTruth, Rejected};
use crate::region_summary::RegionSummary;
use crate::report::{Report, ReportClass, ReportFailure, ReportGroup, ReportImage, ReportMember};
use crate::tally::Tally;
use marquetry_aggregator::{ImageResult, legend};
use marquetry_job::{Group, Inference, Member, Plan, PlannedImage, Scaling};
use marquetry_spec::JobSpec;

/// What only the caller knows of a run.
#[derive(Debug, Clone, Default)]
pub struct RunFacts {
    /// Wall-clock time, s.
    pub wall_seconds: f64,
    /// Greatest resident memory of the process, bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// Runtime, device, threads: as pairs of name and value.
    pub machine: Vec<(String, String)>,
    /// The finished files: name and where.
    pub files: Vec<(String, String)>,
    /// Of a round of a job: which of its members are not in it.
    pub left_out: Option<String>,
}

/// A finished job.
#[derive(Debug, Clone, Copy)]
pub struct Finished<'a> {
    /// What was computed.
    pub plan: &'a Plan,
    /// For which images.
    pub images: &'a [PlannedImage],
    /// What was made: decisions that hang on all images are made in it.
    pub spec: &'a JobSpec,
    /// What was asked for, before these decisions; its outputs are the same, one for one.
    pub asked: &'a JobSpec,
    /// Names the decisions and outputs.
    pub outputs: &'a str,
    /// What it came to.
    pub tally: &'a Tally,
    /// Images that could not be used.
    pub rejected: &'a [Rejected],
    /// What there was to tell of the plan.
    pub findings: &'a Findings,
    /// The labels that are right, where the job names any.
    pub truth: Option<&'a PlannedTruth>,
}

impl Finished<'_> {
    /// Whether every image is finished and whole.
    pub fn is_whole(&self) -> bool {
        self.tally.losses.is_empty() && self.rejected.is_empty()
    }

    /// Whether this image is finished and nothing of it was given up: its results are stored.
    pub(crate) fn has_finished(&self, image: &PlannedImage) -> bool {
        !self.tally.unfinished.contains(&image.key)
    }

    /// Images of which something or all is missing.
    pub fn failed_images(&self) -> u64 {
        self.tally.progress.images_failed + self.rejected.len() as u64
    }

    /// What the report shows. `results` are those of the plan's images, in its order; nothing for those given up.
    pub fn report(&self, results: Vec<Option<ImageResult>>, facts: RunFacts) -> Report {
        let kept_labels = KeptLabels::of(self, &results);
        let vanishing = kept_labels
            .iter()
            .flat_map(KeptLabels::warnings)
            .map(|words| ("pseudo_labels".to_owned(), words));
        let region = RegionSummary::of(self, &results);
        let outside = region.as_ref().filter(|region| region.is_lossy()).and_then(RegionSummary::truth_line);
        let outside = outside.map(|line| ("region".to_owned(), line));
        let cascade = CascadeSummary::of(self, &results);
        let left_out = cascade.iter().flat_map(|cascade| [cascade.left_out_line(), cascade.with_gaps_line()]);
        let left_out: Vec<_> = left_out.flatten().map(|line| ("cascade".to_owned(), line)).collect();
        let gate = GateSummary::of(self, &results);
        let denied = gate.iter().flat_map(GateSummary::warnings).map(|line| ("gate".to_owned(), line));
        let denied: Vec<_> = denied.collect();
        let told = self.findings.warnings.iter().map(|w| (w.who.clone(), w.text.clone()));
        let warnings = told.chain(vanishing).chain(outside).chain(left_out).chain(denied).collect();
        let mut images = Vec::new();
        let mut class_pixels = vec![0_u64; self.spec.classes.len()];
        for (image, result) in self.images.iter().zip(results) {
            let Some(result) = result else { continue };
            class_pixels.iter_mut().zip(&result.class_pixels).for_each(|(sum, n)| *sum += n);
            let pixels = image.size.area() as f64;
            images.push(ReportImage {
                id: image.id.clone(),
                size: image.size.to_string(),
                confidence: result.confidence,
                shares: result.class_pixels.iter().map(|&n| n as f64 / pixels).collect(),
                missing: result.missing_pixels as f64 / pixels,
                pictures: result.pictures(),
                warnings: result.warnings,
            });
        }
        let tally = self.tally;
        let failed = self.failed_images();
        let outcome = match failed {
            0 => "done".to_owned(),
            1 => "done with 1 failed image".to_owned(),
            n => format!("done with {n} failed images"),
        };
        Report {
            name: self.spec.name.clone(),
            job: self.plan.job.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            outcome,
            whole: self.is_whole(),
            wall_seconds: facts.wall_seconds,
            forwards: tally.forwards,
            tasks_computed: tally.tasks_computed,
            tasks_found: tally.tasks_found,
            retries: tally.retries,
            tile_bytes: tally.tile_bytes,
            stages: tally.seconds,
            aggregate_seconds: tally.aggregate_seconds,
            peak_memory_bytes: facts.peak_memory_bytes,
            machine: facts.machine,
            settings: settings(self.spec, self.plan, facts.left_out),
            classes: self.classes(&class_pixels),
            groups: (0..self.plan.inference.groups.len()).map(|group| self.group(group)).collect(),
            image_kinds: self.findings.images.iter().map(|kind| (kind.who(), kind.what())).collect(),
            member_kinds: {
                let gate =
                    self.findings.gate.iter().map(|kind| (format!("gate {}", kind.who()), kind.what()));
                self.findings.members.iter().map(|kind| (kind.who(), kind.what())).chain(gate).collect()
            },
            warnings,
            kept_labels,
            region,
            cascade,
            gate,
            images,
            failures: self.failures(),
            files: facts.files,
        }
    }

    fn classes(&self, pixels: &[u64]) -> Vec<ReportClass> {
        let all = pixels.iter().sum::<u64>().max(1) as f64;
        let colours = legend::legend(self.spec).map(|l| l.colours().to_vec()).unwrap_or_default();
        let classes = self.spec.classes.iter().zip(colours).zip(pixels);
        let class = |((class, colour), &n): ((&marquetry_spec::Class, [u8; 3]), &u64)| ReportClass {
            name: class.name.clone(),
            colour,
            share: n as f64 / all,
        };
        classes.map(class).collect()
    }

    fn group(&self, place: usize) -> ReportGroup {
        let group = &self.plan.inference.groups[place];
        let (mut windows, mut covered, mut pixels) = (0, 0, 0);
        for image in self.images {
            let Some((grid, _)) = self.plan.layout(image, place as u32) else { continue };
            windows += grid.len();
            covered += grid.len() * group.window.inner.area();
            pixels += grid.image().area();
        }
        ReportGroup {
            geometry: describe_grid(group) + round_in_words(&self.plan.inference, place),
            views: group.views.iter().map(ToString::to_string).collect(),
            windows,
            windows_per_pixel: covered as f64 / pixels.max(1) as f64,
            members: group.members.iter().zip(self.weights(place)).map(|(m, w)| member(m, w)).collect(),
        }
    }

    /// What each member of a group weighs in the job, per class.
    fn weights(&self, group: usize) -> &[Vec<f32>] {
        let first = self.plan.inference.first_member(group);
        &self.plan.merge.weights[first..][..self.plan.inference.groups[group].members.len()]
    }

    fn failures(&self) -> Vec<ReportFailure> {
        let rejected = self.rejected.iter().map(|r| ReportFailure {
            image: r.id.clone(),
            what: "whole image".into(),
            attempts: 1,
            reason: r.reason.clone(),
        });
        let lost = |loss: &Lost| ReportFailure {
            image: loss.image.clone(),
            what: loss.what(),
            attempts: loss.attempts,
            reason: loss.reason.clone(),
        };
        let losses = &self.tally.losses;
        let unlisted = losses.total() - losses.sample().len() as u64;
        let more = (unlisted > 0).then(|| ReportFailure {
            image: "…".into(),
            what: format!("{unlisted} more"),
            attempts: 0,
            reason: "the dead-letter topic has them all".into(),
        });
        rejected.chain(losses.sample().iter().map(lost)).chain(more).collect()
    }
}

/// Which round the group at `place` is of, after a comma; nothing where there is one alone.
pub fn round_in_words(inference: &Inference, place: usize) -> &'static str {
    match &inference.cascade {
        None => "",
        Some(rule) if rule.is_later(place) => ", where the first round is unsure",
        Some(_) => ", first round",
    }
}

/// A group's grid in words.
pub fn describe_grid(group: &Group) -> String {
    let window = &group.window;
    match group.scaling {
        Scaling::Whole(shown) => return format!("whole image at {shown} px"),
        Scaling::Inside => return format!("whole image inside {} px", window.inner),
        Scaling::Factor(_) => {}
    }
    let mut words = format!("{} px, stride {} px", window.outer(), window.stride);
    if window.margin.height + window.margin.width > 0 {
        words += &format!(", margin {} px", window.margin);
    }
    if let Scaling::Factor(factor) = group.scaling
        && factor != 1.0
    {
        words += &format!(", image at {factor}");
    }
    let lower = |debug: String| debug.to_lowercase();
    format!("{words}, {}, {}", lower(format!("{:?}", window.edges)), lower(format!("{:?}", group.importance)))
}

fn member(member: &Member, weights: &[f32]) -> ReportMember {
    let same = weights.windows(2).all(|w| w[0] == w[1]);
    let weight = match weights.first() {
        Some(weight) if same => weight.to_string(),
        _ => weights.iter().map(ToString::to_string).collect::<Vec<_>>().join(" · "),
    };
    ReportMember {
        name: member.name.clone(),
        tags: member.tags.iter().map(|(tag, value)| format!("{tag} {value}")).collect(),
        weight,
        sha256: member.content_hash().chars().take(12).collect(),
    }
}

fn settings(spec: &JobSpec, plan: &Plan, left_out: Option<String>) -> Vec<(String, String)> {
    let lower = |debug: String| debug.to_lowercase();
    let (inference, merge) = (&plan.inference, &plan.merge);
    let rule = match &spec.decide.rule {
        marquetry_ensemble::Rule::Argmax => "argmax",
        marquetry_ensemble::Rule::Factors(_) => "argmax of probabilities times factors",
        marquetry_ensemble::Rule::Threshold(_) => "thresholds",
        marquetry_ensemble::Rule::Triplet(_) => "triplet",
    };
    let pairs = [
        ("Views merged by", lower(format!("{:?} of {:?}", inference.view_merge, inference.view_space))),
        ("Windows merged in", lower(format!("{:?}", inference.tile_space))),
        ("Members merged in", lower(format!("{:?}", merge.space))),
        ("Tiles", lower(format!("{:?}", inference.tile))),
        ("Decision", rule.to_owned()),
    ];
    let left_out = left_out.map(|words| ("Left out", words));
    pairs.into_iter().chain(left_out).map(|(name, value)| (name.to_owned(), value)).collect()
}
