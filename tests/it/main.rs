//! The tests that need more than one crate: the walls between crates, and whole jobs through the real binary.
//!
//! Jobs are run as a user runs them. Build the binary first, or let `cargo xtask test` do all that is needed: it also
//! brings ONNX Runtime, and NumPy for the plain reference.

mod bad_images;
mod bad_jobs;
mod bench;
mod cascade;
mod changed_members;
mod chart;
mod class_subsets;
mod classes;
mod cluster;
mod commands;
mod convert;
mod damaged_images;
mod decode;
mod devices;
mod evaluate;
mod examples;
mod finish_in;
mod fixture;
mod gate;
mod gate_models;
mod heads;
mod image_kinds;
mod label_quality;
mod label_values;
mod linear_models;
mod members;
mod model_files;
mod names;
mod nights;
mod outputs;
mod peers;
mod pictures;
mod plain_reference;
mod plain_views;
mod region;
mod repeats;
mod s3;
mod sidecars;
mod subset;
mod swa;
mod sweep;
mod thread_limit;
mod told_of_members;
mod training_labels;
mod truth;
mod truth_on_map;
mod truth_told;
mod tune;
mod uncertainty;
mod values;
mod walls;
mod window_sizes;
