//! How long a coordinator takes to find out what an earlier one has left.

use anyhow::{Context, Result};
use marquetry_coordinator::JobRunner;
use marquetry_job::{ImageTasks, Plan, PlannedImage};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Puts a tile of every task of `plan` into the folder `store`. Nobody reads them at a restart, so they are empty.
pub(crate) fn leave_tiles(store: &Path, plan: &Plan, images: &[PlannedImage]) -> Result<()> {
    let mut known: Option<PathBuf> = None;
    // All images are scored by all members.
    let scores = images.first().map_or_else(Vec::new, |image| plan.scores_of(image));
    for image in images {
        for task in ImageTasks::new(plan, image).iter() {
            let key = task.produces(&plan.job, image, &scores).context("a task of the plan")?;
            let path = store.join(key);
            let folder = path.parent().context("a tile lies in a folder")?;
            if known.as_deref() != Some(folder) {
                std::fs::create_dir_all(folder)?;
                known = Some(folder.to_path_buf());
            }
            std::fs::File::create(path)?;
        }
    }
    Ok(())
}

/// Starts a coordinator, and stops it when it knows what there is; how long that took, and how many tiles it found.
pub(crate) async fn measure(runner: &JobRunner<'_>) -> Result<(Duration, u64)> {
    let (started, knows) = (Instant::now(), Notify::new());
    let mut found = 0;
    {
        let running = runner.run(|tally| {
            found = tally.tasks_found;
            knows.notify_one();
        });
        tokio::select! {
            ended = running => drop(ended?),
            () = knows.notified() => {}
        }
    }
    Ok((started.elapsed(), found))
}
