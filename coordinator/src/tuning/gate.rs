//! From which probability on an image has a class: thresholds of a job's gate, fitted to its truth.

use super::{AT_ONCE, GROUP, TuneError};
use crate::planning::{Planned, outputs_hash};
use futures_util::{StreamExt, TryStreamExt, stream};
use marquetry_aggregator::{GateCounts, ImageResult};
use marquetry_job::{PlannedImage, key};
use marquetry_spec::JobSpec;
use marquetry_transport::{ObjectStore, StoreErrorKind};
use marquetry_tuning::{FittedThreshold, GateProbe, fit_threshold};
use std::collections::HashMap;

/// What came of fitting the threshold of one class.
#[derive(Debug, Clone, PartialEq)]
pub struct TunedGate {
    /// The class's place in the job.
    pub class: usize,
    /// Its name.
    pub name: String,
    /// `None` where no image truly has the class: then its threshold stays.
    pub fitted: Option<FittedThreshold>,
}

/// What the gate says of images, with what is right of them.
#[derive(Debug, Default)]
pub struct GateSample(Vec<(usize, GateCounts)>);

impl GateSample {
    /// Reads what images of `planned` have left, which the job `spec` made in `store`. Empty where it has no gate.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn read(store: &dyn ObjectStore, spec: &JobSpec, planned: &Planned) -> Result<Self, TuneError> {
        if spec.gate.is_none() {
            return Ok(Self::default());
        }
        let outputs = outputs_hash(spec, &planned.plan.merge);
        let read = |image: &PlannedImage| {
            let key = key::part(&planned.plan.job, &outputs, &image.result_name());
            async move {
                match store.get(&key).await {
                    // One that is damaged is made again by the next run.
                    Ok(bytes) => Ok(ImageResult::from_bytes(&bytes).ok()),
                    Err(error) if error.kind == StoreErrorKind::NotFound => Ok(None),
                    Err(error) => Err(TuneError::Store(error)),
                }
            }
        };
        let results: Vec<_> = stream::iter(&planned.images).map(read).buffered(AT_ONCE).try_collect().await?;
        let (mut groups, mut sample) = (HashMap::new(), Vec::new());
        for (image, result) in planned.images.iter().zip(results) {
            let Some(gate) = result.and_then(|result| result.gate).filter(|gate| gate.truth.is_some()) else {
                continue;
            };
            let group =
                image.tags.get(GROUP).map_or_else(|| format!("image {}", image.id), |g| format!("group {g}"));
            let number = groups.len();
            sample.push((*groups.entry(group).or_insert(number), gate));
        }
        Ok(Self(sample))
    }

    /// Fits the threshold of each class of `asked` of which a model speaks.
    pub fn tune(&self, asked: &JobSpec) -> Vec<TunedGate> {
        let probe = |class: usize| {
            self.0.iter().filter_map(move |(group, gate)| {
                let probability = gate.probabilities.get(class).copied().flatten()?;
                let has = gate.truth.as_ref()?.get(class).is_some_and(|pixels| *pixels > 0);
                Some(GateProbe { group: *group, probability, has })
            })
        };
        let each = asked.class_names().into_iter().enumerate().filter_map(|(class, name)| {
            let probes: Vec<GateProbe> = probe(class).collect();
            let is_gated = !probes.is_empty() && Some(class) != asked.decide.background;
            is_gated.then(|| TunedGate { class, name, fitted: fit_threshold(&probes) })
        });
        each.collect()
    }
}

impl TunedGate {
    /// The tuned job with it.
    pub fn apply(&self, job: &mut JobSpec) {
        if let (Some(fitted), Some(gate)) = (&self.fitted, &mut job.gate) {
            gate.thresholds[self.class] = fitted.threshold;
        }
    }

    /// What there is to tell of it, in one line.
    pub fn line(&self) -> String {
        let Some(fitted) = &self.fitted else {
            return format!("gate: `{}`: left as it was: no image truly has it", self.name);
        };
        let share = |n: usize| n as f64 / fitted.has as f64 * 100.0;
        let held_out = fitted.allowed_held_out.map_or_else(
            || "nothing says how it does on other groups".to_owned(),
            |allowed| format!("{:.2} % where it was fitted to other groups", share(allowed)),
        );
        format!(
            "gate: `{}`: threshold {}: allowed in {} of {} images that truly have it ({:.2} %; {held_out}), denied in {} of {} that have not",
            self.name,
            fitted.threshold,
            fitted.allowed,
            fitted.has,
            share(fitted.allowed),
            fitted.denied,
            fitted.has_not
        )
    }
}
