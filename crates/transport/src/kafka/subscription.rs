//! A member of a group, polled whatever its user does.

use super::backlog::{Backlog, PartitionChange};
use super::context::{Context, Health};
use super::{PAUSE, may_pass, refused};
use crate::{Delivery, QueueError, Subscription};
use async_trait::async_trait;
use bytes::Bytes;
use marquetry_failure::FailureClass;
use rdkafka::consumer::stream_consumer::StreamPartitionQueue;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// After so long without a partition it is said.
const IDLE: Duration = Duration::from_secs(30);

/// Polls for as long as the subscription lives.
///
/// The member itself must be polled all the time, or it is taken for dead and the whole group stops; messages must not
/// be taken faster than they are used. So each partition has a queue and a reader of its own, which waits for room in
/// the backlog while the member is polled for all else. The client library stops fetching for a queue that is not read.
struct Poll {
    consumer: Arc<StreamConsumer<Context>>,
    backlog: Arc<Backlog>,
    topic: String,
    health: Arc<Health>,
}

impl Poll {
    async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut readers = HashMap::new();
        let mut has_had_some = false;
        let mut idle = std::pin::pin!(tokio::time::sleep(IDLE));
        loop {
            for change in self.backlog.changes() {
                has_had_some |= matches!(change, PartitionChange::Assigned { .. });
                self.change_reader(change, &mut readers).await;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.backlog.partitions_changed.notified() => {}
                () = &mut idle, if !has_had_some => {
                    has_had_some = true;
                    tracing::warn!(
                        "no partition of topic {} is left for this process, and it has nothing to do: each is read by one \
                         process of a kind; stop some, or make more (`kafka-topics --alter --topic {} --partitions …`)",
                        self.topic, self.topic
                    );
                }
                // It came before its partition had a reader.
                message = self.consumer.recv() => match message {
                    Ok(message) => {
                        let partition = message.partition();
                        let position = (partition, self.backlog.era(partition));
                        self.backlog.receive(position, message.offset(), self.payload(&message), None);
                    }
                    Err(error) if self.is_over(&error).await => break,
                    Err(_) => {}
                },
            }
        }
        for (_, reader) in readers {
            end(reader).await;
        }
    }

    /// Starts the reader of a partition that came, or ends that of one that went.
    async fn change_reader(
        self: &Arc<Self>,
        change: PartitionChange,
        readers: &mut HashMap<i32, JoinHandle<()>>,
    ) {
        let (PartitionChange::Assigned { partition, .. } | PartitionChange::Revoked { partition }) = change;
        // The one before must have ended: it takes the queue's wake-up call along.
        if let Some(reader) = readers.remove(&partition) {
            end(reader).await;
        }
        if let PartitionChange::Assigned { era, .. } = change
            && let Some(queue) = self.consumer.split_partition_queue(&self.topic, partition)
        {
            let reader = Arc::clone(self).read(queue, partition, era);
            readers.insert(partition, tokio::spawn(reader));
        }
    }

    /// Reads one partition, until it is somebody else's.
    async fn read(self: Arc<Self>, queue: StreamPartitionQueue<Context>, partition: i32, era: u64) {
        loop {
            match queue.recv().await {
                Ok(message) => {
                    let (offset, payload) = (message.offset(), self.payload(&message));
                    drop(message);
                    let room = self.backlog.room().await;
                    self.backlog.receive((partition, era), offset, payload, room);
                }
                Err(error) if self.is_over(&error).await => return,
                Err(_) => {}
            }
        }
    }

    fn payload(&self, message: &BorrowedMessage<'_>) -> Bytes {
        self.health.is_well();
        Bytes::copy_from_slice(message.payload().unwrap_or_default())
    }

    /// Whether no message will come after an error; if one may, this takes a moment.
    async fn is_over(&self, error: &KafkaError) -> bool {
        let fatal = self.consumer.client().fatal_error();
        if fatal.is_some() || !may_pass(error) {
            let mut refused = refused("read from", &format!("topic {}", self.topic), error.clone());
            if let (Some((_, said)), QueueError::Refused { reason, class, .. }) = (fatal, &mut refused) {
                (*reason, *class) = (said, FailureClass::Worker);
            }
            self.backlog.fail(refused);
            return true;
        }
        tracing::debug!(%error, topic = self.topic, "receiving again");
        tokio::time::sleep(PAUSE).await;
        false
    }
}

/// Ends a task, and waits until it has.
async fn end(task: JoinHandle<()>) {
    task.abort();
    let _ = task.await;
}

pub(super) struct KafkaSubscription {
    /// Given away when the subscription ends.
    consumer: Option<Arc<StreamConsumer<Context>>>,
    backlog: Arc<Backlog>,
    topic: String,
    polling: JoinHandle<()>,
    stop: CancellationToken,
}

impl KafkaSubscription {
    /// Starts to poll `consumer`, which has subscribed to `topic`.
    pub(super) fn start(
        consumer: StreamConsumer<Context>,
        backlog: Arc<Backlog>,
        topic: String,
        health: Arc<Health>,
    ) -> Self {
        let (consumer, stop) = (Arc::new(consumer), CancellationToken::new());
        let poll = Poll {
            consumer: Arc::clone(&consumer),
            backlog: Arc::clone(&backlog),
            topic: topic.clone(),
            health,
        };
        let polling = tokio::spawn(Arc::new(poll).run(stop.clone()));
        Self { consumer: Some(consumer), backlog, topic, polling, stop }
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
        self.stop.cancel();
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
        self.stop.cancel();
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
