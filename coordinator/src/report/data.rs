//! What a report shows.

use crate::cascade_summary::CascadeSummary;
use crate::gate_summary::GateSummary;
use crate::kept_labels::KeptLabels;
use crate::region_summary::RegionSummary;
use marquetry_job::StageSeconds;

/// Everything on the page.
#[derive(Debug, Clone)]
pub struct Report {
    /// The job's name.
    pub name: String,
    /// The job's id.
    pub job: String,
    /// Version of Marquetry.
    pub version: String,
    /// One sentence: `done`, `done with 2 failed images`.
    pub outcome: String,
    /// Whether nothing was given up.
    pub whole: bool,
    /// Wall-clock time of this run, s.
    pub wall_seconds: f64,
    /// Model runs of one window each, in this run.
    pub forwards: u64,
    /// Blocks computed in this run, and found in the store from an earlier one.
    pub tasks_computed: u64,
    /// Blocks found in the store from an earlier run.
    pub tasks_found: u64,
    /// Tries that failed and were made again.
    pub retries: u64,
    /// Bytes of tiles stored in this run.
    pub tile_bytes: u64,
    /// Workers' time by stage, s, summed over threads.
    pub stages: StageSeconds,
    /// Time of putting images together, s, summed.
    pub aggregate_seconds: f64,
    /// Greatest resident memory of the process, bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// ONNX Runtime's version and device, threads: as pairs of name and value.
    pub machine: Vec<(String, String)>,
    /// How scores are merged and decided, as pairs of name and value.
    pub settings: Vec<(String, String)>,
    /// The classes.
    pub classes: Vec<ReportClass>,
    /// The members, group by group.
    pub groups: Vec<ReportGroup>,
    /// What images of one kind are, and what is done about it: which, and what.
    pub image_kinds: Vec<(String, String)>,
    /// What was settled for members of one kind: who, and what.
    pub member_kinds: Vec<(String, String)>,
    /// What was suspicious before anything was computed: who, and what.
    pub warnings: Vec<(String, String)>,
    /// How much of each class outputs of pseudo-labels keep.
    pub kept_labels: Vec<KeptLabels>,
    /// What regions left of the images, where the job has one.
    pub region: Option<RegionSummary>,
    /// What the gate came to, where the job has one.
    pub gate: Option<GateSummary>,
    /// What rounds came to, where the job has them.
    pub cascade: Option<CascadeSummary>,
    /// The images, in the plan's order.
    pub images: Vec<ReportImage>,
    /// What was given up.
    pub failures: Vec<ReportFailure>,
    /// The finished files: name and where.
    pub files: Vec<(String, String)>,
}

/// A class and its share of all pixels.
#[derive(Debug, Clone)]
pub struct ReportClass {
    /// Its name.
    pub name: String,
    /// Its colour in masks.
    pub colour: [u8; 3],
    /// Share of all labelled pixels, 0 to 1.
    pub share: f64,
}

/// Members that share a grid.
#[derive(Debug, Clone)]
pub struct ReportGroup {
    /// The grid in words: `512 × 512 px, stride 256 × 256, shift, gaussian`.
    pub geometry: String,
    /// The views in words.
    pub views: Vec<String>,
    /// Windows over all images, for one member and view.
    pub windows: u64,
    /// Windows that cover a pixel, on average over all images.
    pub windows_per_pixel: f64,
    /// The members.
    pub members: Vec<ReportMember>,
}

/// One member.
#[derive(Debug, Clone)]
pub struct ReportMember {
    /// Its name.
    pub name: String,
    /// What tells it from the others: `fold 0`, `seed 1`, `epoch 40`.
    pub tags: Vec<String>,
    /// Its weight, in words (per class if they differ).
    pub weight: String,
    /// First 12 digits of the model's SHA-256.
    pub sha256: String,
}

/// One image.
#[derive(Debug, Clone)]
pub struct ReportImage {
    /// Its id.
    pub id: String,
    /// Height × width in px, without the unit: `512 × 640`.
    pub size: String,
    /// Mean over pixels of the greatest probability, 0 to 1.
    pub confidence: f64,
    /// Share of each class, 0 to 1, in the order of classes.
    pub shares: Vec<f64>,
    /// Pixels without scores, because blocks were given up; share, 0 to 1.
    pub missing: f64,
    /// Small pictures as PNG files, if this image is on the contact sheet: the image, its mask in
    /// the classes' colours, and its confidence in grey, brighter where surer.
    pub pictures: Option<[Vec<u8>; 3]>,
    /// What is not as it should be, though the outputs are whole.
    pub warnings: Vec<String>,
}

/// Something that was given up.
#[derive(Debug, Clone)]
pub struct ReportFailure {
    /// The image's id.
    pub image: String,
    /// `whole image` or `block 3`.
    pub what: String,
    /// Tries made.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub reason: String,
}
