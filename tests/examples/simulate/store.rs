//! What workers and aggregators ask of the store, without anything that is computed.

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use marquetry_job::{AggregateMessage, ImageTasks, Plan, TaskKind, TaskMessage, key};
use marquetry_telemetry::Metrics;
use marquetry_transport::{CachedObject, Content, ObjectStore, S3, StoreErrorKind, Stores};
use std::sync::Arc;
use std::time::Duration;

/// Tiles of an image that are read side by side.
const AT_ONCE: usize = 16;

/// The store, as workers and aggregators touch it.
pub(crate) struct Touched {
    stores: Stores,
    runs: CachedObject,
    plan: Plan,
    tile: Bytes,
}

impl Touched {
    /// With tiles of so many bytes; without any, nothing is touched.
    pub(crate) fn new(s3: S3, tile_bytes: usize) -> Self {
        // Such as compressing does not shorten.
        let tile: Vec<u8> = (0..tile_bytes).map(|_| fastrand::u8(..)).collect();
        let runs = CachedObject::new(Duration::from_secs(1), Duration::from_secs(15));
        Self { stores: Stores::new(s3, Metrics::new()), runs, plan: super::plan(), tile: tile.into() }
    }

    async fn open(&self, uri: &str) -> Result<Arc<dyn ObjectStore>> {
        Ok(self.stores.open_now(uri).await?)
    }

    /// Looks whether the run counts and whether the tile is there, and stores it.
    pub(crate) async fn store_tile(&self, task: &TaskMessage) -> Result<()> {
        if self.tile.is_empty() {
            return Ok(());
        }
        let store = self.open(&task.run.store).await?;
        if self.runs.differs(&*store, &key::run(&task.run.job), task.run.run.as_bytes()).await? {
            return Ok(());
        }
        let scores = self.plan.scores_of(&task.image);
        let TaskKind::Block { block, .. } = task.task else { return Ok(()) };
        let scores = scores.first().context("the plan has a group")?;
        let tile = key::tile(&task.run.job, scores, task.image.content_key(), block);
        match store.head(&tile).await {
            Err(error) if error.kind == StoreErrorKind::NotFound => {}
            found => return Ok(found.map(drop)?),
        }
        Ok(store.put(&tile, self.tile.clone()).await?)
    }

    /// Reads an image's tiles, stores a mask and its result, and deletes the tiles.
    pub(crate) async fn put_together(&self, wanted: &AggregateMessage) -> Result<()> {
        if self.tile.is_empty() {
            return Ok(());
        }
        let (store, image, job) = (self.open(&wanted.run.store).await?, &wanted.image, &wanted.run.job);
        let scores = self.plan.scores_of(image);
        let of_image = ImageTasks::new(&self.plan, image);
        let tiles: Vec<String> =
            of_image.iter().filter_map(|task| task.produces(job, image, &scores)).collect();
        let read = |tile: String| {
            let store = Arc::clone(&store);
            async move { store.get(&tile).await }
        };
        stream::iter(tiles.clone())
            .map(read)
            .buffer_unordered(AT_ONCE)
            .try_for_each(async |_| Ok(()))
            .await?;
        let mask = key::out(job, &format!("masks/{}.png", image.id));
        let part = key::part(job, &wanted.outputs, &image.result_name());
        let (of_mask, of_part) = tokio::try_join!(store.look(&mask), store.look(&part))?;
        if store.get(&key::run(job)).await? != wanted.run.run {
            return Ok(());
        }
        store.put_over(&mask, &Content::Bytes(self.tile.clone()), &of_mask).await?;
        let result = marquetry_aggregator::ImageResult::new(&image.id).to_bytes();
        store.put_over(&part, &Content::Bytes(result.into()), &of_part).await?;
        for tile in tiles {
            store.delete(&tile).await?;
        }
        Ok(())
    }
}
