//! `marquetry evaluate`: two sources of labels, and how well one agrees with the other.
//!
//! Labels are paired by path and read once, several images side by side; what is counted of each is folded in the order
//! of images, so any number of threads gives the same numbers. What the values mean is settled by the first few labels,
//! and once more when all are read: only where that makes a difference is everything read again.

mod budget;
mod compare;
mod document;
mod error;
mod evaluate;
mod fold;
mod image_table;
mod page;
mod pass;
mod pictures;
mod request;
mod resize;
mod results;
mod sources;
mod text;

pub use compare::{Comparison, compare};
pub use document::{Document, LabelSummary};
pub use error::EvaluateError;
pub use evaluate::{Evaluation, Found, evaluate};
pub use fold::{Cell, Fold, ImageRow};
pub use image_table::image_table;
pub use pictures::{PANELS, PICTURES};
pub use request::{Georeferences, Request, SideRequest};
pub use results::{results, write_results};
pub use text::{census_lines, census_of, comparison_text, evaluation_text};
