//! How the roles of a cluster reach their broker.

use crate::exit::{Exit, Fatal};
use clap::{Args, ValueEnum};
#[cfg(feature = "kafka")]
use marquetry_transport::{GroupProtocol, KafkaOptions, KafkaQueue};
use marquetry_transport::{QueueError, TaskQueue};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the Kafka broker is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Kafka")]
pub(crate) struct Broker {
    /// Kafka brokers: host:port, several with commas between.
    #[arg(long, value_name = "HOST:PORT", env = "MARQUETRY_BROKERS")]
    brokers: String,
    /// What the names of topics and groups begin with. Roles that share it share their work.
    #[arg(long, value_name = "NAME", env = "MARQUETRY_TOPIC_PREFIX", default_value = "marquetry", value_parser = topic_prefix)]
    topic_prefix: String,
    /// A file of `name=value` lines with settings of librdkafka, such as security.protocol and sasl.password.
    #[arg(long, value_name = "FILE", env = "MARQUETRY_KAFKA_CONFIG")]
    kafka_config: Option<PathBuf>,
    /// One setting of librdkafka; may be given several times. For passwords use the file.
    #[arg(long = "kafka", value_name = "NAME=VALUE")]
    kafka: Vec<String>,
    /// Partitions of topics that are not there yet: at most so many workers are busy at a time.
    #[arg(long, value_name = "N", env = "MARQUETRY_PARTITIONS", default_value_t = 64, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    partitions: i32,
    /// Replicas of topics that are not there yet [default: the broker's].
    #[arg(long, value_name = "N", env = "MARQUETRY_REPLICATION", value_parser = clap::value_parser!(i32).range(1..=10))]
    replication: Option<i32>,
    /// How members of a group agree on who reads what: `consumer` is the broker's own way (KIP-848, Kafka 4), `auto`
    /// takes it where the broker has it.
    #[arg(long, value_enum, env = "MARQUETRY_GROUP_PROTOCOL", default_value = "auto")]
    group_protocol: Protocol,
    /// How long to wait for a broker at the start, in seconds.
    #[arg(long, value_name = "SECONDS", env = "MARQUETRY_CONNECT_SECONDS", default_value_t = 60)]
    connect_seconds: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Protocol {
    Auto,
    Consumer,
    Classic,
}

/// Kafka's own rule for names.
fn topic_prefix(text: &str) -> Result<String, String> {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=200).contains(&text.len()) && text.chars().all(sound) {
        return Ok(text.to_owned());
    }
    Err("1 to 200 of the characters a-z A-Z 0-9 . _ - are allowed".into())
}

#[cfg(not(feature = "kafka"))]
#[expect(clippy::unused_async, reason = "called as where there is a client")]
impl Broker {
    /// Refuses: there is nothing to connect with.
    pub(crate) async fn connect(&self) -> Result<Arc<dyn TaskQueue>, Fatal> {
        Err(absent())
    }
}

/// What a command that needs a broker says in a build without Kafka's client.
#[cfg(not(feature = "kafka"))]
pub(crate) fn absent() -> Fatal {
    Fatal::new(
        Exit::BadConfig,
        "this build of Marquetry has no Kafka client; build it with the feature `kafka`",
    )
}

#[cfg(feature = "kafka")]
impl Broker {
    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Arc<dyn TaskQueue>, Fatal> {
        let options = self.options().map_err(|reason| Fatal::new(Exit::BadConfig, reason))?;
        Ok(Arc::new(KafkaQueue::connect(options).await.map_err(lost_queue)?))
    }

    fn options(&self) -> Result<KafkaOptions, String> {
        let mut options = KafkaOptions {
            prefix: self.topic_prefix.clone(),
            partitions: self.partitions,
            replication: self.replication.unwrap_or(-1),
            protocol: match self.group_protocol {
                Protocol::Auto => GroupProtocol::Auto,
                Protocol::Consumer => GroupProtocol::Consumer,
                Protocol::Classic => GroupProtocol::Classic,
            },
            connect_seconds: self.connect_seconds,
            ..KafkaOptions::new(&self.brokers)
        };
        if let Some(path) = &self.kafka_config {
            options.set_from_file(path)?;
        }
        for setting in &self.kafka {
            let (name, value) = setting
                .split_once('=')
                .ok_or_else(|| format!("--kafka {setting}: a setting is NAME=VALUE"))?;
            options.set(name, value)?;
        }
        Ok(options)
    }
}

/// A queue that is lost ends the process: whoever watches over it starts it again.
pub(crate) fn lost_queue(error: QueueError) -> Fatal {
    match error {
        QueueError::Closed => Fatal::new(Exit::Bug, "the queue was closed while it was in use"),
        error @ QueueError::Refused { .. } => Fatal::new(Exit::Unavailable, error),
        error @ QueueError::Denied { .. } => Fatal::new(Exit::BadConfig, error),
    }
}
