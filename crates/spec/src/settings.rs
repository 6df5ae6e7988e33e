//! Where a job reads and keeps things, how much memory it takes, and what it does about failures.

use super::input::bands;
use super::node::Node;
use super::pattern::{GlobPattern, expand_braces, is_glob};
use super::read::{At, Fields};
use super::tta::SPACES;
use super::window::name_of;
use marquetry_ensemble::Space;
use marquetry_job::TileDtype;

pub(super) const IMAGES_KEYS: [&str; 2] = ["from", "bands"];
pub(super) const MERGE_KEYS: [&str; 1] = ["space"];
pub(super) const TILES_KEYS: [&str; 3] = ["dtype", "keep", "per"];
pub(super) const LIMITS_KEYS: [&str; 4] = ["block_mb", "image_mb", "band_mb", "image_pixels"];
pub(super) const FAILURES_KEYS: [&str; 3] = ["policy", "attempts", "ignore"];

/// The images of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Where they are, as written: see [`Images::source`].
    pub from: String,
    /// Which of their bands the job uses, counted from 0; all of them if not given.
    pub bands: Option<Vec<u16>>,
}

/// What `images.from` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageSource {
    /// A table of ids, paths and tags: the text ends in `.csv`.
    Manifest,
    /// A glob, perhaps with braces.
    Pattern,
    /// One image, or a folder with all its images.
    Path,
}

impl Images {
    /// What `from` names.
    pub fn source(&self) -> ImageSource {
        let from = &self.from;
        if from.len() >= 4 && from.as_bytes()[from.len() - 4..].eq_ignore_ascii_case(b".csv") {
            ImageSource::Manifest
        } else if is_glob(from) || from.contains(['{', '}']) {
            ImageSource::Pattern
        } else {
            ImageSource::Path
        }
    }

    pub(super) fn read(at: &At<'_>) -> Self {
        let nowhere = |from: Option<String>| Self { from: from.unwrap_or_default(), bands: None };
        if !at.is_map() {
            return nowhere(from(at));
        }
        let fields = at.fields(&IMAGES_KEYS);
        let from = fields.need("from", FROM).and_then(from);
        let distinct = |at: &At<'_>| {
            let bands = bands(at)?;
            if let Some(n) = (0..bands.len()).find(|&n| bands[..n].contains(&bands[n])) {
                at.conflict(format!("band {} is named twice", bands[n]));
            }
            Some(bands)
        };
        Self { bands: fields.read("bands", distinct), ..nowhere(from) }
    }

    pub(super) fn write(&self) -> Node {
        Node::map([
            ("from", Some(self.from.as_str().into())),
            ("bands", self.bands.as_ref().map(|bands| Node::list(bands.iter().copied()))),
        ])
    }
}

const FROM: &str = "a glob, a folder, a CSV file, or s3://bucket/prefix";

fn from(at: &At<'_>) -> Option<String> {
    let from = place(at, FROM)?;
    let paths = expand_braces(&from);
    let globs = paths.and_then(|paths| paths.iter().try_for_each(|path| GlobPattern::new(path).map(drop)));
    match globs {
        Ok(()) => Some(from),
        Err(error) => at.refuse(error.to_string()),
    }
}

/// A path, or a place in S3.
fn place(at: &At<'_>, allowed: &str) -> Option<String> {
    at.text_where(allowed, |text| {
        let bucket = text.strip_prefix("s3://").map(|rest| rest.split('/').next().unwrap_or_default());
        let sound = bucket.map_or(!text.contains("://"), |bucket| !bucket.is_empty());
        sound && !text.trim().is_empty() && !text.contains(char::is_control)
    })
}

pub(super) fn store(at: &At<'_>) -> Option<String> {
    place(at, "a folder, or s3://bucket/prefix")
}

/// The space in which members are merged.
pub(super) fn merge(at: &At<'_>) -> Option<Space> {
    at.fields(&MERGE_KEYS).read("space", |at| at.one_of(&SPACES))
}

/// How scores are kept until an image is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiles {
    /// How one score is kept.
    pub dtype: TileDtype,
    /// Whether they are kept after that.
    pub keep: bool,
    /// What one tile holds the scores of.
    pub per: TilesPer,
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

/// Which members score an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folds {
    /// All of them.
    All,
    /// Those that were trained without it: members tagged `fold: k` score the images tagged `fold: k`, and no others.
    OutOfFold,
}

const FOLDS: [(&str, Folds); 2] = [("all", Folds::All), ("out_of_fold", Folds::OutOfFold)];

impl Folds {
    pub(super) fn read(at: &At<'_>) -> Option<Self> {
        at.one_of(&FOLDS)
    }

    pub(super) fn write(self) -> Node {
        name_of(&FOLDS, self)
    }
}

const DTYPES: [(&str, TileDtype); 3] =
    [("f16", TileDtype::F16), ("f32", TileDtype::F32), ("u8", TileDtype::U8)];

impl Tiles {
    pub(super) fn read(fields: Option<&Fields<'_>>) -> Self {
        let standard = Self { dtype: TileDtype::F16, keep: false, per: TilesPer::Group };
        let Some(fields) = fields else { return standard };
        Self {
            dtype: fields.read("dtype", |at| at.one_of(&DTYPES)).unwrap_or(standard.dtype),
            keep: fields.read("keep", At::flag).unwrap_or(standard.keep),
            per: fields.read("per", |at| at.one_of(&TILES_PER)).unwrap_or(standard.per),
        }
    }

    /// `probabilities` says whether the scores that tiles hold are in 0 to 1.
    pub(super) fn check(self, fields: Option<&Fields<'_>>, probabilities: bool) {
        let wrong = self.dtype == TileDtype::U8 && !probabilities;
        if let Some(fields) = fields.filter(|_| wrong) {
            fields.forbid(
                &["dtype"],
                "u8 holds probabilities only; set merge.space: probabilities, and merge views by mean, gmean, max or min",
            );
        }
    }

    pub(super) fn write(self) -> Node {
        Node::map([
            ("dtype", Some(name_of(&DTYPES, self.dtype))),
            ("keep", Some(self.keep.into())),
            ("per", Some(name_of(&TILES_PER, self.per))),
        ])
    }
}

/// How much memory each part takes at most. One MB is 2²⁰ bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The canvas of one task, MB.
    pub block_mb: u64,
    /// One decoded image that cannot be read in windows, MB.
    pub image_mb: u64,
    /// The band of an image that is put together at once, MB.
    pub band_mb: u64,
    /// Most pixels of an image; larger ones are rejected.
    pub image_pixels: u64,
}

impl Limits {
    pub(super) fn read(at: Option<&At<'_>>) -> Self {
        let standard = Self { block_mb: 256, image_mb: 512, band_mb: 256, image_pixels: 20_000_000_000 };
        let Some(fields) = at.map(|at| at.fields(&LIMITS_KEYS)) else { return standard };
        // A million MB is more memory than any one machine has, and far from where byte counts overflow.
        let mb = |key: &str| fields.read(key, |at| at.integer(1..=1_000_000));
        Self {
            block_mb: mb("block_mb").unwrap_or(standard.block_mb),
            image_mb: mb("image_mb").unwrap_or(standard.image_mb),
            band_mb: mb("band_mb").unwrap_or(standard.band_mb),
            image_pixels: fields
                .read("image_pixels", |at| at.integer(1..=1_000_000_000_000_000))
                .unwrap_or(standard.image_pixels),
        }
    }

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

    pub(super) fn write(self) -> Node {
        Node::map([
            ("block_mb", Some(self.block_mb.into())),
            ("image_mb", Some(self.image_mb.into())),
            ("band_mb", Some(self.band_mb.into())),
            ("image_pixels", Some(self.image_pixels.into())),
        ])
    }
}

/// What a job does about what fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// How the job ends.
    pub policy: Policy,
    /// How often a task is tried before it is given up.
    pub attempts: u32,
    /// The label of pixels that could not be computed.
    pub ignore: u16,
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
    /// `labels` is how many labels masks hold, counted from 0: classes, or 2 where each class has its own plane.
    pub(super) fn read(at: Option<&At<'_>>, labels: usize) -> Self {
        let ignore = if labels > 255 { u16::MAX } else { 255 };
        let standard = Self { policy: Policy::Partial, attempts: 3, ignore };
        let Some(fields) = at.map(|at| at.fields(&FAILURES_KEYS)) else { return standard };
        let ignore = fields.read("ignore", |at| at.integer(0..=65_535)).map_or(ignore, |n| n as u16);
        if usize::from(ignore) < labels {
            let message = format!("{ignore} is the label of a class; allowed is {labels} to 65535");
            fields.forbid(&["ignore"], &message);
        }
        Self {
            policy: fields.read("policy", |at| at.one_of(&POLICIES)).unwrap_or(standard.policy),
            attempts: fields
                .read("attempts", |at| at.integer(1..=100))
                .map_or(standard.attempts, |n| n as u32),
            ignore,
        }
    }

    pub(super) fn write(self) -> Node {
        Node::map([
            ("policy", Some(name_of(&POLICIES, self.policy))),
            ("attempts", Some(self.attempts.into())),
            ("ignore", Some(self.ignore.into())),
        ])
    }
}
