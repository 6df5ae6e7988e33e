//! What there is to tell of values.

use super::{Settlement, Settling, Side, files};
use crate::census::{Files, ValueFacts};
use crate::raw::Value;
use crate::rules::{IgnoreRule, Others, Target};
use std::collections::BTreeSet;

/// So many problems of one kind are named one by one.
const LISTED: usize = 20;

impl Settling<'_> {
    pub(super) fn say_values(&self, settlement: &mut Settlement) {
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
            let shown = name
                .filter(|name| *name != meaning)
                .map_or(meaning.clone(), |name| format!("{meaning} ({name})"));
            settlement.meanings.insert(value, shown);
            self.say_full(value, target, settlement);
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

    /// What the greatest number of its bits was taken for without being said.
    fn say_full(&self, value: Value, target: Option<Target>, settlement: &mut Settlement) {
        let Some(number) = self.number_of(value) else { return };
        let is_said = self.rules.ignore != IgnoreRule::Usual
            || self.source.value_names().is_some()
            || self.rules.target_of_number(number).is_some();
        if is_said {
            return;
        }
        if self.full_is_class_1(number) {
            let [zero, full] = [0, 1].map(|class: usize| &self.classes.names()[class]);
            let has_zero = self.census.values.keys().any(|value| value.is_zero());
            let place = if has_zero { "stands beside 0 alone" } else { "is the only one" };
            let text = format!("{value} {place}, and there are two classes: it is `{full}`");
            if self.classes.background() == Some(1) {
                settlement.warnings.push(format!(
                    "{}: {text}, the second of them; most masks have 0 for it. If 0 is `{full}`, say `map` 0={full},\
{number}={zero}",
                    self.source.name()
                ));
            } else {
                settlement.notes.push(text);
            }
        } else if target == Some(Target::Ignore) && number == 255 {
            match self.two_forms() {
                Some(warning) if settlement.warnings.contains(&warning) => {}
                Some(warning) => settlement.warnings.push(warning),
                None => settlement
                    .notes
                    .push(format!("255 is {}, as is usual where it is no class", self.nothing_in_words())),
            }
        }
    }

    /// Of two classes, files by one program may have the second as 1 and files by another as 255. No file has both then.
    fn two_forms(&self) -> Option<String> {
        let alone = |wanted: i32| {
            let is_wanted = |value: &Value| self.number_of(*value) == Some(wanted);
            let all = self.census.values.iter().filter(|(value, _)| is_wanted(value));
            let all: u64 = all.map(|(_, facts)| facts.files.count).sum();
            let mut alone = Files::default();
            self.census
                .lone
                .iter()
                .filter(|(value, _)| is_wanted(value))
                .for_each(|(_, own)| alone.add(*own));
            (alone.count > 0 && alone.count == all).then_some(alone)
        };
        if self.classes.len() != 2 {
            return None;
        }
        let (ones, fulls) = (alone(1)?, alone(255)?);
        let path = |files: Files| &self.source.entries()[files.first].path;
        let (zero, one) = (&self.classes.names()[0], &self.classes.names()[1]);
        Some(format!(
            "{}: {} with 0 and 255, such as {}, and {} with 0 and 1, such as {}; none has both. 255 is {}: if it is `{one}` \
as 1 is, say `map` 0={zero},1={one},255={one}; if not, `ignore` 255",
            self.source.name(),
            files(fulls.count),
            path(fulls),
            files(ones.count),
            path(ones),
            self.nothing_in_words()
        ))
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
}
