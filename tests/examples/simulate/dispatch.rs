//! How fast tasks can be planned and published, with nobody there to do them.

use anyhow::Result;
use bytes::Bytes;
use marquetry_job::{Action, ImageTasks, Ledger, Plan, PlannedImage, RunId, Stages, TaskMessage, message};
use marquetry_transport::{KafkaQueue, TaskQueue, Topic};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// Messages that are on their way to the broker at once.
const IN_FLIGHT: usize = 16_000;

/// Publishes a task message for each block of `plan`; how many a second.
pub(crate) async fn rate(
    queue: &Arc<KafkaQueue>,
    plan: &Plan,
    images: &[PlannedImage],
    run: &RunId,
) -> Result<f64> {
    let partitions = queue.partitions(Topic::Tasks).await?;
    let started = Instant::now();
    let tasks: Vec<ImageTasks> = images.iter().map(|image| ImageTasks::new(plan, image)).collect();
    let stages: Vec<Stages> = tasks.iter().map(ImageTasks::stages).collect();
    let mut ledger = Ledger::new(&stages, 1);
    let hash = plan.hash();
    let (mut publishing, mut sent) = (JoinSet::new(), 0_u32);
    while !(ledger.is_handed_out() && publishing.is_empty()) {
        for action in ledger.advance(IN_FLIGHT - publishing.len()) {
            let Action::Compute { task, attempt, replace } = action else { continue };
            let image = images[task.image as usize].clone();
            let kind = tasks[task.image as usize].at(task.place);
            let (run, plan) = (run.clone(), hash.clone());
            let message = TaskMessage { run, plan, image, task: kind, attempt, replace, alone: false };
            let (queue, payload) = (Arc::clone(queue), Bytes::from(message::encode(&message)));
            let partition = sent % partitions;
            publishing.spawn(async move { queue.publish_to(Topic::Tasks, partition, payload).await });
            sent += 1;
        }
        if let Some(published) = publishing.join_next().await {
            published??;
        }
        while let Some(published) = publishing.try_join_next() {
            published??;
        }
    }
    Ok(f64::from(sent) / started.elapsed().as_secs_f64())
}
