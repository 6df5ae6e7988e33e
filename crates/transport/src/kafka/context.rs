//! What librdkafka has to say, and what is made of it.

use super::backlog::Backlog;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{TopicPartitionList, TopicPartitionListElem};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Whether the broker is there, so that it is said once when it goes and once when it comes back.
pub(super) struct Health {
    brokers: String,
    away: AtomicBool,
    /// What the client library said last of a connection that failed.
    said: Mutex<Option<String>>,
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
        let (away, said) = (AtomicBool::new(false), Mutex::default());
        Self { brokers: brokers.to_owned(), away, said, denied: watch::Sender::new(None) }
    }

    /// Why no connection comes about, as far as the client library has said, and what to look at.
    pub(super) fn obstacle(&self) -> Option<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(match advice(&said) {
            Some(advice) => format!("{said}: {advice}"),
            None => said,
        })
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

/// What to look at when a connection fails like this.
fn advice(said: &str) -> Option<&'static str> {
    let said = said.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["resolve", "not known", "name resolution"]) {
        Some(
            "the name of the broker is not known here; look at its spelling, DNS, and what brokers call themselves (advertised.listeners)",
        )
    } else if has(&[
        "ssl handshake",
        "ssl listener",
        "security.protocol",
        "wrong version number",
        "certificate",
    ]) {
        Some(
            "one side speaks TLS and the other does not, or the certificate is not trusted; look at security.protocol and ssl.*",
        )
    } else if has(&["refused"]) {
        Some("nobody listens there; look at the port, and whether the broker runs")
    } else if has(&["timed out", "timeout"]) {
        Some("nobody answers there; look at the address and at firewalls")
    } else {
        None
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
        use RDKafkaErrorCode::{BrokerTransportFailure, OperationTimedOut, Resolve, SSL};
        if let Some(Resolve | BrokerTransportFailure | OperationTimedOut | SSL) = error.rdkafka_error_code() {
            *self.health.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
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

#[cfg(test)]
mod tests {
    use super::advice;

    /// What librdkafka 2 says, word for word.
    #[test]
    fn names_tls_and_ports_are_told_apart() {
        for (said, word) in [
            (
                "nohost:9092/bootstrap: Failed to resolve 'nohost:9092': Name or service not known (after 3ms in state CONNECT)",
                "DNS",
            ),
            (
                "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
                "listens",
            ),
            (
                "ssl://127.0.0.1:9092/bootstrap: SSL handshake failed: error:0A00010B:SSL routines::wrong version number: connecting to a PLAINTEXT broker listener? (after 2ms in state SSL_HANDSHAKE)",
                "TLS",
            ),
            (
                "127.0.0.1:9093/bootstrap: Disconnected (after 1ms in state APIVERSION_QUERY, might be caused by incorrect security.protocol configuration (connecting to a SSL listener?))",
                "TLS",
            ),
            (
                "10.1.1.1:9092/bootstrap: Connection setup timed out in state CONNECT (after 30028ms in state CONNECT)",
                "firewalls",
            ),
        ] {
            assert!(advice(said).is_some_and(|advice| advice.contains(word)), "{said}");
        }
        assert_eq!(advice("something else"), None);
    }
}
