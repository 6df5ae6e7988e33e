//! Aggregators that follow a script, and what they leave in the store.

use super::cluster::Cluster;
use super::plans::{JobOf, blocks_of, file_of, key_of, object_of};
use super::protocol::{self, announce, image_begun, image_damaged, image_done};
use super::worker::{counts, describe, read_plan};
use marquetry_aggregator::{ImageResult, expected};
use marquetry_job::{AggregateMessage, Event, ImageTasks, Plan, PlannedImage, TaskKind, key};
use marquetry_spec::JobSpec;
use marquetry_transport::{ObjectStore, TaskQueue, Topic};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What an aggregator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// What it should.
    Well,
    /// Goes away after so many images, with one more that is stored and not announced.
    UntilItDies(u32),
    /// What it should, but tiles are left behind.
    LeavingTiles,
}

pub(crate) struct Aggregator {
    pub(crate) name: String,
    pub(crate) made: Made,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) process: u64,
}

impl Aggregator {
    /// Works until the queue is closed, or its script ends.
    pub(crate) async fn run(self) {
        let queue = Arc::clone(&self.cluster.queue);
        let Ok(mut subscription) = queue.subscribe(Topic::Aggregate, "aggregators").await else { return };
        let mut images = 0;
        while let Ok(delivery) = subscription.receive().await {
            let Some(wanted) = protocol::aggregate(&delivery.payload) else { continue };
            if self.is_killed_by(&wanted).await {
                return;
            }
            if let Some((plan, event)) = self.work_on(&wanted).await {
                images += 1;
                if matches!(self.made, Made::UntilItDies(after) if images > after) {
                    return;
                }
                self.cluster.journal.note(&self.name, format!("says {}", describe(&event)));
                let whole = matches!(event, Event::Image { partial: false, .. });
                announce(&*self.cluster.queue, &wanted.run, &self.name, event).await;
                if whole && self.made != Made::LeavingTiles {
                    self.delete_objects(&plan, &wanted.image).await;
                }
            }
            let _ = subscription.acknowledge(delivery.token).await;
        }
    }

    /// Says that it begins with an image, if its run counts; some end it.
    async fn is_killed_by(&self, wanted: &AggregateMessage) -> bool {
        if !counts(&*self.store, &wanted.run).await {
            return false;
        }
        let begun = image_begun(&wanted.image.key, wanted.attempt, self.process);
        announce(&*self.cluster.queue, &wanted.run, &self.name, begun).await;
        let is_deadly = self.cluster.is_deadly_image(&wanted.image.id);
        if is_deadly {
            self.cluster.journal.note(&self.name, format!("is killed by image {}", wanted.image.id));
        }
        is_deadly
    }

    /// What comes of an image; nothing when its run does not count, or the store is away.
    async fn work_on(&self, wanted: &AggregateMessage) -> Option<(Arc<Plan>, Event)> {
        if !counts(&*self.store, &wanted.run).await {
            return None;
        }
        let (plan, image) = (read_plan(&*self.store, &wanted.run, &wanted.plan).await?, &wanted.image);
        let spec = self.store.get(&key::spec(&plan.job, &wanted.outputs)).await.ok()?;
        let spec = JobSpec::parse(std::str::from_utf8(&spec).ok()?).ok()?;
        let (part, gaps) = (
            key::part(&plan.job, &wanted.outputs, &image.key),
            key::gaps(&plan.job, &wanted.outputs, &image.key),
        );
        let whole = self.store.head(&part).await.is_ok() && self.store.head(&gaps).await.is_err();
        if !whole {
            let missing = match self.missing(&plan, image, wanted.partial).await {
                Ok(missing) => missing,
                Err(tile) => return Some((plan, image_damaged(&image.key, wanted.attempt, tile))),
            };
            tokio::time::sleep(Duration::from_millis(fastrand::u64(5..50))).await;
            if !counts(&*self.store, &wanted.run).await {
                return None;
            }
            for file in expected(&spec, &image.id, false) {
                let text = file_of(&plan, image, &missing);
                self.store.put(&key::out(&plan.job, &file), text.into()).await.ok()?;
            }
            if wanted.partial {
                self.store.put(&gaps, bytes::Bytes::new()).await.ok()?;
            }
            self.store.put(&part, ImageResult::new(&image.id).to_bytes().into()).await.ok()?;
            if !wanted.partial && self.store.head(&gaps).await.is_ok() {
                self.store.delete(&gaps).await.ok()?;
            }
        }
        Some((Arc::clone(&plan), image_done(&image.key, wanted.partial && !whole)))
    }

    /// Blocks whose tiles are not there; the first of them, or the gate, is an error where none may be missing, and so is one that is
    /// not the tile it should be.
    async fn missing(
        &self,
        plan: &Plan,
        image: &PlannedImage,
        partial: bool,
    ) -> Result<BTreeSet<TaskKind>, TaskKind> {
        let mut missing = BTreeSet::new();
        if plan.wants_gate() {
            let gate = self.store.get(&key_of(plan, image, TaskKind::Gate)).await.ok();
            if gate != object_of(plan, image, TaskKind::Gate) {
                return Err(TaskKind::Gate);
            }
        }
        for task in blocks_of(plan, image) {
            match self.store.get(&key_of(plan, image, task)).await {
                Ok(tile) if Some(&tile) == object_of(plan, image, task).as_ref() => {}
                Err(_) if partial => drop(missing.insert(task)),
                _ => return Err(task),
            }
        }
        Ok(missing)
    }

    async fn delete_objects(&self, plan: &Plan, image: &PlannedImage) {
        for task in ImageTasks::new(plan, image).iter() {
            // What is left behind is the coordinator's to clear away.
            let _ = self.store.delete(&key_of(plan, image, task)).await;
        }
    }
}

/// What is wrong with what is stored of `image`, of which exactly the tiles of `lost` may be missing.
pub(crate) async fn check_image(
    store: &dyn ObjectStore,
    job: &JobOf,
    image: &PlannedImage,
    lost: &BTreeSet<TaskKind>,
) -> Result<(), String> {
    let (plan, id) = (&job.plan, &image.id);
    let part = store.get(&key::part(&plan.job, &job.outputs, &image.key)).await;
    let part = part.map_err(|_| format!("image {id} has no result"))?;
    let result = ImageResult::from_bytes(&part).map_err(|error| error.to_string())?;
    if result.image_id != *id {
        return Err(format!("the result of image {id} is that of {}", result.image_id));
    }
    let gaps = store.head(&key::gaps(&plan.job, &job.outputs, &image.key)).await.is_ok();
    if gaps == lost.is_empty() {
        return Err(format!("image {id} has lost {lost:?}, but gaps are noted: {gaps}"));
    }
    for file in expected(&job.spec, id, false) {
        let stored = store.get(&key::out(&plan.job, &file)).await;
        let stored = stored.map_err(|_| format!("image {id} has no {file}"))?;
        let wanted = file_of(plan, image, lost);
        if stored != wanted.as_bytes() {
            let stored = String::from_utf8_lossy(&stored);
            return Err(format!("{file} was made of\n{stored}and should be made of\n{wanted}"));
        }
    }
    Ok(())
}
