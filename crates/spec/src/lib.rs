//! What a user writes: a job file, read strictly into values with every default filled in.
//!
//! [`JobSpec::parse`] names all that is wrong with a text, each error with its line, its keys, what was given and what
//! is allowed. [`JobSpec::to_yaml`] prints the resolved job; reading that gives the same job again. [`schema`] is the
//! JSON Schema of job files, [`reference()`] the page that explains every key.
//!
//! All of these come from one table: each key is one row of a `section!`, with its type, its default, what it may be and
//! what it does. A new key is a new row.
//!
//! ```
//! use marquetry_spec::JobSpec;
//! let text = "
//! version: 1
//! images: data/**/*.png
//! classes: [background, nucleus]
//! members: [{onnx: 'models/fold{0..4}.onnx', window: {overlp: 0.5}}]
//! outputs: [{masks: png}]
//! ";
//! let errors = JobSpec::parse(text).unwrap_err();
//! assert!(errors.to_string().starts_with(
//!     "line 5: members[0].window.overlp: unknown key (did you mean `overlap`?); allowed are size, resample, mode"
//! ));
//! ```

mod allow;
mod cascade;
mod classes;
mod corrected_labels;
mod decide;
mod error;
mod folds;
mod gate;
mod images;
mod input;
mod job;
mod kind;
mod label_quality;
mod labels;
mod load;
mod manifest;
mod masks;
mod member;
mod nights;
mod node;
mod output;
mod pattern;
mod per_class;
mod preset;
mod print;
mod probabilities;
mod probes;
mod pseudo_labels;
mod read;
mod reference;
mod region;
mod schema;
mod scope;
mod section;
mod settings;
mod soft_labels;
mod submission;
mod subset;
mod survey;
mod swap;
mod table;
mod tags;
mod truth;
mod tta;
mod uncertainty;
mod window;

#[cfg(test)]
mod broken_tests;
#[cfg(test)]
mod table_tests;

pub use allow::Concern;
pub use cascade::Cascade;
pub use classes::Class;
pub use corrected_labels::CorrectedLabels;
pub use decide::{Connectivity, Decide};
pub use error::{SpecError, SpecErrorKind, SpecErrors};
pub use folds::{FoldTags, Folds, OutOfFold};
pub use gate::{Gate, GateModelSpec};
pub use images::{ImageSource, Images};
pub use input::{InputLayout, InputSpec, Normalise, OutputSpec, RestSpec};
pub use job::JobSpec;
pub use label_quality::{LABEL_QUALITY, LabelQuality};
pub use manifest::{ManifestError, ManifestRow, parse_manifest};
pub use masks::{MaskForm, MaskFormat, MaskLook};
pub use member::MemberSpec;
pub use nights::Nights;
pub use output::{
    Coco, CocoForm, CocoShape, EVALUATION, Evaluation, NAME_LIST, Output, PolygonCrs, Polygons, STALE_LIST,
};
pub use pattern::{GlobPattern, PatternError, expand_braces};
pub use preset::Preset;
pub use probabilities::{Probabilities, ScoreDtype, ScoreFormat};
pub use probes::Probes;
pub use pseudo_labels::{Choose, KeepRule, PseudoLabels};
pub use reference::reference;
pub use region::Region;
pub use schema::schema;
pub use settings::{DeviceKind, Exactness, Failures, Limits, Policy, Priority, Tiles, TilesPer};
pub use soft_labels::{Smoothing, SoftLabels, SoftSource};
pub use submission::{ClassCsv, KaggleRle, RleRows};
pub use subset::Subset;
pub use swap::{Swap, UnsaidSwap};
pub use tags::{tags_from_name, tags_in_text};
pub use truth::{Ignore, LabelAlpha, LabelNodata, NoRow, Others, RunOrder, RunStart, Truth};
pub use tta::Tta;
pub use uncertainty::{Measure, RankedItems, Ranking, Uncertainty};
pub use window::{Fill, Slide, Spacing, WholeFit, WholeImage, Window, WindowMode};
