//! How fast tasks can be planned and published, with nobody there to do them.

use anyhow::Result;
use bytes::Bytes;
use marquetry_job::{Action, Ledger, Plan, RunId, TaskMessage, message};
use marquetry_transport::{KafkaQueue, TaskQueue, Topic};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// Messages that are on their way to the broker at once.
const IN_FLIGHT: usize = 16_000;

/// Publishes a task message for each block of `plan`; how many a second.
pub(crate) async fn rate(queue: &Arc<KafkaQueue>, plan: &Plan, run: &RunId) -> Result<f64> {
    let partitions = queue.partitions(Topic::Tasks).await?;
    let started = Instant::now();
    let blocks: Vec<Vec<u32>> = (0..plan.images.len() as u32).map(|image| plan.blocks_of(image)).collect();
    let mut ledger = Ledger::new(&blocks, 1);
    let (mut publishing, mut sent) = (JoinSet::new(), 0_u32);
    while !(ledger.is_handed_out() && publishing.is_empty()) {
        for action in ledger.advance(IN_FLIGHT - publishing.len()) {
            let Action::Compute { task, attempt, replace } = action else { continue };
            let message = TaskMessage { run: run.clone(), task, attempt, replace };
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
