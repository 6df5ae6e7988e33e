//! ONNX models: what one takes and gives, and running it.
//!
//! [`inspect()`] reads a model and tries it, [`resolve`] settles the contract of one member from what was found and
//! what the job wants, and [`open_network`] has [`OrtNetwork`] or [`OpenVinoNetwork`] run it; [`FusedNetwork`] runs it with what is done around it in one graph. Pixels and scores cross this border as planar `f32`; the layouts and
//! element types of the model stay inside.
//!
//! This crate must not know: images, views, windows of a grid; of a job only the contract it stores.

mod activations;
mod agreement;
mod arena;
mod class_names;
mod denormals;
mod difference;
mod echo;
mod error;
mod external_data;
mod facts;
mod file_kind;
mod fit;
mod fit_trial;
mod fused;
mod half_precision;
mod image_scores;
mod input_scaling;
mod inspect;
mod io_request;
mod network;
mod openvino_network;
mod pack;
mod probe;
mod rate;
mod reading;
mod report;
mod run_once;
mod runtime;
mod search;
mod session;
mod stated_normalisation;
#[cfg(any(test, feature = "toy"))]
pub mod toy;
mod values;
mod verdict;

pub use activations::{Activations, LayerOutput};
pub use agreement::check_openvino;
pub use difference::{Difference, difference};
pub use error::{ModelError, yaml_size};
pub use external_data::{ModelFiles, ModelRef, external_locations};
pub use facts::{
    Activation, Batch, Dim, Element, Fit, HeadFacts, ImageFacts, InsideScaling, Layout, ModelFacts,
    OutputForm, Relation, Response, ScoreFacts, TensorFacts, Values,
};
pub use fused::{FusedNetwork, FusedOpening, MergedScores, fused_head, fused_input};
pub use half_precision::{HALF_PRECISION_MAGNITUDE_MAX, half_precision_magnitude};
pub use inspect::{InspectOptions, ScoresOf, ShownWindows, inspect, inspect_with, read_model};
pub use io_request::{IoRequest, ResolvedIo, best_heads, resolve, richer_head, rival_heads};
pub use marquetry_job::IoContract;
pub use marquetry_onnx::{
    Background, ExternalData, FusedHead, FusedInput, FusedScores, FusedSpec, FusedStep, FusedView, KeptPart,
    Refusal, architecture, skeleton,
};
pub use marquetry_openvino::{
    OpenVino, Precision as OpenVinoPrecision, Trial as OpenVinoTrial, TrialRequest as OpenVinoTrialRequest,
    answer as answer_openvino_trial,
};
pub use network::{Network, OrtNetwork, open_network};
pub use openvino_network::OpenVinoNetwork;
pub use rate::rate;
pub use run_once::{ImageAxes, image_axes, run_once};
pub use runtime::Runtime;
pub use search::{OpenVinoSearch, RuntimeError, RuntimeSearch};
pub use session::{Device, SessionOptions};
pub use stated_normalisation::StatedNormalisation;
pub use values::SUMS_TO;
