//! The arithmetic of an ensemble: views, importance, merging, accumulating, deciding.
//!
//! Scores are `f32`. A model's scores are planar, `[C, H, W]`; whatever is accumulated is kept row by row, `[H, C, W]`,
//! so that a row of all classes is one piece of memory from the worker's canvas through the stored tile to the label.
//!
//! This crate must not know: files, models, threads, messages, time.

pub mod components;

mod activation;
mod agreement;
mod canvas;
mod centred;
mod class_map;
mod confidence;
mod decide;
mod deny;
mod exp;
mod fold;
mod importance;
mod mutual_information;
mod pairwise;
mod reassemble;
mod resize;
mod soft_label;
mod softmax;
mod space;
mod sums;
mod sure;
mod turn;
mod uncertainty;
mod vectors;
mod view;
mod voice;
mod window;

pub use activation::{BadScore, PlainRoute, PlainStep, PlainTransform, ScoreTransform};
pub use agreement::{LabelAgreement, LabelRule};
pub use canvas::{Band, Canvas};
pub use centred::take_off_greatest;
pub use class_map::{ClassMap, Rest};
pub use confidence::{ConfidenceCounts, CountsError};
pub use decide::{Decision, Rule, Triplet};
pub use deny::deny;
pub use importance::{Importance, ImportanceMap};
pub use mutual_information::mutual_information_row;
pub use pairwise::PairwiseIou;
pub use reassemble::{Resampled, blend, normalise};
pub use resize::{resize_labels, resize_planes, resize_rows};
pub use soft_label::{LargestRemainder, normalise_shares, smooth_uniformly, svls_row, top_shares};
pub use space::{Labelling, MergeError, OutputActivation, ScoreSpace, ViewMerge};
pub use sums::WindowSums;
pub use sure::{SurePixels, Sureness};
pub use turn::show_planes;
pub use uncertainty::{MemberRow, entropy_row, margin_row, most_probable, vote_share_row};
pub use vectors::{Kernel, Level, with_widest_vectors};
pub use view::{View, ViewError, Views};
pub use voice::{NO_CLASS, Voice};
pub use window::{ModelOutput, WindowScores};
