//! S3 and whatever speaks like it. The only place that knows a client library for it.
//!
//! What third-party stores get wrong is avoided rather than handled: nothing but a lease hangs on a conditional write, no trailing checksums (every
//! request is signed with the hash of its body, so that damage on the way is noticed all the same), no keys that are prefixes of others.

mod connect;
#[cfg(test)]
pub(crate) mod double;
mod error;
mod read;
mod remove;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod upload;

pub(crate) use read::ObjectFacts;
pub use store::S3Store;

use crate::S3Options;
use aws_sdk_s3::Client;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

/// A client. Cheap to make and to clone; it looks for credentials and connects when it is first used.
#[derive(Debug, Clone)]
pub struct S3 {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: S3Options,
    connected: OnceCell<Connected>,
    in_flight: Semaphore,
    /// Until a store has refused it.
    removes_many: AtomicBool,
}

#[derive(Debug)]
struct Connected {
    client: Client,
    /// For messages, and to tell stores apart.
    endpoint: String,
}

impl S3 {
    /// A client with these options.
    pub fn new(options: S3Options) -> Self {
        let in_flight = Semaphore::new(options.parallel.max(1));
        Self {
            shared: Arc::new(Shared {
                options,
                connected: OnceCell::new(),
                in_flight,
                removes_many: AtomicBool::new(true),
            }),
        }
    }

    async fn connected(&self) -> &Connected {
        let connect = || connect::connect(&self.shared.options);
        self.shared.connected.get_or_init(connect).await
    }

    /// The URL that requests go to, or the name of the service.
    pub(crate) async fn endpoint(&self) -> &str {
        &self.connected().await.endpoint
    }

    /// How many requests one operation may have in flight.
    fn width(&self) -> usize {
        self.shared.options.parallel.clamp(1, upload::PARTS_IN_FLIGHT)
    }

    /// Waits until another request may be sent.
    async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes the semaphore, so there is always a permit.
        self.shared.in_flight.acquire().await.ok()
    }
}
