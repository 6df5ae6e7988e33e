//! S3 and whatever speaks like it. The only place that knows a client library for it.
//!
//! What third-party stores get wrong is avoided rather than handled: nothing but a lease hangs on a conditional write, no trailing checksums (every
//! request is signed with the hash of its body, so that damage on the way is noticed all the same), no batch deletes,
//! no keys that are prefixes of others.

mod connect;
#[cfg(test)]
pub(crate) mod double;
mod error;
mod read;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod upload;

pub(crate) use read::ObjectFacts;
pub use store::S3Store;

use aws_sdk_s3::Client;
use std::sync::Arc;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

/// What the client library may log if nobody asks for more: it warns of every place where it finds no keys.
pub const S3_LOG_FILTER: &str = "aws_config=error";

/// How a store is reached. What is not said here comes from the standard chain: environment, profile, the machine's
/// role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Options {
    /// URL of the store; Amazon's, unless the environment or the profile names one.
    pub endpoint: Option<String>,
    /// Region to sign for.
    pub region: Option<String>,
    /// Whether the bucket stands in the path rather than in the host name. If not given: wherever an endpoint is.
    pub path_style: Option<bool>,
    /// Most requests in flight at once.
    pub parallel: usize,
    /// Most tries of one request.
    pub attempts: u32,
    /// Keys to sign with, instead of those that the chain finds.
    pub credentials: Option<S3Credentials>,
}

impl Default for S3Options {
    fn default() -> Self {
        Self { endpoint: None, region: None, path_style: None, parallel: 64, attempts: 5, credentials: None }
    }
}

/// A pair of keys.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Credentials {
    /// Its public half.
    pub access_key: String,
    /// Its secret half.
    pub secret_key: String,
}

impl std::fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S3Credentials({}, secret)", self.access_key)
    }
}

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
        Self { shared: Arc::new(Shared { options, connected: OnceCell::new(), in_flight }) }
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
