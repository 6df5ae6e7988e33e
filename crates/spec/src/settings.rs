//! What a job merges and keeps, how much memory it takes, and what it does about failures.

use super::kind::{FLAG, Kind, LayerKind, Whole, Words};
use super::node::Node;
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};
use super::table::Shape;
use super::tta::SPACES;
use marquetry_ensemble::{Labelling, ScoreSpace};
use marquetry_job::TileDtype;

section! {
    /// How windows and members are merged.
    pub(super) struct Merge: "merge" (_) {
        /// The space in which members are merged, and windows too: but where tiles are kept per member, windows are merged
        /// in `tta.space`.
        pub(super) space: ScoreSpace = ScoreSpace::Probabilities, Words(&SPACES);
    }
}

/// [`Merge`], of which a job keeps the space alone.
pub(super) struct MergeSpace;

impl Kind for MergeSpace {
    type Value = ScoreSpace;

    fn write(&self, &space: &ScoreSpace, scope: &Scope<'_>) -> Option<Node> {
        Some(Merge { space }.node(scope))
    }

    fn shape(&self) -> Shape {
        Shape::Section(Merge::table())
    }
}

impl LayerKind for MergeSpace {
    fn read_over(&self, at: &At<'_>, &space: &ScoreSpace, scope: &Scope<'_>) -> Option<ScoreSpace> {
        Some(Merge { space }.over_at(at, scope).space)
    }
}

section! {
    /// How scores are kept until an image is finished.
    pub struct Tiles: "tiles" (_) derive [Copy, Eq] {
        /// How one score is kept; `u8` for probabilities only.
        pub dtype: TileDtype = TileDtype::F16, Words(&DTYPES);
        /// Whether tiles stay when their image is finished.
        pub keep: bool = false, FLAG;
        /// What one tile holds: the merged scores of all members of a grid (`group`), or those of one member (`member`), so
        /// that other weights run no model and another member runs alone. A member's tile must not hang on how members are merged: its windows are merged
        /// in `tta.space`, whose default is then probabilities, and `merge.space` is that of members alone. Where the two
        /// differ, so do scores from those of `group`.
        pub per: TilesPer = TilesPer::Group, Words(&TILES_PER);
    }
}

/// What one tile holds the scores of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TilesPer {
    /// All members of one grid, weighted and merged by the workers: the fewest bytes.
    Group,
    /// One member: with other weights, or another space for merging members, no model runs again.
    Member,
}

const TILES_PER: [(&str, TilesPer); 2] = [("group", TilesPer::Group), ("member", TilesPer::Member)];
const DTYPES: [(&str, TileDtype); 3] =
    [("f16", TileDtype::F16), ("f32", TileDtype::F32), ("u8", TileDtype::U8)];

impl Tiles {
    /// Notes what does not fit the scores that tiles hold; `probabilities` says whether these are in 0 to 1.
    pub(super) fn check(self, at: Option<&At<'_>>, probabilities: bool) {
        let wrong = self.dtype == TileDtype::U8 && !probabilities;
        let given = at.filter(|_| wrong).and_then(|at| at.entry("dtype"));
        if let Some(dtype) = given {
            dtype.conflict(
                "u8 holds probabilities only; set merge.space: probabilities, and merge views by mean, gmean, max or min",
            );
        }
    }
}

/// A million MB is more memory than any one machine has, and far from where byte counts overflow.
const MB: Whole<u64> = Whole::new(1, 1_000_000);

section! {
    /// How much memory each part takes at most. One MB is 2²⁰ bytes.
    pub struct Limits: "limits" (_) derive [Copy, Eq] {
        /// The canvas of one task, MB.
        pub block_mb: u64 = 256, MB;
        /// One decoded image that cannot be read in windows, MB.
        pub image_mb: u64 = 512, MB;
        /// The band of an image that is put together at once, MB.
        pub band_mb: u64 = 256, MB;
        /// Most pixels of an image; larger ones are rejected.
        pub image_pixels: u64 = 20_000_000_000, Whole::<u64>::new(1, 1_000_000_000_000_000);
    }
}

impl Limits {
    /// Most bytes of the canvas of one task.
    pub const fn block_bytes(&self) -> u64 {
        self.block_mb << 20
    }

    /// Most bytes of one decoded image.
    pub const fn image_bytes(&self) -> u64 {
        self.image_mb << 20
    }

    /// Most bytes of the band that is put together at once.
    pub const fn band_bytes(&self) -> u64 {
        self.band_mb << 20
    }
}

/// How much of a cluster's workers a job gets beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// A quarter of what a normal one gets.
    Low,
    /// As much as each other normal one.
    Normal,
    /// Four times what a normal one gets.
    High,
}

pub(super) const PRIORITIES: [(&str, Priority); 3] =
    [("low", Priority::Low), ("normal", Priority::Normal), ("high", Priority::High)];

/// Where members run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// The quickest device of the machine that runs the job, or each worker's own on a cluster.
    Auto,
    /// The processor, by ONNX Runtime.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// The processor, by OpenVINO.
    OpenVino,
}

pub(super) const DEVICES: [(&str, DeviceKind); 4] = [
    ("auto", DeviceKind::Auto),
    ("cpu", DeviceKind::Cpu),
    ("openvino", DeviceKind::OpenVino),
    ("cuda", DeviceKind::Cuda),
];

/// How exactly members are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exactness {
    /// In single precision.
    Exact,
    /// In the quickest precision that gives the same labels.
    Fast,
}

pub(super) const EXACTNESS: [(&str, Exactness); 2] = [("exact", Exactness::Exact), ("fast", Exactness::Fast)];

section! {
    /// What a job does about what fails.
    pub struct Failures: "failures" (scope) derive [Copy, Eq] {
        /// How the job ends when something failed for good: `partial` with what there is (failed images are listed,
        /// failed pixels are `ignore`, the exit code is 1), `fail` without any output.
        pub policy: Policy = Policy::Partial, Words(&POLICIES);
        /// How often a task is tried before it is given up.
        pub attempts: u32 = 3, Whole::<u32>::new(1, 100);
        /// The value of pixels that could not be computed, or are missing, in masks; none that a class has. 65535 by default
        /// for more than 255 labels.
        pub ignore: u16 = if scope.labels() > 255 { u16::MAX } else { 255 }, Whole::<u16>::new(0, 65_535);
    }
}

/// How a job ends when something failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// With what there is: failed images are listed, failed pixels are `ignore`, the exit code is 1.
    Partial,
    /// Without any output.
    Fail,
}

const POLICIES: [(&str, Policy); 2] = [("partial", Policy::Partial), ("fail", Policy::Fail)];

impl Failures {
    /// What `at` says, over the defaults.
    pub(super) fn read_or_standard(at: Option<&At<'_>>, scope: &Scope<'_>) -> Self {
        let standard = Self::standard(scope);
        let Some(fields) = at.map(Self::fields) else { return standard };
        let failures = standard.over_fields(&fields, scope);
        if scope.labelling == Labelling::Multilabel && failures.ignore < 2 {
            let message = format!("{} says whether a class is there; allowed is 2 to 65535", failures.ignore);
            fields.forbid(&["ignore"], &message);
        }
        failures
    }
}
