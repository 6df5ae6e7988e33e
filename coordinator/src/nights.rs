//! What this run had, kept beside what earlier ones had.

use crate::report::Finished;
use bytes::Bytes;
use marquetry_aggregator::ImageResult;
use marquetry_aggregator::legend::legend;
use marquetry_failure::{Classify, FailureClass};
use marquetry_job::{hash, key};
use marquetry_nights::{Came, LostImage, Night, NightClass, NightImage, NightMember};
use marquetry_transport::{ObjectStore, StoreError};
use std::collections::{HashMap, HashSet};

/// So much of a night is read for what it says of itself; more where that is not all.
const HEAD_BYTES: u64 = 64 << 10;

/// What a run had, and where that is written.
#[derive(Debug)]
pub struct WrittenNight {
    /// Its key in the store.
    pub key: String,
    /// How many images came to their result in which way.
    pub counts: Vec<(Came, u64)>,
    /// Images that the run before had, and this one has not.
    pub gone: u64,
}

/// Writes what a run had that ended at `at`, and forgets the oldest runs beyond those that the job keeps. `results` are those of
/// the job's images, in its order.
///
/// # Errors
/// When the store is in trouble.
pub async fn write_night(
    store: &dyn ObjectStore,
    finished: &Finished<'_>,
    (results, mean_iou): (&[Option<ImageResult>], Option<f64>),
    at: &str,
) -> Result<WrittenNight, StoreError> {
    let name = &finished.spec.name;
    let kept: Vec<String> = store.list(&key::nights(name)).await?.into_iter().map(|meta| meta.key).collect();
    let before = match kept.last() {
        Some(last) => read(store, last).await?,
        None => None,
    };
    let mut night = night_of(finished, results, at);
    night.mean_iou = mean_iou;
    night.follow(before.as_ref());
    keep(store, night, kept, finished.spec.nights.keep as usize).await
}

/// Writes that a run had what the one before it had, as it found nothing new. Nothing where that is not kept, or of others: then
/// [`write_night`] is to say it.
///
/// # Errors
/// When the store is in trouble.
pub async fn repeat_night(
    store: &dyn ObjectStore,
    finished: &Finished<'_>,
    at: &str,
) -> Result<Option<WrittenNight>, StoreError> {
    let name = &finished.spec.name;
    let kept: Vec<String> = store.list(&key::nights(name)).await?.into_iter().map(|meta| meta.key).collect();
    let Some(last) = kept.last() else { return Ok(None) };
    let Some(before) = read(store, last).await? else { return Ok(None) };
    let is_same = (&before.job, before.outputs.as_str()) == (&finished.plan.job, finished.outputs)
        && before.images.len() == finished.images.len()
        && before.images.iter().zip(finished.images).all(|(then, now)| {
            (&then.id, &then.key, &then.truth, &then.uri) == (&now.id, &now.key, &now.truth, &now.uri)
        });
    if !is_same {
        return Ok(None);
    }
    let mut night = before.again(at);
    // Runs between them need not have been kept.
    night.lost = rejected(finished).collect();
    keep(store, night, kept, finished.spec.nights.keep as usize).await.map(Some)
}

/// Stores a night beside those that are `kept`, of which the oldest are forgotten.
async fn keep(
    store: &dyn ObjectStore,
    night: Night,
    mut kept: Vec<String>,
    most: usize,
) -> Result<WrittenNight, StoreError> {
    let mut own = key::night(&night.name, &night.at);
    // Of two runs that end in one second the later one sorts behind the other.
    for more in 2.. {
        if !kept.contains(&own) {
            break;
        }
        own = key::night(&night.name, &format!("{}_{more}", night.at));
    }
    store.put(&own, Bytes::from(night.to_bytes())).await?;
    kept.push(own.clone());
    forget(store, &night, &kept, most).await?;
    let (counts, gone) = (night.counts.into_iter().collect(), night.gone.len() as u64);
    Ok(WrittenNight { key: own, counts, gone })
}

/// A night that was kept; nothing, with a warning, where its form is not known.
async fn read(store: &dyn ObjectStore, key: &str) -> Result<Option<Night>, StoreError> {
    let bytes = store.get(key).await?;
    let night = Night::from_bytes(&bytes);
    Ok(night.inspect_err(|error| tracing::warn!(%error, key, "an earlier night is not compared with")).ok())
}

fn night_of(finished: &Finished<'_>, results: &[Option<ImageResult>], at: &str) -> Night {
    let (plan, spec) = (finished.plan, finished.spec);
    let mut night = Night::new(&spec.name, at, &plan.job, finished.outputs);
    let colours = legend(spec).map(|legend| legend.colours().to_vec()).unwrap_or_default();
    let class = |(at, name)| NightClass { name, colour: colours.get(at).copied().unwrap_or_default() };
    night.classes = spec.class_names().into_iter().enumerate().map(class).collect();
    night.exclusive = spec.decide.background.is_some();
    night.members = plan
        .inference
        .members()
        .map(|member| (member, member.name.clone()))
        .chain(
            plan.inference.gate.iter().map(|model| (model.member(), format!("gate {}", model.member().name))),
        )
        .map(|(member, name)| {
            let external = member.external.iter().map(|file| file.sha256.as_bytes());
            let all: Vec<&[u8]> = std::iter::once(member.sha256.as_bytes()).chain(external).collect();
            let sha256 = if all.len() == 1 { member.sha256.clone() } else { hash(&all) };
            NightMember { name, sha256 }
        })
        .collect();
    let reasons =
        finished.tally.losses.sample().iter().map(|lost| (lost.image.as_str(), lost.reason.as_str()));
    let reasons: HashMap<&str, &str> = reasons.collect();
    for (image, result) in finished.images.iter().zip(results) {
        let Some(result) = result else {
            let reason = reasons.get(image.id.as_str()).copied().unwrap_or("it was given up").to_owned();
            night.lost.push(LostImage { id: image.id.clone(), reason });
            continue;
        };
        night.images.push(NightImage {
            id: image.id.clone(),
            uri: image.uri.clone(),
            key: image.key.clone(),
            truth: image.truth.clone(),
            came: Came::New,
            since: at.to_owned(),
            class_pixels: result.class_pixels.clone(),
            missing_pixels: result.missing_pixels,
            confidence: result.confidence,
        });
    }
    night.lost.extend(rejected(finished));
    night
}

/// Images that could not be used.
fn rejected<'a>(finished: &Finished<'a>) -> impl Iterator<Item = LostImage> + use<'a> {
    finished.rejected.iter().map(|image| LostImage { id: image.id.clone(), reason: image.reason.clone() })
}

/// Forgets the oldest nights beyond `most`, and the labels that no other one has. `kept` are all nights, in order.
async fn forget(
    store: &dyn ObjectStore,
    night: &Night,
    kept: &[String],
    most: usize,
) -> Result<(), StoreError> {
    let own: HashSet<String> = night.images.iter().map(|image| night.labels_key(image)).collect();
    let count = kept.len().saturating_sub(most).min(kept.len() - 1);
    for (at, pair) in kept.windows(2).enumerate().take(count) {
        // What the next night replaced only nights before it had, and those after it that have it again.
        let replaced = head(store, &pair[1]).await?.map(|next| next.replaced).unwrap_or_default();
        let mut old: HashSet<String> = replaced.into_iter().filter(|key| !own.contains(key)).collect();
        for later in &kept[at + 2..] {
            if old.is_empty() {
                break;
            }
            let added = head(store, later).await?.map(|later| later.added).unwrap_or_default();
            let added: HashSet<String> = added.into_iter().collect();
            old.retain(|key| !added.contains(key));
        }
        let mut old: Vec<String> = old.into_iter().collect();
        old.sort_unstable();
        old.push(pair[0].clone());
        match store.delete_many(&old).await {
            Err(error) if error.class() == FailureClass::Config => {
                tracing::warn!(%error, "nights beyond those that the job keeps are left behind");
                return Ok(());
            }
            deleted => deleted?,
        }
    }
    Ok(())
}

/// What a night says of itself but for its images, which are most of it; nothing where its form is not known.
async fn head(store: &dyn ObjectStore, key: &str) -> Result<Option<Night>, StoreError> {
    let all = store.head(key).await?.size_bytes;
    let mut wanted = HEAD_BYTES.min(all);
    loop {
        let bytes = store.get_range(key, 0..wanted).await?;
        match Night::head_in(&bytes) {
            Some(head) => return Ok(head.ok()),
            None if wanted == all => return Ok(None),
            None => wanted = (wanted * 8).min(all),
        }
    }
}
