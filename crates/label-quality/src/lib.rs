//! Given labels against what an ensemble says: which are probably wrong, how sure that is, and what to do.
//!
//! Of every image come [`Findings`]: counts and the areas where the prediction differs from the label, each with its
//! evidence. Of the findings of all images comes one [`Survey`], which adds in any order to the same bytes: what is usual
//! in this data set with these members. [`judge`] holds one image's findings against the survey. No label is taken for
//! right, nothing is trained, and no pixel is looked at twice but to write [`corrected`] labels.
//!
//! Two passes, or one: while an image's rows go by, [`LabelledScores`] keeps 5 bytes of each pixel (label, predicted class,
//! evidence) and comes to the findings at the last row; the findings' part of the survey is some hundred bytes. Once all
//! images have added theirs, findings that were kept are judged as they are; where they were not, a second pass comes to
//! the same ones. Only corrected labels and counts by confident learning's thresholds need the rows once more.
//!
//! Labels are canonical, as in `marquetry_evaluation`: `0..classes`; any other value is left out and takes no part.
//!
//! This crate must not know: files, models, jobs, threads, time.

mod action;
mod boundary;
mod component;
mod confident;
mod correct;
mod depth;
mod evidence;
mod findings;
mod scores;
mod softmin;
mod strength;
mod survey;
mod verdict;

#[cfg(test)]
mod golden_tests;

pub use action::{Action, Reason, Suggestion};
pub use boundary::EdgeFindings;
pub use component::{Component, Kind};
pub use confident::{ConfidentSums, Thresholds};
pub use correct::{Corrected, corrected};
pub use findings::Findings;
pub use scores::LabelledScores;
pub use softmin::{Softmin, WindowSoftmin};
pub use strength::{Usual, probability};
pub use survey::Survey;
pub use verdict::{BoundaryDoubt, Doubt, ImageQuality, judge};
