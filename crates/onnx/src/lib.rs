//! ONNX files as data: read, average, convert, rewrite, write.
//!
//! A file is read field by field where it lies ([`wire`]), and written by copying every byte but those that are to be other.
//! So what is not understood here, of newer versions of the format too, stays as it was: a library that decodes the whole
//! message and encodes it again drops fields that it does not know, and needs the format's description kept up to date.
//!
//! [`Averaging`] is the mean of several files of one architecture. [`BatchNormState`] says what a file has of batch
//! normalisation. [`Halving`] is a file in half precision, of which some nodes stay in single precision. [`fused()`] is a model
//! with views, activation and their mean around it.
//!
//! This crate must not know: ONNX Runtime, files, images, jobs.

mod architecture;
mod attributes;
mod average;
mod batch_norm;
mod denormals;
mod edit;
mod element;
mod error;
mod external;
mod fold;
mod freeze;
mod fused;
mod graph;
mod half;
mod inner;
mod moments;
mod pairing;
mod rewrite;
mod roles;
mod tensor;
#[cfg(any(test, feature = "toy"))]
pub mod toy;
#[cfg(any(test, feature = "toy"))]
mod toy_beside;
#[cfg(any(test, feature = "toy"))]
mod toy_graph;
mod types;
pub mod wire;

pub use architecture::{architecture, skeleton};
pub use average::{Averaged, Averaging, distance};
pub use batch_norm::{BatchNorm, BatchNormState, batch_norms};
pub use denormals::{Cleaned, without_denormals};
pub use element::FloatType;
pub use error::OnnxError;
pub use external::{ExternalData, ExternalReference, with_all_data};
pub use fold::with_folded_norms;
pub use freeze::with_dimensions;
pub use fused::{
    Background, FusedHead, FusedInput, FusedScores, FusedSpec, FusedStep, FusedView, Fusing, KeptPart,
    Refusal, fused,
};
pub use graph::{Constant, Declared, Graph, Model, Node, Origin, Source};
pub use half::{Candidate, HalfType, Halved, Halving, Kept};
pub use moments::Moments;
pub use pairing::Slot;
pub use rewrite::{giving, metadata_of, numbers_at, with_metadata, with_numbers};
pub use roles::Role;
pub use tensor::Tensor;
#[cfg(any(test, feature = "toy"))]
pub use toy_beside::with_weights_beside;
#[cfg(any(test, feature = "toy"))]
pub use toy_graph::{Setting, ToyGraph};
