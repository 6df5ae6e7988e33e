//! GPU memory, where there is a GPU: asked of NVIDIA's driver whenever the metrics are read.

use crate::labels::Device;
use crate::metrics::Metrics;
use nvml_wrapper::Nvml;
use std::ffi::OsStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the driver installs, on Linux under this name in containers too.
pub(crate) const LIBRARY: &str = if cfg!(windows) { "nvml.dll" } else { "libnvidia-ml.so.1" };

/// How long a scrape waits for the driver before it goes without.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The driver's library, once it was looked for.
enum Driver {
    Unknown,
    Absent,
    Loaded(Box<Nvml>),
}

/// Reads the memory of all GPUs.
#[derive(Clone)]
pub(crate) struct GpuMemory {
    library: &'static str,
    driver: Arc<Mutex<Driver>>,
}

impl GpuMemory {
    /// Nothing is loaded before the first sample.
    pub(crate) fn new() -> Self {
        Self::in_library(LIBRARY)
    }

    fn in_library(library: &'static str) -> Self {
        Self { library, driver: Arc::new(Mutex::new(Driver::Unknown)) }
    }

    /// [`sample`](Self::sample) on a thread of its own, for as long as a scrape may take.
    pub(crate) async fn sample_in_time(&self, metrics: &Metrics) {
        let (gpus, metrics) = (self.clone(), metrics.clone());
        let sample = tokio::task::spawn_blocking(move || gpus.sample(&metrics));
        if tokio::time::timeout(TIMEOUT, sample).await.is_err() {
            tracing::warn!("the GPU driver does not answer");
        }
    }

    /// Writes what all GPUs use and have into the metrics; nothing when there is none. Blocks for milliseconds, the first
    /// time for as long as the driver needs to wake the devices.
    fn sample(&self, metrics: &Metrics) {
        // A driver can hang. Whoever comes while it does shall not hang too, and reads the last values.
        let Ok(mut driver) = self.driver.try_lock() else { return };
        if matches!(*driver, Driver::Unknown) {
            *driver = self.load();
        }
        if let Driver::Loaded(nvml) = &*driver {
            read(nvml, metrics);
        }
    }

    fn load(&self) -> Driver {
        match Nvml::builder().lib_path(OsStr::new(self.library)).init() {
            Ok(nvml) => Driver::Loaded(Box::new(nvml)),
            Err(reason) => {
                tracing::debug!(%reason, "no GPU memory to measure");
                Driver::Absent
            }
        }
    }
}

fn read(nvml: &Nvml, metrics: &Metrics) {
    let count = nvml.device_count().unwrap_or(0);
    for (index, device) in (0..Device::MOST).filter_map(|index| Some((index, Device::new(index)?))) {
        let memory = (index < count).then(|| nvml.device_by_index(index)?.memory_info());
        if let Some(Ok(memory)) = memory {
            metrics.gpu_memory_used.set(device, memory.used as f64);
            metrics.gpu_memory_total.set(device, memory.total as f64);
        } else {
            // One that fell off the bus: its last value would look alive for ever.
            metrics.gpu_memory_used.forget(device);
            metrics.gpu_memory_total.forget(device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_driver_nothing_is_said() {
        let (metrics, gpus) = (Metrics::new(), GpuMemory::in_library("libno-such-driver.so.1"));
        for _ in 0..2 {
            gpus.sample(&metrics);
            assert!(!metrics.exposition().contains("gpu"));
        }
    }

    /// Also on a machine with GPUs: memory in use is a part of what there is.
    #[test]
    fn what_is_said_makes_sense() {
        let metrics = Metrics::new();
        GpuMemory::new().sample(&metrics);
        let text = metrics.exposition();
        let values = |name: &str| -> Vec<f64> {
            let of_name = text.lines().filter(|line| line.starts_with(name));
            of_name.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
        };
        let (used, total) =
            (values("marquetry_gpu_memory_used_bytes{"), values("marquetry_gpu_memory_total_bytes{"));
        assert_eq!(used.len(), total.len());
        assert!(used.iter().zip(&total).all(|(used, total)| used <= total && *total > 0.0), "{text}");
    }

    #[test]
    fn a_gpu_that_is_gone_is_forgotten() {
        let metrics = Metrics::new();
        let device = Device::new(3).expect("a few GPUs are possible");
        metrics.gpu_memory_used.set(device, 5e9);
        assert!(metrics.exposition().contains("marquetry_gpu_memory_used_bytes{device=\"3\"} 5000000000\n"));
        metrics.gpu_memory_used.forget(device);
        metrics.gpu_memory_used.forget(device);
        assert!(!metrics.exposition().contains("gpu"));
    }
}
