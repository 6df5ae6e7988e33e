//! The report of a job: one HTML file that needs nothing beside it, neither host nor font nor script.
//!
//! [`Report`] holds what is shown, [`render`] writes the page. Equal reports give equal bytes. The templates
//! lie in `coordinator/templates`; whatever comes from outside (ids, names, reasons) is escaped by them.

mod data;
mod gather;
mod page;
mod parts;

pub use data::{Report, ReportClass, ReportFailure, ReportGroup, ReportImage, ReportMember};
pub use gather::{Finished, RunFacts, describe_grid, round_in_words};
pub use page::render;

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
