//! What a plan must know of a model: what goes in, what comes out.

use marquetry_geometry::Size;
use serde::{Deserialize, Serialize};

/// The resolved contract of one member's model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Bands that go in.
    pub channels: u32,
    /// What goes in, px.
    pub input: Size,
    /// Windows in one run.
    pub batch: u32,
    /// Channels that come out.
    pub output_channels: u32,
    /// What comes out, px.
    pub output: Size,
}
