//! A listener to all partitions of a topic, also to those that are added.

use super::context::{Context, Health};
use super::{PAUSE, REQUEST, may_pass, numbers, refused};
use crate::retry::even_pauses;
use crate::{Feed, QueueError};
use async_trait::async_trait;
use backon::Retryable;
use bytes::Bytes;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Between two looks at how many partitions there are. Whoever writes learns of new ones more slowly than this.
const LOOK_EVERY: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });

/// Reads all partitions from where they ended when it began, and those that were added later from their beginning.
pub(super) struct KafkaFeed {
    consumer: Arc<StreamConsumer<Context>>,
    topic: String,
    health: Arc<Health>,
    looking: JoinHandle<()>,
}

impl KafkaFeed {
    /// Goes on with `consumer`, which reads `assignment`.
    pub(super) fn start(
        consumer: StreamConsumer<Context>,
        assignment: TopicPartitionList,
        topic: String,
        health: Arc<Health>,
    ) -> Self {
        let consumer = Arc::new(consumer);
        let looking = tokio::spawn(follow_partitions(Arc::clone(&consumer), topic.clone(), assignment));
        Self { consumer, topic, health, looking }
    }
}

impl Drop for KafkaFeed {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

#[async_trait]
impl Feed for KafkaFeed {
    async fn next(&mut self) -> Result<Bytes, QueueError> {
        let receive = || async {
            let message = self.consumer.recv().await?;
            Ok(Bytes::copy_from_slice(message.payload().unwrap_or_default()))
        };
        let received = receive
            .retry(even_pauses(PAUSE))
            .when(may_pass)
            .notify(|error, _| tracing::debug!(%error, topic = self.topic, "receiving again"))
            .await;
        let payload =
            received.map_err(|error| refused("read from", &format!("topic {}", self.topic), error))?;
        self.health.is_well();
        Ok(payload)
    }
}

/// Adds partitions to what `consumer` reads when the topic has more of them.
async fn follow_partitions(
    consumer: Arc<StreamConsumer<Context>>,
    topic: String,
    mut read: TopicPartitionList,
) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let (asked, name, known) = (Arc::clone(&consumer), topic.clone(), read.clone());
        let look = tokio::task::spawn_blocking(move || with_new_partitions(&asked, &name, &known)).await;
        match look {
            Ok(Ok(Some(all))) => {
                tracing::warn!("topic {topic} has {} partitions now; the new ones are read too", all.count());
                read = all;
            }
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err(error)) => tracing::debug!(%error, topic, "how many partitions there are is not known"),
        }
    }
}

/// Reads partitions that are not among those that are `known`, and the others from where reading has come to; all of them,
/// if there were new ones.
fn with_new_partitions(
    consumer: &StreamConsumer<Context>,
    topic: &str,
    known: &TopicPartitionList,
) -> Result<Option<TopicPartitionList>, KafkaError> {
    let found = consumer.fetch_metadata(Some(topic), REQUEST)?;
    let new: Vec<i32> =
        numbers(&found)?.into_iter().filter(|n| known.find_partition(topic, *n).is_none()).collect();
    if new.is_empty() {
        return Ok(None);
    }
    let position = consumer.position()?;
    let mut all = TopicPartitionList::new();
    for partition in known.elements() {
        let number = partition.partition();
        let come_to = position.find_partition(topic, number).map(|p| p.offset());
        // Nothing was read of it yet: from where it ended at the start.
        let from = come_to.filter(|at| matches!(at, Offset::Offset(_))).unwrap_or(partition.offset());
        all.add_partition_offset(topic, number, from)?;
    }
    for number in new {
        all.add_partition_offset(topic, number, Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    Ok(Some(all))
}
