//! From numbers to classes.

use crate::census::level;
use crate::raw::RawLabel;
use marquetry_geometry::run_length;
use std::collections::BTreeMap;

/// What every value means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// For each number below its length.
    pub(crate) numbers: Vec<u16>,
    /// For numbers beyond.
    pub(crate) far_numbers: BTreeMap<u32, u16>,
    /// For each colour.
    pub(crate) colours: BTreeMap<u32, u16>,
    /// Whether colours are shades of grey that stand for numbers.
    pub(crate) grey_colours: bool,
    /// What any other value means.
    pub(crate) other: u16,
    /// What a pixel without a number means.
    pub(crate) missing: u16,
}

impl Mapping {
    /// The class of each pixel, or [`LEFT_OUT`](crate::LEFT_OUT) or [`NO_CLASS`](crate::NO_CLASS).
    pub fn apply(&self, label: &RawLabel, out: &mut Vec<u16>) {
        out.clear();
        out.reserve(label.values.len());
        let facts = &label.facts;
        let mut values = &label.values[..];
        while let Some(&value) = values.first() {
            let length = run_length(values);
            values = &values[length..];
            let class = if facts.lossy {
                self.number(u32::from(level(value, facts.coloured) >= 128))
            } else if facts.coloured && !self.grey_colours {
                self.colours.get(&value).copied().unwrap_or(self.other)
            } else if facts.coloured {
                self.number(value & 255)
            } else {
                self.number(value)
            };
            out.resize(out.len() + length, class);
        }
        if run_length(&label.missing) == out.len() && label.missing.first() == Some(&false) {
            return;
        }
        let flags = out.iter_mut().zip(&label.missing);
        flags.filter(|(_, missing)| **missing).for_each(|(class, _)| *class = self.missing);
    }

    fn number(&self, number: u32) -> u16 {
        match self.numbers.get(number as usize) {
            Some(&class) => class,
            None => self.far_numbers.get(&number).copied().unwrap_or(self.other),
        }
    }
}
