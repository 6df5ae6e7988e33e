//! What librdkafka has to say, and what is made of it.

use super::backlog::Backlog;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the broker is there, so that it is said once when it goes and once when it comes back.
pub(super) struct Health {
    brokers: String,
    away: AtomicBool,
}

impl Health {
    pub(super) fn new(brokers: &str) -> Self {
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

    pub(super) fn is_well(&self) {
        if self.away.load(Ordering::Relaxed) && self.away.swap(false, Ordering::Relaxed) {
            tracing::warn!("the Kafka broker {} is back", self.brokers);
        }
    }
}

/// Hears what librdkafka has to say.
pub(super) struct Context {
    pub(super) health: Arc<Health>,
    pub(super) backlog: Option<Arc<Backlog>>,
}

impl Context {
    pub(super) fn new(health: &Arc<Health>) -> Self {
        Self { health: Arc::clone(health), backlog: None }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.health.is_away(reason);
        }
        tracing::debug!(%error, "librdkafka: {reason}");
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let (Some(backlog), Rebalance::Revoke(partitions)) = (&self.backlog, rebalance) {
            backlog.lose(
                &partitions.elements().iter().map(TopicPartitionListElem::partition).collect::<Vec<_>>(),
            );
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let (Some(backlog), Rebalance::Assign(partitions)) = (&self.backlog, rebalance) {
            tracing::debug!(partitions = partitions.count(), "assigned");
            backlog.gain();
        }
    }
}
