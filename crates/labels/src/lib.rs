//! Labels as people have them, as classes.
//!
//! A [`LabelSource`] gives labels by key, each as the numbers that stand in it ([`RawLabel`]). A [`Census`] counts what
//! numbers there are, in which files, and what kinds of files these are. [`settle`] decides what each number means, by
//! what is said ([`LabelRules`]) and what the census shows; what it cannot know it asks for, all at once. A [`Mapping`]
//! then makes classes of numbers. [`pair`] finds which label of one source belongs to which of another.
//!
//! This crate must not know: jobs, models, queues, metrics.

mod census;
mod classes;
mod coco;
mod colours;
mod error;
mod file;
mod folder;
mod geojson;
mod mapping;
mod npy;
mod pairing;
mod panoptic;
mod raw;
mod rules;
mod run_columns;
mod run_table;
mod settle;
mod shapes;
mod source;
mod with_images;

pub use census::{Census, Files, ValueFacts};
pub use classes::ClassList;
pub use coco::CocoSource;
pub use colours::ColourTable;
pub use error::LabelError;
pub use folder::FolderSource;
pub use geojson::{MapLabels, PlacedImage, PlacedImages, is_geojson, map_labels, open_on_map};
pub use mapping::Mapping;
pub use marquetry_evaluation::{LEFT_OUT, NO_CLASS};
pub use pairing::{Affixes, Pairing, pair};
pub use raw::{LabelFacts, RawLabel, Value};
pub use rules::{AlphaRule, IgnoreRule, LabelRules, MapEntry, NodataRule, Others, RunOrder, Target};
pub use run_table::RunTable;
pub use settle::{Settlement, Side, settle};
pub use source::{LabelEntry, LabelSource, open};
pub use with_images::WithImages;
