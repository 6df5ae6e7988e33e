//! How much work waits in the queue, looked at beside everything else.

use marquetry_telemetry::{Metrics, Topic as Label};
use marquetry_transport::{TaskQueue, Topic};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(15);

/// Tasks that nobody has finished yet, of whichever job, as the queue had them at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lag {
    pub(crate) messages: u64,
    pub(crate) at: Instant,
}

/// Ends the watch when it is dropped.
pub(crate) struct Watching {
    looking: JoinHandle<()>,
    tasks: watch::Receiver<Option<Lag>>,
}

impl Watching {
    /// The lag of the topic of tasks when it was last looked at; `None` where the queue does not tell.
    pub(crate) fn tasks(&self) -> Option<Lag> {
        *self.tasks.borrow()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// Keeps the lag of the topics that others work on up to date.
pub(crate) fn watch(queue: Arc<dyn TaskQueue>, metrics: Metrics) -> Watching {
    let (seen, tasks) = watch::channel(None);
    let looking = tokio::spawn(async move {
        loop {
            for (topic, group, label) in
                [(Topic::Tasks, "workers", Label::Tasks), (Topic::Aggregate, "aggregators", Label::Aggregate)]
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
