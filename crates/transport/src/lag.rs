//! How much work waits in the queue, looked at beside everything else.

use crate::{TaskQueue, Topic};
use marquetry_telemetry::{Metrics, Topic as Label};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The group of all workers on [`Topic::Tasks`].
pub const WORKERS: &str = "workers";
/// The group of all aggregators on [`Topic::Aggregate`].
pub const AGGREGATORS: &str = "aggregators";

/// Between two looks.
const EVERY: Duration = Duration::from_secs(15);

/// Tasks that nobody has finished yet, of whichever job, as the queue had them at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Lag {
    /// Messages that were not acknowledged.
    pub messages: u64,
    /// When that was.
    pub at: Instant,
}

/// Ends the watch when it is dropped.
#[derive(Debug)]
pub struct Watching {
    looking: JoinHandle<()>,
    tasks: watch::Receiver<Option<Lag>>,
}

impl Watching {
    /// The lag of the topic of tasks when it was last looked at; `None` where the queue does not tell.
    pub fn tasks(&self) -> Option<Lag> {
        *self.tasks.borrow()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// Keeps the lag of the topics that workers and aggregators read up to date, in `metrics` too. To be called on a tokio
/// runtime.
pub fn watch(queue: Arc<dyn TaskQueue>, metrics: Metrics) -> Watching {
    let (seen, tasks) = watch::channel(None);
    let looking = tokio::spawn(async move {
        loop {
            for (topic, group, label) in
                [(Topic::Tasks, WORKERS, Label::Tasks), (Topic::Aggregate, AGGREGATORS, Label::Aggregate)]
            {
                let at = Instant::now();
                let lag = queue.lag(topic, group).await;
                match &lag {
                    Ok(lag) => metrics.queue_lag.of(label).set(*lag as f64),
                    Err(error) => tracing::debug!(%error, "the lag is not known"),
                }
                if topic == Topic::Tasks {
                    seen.send_replace(lag.ok().map(|messages| Lag { messages, at }));
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    });
    Watching { looking, tasks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryQueue;

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_counted_for_both_groups() {
        let (queue, metrics) = (Arc::new(MemoryQueue::new()), Metrics::new());
        for topic in [Topic::Tasks, Topic::Tasks, Topic::Aggregate] {
            queue.publish(topic, "key", b"x".as_slice().into()).await.unwrap();
        }
        let watching = watch(queue, metrics.clone());
        tokio::time::sleep(EVERY / 2).await;
        assert_eq!(watching.tasks().map(|lag| lag.messages), Some(2));
        let text = metrics.exposition();
        for line in ["{topic=\"tasks\"} 2", "{topic=\"aggregate\"} 1"] {
            assert!(text.contains(&format!("\nmarquetry_queue_lag_messages{line}\n")), "{text}");
        }
    }
}
