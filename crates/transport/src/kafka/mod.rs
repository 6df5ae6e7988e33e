//! The queue of a cluster: Apache Kafka, by librdkafka. The only file that names it.
//!
//! - A subscription is polled by a task of its own, whatever its user does: a member that does not poll stops the whole
//!   group. What is received goes to a backlog; partitions pause when that is full and resume when it is nearly empty.
//! - Offsets are committed late, up to the end of what is finished without a gap ([`tracker`]).
//! - Producers are idempotent and wait for all in-sync replicas. No transactions: their markers keep the lag above zero
//!   for ever.

mod backlog;
mod options;
mod tracker;

use crate::{Delivery, Feed, QueueError, Subscription, TaskQueue, Topic};
use async_trait::async_trait;
use backlog::{Backlog, Flow};
use bytes::Bytes;
pub use options::{GroupProtocol, KafkaOptions};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::metadata::Metadata;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// One request to the broker.
const REQUEST: Duration = Duration::from_secs(10);
/// Between a failure that may pass and the next try.
const PAUSE: Duration = Duration::from_millis(300);
/// Partitions of topics that few read.
const RESULT_PARTITIONS: i32 = 8;

/// A queue on a Kafka broker.
#[derive(Clone)]
pub struct KafkaQueue {
    options: Arc<KafkaOptions>,
    producer: FutureProducer<Context>,
    /// Whether groups are assigned by the broker.
    by_broker: bool,
    health: Arc<Health>,
}

impl KafkaQueue {
    /// Connects, and makes the topics that are missing.
    ///
    /// # Errors
    /// When no broker answers within the options' time, or it refuses.
    pub async fn connect(options: KafkaOptions) -> Result<Self, QueueError> {
        let options = Arc::new(options);
        let health = Arc::new(Health::new(&options.brokers));
        let admin: Arc<AdminClient<Context>> = create(&base(&options), Context::new(&health))
            .map(Arc::new)
            .map_err(|e| refused("connect to", &options.brokers, &e))?;
        let brokers = wait_for_broker(&admin, &options).await?;
        make_topics(&admin, &options).await?;
        let by_broker = match options.protocol {
            GroupProtocol::Consumer => true,
            GroupProtocol::Classic => false,
            GroupProtocol::Auto => assigns_itself(&admin, brokers).await,
        };
        let mut config = base(&options);
        config
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            // A message waits for the broker to come back for as long as that takes.
            .set("message.timeout.ms", "0");
        let producer = create(&config, Context::new(&health))
            .map_err(|e| refused("connect to", &options.brokers, &e))?;
        tracing::info!(brokers = options.brokers, by_broker, "connected to Kafka");
        Ok(Self { options, producer, by_broker, health })
    }

    fn topic(&self, topic: Topic) -> String {
        name(&self.options, topic)
    }

    fn group(&self, group: &str) -> String {
        format!("{}.{group}", self.options.prefix)
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
            loop {
                match ask(&consumer, &name) {
                    // The broker is away, or is only now learning of the topic.
                    Err(error) if may_pass(&error) => {
                        tracing::debug!(%error, "asking again");
                        std::thread::sleep(PAUSE);
                    }
                    other => return other,
                }
            }
        };
        let asked = tokio::task::spawn_blocking(work).await;
        let place = format!("topic {shown} at {brokers}");
        match asked {
            Ok(result) => result.map_err(|e| refused("read from", &place, &e)),
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

fn refused(doing: &'static str, queue: &str, error: &KafkaError) -> QueueError {
    QueueError::Refused { doing, queue: format!("Kafka, {queue}"), reason: error.to_string() }
}

/// Waits until a broker answers, and says so meanwhile; the id of one.
async fn wait_for_broker(
    admin: &Arc<AdminClient<Context>>,
    options: &KafkaOptions,
) -> Result<i32, QueueError> {
    let started = Instant::now();
    let limit = Duration::from_secs(options.connect_seconds);
    loop {
        match metadata(admin).await {
            Ok(metadata) => {
                if let Some(broker) = metadata.brokers().first() {
                    return Ok(broker.id());
                }
            }
            Err(error) if started.elapsed() >= limit => {
                return Err(QueueError::Refused {
                    doing: "connect to",
                    queue: format!("Kafka at {}", options.brokers),
                    reason: format!(
                        "no broker answered for {} s ({error}); start it, or name the right one with --brokers",
                        started.elapsed().as_secs()
                    ),
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no Kafka broker answers at {}; trying again", options.brokers);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What the brokers say of themselves and their topics.
async fn metadata(admin: &Arc<AdminClient<Context>>) -> Result<Metadata, KafkaError> {
    let admin = Arc::clone(admin);
    let asked = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(None, REQUEST)).await;
    asked.unwrap_or(Err(KafkaError::Canceled))
}

async fn make_topics(admin: &Arc<AdminClient<Context>>, options: &KafkaOptions) -> Result<(), QueueError> {
    let names: Vec<(Topic, String)> = Topic::ALL.iter().map(|t| (*t, name(options, *t))).collect();
    let topics: Vec<NewTopic<'_>> = names
        .iter()
        .map(|(topic, name)| {
            let partitions = match topic {
                Topic::Tasks | Topic::Aggregate => options.partitions,
                Topic::Results | Topic::Dead => RESULT_PARTITIONS,
            };
            NewTopic::new(name, partitions, TopicReplication::Fixed(options.replication))
        })
        .collect();
    let asked = AdminOptions::new().operation_timeout(Some(REQUEST)).request_timeout(Some(REQUEST));
    let made = admin.create_topics(&topics, &asked).await;
    let problem = match made {
        Err(error) => Some(error.to_string()),
        Ok(results) => results.into_iter().find_map(|result| match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => None,
            Err((topic, code)) => Some(format!("topic {topic}: {code}")),
        }),
    };
    let Some(problem) = problem else { return Ok(()) };
    // Someone who may not make topics may still use those that are there.
    let known = metadata(admin).await;
    let is_there = |name: &String| {
        known
            .as_ref()
            .is_ok_and(|m| m.topics().iter().any(|t| t.name() == name && !t.partitions().is_empty()))
    };
    if names.iter().all(|(_, name)| is_there(name)) {
        return Ok(());
    }
    Err(QueueError::Refused {
        doing: "make topics in",
        queue: format!("Kafka at {}", options.brokers),
        reason: format!("{problem}; make {} by hand, or allow this user to", {
            let all: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
            all.join(", ")
        }),
    })
}

/// Whether the broker assigns partitions itself (KIP-848). One that does not say is taken not to.
async fn assigns_itself(admin: &AdminClient<Context>, broker: i32) -> bool {
    let asked = AdminOptions::new().request_timeout(Some(REQUEST));
    let answer = admin.describe_configs(&[ResourceSpecifier::Broker(broker)], &asked).await;
    let configs = answer.into_iter().flatten().flatten();
    let protocols = configs.flat_map(|resource| resource.entries).find_map(|entry| {
        (entry.name == "group.coordinator.rebalance.protocols").then_some(entry.value).flatten()
    });
    protocols.is_some_and(|p| p.split(',').any(|protocol| protocol.trim() == "consumer"))
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
        let name = self.topic(topic);
        loop {
            let record = FutureRecord::to(&name).key(key).payload(&payload[..]);
            match self.producer.send(record, Timeout::Never).await {
                Ok(_) => {
                    self.health.is_well();
                    return Ok(());
                }
                Err((error, _)) if may_pass(&error) => {
                    tracing::warn!(%error, topic = name, "a message was not taken; sending it again");
                    tokio::time::sleep(PAUSE).await;
                }
                Err((error, _)) => return Err(refused("write to", &format!("topic {name}"), &error)),
            }
        }
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
        let backlog = Arc::new(Backlog::default());
        let context = Context { health: Arc::clone(&self.health), backlog: Some(Arc::clone(&backlog)) };
        let failed = |e: KafkaError| refused("read from", &format!("topic {name}"), &e);
        let consumer: StreamConsumer<Context> = create(&config, context).map_err(failed)?;
        consumer.subscribe(&[&name]).map_err(failed)?;
        let consumer = Arc::new(consumer);
        let polling =
            poll(Arc::clone(&consumer), Arc::clone(&backlog), name.clone(), Arc::clone(&self.health));
        let polling = tokio::spawn(polling);
        Ok(Box::new(KafkaSubscription { consumer: Some(consumer), backlog, topic: name, polling }))
    }

    async fn follow(&self, topic: Topic) -> Result<Box<dyn Feed>, QueueError> {
        // No such group is ever joined; the client library wants a name all the same.
        let group = format!("feed-{:016x}", fastrand::u64(..));
        let assignment = self.ask(&group, topic, |consumer, name| ends(consumer, name)).await?;
        let mut config = base(&self.options);
        config.set("group.id", self.group(&group)).set("enable.auto.commit", "false");
        let name = self.topic(topic);
        let failed = |e: KafkaError| refused("read from", &format!("topic {name}"), &e);
        let consumer: StreamConsumer<Context> =
            create(&config, Context::new(&self.health)).map_err(failed)?;
        consumer.assign(&assignment).map_err(failed)?;
        Ok(Box::new(KafkaFeed { consumer, topic: name, health: Arc::clone(&self.health) }))
    }

    async fn lag(&self, topic: Topic, group: &str) -> Result<u64, QueueError> {
        self.ask(group, topic, |consumer, name| {
            let mut partitions = TopicPartitionList::new();
            let ends = ends(consumer, name)?;
            ends.elements().iter().for_each(|e| {
                partitions.add_partition(name, e.partition());
            });
            let committed = consumer.committed_offsets(partitions, REQUEST)?;
            let mut lag = 0;
            for element in ends.elements() {
                let Offset::Offset(end) = element.offset() else { continue };
                let done = committed.find_partition(name, element.partition()).map(|e| e.offset());
                let start = match done {
                    Some(Offset::Offset(done)) => done,
                    _ => consumer.fetch_watermarks(name, element.partition(), REQUEST)?.0,
                };
                lag += u64::try_from(end - start).unwrap_or(0);
            }
            Ok(lag)
        })
        .await
    }
}

/// The end of every partition of a topic.
fn ends(consumer: &BaseConsumer<Context>, topic: &str) -> Result<TopicPartitionList, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), REQUEST)?;
    let mut ends = TopicPartitionList::new();
    let partitions = metadata.topics().first().map_or(&[][..], |t| t.partitions());
    if partitions.is_empty() {
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition));
    }
    for partition in partitions {
        let (_, end) = consumer.fetch_watermarks(topic, partition.id(), REQUEST)?;
        ends.add_partition_offset(topic, partition.id(), Offset::Offset(end))?;
    }
    Ok(ends)
}

/// Whether the broker is there, so that it is said once when it goes and once when it comes back.
struct Health {
    brokers: String,
    away: AtomicBool,
}

impl Health {
    fn new(brokers: &str) -> Self {
        Self { brokers: brokers.to_owned(), away: AtomicBool::new(false) }
    }

    fn is_away(&self, reason: &str) {
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the Kafka broker {} is away ({reason}); work goes on when it is back",
                self.brokers
            );
        }
    }

    fn is_well(&self) {
        if self.away.load(Ordering::Relaxed) && self.away.swap(false, Ordering::Relaxed) {
            tracing::warn!("the Kafka broker {} is back", self.brokers);
        }
    }
}

/// Hears what librdkafka has to say.
struct Context {
    health: Arc<Health>,
    backlog: Option<Arc<Backlog>>,
}

impl Context {
    fn new(health: &Arc<Health>) -> Self {
        Self { health: Arc::clone(health), backlog: None }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => self.health.is_away(reason),
            _ => tracing::debug!(%error, "librdkafka: {reason}"),
        }
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let (Some(backlog), Rebalance::Revoke(partitions)) = (&self.backlog, rebalance) {
            backlog.lose(&partitions.elements().iter().map(|e| e.partition()).collect::<Vec<_>>());
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let (Some(backlog), Rebalance::Assign(partitions)) = (&self.backlog, rebalance) {
            tracing::debug!(partitions = partitions.count(), "assigned");
            backlog.gain();
        }
    }
}

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

struct KafkaSubscription {
    /// Given away when the subscription ends.
    consumer: Option<Arc<StreamConsumer<Context>>>,
    backlog: Arc<Backlog>,
    topic: String,
    polling: JoinHandle<()>,
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

struct KafkaFeed {
    consumer: StreamConsumer<Context>,
    topic: String,
    health: Arc<Health>,
}

#[async_trait]
impl Feed for KafkaFeed {
    async fn next(&mut self) -> Result<Bytes, QueueError> {
        loop {
            match self.consumer.recv().await {
                Ok(message) => {
                    self.health.is_well();
                    return Ok(Bytes::copy_from_slice(message.payload().unwrap_or_default()));
                }
                Err(error) if may_pass(&error) => {
                    tracing::debug!(%error, topic = self.topic, "receiving again");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(refused("read from", &format!("topic {}", self.topic), &error)),
            }
        }
    }
}
