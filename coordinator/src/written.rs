//! What was written of all images together: a run that finds nothing new does not write it again.

use crate::cascade_summary::CascadeSummary;
use crate::gate_summary::GateSummary;
use crate::region_summary::RegionSummary;
use crate::report::Finished;
use bytes::Bytes;
use marquetry_job::{hash, key};
use marquetry_spec::Output;
use marquetry_transport::{ObjectStore, StoreError, StoreErrorKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counted up whenever tables, evaluations or the report are written otherwise.
const FORMAT: u32 = 2;

/// What there is to tell of what was made of all images together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WrittenTogether {
    /// Sentences for the user.
    pub notes: Vec<String>,
    /// How much outputs of pseudo-labels keep, for machines; null where there are none.
    pub pseudo_labels: serde_json::Value,
    /// The mean IoU of the evaluation, if there is one.
    pub mean_iou: Option<f64>,
    /// What regions left of the images, where the job has one.
    #[serde(default)]
    pub region: Option<RegionSummary>,
    /// What the gate came to, where the job has one.
    #[serde(default)]
    pub gate: Option<GateSummary>,
    /// What rounds came to, where the job has them.
    #[serde(default)]
    pub cascade: Option<CascadeSummary>,
}

/// What was written, and of what.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Mark {
    of: String,
    told: WrittenTogether,
    /// The files, by their places, as they were written: whoever else has written one since was late.
    #[serde(default)]
    files: BTreeMap<String, String>,
}

/// Names all that what is made of all images together hangs on; `samples` names the content of sample submissions. `None`
/// where something is missing: a later run is to look again.
pub fn written_of(finished: &Finished<'_>, samples: &str) -> Option<String> {
    if !finished.tally.losses.is_empty() {
        return None;
    }
    let truth = finished.truth.map(|truth| {
        let (from, census, _) = &truth.found;
        (from, census, &truth.labels, &truth.images_alone, &truth.labels_alone, &truth.notes, &truth.warnings)
    });
    let rejected: Vec<_> =
        finished.rejected.iter().map(|image| (&image.id, &image.uri, &image.reason)).collect();
    let what = (FORMAT, finished.outputs, samples, finished.images, rejected, finished.findings, truth);
    let what = serde_json::to_vec(&what).ok()?;
    Some(hash(&[&what, format!("{:?}", finished.asked.outputs).as_bytes()]))
}

/// What there was to tell when what is named `of` was written, if that was the last that was written, its files are there and no
/// image was made anew since.
///
/// # Errors
/// When the store is away.
pub async fn already_written(
    store: &dyn ObjectStore,
    finished: &Finished<'_>,
    of: &str,
) -> Result<Option<WrittenTogether>, StoreError> {
    let job = &finished.plan.job;
    if finished.tally.images_found < finished.images.len() as u64 {
        return Ok(None);
    }
    let stored = match store.get(&key::written(job)).await {
        Err(error) if error.kind == StoreErrorKind::NotFound => return Ok(None),
        stored => stored?,
    };
    let Some(mark) = serde_json::from_slice::<Mark>(&stored).ok().filter(|mark| mark.of == of) else {
        return Ok(None);
    };
    let files = files(store, finished).await?;
    Ok(files.filter(|files| *files == mark.files).map(|_| mark.told))
}

/// The files of all images together, and what tells whether one was written since; nothing if one is not there.
async fn files(
    store: &dyn ObjectStore,
    finished: &Finished<'_>,
) -> Result<Option<BTreeMap<String, String>>, StoreError> {
    let job = &finished.plan.job;
    let places = finished.spec.outputs.iter().flat_map(Output::places).filter(|place| !place.contains('*'));
    let mut files = BTreeMap::new();
    // A list writes what waits to be written, of which nothing is told before; this one is short.
    store.list(&key::all_plans(job)).await?;
    for place in places {
        let found = match store.head(&key::out(job, &place)).await {
            Err(error) if error.kind == StoreErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        files.insert(place, found.stamp.unwrap_or_default());
    }
    Ok(Some(files))
}

/// Says that nothing can be relied on until [`note_written`]: files are about to be written.
///
/// # Errors
/// When the store is away.
pub async fn begin_writing(store: &dyn ObjectStore, finished: &Finished<'_>) -> Result<(), StoreError> {
    put_mark(store, finished, &Mark::default()).await
}

/// Says that all of what is named `of` is written.
///
/// # Errors
/// When the store is away.
pub async fn note_written(
    store: &dyn ObjectStore,
    finished: &Finished<'_>,
    of: &str,
    told: &WrittenTogether,
) -> Result<(), StoreError> {
    let files = files(store, finished).await?.unwrap_or_default();
    put_mark(store, finished, &Mark { of: of.to_owned(), told: told.clone(), files }).await
}

async fn put_mark(store: &dyn ObjectStore, finished: &Finished<'_>, mark: &Mark) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(mark).unwrap_or_default();
    store.put(&key::written(&finished.plan.job), Bytes::from(bytes)).await
}
