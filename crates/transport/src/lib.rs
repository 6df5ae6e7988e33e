//! What the three roles speak through: a queue of small messages and a store of objects.
//!
//! Two small traits, [`TaskQueue`] and [`ObjectStore`]. The bodies here serve one machine: [`MemoryQueue`] and
//! [`FolderStore`]. Every body passes the same contract suite (module `contract`).
//!
//! This crate must not know: jobs, images, scores. Payloads are bytes to it.

mod consume;
#[cfg(feature = "contract")]
pub mod contract;
mod folder;
mod kafka;
mod memory;
mod queue;
mod store;

pub use consume::{Drain, consume};
pub use folder::FolderStore;
pub use kafka::{GroupProtocol, KafkaOptions, KafkaQueue};
pub use memory::MemoryQueue;
pub use queue::{Delivery, Feed, QueueError, Subscription, TaskQueue, Topic};
pub use store::{ObjectMeta, ObjectStore, StoreError, StoreErrorKind};
