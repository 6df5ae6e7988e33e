//! The part of an image that is computed: found, fetched, and what it leaves of a block.

use super::compute::blocking;
use super::{Done, Worker};
use crate::Failure;
use crate::image::OpenImage;
use bytes::Bytes;
use marquetry_failure::{FailureClass, chain};
use marquetry_geometry::Rect;
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
        if let Some(known) = image.region(&key) {
            return Ok(known);
        }
        let reason = match store.get(&key).await {
            Ok(bytes) => match ImageRegion::from_bytes(&bytes, planned.content_key(), planned.size) {
                Ok(found) => return Ok(image.set_region(&key, found.region)),
                Err(error) => chain(&error),
            },
            Err(error) if error.kind == StoreErrorKind::NotFound => "it is not in the store".to_owned(),
            Err(error) => return Err(error.into()),
        };
        if !rule.is_task() {
            let reason = format!(
                "the region of image {} ({key}) cannot be used: {reason}; delete it if it is there, and run the job again",
                planned.id
            );
            return Err(Failure::reject(reason));
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
        let found = ImageRegion { region, finding };
        let bytes = found.to_bytes(message.image.content_key());
        let bytes = Bytes::from(bytes.map_err(|error| Failure::new(FailureClass::Worker, chain(&error)))?);
        let stored_bytes = bytes.len() as u64;
        let key = key::region(&message.run.job, message.image.content_key());
        store.put(&key, bytes).await?;
        image.set_region(&key, found.region);
        let seconds = StageSeconds { read, ..StageSeconds::default() };
        Ok(Done { stored_bytes, forwards: 0, seconds })
    }
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
