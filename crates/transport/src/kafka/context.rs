//! What librdkafka has to say, and what is made of it.

use super::backlog::Backlog;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{TopicPartitionList, TopicPartitionListElem};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// Whether the broker is there, so that it is said once when it goes and once when it comes back.
pub(super) struct Health {
    brokers: String,
    away: AtomicBool,
    denied: watch::Sender<Option<Denial>>,
}

/// Why a broker that is there has closed its door.
#[derive(Clone)]
pub(super) struct Denial {
    pub(super) reason: String,
    /// Whether another try would meet the same door. A handshake may also fail since a broker is only just starting.
    lasting: bool,
}

impl Health {
    pub(super) fn new(brokers: &str) -> Self {
        Self { brokers: brokers.to_owned(), away: AtomicBool::new(false), denied: watch::Sender::new(None) }
    }

    /// Why a broker that is there has not let us in, if that is so.
    pub(super) fn denied(&self) -> Option<Denial> {
        self.denied.borrow().clone()
    }

    /// Waits until a broker says that it will never let us in.
    pub(super) async fn locked_out(&self) -> Denial {
        let mut denied = self.denied.subscribe();
        let lasting = denied.wait_for(|denial| denial.as_ref().is_some_and(|d| d.lasting)).await;
        let lasting = lasting.ok().and_then(|denial| denial.clone());
        match lasting {
            Some(denial) => denial,
            None => std::future::pending().await,
        }
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
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => self.health.is_away(reason),
            Some(code @ (RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL)) => {
                self.health.is_away(reason);
                let lasting = code == RDKafkaErrorCode::Authentication;
                self.health.denied.send_replace(Some(Denial { reason: reason.to_owned(), lasting }));
            }
            _ => {}
        }
        tracing::debug!(%error, "librdkafka: {reason}");
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let (Some(backlog), Rebalance::Revoke(partitions)) = (&self.backlog, rebalance) {
            backlog.revoke(&numbers(partitions));
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let (Some(backlog), Rebalance::Assign(partitions)) = (&self.backlog, rebalance) {
            tracing::debug!(partitions = partitions.count(), "assigned");
            backlog.assign(&numbers(partitions));
        }
    }
}

fn numbers(partitions: &TopicPartitionList) -> Vec<i32> {
    partitions.elements().iter().map(TopicPartitionListElem::partition).collect()
}
