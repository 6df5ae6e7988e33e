//! What can go wrong with a model.

use crate::file_kind::load_refusal;
use crate::{Device, Layout};
use marquetry_failure::{Classify, FailureClass};
use marquetry_geometry::Size;
use marquetry_openvino::OpenVinoError;
use std::path::PathBuf;

/// Why a model could not be read, fitted to the job, or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file is not there or cannot be read.
    #[error("cannot read the model {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are no ONNX model, are cut short, or use what this ONNX Runtime does not know.
    #[error("not a model that can be run: {reason}")]
    NotAModel {
        /// What it is, and what to do.
        reason: String,
    },
    /// The weights lie in a second file, and that is not as it should be.
    #[error("the model keeps weights in a second file, `{location}`: {reason}")]
    ExternalData {
        /// Its path, as the model writes it.
        location: String,
        /// What was found, and what to do.
        reason: String,
    },
    /// The model gives no score for each pixel.
    #[error("not a segmentation model: {reason}")]
    NotSegmentation {
        /// What it is instead.
        reason: String,
    },
    /// No output of that name.
    #[error("the model has no output `{head}`, it has: {}", heads.join(", "))]
    UnknownHead {
        /// The name that was asked for.
        head: String,
        /// The names there are.
        heads: Vec<String>,
    },
    /// The output of that name has no score for each pixel.
    #[error("the output `{head}` cannot be used: {reason}")]
    UnusableHead {
        /// The output.
        head: String,
        /// What it is instead.
        reason: String,
    },
    /// The job and the model order the axes of the input differently.
    #[error("the model's input is {found} with dimensions {dims}, the job says {wanted}")]
    WrongLayout {
        /// What the model's dimensions say.
        found: Layout,
        /// The dimensions.
        dims: String,
        /// What the job says.
        wanted: Layout,
    },
    /// The model takes another number of channels.
    #[error("the model takes {found} channels, the job gives {wanted}")]
    WrongChannels {
        /// The model's.
        found: u32,
        /// The job's.
        wanted: u32,
    },
    /// The model takes windows of one size only, and the job cuts another.
    #[error("the model takes {found} px only, the job's window is {wanted} px: set window: {{size: {}}}", yaml_size(*found))]
    WrongSize {
        /// The model's.
        found: Size,
        /// The job's.
        wanted: Size,
    },
    /// The model needs sides that are a multiple of some number.
    #[error(
        "the model needs sides that are multiples of {multiple} px, the job's window is {wanted} px: {nearest} would do, \
         with window: {{size: {}}}", yaml_size(*nearest)
    )]
    WrongMultiple {
        /// What sides must be a multiple of, px.
        multiple: u32,
        /// The job's window.
        wanted: Size,
        /// The next larger size that fits.
        nearest: Size,
    },
    /// The model says nothing about the size of its output at this window.
    #[error(
        "the model was not seen to run at a window of {wanted} px, and the size of `{head}` is not known there; it runs at \
         {tried} px: set window: {{size: {}}}", yaml_size(*tried)
    )]
    UnknownSize {
        /// The output.
        head: String,
        /// The job's window.
        wanted: Size,
        /// The window of the inspection.
        tried: Size,
    },
    /// An input slice or an output tensor has another shape than the signature says.
    #[error("the {what} has {found}, its signature says {expected}")]
    WrongShape {
        /// Which tensor.
        what: String,
        /// What came.
        found: String,
        /// What should have come.
        expected: String,
    },
    /// The memory of the device does not hold the run. A smaller batch may do.
    #[error("out of memory while running models: {reason}")]
    OutOfMemory {
        /// What ONNX Runtime or OpenVINO said.
        reason: String,
    },
    /// The system lets this process have no more threads.
    #[error(
        "cannot start threads for models ({reason}): raise the limit on processes and threads (ulimit -u, pids of the container), \
         or compute with fewer (--lanes, --threads)"
    )]
    NoThreads {
        /// What ONNX Runtime said.
        reason: String,
    },
    /// The device that was asked for cannot be used.
    #[error("cannot use {device}: {reason}")]
    Device {
        /// The device.
        device: String,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// What was to be seen of a model by trying was not seen: no fault of the model, and another time it may be.
    #[error("{reason}")]
    NotTried {
        /// What came in between.
        reason: String,
    },
    /// ONNX Runtime failed while running the model.
    #[error("running the model on {device} failed: {reason}")]
    Run {
        /// Where it ran.
        device: Device,
        /// What ONNX Runtime said.
        reason: String,
    },
}

/// A size in px as the job file writes it: one number, or `[rows, columns]`.
pub fn yaml_size(size: Size) -> String {
    if size.is_square() { size.height.to_string() } else { format!("[{}, {}]", size.height, size.width) }
}

/// Whether a message of ONNX Runtime, CUDA or cuDNN says that memory ran out. There is no error code for it.
fn is_out_of_memory(message: &str) -> bool {
    const SIGNS: [&str; 7] = [
        "Failed to allocate memory",
        "bad_alloc",
        "bad allocation",
        "out of memory",
        "CUDNN_STATUS_ALLOC_FAILED",
        "CUBLAS_STATUS_ALLOC_FAILED",
        "Available memory of",
    ];
    SIGNS.iter().any(|sign| message.contains(sign))
}

/// Whether a message of ONNX Runtime says that a thread could not be started, which is no fault of the model.
fn is_out_of_threads(message: &str) -> bool {
    message.contains("pthread_create failed") || message.contains("Resource temporarily unavailable")
}

/// The part of a message of ONNX Runtime that speaks of the model: without its own source files and assertions.
fn tidy(message: &str) -> String {
    let message = message.trim();
    let Some((head, status)) = message.split_once(" Status Message: ") else { return message.to_owned() };
    let node = head.split_once("while running ").map_or(head, |(_, node)| node);
    let status = status.rsplit_once(" was false. ").map_or(status, |(_, said)| said);
    format!("{node} {}", status.trim())
}

impl ModelError {
    /// A file beside the model that is not at `looked_at`, where it should be.
    pub fn external_missing(location: &str, looked_at: &str) -> Self {
        Self::ExternalData {
            location: location.to_owned(),
            reason: format!(
                "{looked_at} is not there: copy it there under this name, or save the model as one file"
            ),
        }
    }

    /// An error of a run on `device`.
    pub(crate) fn from_run(error: &ort::Error, device: Device) -> Self {
        let reason = tidy(error.message());
        Self::of_resources(&reason).unwrap_or(Self::Run { device, reason })
    }

    /// An error of opening a session on the model `onnx` in this version of ONNX Runtime.
    pub(crate) fn from_load(error: &ort::Error, onnx: &[u8], runtime: &str) -> Self {
        let said = error.message().trim();
        Self::of_resources(said)
            .unwrap_or_else(|| Self::NotAModel { reason: load_refusal(onnx, said, runtime) })
    }

    /// An error of OpenVINO: another machine, or ONNX Runtime on this one, may compute the model all the same.
    #[expect(clippy::needless_pass_by_value, reason = "a function for `map_err`")]
    pub(crate) fn of_openvino(error: OpenVinoError) -> Self {
        let reason = error.to_string();
        if let OpenVinoError::NotTried { .. } = error {
            return Self::NotTried { reason };
        }
        Self::of_resources(&reason).unwrap_or(Self::Device { device: "openvino".into(), reason })
    }

    /// What the machine lacks, where a message says that.
    fn of_resources(said: &str) -> Option<Self> {
        let reason = said.to_owned();
        if is_out_of_memory(said) {
            return Some(Self::OutOfMemory { reason });
        }
        is_out_of_threads(said).then_some(Self::NoThreads { reason })
    }
}

impl Classify for ModelError {
    fn class(&self) -> FailureClass {
        match self {
            // It may still be on its way.
            Self::Unreadable { .. } => FailureClass::Passing,
            // The processor of another machine computes the same; a card that fails may be broken.
            Self::OutOfMemory { .. }
            | Self::NoThreads { .. }
            | Self::Device { .. }
            | Self::NotTried { .. }
            | Self::Run { device: Device::Cuda(_), .. } => FailureClass::Worker,
            Self::Run { device: Device::Cpu, .. }
            | Self::NotAModel { .. }
            | Self::ExternalData { .. }
            | Self::NotSegmentation { .. }
            | Self::UnknownHead { .. }
            | Self::UnusableHead { .. }
            | Self::WrongLayout { .. }
            | Self::WrongChannels { .. }
            | Self::WrongSize { .. }
            | Self::WrongMultiple { .. }
            | Self::UnknownSize { .. }
            | Self::WrongShape { .. } => FailureClass::Input,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_to_blame_for_what_the_processor_would_not_do() {
        let run = |device| ModelError::Run { device, reason: "CUDA failure 700".into() };
        assert_eq!(run(Device::Cuda(0)).class(), FailureClass::Worker);
        assert_eq!(run(Device::Cpu).class(), FailureClass::Input);
    }

    #[test]
    fn the_runtime_s_own_source_is_left_out_of_a_message() {
        let message = "Non-zero status code returned while running Reshape node. Name:'/r' Status Message: \
                       /src/reshape_helper.h:91 Reshape(const Shape&) a == b was false. The input cannot be reshaped.";
        assert_eq!(tidy(message), "Reshape node. Name:'/r' The input cannot be reshaped.");
        assert_eq!(tidy(" plain "), "plain");
    }

    #[test]
    fn threads_that_are_not_to_be_had_are_no_fault_of_the_model() {
        let said = "pthread_create failed, error code: 11 error msg: Resource temporarily unavailable";
        let error = ModelError::of_resources(said).expect("the machine lacks threads");
        assert_eq!(error.class(), FailureClass::Worker);
        assert!(
            error.to_string().starts_with("cannot start threads") && error.to_string().contains("ulimit -u")
        );
        assert!(ModelError::of_resources("Protobuf parsing failed.").is_none());
    }

    #[test]
    fn memory_that_ran_out_has_its_own_kind() {
        assert!(is_out_of_memory(
            "bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 1024"
        ));
        assert!(is_out_of_memory("CUDA failure 2: out of memory ; GPU=0"));
        assert!(!is_out_of_memory("Got invalid dimensions for input"));
    }
}
