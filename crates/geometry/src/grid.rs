//! The windows of one image: where they start, what they read, what they answer for.

use crate::{Rect, Size};
use serde::{Deserialize, Serialize};

/// What happens at the right and bottom border, where the stride does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Edges {
    /// The last window moves back until it is flush with the border (MONAI, mmsegmentation).
    Shift,
    /// All windows are spaced evenly, so that none overlaps its neighbour much more than the others do (nnU-Net).
    Spread,
    /// The last window overhangs; what lies outside is padding.
    Pad,
}

/// How windows are laid over an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WindowSpec {
    /// The part of a window whose scores are kept, px.
    pub inner: Size,
    /// What a window sees around `inner` on each side, px; its scores there are thrown away (centre crop).
    pub margin: Size,
    /// Step between neighbouring windows, px; at most `inner`, so that no pixel is left out.
    pub stride: Size,
    /// What happens where the stride does not fit.
    pub edges: Edges,
}

impl WindowSpec {
    /// What the model sees: `inner` and the margin on both sides, px.
    pub const fn outer(&self) -> Size {
        Size::new(self.inner.height + 2 * self.margin.height, self.inner.width + 2 * self.margin.width)
    }
}

/// Why no grid can be laid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GridError {
    /// An image without pixels.
    #[error("the image is empty ({0} px)")]
    EmptyImage(Size),
    /// A window without pixels.
    #[error("the window keeps no pixel ({0} px after its margin)")]
    EmptyWindow(Size),
    /// A stride of zero, or one that leaves pixels out.
    #[error(
        "stride {stride} px does not fit window {inner} px: allowed is 1 to the window's size on each axis"
    )]
    Stride {
        /// The stride asked for, px.
        stride: Size,
        /// The part of the window that is kept, px.
        inner: Size,
    },
}

/// All windows of one image for one geometry, in row-major order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    image: Size,
    spec: WindowSpec,
    tops: Vec<i64>,
    lefts: Vec<i64>,
}

impl Grid {
    /// Lays windows over an image of `image` px (in the member's own, scaled pixels).
    ///
    /// Images smaller than a window get one window, centred with the smaller half of the padding first (as MONAI and
    /// nnU-Net do), or flush with the top left corner where `edges` is [`Edges::Pad`].
    ///
    /// # Errors
    /// When the image or window is empty, or the stride is zero or greater than the window.
    pub fn new(image: Size, spec: &WindowSpec) -> Result<Self, GridError> {
        if image.is_empty() {
            return Err(GridError::EmptyImage(image));
        }
        if spec.inner.is_empty() {
            return Err(GridError::EmptyWindow(spec.inner));
        }
        let (inner, stride) = (spec.inner, spec.stride);
        if stride.is_empty() || stride.height > inner.height || stride.width > inner.width {
            return Err(GridError::Stride { stride, inner });
        }
        let tops = starts(image.height, inner.height, stride.height, spec.edges);
        let lefts = starts(image.width, inner.width, stride.width, spec.edges);
        Ok(Self { image, spec: *spec, tops, lefts })
    }

    /// The image's size, px.
    pub const fn image(&self) -> Size {
        self.image
    }

    /// How the windows are laid.
    pub const fn spec(&self) -> &WindowSpec {
        &self.spec
    }

    /// First row of the kept part of each row of windows, ascending, px.
    pub fn tops(&self) -> &[i64] {
        &self.tops
    }

    /// First column of the kept part of each column of windows, ascending, px.
    pub fn lefts(&self) -> &[i64] {
        &self.lefts
    }

    /// Number of windows.
    pub fn len(&self) -> u64 {
        self.tops.len() as u64 * self.lefts.len() as u64
    }

    /// Never: an image has at least one window.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The part whose scores window (`row`, `col`) answers for; it may overhang the image.
    ///
    /// # Panics
    /// When the window does not exist.
    pub fn inner(&self, row: usize, col: usize) -> Rect {
        Rect::new(self.tops[row], self.lefts[col], self.spec.inner)
    }

    /// What window (`row`, `col`) shows the model; what lies outside the image is padding.
    ///
    /// # Panics
    /// When the window does not exist.
    pub fn outer(&self, row: usize, col: usize) -> Rect {
        self.inner(row, col).grown(self.spec.margin)
    }
}

/// First pixels of the windows of `window` px along an axis of `length` px. Ascending, without duplicates.
fn starts(length: u32, window: u32, stride: u32, edges: Edges) -> Vec<i64> {
    let (n, w, s) = (i64::from(length), i64::from(window), i64::from(stride));
    if n <= w {
        return vec![if edges == Edges::Pad { 0 } else { -((w - n) / 2) }];
    }
    let steps = (n - w + s - 1) / s;
    match edges {
        Edges::Shift => (0..=steps).map(|k| (k * s).min(n - w)).collect(),
        Edges::Pad => (0..=steps).map(|k| k * s).collect(),
        Edges::Spread => {
            let step = (n - w) as f64 / steps as f64;
            // Half to even, as numpy.round does: 125 px, window 64, stride 32 starts at 0, 30, 61.
            (0..=steps).map(|k| (step * k as f64).round_ties_even() as i64).collect()
        }
    }
}

#[cfg(test)]
#[path = "grid_tests.rs"]
mod tests;
