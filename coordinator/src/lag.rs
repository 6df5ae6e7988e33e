//! How much work waits in the queue, looked at beside everything else.

use marquetry_telemetry::{Metrics, Topic as Label};
use marquetry_transport::{TaskQueue, Topic};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(15);

/// Ends the watch when it is dropped.
pub(crate) struct Watching(JoinHandle<()>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Keeps the lag of the topics that others work on up to date.
pub(crate) fn watch(queue: Arc<dyn TaskQueue>, metrics: Metrics) -> Watching {
    Watching(tokio::spawn(async move {
        loop {
            for (topic, group, label) in
                [(Topic::Tasks, "workers", Label::Tasks), (Topic::Aggregate, "aggregators", Label::Aggregate)]
            {
                match queue.lag(topic, group).await {
                    Ok(lag) => metrics.queue_lag.of(label).set(lag as f64),
                    Err(error) => tracing::debug!(%error, "the lag is not known"),
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }))
}
