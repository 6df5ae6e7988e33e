//! Stored scores: the merged scores of an image, read from its tiles by rows.
//!
//! This crate must not know: outputs, decisions, how members are run, messages, terminals.

mod group_tiles;
mod known_groups;
mod merge;
mod score_error;
mod score_reader;
#[cfg(any(test, feature = "toy"))]
pub mod toy;
mod unsure;

pub use group_tiles::{GroupRows, GroupTiles, TileSource, UnreadParts};
pub use known_groups::KnownGroups;
pub use merge::ScoreRows;
pub use score_error::{ScoreError, TileFault, class_of_store};
pub use score_reader::ScoreReader;
pub use unsure::unsure_part;
