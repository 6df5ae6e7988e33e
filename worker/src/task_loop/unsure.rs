//! The pixels that the members of the first round are unsure of: found in their tiles, for the others.

use super::compute::blocking;
use super::region::{known_part, store_part};
use super::{Done, KIB, Worker};
use crate::Failure;
use crate::context::PlanContext;
use crate::image::OpenImage;
use marquetry_job::{ImageRegion, StageSeconds, TaskMessage, key};
use marquetry_region::{Finding, Region};
use marquetry_scores::{TileSource, UnreadParts, unsure_part};
use marquetry_transport::ObjectStore;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;

/// Bytes of scores that are looked at together, in KiB.
const BAND_KIB: u32 = 16 << 10;

impl Worker {
    /// The part of an image at which the first round is unsure: the one that is stored, or, where there is none that can be used,
    /// the same found again.
    pub(super) async fn unsure_of(
        &self,
        message: &TaskMessage,
        context: &PlanContext,
        image: &Arc<OpenImage>,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<Arc<Region>, Failure> {
        let planned = &message.image;
        let key = key::unsure(&message.run.job, &planned.key);
        let reason = match known_part(image, planned.size, (&key, &planned.key), &**store).await? {
            Ok(region) => return Ok(region),
            Err(reason) => reason,
        };
        tracing::warn!(image = planned.id, "looking for its unsure pixels again: {reason}");
        self.find_unsure(message, context, image, store).await?;
        image.region(&key).ok_or_else(|| Failure::bug("unsure pixels that were found are not known"))
    }

    /// The task that finds and stores the part of an image at which the first round is unsure.
    pub(super) async fn do_unsure(
        &self,
        message: &TaskMessage,
        context: &PlanContext,
        image: &Arc<OpenImage>,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<Done, Failure> {
        let share = BAND_KIB.min(self.canvas_kib).max(1);
        let permit = self.canvases.acquire_many(share).await.map_err(|e| Failure::passing(e.to_string()))?;
        let done = self.find_unsure(message, context, image, store).await;
        drop(permit);
        done
    }

    /// Finds and stores the part of an image at which the first round is unsure. It asks for no room of canvases: a block that looks
    /// for it has some already, and those who wait for more of what they hold themselves wait for ever.
    async fn find_unsure(
        &self,
        message: &TaskMessage,
        context: &PlanContext,
        image: &Arc<OpenImage>,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<Done, Failure> {
        let started = Instant::now();
        let no_rounds = || Failure::reject(format!("job {} has one round", message.run.job));
        let plan = context.in_rounds.clone().ok_or_else(no_rounds)?;
        let region = match context.inference.region {
            Some(rule) => Some(self.region_of(message, image, rule, &**store).await?),
            None => None,
        };
        let source = TileSource {
            store: Arc::clone(store),
            runtime: Handle::current(),
            may_miss: false,
            unread: UnreadParts::default(),
            known: Arc::default(),
        };
        let planned = message.image.clone();
        let work = move || {
            let rule = plan.inference.cascade.as_ref().ok_or_else(|| Failure::bug("a plan of one round"))?;
            let band_bytes = u64::from(BAND_KIB) * KIB;
            let found = unsure_part(&source, (&plan, rule), &planned, region.as_deref(), band_bytes)?;
            Ok::<_, Failure>(found)
        };
        let region = blocking(work).await??;
        let found = ImageRegion { region, finding: Finding::Bounded };
        let (name, key) = (&message.image.key, key::unsure(&message.run.job, &message.image.key));
        let stored_bytes = store_part(image, found, (&key, name), &**store).await?;
        let seconds = StageSeconds { read: started.elapsed().as_secs_f64(), ..StageSeconds::default() };
        Ok(Done { stored_bytes, forwards: 0, seconds })
    }
}
