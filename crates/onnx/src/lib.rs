//! ONNX files as data: read, average, rewrite, write.
//!
//! A file is read field by field where it lies ([`wire`]), and written by copying every byte but those that are to be other.
//! So what is not understood here, of newer versions of the format too, stays as it was: a library that decodes the whole
//! message and encodes it again drops fields that it does not know, and needs the format's description kept up to date.
//!
//! [`Averaging`] is the mean of several files of one architecture. [`BatchNormState`] says what a file has of batch
//! normalisation.
//!
//! This crate must not know: ONNX Runtime, files, images, jobs.

mod attributes;
mod average;
mod batch_norm;
mod element;
mod error;
mod external;
mod graph;
mod moments;
mod pairing;
mod rewrite;
mod roles;
mod tensor;
#[cfg(any(test, feature = "toy"))]
pub mod toy;
#[cfg(any(test, feature = "toy"))]
mod toy_beside;
pub mod wire;

pub use average::{Averaged, Averaging, distance};
pub use batch_norm::{BatchNorm, BatchNormState, batch_norms};
pub use element::FloatType;
pub use error::OnnxError;
pub use external::{ExternalData, ExternalReference, with_all_data};
pub use graph::{Constant, Declared, Graph, Model, Node, Origin, Source};
pub use moments::Moments;
pub use pairing::Slot;
pub use rewrite::{giving, numbers_at, with_metadata, with_numbers};
pub use roles::Role;
pub use tensor::Tensor;
#[cfg(any(test, feature = "toy"))]
pub use toy_beside::with_weights_beside;
