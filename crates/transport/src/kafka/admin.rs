//! What is asked of a broker once, at the start.

use super::context::{Context, Denial, Health};
use super::{KafkaOptions, PAUSE, REQUEST, name};
use crate::{QueueError, Topic};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{FutureProducer, Producer};
use std::time::{Duration, Instant};

/// Partitions of topics that few read.
const RESULT_PARTITIONS: i32 = 8;

/// Waits until a broker answers, and says so meanwhile; the id of one.
pub(super) async fn wait_for_broker(
    producer: &FutureProducer<Context>,
    options: &KafkaOptions,
    health: &Health,
) -> Result<i32, QueueError> {
    let started = Instant::now();
    let limit = Duration::from_secs(options.connect_seconds);
    loop {
        let answer = tokio::select! {
            answer = metadata(producer) => answer,
            denial = health.locked_out() => return Err(denied(options, &denial)),
        };
        match answer {
            Ok(metadata) => {
                if let Some(broker) = metadata.brokers().first() {
                    return Ok(broker.id());
                }
            }
            Err(error) if started.elapsed() >= limit => {
                if let Some(denial) = health.denied() {
                    return Err(denied(options, &denial));
                }
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

fn denied(options: &KafkaOptions, denial: &Denial) -> QueueError {
    let hint = "see what --kafka-config and --kafka say of security.protocol, sasl.* and ssl.*";
    QueueError::Denied {
        queue: format!("Kafka at {}", options.brokers),
        reason: format!("{}; {hint}", denial.reason),
    }
}

/// What the brokers say of themselves and their topics.
async fn metadata(producer: &FutureProducer<Context>) -> Result<Metadata, KafkaError> {
    let producer = producer.clone();
    let asked = tokio::task::spawn_blocking(move || producer.client().fetch_metadata(None, REQUEST)).await;
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
        Err(error) => Some(error.to_string()),
        Ok(results) => results.into_iter().find_map(|result| match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => None,
            Err((topic, code)) => Some(format!("topic {topic}: {code}")),
        }),
    };
    let Some(problem) = problem else { return Ok(()) };
    // Someone who may not make topics may still use those that are there.
    let known = metadata(producer).await;
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
pub(super) async fn assigns_itself(admin: &AdminClient<Context>, broker: i32) -> bool {
    let asked = AdminOptions::new().request_timeout(Some(REQUEST));
    let answer = admin.describe_configs(&[ResourceSpecifier::Broker(broker)], &asked).await;
    let configs = answer.into_iter().flatten().flatten();
    let protocols = configs.flat_map(|resource| resource.entries).find_map(|entry| {
        (entry.name == "group.coordinator.rebalance.protocols").then_some(entry.value).flatten()
    });
    protocols.is_some_and(|p| p.split(',').any(|protocol| protocol.trim() == "consumer"))
}
