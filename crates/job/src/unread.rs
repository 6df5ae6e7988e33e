//! Parts of an image that cannot be read, whose pixels are missing.

use crate::message::shortened;
use marquetry_geometry::{Rect, Size};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest reason that is kept of a part, bytes.
const REASON_MAX: usize = 200;
/// Parts that are named of one image.
const NAMED: usize = 3;

/// A part of an image that cannot be read: a strip or tile of its file, or several that lie beside each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadPart {
    /// Where, px of the image.
    pub rect: Rect,
    /// What the file calls one: `strip` or `tile`.
    pub unit: String,
    /// The least number of one in the file, counted from 0.
    pub first: u64,
    /// The greatest.
    pub last: u64,
    /// What was found in the first.
    pub reason: String,
}

impl UnreadPart {
    /// One strip or tile.
    pub fn new(rect: Rect, unit: &str, number: u64, reason: &str) -> Self {
        let reason = shortened(reason, REASON_MAX);
        Self { rect, unit: unit.to_owned(), first: number, last: number, reason }
    }

    /// These parts, with those joined that make one rectangle together, from the top left; what overlaps in one direction
    /// and agrees in the other is joined too.
    pub fn joined(mut parts: Vec<Self>) -> Vec<Self> {
        parts.sort_by_key(|part| (part.rect.top, part.rect.size.height, part.rect.left));
        let mut rows = Self::join_runs(parts, |a, b| {
            let same_rows = (a.top, a.size.height) == (b.top, b.size.height);
            same_rows && b.left <= a.right() && a.left <= b.right()
        });
        rows.sort_by_key(|part| (part.rect.left, part.rect.size.width, part.rect.top));
        let mut joined = Self::join_runs(rows, |a, b| {
            let same_columns = (a.left, a.size.width) == (b.left, b.size.width);
            same_columns && b.top <= a.bottom() && a.top <= b.bottom()
        });
        joined.sort_by_key(|part| (part.rect.top, part.rect.left));
        joined
    }

    /// Joins each with those before it as long as `meet` says so.
    fn join_runs(parts: Vec<Self>, meet: impl Fn(Rect, Rect) -> bool) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for part in parts {
            match runs.last_mut() {
                Some(run) if meet(run.rect, part.rect) => run.join(part),
                _ => runs.push(part),
            }
        }
        runs
    }

    fn join(&mut self, other: Self) {
        let (a, b) = (self.rect, other.rect);
        let (top, left) = (a.top.min(b.top), a.left.min(b.left));
        let (bottom, right) = (a.bottom().max(b.bottom()), a.right().max(b.right()));
        self.rect = Rect::new(top, left, Size::new((bottom - top) as u32, (right - left) as u32));
        if other.first < self.first {
            (self.first, self.reason) = (other.first, other.reason);
        }
        self.last = self.last.max(other.last);
    }

    /// What cannot be read of the image at `uri`, in one line that ends with what follows from it; `None` where all can.
    pub fn in_words(parts: &[Self], uri: &str, follows: &str) -> Option<String> {
        let named = parts.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let more = match parts.len().saturating_sub(NAMED) {
            0 => String::new(),
            n => format!("; and {n} more"),
        };
        let advice = "replace the file by an intact copy";
        (!parts.is_empty()).then(|| format!("{uri}: cannot be read: {named}{more}; {follows}; {advice}"))
    }
}

impl fmt::Display for UnreadPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rect, unit, first, last, reason } = self;
        let Rect { top, left, size } = rect;
        if last == first {
            write!(f, "{unit} {first}")?;
        } else {
            write!(f, "{unit}s {first} to {last}")?;
        }
        write!(f, " ({size} px at row {top}, column {left}): {reason}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(number: u64, row: i64, col: i64) -> UnreadPart {
        UnreadPart::new(Rect::new(row * 16, col * 16, Size::new(16, 16)), "tile", number, "no zlib stream")
    }

    #[test]
    fn neighbours_are_one_rectangle() {
        // Of 4 tiles in a row: a square of four, and one alone.
        let joined = UnreadPart::joined(vec![
            tile(10, 2, 2),
            tile(5, 1, 1),
            tile(15, 3, 3),
            tile(6, 1, 2),
            tile(9, 2, 1),
        ]);
        let wanted = [
            "tiles 5 to 10 (32 × 32 px at row 16, column 16): no zlib stream",
            "tile 15 (16 × 16 px at row 48, column 48): no zlib stream",
        ];
        assert_eq!(joined.iter().map(ToString::to_string).collect::<Vec<_>>(), wanted);
        assert_eq!(UnreadPart::joined(joined.clone()), joined);
    }

    /// Blocks overlap, and each says what it could not read.
    #[test]
    fn what_two_blocks_say_is_said_once() {
        let strips = |first: u64, last: u64| UnreadPart {
            rect: Rect::new(first as i64 * 8, 0, Size::new(8 * (last - first + 1) as u32, 100)),
            unit: "strip".into(),
            first,
            last,
            reason: format!("{first} is cut off"),
        };
        let joined = UnreadPart::joined(vec![strips(4, 9), strips(2, 6), strips(20, 20)]);
        assert_eq!(joined.len(), 2);
        assert_eq!(joined[0].to_string(), "strips 2 to 9 (64 × 100 px at row 16, column 0): 2 is cut off");
        let loss = UnreadPart::in_words(&joined, "a.tif", "they are missing").unwrap();
        assert!(
            loss.starts_with("a.tif: cannot be read: strips 2 to 9 (") && loss.contains("; strip 20 ("),
            "{loss}"
        );
        assert_eq!(UnreadPart::in_words(&[], "a.tif", ""), None);
    }
}
