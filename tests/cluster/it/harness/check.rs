//! What must be so after every schedule.

use super::aggregator::check_image;
use super::cluster::Cluster;
use super::coordinator::Summary;
use super::plans::{JobOf, blocks_of, first_blocks_of, key_of};
use marquetry_job::{ImageTasks, PlannedImage, TaskId, TaskKind};
use std::collections::BTreeSet;

/// What is wrong with what a job came to: everything is done or said to be lost, what is lost could not be computed by
/// anybody and has a dead letter, what is stored was made of the tiles of this very plan, and no stage began too early.
pub(crate) async fn check(cluster: &Cluster, job: &JobOf, summary: &Summary) -> Result<(), String> {
    let (images, progress) = (&job.images, summary.progress);
    let tasks: u64 = images.iter().map(|image| u64::from(ImageTasks::new(&job.plan, image).len())).sum();
    if (progress.tasks, progress.tasks_done) != (tasks, tasks) {
        return Err(format!("{tasks} tasks are planned, and the end is {progress:?}"));
    }
    let lost = |image: &PlannedImage| {
        let id = |kind| TaskId { image: image.key.clone(), kind };
        expected_losses(cluster, job, image).into_iter().map(id).collect::<Vec<_>>()
    };
    let expected: BTreeSet<TaskId> = images.iter().flat_map(lost).collect();
    if summary.lost_tasks != expected {
        return Err(format!("lost are {:?}, and nobody can do {expected:?}", summary.lost_tasks));
    }
    let mut lost_images = 0;
    for image in images.iter() {
        let lost = expected_losses(cluster, job, image);
        let wholly = lost.contains(&TaskKind::Statistics)
            || lost.contains(&TaskKind::Gate)
            || is_all(&first_blocks_of(&job.plan, image), &lost)
            || is_all(&blocks_of(&job.plan, image), &lost)
            || cluster.is_deadly_image(&image.id);
        if summary.lost_images.contains(&image.key) != wholly {
            return Err(format!("image {} is lost or not, and should be the other: {summary:?}", image.id));
        }
        lost_images += usize::from(wholly);
        if !wholly {
            check_image(&*cluster.objects, job, image, &missing(job, image, lost)).await?;
        }
    }
    if progress.images_done as usize + lost_images != images.len() {
        return Err(format!("{} images are planned, and the end is {progress:?}", images.len()));
    }
    let letters = cluster.dead_letters().await;
    if letters < expected.len() + lost_images {
        return Err(format!("{letters} dead letters for {} losses", expected.len() + lost_images));
    }
    check_stages(cluster, job)
}

/// The tasks of `image` that nobody can do. What waits for its statistics is never asked for.
fn expected_losses(cluster: &Cluster, job: &JobOf, image: &PlannedImage) -> BTreeSet<TaskKind> {
    let is_poison = |task: &TaskKind| cluster.is_poison(&image.id, *task);
    let mut lost: BTreeSet<TaskKind> = ImageTasks::new(&job.plan, image).iter().filter(is_poison).collect();
    let is_before = |task: &TaskKind| matches!(task, TaskKind::Statistics | TaskKind::Gate);
    if lost.iter().any(is_before) {
        lost.retain(is_before);
    }
    let first = first_blocks_of(&job.plan, image);
    if first.iter().any(|task| lost.contains(task)) {
        lost.retain(|task| first.contains(task));
    } else if lost.contains(&TaskKind::Unsure) {
        lost.retain(|task| *task == TaskKind::Unsure);
    }
    lost
}

/// Whether there are such tasks, and all of them are lost.
fn is_all(tasks: &[TaskKind], lost: &BTreeSet<TaskKind>) -> bool {
    !tasks.is_empty() && tasks.iter().all(|task| lost.contains(task))
}

/// The blocks that an image is put together without: those that are lost, and those that look only at what blocks of the first
/// round are unsure of, where one of these is lost.
fn missing(job: &JobOf, image: &PlannedImage, mut lost: BTreeSet<TaskKind>) -> BTreeSet<TaskKind> {
    let first = first_blocks_of(&job.plan, image);
    let is_broken = lost.contains(&TaskKind::Unsure) || first.iter().any(|task| lost.contains(task));
    if !first.is_empty() && is_broken {
        let later = blocks_of(&job.plan, image).into_iter().filter(|task| !first.contains(task));
        lost.extend(later);
    }
    lost.remove(&TaskKind::Unsure);
    lost
}

/// What is wrong with the order in which tasks came: a block of an image whose statistics, region or gate are wanted comes to a
/// worker after these were stored, or somebody said so.
fn check_stages(cluster: &Cluster, job: &JobOf) -> Result<(), String> {
    let entries = cluster.journal.all();
    let first = |image: &PlannedImage| {
        let statistics = job.plan.wants_statistics(image).then_some(TaskKind::Statistics);
        let region = job.plan.wants_region().then_some(TaskKind::Region);
        let gate = job.plan.wants_gate().then_some(TaskKind::Gate);
        [statistics, region, gate].into_iter().flatten()
    };
    for (image, kind) in job.images.iter().flat_map(|image| first(image).map(move |kind| (image, kind))) {
        let task = TaskId { image: image.key.clone(), kind };
        let said = format!("says that {task} is stored");
        let stored = format!("Put {}", key_of(&job.plan, image, kind));
        let of_image = format!("of image {} attempt", image.key);
        let is_block = |what: &str| what.starts_with("has block") && what.contains(&of_image);
        let known = entries.iter().position(|entry| entry.what == said || entry.what == stored);
        let block = entries.iter().position(|entry| is_block(&entry.what));
        if block.is_some_and(|block| known.is_none_or(|known| block < known)) {
            return Err(format!("a block of image {} was asked for before its {kind} were there", image.id));
        }
    }
    for image in job.images.iter().filter(|image| job.plan.cascade_of(image).is_some()) {
        let unsure = TaskId { image: image.key.clone(), kind: TaskKind::Unsure };
        let said = format!("says that {unsure} is stored");
        let stored = format!("Put {}", key_of(&job.plan, image, TaskKind::Unsure));
        let of_image = format!("of group 1 of image {} attempt", image.key);
        let known = entries.iter().position(|entry| entry.what == said || entry.what == stored);
        let is_later = |what: &str| what.starts_with("has block") && what.contains(&of_image);
        let later = entries.iter().position(|entry| is_later(&entry.what));
        if later.is_some_and(|later| known.is_none_or(|known| later < known)) {
            return Err(format!(
                "a later block of image {} was asked for before what is unsure was there",
                image.id
            ));
        }
    }
    Ok(())
}
