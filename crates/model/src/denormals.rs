//! Numbers that are too small to be normal (below 1.2 · 10⁻³⁸ in size) as 0: some processors take many times longer for them, and weights that
//! were averaged or pruned, and what layers make of those, are full of them.
//!
//! ONNX Runtime has an option for that, which holds for the threads of a session's own pool and for the thread that opened the
//! first session of the process, and for no other; lanes compute on threads of their own. So both are done.

/// Runs `work`, a call into ONNX Runtime, on this thread, which takes such numbers for 0 and makes 0 of them meanwhile.
pub(crate) fn flushed<T>(work: impl FnOnce() -> T) -> T {
    let before = control::read();
    let _restored = Restored(before);
    control::write(before | control::FLUSH);
    work()
}

/// What this thread does with such numbers when this is gone, also after a panic.
struct Restored(control::Register);

impl Drop for Restored {
    fn drop(&mut self) {
        control::write(self.0);
    }
}

/// The register that says how this thread computes. Rust's own arithmetic may be moved across a change of it: where that is some of
/// what is around a call, it meets numbers of this size nowhere that counts.
#[cfg(target_arch = "x86_64")]
mod control {
    use std::arch::asm;

    pub(super) type Register = u32;
    /// Flush to zero, denormals are zero (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, 10.2.3).
    pub(super) const FLUSH: Register = 1 << 15 | 1 << 6;

    pub(super) fn read() -> Register {
        let mut register = 0;
        #[expect(unsafe_code, reason = "it stores the register, and does nothing else")]
        // SAFETY: four bytes are written to a variable of four bytes.
        unsafe {
            asm!("stmxcsr [{}]", in(reg) &raw mut register, options(nostack, preserves_flags));
        }
        register
    }

    pub(super) fn write(register: Register) {
        #[expect(unsafe_code, reason = "it loads the register")]
        // SAFETY: what is loaded was read from it, but for two bits that every processor of this architecture has.
        unsafe {
            asm!("ldmxcsr [{}]", in(reg) &raw const register, options(nostack, preserves_flags));
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod control {
    use std::arch::asm;

    pub(super) type Register = u64;
    /// Flush to zero (Arm Architecture Reference Manual, FPCR.FZ).
    pub(super) const FLUSH: Register = 1 << 24;

    pub(super) fn read() -> Register {
        let register;
        #[expect(unsafe_code, reason = "it reads the register, and does nothing else")]
        // SAFETY: nothing is changed.
        unsafe {
            asm!("mrs {}, fpcr", out(reg) register, options(nomem, nostack, preserves_flags));
        }
        register
    }

    pub(super) fn write(register: Register) {
        #[expect(unsafe_code, reason = "it writes the register")]
        // SAFETY: what is written was read from it, but for a bit that every processor of this architecture has.
        unsafe {
            asm!("msr fpcr, {}", in(reg) register, options(nomem, nostack, preserves_flags));
        }
    }
}

/// Elsewhere they take their time.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod control {
    pub(super) type Register = u32;
    pub(super) const FLUSH: Register = 0;

    pub(super) const fn read() -> Register {
        0
    }

    pub(super) const fn write(_: Register) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::{Toy, Weights};
    use crate::{
        InspectOptions, IoRequest, ModelFiles, Network as _, OrtNetwork, Runtime, RuntimeSearch,
        SessionOptions,
    };
    use marquetry_geometry::Size;
    use std::hint::black_box;

    fn half_of_the_smallest() -> f32 {
        black_box(f32::MIN_POSITIVE) / black_box(2.0)
    }

    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    #[test]
    fn a_thread_computes_otherwise_for_as_long_as_it_is_to() {
        assert!(half_of_the_smallest() > 0.0);
        assert!(flushed(half_of_the_smallest) == 0.0);
        assert!(half_of_the_smallest() > 0.0);
        let panicked = std::panic::catch_unwind(|| flushed(|| -> () { panic!("on purpose") }));
        assert!(panicked.is_err() && half_of_the_smallest() > 0.0);
    }

    /// Whichever thread asks, also where it is not the first of the process to open a session.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    #[test]
    fn a_model_makes_no_number_of_that_size() {
        let runtime = Runtime::load(&RuntimeSearch::from_process()).unwrap();
        let toy = Toy { channels: 1, weights: Weights::Linear(vec![vec![0.5, 0.0]]), ..Toy::default() };
        let model = ModelFiles { onnx: toy.bytes(), external: Vec::new() };
        let facts = crate::inspect(&runtime, &model, &InspectOptions::default()).unwrap();
        let wanted = IoRequest {
            head: None,
            channels_out: Vec::new(),
            layout: None,
            channels: None,
            size: Size::square(16),
            batch: 1,
        };
        let signature = crate::resolve(&facts, &wanted).unwrap().signature;
        for threads in [1, 2] {
            let options = SessionOptions::on(crate::Device::Cpu, threads);
            let run = || {
                let mut network = OrtNetwork::open(&runtime, &model, &signature, &options).unwrap();
                let tiny = network.run(&[f32::MIN_POSITIVE; 256]).unwrap().to_vec();
                (tiny, network.run(&[1.0; 256]).unwrap().to_vec())
            };
            let (tiny, usual) = std::thread::scope(|scope| scope.spawn(run).join().unwrap());
            assert!(
                tiny.iter().all(|number| *number == 0.0 || number.is_normal()),
                "{threads} threads: {:e}",
                tiny[0]
            );
            assert!(usual.iter().any(|number| *number != 0.0));
        }
    }
}
