//! One memory arena for all sessions on the CPU.
#![allow(
    unsafe_code,
    reason = "the wrapper has no safe call that registers an allocator with the environment"
)]

use ort::AsPointer;
use ort::environment::Environment;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};

/// `ArenaExtendStrategy::kSameAsRequested` of ONNX Runtime.
const SAME_AS_REQUESTED: usize = 1;

/// Gives `env` a CPU arena that every session opened with `with_env_allocators` then draws from.
///
/// Without it each session keeps the memory of its largest run to itself, and an ensemble of six holds six times that.
pub(crate) fn share_cpu_arena(env: &Environment) -> ort::Result<()> {
    let info = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Arena, MemoryType::Default)?;
    // Doubling its memory each time it grows, as it does if not told, would leave half of it unused.
    let (keys, values) = ([c"arena_extend_strategy".as_ptr()], [SAME_AS_REQUESTED]);
    let mut config = std::ptr::null_mut();
    // SAFETY: both arrays live through the call and have the one entry that is announced; `config` is ours to write to.
    let status =
        unsafe { (ort::api().CreateArenaCfgV2)(keys.as_ptr(), values.as_ptr(), keys.len(), &raw mut config) };
    // SAFETY: the status was just returned to us, and is handed over here.
    unsafe { ort::Error::result_from_status(status) }?;
    // SAFETY: all pointers come from live objects and the call keeps none: it copies the memory info and the
    // configuration, and the environment synchronises its own list of allocators.
    let status = unsafe { (ort::api().CreateAndRegisterAllocator)(env.ptr().cast_mut(), info.ptr(), config) };
    // SAFETY: it was made above, nobody else has it, and it is not used again.
    unsafe { (ort::api().ReleaseArenaCfg)(config) };
    // SAFETY: the status was just returned to us, and is handed over here.
    unsafe { ort::Error::result_from_status(status) }
}
