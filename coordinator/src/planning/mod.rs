//! From a job file to a plan: everything is looked at before anything is run.

mod activation;
mod candidate;
mod cascade;
mod class_map;
mod device;
mod findings;
mod fit;
mod fitting;
mod fold_list;
mod folds;
mod gate;
mod gate_classes;
mod image_facts;
mod image_files;
mod images;
mod leaks;
mod meaning;
mod member_devices;
mod member_names;
mod members;
mod members_error;
mod memory;
mod model_input;
mod models;
mod output_names;
mod outputs_hash;
mod own_outputs;
mod padded_sizes;
mod parallel_map;
mod paths;
mod precision;
mod regions;
mod scale;
mod seen_range;
mod settled_labels;
mod shown;
mod sides;
mod subset;
mod truth;
mod truth_files;
mod truth_on_map;
mod truth_rules;
mod voices;
mod vouched;
mod window_size;

pub use cascade::CascadeError;
pub use device::Hardware;
pub use findings::{Choice, Findings, MemberChoices, MemberKind, Origin, Warning};
pub use folds::FoldsError;
pub(crate) use folds::fold_of;
pub use gate::GateError;
use images::Probed;
pub use images::{ImageKind, ImagesError, Rejected};
pub use member_names::tags_from_paths;
pub use members_error::MembersError;
pub use memory::PlanMemory;
pub use models::{ModelReadError, read_model};
pub use output_names::OutputNameError;
pub use outputs_hash::outputs_hash;
pub use paths::PathError;
pub use regions::{PlanRegionError, PlannedRegions, RegionForecast};
pub use truth::{PlanTruthError, PlannedTruth};
pub use truth_on_map::georeferences;
pub use voices::MeasureError;

use crate::planning::padded_sizes::is_made_for;
use crate::planning::subset::Sampled;
use marquetry_ensemble::{Labelling, OutputActivation, ScoreSpace};
use marquetry_failure::{Classify, FailureClass};
use marquetry_geometry::{D4, Reading};
use marquetry_imagery::ImageError;
use marquetry_job::{GateModel, Group, Inference, Member, Merge, PLAN_FORMAT, Plan, PlannedImage, TileDtype};
use marquetry_model::Runtime;
use marquetry_raster::read::Limits;
use marquetry_spec::{Concern, Folds, Images, JobSpec, Output, Region, TilesPer};
use marquetry_transport::uri::join;
use marquetry_transport::{FileError, Files};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// Why a job cannot be planned. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The part of the job that is asked for is none.
    #[error("{0}")]
    Subset(String),
    /// The images.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// The members.
    #[error(transparent)]
    Members(#[from] MembersError),
    /// The labels that are right.
    #[error(transparent)]
    Truth(#[from] PlanTruthError),
    /// Which part of images is computed.
    #[error(transparent)]
    Region(#[from] PlanRegionError),
    /// Members in rounds.
    #[error(transparent)]
    Cascade(#[from] CascadeError),
    /// Models that say which classes an image has.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// Which members score which image.
    #[error(transparent)]
    Folds(#[from] FoldsError),
    /// Outputs that no store can hold.
    #[error(transparent)]
    Names(#[from] OutputNameError),
    /// A measure of what members say that would be of nothing.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// A class that no member of an image has a weight for.
    #[error(
        "members: class `{class}` has weight 0 in every member that scores image {image}, or none of them speaks for it \
         (output.classes)"
    )]
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
            )
            | Self::Truth(PlanTruthError::File(error))
            | Self::Region(PlanRegionError::File(error))
            | Self::Folds(FoldsError::File(error)) => Some(error),
            Self::Members(error) => error.file(),
            Self::Gate(error) => error.file(),
            _ => None,
        }
    }

    /// Whether another try could go better.
    pub fn may_pass(&self) -> bool {
        let class = match self {
            Self::Images(ImagesError::Store(error)) => Some(error.class()),
            Self::Truth(error) => Some(error.class()),
            Self::Region(error) => Some(error.class()),
            _ => self.file().map(Classify::class),
        };
        matches!(class, Some(FailureClass::Passing | FailureClass::Worker))
    }
}

/// Hears how planning goes, of which some takes long.
pub trait Watcher: Sync {
    /// The labels that are right are read; no model was looked at yet.
    fn truth(&self, truth: &PlannedTruth);

    /// A model is being tried.
    fn trying(&self, model: &str);
}

/// What models are tried with.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    /// ONNX Runtime.
    pub runtime: &'a Runtime,
    /// The machine, if it is the one that computes: devices are measured then.
    pub hardware: Option<&'a Hardware>,
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
    /// The labels that are right, where the job names any.
    pub truth: Option<Arc<PlannedTruth>>,
    /// The part of each image that is computed, where masks say it.
    pub regions: Option<Arc<PlannedRegions>>,
    /// For each member, by name, the entry of the job's list that names its model.
    pub entries: BTreeMap<String, usize>,
    /// How wide boundaries are where the job does not say it, px.
    boundary_px: Option<u32>,
}

impl Planned {
    /// Fills in what a job's outputs leave to the images, and tells what that is.
    pub fn settle_outputs(&self, spec: &mut JobSpec) -> Option<String> {
        let mut said = None;
        for output in &mut spec.outputs {
            if let (Output::Evaluation(evaluation), Some(px)) = (output, self.boundary_px)
                && evaluation.boundary_px.is_none()
            {
                evaluation.boundary_px = Some(px);
                said = Some(format!(
                    "evaluation: boundaries are {px} px wide (2 % of the diagonal of the middle image with truth, by size); \
                     where images come and go, say boundary_px: {px}: when it changes all images are put together anew, from stored \
                     tiles if they are kept, else computed again"
                ));
            }
        }
        said
    }

    /// Model runs of one window each that the job takes in its first round, those of the gate among them: all of them where it has no
    /// other.
    pub fn first_forwards(&self) -> u64 {
        let first = |image: &PlannedImage| {
            let rule = self.plan.cascade_of(image);
            let groups = rule.map_or(self.plan.inference.groups.len(), |rule| rule.groups as usize);
            let blocks = |group: usize| self.plan.forwards_of_group(image, group);
            (0..groups).map(blocks).sum::<u64>() + self.plan.inference.gate.len() as u64
        };
        self.images.iter().map(first).sum()
    }

    /// Model runs of one window each that the job takes.
    pub fn forwards(&self) -> u64 {
        self.plan.cost(&self.images).forwards
    }
}

/// Plans `spec`, whose relative paths are relative to `base`, a folder or `s3://bucket/prefix/`. What is in `memory` is not
/// looked at again; what is seen is added to it. Without one, images are named by their version, and not by their content,
/// which is then not read: enough to know what a job would be, and not to run it. `watcher` hears how it goes.
///
/// # Errors
/// When images or members cannot be found, or a model is not what the job says. Images that cannot be read are no
/// error: they are set aside.
pub fn plan(
    spec: &JobSpec,
    base: &str,
    files: &Files,
    machine: &Machine<'_>,
    limits: &Limits,
    memory: Option<&PlanMemory>,
    watcher: &(impl Watcher + ?Sized),
) -> Result<Planned, PlanError> {
    let Machine { runtime, hardware } = *machine;
    let (found, left_out) = image_files::find(files, &spec.images.from, base)?;
    let (Sampled { taken: found, others }, sampled) =
        subset::sample(found, &spec.subset).map_err(PlanError::Subset)?;
    let said = output_names::check(spec, base, found.iter().map(|image| image.id.as_str()))?;
    let reading_as = reading(spec);
    let looker = image_facts::ImageLooker::new(files, limits, &reading_as, spec, memory);
    let Probed { mut images, mut rejected, kinds, depths, other_colours } =
        images::probe_images(&looker, found)?;
    // Labels that cannot be used are told before a model is tried.
    let truth = spec.truth.as_ref().filter(|_| !images.is_empty());
    let mut truth = truth
        .map(|truth| truth::read(spec, truth, (files, base), (&mut images, &kinds), limits, memory))
        .transpose()?;
    if let Some(truth) = &truth {
        watcher.truth(truth);
    }
    let regions::Masked { images, rejected: unmasked, mut regions } =
        regions::read(spec, (files, base), images, limits)?;
    rejected.extend(unmasked);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let models = models::Models { files, runtime, memory, cores, hardware };
    let shown = shown::FirstImages::open(files, &images, (&kinds, &depths), limits, &reading_as);
    let others = window_size::Unsampled { others: &others, files, limits, reading: &reading_as };
    let largest = window_size::largest_sides(spec, &images, &others);
    let looked_at = candidate::LookedAt { images: &images, largest, depths: &depths, shown: &shown };
    let members::Members { groups, made_for, entries, mut findings } =
        members::groups(spec, base, &models, looked_at, |name: &str| watcher.trying(name))?;
    let gate = gate::plan(spec, base, &models, looked_at, |name: &str| watcher.trying(name))?;
    drop(shown);
    findings.gate = gate.kinds;
    findings.warnings.extend(gate.warnings);
    findings.notes.extend(gate::never_denied(spec, &gate.models));
    findings.notes.extend(sampled);
    findings.notes.extend(left_out.into_iter().map(|words| format!("images.from: {words}")).chain(said));
    let rounds = cascade::in_rounds(spec, groups)?;
    findings.notes.extend(rounds.notes);
    let plan = assemble(spec, rounds.groups, rounds.first, gate.models);
    let is_for = |place, image: &PlannedImage| is_made_for(&made_for, &plan.inference, place, image);
    let images = match &spec.folds {
        Folds::All if made_for.is_empty() => images,
        Folds::All => {
            let members = plan.inference.members().count() as u32;
            let scored = |image: PlannedImage| {
                let places = (0..members).filter(|place| is_for(*place, &image)).collect();
                image.scored_by(places)
            };
            images.into_iter().map(scored).collect()
        }
        Folds::OutOfFold(how) => {
            let images = match &how.from {
                Some(from) => fold_list::tagged(images, files, &join(base, from))?,
                None => images,
            };
            let (images, unseen) = folds::seen(images, how.tags, &plan.inference, &spec.subset)?;
            findings.notes.extend(unseen);
            let (images, who) = folds::out_of_fold(images, how.tags, &plan.inference, &is_for)?;
            findings.notes.extend(who);
            findings.notes.extend(leaks::not_looked_at(&images));
            let leaks = leaks::told(&images, (files, limits, &reading_as), memory, cores);
            findings.warnings.extend(leaks.map(|text| Warning::new(Concern::Folds, "folds", text)));
            images
        }
    };
    let outlines = images::outlines_told(&kinds).into_iter();
    findings.warnings.extend(outlines.map(|(who, text)| Warning::new(Concern::Outlines, who, text)));
    findings.images = kinds;
    if let Some(truth) = &mut truth {
        findings.notes.append(&mut truth.notes);
        let warnings = truth.warnings.drain(..);
        findings.warnings.extend(warnings.map(|text| Warning::new(Concern::Truth, "truth", text)));
    }
    if let Some(regions) = &mut regions {
        findings.notes.append(&mut regions.notes);
        let warnings = regions.warnings.drain(..);
        findings.warnings.extend(warnings.map(|text| Warning::new(Concern::Region, "region", text)));
    }
    let sides = sides::unsaid_sides(spec).into_iter();
    findings.warnings.extend(sides.map(|text| Warning::new(Concern::Views, "tta.views", text)));
    findings.notes.extend(two_spaces(&plan));
    findings.allow(&spec.allow);
    let (images, unfit) = fitting::fitting(images, &plan.inference, &findings.images, &other_colours);
    rejected.extend(unfit);
    check_weights(&plan, &images)?;
    findings.notes.extend(cascade::check(&plan, &images)?);
    findings.notes.extend(voices::check(spec, &plan, &images)?);
    findings.notes.extend(two_passes(spec, &plan, &images));
    findings.notes.extend(in_sample(spec));
    findings.notes.extend(ties(spec, &plan));
    let boundary_px = truth.is_some().then(|| PlannedTruth::boundary_px(&images));
    let (truth, regions) = (truth.map(Arc::new), regions.map(Arc::new));
    Ok(Planned { plan, images, rejected, findings, truth, regions, entries, boundary_px })
}

/// How the files of `spec` become images.
fn reading(spec: &JobSpec) -> Reading {
    let Images { page, pages, alpha, nodata, .. } = spec.images;
    // What no member looks at makes no pixel a missing one.
    let bands = spec.images.bands.clone().or_else(|| {
        let named = spec.members.iter().map(|member| member.input.bands.clone());
        named.collect::<Option<Vec<_>>>().map(|bands| bands.concat())
    });
    let bands = bands.map(|bands| BTreeSet::from_iter(bands).into_iter().collect());
    Reading { page, pages, alpha, nodata, bands }
}

/// The plan of `spec` for members in `groups`, whose weights are those of the job; the `first` of these look at everything.
fn assemble(spec: &JobSpec, mut groups: Vec<Group>, first: Option<u32>, gate: Vec<GateModel>) -> Plan {
    let classes = spec.class_names();
    let mut weights: Vec<Vec<f32>> =
        groups.iter().flat_map(|g| &g.members).map(|m| m.weights.clone()).collect();
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
    let by_class = weights.iter().any(|weights| weights.windows(2).any(|pair| pair[0] != pair[1]));
    let cascade = cascade::rule(spec, &groups, first, &weights);
    cascade::leave_out_first(spec, cascade.as_ref(), &mut weights);
    let centred = tile_space == ScoreSpace::Logits
        && spec.labelling == Labelling::Multiclass
        && spec.tiles.dtype == TileDtype::F16
        && !by_class;
    let inference = Inference {
        format: PLAN_FORMAT,
        reading: reading(spec),
        labelling: spec.labelling,
        view_merge: spec.tta.merge,
        view_space: spec.tta.space,
        tile_space,
        centred,
        swapped: swapped(spec, classes.len()),
        tile: spec.tiles.dtype,
        block_pixels: (spec.limits.block_bytes() / (4 * classes.len() as u64)).max(1),
        region: spec.region.as_ref().map(Region::rule),
        cascade,
        gate,
        groups,
        classes,
    };
    Plan::new(&spec.name, inference, Merge { space: spec.merge, weights })
}

/// Where classes change places in a symmetry. A job of which one is unsaid was refused.
fn swapped(spec: &JobSpec, classes: usize) -> BTreeMap<D4, Vec<u16>> {
    let order = |d4: D4| spec.tta.swap.order(d4, classes).ok().flatten().map(|order| (d4, order));
    D4::ALL.into_iter().filter_map(order).collect()
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

/// What there is to tell of a job that counts all images before it decides.
fn two_passes(spec: &JobSpec, plan: &Plan, images: &[PlannedImage]) -> Option<String> {
    spec.survey()?;
    let gigabytes = plan.cost(images).tile_bytes as f64 / 1e9;
    Some(format!(
        "outputs: what pseudo_labels or corrected_labels decide hangs on all images, so a first pass counts; tiles of all images stay in \
         the store until the second is done with them, {gigabytes:.1} GB at most before compression"
    ))
}

/// What there is to tell of probabilities that do not share 1 between them: near 1 half precision has steps of 1/2048.
fn ties(spec: &JobSpec, plan: &Plan) -> Option<String> {
    let has_halves =
        spec.tiles.dtype == TileDtype::F16 && plan.inference.tile_space == ScoreSpace::Probabilities;
    let is_exclusive = spec.labelling == Labelling::Multiclass;
    let independent = |member: &&Member| {
        member.applied == OutputActivation::Sigmoid
            && member.signatures.first().is_some_and(|s| s.classes > 1)
    };
    let member = plan.inference.members().find(independent).filter(|_| has_halves && is_exclusive)?;
    Some(format!(
        "tiles.dtype: member {} has a sigmoid for each of its classes, and where two are surer than 0.9995 they tie in f16 and the first \
         wins: f32 tells them apart",
        member.name
    ))
}

/// What there is to tell of labels that are judged by members that may know them.
fn in_sample(spec: &JobSpec) -> Option<String> {
    let judges = |output: &Output| matches!(output, Output::LabelQuality(_) | Output::CorrectedLabels(_));
    let judges = spec.outputs.iter().any(judges);
    (judges && spec.folds == Folds::All).then(|| {
        "labels: all members are asked about all labels; those that were trained on a label believe it, so fewer mistakes \
         are found and more is called wrong that is not: folds: out_of_fold asks those that were not"
            .to_owned()
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
