//! What numbers mean: by what is said, and by what the census shows.

use crate::census::{Census, ValueFacts};
use crate::classes::ClassList;
use crate::colours::ColourTable;
use crate::mapping::{LEFT_OUT, Mapping, NO_CLASS};
use crate::raw::Value;
use crate::rules::{AlphaRule, IgnoreRule, LabelRules, NodataRule, Others, Target};
use crate::source::LabelSource;
use std::collections::{BTreeMap, BTreeSet};

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
    /// What was decided without being said.
    pub notes: Vec<String>,
    /// What is suspicious.
    pub warnings: Vec<String>,
    /// What cannot be known, each with what to say. Without any, the mapping holds.
    pub problems: Vec<String>,
}

/// Numbers below this are looked up in a table.
const TABLE: i32 = 1 << 16;
/// So many problems of one kind are named one by one.
const LISTED: usize = 20;

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
        notes: Vec::new(),
        warnings: Vec::new(),
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

    fn say_values(&self, settlement: &mut Settlement) {
        if self.census.too_many_values {
            settlement.problems.push(format!(
                "{}: more than {} different values; these are no labels",
                self.source.name(),
                self.census.values.len()
            ));
            return;
        }
        let mut unknown = Vec::new();
        for (&value, facts) in &self.census.values {
            let (name, target) = self.meaning(value);
            let meaning = match (target, self.rules.others) {
                (Some(Target::Class(class)), _) => self.classes.names()[usize::from(class)].clone(),
                (Some(Target::Ignore), _) | (None, Others::Ignore) => self.nothing_in_words().to_owned(),
                (None, Others::Background) => match self.classes.background() {
                    Some(class) => self.classes.names()[usize::from(class)].clone(),
                    None => "unknown".to_owned(),
                },
                (None, Others::Refuse) => "unknown".to_owned(),
            };
            if meaning == "unknown" {
                unknown.push((value, name.clone(), facts));
            }
            let shown = name.map_or(meaning.clone(), |name| format!("{meaning} ({name})"));
            settlement.meanings.insert(value, shown);
            let number = self.number_of(value);
            if self.rules.ignore == IgnoreRule::Usual && self.source.value_names().is_none() {
                if number.is_some_and(|n| self.rules.target_of_number(n).is_none() && self.full_is_class_1(n))
                {
                    settlement.notes.push(format!(
                        "{value} stands beside 0 alone, and there are two classes: it is `{}`",
                        self.classes.names()[1]
                    ));
                } else if target == Some(Target::Ignore)
                    && number == Some(255)
                    && self.rules.target_of_number(255).is_none()
                {
                    settlement.notes.push(format!(
                        "255 is {}, as is usual where it is no class",
                        self.nothing_in_words()
                    ));
                }
            }
        }
        if self.rules.others == Others::Background && self.classes.background().is_none() {
            settlement.problems.push("others: background, but no class is called background".to_owned());
        }
        settlement.problems.extend(
            unknown
                .iter()
                .take(LISTED)
                .map(|(value, name, facts)| self.unknown(*value, name.as_deref(), facts)),
        );
        if unknown.len() > LISTED {
            settlement.problems.push(format!(
                "{}: {} more values that mean nothing",
                self.source.name(),
                unknown.len() - LISTED
            ));
        }
        self.say_commonest(settlement);
        self.say_only_class(settlement);
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

    fn unknown(&self, value: Value, name: Option<&str>, facts: &ValueFacts) -> String {
        let file = &self.source.entries()[facts.files.first].path;
        let place = format!(
            "{} px in {} file{}, first in {file} at row {}, column {}",
            facts.pixels,
            facts.files.count,
            if facts.files.count == 1 { "" } else { "s" },
            facts.row,
            facts.column
        );
        let from = self.source.name();
        let known = self.classes.listed();
        match (value, name, &self.rules.colours) {
            (_, Some("background"), _) if self.source.value_names().is_some() => format!(
                "{from}: what no annotation covers ({place}) is of no class, since none of {known} is called background; \
say `map` background=CLASS or background=ignore"
            ),
            (_, Some(name), _) => {
                let near = self.classes.names().iter().find(|class| class.eq_ignore_ascii_case(name));
                let near = near.map_or(String::new(), |class| format!(", though nearly `{class}`"));
                format!(
                    "{from}: `{name}` ({place}) is no class of {known}{near}; say `map` {name}=CLASS or {name}=ignore, or what \
becomes of `others`"
                )
            }
            (Value::Colour(_), None, None) => format!(
                "{from}: {value} ({place}): colours stand for classes only by a table; name one with `colours`"
            ),
            (Value::Colour(_), None, Some(_)) => format!(
                "{from}: {value} ({place}) is not in the table of colours; colours between two of the table come from soft \
edges. Say what becomes of `others`: ignore or background"
            ),
            (Value::Number(number), None, _) => format!(
                "{from}: {value} ({place}) is no class of {known}; say `map` {number}=CLASS or {number}=ignore for each \
number that means something, or what becomes of `others`: ignore or background"
            ),
        }
    }

    /// Most of a truth is seldom left out.
    fn say_commonest(&self, settlement: &mut Settlement) {
        let left_out =
            self.census.values.iter().filter(|(value, _)| self.meaning(**value).1 == Some(Target::Ignore));
        let pixels: u64 = left_out.map(|(_, facts)| facts.pixels).sum();
        if self.side == Side::Truth && 2 * pixels > self.census.pixels {
            settlement.warnings.push(format!(
                "{}: {:.0} % of all pixels are left out; if that is the background, it is a class",
                self.source.name(),
                100.0 * pixels as f64 / self.census.pixels as f64
            ));
        }
    }

    /// A truth of one class has nothing to tell apart: most often what is left out is the other one.
    fn say_only_class(&self, settlement: &mut Settlement) {
        let targets = self.census.values.keys().map(|value| self.meaning(*value).1);
        let targets: BTreeSet<_> = targets.collect();
        let classes = targets.iter().filter(|target| matches!(target, Some(Target::Class(_)))).count();
        if let (Side::Truth, 1, true) = (self.side, classes, targets.contains(&Some(Target::Ignore))) {
            settlement.warnings.push(format!(
                "{}: all pixels that count are of one class, and others are left out; is what is left out the other class?",
                self.source.name()
            ));
        }
    }

    fn say_files(&self, settlement: &mut Settlement) {
        let from = self.source.name();
        let path = |first: usize| &self.source.entries()[first].path;
        let lossy = self.census.lossy;
        if lossy.count > 0 {
            let which =
                format!("{from}: {} lossy (JPEG, WebP), such as {}", files(lossy.count), path(lossy.first));
            if self.classes.len() == 2 && self.rules.colours.is_none() && !self.rules.maps_numbers() {
                settlement.warnings.push(format!(
                    "{which}: `{}` is where they are 128 or more ({} px); {} px are of 16 to 239, neither black nor white",
                    self.classes.names()[1],
                    self.census.lossy_high,
                    self.census.lossy_between
                ));
            } else {
                settlement.problems.push(format!(
                    "{which}: numbers do not survive that; write masks as PNG (two classes in black and white can be told \
apart, no more)"
                ));
            }
        }
        if self.census.alpha.count > 0 && self.rules.alpha == AlphaRule::Refuse {
            let alpha = self.census.alpha;
            settlement.problems.push(format!(
                "{from}: {} with an alpha channel that is not opaque, such as {}; say what `alpha` means: drop, missing or \
label",
                files(alpha.count),
                path(alpha.first)
            ));
        }
        if self.census.palettes.len() > 1 {
            let firsts: Vec<_> =
                self.census.palettes.values().map(|files| path(files.first).as_str()).collect();
            settlement.warnings.push(format!(
                "{from}: {} different palettes, such as those of {}; indices are what counts, and an editor may have changed \
them: with a table of `colours`, colours count",
                self.census.palettes.len(),
                firsts[..2].join(" and ")
            ));
        }
        for (&nodata, found) in &self.census.nodata {
            let class = i32::try_from(nodata).ok().and_then(|number| self.target(number));
            if let (Some(Target::Class(class)), NodataRule::Refuse) = (class, self.rules.nodata) {
                let class = &self.classes.names()[usize::from(class)];
                settlement.problems.push(format!(
                    "{from}: {} with {nodata} for no data, such as {}, and {nodata} is `{class}`; say what `nodata` means: \
missing (those pixels are left out) or value (they are `{class}`)",
                    files(found.count),
                    path(found.first)
                ));
            }
        }
        if let [said, other] = self.census.seams
            && 2 * said > 3 * other
            && said > 0
        {
            settlement.problems.push(format!(
                "{from}: its masks fall to pieces: {said} px have another neighbour, {other} if pixels are numbered the other \
way; say the run `order`: columns or rows"
            ));
        }
        if self.census.contested > 0 {
            settlement.notes.push(format!(
                "{from}: {} px are claimed by objects of two classes; {} has them",
                self.census.contested,
                self.source.on_top()
            ));
        }
    }

    fn say_table(&self, settlement: &mut Settlement) {
        let Some(table) = &self.rules.colours else { return };
        let mut by_colour: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        table.entries().iter().for_each(|(name, colour)| by_colour.entry(*colour).or_default().push(name));
        for (colour, names) in by_colour.iter().filter(|(_, names)| names.len() > 1) {
            let mut targets = names.iter().map(|name| self.rules.target_of_name(name, self.classes));
            let first = targets.next();
            if !targets.all(|target| Some(target) == first) {
                settlement.problems.push(format!(
                    "the table of colours has {} for {}; map both to one class",
                    Value::Colour(*colour),
                    names.join(" and ")
                ));
            }
        }
        let seen = |colour: u32| self.census.values.contains_key(&Value::Colour(colour));
        let idle: Vec<&str> = table
            .entries()
            .iter()
            .filter(|(_, colour)| !seen(*colour))
            .map(|(name, _)| name.as_str())
            .collect();
        if !idle.is_empty() {
            settlement.notes.push(format!(
                "{}: no pixel has the colour of {}",
                self.source.name(),
                idle.join(", ")
            ));
        }
    }
}

fn files(count: u64) -> String {
    format!("{count} file{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
