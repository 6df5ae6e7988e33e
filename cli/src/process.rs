//! What every long-lived role has: threads, a folder for unfinished files, stores.

use crate::exit::{Exit, Fatal};
use crate::job::start_tokio;
use crate::storage::{Storage, StorageArgs};
use clap::{Args, ValueEnum};
use marquetry_telemetry::{Health, Metrics, Server, serve};
use marquetry_transport::{Drain, Files, ObjectStore, Stores};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How the process of a role behaves.
#[derive(Debug, Default, Args)]
pub(crate) struct ProcessArgs {
    /// What the role calls itself in the status of jobs [default: the host's name and the process's number].
    #[arg(long, value_name = "NAME", env = "MARQUETRY_NAME")]
    name: Option<String>,
    /// Serve /metrics, /healthz and /readyz at this address, such as 0.0.0.0:9464.
    #[arg(long, value_name = "ADDRESS", env = "MARQUETRY_METRICS")]
    metrics: Option<String>,
    /// How the log is written.
    #[arg(long, value_enum, env = "MARQUETRY_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: LogKind,
}

/// How a log is written.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum LogKind {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object on each line.
    Json,
}

/// How a worker or an aggregator ends when it is asked to.
#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    /// How long what is in hand may take to be finished after SIGTERM, in seconds; the rest goes to others.
    #[arg(long, value_name = "SECONDS", env = "MARQUETRY_GRACE_SECONDS", default_value_t = 60)]
    pub(crate) grace_seconds: u64,
}

/// A process of one role.
pub(crate) struct Process {
    tokio: tokio::runtime::Runtime,
    storage: Storage,
    scratch: tempfile::TempDir,
    name: String,
    metrics: Metrics,
    health: Health,
    /// Serves as long as the process lives.
    server: Option<Server>,
}

/// How long workers and aggregators wait for files in a bucket that is away.
pub(crate) const RETRY_TIMEOUT: Duration = Duration::from_mins(30);
/// What a role waits for before it can work.
const QUEUE: &str = "Kafka";
const SELF: &str = "self-test";

impl Process {
    /// Starts what a role needs. Files in a bucket that is away are waited for as long as `retry_timeout`.
    pub(crate) fn start(
        args: &ProcessArgs,
        storage: &StorageArgs,
        retry_timeout: Duration,
    ) -> Result<Self, Fatal> {
        let tokio = start_tokio()?;
        let (metrics, health) = (Metrics::new(), Health::new());
        health.set(QUEUE, Err("waiting for Kafka".into()));
        health.set(SELF, Err("trying what it needs".into()));
        let server = match &args.metrics {
            Some(address) => {
                let serving = serve(address, metrics.clone(), health.clone());
                Some(tokio.block_on(serving).map_err(|e| Fatal::new(Exit::BadConfig, e))?)
            }
            None => None,
        };
        let storage = storage.open(&tokio, retry_timeout, &metrics);
        let scratch = tempfile::Builder::new()
            .prefix("marquetry-")
            .tempdir()
            .map_err(|e| Fatal::new(Exit::Unavailable, format!("cannot make a temporary folder: {e}")))?;
        let name = args.name.clone().unwrap_or_else(|| format!("{}-{}", host(), std::process::id()));
        Ok(Self { tokio, storage, scratch, name, metrics, health, server })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the role counts.
    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Says that the role can work.
    pub(crate) fn readiness(&self) -> impl FnOnce() + use<> {
        let health = self.health.clone();
        move || {
            health.set(SELF, Ok(()));
            health.set(QUEUE, Ok(()));
        }
    }

    pub(crate) const fn stores(&self) -> &Stores {
        &self.storage.stores
    }

    /// The threads that requests run on.
    pub(crate) fn runtime(&self) -> tokio::runtime::Handle {
        self.tokio.handle().clone()
    }

    /// Where images, models and job files are read from.
    pub(crate) const fn files(&self) -> &Files {
        &self.storage.files
    }

    /// A folder for unfinished files, gone with the process.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// The store at `uri`.
    pub(crate) fn store(&self, uri: &str) -> Result<Arc<dyn ObjectStore>, Fatal> {
        let opened = self.tokio.block_on(self.storage.stores.open_now(uri));
        opened.map_err(|error| Fatal::of_named_store(&error))
    }

    /// Waits until someone has read the metrics as they are at the end, where they are served: but not for longer than
    /// `linger`, and not when the process is asked to stop.
    pub(crate) fn last_look(&mut self, linger: Duration) -> impl Future<Output = ()> + use<> {
        let server = self.server.take();
        async move {
            let Some(server) = server else { return };
            tokio::select! {
                () = server.next_scrape() => {}
                () = tokio::time::sleep(linger) => {}
                () = crate::coordination::stop() => {}
            }
            server.stop().await;
        }
    }

    /// Runs the role.
    pub(crate) fn block_on<T>(self, role: impl Future<Output = T>) -> T {
        let result = self.tokio.block_on(role);
        self.tokio.shutdown_timeout(Duration::from_secs(1));
        result
    }
}

impl DrainArgs {
    /// Begins when the process is asked to stop; asked twice, it ends at once.
    pub(crate) fn listen(&self) -> Drain {
        let stop = CancellationToken::new();
        let drain = Drain { stop: stop.clone(), grace: Duration::from_secs(self.grace_seconds) };
        tokio::spawn(async move {
            crate::coordination::stop().await;
            crate::say::note("asked to stop; finishing what is in hand");
            stop.cancel();
        });
        drain
    }
}

/// The name of this machine, as the system tells it.
fn host() -> String {
    let name = gethostname::gethostname().to_string_lossy().into_owned();
    if name.is_empty() { "host".into() } else { name }
}
