//! Which GPUs there are, as NVIDIA's driver says it.

/// A GPU, as the driver knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Its number on this machine, from 0, as the driver counts.
    pub index: u32,
    /// What it is called.
    pub name: String,
    /// Its memory, bytes.
    pub memory_bytes: u64,
    /// The driver's version.
    pub driver: String,
}

/// The NVIDIA GPUs of this machine; none without a driver.
#[cfg(feature = "gpu-metrics")]
pub fn gpus() -> Vec<Gpu> {
    let library = std::ffi::OsStr::new(crate::gpu::LIBRARY);
    let Ok(nvml) = nvml_wrapper::Nvml::builder().lib_path(library).init() else { return Vec::new() };
    let driver = nvml.sys_driver_version().unwrap_or_default();
    let of = |index| {
        let device = nvml.device_by_index(index).ok()?;
        let memory_bytes = device.memory_info().map_or(0, |memory| memory.total);
        Some(Gpu { index, name: device.name().ok()?, memory_bytes, driver: driver.clone() })
    };
    (0..nvml.device_count().unwrap_or(0)).filter_map(of).collect()
}

/// None: this build does not ask the driver.
#[cfg(not(feature = "gpu-metrics"))]
pub fn gpus() -> Vec<Gpu> {
    Vec::new()
}
