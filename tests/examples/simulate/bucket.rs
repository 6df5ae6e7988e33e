//! How long a coordinator takes with a bucket full of tiles: to find out what there is, and to delete it.

use crate::restart;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use marquetry_coordinator::JobRunner;
use marquetry_job::{ImageTasks, PlannedImage, key};
use marquetry_transport::ObjectStore;
use std::time::Instant;

/// Objects that are written side by side.
const AT_ONCE: usize = 64;

/// Leaves a tile of each task of `images` in the runner's store, and has the runner find and then delete them.
pub(crate) async fn measure(runner: &JobRunner<'_>, tasks: u64) -> Result<()> {
    let (job, store) = (&runner.plan.job, &*runner.store);
    let started = Instant::now();
    // All images are scored by all members.
    let scores = runner.images.first().map_or_else(Vec::new, |image| runner.plan.scores_of(image));
    let tiles = runner.images.iter().flat_map(|image| {
        let of_image = ImageTasks::new(runner.plan, image);
        of_image.iter().filter_map(|task| task.produces(job, image, &scores)).collect::<Vec<_>>()
    });
    write(store, tiles).await?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "bucket:      {tasks} tiles of 1 byte written in {seconds:.1} s by {AT_ONCE} requests at a time"
    );

    let (took, found) = restart::measure(runner).await?;
    ensure!(found == tasks, "{found} of {tasks} tiles were found");
    println!("             {:.1} s until they are known to a restarted coordinator", took.as_secs_f64());

    // Images that are finished need no tiles.
    let done = |image: &PlannedImage| {
        let mask = key::out(job, &format!("masks/{}.png", image.id));
        [mask, key::part(job, runner.outputs, &image.key)]
    };
    write(store, runner.images.iter().flat_map(done)).await?;
    let started = Instant::now();
    let ended = runner.run(|_| {}).await?;
    ensure!(ended.tally.images_found == runner.images.len() as u64, "images are not taken for finished");
    println!("             {:.1} s until all are deleted", started.elapsed().as_secs_f64());
    let left = store.list(&key::tiles(job)).await?.len();
    ensure!(left == 0, "{left} tiles are left");
    ended.release(marquetry_coordinator::JobState::Done, None).await.context("the lease")?;
    Ok(())
}

async fn write(store: &dyn ObjectStore, keys: impl Iterator<Item = String>) -> Result<()> {
    let written =
        stream::iter(keys).map(|key| async move { store.put(&key, Bytes::from_static(b"x")).await });
    Ok(written.buffer_unordered(AT_ONCE).try_collect().await?)
}
