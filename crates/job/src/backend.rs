//! Whose kernels compute a model, and how exactly.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Whose kernels compute a model, and how exactly. It is part of a member's contract: last bits hang on it, so scores that others
/// have computed are other scores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Backend {
    /// Whose kernels.
    pub provider: Provider,
    /// How exactly.
    pub precision: Precision,
}

impl Backend {
    /// In single precision by `provider`.
    pub const fn exact(provider: Provider) -> Self {
        Self { provider, precision: Precision::F32 }
    }

    /// Whether it is what a plan means that says nothing of it.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) fn is_unsaid(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.provider, self.precision)
    }
}

/// Whose kernels compute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Those of each worker's own device. Where workers have several kinds of devices, last bits hang on which of them a block meets.
    #[default]
    Any,
    /// ONNX Runtime's on the processor.
    Cpu,
    /// ONNX Runtime's and NVIDIA's on a GPU.
    Cuda,
    /// OpenVINO's on the processor.
    OpenVino,
}

impl Provider {
    /// Whether the processor computes, whatever other devices a worker has.
    pub const fn is_on_processor(self) -> bool {
        matches!(self, Self::Cpu | Self::OpenVino)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any device",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::OpenVino => "openvino",
        })
    }
}

/// How exactly products and sums are computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// In single precision: 24 bits of a fraction.
    #[default]
    F32,
    /// Factors rounded to 11 bits of a fraction, sums in single precision: what matrix units of NVIDIA's GPUs do from Ampere on.
    Tf32,
    /// Weights and what nodes give in half precision, 11 bits of a fraction and 5 of an exponent.
    F16,
    /// Factors rounded to 8 bits of a fraction, sums in single precision: what matrix units of processors do.
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}
