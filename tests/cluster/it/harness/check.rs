//! What must be so after every schedule.

use super::aggregator::check_image;
use super::cluster::Cluster;
use super::coordinator::Summary;
use super::plans::JobOf;
use marquetry_job::TaskId;
use std::collections::BTreeSet;

/// What is wrong with what a job came to: everything is done or said to be lost, what is lost could not be computed by
/// anybody and has a dead letter, and what is stored was made of the tiles of this very plan.
pub(crate) async fn check(cluster: &Cluster, job: &JobOf, summary: &Summary) -> Result<(), String> {
    let (plan, progress) = (&job.plan, summary.progress);
    let tasks: BTreeSet<TaskId> = (0..plan.images.len() as u32).flat_map(|i| plan.tasks_of(i)).collect();
    if (progress.tasks, progress.tasks_done) != (tasks.len() as u64, tasks.len() as u64) {
        return Err(format!("{} tasks are planned, and the end is {progress:?}", tasks.len()));
    }
    let poisoned = |task: &&TaskId| cluster.is_poison(&plan.images[task.image as usize].id, task.block);
    let expected: BTreeSet<TaskId> = tasks.iter().filter(poisoned).copied().collect();
    if summary.lost_tasks != expected {
        return Err(format!("lost are {:?}, and nobody can do {expected:?}", summary.lost_tasks));
    }
    let mut lost_images = 0;
    for image in 0..plan.images.len() as u32 {
        let lost: BTreeSet<TaskId> = expected.iter().filter(|task| task.image == image).copied().collect();
        let wholly = lost.len() == plan.tasks_of(image).count();
        if summary.lost_images.contains(&image) != wholly {
            return Err(format!("image {image} is lost or not, and should be the other: {summary:?}"));
        }
        lost_images += usize::from(wholly);
        if !wholly {
            check_image(&*cluster.objects, job, image, &lost).await?;
        }
    }
    if progress.images_done as usize + lost_images != plan.images.len() {
        return Err(format!("{} images are planned, and the end is {progress:?}", plan.images.len()));
    }
    let letters = cluster.dead_letters().await;
    if letters < expected.len() + lost_images {
        return Err(format!("{letters} dead letters for {} losses", expected.len() + lost_images));
    }
    Ok(())
}
