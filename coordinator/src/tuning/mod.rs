//! `marquetry tune`: a job that draws probes, the sample that they are, and the job with what was fitted.

mod candidates;
mod cascade;
mod gate;
mod tuned_job;

pub use candidates::TuneCandidate;
pub(crate) use candidates::candidates;
pub use cascade::{TunedCascade, tune_cascade};
pub use gate::{GateSample, TunedGate};
pub use tuned_job::tuned_job;

use crate::forward_cost::forward_cost;
use crate::planning::Planned;
use futures_util::{StreamExt, TryStreamExt, stream};
use marquetry_aggregator::probes_file;
use marquetry_ensemble::{Rule, ScoreSpace};
use marquetry_job::{Plan, PlannedImage, key};
use marquetry_spec::{JobSpec, Output, Probes, TilesPer};
use marquetry_transport::{ObjectStore, StoreError};
use marquetry_tuning::{ImageProbes, ProbeFileError, Sample, SampleError, Space, probes_from_bytes};
use std::collections::HashMap;

/// Probes that are read side by side.
const AT_ONCE: usize = 16;
/// Most and fewest probes of an image.
const PER_IMAGE: [u64; 2] = [64, 4096];

/// Why a job cannot be tuned.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// The job says something that cannot be tuned.
    #[error("{0}")]
    Job(String),
    /// The store is away.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of probes is not what was stored.
    #[error("{key} in the job's store: {source}; delete it and run the command again")]
    Probes {
        /// Where it lies.
        key: String,
        /// What is wrong.
        source: ProbeFileError,
    },
    /// Probes of another job.
    #[error(transparent)]
    Sample(#[from] SampleError),
}

/// The job that draws probes for `spec`: itself where it has that output, else its images and members, tiles of each member, and
/// one output; and what there is to tell. What is decided and written has no part in it then.
///
/// # Errors
/// When the job's classes share pixels, its decision is no argmax, or it has no truth.
pub fn probing_job(spec: &JobSpec) -> Result<(JobSpec, Option<String>), TuneError> {
    let told = match spec.decide.rule {
        Rule::Argmax | Rule::Factors(_) => two_spaces(spec),
        Rule::Threshold(_) | Rule::Triplet(_) => {
            let words = "decide: tune fits factors for rule: argmax, and this job decides by thresholds; take `rule`, `thresholds` \
                         and `triplet` out (of two classes a factor f on one is a threshold of 1 / (1 + f))";
            return Err(TuneError::Job(words.to_owned()));
        }
    };
    if spec.truth.is_none() {
        return Err(TuneError::Job(
            "truth: the job says nothing of labels that are right, to which it is tuned; name them"
                .to_owned(),
        ));
    }
    if spec.outputs.iter().any(|output| matches!(output, Output::Probes(_))) {
        // What a cluster has drawn is found.
        return Ok((spec.clone(), told));
    }
    if spec.cascade.as_ref().is_some_and(|cascade| !cascade.joins) {
        let words = "cascade: tune weighs all members together, and with joins: false those of the first round only say where the others \
                     look: tune the others in a job of their own, without a cascade";
        return Err(TuneError::Job(words.to_owned()));
    }
    let mut probing = spec.clone();
    // All members look at every probe.
    probing.cascade = None;
    probing.outputs = vec![Output::Probes(Probes { per_image: PER_IMAGE[0] as u32 })];
    // What a gate says hangs on no threshold, and what members say hangs on no gate.
    probing.gate.iter_mut().flat_map(|gate| &mut gate.thresholds).for_each(|threshold| *threshold = 0.0);
    probing.decide.rule = Rule::Argmax;
    probing.tiles.per = TilesPer::Member;
    probing.nights.keep = 0;
    // What it says must still be a job: classes that share pixels, and sums of views, are refused in the words of job files.
    let refused = |errors: &dyn std::fmt::Display| {
        TuneError::Job(format!("tune asks what each member says, and this job cannot have that: {errors}"))
    };
    let probing = JobSpec::parse(&probing.to_yaml()).map_err(|errors| refused(&errors))?;
    Ok((probing, told))
}

/// How many probes of each image of `planned` come to `bytes` at most.
pub fn probes_per_image(planned: &Planned, bytes: u64) -> u32 {
    let members = |image: &PlannedImage| scoring(&planned.plan, image).len() as u64;
    let most = planned.images.iter().map(members).max().unwrap_or(1).max(1);
    let each = most * planned.plan.inference.classes.len() as u64 * 2 + 16;
    let per_image = bytes / each / (planned.images.len() as u64).max(1);
    // Steps of two, so that a few images more do not draw all anew.
    (1_u64 << per_image.max(1).ilog2()).clamp(PER_IMAGE[0], PER_IMAGE[1]) as u32
}

/// The members that have a say in `image`: places among all members of the plan, in the order in which rows have them.
fn scoring(plan: &Plan, image: &PlannedImage) -> Vec<usize> {
    let all = 0..plan.inference.members().count();
    all.filter(|place| image.is_scored_by(*place) && !plan.voice(*place).is_silent()).collect()
}

/// What the probes of a finished job are.
#[derive(Debug)]
pub struct Probed {
    /// The probes of its images.
    pub sample: Sample,
    /// What is weighed, as the sample counts it.
    pub candidates: Vec<TuneCandidate>,
    /// The job's own space.
    pub space: Space,
    /// Logarithms of the job's own class factors, `[C]`.
    pub ln_factors: Vec<f32>,
    /// What each candidate weighs in the job: its first member.
    pub weights: Vec<f32>,
    /// What running each candidate takes beside others: an estimate, of which the unit means nothing (`ForwardCost::work`).
    pub costs: Vec<f64>,
    /// Images of which there are no probes: given up, or nothing of their truth is a class.
    pub without: Vec<String>,
}

/// Reads the probes of all images of `planned`, which `spec` drew into `store` for the job `asked`.
///
/// # Errors
/// When a member weighs differently by class, the store is away, or a file in it is damaged.
pub async fn read_probes(
    store: &dyn ObjectStore,
    (asked, spec): (&JobSpec, &JobSpec),
    planned: &Planned,
) -> Result<Probed, TuneError> {
    let Planned { plan, images, .. } = planned;
    let candidates = candidates(spec, plan, &planned.entries);
    let mut candidate_of = HashMap::new();
    for (n, candidate) in candidates.iter().enumerate() {
        candidate_of.extend(candidate.members.iter().map(|member| (*member, n)));
    }
    let weights = weights(plan)?;
    let read = |image: &PlannedImage| {
        let place = probes_file(spec, &image.id).unwrap_or_default();
        let key = key::out(&plan.job, &place);
        async move {
            match store.get(&key).await {
                Ok(bytes) => {
                    let probes = probes_from_bytes(&bytes);
                    probes.map(Some).map_err(|source| TuneError::Probes { key, source })
                }
                Err(error) if error.kind == marquetry_transport::StoreErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            }
        }
    };
    let probes: Vec<_> = stream::iter(images).map(read).buffered(AT_ONCE).try_collect().await?;
    let (mut groups, mut sampled, mut without) = (HashMap::new(), Vec::new(), Vec::new());
    for (image, probes) in images.iter().zip(probes) {
        let Some(probes) = probes.filter(|probes| !probes.truth.is_empty()) else {
            without.push(image.id.clone());
            continue;
        };
        let group = image
            .tags
            .get(GROUP)
            .map_or_else(|| format!("image {}", image.id), |group| format!("group {group}"));
        let number = groups.len();
        let group = *groups.entry(group).or_insert(number);
        let members = scoring(plan, image).into_iter().map(|member| (candidate_of[&member], weights[member]));
        sampled.push(ImageProbes { group, probes, members: members.collect() });
    }
    // Where tiles hold probabilities, a run takes logits of these.
    let least = if plan.inference.tile_space == ScoreSpace::Probabilities { LEAST } else { 0.0 };
    let sample = Sample::new(plan.inference.classes.len(), candidates.len(), sampled, least)?;
    let space = match plan.merge.space {
        ScoreSpace::Probabilities => Space::Probabilities,
        ScoreSpace::Logits => Space::Logits,
    };
    let weights = candidates.iter().map(|candidate| weights[candidate.members[0]]).collect();
    let costs = candidates.iter().map(|candidate| forward_cost(planned, &candidate.members).work).collect();
    Ok(Probed { sample, candidates, space, ln_factors: ln_factors(asked), weights, costs, without })
}

/// Logarithms of the class factors of a job, `[C]`.
fn ln_factors(spec: &JobSpec) -> Vec<f32> {
    match &spec.decide.rule {
        Rule::Factors(factors) => factors.iter().map(|factor| factor.ln()).collect(),
        Rule::Argmax | Rule::Threshold(_) | Rule::Triplet(_) => vec![0.0; spec.classes.len()],
    }
}

/// What there is to tell where windows and members are merged in different spaces.
fn two_spaces(spec: &JobSpec) -> Option<String> {
    (spec.tiles.per == TilesPer::Group && spec.merge != spec.tta.space).then(|| {
        "tiles: what is compared with is this job with tiles: {per: member}, which merges windows in tta.space and members in \
         merge.space; the tuned job has that too"
            .to_owned()
    })
}

/// The least probability of which a run takes the logarithm.
const LEAST: f32 = 1e-6;

/// The column of the list of images that says what belongs together.
const GROUP: &str = "group";

/// What each member weighs.
fn weights(plan: &Plan) -> Result<Vec<f32>, TuneError> {
    let of = |place: usize| {
        let (voice, weights) = (plan.voice(place), &plan.merge.weights[place]);
        if voice.is_silent() || (voice.is_whole() && weights.windows(2).all(|pair| pair[0] == pair[1])) {
            return Ok(weights[0]);
        }
        let name = plan.inference.members().nth(place).map_or("", |member| member.name.as_str());
        Err(TuneError::Job(format!(
            "member {name} weighs differently by class, or speaks of some classes only; tune weighs members that speak of all \
             classes alike: take such members out, or tune the others in a job of their own"
        )))
    };
    (0..plan.merge.weights.len()).map(of).collect()
}
