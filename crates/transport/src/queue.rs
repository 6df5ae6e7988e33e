//! The queue: small messages, at least once.

use crate::error::Cause;
use async_trait::async_trait;
use bytes::Bytes;
use marquetry_failure::{Classify, FailureClass};

/// The four streams of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Blocks to compute: coordinator to workers.
    Tasks,
    /// What happened: workers and aggregators to the coordinator.
    Results,
    /// Images to put together: coordinator to aggregators.
    Aggregate,
    /// What was given up, with the reason.
    Dead,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 4] = [Self::Tasks, Self::Results, Self::Aggregate, Self::Dead];

    /// The last part of its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Results => "results",
            Self::Aggregate => "aggregate",
            Self::Dead => "dead",
        }
    }
}

/// Why a queue could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// The queue was closed; nothing will come any more.
    #[error("the queue is closed")]
    Closed,
    /// The queue refuses for good: waiting would not help.
    #[error("cannot {doing} {queue}: {reason}")]
    Refused {
        /// What was being done: `write to`, `read from`, `connect to`.
        doing: &'static str,
        /// Which queue, and which topic of it.
        queue: String,
        /// What was found, and what to do about it.
        reason: String,
        /// Who is to blame.
        class: FailureClass,
        /// What the client library said.
        source: Option<Cause>,
    },
    /// The queue does not let us in.
    #[error("{queue} does not let us in: {reason}")]
    Denied {
        /// Which queue.
        queue: String,
        /// What was found, and what to do about it.
        reason: String,
    },
}

impl Classify for QueueError {
    fn class(&self) -> FailureClass {
        match self {
            Self::Closed => FailureClass::Bug,
            Self::Refused { class, .. } => *class,
            Self::Denied { .. } => FailureClass::Config,
        }
    }
}

/// One message, handed out and not yet acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message.
    pub payload: Bytes,
    /// Names this delivery towards the subscription that gave it.
    pub token: u64,
}

/// A queue of small messages.
///
/// # Contract
/// - `publish` returns when the message is safe: as safe as the body can make it (memory: in the queue; a broker:
///   written by all in-sync replicas). While a broker is away it waits for it to come back.
/// - Every message of a topic reaches each *group* at least once. Within a group it goes to one subscription at a time.
/// - A message is finished for its group when it is acknowledged. Those that a subscription was given and did not
///   acknowledge before it was dropped are given out again. Duplicates and any order are to be expected.
/// - A group sees all messages since the topic began, also those from before its first subscription.
/// - A *feed* sees every message that is published after `follow` returned, whoever else reads the topic.
#[async_trait]
pub trait TaskQueue: Send + Sync {
    /// Adds a message. Messages with one `key` stay in order where the body knows order; those with an empty one go
    /// anywhere.
    ///
    /// # Errors
    /// When the queue cannot take it.
    async fn publish(&self, topic: Topic, key: &str, payload: Bytes) -> Result<(), QueueError>;

    /// Into how many partitions `topic` is divided: each is read by one subscription of a group at a time. One, where the
    /// body knows no such thing.
    ///
    /// # Errors
    /// When the queue refuses.
    async fn partitions(&self, topic: Topic) -> Result<u32, QueueError>;

    /// [`publish`](Self::publish) to a partition of the sender's choice, counted from 0. Where there is no such one, to
    /// any.
    ///
    /// # Errors
    /// When the queue cannot take it.
    async fn publish_to(&self, topic: Topic, partition: u32, payload: Bytes) -> Result<(), QueueError>;

    /// Joins `group` on `topic`.
    ///
    /// # Errors
    /// When the queue refuses.
    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Subscription>, QueueError>;

    /// Listens to everything that is published on `topic` from now on.
    ///
    /// # Errors
    /// When the queue refuses.
    async fn follow(&self, topic: Topic) -> Result<Box<dyn Feed>, QueueError>;

    /// Messages of `topic` that `group` has not acknowledged yet, where the body can tell.
    ///
    /// # Errors
    /// When the queue refuses.
    async fn lag(&self, topic: Topic, group: &str) -> Result<u64, QueueError>;
}

/// One member of a group.
#[async_trait]
pub trait Subscription: Send {
    /// Waits for the next message. Safe to cancel: a message is handed out or stays in the queue.
    ///
    /// # Errors
    /// When the queue is closed or lost for good.
    async fn receive(&mut self) -> Result<Delivery, QueueError>;

    /// Finishes a message. In any order; twice is harmless.
    ///
    /// # Errors
    /// When the queue is lost for good.
    async fn acknowledge(&mut self, token: u64) -> Result<(), QueueError>;

    /// Leaves the group, after what was acknowledged is safe: nothing of it is given out again.
    async fn leave(self: Box<Self>);
}

/// A listener that shares with nobody.
#[async_trait]
pub trait Feed: Send {
    /// Waits for the next message. Safe to cancel.
    ///
    /// # Errors
    /// When the queue is closed or lost for good.
    async fn next(&mut self) -> Result<Bytes, QueueError>;
}
