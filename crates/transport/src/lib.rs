//! What the three roles speak through: a queue of small messages and a store of objects.
//!
//! Two small traits, [`TaskQueue`] and [`ObjectStore`]. One machine is served by [`MemoryQueue`] and
//! [`FolderStore`], several by `KafkaQueue` (feature `kafka`) and `S3Store` (feature `s3`). Every body passes the same
//! contract suite (module `contract`). A build without `s3` knows what an `s3://` URI is, and refuses it in words.
//!
//! This crate must not know: jobs, images, scores. Payloads are bytes to it.

mod blocking;
mod cache;
mod consume;
#[cfg(feature = "contract")]
pub mod contract;
mod files;
mod folder;
#[cfg(feature = "kafka")]
mod kafka;
mod known;
mod memory;
mod metered;
mod patient;
mod queue;
mod remote;
#[cfg(feature = "s3")]
mod s3;
#[cfg(not(feature = "s3"))]
#[path = "s3_absent.rs"]
mod s3;
mod s3_options;
mod store;
mod stores;
pub mod uri;

pub use cache::{CacheOptions, LocalFile};
pub use consume::{Drain, consume};
pub use files::{FileError, FileStat, Files, Listed};
pub use folder::FolderStore;
#[cfg(feature = "kafka")]
pub use kafka::{GroupProtocol, KafkaOptions, KafkaQueue};
pub use known::Known;
pub use memory::MemoryQueue;
pub use metered::MeteredStore;
pub use patient::PatientStore;
pub use queue::{Delivery, Feed, QueueError, Subscription, TaskQueue, Topic};
pub use remote::RemoteFile;
pub use s3::S3;
#[cfg(feature = "s3")]
pub use s3::S3Store;
pub use s3_options::{S3_LOG_FILTER, S3Credentials, S3Options};
pub use store::{ObjectMeta, ObjectStore, StoreError, StoreErrorKind};
pub use stores::Stores;
