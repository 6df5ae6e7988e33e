//! A member of a group, polled whatever its user does.

use super::backlog::{Backlog, Flow};
use super::context::{Context, Health};
use super::{PAUSE, may_pass};
use crate::{Delivery, QueueError, Subscription};
use async_trait::async_trait;
use bytes::Bytes;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Polls for as long as the subscription lives.
async fn poll(
    consumer: Arc<StreamConsumer<Context>>,
    backlog: Arc<Backlog>,
    topic: String,
    health: Arc<Health>,
) {
    loop {
        if let Some(flow) = backlog.turn()
            && let Err(error) = turn(&consumer, flow)
        {
            tracing::debug!(%error, ?flow, "the flow of messages was not changed");
        }
        tokio::select! {
            () = backlog.changed.notified() => {}
            message = consumer.recv() => match message {
                Ok(message) => {
                    health.is_well();
                    let payload = Bytes::copy_from_slice(message.payload().unwrap_or_default());
                    backlog.receive(message.partition(), message.offset(), payload);
                }
                Err(error) => {
                    let fatal = consumer.client().fatal_error();
                    if fatal.is_some() || !may_pass(&error) {
                        let reason = fatal.map_or_else(|| error.to_string(), |(_, reason)| reason);
                        let queue = format!("Kafka, topic {topic}");
                        backlog.break_off(QueueError::Refused { doing: "read from", queue, reason });
                        return;
                    }
                    tracing::debug!(%error, topic, "receiving again");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
}

fn turn(consumer: &StreamConsumer<Context>, flow: Flow) -> Result<(), KafkaError> {
    let partitions = consumer.assignment()?;
    match flow {
        Flow::Pause => consumer.pause(&partitions),
        Flow::Resume => consumer.resume(&partitions),
    }
}

pub(super) struct KafkaSubscription {
    /// Given away when the subscription ends.
    consumer: Option<Arc<StreamConsumer<Context>>>,
    backlog: Arc<Backlog>,
    topic: String,
    polling: JoinHandle<()>,
}

impl KafkaSubscription {
    /// Starts to poll `consumer`, which has subscribed to `topic`.
    pub(super) fn start(
        consumer: StreamConsumer<Context>,
        backlog: Arc<Backlog>,
        topic: String,
        health: Arc<Health>,
    ) -> Self {
        let consumer = Arc::new(consumer);
        let polling = poll(Arc::clone(&consumer), Arc::clone(&backlog), topic.clone(), health);
        Self { consumer: Some(consumer), backlog, topic, polling: tokio::spawn(polling) }
    }
}

#[async_trait]
impl Subscription for KafkaSubscription {
    async fn receive(&mut self) -> Result<Delivery, QueueError> {
        self.backlog.next().await
    }

    async fn acknowledge(&mut self, token: u64) -> Result<(), QueueError> {
        if let (Some((partition, prefix)), Some(consumer)) = (self.backlog.finish(token), &self.consumer)
            // A partition that is not ours any more is somebody else's to commit.
            && let Err(error) = consumer.store_offset(&self.topic, partition, prefix)
        {
            tracing::debug!(%error, partition, "an offset was not kept");
        }
        Ok(())
    }

    async fn leave(mut self: Box<Self>) {
        self.polling.abort();
        // The task has the consumer too; it must have let go before the group is left.
        let _ = (&mut self.polling).await;
        let Some(consumer) = self.consumer.take() else { return };
        let left = tokio::task::spawn_blocking(move || {
            if let Err(error) = consumer.commit_consumer_state(CommitMode::Sync)
                && error.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset)
            {
                tracing::warn!(%error, "the last offsets were not committed; a few messages come again");
            }
        });
        let _ = left.await;
    }
}

impl Drop for KafkaSubscription {
    fn drop(&mut self) {
        self.polling.abort();
        if let Some(consumer) = self.consumer.take() {
            // Leaving a group waits for the broker; nobody else should, so the last handle ends on this thread.
            std::thread::spawn(move || {
                while Arc::strong_count(&consumer) > 1 {
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
        }
    }
}
