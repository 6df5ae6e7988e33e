//! One memory arena for all sessions on the CPU.
#![allow(
    unsafe_code,
    reason = "the wrapper has no safe call that registers an allocator with the environment"
)]

use ort::AsPointer;
use ort::environment::Environment;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};

/// Gives `env` a CPU arena that every session opened with `with_env_allocators` then draws from.
///
/// Without it each session keeps the memory of its largest run to itself, and an ensemble of six holds six times that.
pub(crate) fn share_cpu_arena(env: &Environment) -> ort::Result<()> {
    let info = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Arena, MemoryType::Default)?;
    // SAFETY: both pointers come from live objects and the call keeps neither: it copies the memory info, and the
    // environment synchronises its own list of allocators. A null arena configuration means the defaults.
    let status = unsafe {
        (ort::api().CreateAndRegisterAllocator)(env.ptr().cast_mut(), info.ptr(), std::ptr::null())
    };
    // SAFETY: the status was just returned to us, and is handed over here.
    unsafe { ort::Error::result_from_status(status) }
}
