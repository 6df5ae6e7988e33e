//! What is asked of a broker once, at the start.

use super::context::{Context, Denial, Health};
use super::{KafkaOptions, PAUSE, REQUEST, name};
use crate::error::Cause;
use crate::retry::even_pauses;
use crate::{QueueError, Topic};
use backon::Retryable;
use marquetry_failure::FailureClass;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataBroker};
use rdkafka::producer::{FutureProducer, Producer};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Partitions of topics that few read.
const RESULT_PARTITIONS: i32 = 8;

/// Why no broker could be talked to.
enum NoBroker {
    Denied(Denial),
    /// It may only be starting. Without an error it knows of no broker, not even of itself.
    Silent(Option<KafkaError>),
}

/// Waits until a broker answers, and says so meanwhile; the id of one.
pub(super) async fn wait_for_broker(
    producer: &FutureProducer<Context>,
    options: &KafkaOptions,
    health: &Health,
) -> Result<i32, QueueError> {
    let started = Instant::now();
    let limit = Duration::from_secs(options.connect_seconds);
    let ask = || async {
        let answer = tokio::select! {
            answer = metadata(producer, limit.saturating_sub(started.elapsed())) => answer,
            denial = health.locked_out() => return Err(NoBroker::Denied(denial)),
        };
        let metadata = answer.map_err(|error| NoBroker::Silent(Some(error)))?;
        metadata.brokers().first().map(MetadataBroker::id).ok_or(NoBroker::Silent(None))
    };
    let found = ask
        .retry(even_pauses(PAUSE))
        .when(|error| matches!(error, NoBroker::Silent(_)) && started.elapsed() < limit)
        .notify(|error, _| {
            if let NoBroker::Silent(Some(error)) = error {
                let why = health.obstacle().unwrap_or_else(|| error.to_string());
                tracing::warn!("no Kafka broker answers at {} ({why}); trying again", options.brokers);
            }
        })
        .await;
    found.map_err(|error| match (error, health.denied()) {
        (NoBroker::Denied(denial), _) | (NoBroker::Silent(_), Some(denial)) => denied(options, &denial),
        (NoBroker::Silent(error), None) => {
            silent(options, started.elapsed().as_secs(), error, health.obstacle())
        }
    })
}

fn silent(
    options: &KafkaOptions,
    seconds: u64,
    error: Option<KafkaError>,
    obstacle: Option<String>,
) -> QueueError {
    let said = obstacle.or_else(|| error.as_ref().map(ToString::to_string));
    let said = said.unwrap_or_else(|| "it names none".to_owned());
    QueueError::Refused {
        doing: "connect to",
        queue: format!("Kafka at {}", options.brokers),
        reason: format!(
            "no broker answered for {seconds} s ({said}); start it, or name the right one with --brokers"
        ),
        class: FailureClass::Passing,
        source: error.map(|error| Arc::new(error) as Cause),
    }
}

fn denied(options: &KafkaOptions, denial: &Denial) -> QueueError {
    let hint = "see what --kafka-config and --kafka say of security.protocol, sasl.* and ssl.*";
    QueueError::Denied {
        queue: format!("Kafka at {}", options.brokers),
        reason: format!("{}; {hint}", denial.reason),
    }
}

/// What the brokers say of themselves and their topics.
async fn metadata(producer: &FutureProducer<Context>, patience: Duration) -> Result<Metadata, KafkaError> {
    let (producer, patience) = (producer.clone(), patience.clamp(PAUSE, REQUEST));
    let asked = tokio::task::spawn_blocking(move || producer.client().fetch_metadata(None, patience)).await;
    asked.unwrap_or(Err(KafkaError::Canceled))
}

pub(super) async fn make_topics(
    admin: &AdminClient<Context>,
    producer: &FutureProducer<Context>,
    options: &KafkaOptions,
) -> Result<(), QueueError> {
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
        Err(error) => Some((error.to_string(), Arc::new(error) as Cause)),
        Ok(results) => results.into_iter().find_map(|result| match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => None,
            Err((topic, code)) => Some((format!("topic {topic}: {code}"), Arc::new(code) as Cause)),
        }),
    };
    warn_of_few_partitions(producer, options).await;
    let Some((problem, cause)) = problem else { return Ok(()) };
    // Someone who may not make topics may still use those that are there.
    let known = metadata(producer, REQUEST).await;
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
        class: FailureClass::Config,
        source: Some(cause),
    })
}

/// Says it when a topic that was there has fewer partitions than are wanted: those who find none to read idle.
async fn warn_of_few_partitions(producer: &FutureProducer<Context>, options: &KafkaOptions) {
    let Ok(known) = metadata(producer, REQUEST).await else { return };
    for topic in [Topic::Tasks, Topic::Aggregate].map(|topic| name(options, topic)) {
        let found =
            known.topics().iter().find(|known| known.name() == topic).map_or(0, |t| t.partitions().len());
        if (1..options.partitions as usize).contains(&found) {
            tracing::warn!(
                "topic {topic} has {found} partitions, fewer than --partitions {}: so many processes at most have work \
                 at a time; `kafka-topics --alter --topic {topic} --partitions {}` adds some, and a coordinator that \
                 starts after that uses them",
                options.partitions,
                options.partitions
            );
        }
    }
}

/// Whether the broker assigns partitions itself (KIP-848). One that does not say is taken not to.
pub(super) async fn assigns_itself(admin: &AdminClient<Context>, broker: i32) -> bool {
    let asked = AdminOptions::new().request_timeout(Some(REQUEST));
    let answer = admin.describe_configs(&[ResourceSpecifier::Broker(broker)], &asked).await;
    let configs = answer.into_iter().flatten().flatten();
    let protocols = configs.flat_map(|resource| resource.entries).find_map(|entry| {
        (entry.name == "group.coordinator.rebalance.protocols").then_some(entry.value).flatten()
    });
    protocols.is_some_and(|p| p.split(',').any(|protocol| protocol.trim() == "consumer"))
}
