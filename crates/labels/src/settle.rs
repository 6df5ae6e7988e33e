//! What numbers mean: by what is said, and by what the census shows.

mod files;
mod values;

use crate::census::Census;
use crate::classes::ClassList;
use crate::colours::ColourTable;
use crate::mapping::Mapping;
use crate::raw::Value;
use crate::rules::{IgnoreRule, LabelRules, Others, Target};
use crate::source::LabelSource;
use marquetry_evaluation::{LEFT_OUT, NO_CLASS};
use marquetry_failure::counted;
use std::collections::BTreeMap;

/// Which side a source is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// What is left out there takes no part.
    Truth,
    /// What names no class there is an error.
    Prediction,
}

/// What was decided, and what there is to tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// What every value means.
    pub mapping: Mapping,
    /// What each value of the census means: its name there, and the class's name or what becomes of it.
    pub meanings: BTreeMap<Value, String>,
    /// What becomes of a pixel without a value, in words.
    pub nothing: &'static str,
    /// What was decided without being said.
    pub notes: Vec<String>,
    /// What is suspicious.
    pub warnings: Vec<String>,
    /// What cannot be known, each with what to say. Without any, the mapping holds.
    pub problems: Vec<String>,
}

/// Numbers below this are looked up in a table.
const TABLE: i32 = 1 << 16;

/// Decides what the numbers of `source` mean, which has what `census` shows. It may be called with the census of some
/// of its labels alone; what is not yet seen is then open.
pub fn settle(
    side: Side,
    source: &dyn LabelSource,
    census: &Census,
    rules: &LabelRules,
    classes: &ClassList,
) -> Settlement {
    let work = Settling { side, source, census, rules, classes };
    let mut settlement = Settlement {
        mapping: work.mapping(),
        meanings: BTreeMap::new(),
        nothing: work.nothing_in_words(),
        notes: Vec::new(),
        warnings: source.warnings().iter().map(|text| format!("{}: {text}", source.name())).collect(),
        problems: Vec::new(),
    };
    work.say_values(&mut settlement);
    work.say_files(&mut settlement);
    work.say_table(&mut settlement);
    settlement
}

struct Settling<'a> {
    side: Side,
    source: &'a dyn LabelSource,
    census: &'a Census,
    rules: &'a LabelRules,
    classes: &'a ClassList,
}

impl Settling<'_> {
    fn mapping(&self) -> Mapping {
        let other = match self.rules.others {
            Others::Refuse => NO_CLASS,
            Others::Ignore => self.nothing(),
            Others::Background => self.classes.background().unwrap_or(NO_CLASS),
        };
        let of_number = |number: i32| self.target(number).map_or(other, |target| self.class(target));
        let mapped = self.rules.map.iter().filter_map(|entry| entry.from.parse().ok());
        let ignored = match self.rules.ignore {
            IgnoreRule::Value(value) => Some(value),
            IgnoreRule::Usual | IgnoreRule::Nothing => None,
        };
        let far = mapped.chain(ignored).filter(|number| !(0..TABLE).contains(number));
        let far = far.map(|number| (number.cast_unsigned(), of_number(number)));
        let of_colour = |(name, colour): &(String, u32)| {
            let target = self.rules.target_of_name(name, self.classes);
            (*colour, target.map_or(other, |target| self.class(target)))
        };
        let colours = self.rules.colours.as_ref().map_or(&[][..], ColourTable::entries);
        Mapping {
            numbers: (0..TABLE).map(of_number).collect(),
            far_numbers: far.collect(),
            colours: colours.iter().map(of_colour).collect(),
            grey_colours: self.rules.colours.is_none() && self.colours_are_grey(),
            other,
            missing: self.nothing(),
        }
    }

    /// What stands for a pixel of which nothing is known.
    const fn nothing(&self) -> u16 {
        match self.side {
            Side::Truth => LEFT_OUT,
            Side::Prediction => NO_CLASS,
        }
    }

    const fn class(&self, target: Target) -> u16 {
        match target {
            Target::Class(class) => class,
            Target::Ignore => self.nothing(),
        }
    }

    /// What a number means, where anything says so.
    fn target(&self, number: i32) -> Option<Target> {
        if let Some(names) = self.source.value_names() {
            let name = names.iter().find(|(own, _)| own.cast_signed() == number).map(|(_, name)| name)?;
            let background = || self.classes.background().filter(|_| number == 0).map(Target::Class);
            return self.rules.target_of_name(name, self.classes).or_else(background);
        }
        if let Some(target) = self.rules.target_of_number(number) {
            return Some(target);
        }
        match self.rules.ignore {
            IgnoreRule::Value(ignore) if ignore == number => return Some(Target::Ignore),
            IgnoreRule::Usual if self.full_is_class_1(number) => return Some(Target::Class(1)),
            IgnoreRule::Usual if self.is_usual_ignore(number) => return Some(Target::Ignore),
            _ => {}
        }
        let class = u16::try_from(number).ok().filter(|&class| usize::from(class) < self.classes.len());
        class.filter(|_| !self.rules.maps_numbers()).map(Target::Class)
    }

    /// Whether `number` is the greatest of its bits, and stands beside 0 alone for the second of two classes.
    fn full_is_class_1(&self, number: i32) -> bool {
        let seen = self.census.values.keys().filter_map(|value| self.number_of(*value));
        self.classes.len() == 2
            && !self.rules.maps_numbers()
            && [255, 65535].contains(&number)
            && seen.clone().any(|value| value == number)
            && seen.clone().all(|value| value == 0 || value == number)
    }

    const fn is_usual_ignore(&self, number: i32) -> bool {
        number == 255 && self.classes.len() <= 255
    }

    /// The number that a value stands for.
    fn number_of(&self, value: Value) -> Option<i32> {
        match value {
            Value::Number(number) => Some(number),
            Value::Colour(colour) if self.rules.colours.is_none() => {
                let [_, red, green, blue] = colour.to_be_bytes();
                (red == green && green == blue).then_some(i32::from(blue))
            }
            Value::Colour(_) => None,
        }
    }

    fn colours_are_grey(&self) -> bool {
        let mut colours = self.census.values.keys().filter(|value| matches!(value, Value::Colour(_)));
        colours.all(|value| self.number_of(*value).is_some())
    }

    const fn nothing_in_words(&self) -> &'static str {
        match self.side {
            Side::Truth => "left out",
            Side::Prediction => "no class, which is wrong",
        }
    }

    /// The name of a value, where it has one, and what it means.
    fn meaning(&self, value: Value) -> (Option<String>, Option<Target>) {
        if let (Value::Colour(colour), Some(table)) = (value, &self.rules.colours) {
            let named = table.entries().iter().find(|(_, own)| *own == colour);
            let target = named.and_then(|(name, _)| self.rules.target_of_name(name, self.classes));
            return (named.map(|(name, _)| name.clone()), target);
        }
        let Some(number) = self.number_of(value) else { return (None, None) };
        let names = self.source.value_names();
        let name = names.and_then(|names| names.iter().find(|(own, _)| own.cast_signed() == number));
        (name.map(|(_, name)| name.clone()), self.target(number))
    }
}

fn files(count: u64) -> String {
    counted(count as usize, "file")
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
