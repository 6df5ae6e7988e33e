//! Why pixels are wrong: kinds of error by component, and what each costs.
//!
//! An error component is a connected set of pixels (sides and corners) with one true and one predicted class that
//! differ, so it lies in one region of the truth and in one of the prediction. It has the first kind that fits:
//!
//! 1. *no class*: the prediction names none.
//! 2. *class swap*: the two regions have an IoU of one half or more: an object under another name.
//! 3. *missed*: less than a tenth of the true object is predicted as its class.
//! 4. *extra*: less than a tenth of the predicted object is of its class.
//! 5. *merged*: it lies between right pixels of two or more objects of the predicted class, which it joins.
//! 6. *split*: it lies between right pixels of two or more predicted parts of its true class, which it parts.
//! 7. *boundary*: nine tenths of it are no further from a boundary of the truth than the boundary width.
//! 8. *region*: the rest.
//!
//! The background, where a class is called so, has no objects: it is never swapped, missed, extra, merged or split.
//! Every wrong pixel has one kind, so what mending a kind would give follows exactly.

use crate::boundary::{Bands, number};
use crate::components::{Segment, Segments};
use crate::confusion::Confusion;
use crate::overlaps::Regions;
use crate::pair::LEFT_OUT;
use crate::rows::Piece;
use std::collections::BTreeMap;

/// A kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The prediction names no class.
    NoClass,
    /// An object of another class.
    ClassSwap,
    /// An object that is not found.
    Missed,
    /// An object that is not there.
    Extra,
    /// What joins objects that are apart.
    Merged,
    /// What parts an object.
    Split,
    /// An outline that is off by little.
    Boundary,
    /// Any other area.
    Region,
}

impl ErrorKind {
    /// Every kind, in the order in which they are looked for.
    pub const ALL: [Self; 8] = [
        Self::NoClass,
        Self::ClassSwap,
        Self::Missed,
        Self::Extra,
        Self::Merged,
        Self::Split,
        Self::Boundary,
        Self::Region,
    ];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoClass => "no class",
            Self::ClassSwap => "class swap",
            Self::Missed => "missed",
            Self::Extra => "extra",
            Self::Merged => "merged",
            Self::Split => "split",
            Self::Boundary => "boundary",
            Self::Region => "region",
        }
    }
}

/// Wrong pixels and error components by kind, true class and predicted class.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct KindCounts {
    /// A predicted class that is none is the number of classes.
    #[serde(with = "crate::entries")]
    cells: BTreeMap<(ErrorKind, u16, u16), Cell>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
struct Cell {
    pixels: u64,
    components: u64,
}

impl KindCounts {
    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (key, more) in &other.cells {
            let own = self.cells.entry(*key).or_default();
            own.pixels += more.pixels;
            own.components += more.components;
        }
    }

    /// Pixels of a kind.
    pub fn pixels(&self, kind: ErrorKind) -> u64 {
        self.of(kind).map(|(_, cell)| cell.pixels).sum()
    }

    /// Error components of a kind.
    pub fn components(&self, kind: ErrorKind) -> u64 {
        self.of(kind).map(|(_, cell)| cell.components).sum()
    }

    /// Pixels of a kind by true and predicted class, among `classes`.
    pub fn confusion(&self, kind: ErrorKind, classes: usize) -> Confusion {
        let mut confusion = Confusion::new(classes);
        self.of(kind).for_each(|(&(_, t, p), cell)| confusion.add_run(t, p, cell.pixels));
        confusion
    }

    fn of(&self, kind: ErrorKind) -> impl Iterator<Item = (&(ErrorKind, u16, u16), &Cell)> {
        self.cells.range((kind, 0, 0)..=(kind, u16::MAX, u16::MAX))
    }
}

/// One error component.
#[derive(Debug, Clone, Copy)]
struct Error {
    truth: u16,
    predicted: u16,
    regions: [u32; 2],
    pixels: u64,
    /// Pixels near a boundary of the truth.
    near: u64,
    /// True objects of the predicted class, and predicted parts of the true class, that it touches.
    touched: [Touched; 2],
}

/// Regions that something touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Touched {
    None,
    /// The one of this number.
    One(u32),
    /// Two or more.
    Several,
}

impl Touched {
    fn add(&mut self, region: u32) {
        *self = match *self {
            Self::None => Self::One(region),
            Self::One(first) if first == region => return,
            Self::One(_) | Self::Several => Self::Several,
        };
    }
}

/// `near` says of each pixel, row by row, whether it is near a boundary of the truth.
pub(crate) fn counts(
    segments: &Segments,
    regions: &Regions,
    near: Bands<'_>,
    classes: usize,
    background: Option<u16>,
) -> KindCounts {
    let mut counts = KindCounts::default();
    for error in errors(segments, regions, near) {
        let kind = kind(&error, regions, classes, background);
        let predicted = error.predicted.min(classes as u16);
        let cell = counts.cells.entry((kind, error.truth, predicted)).or_default();
        cell.pixels += error.pixels;
        cell.components += 1;
    }
    counts
}

fn errors(segments: &Segments, regions: &Regions, mut near: Bands<'_>) -> Vec<Error> {
    let is_error = |segment: &Segment| segment.truth != LEFT_OUT && !segment.is_right();
    let alike = |a: &Segment, b: &Segment| is_error(a) && (a.truth, a.predicted) == (b.truth, b.predicted);
    let (numbers, components) = segments.components(alike);
    // Components of pixels that are right are among them, without any pixels.
    let mut errors: Vec<Option<Error>> = vec![None; components];
    for row in segments.rows.places() {
        let near = near.next_row();
        for at in row.filter(|&at| is_error(&segments.list()[at])) {
            let segment = &segments.list()[at];
            let error = errors[numbers[at] as usize].get_or_insert(Error {
                truth: segment.truth,
                predicted: segment.predicted,
                regions: [regions.of_segment[0][at], regions.of_segment[1][at]],
                pixels: 0,
                near: 0,
                touched: [Touched::None; 2],
            });
            error.pixels += segment.pixels();
            error.near += number(&near[segment.columns()]);
        }
    }
    segments.rows.touching(|a, b| {
        for (x, y) in [(a, b), (b, a)] {
            let (error, right) = (&segments.list()[x], &segments.list()[y]);
            if is_error(error)
                && right.is_right()
                && let Some(found) = &mut errors[numbers[x] as usize]
            {
                if right.truth == error.predicted {
                    found.touched[0].add(regions.of_segment[0][y]);
                } else if right.truth == error.truth {
                    found.touched[1].add(regions.of_segment[1][y]);
                }
            }
        }
    });
    errors.into_iter().flatten().collect()
}

fn kind(error: &Error, regions: &Regions, classes: usize, background: Option<u16>) -> ErrorKind {
    if usize::from(error.predicted) >= classes {
        return ErrorKind::NoClass;
    }
    let is_object = |label: u16| Some(label) != background;
    let [t, p] = error.regions;
    let (truth, predicted) = (&regions.truth[t as usize], &regions.predicted[p as usize]);
    let overlap = regions.between(t, p);
    if is_object(error.truth) && is_object(error.predicted) && 2 * overlap.pixels >= regions.union(&overlap) {
        ErrorKind::ClassSwap
    } else if is_object(error.truth) && 10 * truth.right < truth.pixels {
        ErrorKind::Missed
    } else if is_object(error.predicted) && 10 * predicted.right < predicted.counted() {
        ErrorKind::Extra
    } else if is_object(error.predicted) && error.touched[0] == Touched::Several {
        ErrorKind::Merged
    } else if is_object(error.truth) && error.touched[1] == Touched::Several {
        ErrorKind::Split
    } else if 10 * error.near >= 9 * error.pixels {
        ErrorKind::Boundary
    } else {
        ErrorKind::Region
    }
}
