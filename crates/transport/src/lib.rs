//! What the three roles speak through: a queue of small messages and a store of objects.
//!
//! Two small traits, [`TaskQueue`] and [`ObjectStore`]. A test in one process is served by [`MemoryQueue`] and
//! [`MemoryStore`], one machine by [`MemoryQueue`] and [`FolderStore`], several by [`KafkaQueue`] and [`S3Store`]. Every
//! body passes the same contract suite (module `contract`).
//!
//! This crate must not know: jobs, images, scores. Payloads are bytes to it.

mod cached_object;
mod consume;
#[cfg(feature = "contract")]
pub mod contract;
mod error;
mod files;
mod folder;
mod kafka;
mod memory;
mod memory_store;
mod metered;
mod queue;
mod retry;
mod retrying_store;
mod s3;
mod store;
mod stores;
pub mod uri;

pub use cached_object::CachedObject;
pub use consume::{Drain, consume};
pub use error::{FileError, StoreError, StoreErrorKind};
pub use files::{CacheOptions, FileStat, Files, Listed, LocalFile, RemoteFile};
pub use folder::FolderStore;
pub use kafka::{GroupProtocol, KafkaOptions, KafkaQueue};
pub use memory::MemoryQueue;
pub use memory_store::MemoryStore;
pub use metered::MeteredStore;
pub use queue::{Delivery, Feed, QueueError, Subscription, TaskQueue, Topic};
pub use retrying_store::RetryingStore;
pub use s3::{S3, S3_LOG_FILTER, S3Credentials, S3Options, S3Store};
pub use store::{Condition, ObjectMeta, ObjectStore, Version};
pub use stores::Stores;
