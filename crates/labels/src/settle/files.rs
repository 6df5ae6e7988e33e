//! What there is to tell of files, and of a table of colours.

use super::{Settlement, Settling, files};
use crate::raw::Value;
use crate::rules::{AlphaRule, NodataRule, RunOrder, Target};
use std::collections::BTreeMap;

impl Settling<'_> {
    pub(super) fn say_files(&self, settlement: &mut Settlement) {
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
        let other_order = match self.rules.run_order {
            RunOrder::Columns => "rows",
            RunOrder::Rows => "columns",
        };
        if let [said, other] = self.census.seams
            && 2 * said > 3 * other
            && said > 0
        {
            settlement.problems.push(format!(
                "{from}: its masks fall to pieces: {said} px have another neighbour, {other} if pixels are numbered the other \
way; say so by `--run-order {other_order}`, in a job `run_order: {other_order}`"
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

    pub(super) fn say_table(&self, settlement: &mut Settlement) {
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
