//! A label, and the objects in it.

use marquetry_evaluation::{LabelPair, Segments};
use marquetry_geometry::Size;
use std::collections::BTreeMap;

/// Smaller areas are nothing that somebody would forget or take for another, px.
pub(super) const LEAST_OBJECT_PX: usize = 30;
/// Larger areas are no object but what objects lie in: a share of the picture.
const MOST_OF_PICTURE: f64 = 0.15;
/// How far around an object its neighbours are looked for, px.
const AROUND_PX: i64 = 2;

/// A label of a picture: `[H, W]`, class indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mask {
    pub(super) size: Size,
    pub(super) pixels: Vec<u8>,
}

impl Mask {
    pub(super) const fn width(&self) -> usize {
        self.size.width as usize
    }

    pub(super) const fn height(&self) -> usize {
        self.size.height as usize
    }

    /// How many pixels of two labels of one picture are not the same.
    pub(super) fn differing(&self, other: &Self) -> usize {
        self.pixels.iter().zip(&other.pixels).filter(|(a, b)| a != b).count()
    }

    /// This label with the pixels at these places of another class.
    pub(super) fn with(&self, places: &[usize], class: u8) -> Self {
        let mut changed = self.clone();
        for &at in places {
            changed.pixels[at] = class;
        }
        changed
    }
}

/// Pixels of one class that touch, by sides or corners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) class: u8,
    /// Its pixels' places in the label, in ascending order.
    pub(super) places: Vec<usize>,
}

impl Object {
    /// All objects of a label, in the order of their first pixels.
    pub(super) fn all_of(mask: &Mask) -> Vec<Self> {
        let labels: Vec<u16> = mask.pixels.iter().map(|&class| u16::from(class)).collect();
        let segments =
            Segments::new(&LabelPair { width: mask.size.width, truth: &labels, predicted: &labels });
        let (of_segment, number) = segments.components(|a, b| a.truth == b.truth);
        let mut objects = vec![Self { class: 0, places: Vec::new() }; number];
        for (segment, number) in segments.list().iter().zip(of_segment) {
            let row = segment.row as usize * mask.width();
            let object = &mut objects[number as usize];
            object.class = segment.truth as u8;
            object.places.extend(row + segment.start as usize..row + segment.end as usize);
        }
        let most = (MOST_OF_PICTURE * mask.pixels.len() as f64) as usize;
        objects.retain(|object| (LEAST_OBJECT_PX..=most).contains(&object.places.len()));
        objects
    }

    /// The class that most pixels close around it have, of those that are not its own; of equal ones the first.
    pub(super) fn surroundings(&self, mask: &Mask) -> Option<u8> {
        let (height, width) = (mask.height() as i64, mask.width() as i64);
        let mut seen = vec![false; mask.pixels.len()];
        let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
        for &place in &self.places {
            let (y, x) = (place as i64 / width, place as i64 % width);
            for y in (y - AROUND_PX).max(0)..=(y + AROUND_PX).min(height - 1) {
                for x in (x - AROUND_PX).max(0)..=(x + AROUND_PX).min(width - 1) {
                    let at = (y * width + x) as usize;
                    if !std::mem::replace(&mut seen[at], true) && mask.pixels[at] != self.class {
                        *counts.entry(mask.pixels[at]).or_default() += 1;
                    }
                }
            }
        }
        counts.into_iter().rev().max_by_key(|&(_, pixels)| pixels).map(|(class, _)| class)
    }

    /// The height and width of what holds it, and its pixels from the top left corner of that.
    pub(super) fn shape(&self, width: usize) -> (Size, Vec<(usize, usize)>) {
        let points: Vec<_> = self.places.iter().map(|at| (at / width, at % width)).collect();
        let [top, bottom] = [points.iter().map(|p| p.0).min(), points.iter().map(|p| p.0).max()];
        let [left, right] = [points.iter().map(|p| p.1).min(), points.iter().map(|p| p.1).max()];
        let [top, bottom, left, right] = [top, bottom, left, right].map(Option::unwrap_or_default);
        let size = Size::new((bottom - top + 1) as u32, (right - left + 1) as u32);
        (size, points.into_iter().map(|(y, x)| (y - top, x - left)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 × 30 px of class 0 with a square of class 1, in whose middle is a smaller one of class 2.
    fn nested() -> Mask {
        let class = |at: usize| {
            let (y, x) = (at / 30, at % 30);
            let inside = |from: usize, to: usize| (from..to).contains(&y) && (from..to).contains(&x);
            u8::from(inside(3, 12)) + u8::from(inside(5, 11))
        };
        Mask { size: Size::new(20, 30), pixels: (0..600).map(class).collect() }
    }

    #[test]
    fn objects_and_what_lies_around_them() {
        let mask = nested();
        let objects = Object::all_of(&mask);
        let sizes: Vec<_> = objects.iter().map(|o| (o.class, o.places.len())).collect();
        assert_eq!(sizes, [(1, 45), (2, 36)], "the ground is most of the picture");
        assert_eq!(objects[1].surroundings(&mask), Some(1));
        assert_eq!(objects[0].surroundings(&mask), Some(0), "88 pixels outside it and 32 inside");
        assert_eq!(objects[0].places[0], 3 * 30 + 3);
        let (size, shape) = objects[1].shape(30);
        assert_eq!((size, shape.len(), shape[7]), (Size::new(6, 6), 36, (1, 1)));
    }

    #[test]
    fn small_and_large_areas_are_no_objects() {
        let mut mask = nested();
        mask.pixels.fill(0);
        assert_eq!(Object::all_of(&mask), []);
        let spot: Vec<usize> = (0..LEAST_OBJECT_PX - 1).collect();
        assert_eq!(Object::all_of(&mask.with(&spot, 3)), []);
        let alone = Mask { size: Size::new(20, 30), pixels: vec![1; 600] };
        let all = Object { class: 1, places: (0..600).collect() };
        assert_eq!(all.surroundings(&alone), None);
    }
}
