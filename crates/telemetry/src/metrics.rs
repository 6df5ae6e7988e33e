//! Every metric of Marquetry. This list is the only one: the registry, `docs/metrics.md` and the checks of names are
//! made from it.

use crate::description::Description;
use crate::family::{BuildInfo, By, Counter, Family, Gauge, Histogram, PerDevice, SecondsCounter};
use crate::labels::{
    CacheOutcome, DeadLetterKind, Direction, ImageOutcome, JobImageState, JobTaskState, Operation,
    RequestOutcome, RetryReason, Stage, TaskOutcome, TileOutcome, Topic,
};
use prometheus::{Registry, TextEncoder};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Buckets, in seconds: a task is planned to take seconds to a minute.
const TASK: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0];
/// One batch: milliseconds on a GPU, seconds on a CPU.
const BATCH: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Windows in one run of a model.
const WINDOWS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
/// Reading a model and preparing it for its device.
const LOAD: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
/// Putting together an image, of a thumbnail's size or of a whole slide's.
const IMAGE: &[f64] = &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0];
/// One request to a store, its own retries included.
const REQUEST: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Makes the struct of all metrics and the table of their descriptions from one list. The documentation of a row is
/// its help text.
macro_rules! metrics {
    (@describe $kind:ty, $name:literal, [$($help:literal)+], [$($buckets:ident)?]) => {
        Description {
            name: $name,
            help: concat!($($help),+).trim_ascii(),
            kind: <$kind as Family>::KIND,
            labels: <$kind as Family>::LABELS,
            buckets: metrics!(@buckets $($buckets)?),
        }
    };
    (@buckets) => { &[] };
    (@buckets $buckets:ident) => { $buckets };
    ($($(#[doc = $help:literal])+ $field:ident: $kind:ty = $name:literal $(in $buckets:ident)?;)+) => {
        /// All metrics; reached through [`Metrics`].
        pub struct Families {
            $(
                #[doc = concat!("`", $name, "`:")]
                $(#[doc = $help])+
                pub $field: $kind,
            )+
        }

        /// The description of every metric.
        pub const ALL: &[Description] =
            &[$(metrics!(@describe $kind, $name, [$($help)+], [$($buckets)?])),+];

        impl Families {
            fn registered(registry: &Registry) -> Self {
                Self {$(
                    $field: <$kind as Family>::registered(
                        const { &metrics!(@describe $kind, $name, [$($help)+], [$($buckets)?]) },
                        registry,
                    ),
                )+}
            }
        }
    };
}

metrics! {
    /// Tasks that a worker is done with.
    tasks: By<TaskOutcome, Counter> = "marquetry_tasks_total";

    /// Time that threads spent on tasks, summed over threads: several seconds pass in one.
    task_stage: By<Stage, SecondsCounter> = "marquetry_task_stage_seconds_total";

    /// Time from receiving a task to its tile being stored.
    task_duration: Histogram = "marquetry_task_duration_seconds" in TASK;

    /// Time of one run of a model on one batch.
    inference_duration: Histogram = "marquetry_inference_duration_seconds" in BATCH;

    /// Windows in one run of a model, those that only fill the batch left out.
    inference_batch: Histogram = "marquetry_inference_batch_windows" in WINDOWS;

    /// Time to read a model and prepare it for its device. The count is the number of loads.
    model_load_duration: Histogram = "marquetry_model_load_duration_seconds" in LOAD;

    /// Images that an aggregator is done with.
    images: By<ImageOutcome, Counter> = "marquetry_images_total";

    /// Time to put an image together from its tiles and write its outputs.
    image_duration: Histogram = "marquetry_image_duration_seconds" in IMAGE;

    /// Tiles of scores, by what became of them.
    tiles: By<TileOutcome, Counter> = "marquetry_tiles_total";

    /// Bytes of tiles stored, compressed.
    tile_bytes: Counter = "marquetry_tile_bytes_total";

    /// Tasks and images that a coordinator sent once more.
    retries: By<RetryReason, Counter> = "marquetry_retries_total";

    /// Tasks and images that were given up after their last try.
    dead_letters: By<DeadLetterKind, Counter> = "marquetry_dead_letters_total";

    /// Messages that wait to be acknowledged, as far as the queue can tell.
    queue_lag: By<Topic, Gauge> = "marquetry_queue_lag_messages";

    /// Requests to the store.
    store_requests: By<(Operation, RequestOutcome), Counter> = "marquetry_store_requests_total";

    /// Time of a request to the store, its own retries included.
    store_request_duration: By<Operation, Histogram> = "marquetry_store_request_duration_seconds" in REQUEST;

    /// Bytes of objects read from and written to the store.
    store_bytes: By<Direction, Counter> = "marquetry_store_bytes_total";

    /// Models and images looked up in the cache on local disk.
    cache_requests: By<CacheOutcome, Counter> = "marquetry_cache_requests_total";

    /// Bytes that the cache on local disk holds.
    cache_bytes: Gauge = "marquetry_cache_bytes";

    /// GPU memory in use by all programs. Absent without an NVIDIA driver.
    gpu_memory_used: PerDevice = "marquetry_gpu_memory_used_bytes";

    /// GPU memory that the device has. Absent without an NVIDIA driver.
    gpu_memory_total: PerDevice = "marquetry_gpu_memory_total_bytes";

    /// Tasks of the job that the coordinator follows.
    job_tasks: By<JobTaskState, Gauge> = "marquetry_job_tasks";

    /// Images of the job that the coordinator follows.
    job_images: By<JobImageState, Gauge> = "marquetry_job_images";

    /// When this process last finished a job, in seconds since 1970; 0 before the first.
    job_last_success: Gauge = "marquetry_job_last_success_timestamp_seconds";

    /// Always 1. The version of the running program is in the label.
    build_info: BuildInfo = "marquetry_build_info";
}

/// All metrics of a process, or of a part of it. A clone counts into the same registry.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    families: Families,
}

impl Metrics {
    /// Metrics of their own, all at zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        let families = Families::registered(&registry);
        Self(Arc::new(Inner { registry, families }))
    }

    /// Everything counted so far, in Prometheus' text format 0.0.4.
    pub fn exposition(&self) -> String {
        let families = self.0.registry.gather();
        // The encoder refuses families without a name or without series, and the registry gathers neither.
        TextEncoder::new().encode_to_string(&families).expect("what a registry gathered is whole")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Metrics {
    type Target = Families;

    fn deref(&self) -> &Families {
        &self.0.families
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
