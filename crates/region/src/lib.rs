//! Where in an image there is anything to compute: regions made of cells, and finding what is not blank.
//!
//! This crate must not know: files, models, jobs, threads, time.

mod cells;
mod finding;
mod morphology;
mod nonblank;
mod otsu;
mod sampled;

pub use cells::{Region, RegionBuilder};
pub use finding::Finding;
pub use nonblank::Nonblank;
pub use otsu::{Split, otsu};
pub use sampled::SampledRegion;
