//! The queue of a cluster: Apache Kafka, by librdkafka. The only module that names it.
//!
//! - A subscription is polled by tasks of its own, whatever its user does: a member that does not poll stops the whole
//!   group. What is received goes to a backlog; partitions wait while that is full ([`subscription`]).
//! - Offsets are committed late, up to the end of what is finished without a gap ([`tracker`]).
//! - Producers are idempotent and wait for all in-sync replicas. No transactions: their markers keep the lag above zero
//!   for ever.

mod admin;
mod backlog;
mod context;
mod feed;
mod options;
mod subscription;
mod tracker;

use crate::retry::even_pauses;
use crate::{Feed, QueueError, Subscription, TaskQueue, Topic};
use admin::{assigns_itself, make_topics, wait_for_broker};
use async_trait::async_trait;
use backlog::Backlog;
use backon::{BlockingRetryable, Retryable};
use bytes::Bytes;
use context::{Context, Health};
use feed::{KafkaFeed, Offsets};
use marquetry_failure::FailureClass;
pub use options::{GroupProtocol, KafkaOptions};
use rdkafka::admin::AdminClient;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataPartition};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subscription::KafkaSubscription;
use tokio::sync::Mutex;

/// One request to the broker.
const REQUEST: Duration = Duration::from_secs(10);
/// Between a failure that may pass and the next try.
const PAUSE: Duration = Duration::from_millis(300);
/// Between two tries to make topics again that are gone.
const REMADE_EVERY: Duration = Duration::from_secs(5);

/// A queue on a Kafka broker.
#[derive(Clone)]
pub struct KafkaQueue {
    options: Arc<KafkaOptions>,
    producer: FutureProducer<Context>,
    /// Whether groups are assigned by the broker.
    by_broker: bool,
    health: Arc<Health>,
    /// When topics that were gone were last made again.
    remade: Arc<Mutex<Option<Instant>>>,
}

/// Which partition a message goes to.
#[derive(Clone, Copy)]
enum To<'a> {
    Any,
    /// That of a key.
    Key(&'a str),
    Partition(i32),
}

impl KafkaQueue {
    /// Connects, and makes the topics that are missing.
    ///
    /// # Errors
    /// When no broker answers within the options' time, or it refuses.
    pub async fn connect(options: KafkaOptions) -> Result<Self, QueueError> {
        let options = Arc::new(options);
        let health = Arc::new(Health::new(&options.brokers));
        let failed = |e: KafkaError| refused("connect to", &options.brokers, e);
        let mut config = base(&options);
        config
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            // All topics are there before it sends anything: one that is not known is gone, and waits to be made again.
            .set("topic.metadata.propagation.max.ms", "5000")
            // A message waits for the broker to come back for as long as that takes.
            .set("message.timeout.ms", "0");
        let producer: FutureProducer<Context> = create(&config, Context::new(&health)).map_err(failed)?;
        // Asked by the producer, since it hears why it is not let in: clients that are not polled do not.
        let broker = wait_for_broker(&producer, &options, &health).await?;
        let admin: AdminClient<Context> = create(&base(&options), Context::new(&health)).map_err(failed)?;
        make_topics(&admin, &producer, &options).await?;
        let by_broker = match options.protocol {
            GroupProtocol::Consumer => true,
            GroupProtocol::Classic => false,
            GroupProtocol::Auto => assigns_itself(&admin, broker).await,
        };
        tracing::info!(brokers = options.brokers, by_broker, "connected to Kafka");
        Ok(Self { options, producer, by_broker, health, remade: Arc::default() })
    }

    fn topic(&self, topic: Topic) -> String {
        name(&self.options, topic)
    }

    fn group(&self, group: &str) -> String {
        format!("{}.{group}", self.options.prefix)
    }

    /// Sends a message until it is safe; to any partition if there is no such one.
    async fn send(&self, topic: Topic, to: To<'_>, payload: &[u8]) -> Result<(), QueueError> {
        let name = self.topic(topic);
        let sent = match self.deliver(&name, to, payload).await {
            Err(error) if is_no_partition(&error) => self.deliver(&name, To::Any, payload).await,
            other => other,
        };
        sent.map_err(|error| refused("write to", &format!("topic {name}"), error))?;
        self.health.is_well();
        Ok(())
    }

    async fn deliver(&self, topic: &str, to: To<'_>, payload: &[u8]) -> Result<(), KafkaError> {
        let attempt = || async {
            let record = FutureRecord::to(topic).payload(payload);
            let record = match to {
                To::Any => record,
                To::Key(key) => record.key(key),
                To::Partition(partition) => record.partition(partition),
            };
            let sent = self.producer.send(record, Timeout::Never).await;
            let sent = sent.map(|_| ()).map_err(|(error, _)| error);
            if sent.as_ref().is_err_and(is_no_topic) {
                self.make_topics_again(topic).await;
            }
            sent
        };
        attempt
            .retry(even_pauses(PAUSE))
            .when(|error| may_pass(error) && !is_no_partition(error))
            .notify(|error, _| {
                // That is told once, and not for each message.
                if !is_no_topic(error) {
                    tracing::warn!(%error, topic, "a message was not taken; sending it again");
                }
            })
            .await
    }

    /// Makes the topics that are missing, since `topic` is: somebody has deleted it. One does so at a time, and not too often.
    async fn make_topics_again(&self, topic: &str) {
        let Ok(mut last) = self.remade.try_lock() else { return };
        if last.is_some_and(|last| last.elapsed() < REMADE_EVERY) {
            return;
        }
        tracing::warn!(topic, "the topic is gone: making it again");
        let made = match create(&base(&self.options), Context::new(&self.health)) {
            Ok(admin) => make_topics(&admin, &self.producer, &self.options).await,
            Err(error) => Err(refused("connect to", &self.options.brokers, error)),
        };
        if let Err(error) = made {
            tracing::warn!(%error, "the topic is not made again");
        }
        *last = Some(Instant::now());
    }

    /// Runs requests that block away from the threads that drive messages.
    async fn ask<T: Send + 'static>(
        &self,
        group: &str,
        topic: Topic,
        ask: impl Fn(&BaseConsumer<Context>, &str) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let mut config = base(&self.options);
        config.set("group.id", self.group(group)).set("enable.auto.commit", "false");
        let (name, context) = (self.topic(topic), Context::new(&self.health));
        let (shown, brokers) = (name.clone(), self.options.brokers.clone());
        let work = move || {
            let consumer: BaseConsumer<Context> = create(&config, context)?;
            (|| ask(&consumer, &name))
                .retry(even_pauses(PAUSE))
                // The broker is away, or is only now learning of the topic.
                .when(may_pass)
                .notify(|error, _| tracing::debug!(%error, "asking again"))
                .call()
        };
        let asked = tokio::task::spawn_blocking(work).await;
        let place = format!("topic {shown} at {brokers}");
        match asked {
            Ok(result) => result.map_err(|e| refused("read from", &place, e)),
            Err(_) => Err(QueueError::Closed),
        }
    }
}

fn name(options: &KafkaOptions, topic: Topic) -> String {
    format!("{}.{}", options.prefix, topic.name())
}

/// What every client is told.
fn base(options: &KafkaOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.brokers)
        .set("client.id", "marquetry")
        .set("reconnect.backoff.max.ms", "5000")
        .set_log_level(RDKafkaLogLevel::Warning);
    for (name, value) in &options.settings {
        config.set(name, value);
    }
    config
}

fn create<T: FromClientConfigAndContext<Context>>(
    config: &ClientConfig,
    context: Context,
) -> Result<T, KafkaError> {
    config.create_with_context(context)
}

fn refused(doing: &'static str, queue: &str, error: KafkaError) -> QueueError {
    let class = match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::InvalidArgument) => FailureClass::Bug,
        // The client, not the broker, cannot go on; a new one may.
        Some(RDKafkaErrorCode::Fatal) => FailureClass::Worker,
        _ if may_pass(&error) => FailureClass::Passing,
        _ => FailureClass::Config,
    };
    let (queue, reason) = (format!("Kafka, {queue}"), error.to_string());
    QueueError::Refused { doing, queue, reason, class, source: Some(Arc::new(error)) }
}

/// Whether a message was for a topic that is not there.
fn is_no_topic(error: &KafkaError) -> bool {
    let unknown = [RDKafkaErrorCode::UnknownTopic, RDKafkaErrorCode::UnknownTopicOrPartition];
    matches!(error, KafkaError::MessageProduction(code) if unknown.contains(code))
}

/// Whether a message was for a partition that the topic does not have.
fn is_no_partition(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::UnknownPartition))
}

/// Whether an error may go away without anybody doing something here.
fn may_pass(error: &KafkaError) -> bool {
    let lasting = [
        RDKafkaErrorCode::TopicAuthorizationFailed,
        RDKafkaErrorCode::GroupAuthorizationFailed,
        RDKafkaErrorCode::ClusterAuthorizationFailed,
        RDKafkaErrorCode::SaslAuthenticationFailed,
        RDKafkaErrorCode::Authentication,
        RDKafkaErrorCode::Fatal,
        RDKafkaErrorCode::MessageSizeTooLarge,
        RDKafkaErrorCode::InvalidArgument,
    ];
    error.rdkafka_error_code().is_some_and(|code| !lasting.contains(&code))
}

#[async_trait]
impl TaskQueue for KafkaQueue {
    async fn publish(&self, topic: Topic, key: &str, payload: Bytes) -> Result<(), QueueError> {
        self.send(topic, if key.is_empty() { To::Any } else { To::Key(key) }, &payload).await
    }

    async fn partitions(&self, topic: Topic) -> Result<u32, QueueError> {
        let count = self
            .ask("partitions", topic, |consumer, name| {
                Ok(numbers(&consumer.fetch_metadata(Some(name), REQUEST)?)?.len())
            })
            .await?;
        Ok(u32::try_from(count).unwrap_or(1))
    }

    async fn publish_to(&self, topic: Topic, partition: u32, payload: Bytes) -> Result<(), QueueError> {
        self.send(topic, i32::try_from(partition).map_or(To::Any, To::Partition), &payload).await
    }

    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Subscription>, QueueError> {
        let name = self.topic(topic);
        let mut config = base(&self.options);
        config
            .set("group.id", self.group(group))
            .set("enable.auto.offset.store", "false")
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "300")
            .set("auto.offset.reset", "earliest")
            .set("queued.min.messages", "64")
            .set("fetch.queue.backoff.ms", "10");
        if self.by_broker {
            config.set("group.protocol", "consumer");
        } else {
            config.set("partition.assignment.strategy", "cooperative-sticky");
        }
        let backlog = Arc::new(Backlog::new());
        let context = Context { health: Arc::clone(&self.health), backlog: Some(Arc::clone(&backlog)) };
        let failed = |e: KafkaError| refused("read from", &format!("topic {name}"), e);
        let consumer: StreamConsumer<Context> = create(&config, context).map_err(failed)?;
        consumer.subscribe(&[&name]).map_err(failed)?;
        Ok(Box::new(KafkaSubscription::start(consumer, backlog, name, Arc::clone(&self.health))))
    }

    async fn follow(&self, topic: Topic) -> Result<Box<dyn Feed>, QueueError> {
        // No such group is ever joined; the client library wants a name all the same.
        let group = format!("feed-{:016x}", fastrand::u64(..));
        let start = self.ask(&group, topic, ends).await?;
        let mut config = base(&self.options);
        config.set("group.id", self.group(&group)).set("enable.auto.commit", "false");
        let name = self.topic(topic);
        let failed = |e: KafkaError| refused("read from", &format!("topic {name}"), e);
        let health = Arc::clone(&self.health);
        let new_consumer = Box::new(move || create(&config, Context::new(&health)));
        let feed = KafkaFeed::start(new_consumer, start, name.clone(), Arc::clone(&self.health));
        Ok(Box::new(feed.map_err(failed)?))
    }

    async fn lag(&self, topic: Topic, group: &str) -> Result<u64, QueueError> {
        self.ask(group, topic, |consumer, name| {
            let mut partitions = TopicPartitionList::new();
            let ends = ends(consumer, name)?;
            for &number in ends.keys() {
                partitions.add_partition(name, number);
            }
            let committed = consumer.committed_offsets(partitions, REQUEST)?;
            let mut lag = 0;
            for (number, end) in ends {
                let done = committed.find_partition(name, number).map(|e| e.offset());
                let start = match done {
                    Some(Offset::Offset(done)) => done,
                    _ => consumer.fetch_watermarks(name, number, REQUEST)?.0,
                };
                lag += u64::try_from(end - start).unwrap_or(0);
            }
            Ok(lag)
        })
        .await
    }
}

/// The numbers of all partitions of a topic, of which alone `metadata` speaks.
fn numbers(metadata: &Metadata) -> Result<Vec<i32>, KafkaError> {
    let partitions = metadata.topics().first().map_or(&[][..], |t| t.partitions());
    if partitions.is_empty() {
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition));
    }
    Ok(partitions.iter().map(MetadataPartition::id).collect())
}

/// The end of every partition of a topic.
fn ends(consumer: &BaseConsumer<Context>, topic: &str) -> Result<Offsets, KafkaError> {
    let found = numbers(&consumer.fetch_metadata(Some(topic), REQUEST)?)?.into_iter();
    found.map(|number| Ok((number, consumer.fetch_watermarks(topic, number, REQUEST)?.1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// A queue of its own on the broker that `cargo xtask test` starts; `None` without one.
    async fn queue(protocol: GroupProtocol) -> Option<KafkaQueue> {
        let Ok(brokers) = std::env::var("MARQUETRY_TEST_KAFKA") else {
            eprintln!("skipped: MARQUETRY_TEST_KAFKA names no broker; `cargo xtask test` starts one");
            return None;
        };
        let prefix = format!("test-{:016x}", fastrand::u64(..));
        let options = KafkaOptions { prefix, partitions: 6, protocol, ..KafkaOptions::new(&brokers) };
        Some(KafkaQueue::connect(options).await.expect("a broker"))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn keeps_the_contract() {
        if let Some(queue) = queue(GroupProtocol::Auto).await {
            assert!(queue.by_broker, "Kafka 4 assigns partitions itself");
            crate::contract::queue(&queue).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn keeps_the_contract_in_classic_groups() {
        if let Some(queue) = queue(GroupProtocol::Classic).await {
            crate::contract::queue(&queue).await;
        }
    }

    /// A slow consumer with its hands full must stay in its group and lose nothing.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_consumer_waits_and_goes_on() {
        let Some(queue) = queue(GroupProtocol::Auto).await else { return };
        let all = 400_u32;
        let publish = |i: u32| {
            let queue = queue.clone();
            async move { queue.publish(Topic::Tasks, &i.to_string(), Bytes::from(i.to_string())).await }
        };
        futures_util::future::try_join_all((0..all).map(publish)).await.expect("published");
        let mut subscription = queue.subscribe(Topic::Tasks, "workers").await.expect("subscribed");
        let mut seen = std::collections::BTreeSet::new();
        let mut held = VecDeque::new();
        while seen.len() < all as usize {
            let delivery = tokio::time::timeout(Duration::from_mins(1), subscription.receive()).await;
            let delivery = delivery.expect("a message is lost").expect("the queue broke");
            assert!(seen.insert(delivery.payload.clone()), "{:?} came twice", delivery.payload);
            held.push_back(delivery.token);
            // Twenty are in hand all the time: what waits must come all the same.
            if held.len() > 20 {
                let token = held.pop_front().expect("twenty");
                subscription.acknowledge(token).await.expect("acknowledged");
            }
        }
        for token in held {
            subscription.acknowledge(token).await.expect("acknowledged");
        }
        subscription.leave().await;
        assert_eq!(queue.lag(Topic::Tasks, "workers").await.expect("lag"), 0);
    }

    /// A topic may be given more partitions while it is listened to.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_feed_follows_partitions_that_are_added() {
        let Some(queue) = queue(GroupProtocol::Auto).await else { return };
        let mut feed = queue.follow(Topic::Results).await.expect("a feed");
        let publish = async |partition, text: &'static str| {
            let payload = Bytes::from_static(text.as_bytes());
            queue.publish_to(Topic::Results, partition, payload).await.expect("published");
        };
        publish(0, "before").await;
        assert_eq!(feed.next().await.expect("a message"), "before");
        let before = queue.partitions(Topic::Results).await.expect("partitions");
        let admin: AdminClient<Context> =
            create(&base(&queue.options), Context::new(&queue.health)).expect("a client");
        let (topic, after) = (queue.topic(Topic::Results), before as usize + 4);
        let more = rdkafka::admin::NewPartitions::new(&topic, after);
        admin
            .create_partitions([&more], &rdkafka::admin::AdminOptions::new())
            .await
            .expect("partitions are added");
        // By a client that has never seen the topic with fewer.
        let fresh = KafkaQueue::connect(KafkaOptions::clone(&queue.options)).await.expect("a broker");
        let payload = Bytes::from_static(b"after");
        fresh.publish_to(Topic::Results, before + 3, payload).await.expect("published");
        let heard = tokio::time::timeout(Duration::from_mins(2), feed.next()).await.expect("it is heard of");
        assert_eq!(heard.expect("a message"), "after");
        publish(0, "the old ones too").await;
        assert_eq!(feed.next().await.expect("a message"), "the old ones too");
    }

    /// However much the old topic had, and whether its client hears of that or goes deaf.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_feed_reads_on_when_its_topic_is_made_anew() {
        let Some(queue) = queue(GroupProtocol::Auto).await else { return };
        let mut feed = queue.follow(Topic::Results).await.expect("a feed");
        let admin: AdminClient<Context> =
            create(&base(&queue.options), Context::new(&queue.health)).expect("a client");
        for round in 0..4_u8 {
            for n in 0..=round {
                queue
                    .publish_to(Topic::Results, 0, Bytes::copy_from_slice(&[round, n]))
                    .await
                    .expect("published");
            }
            let last = [round, round];
            let heard = async { while feed.next().await.expect("a message") != last[..] {} };
            tokio::time::timeout(Duration::from_mins(2), heard).await.expect("all is heard");
            let topic = queue.topic(Topic::Results);
            let deleted = admin.delete_topics(&[&topic], &rdkafka::admin::AdminOptions::new()).await;
            deleted.expect("the topic is deleted");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_absent_broker_is_named() {
        let options = KafkaOptions { connect_seconds: 1, ..KafkaOptions::new("127.0.0.1:1") };
        let error = KafkaQueue::connect(options).await.err().expect("nobody listens there").to_string();
        assert!(error.contains("127.0.0.1:1") && error.contains("--brokers"), "{error}");
        assert!(error.contains("nobody listens there"), "{error}");
        let options = KafkaOptions { connect_seconds: 2, ..KafkaOptions::new("no-such-host.invalid:9092") };
        let error = KafkaQueue::connect(options).await.err().expect("there is no such name").to_string();
        assert!(error.contains("DNS"), "{error}");
    }
}
