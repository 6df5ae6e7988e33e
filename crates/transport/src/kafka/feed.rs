//! A listener to all partitions of a topic, also to those that are added.

use super::context::{Context, Health};
use super::{PAUSE, REQUEST, may_pass, numbers, refused};
use crate::retry::even_pauses;
use crate::{Feed, QueueError};
use async_trait::async_trait;
use backon::Retryable;
use bytes::Bytes;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Between two looks at how many partitions there are. Whoever writes learns of new ones more slowly than this.
const LOOK_EVERY: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });

/// Between two looks whether a topic is there again.
const AGAIN_EVERY: Duration = Duration::from_secs(1);
/// What is said of a topic that is not there.
const UNKNOWN: [RDKafkaErrorCode; 2] =
    [RDKafkaErrorCode::UnknownTopic, RDKafkaErrorCode::UnknownTopicOrPartition];

/// Reads all partitions from where they ended when it began, and those that were added later from their beginning.
pub(super) struct KafkaFeed {
    consumer: Arc<StreamConsumer<Context>>,
    topic: String,
    health: Arc<Health>,
    /// Told when the topic is seen to be gone.
    gone: Arc<Notify>,
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
        let (consumer, gone) = (Arc::new(consumer), Arc::new(Notify::new()));
        let follow = follow_partitions(Arc::clone(&consumer), topic.clone(), assignment, Arc::clone(&gone));
        Self { consumer, topic, health, gone, looking: tokio::spawn(follow) }
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
            .notify(|error, _| {
                tracing::debug!(%error, topic = self.topic, "receiving again");
                if error.rdkafka_error_code().is_some_and(|code| UNKNOWN.contains(&code)) {
                    self.gone.notify_one();
                }
            })
            .await;
        let payload =
            received.map_err(|error| refused("read from", &format!("topic {}", self.topic), error))?;
        self.health.is_well();
        Ok(payload)
    }
}

/// Adds partitions to what `consumer` reads when the topic has more of them, and begins anew with a topic that was deleted and
/// made again.
async fn follow_partitions(
    consumer: Arc<StreamConsumer<Context>>,
    topic: String,
    mut read: TopicPartitionList,
    gone: Arc<Notify>,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = gone.notified() => {
                read = read_anew(&consumer, &topic).await;
                tracing::warn!("topic {topic} was deleted and made again, and is read from its beginning");
            }
        }
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

/// Waits until a topic is there again, and reads all of its partitions from their beginning: what was read of the old one says nothing
/// of the new one.
async fn read_anew(consumer: &Arc<StreamConsumer<Context>>, topic: &str) -> TopicPartitionList {
    loop {
        tokio::time::sleep(AGAIN_EVERY).await;
        let (asked, name) = (Arc::clone(consumer), topic.to_owned());
        let assign = move || {
            let found = asked.fetch_metadata(Some(&name), REQUEST)?;
            let mut all = TopicPartitionList::new();
            for number in numbers(&found)? {
                all.add_partition_offset(&name, number, Offset::Beginning)?;
            }
            asked.unassign()?;
            asked.assign(&all)?;
            Ok::<_, KafkaError>(all)
        };
        match tokio::task::spawn_blocking(assign).await {
            Ok(Ok(all)) => return all,
            Ok(Err(error)) => tracing::debug!(%error, topic, "the topic is not there yet"),
            Err(_) => {}
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
