//! What the numbers of a decided image mean, and how they are coloured.

use super::error::{Result, WriteError};
use std::collections::HashSet;

/// The classes of an image, their colours, and the one value that means none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Legend {
    names: Vec<String>,
    colours: Vec<[u8; 3]>,
    /// What is written for each class.
    values: Vec<u16>,
    /// The label of pixels of no class, in rows.
    ignore: Option<u16>,
    /// What is written for it.
    ignore_value: Option<u16>,
    multilabel: bool,
}

impl Legend {
    /// The legend of a label map: one value a pixel, an index into `names` or `ignore`.
    ///
    /// # Errors
    /// When there is no class, more than 65,535 of them, or `ignore` is the index of one.
    pub fn labels(names: Vec<String>, ignore: Option<u16>) -> Result<Self> {
        let values = names.len();
        Self::checked(names, values, ignore, false)
    }

    /// The legend of a multi-label image: a plane of 0 and 1 (or `ignore`) for each of `names`.
    ///
    /// # Errors
    /// When there is no class, more than 65,535 of them, or `ignore` is 0 or 1.
    pub fn multilabel(names: Vec<String>, ignore: Option<u16>) -> Result<Self> {
        Self::checked(names, 2, ignore, true)
    }

    fn checked(names: Vec<String>, values: usize, ignore: Option<u16>, multilabel: bool) -> Result<Self> {
        let fault = |found| Err(WriteError::impossible("a legend", found));
        if names.is_empty() || names.len() > u16::MAX as usize {
            return fault(format!("{} classes; allowed are 1 to 65535", names.len()));
        }
        if let Some(value) = ignore.filter(|&value| (value as usize) < values) {
            return fault(format!("the ignore value {value} already has a meaning; use {values} or more"));
        }
        let colours = palette(&names);
        let values = (0..names.len()).map(|class| class as u16).collect();
        Ok(Self { names, colours, values, ignore, ignore_value: ignore, multilabel })
    }

    /// The same legend in other colours: red, green and blue in 0..=255 for each class.
    ///
    /// # Errors
    /// When there is not one colour for each class.
    pub fn with_colours(mut self, colours: Vec<[u8; 3]>) -> Result<Self> {
        if colours.len() != self.names.len() {
            let found =
                format!("{} colours for {} classes; give one for each", colours.len(), self.names.len());
            return Err(WriteError::impossible("a legend", found));
        }
        self.colours = colours;
        Ok(self)
    }

    /// The legend of a label map in whose files each class has a value of its own, in 0..=65535, in place of its index, and
    /// pixels of no class have `ignore`, if there may be any. Rows are of indices, and of the ignore label, all the same.
    ///
    /// # Errors
    /// When the legend is multi-label, there is not one value for each class, two classes have one, or one is the ignore
    /// value.
    pub fn with_values(mut self, values: Vec<u16>, ignore: u16) -> Result<Self> {
        let fault = |found| Err(WriteError::impossible("a legend", found));
        if self.multilabel {
            return fault("values of classes for planes of 0 and 1".to_owned());
        }
        if values.len() != self.names.len() {
            return fault(format!(
                "{} values for {} classes; give one for each",
                values.len(),
                self.names.len()
            ));
        }
        let ignore_value = self.ignore.map(|_| ignore);
        let mut seen: HashSet<u16> = HashSet::from_iter(ignore_value);
        if let Some(value) = values.iter().find(|&&value| !seen.insert(value)) {
            return fault(format!("the value {value} has two meanings; give each class its own"));
        }
        (self.values, self.ignore_value) = (values, ignore_value);
        Ok(self)
    }

    /// The names of the classes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The colours of the classes: red, green, blue.
    pub fn colours(&self) -> &[[u8; 3]] {
        &self.colours
    }

    /// The label that means no class in rows: not decided, not to be counted.
    pub const fn ignore(&self) -> Option<u16> {
        self.ignore
    }

    /// What is written for that label.
    pub const fn ignore_value(&self) -> Option<u16> {
        self.ignore_value
    }

    /// Planes in a row: 1 for a label map, else the number of classes.
    pub const fn planes(&self) -> usize {
        if self.multilabel { self.names.len() } else { 1 }
    }

    /// Ordinary values of a pixel are `0..value_count`: the classes of a label map, or 0 and 1.
    pub const fn value_count(&self) -> usize {
        if self.multilabel { 2 } else { self.names.len() }
    }

    /// The greatest value that may occur in a row.
    pub fn max_label(&self) -> u16 {
        self.ignore.unwrap_or(0).max((self.value_count() - 1) as u16)
    }

    /// What is written for `label`: the value of that class, or of none; the label itself where it is of a plane.
    pub fn value(&self, label: u16) -> u16 {
        let known = self.values.get(usize::from(label)).copied();
        known.or(self.ignore_value.filter(|_| self.ignore == Some(label))).unwrap_or(label)
    }

    /// The greatest value that may be written.
    pub fn max_value(&self) -> u16 {
        let classes = if self.multilabel { 1 } else { self.values.iter().copied().max().unwrap_or(0) };
        self.ignore_value.unwrap_or(0).max(classes)
    }

    /// The legend of one plane of a multi-label image, as a label map of two classes: not it, and it.
    ///
    /// # Panics
    /// When there is no such class.
    #[must_use]
    pub fn plane(&self, class: usize) -> Self {
        Self {
            names: vec![format!("not {}", self.names[class]), self.names[class].clone()],
            colours: vec![BACKGROUND, self.colours[class]],
            values: vec![0, 1],
            ignore: self.ignore,
            ignore_value: self.ignore_value,
            multilabel: false,
        }
    }

    /// Where the pixels of each of `classes` are found.
    pub(super) fn targets(&self, classes: &[u16]) -> Result<Vec<Target>> {
        let find = |&class: &u16| {
            if class as usize >= self.names.len() {
                let found = format!("class {class} is asked for, of {} classes", self.names.len());
                return Err(WriteError::impossible("an output of chosen classes", found));
            }
            Ok(if self.multilabel {
                Target { class, plane: class as usize, value: 1 }
            } else {
                Target { class, plane: 0, value: class }
            })
        };
        let targets: Vec<_> = classes.iter().map(find).collect::<Result<_>>()?;
        for (index, target) in targets.iter().enumerate() {
            if targets[..index].contains(target) {
                let found = format!("class {} is asked for twice", target.class);
                return Err(WriteError::impossible("an output of chosen classes", found));
            }
        }
        Ok(targets)
    }

    /// Colours by written value, `0..=max_value`; unused values are black, the ignore value is light grey.
    pub(super) fn colour_table(&self) -> Vec<[u8; 3]> {
        let mut table = vec![BACKGROUND; self.max_value() as usize + 1];
        if self.multilabel {
            table[1] = [255; 3];
        } else {
            for (value, colour) in self.values.iter().zip(&self.colours) {
                table[usize::from(*value)] = *colour;
            }
        }
        if let Some(ignore) = self.ignore_value {
            table[ignore as usize] = IGNORED;
        }
        table
    }
}

/// The pixels of one class: those of `value` in `plane`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) class: u16,
    pub(super) plane: usize,
    pub(super) value: u16,
}

const BACKGROUND: [u8; 3] = [0, 0, 0];
const IGNORED: [u8; 3] = [224, 224, 224];

/// Sixteen colours chosen to be told apart by eye on dark and on light, the most different first.
const CHOSEN: [[u8; 3]; 16] = [
    [230, 70, 60],
    [50, 130, 220],
    [250, 200, 40],
    [60, 170, 80],
    [160, 80, 190],
    [250, 130, 20],
    [70, 200, 210],
    [240, 130, 190],
    [150, 100, 60],
    [170, 210, 70],
    [30, 70, 140],
    [200, 180, 255],
    [20, 110, 100],
    [255, 190, 150],
    [130, 20, 60],
    [110, 110, 120],
];

/// A colour for each class: black for a first class called background, else distinct ones, always the same.
///
/// The first 254 are all different; after that they may come near one another.
pub fn palette(names: &[String]) -> Vec<[u8; 3]> {
    let dark = names.first().is_some_and(|name| is_background(name));
    let colours = (0..names.len()).map(|index| match (dark, index) {
        (true, 0) => BACKGROUND,
        (true, _) => colour(index - 1),
        (false, _) => colour(index),
    });
    colours.collect()
}

/// Whether a class name says that nothing is there.
pub fn is_background(name: &str) -> bool {
    const WORDS: [&str; 7] = ["background", "bg", "_background_", "none", "void", "unlabeled", "unlabelled"];
    WORDS.contains(&name.trim().to_lowercase().as_str())
}

/// The colour number `index`: a chosen one, then hues spread by the golden ratio at four brightnesses.
fn colour(index: usize) -> [u8; 3] {
    if let Some(&chosen) = CHOSEN.get(index) {
        return chosen;
    }
    // Integers only, so that the bytes of a file do not hang on a platform's floating-point functions.
    let hue = (index * 949) % 1536;
    let value = [255, 205, 160, 230][index % 4];
    let saturation = [200, 255, 170][index % 3];
    let (sector, part) = (hue / 256, hue % 256);
    let low = value * (255 - saturation) / 255;
    let (rising, falling) = (low + (value - low) * part / 255, value - (value - low) * part / 255);
    let [red, green, blue] = match sector {
        0 => [value, rising, low],
        1 => [falling, value, low],
        2 => [low, value, rising],
        3 => [low, falling, value],
        4 => [rising, low, value],
        _ => [value, low, falling],
    };
    [red as u8, green as u8, blue as u8]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("class {index}")).collect()
    }

    #[test]
    fn colours_are_distinct_and_a_background_is_black() {
        let plain = palette(&names(254));
        assert_eq!(plain.iter().collect::<BTreeSet<_>>().len(), 254);
        assert!(!plain.contains(&BACKGROUND) && !plain.contains(&IGNORED));
        let mut named = names(20);
        named[0] = "Background".to_owned();
        assert_eq!(palette(&named)[0], BACKGROUND);
        assert_eq!(palette(&named)[1..], plain[..19]);
        let apart = |a: [u8; 3], b: [u8; 3]| (0..3).map(|k| a[k].abs_diff(b[k]) as u32).sum::<u32>();
        for (index, &a) in CHOSEN.iter().enumerate() {
            assert!(CHOSEN[..index].iter().all(|&b| apart(a, b) >= 70), "{a:?}");
        }
    }

    #[test]
    fn impossible_legends_are_refused() {
        assert!(Legend::labels(vec![], None).is_err());
        assert!(Legend::labels(names(3), Some(2)).is_err());
        assert!(Legend::multilabel(names(3), Some(1)).is_err());
        assert!(Legend::labels(names(3), Some(3)).unwrap().with_colours(vec![[0; 3]; 2]).is_err());
        let legend = Legend::multilabel(names(3), Some(2)).unwrap();
        assert_eq!((legend.planes(), legend.max_label(), legend.max_value()), (3, 2, 2));
        assert!(legend.clone().with_values(vec![0, 1, 3], 2).is_err());
        for values in [vec![0, 1], vec![0, 7, 7], vec![0, 1, 3]] {
            assert!(Legend::labels(names(3), Some(3)).unwrap().with_values(values, 3).is_err());
        }
        let moved = Legend::labels(names(3), Some(255)).unwrap().with_values(vec![2, 0, 700], 255).unwrap();
        assert_eq!((moved.max_label(), moved.max_value()), (255, 700));
        assert_eq!([0, 1, 2, 255].map(|label| moved.value(label)), [2, 0, 700, 255]);
        // The label in rows and the value in files are two things.
        let masked = Legend::labels(names(2), Some(255)).unwrap().with_values(vec![1, 255], 0).unwrap();
        assert_eq!((masked.ignore(), masked.ignore_value(), masked.max_value()), (Some(255), Some(0), 255));
        assert_eq!([0, 1, 255].map(|label| masked.value(label)), [1, 255, 0]);
        assert_eq!((masked.colour_table()[0], masked.colour_table()[1]), (IGNORED, masked.colours()[0]));
        assert!(legend.targets(&[0, 3]).is_err() && legend.targets(&[1, 1]).is_err());
    }
}
