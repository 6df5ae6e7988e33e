//! Sizes, windows, grids, blocks and the symmetries of the square.
//!
//! Everything here is integer arithmetic on pixels, with no pixel in sight. The origin is the top left corner, rows
//! come first, intervals are half-open.
//!
//! This crate must not know: scores, models, files, jobs.
//!
//! ```
//! use marquetry_geometry::{Edges, Grid, Size, WindowSpec};
//! let spec = WindowSpec { inner: Size::new(512, 512), margin: Size::new(0, 0), stride: Size::new(256, 256), edges: Edges::Shift };
//! let grid = Grid::new(Size::new(1000, 600), &spec).unwrap();
//! assert_eq!(grid.tops(), &[0, 256, 488]);
//! assert_eq!(grid.lefts(), &[0, 88]);
//! ```

mod block;
mod d4;
mod grid;
mod padding;
mod reading;
mod resample;
mod run;
mod sampling;
mod size;

pub use block::{Block, Blocks};
pub use d4::D4;
pub use grid::{Edges, Grid, GridError, WindowSpec};
pub use padding::Padding;
pub use reading::{Alpha, Nodata, Pages, Reading};
pub use resample::{Kernel, Resample};
pub use run::run_length;
pub use sampling::{Tap, nearest, taps};
pub use size::{Rect, Size};
