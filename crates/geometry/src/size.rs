//! Sizes and rectangles, in pixels.

use serde::{Deserialize, Serialize};

/// Height and width in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Size {
    /// Rows, px.
    pub height: u32,
    /// Columns, px.
    pub width: u32,
}

impl Size {
    /// A size of `height` rows and `width` columns, px.
    pub const fn new(height: u32, width: u32) -> Self {
        Self { height, width }
    }

    /// A square of `side` px.
    pub const fn square(side: u32) -> Self {
        Self::new(side, side)
    }

    /// Number of pixels. Cannot overflow: both sides are 32 bits.
    pub const fn area(self) -> u64 {
        self.height as u64 * self.width as u64
    }

    /// Whether there is no pixel in it.
    pub const fn is_empty(self) -> bool {
        self.height == 0 || self.width == 0
    }

    /// Whether height equals width.
    pub const fn is_square(self) -> bool {
        self.height == self.width
    }

    /// Height and width exchanged.
    #[must_use]
    pub const fn transposed(self) -> Self {
        Self::new(self.width, self.height)
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} × {}", self.height, self.width)
    }
}

/// A half-open rectangle, px: rows `top..top + height`, columns `left..left + width`.
///
/// It may lie partly outside the image it speaks of: a window that overhangs is read through padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rect {
    /// First row, px.
    pub top: i64,
    /// First column, px.
    pub left: i64,
    /// Rows and columns, px.
    pub size: Size,
}

impl Rect {
    /// A rectangle of `size` whose top left pixel is (`top`, `left`).
    pub const fn new(top: i64, left: i64, size: Size) -> Self {
        Self { top, left, size }
    }

    /// The rectangle that covers a whole image of `size`.
    pub const fn whole(size: Size) -> Self {
        Self::new(0, 0, size)
    }

    /// One past the last row.
    pub const fn bottom(self) -> i64 {
        self.top + self.size.height as i64
    }

    /// One past the last column.
    pub const fn right(self) -> i64 {
        self.left + self.size.width as i64
    }

    /// The part that both rectangles share; empty (size 0 × 0) where they do not meet.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        let (top, left) = (self.top.max(other.top), self.left.max(other.left));
        let (bottom, right) = (self.bottom().min(other.bottom()), self.right().min(other.right()));
        if bottom <= top || right <= left {
            return Self::new(top, left, Size::new(0, 0));
        }
        Self::new(top, left, Size::new((bottom - top) as u32, (right - left) as u32))
    }

    /// Whether every pixel of `other` lies in this rectangle.
    pub const fn contains(self, other: Self) -> bool {
        other.top >= self.top
            && other.left >= self.left
            && other.bottom() <= self.bottom()
            && other.right() <= self.right()
    }

    /// The rectangle grown by `margin` on all four sides.
    #[must_use]
    pub const fn grown(self, margin: Size) -> Self {
        Self::new(
            self.top - margin.height as i64,
            self.left - margin.width as i64,
            Size::new(self.size.height + 2 * margin.height, self.size.width + 2 * margin.width),
        )
    }
}
