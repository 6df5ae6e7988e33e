//! From a job file to a plan: everything is looked at before anything is run.

mod images;
mod members;
mod paths;
mod side_by_side;

pub use images::{ImagesError, Rejected};
pub use members::MembersError;
pub use paths::PathError;

use marquetry_failure::{Classify, FailureClass};
use marquetry_imagery::ImageError;
use marquetry_job::{PLAN_FORMAT, Plan, PlannedImage, Scoring, hash};
use marquetry_model::Runtime;
use marquetry_raster::read::Limits;
use marquetry_spec::JobSpec;
use marquetry_transport::{FileError, Files};
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
    /// A class that no member has a weight for.
    #[error("members: class `{0}` has weight 0 in every member")]
    Weightless(String),
}

impl PlanError {
    /// The trouble with a file or store behind this error, if that is what it is.
    pub fn file(&self) -> Option<&FileError> {
        match self {
            Self::Images(
                ImagesError::File(error)
                | ImagesError::Path(PathError::File(error))
                | ImagesError::Store(ImageError::File(error)),
            )
            | Self::Members(
                MembersError::File { error, .. } | MembersError::Path { error: PathError::File(error), .. },
            ) => Some(error),
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
    /// Images that cannot be used.
    pub rejected: Vec<Rejected>,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

/// Plans `spec`, whose relative paths are relative to `base`, a folder or `s3://bucket/prefix/`. What is seen of models is kept in the folder `memory`.
/// `each` hears what is being looked at.
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
    memory: Option<&Path>,
    each: impl Fn(&str) + Sync,
) -> Result<Planned, PlanError> {
    let found = images::find(files, &spec.images.from, base)?;
    let (images, mut rejected) = images::look_at(files, found, limits)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let models = members::Models { files, runtime, memory, cores };
    let (groups, notes) = members::groups(spec, base, &models, each)?;
    let classes = spec.class_names();
    let scoring = Scoring {
        format: PLAN_FORMAT,
        labelling: spec.labelling,
        view_merge: spec.tta.merge,
        view_space: spec.tta.space,
        space: spec.merge,
        mirrored: spec.tta.mirrored(classes.len()),
        tile: spec.tiles.dtype,
        block_pixels: (spec.limits.block_bytes() / (4 * classes.len() as u64)).max(1),
        groups,
        classes,
    };
    let weights = scoring.total_weights();
    if let Some(class) = weights.iter().position(|w| *w <= 0.0) {
        return Err(PlanError::Weightless(scoring.classes[class].clone()));
    }
    let (images, unfit) = fitting(images, &scoring);
    rejected.extend(unfit);
    Ok(Planned { plan: Plan::new(&spec.name, scoring, images), rejected, notes })
}

/// Sets aside the images whose bands are no input for some member.
fn fitting(images: Vec<PlannedImage>, scoring: &Scoring) -> (Vec<PlannedImage>, Vec<Rejected>) {
    let (mut fit, mut unfit) = (Vec::new(), Vec::new());
    for image in images {
        let members = scoring.groups.iter().flat_map(|g| &g.members);
        let wrong = members.clone().find(|m| {
            m.signatures.first().is_some_and(|s| m.input.bands_of(image.bands, s.channels).is_none())
        });
        match wrong {
            None => fit.push(image),
            Some(member) => unfit.push(Rejected {
                reason: format!(
                    "it has {} bands and member {} takes {}: choose some with `images: {{from: …, bands: […]}}`",
                    image.bands, member.name, member.signatures[0].channels
                ),
                uri: image.uri,
                id: image.id,
            }),
        }
    }
    (fit, unfit)
}

/// Names the decisions and outputs of a job: tables and masks made for others are not used.
pub fn outputs_hash(spec: &JobSpec) -> String {
    let spec = serde_json::to_value(spec).unwrap_or_default();
    let what =
        serde_json::json!([spec["classes"], spec["decide"], spec["outputs"], spec["failures"]["ignore"]]);
    hash(&[what.to_string().as_bytes()])[..12].to_owned()
}
