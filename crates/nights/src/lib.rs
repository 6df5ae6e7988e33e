//! Jobs that run every night: what each night had, and what changed between two.
//!
//! A [`Night`] is one object in the store. It says of each image why its result is of that night, and where its labels are
//! kept; [`difference`] finds what came, went and changed, and [`compare_labels`] counts the pixels of one image that have another
//! label now.
//!
//! This crate must not know: stores, models, how labels are made, terminals.

mod date;
mod difference;
mod flips;
mod night;
mod page;
mod text;

pub use date::date;
pub use difference::{
    AllClasses, ClassDifference, Difference, Flip, ImageDifference, Pair, difference, pairs,
};
pub use flips::{CompareError, Flips, Shown, compare_labels};
pub use night::{Came, LostImage, Night, NightClass, NightImage, NightMember, NightReadError};
pub use page::{PICTURES_MAX, page, table};
pub use text::text;
