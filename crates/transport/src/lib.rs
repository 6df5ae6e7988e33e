//! What the three roles speak through: a queue of small messages and a store of objects.
//!
//! Two small traits, [`TaskQueue`] and [`ObjectStore`]. One machine is served by [`MemoryQueue`] and
//! [`FolderStore`], several by [`KafkaQueue`] and [`S3Store`]. Every body passes the same contract suite (module `contract`).
//!
//! This crate must not know: jobs, images, scores. Payloads are bytes to it.

mod blocking;
mod cache;
mod consume;
#[cfg(feature = "contract")]
pub mod contract;
mod files;
mod folder;
mod kafka;
mod known;
mod memory;
mod metered;
mod patient;
mod queue;
mod remote;
mod s3;
mod store;
mod stores;
pub mod uri;

pub use cache::{CacheOptions, LocalFile};
pub use consume::{Drain, consume};
pub use files::{FileError, FileStat, Files, Listed};
pub use folder::FolderStore;
pub use kafka::{GroupProtocol, KafkaOptions, KafkaQueue};
pub use known::Known;
pub use memory::MemoryQueue;
pub use metered::MeteredStore;
pub use patient::PatientStore;
pub use queue::{Delivery, Feed, QueueError, Subscription, TaskQueue, Topic};
pub use remote::RemoteFile;
pub use s3::{S3, S3_LOG_FILTER, S3Credentials, S3Options, S3Store};
pub use store::{Condition, ObjectMeta, ObjectStore, StoreError, StoreErrorKind, Version};
pub use stores::Stores;
