//! From a job file to a plan: everything is looked at before anything is run.

mod findings;
mod folds;
mod image_files;
mod images;
mod member_names;
mod members;
mod models;
mod output_names;
mod own_outputs;
mod parallel_map;
mod paths;

pub use findings::{Choice, Findings, MemberChoices, MemberKind, Origin, Warning};
pub use folds::FoldsError;
pub use images::{ImagesError, Rejected};
pub use members::MembersError;
pub use models::{ModelReadError, read_model};
pub use output_names::OutputNameError;
pub use paths::PathError;

use marquetry_ensemble::ScoreSpace;
use marquetry_failure::{Classify, FailureClass};
use marquetry_imagery::ImageError;
use marquetry_job::{Group, Inference, Merge, PLAN_FORMAT, Plan, PlannedImage, hash};
use marquetry_model::Runtime;
use marquetry_raster::read::Limits;
use marquetry_spec::{Folds, JobSpec, TilesPer};
use marquetry_transport::{FileError, Files};
use std::collections::HashSet;
use std::path::Path;

/// Why a job cannot be planned. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The images.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// The members.
    #[error(transparent)]
    Members(#[from] MembersError),
    /// Which members score which image.
    #[error(transparent)]
    Folds(#[from] FoldsError),
    /// Outputs that no store can hold.
    #[error(transparent)]
    Names(#[from] OutputNameError),
    /// A class that no member of an image has a weight for.
    #[error("members: class `{class}` has weight 0 in every member that scores image {image}")]
    Weightless {
        /// The class.
        class: String,
        /// The first image.
        image: String,
    },
}

impl PlanError {
    /// The trouble with a file or store behind this error, if that is what it is.
    pub fn file(&self) -> Option<&FileError> {
        match self {
            Self::Images(
                ImagesError::File(error)
                | ImagesError::Path(PathError::File(error))
                | ImagesError::Store(ImageError::File(error)),
            ) => Some(error),
            Self::Members(error) => error.file(),
            _ => None,
        }
    }

    /// Whether another try could go better.
    pub fn may_pass(&self) -> bool {
        let class = match self {
            Self::Images(ImagesError::Store(error)) => Some(error.class()),
            _ => self.file().map(Classify::class),
        };
        matches!(class, Some(FailureClass::Passing | FailureClass::Worker))
    }
}

/// A plan, and what was noticed while it was made.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The images.
    pub images: Vec<PlannedImage>,
    /// Images that cannot be used.
    pub rejected: Vec<Rejected>,
    /// What there is to tell of it.
    pub findings: Findings,
}

impl Planned {
    /// Model runs of one window each that the job takes.
    pub fn forwards(&self) -> u64 {
        self.plan.cost(&self.images).forwards
    }
}

/// Plans `spec`, whose relative paths are relative to `base`, a folder or `s3://bucket/prefix/`. What is seen of models
/// is kept in the folder `facts_cache_dir`. `each` hears what is being looked at.
///
/// # Errors
/// When images or members cannot be found, or a model is not what the job says. Images that cannot be read are no
/// error: they are set aside.
pub fn plan(
    spec: &JobSpec,
    base: &str,
    files: &Files,
    runtime: &Runtime,
    limits: &Limits,
    facts_cache_dir: Option<&Path>,
    each: impl Fn(&str) + Sync,
) -> Result<Planned, PlanError> {
    let (found, left_out) = image_files::find(files, &spec.images.from, base)?;
    let said = output_names::check(spec, base, found.iter().map(|image| image.id.as_str()))?;
    let (images, mut rejected) = images::probe_images(files, found, limits)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let models = models::Models { files, runtime, facts_cache_dir, cores };
    let (groups, mut findings) = members::groups(spec, base, &models, each)?;
    findings.notes.extend(left_out.into_iter().map(|words| format!("images.from: {words}")).chain(said));
    let plan = assemble(spec, groups);
    let images = match spec.folds {
        Folds::All => images,
        Folds::OutOfFold => {
            let (images, who) = folds::out_of_fold(images, &plan.inference)?;
            findings.notes.extend(who);
            images
        }
    };
    findings.notes.extend(two_spaces(&plan));
    findings.allow(&spec.allow);
    let (images, unfit) = fitting(images, &plan.inference);
    rejected.extend(unfit);
    check_weights(&plan, &images)?;
    Ok(Planned { plan, images, rejected, findings })
}

/// The plan of `spec` for members in `groups`, whose weights are those of the job.
fn assemble(spec: &JobSpec, mut groups: Vec<Group>) -> Plan {
    let classes = spec.class_names();
    let weights = groups.iter().flat_map(|g| &g.members).map(|m| m.weights.clone()).collect();
    let tile_space = match spec.tiles.per {
        TilesPer::Group => spec.merge,
        TilesPer::Member => {
            // A tile of one member does not hang on what the member weighs among others.
            for member in groups.iter_mut().flat_map(|g| &mut g.members) {
                member.weights = vec![1.0; classes.len()];
            }
            spec.tta.space
        }
    };
    let inference = Inference {
        format: PLAN_FORMAT,
        labelling: spec.labelling,
        view_merge: spec.tta.merge,
        view_space: spec.tta.space,
        tile_space,
        mirrored: spec.tta.mirrored(classes.len()),
        tile: spec.tiles.dtype,
        block_pixels: (spec.limits.block_bytes() / (4 * classes.len() as u64)).max(1),
        groups,
        classes,
    };
    Plan::new(&spec.name, inference, Merge { space: spec.merge, weights })
}

/// What there is to tell of windows that are merged in another space than members.
fn two_spaces(plan: &Plan) -> Option<String> {
    let name = |space: ScoreSpace| if space == ScoreSpace::Logits { "logits" } else { "probabilities" };
    let (windows, members) = (plan.inference.tile_space, plan.merge.space);
    (windows != members).then(|| {
        format!(
            "tiles.per: member merges windows in {} (tta.space) and members in {} (merge.space); per: group merges both in \
             {1}, and comes to other scores",
            name(windows),
            name(members)
        )
    })
}

/// Every class of every image must weigh something.
fn check_weights(plan: &Plan, images: &[PlannedImage]) -> Result<(), PlanError> {
    let mut known: HashSet<Option<&[u32]>> = HashSet::new();
    for image in images.iter().filter(|image| known.insert(image.members.as_deref())) {
        if let Some(class) = plan.total_weights(image).iter().position(|w| *w <= 0.0) {
            let class = plan.inference.classes[class].clone();
            return Err(PlanError::Weightless { class, image: image.id.clone() });
        }
    }
    Ok(())
}

/// Most bytes of an image's id, path and other columns: they travel in every message about it.
const IMAGE_BYTES_MAX: usize = 8 << 10;

/// Sets aside the images whose bands are no input for some member, and those of which too much is said.
fn fitting(images: Vec<PlannedImage>, inference: &Inference) -> (Vec<PlannedImage>, Vec<Rejected>) {
    let (mut fit, mut unfit) = (Vec::new(), Vec::new());
    for image in images {
        let members = inference.members().enumerate().filter(|(place, _)| image.is_scored_by(*place));
        let wrong = members.map(|(_, member)| member).find(|m| {
            m.signatures.first().is_some_and(|s| m.input.bands_of(image.bands, s.channels).is_none())
        });
        let bytes = serde_json::to_vec(&image).map_or(0, |json| json.len());
        let reason = if let Some(member) = wrong {
            format!(
                "it has {} bands and member {} takes {}: choose some with `images: {{from: …, bands: […]}}`",
                image.bands, member.name, member.signatures[0].channels
            )
        } else if bytes > IMAGE_BYTES_MAX {
            format!(
                "its id, path and other columns come to {bytes} bytes, and messages carry {IMAGE_BYTES_MAX}: leave \
                 columns out of the list"
            )
        } else {
            fit.push(image);
            continue;
        };
        unfit.push(Rejected { id: image.id, uri: image.uri, reason });
    }
    (fit, unfit)
}

/// Names how members are merged, the decisions and the outputs of a job: tables and masks made for others are not used.
pub fn outputs_hash(spec: &JobSpec, merge: &Merge) -> String {
    let spec = serde_json::to_value(spec).unwrap_or_default();
    let what = serde_json::json!([
        spec["classes"],
        spec["decide"],
        spec["outputs"],
        spec["failures"]["ignore"],
        merge
    ]);
    hash(&[what.to_string().as_bytes()])[..12].to_owned()
}
