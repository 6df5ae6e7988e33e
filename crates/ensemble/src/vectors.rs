//! Inner loops, compiled once for each set of vector instructions that processors have.
//!
//! A loop is written once, as a [`Kernel`] over slices, and the compiler makes vector instructions of it: for any
//! processor, for AVX2 and for AVX-512. Which one runs is found out when it runs. The bits do not hang on that: no
//! operation is fused with another, none changes its place in a sum.

/// A computation that is worth wide vectors. Its `run` must be inlined always, so that it is compiled anew for each
/// [`Level`]; what `run` calls must be inlined into it too.
pub trait Kernel {
    /// What comes out.
    type Output;

    /// Computes it.
    fn run(self) -> Self::Output;
}

/// A set of vector instructions that this machine's processor has: there is no value for one that it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(Instructions);

/// Sets of vector instructions, the narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instructions {
    /// What every processor of this architecture has.
    Plain,
    /// 8 floats at once.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 16 floats at once, and masks.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// All levels of this machine's processor, the narrowest first.
    pub fn here() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let wider = [(has_avx2(), Instructions::Avx2), (has_avx512(), Instructions::Avx512)];
        #[cfg(not(target_arch = "x86_64"))]
        let wider: [(bool, Instructions); 0] = [];
        let wider = wider.into_iter().filter(|(is_here, _)| *is_here).map(|(_, level)| level);
        std::iter::once(Instructions::Plain).chain(wider).map(Self).collect()
    }

    /// The widest of this machine's processor.
    pub fn widest() -> Self {
        #[cfg(test)]
        if let Some(level) = tests::CHOSEN.get() {
            return level;
        }
        #[cfg(target_arch = "x86_64")]
        if has_avx512() {
            return Self(Instructions::Avx512);
        } else if has_avx2() {
            return Self(Instructions::Avx2);
        }
        Self(Instructions::Plain)
    }

    /// Runs `kernel` with these instructions.
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Instructions::Plain => kernel.run(),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => {
                #[expect(unsafe_code, reason = "the function may only run where there is AVX2")]
                // SAFETY: a level of AVX2 is made nowhere but where `has_avx2` says that the processor has it.
                unsafe {
                    with_avx2(kernel)
                }
            }
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => {
                #[expect(unsafe_code, reason = "the function may only run where there is AVX-512")]
                // SAFETY: a level of AVX-512 is made nowhere but where `has_avx512` says that the processor has all that
                // the function enables.
                unsafe {
                    with_avx512(kernel)
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512dq")
        && std::arch::is_x86_feature_detected!("avx512vl")
}

/// Runs `kernel` with the widest vectors that this machine has.
pub fn with_widest_vectors<K: Kernel>(kernel: K) -> K::Output {
    Level::widest().run(kernel)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn with_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

#[cfg(test)]
#[path = "vectors_tests.rs"]
pub(crate) mod tests;
