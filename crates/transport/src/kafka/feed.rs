//! A listener to all partitions of a topic, also to those that are added and to those of a topic that is made anew.

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
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// Between two looks at a topic. Whoever writes learns of new partitions more slowly than this.
const LOOK_EVERY: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });

/// Between two looks whether a topic is there again.
const AGAIN_EVERY: Duration = Duration::from_secs(1);

type FeedConsumer = Arc<StreamConsumer<Context>>;
/// Makes a client that reads nothing yet.
pub(super) type NewConsumer = Box<dyn Fn() -> Result<StreamConsumer<Context>, KafkaError> + Send + Sync>;

/// Reads all partitions from where they ended when it began, and those that were added later from their beginning.
pub(super) struct KafkaFeed {
    /// Another one is made where this one hears nothing more.
    consumer: watch::Receiver<FeedConsumer>,
    topic: String,
    health: Arc<Health>,
    /// Told when the topic is seen to be gone.
    gone: Arc<Notify>,
    looking: JoinHandle<()>,
}

impl KafkaFeed {
    /// Reads `topic` from `start`, by partition.
    ///
    /// # Errors
    /// When there can be no client.
    pub(super) fn start(
        new_consumer: NewConsumer,
        start: Offsets,
        topic: String,
        health: Arc<Health>,
    ) -> Result<Self, KafkaError> {
        let first = Arc::new(new_consumer()?);
        first.assign(&list(&topic, &start)?)?;
        let (replaced, consumer) = watch::channel(Arc::clone(&first));
        let gone = Arc::new(Notify::new());
        let reading = Reading { topic: topic.clone(), new_consumer, consumer: first, start };
        let looking = tokio::spawn(follow(reading, replaced, Arc::clone(&gone)));
        Ok(Self { consumer, topic, health, gone, looking })
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
        loop {
            let consumer = Arc::clone(&self.consumer.borrow_and_update());
            let receive = || async {
                let message = consumer.recv().await?;
                Ok(Bytes::copy_from_slice(message.payload().unwrap_or_default()))
            };
            let (topic, gone) = (&self.topic, &self.gone);
            let received = receive.retry(even_pauses(PAUSE)).when(may_pass).notify(|error, _| {
                tracing::debug!(%error, topic, "receiving again");
                if is_unknown(error) {
                    gone.notify_one();
                }
            });
            let payload = tokio::select! {
                received = received => received,
                Ok(()) = self.consumer.changed() => continue,
            };
            let payload = payload.map_err(|e| refused("read from", &format!("topic {}", self.topic), e))?;
            self.health.is_well();
            return Ok(payload);
        }
    }
}

/// Whether that is what is said of a topic that is not there.
fn is_unknown(error: &KafkaError) -> bool {
    let unknown = [RDKafkaErrorCode::UnknownTopic, RDKafkaErrorCode::UnknownTopicOrPartition];
    error.rdkafka_error_code().is_some_and(|code| unknown.contains(&code))
}

/// The next message of each partition.
pub(super) type Offsets = BTreeMap<i32, i64>;

fn list(topic: &str, offsets: &Offsets) -> Result<TopicPartitionList, KafkaError> {
    let mut all = TopicPartitionList::new();
    for (&number, &offset) in offsets {
        all.add_partition_offset(topic, number, Offset::Offset(offset))?;
    }
    Ok(all)
}

/// What is read now.
struct Reading {
    topic: String,
    new_consumer: NewConsumer,
    consumer: FeedConsumer,
    /// From where.
    start: Offsets,
}

/// What a look at a topic comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    /// All is read.
    AsBefore,
    /// There are partitions that are not read.
    Grown,
    /// It has less than was read of it: it was deleted and made again.
    MadeAnew,
    /// It has more, and nothing came since the last look. A client can go deaf when a topic is made anew.
    Deaf,
}

impl Finding {
    /// Of the first and the next message of each partition that there `is`, of where reading is `at`, and where it was `before`.
    fn of(is: &BTreeMap<i32, (i64, i64)>, at: &Offsets, before: &Offsets) -> Self {
        let end = |number: &i32| is.get(number).map(|(_, end)| *end);
        let waits = |(number, at): (&i32, &i64)| before.get(number) == Some(at) && end(number) > Some(*at);
        if at.iter().any(|(number, at)| end(number).is_none_or(|end| end < *at)) {
            Self::MadeAnew
        } else if is.keys().any(|number| !at.contains_key(number)) {
            Self::Grown
        } else if at.iter().any(waits) {
            Self::Deaf
        } else {
            Self::AsBefore
        }
    }
}

impl Reading {
    /// Where reading has come to.
    fn position(&self) -> Result<Offsets, KafkaError> {
        let position = self.consumer.position()?;
        let come_to = |number: i32| match position.find_partition(&self.topic, number)?.offset() {
            Offset::Offset(at) => Some(at),
            // Nothing was read of it yet.
            _ => None,
        };
        Ok(self.start.iter().map(|(&number, &start)| (number, come_to(number).unwrap_or(start))).collect())
    }

    /// The first and the next message of each partition.
    fn bounds(&self) -> Result<BTreeMap<i32, (i64, i64)>, KafkaError> {
        let found = numbers(&self.consumer.fetch_metadata(Some(&self.topic), REQUEST)?)?.into_iter();
        found.map(|n| Ok((n, self.consumer.fetch_watermarks(&self.topic, n, REQUEST)?))).collect()
    }

    /// Looks at the topic, and reads on as it must be; whether the client is another one now.
    fn look(&mut self, before: &mut Offsets) -> Result<bool, KafkaError> {
        // In this order: reading goes on meanwhile.
        let at = self.position()?;
        let bounds = self.bounds()?;
        let finding = Finding::of(&bounds, &at, before);
        let from = |number: &i32, first: i64| at.get(number).map_or(first, |at| first.max(*at));
        let go_on = bounds.iter().map(|(number, (first, _))| (*number, from(number, *first)));
        let topic = &self.topic;
        match finding {
            Finding::AsBefore => *before = at,
            Finding::Grown => {
                tracing::warn!(
                    "topic {topic} has {} partitions now; the new ones are read too",
                    bounds.len()
                );
                self.start = go_on.collect();
                self.consumer.assign(&list(topic, &self.start)?)?;
                before.clear();
            }
            Finding::MadeAnew => {
                before.clear();
                return self.begin_anew();
            }
            Finding::Deaf => {
                tracing::warn!("topic {topic} has messages that do not come; a new client reads on");
                before.clear();
                return self.read_from(go_on.collect());
            }
        }
        Ok(false)
    }

    /// Reads what is there from its beginning: what was read of the old topic says nothing of the new one.
    fn begin_anew(&mut self) -> Result<bool, KafkaError> {
        let first = self.bounds()?.into_iter().map(|(number, (first, _))| (number, first));
        tracing::warn!("topic {} was deleted and made again, and is read from its beginning", self.topic);
        self.read_from(first.collect())
    }

    /// Reads with a new client: one that has known a topic as it was before may never read it as it is.
    fn read_from(&mut self, start: Offsets) -> Result<bool, KafkaError> {
        let consumer = Arc::new((self.new_consumer)()?);
        consumer.assign(&list(&self.topic, &start)?)?;
        (self.consumer, self.start) = (consumer, start);
        Ok(true)
    }
}

/// Looks at a topic again and again, and as soon as it is seen to be `gone`: then what is there again is read from its beginning.
async fn follow(mut reading: Reading, replaced: watch::Sender<FeedConsumer>, gone: Arc<Notify>) {
    let mut before = Offsets::new();
    loop {
        let is_gone = tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => false,
            () = gone.notified() => true,
        };
        let look = move || {
            let is_new = if is_gone { reading.begin_anew() } else { reading.look(&mut before) };
            (is_new, reading, before)
        };
        let Ok(looked) = tokio::task::spawn_blocking(look).await else { return };
        (reading, before) = (looked.1, looked.2);
        match looked.0 {
            Ok(true) => {
                let old = replaced.send_replace(Arc::clone(&reading.consumer));
                // It takes leave of its broker.
                tokio::task::spawn_blocking(move || drop(old));
            }
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(%error, topic = reading.topic, "what the topic has is not known");
                if is_gone || is_unknown(&error) {
                    tokio::time::sleep(AGAIN_EVERY).await;
                    gone.notify_one();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_look_comes_to() {
        let is = BTreeMap::from([(0, (3, 7)), (1, (0, 5))]);
        let offsets = |of: &[(i32, i64)]| of.iter().copied().collect::<Offsets>();
        for (at, before, finding) in [
            (vec![(0, 7), (1, 5)], vec![(0, 7), (1, 5)], Finding::AsBefore),
            (vec![(0, 6), (1, 5)], vec![(0, 5), (1, 5)], Finding::AsBefore),
            (vec![(0, 6), (1, 5)], vec![], Finding::AsBefore),
            (vec![(0, 6), (1, 5)], vec![(0, 6), (1, 4)], Finding::Deaf),
            (vec![(0, 7)], vec![(0, 7)], Finding::Grown),
            (vec![(0, 8), (1, 5)], vec![(0, 8), (1, 5)], Finding::MadeAnew),
            (vec![(0, 7), (1, 5), (2, 0)], vec![], Finding::MadeAnew),
        ] {
            assert_eq!(
                Finding::of(&is, &offsets(&at), &offsets(&before)),
                finding,
                "{at:?} after {before:?}"
            );
        }
    }
}
