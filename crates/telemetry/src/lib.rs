//! What a running process says about itself: metrics, health and logs.
//!
//! This crate must not know jobs, images, queues or stores: it counts what it is told. There is no global registry;
//! whoever counts holds a [`Metrics`], which costs an atomic addition per call whether or not anybody reads it.
//!
//! ```
//! use marquetry_telemetry::{Metrics, TaskOutcome};
//! use std::time::Duration;
//!
//! let metrics = Metrics::new();
//! metrics.tasks.of(TaskOutcome::Stored).increment();
//! metrics.task_duration.observe_duration(Duration::from_millis(1500));
//! metrics.tile_bytes.add(40_000);
//! assert!(metrics.exposition().contains("marquetry_tasks_total{outcome=\"stored\"} 1\n"));
//! ```

mod description;
mod family;
#[cfg(feature = "gpu-metrics")]
mod gpu;
mod gpus;
mod health;
mod labels;
mod log;
mod metrics;
mod server;
#[cfg(test)]
mod tests;

pub use description::{Description, LabelDescription, MetricKind, Values};
pub use family::{BuildInfo, By, Counter, Gauge, Histogram, PerDevice, SecondsCounter};
pub use gpus::{Gpu, gpus};
pub use health::Health;
pub use labels::{
    CacheOutcome, DeadLetterKind, Device, Direction, ImageOutcome, JobImageState, JobTaskState, Label,
    Labels, Operation, RequestOutcome, RetryReason, Stage, TaskOutcome, TileOutcome, Topic,
};
pub use log::{LogFormat, start_logging};
pub use metrics::{ALL, Families, Metrics};
pub use server::{ServeError, Server, serve};
