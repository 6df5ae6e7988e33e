//! The part of an image that is computed: found, fetched, and what it leaves of a block.

use super::compute::blocking;
use super::{Done, Worker};
use crate::Failure;
use crate::image::OpenImage;
use bytes::Bytes;
use marquetry_failure::{FailureClass, chain};
use marquetry_geometry::{Rect, Size};
use marquetry_job::tile::MissingPixels;
use marquetry_job::{ImageRegion, RegionRule, StageSeconds, TaskMessage, UnreadPart, key};
use marquetry_region::Region;
use marquetry_transport::{ObjectStore, StoreErrorKind};
use std::sync::Arc;
use std::time::Instant;

impl Worker {
    /// The region of an image: the one that is stored, or, where there is none that can be used and the image itself tells it,
    /// the same found again.
    pub(super) async fn region_of(
        &self,
        message: &TaskMessage,
        image: &Arc<OpenImage>,
        rule: RegionRule,
        store: &dyn ObjectStore,
    ) -> Result<Arc<Region>, Failure> {
        let planned = &message.image;
        let key = key::region(&message.run.job, planned.content_key());
        let reason = match known_part(image, planned.size, (&key, planned.content_key()), store).await? {
            Ok(region) => return Ok(region),
            Err(reason) => reason,
        };
        if !rule.is_task() {
            // The coordinator stores it again.
            let reason = format!("the region of image {} ({key}) cannot be used: {reason}", planned.id);
            return Err(Failure::passing(reason));
        }
        tracing::warn!(image = planned.id, "looking for its region again: {reason}");
        self.find_region(message, image, rule, store).await?;
        image.region(&key).ok_or_else(|| Failure::bug("a region that was found is not known"))
    }

    /// Finds and stores the region of an image.
    pub(super) async fn find_region(
        &self,
        message: &TaskMessage,
        image: &Arc<OpenImage>,
        rule: RegionRule,
        store: &dyn ObjectStore,
    ) -> Result<Done, Failure> {
        let started = Instant::now();
        let opened = Arc::clone(image);
        let found = blocking(move || marquetry_imagery::nonblank(&opened.image, rule.margin_px()));
        let (region, finding) = found.await??;
        self.check(message).await?;
        let read = started.elapsed().as_secs_f64();
        let name = message.image.content_key();
        let key = key::region(&message.run.job, name);
        let stored_bytes = store_part(image, ImageRegion { region, finding }, (&key, name), store).await?;
        let seconds = StageSeconds { read, ..StageSeconds::default() };
        Ok(Done { stored_bytes, forwards: 0, seconds })
    }
}

/// The part of an image of `size` px that is stored under `key` for what is called `name`; or why it cannot be used.
pub(super) async fn known_part(
    image: &OpenImage,
    size: Size,
    (key, name): (&str, &str),
    store: &dyn ObjectStore,
) -> Result<Result<Arc<Region>, String>, Failure> {
    if let Some(known) = image.region(key) {
        return Ok(Ok(known));
    }
    match store.get(key).await {
        Ok(bytes) => {
            let found = ImageRegion::from_bytes(&bytes, name, size);
            Ok(found.map(|found| image.set_region(key, found.region)).map_err(|error| chain(&error)))
        }
        Err(error) if error.kind == StoreErrorKind::NotFound => Ok(Err("it is not in the store".to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// Stores a part of an image under `key` for what is called `name`, and makes it known to all tasks of the image: its bytes.
pub(super) async fn store_part(
    image: &OpenImage,
    found: ImageRegion,
    (key, name): (&str, &str),
    store: &dyn ObjectStore,
) -> Result<u64, Failure> {
    let bytes = found.to_bytes(name).map_err(|error| Failure::new(FailureClass::Worker, chain(&error)))?;
    let stored_bytes = bytes.len() as u64;
    store.put(key, Bytes::from(bytes)).await?;
    image.set_region(key, found.region);
    Ok(stored_bytes)
}

/// Which pixels of `part` of an image are missing, and what of its file cannot be read there.
///
/// Outside of `region` a strip that is damaged is known only where something else was read of it, so it tells nothing there:
/// tiles do not hang on what else a worker has done. What a file says of pixels that it does not have holds everywhere.
pub(super) fn missing(
    image: &OpenImage,
    part: Rect,
    region: Option<&Region>,
) -> Result<(Option<MissingPixels>, Vec<UnreadPart>), Failure> {
    let Some(region) = region.filter(|_| !image.image.may_miss()) else {
        return Ok((image.missing(part, None)?, image.unread(part)));
    };
    let is_inside = |unread: &UnreadPart| region.touches(unread.rect.intersect(part));
    let mut unread = image.unread(part);
    unread.retain(is_inside);
    let missing = if unread.is_empty() { None } else { image.missing(part, Some(region))? };
    Ok((missing, unread))
}
