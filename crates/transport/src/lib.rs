//! What the three roles speak through: a queue of small messages and a store of objects.
//!
//! Two small traits, [`TaskQueue`] and [`ObjectStore`]. A test in one process is served by [`MemoryQueue`] and
//! [`MemoryStore`], one machine by [`MemoryQueue`] and [`FolderStore`], several by `KafkaQueue` (feature `kafka`) and `S3Store`
//! (feature `s3`). Every body passes the same contract suite (module `contract`). A build without `s3` knows what an
//! `s3://` URI is, and refuses it in words.
//!
//! This crate must not know: jobs, images, scores. Payloads are bytes to it.

mod cached_object;
mod consume;
#[cfg(feature = "contract")]
pub mod contract;
mod error;
mod files;
#[cfg(test)]
mod flaky_store;
mod folder;
#[cfg(feature = "kafka")]
mod kafka;
pub mod lag;
mod memory;
mod memory_store;
mod metered;
mod own_folders;
mod queue;
mod retry;
mod retrying_pages;
mod retrying_store;
#[cfg(feature = "s3")]
mod s3;
#[cfg(not(feature = "s3"))]
#[path = "s3_absent.rs"]
mod s3;
#[path = "s3/options.rs"]
mod s3_options;
mod store;
mod stores;
pub mod uri;
mod waiting;
mod write_behind;

pub use cached_object::CachedObject;
pub use consume::{Drain, consume};
pub use error::{FileError, StoreError, StoreErrorKind};
pub use files::{CacheOptions, FileStamp, FileStat, Files, Listed, LocalFile, RemoteFile};
pub use folder::FolderStore;
#[cfg(feature = "kafka")]
pub use kafka::{GroupProtocol, KafkaOptions, KafkaQueue};
pub use memory::MemoryQueue;
pub use memory_store::MemoryStore;
pub use metered::MeteredStore;
pub use queue::{Delivery, Feed, QueueError, Subscription, TaskQueue, Topic};
pub use retrying_store::RetryingStore;
pub use s3::S3;
#[cfg(feature = "s3")]
pub use s3::S3Store;
pub use s3_options::{S3_LOG_FILTER, S3Credentials, S3Options};
pub use store::{Condition, Content, KEY_BYTES_MAX, ObjectMeta, ObjectStore, Pages, Seen, Version};
pub use stores::Stores;
pub use waiting::{WaitingThreads, waiting};
pub use write_behind::WriteBehindStore;
