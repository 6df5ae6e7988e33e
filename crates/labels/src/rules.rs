//! What is said of labels.

use crate::classes::{ClassList, means_ignore};
use crate::colours::ColourTable;
use crate::error::LabelError;
use marquetry_raster::rle::RleStyle;

/// What is said of the labels of one source. Unsaid is what the default says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelRules {
    /// The value that is left out.
    pub ignore: IgnoreRule,
    /// What values mean. Where numbers are mapped, no other number means a class.
    pub map: Vec<MapEntry>,
    /// What becomes of values that mean nothing.
    pub others: Others,
    /// Which colours mean what; files are then read for their colours.
    pub colours: Option<ColourTable>,
    /// What an alpha channel means that is not opaque.
    pub alpha: AlphaRule,
    /// What the number means that a file gives for no data.
    pub nodata: NodataRule,
    /// Which array of a NumPy archive of several is the label.
    pub array: Option<String>,
    /// Which property of a feature on a map names its class; unsaid, `class`.
    pub property: Option<String>,
    /// Whether features on a map need no class, since what they cover is all that counts.
    pub unnamed: bool,
    /// How pixels are numbered in tables of run lengths.
    pub run_order: RunOrder,
    /// From where starts are counted there.
    pub run_start: RleStyle,
}

/// How the pixels of an image are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunOrder {
    /// Down the columns: most competitions.
    #[default]
    Columns,
    /// Along the rows.
    Rows,
}

/// Which value is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IgnoreRule {
    /// 255, where it is no class and does not stand for the second of two.
    #[default]
    Usual,
    /// This one.
    Value(i32),
    /// None.
    Nothing,
}

/// What one value, or what has one name, means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapEntry {
    /// A number, or the name of a category or colour.
    pub from: String,
    /// What it means.
    pub to: Target,
}

/// What a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A class, by its place.
    Class(u16),
    /// Nothing: the pixel is left out.
    Ignore,
}

/// What becomes of values that mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Others {
    /// They are an error.
    #[default]
    Refuse,
    /// Their pixels are left out.
    Ignore,
    /// They are background.
    Background,
}

/// What an alpha channel means that is not opaque.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AlphaRule {
    /// It must be said.
    #[default]
    Refuse,
    /// Nothing.
    Drop,
    /// Where it is 0 there is no label.
    Missing,
    /// It is the label.
    Label,
}

/// What the number means that a file gives for no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NodataRule {
    /// That there is no label; where it is also that of a class, it must be said.
    #[default]
    Refuse,
    /// That there is no label.
    Missing,
    /// What it means in any other file.
    Value,
}

impl MapEntry {
    /// Reads `7=road`, `7=0`, `water=ignore`: a value or name, and a class by name or place, or `ignore`.
    ///
    /// # Errors
    /// When it is of another form or names no class.
    pub fn parse(text: &str, classes: &ClassList) -> Result<Self, LabelError> {
        let fault = |found: String| LabelError::meaning(&format!("map `{text}`"), found);
        let Some((from, to)) = text.split_once('=') else {
            return Err(fault("it has no `=`; say what a value means, as in 7=road or 7=ignore".to_owned()));
        };
        let (from, to) = (from.trim().to_owned(), to.trim());
        let by_place = || to.parse::<u16>().ok().filter(|&class| usize::from(class) < classes.len());
        let target = match classes.find(to).or_else(by_place) {
            Some(class) => Target::Class(class),
            None if means_ignore(to) => Target::Ignore,
            None => {
                let known = classes.listed();
                return Err(fault(format!(
                    "`{to}` is no class, by name or place, nor `ignore`; the classes are {known}"
                )));
            }
        };
        Ok(Self { from, to: target })
    }
}

impl LabelRules {
    /// What is said of `name`: by the map, or because a class is called so.
    pub(crate) fn target_of_name(&self, name: &str, classes: &ClassList) -> Option<Target> {
        // Blanks around a name cannot be said; a name that has some is another class, but the map may mean it.
        let mapped = self.map.iter().find(|entry| entry.from == name.trim()).map(|entry| entry.to);
        mapped
            .or_else(|| classes.find(name).map(Target::Class))
            .or_else(|| means_ignore(name).then_some(Target::Ignore))
    }

    /// What the map says of a number.
    pub(crate) fn target_of_number(&self, number: i32) -> Option<Target> {
        self.map.iter().find(|entry| entry.from.parse() == Ok(number)).map(|entry| entry.to)
    }

    /// Whether the map speaks of numbers at all.
    pub(crate) fn maps_numbers(&self) -> bool {
        self.map.iter().any(|entry| entry.from.parse::<i32>().is_ok())
    }
}
