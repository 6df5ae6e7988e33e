//! Labels that are made wrong, each in one known way.

use super::object::{Mask, Object};
use super::smooth::smoothed;
use crate::scene::Dice;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::f32::consts::TAU;

/// A label of which fewer pixels are changed is as good as right, px.
const LEAST_CHANGED_PX: usize = 25;
/// How far boundaries are shifted, px.
const SHIFT_PX: [f32; 2] = [3.0, 7.0];
/// The scale at which they are smoothed (sigma), px.
const SMOOTH_PX: [f32; 2] = [3.0, 6.0];
/// Places that are tried for an object that is not there.
const TRIES: usize = 20;
/// Where more of its pixels have its class already, it is partly there.
const MOST_THERE: f64 = 0.1;

/// What is wrong with a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noise {
    /// All of it is moved by some pixels.
    Shifted,
    /// Its outlines are smoothed.
    Smoothed,
    /// An object has another class, which is not that of what lies around it.
    Swapped,
    /// An object has the class of what lies around it.
    Missing,
    /// An object of another picture is labelled where it is not.
    Invented,
    /// It is the label of another picture.
    Other,
}

impl Noise {
    pub(super) const ALL: [Self; 6] =
        [Self::Shifted, Self::Smoothed, Self::Swapped, Self::Missing, Self::Invented, Self::Other];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Shifted => "shifted",
            Self::Smoothed => "smoothed",
            Self::Swapped => "swapped",
            Self::Missing => "missing",
            Self::Invented => "invented",
            Self::Other => "other",
        }
    }
}

/// True labels, and the objects in each.
pub(super) struct Truth {
    pub(super) masks: Vec<Mask>,
    objects: Vec<Vec<Object>>,
    classes: u8,
}

impl Truth {
    pub(super) fn new(masks: Vec<Mask>, classes: u8) -> Self {
        let objects = masks.iter().map(Object::all_of).collect();
        Self { masks, objects, classes }
    }

    /// Wrong labels for `count` pictures that are drawn by chance, by the places of the pictures. All others stay as they are.
    ///
    /// # Errors
    /// If there are not so many pictures whose label can be made wrong in this way.
    pub(super) fn plant(&self, noise: Noise, count: usize, dice: Dice) -> Result<BTreeMap<usize, Mask>> {
        let mut order: Vec<usize> = (0..self.masks.len()).collect();
        order.sort_by_key(|&at| dice.named(at as u64).bits());
        let mut planted = BTreeMap::new();
        for at in order {
            if planted.len() == count {
                break;
            }
            let draws = Draws { dice: dice.named((self.masks.len() + at) as u64), drawn: 0 };
            let spoiled = self.spoiled(noise, at, draws);
            if let Some(wrong) = spoiled.filter(|w| w.differing(&self.masks[at]) >= LEAST_CHANGED_PX) {
                planted.insert(at, wrong);
            }
        }
        if planted.len() < count {
            bail!(
                "{} of {} pictures can have a label that is wrong in this way ({}), not {count}: paint more",
                planted.len(),
                self.masks.len(),
                noise.name()
            );
        }
        Ok(planted)
    }

    /// The label of one picture, made wrong; none where there is nothing that could be.
    fn spoiled(&self, noise: Noise, at: usize, mut draws: Draws) -> Option<Mask> {
        let mask = &self.masks[at];
        match noise {
            Noise::Shifted => {
                let (far, angle) = (draws.between(SHIFT_PX), draws.between([0.0, TAU]));
                let [dy, dx] = [far * angle.sin(), far * angle.cos()].map(|px| px.round() as i64);
                Some(shifted(mask, dy, dx))
            }
            Noise::Smoothed => Some(smoothed(mask, self.classes, draws.between(SMOOTH_PX))),
            Noise::Swapped => {
                let object = draws.one_of(&self.objects[at])?;
                let around = object.surroundings(mask);
                let others: Vec<u8> =
                    (0..self.classes).filter(|&c| c != object.class && Some(c) != around).collect();
                Some(mask.with(&object.places, *draws.one_of(&others)?))
            }
            Noise::Missing => {
                let object = draws.one_of(&self.objects[at])?;
                Some(mask.with(&object.places, object.surroundings(mask)?))
            }
            Noise::Invented => (0..TRIES).find_map(|_| self.invented(at, &mut draws)),
            Noise::Other => {
                let away = 1 + draws.below(self.masks.len().checked_sub(1)?)?;
                Some(self.masks[(at + away) % self.masks.len()].clone())
            }
        }
    }

    /// The label with an object of any picture at any place; none where that is partly there already.
    fn invented(&self, at: usize, draws: &mut Draws) -> Option<Mask> {
        let mask = &self.masks[at];
        let from = draws.below(self.masks.len())?;
        let object = draws.one_of(&self.objects[from])?;
        let (size, shape) = object.shape(self.masks[from].width());
        let top = draws.below((mask.height() + 1).checked_sub(size.height as usize)?)?;
        let left = draws.below((mask.width() + 1).checked_sub(size.width as usize)?)?;
        let places: Vec<usize> =
            shape.into_iter().map(|(y, x)| (top + y) * mask.width() + left + x).collect();
        let there = places.iter().filter(|&&at| mask.pixels[at] == object.class).count();
        (there as f64 <= MOST_THERE * places.len() as f64).then(|| mask.with(&places, object.class))
    }
}

/// The label moved down and right; what comes in at the border is more of the same.
fn shifted(mask: &Mask, down: i64, right: i64) -> Mask {
    let (height, width) = (mask.height() as i64, mask.width() as i64);
    let from = |at: i64, by: i64, side: i64| (at - by).clamp(0, side - 1);
    let pixels = (0..height).flat_map(|y| {
        let row = from(y, down, height) * width;
        (0..width).map(move |x| mask.pixels[(row + from(x, right, width)) as usize])
    });
    Mask { size: mask.size, pixels: pixels.collect() }
}

/// Numbers drawn one after the other.
struct Draws {
    dice: Dice,
    drawn: u64,
}

impl Draws {
    fn between(&mut self, [low, high]: [f32; 2]) -> f32 {
        self.drawn += 1;
        self.dice.range(self.drawn, low, high)
    }

    /// A number from 0 to `count` − 1; none where there are none.
    fn below(&mut self, count: usize) -> Option<usize> {
        let drawn = self.between([0.0, 1.0]);
        // Rounding may reach `count` itself, where that is large.
        Some(((drawn * count as f32) as usize).min(count.checked_sub(1)?))
    }

    fn one_of<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len())?)
    }
}

#[cfg(test)]
#[path = "plant_tests.rs"]
mod tests;
