//! What there is in the labels of a source.

use crate::raw::{RawLabel, Value};
use marquetry_geometry::run_length;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// More different values than this are no labels.
const VALUES_MAX: usize = 4096;
/// So many different palettes are kept.
const PALETTES_MAX: usize = 64;
/// The least and the greatest number that a lossy mask of black and white should not have.
const BETWEEN: std::ops::RangeInclusive<u32> = 16..=239;

/// Facts of any number of labels. They add, and the first file is the one of the least number, whatever the order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Census {
    /// Labels read.
    pub files: u64,
    /// Pixels read.
    pub pixels: u64,
    /// How many files of each kind there are, and the first.
    #[serde(with = "pairs")]
    pub kinds: BTreeMap<String, Files>,
    /// How many files of each size (height, width) there are, and the first.
    #[serde(with = "pairs")]
    pub sizes: BTreeMap<(u32, u32), Files>,
    /// Every value of files that keep them, and where.
    #[serde(with = "pairs")]
    pub values: BTreeMap<Value, ValueFacts>,
    /// Files that have one value beside 0, or none but it, by that value.
    #[serde(with = "pairs")]
    pub lone: BTreeMap<Value, Files>,
    /// Whether there are more values than labels have; `values` is then cut short.
    pub too_many_values: bool,
    /// The different palettes, and how many files have each.
    #[serde(with = "pairs")]
    pub palettes: BTreeMap<Vec<[u8; 3]>, Files>,
    /// Files that do not keep their numbers.
    pub lossy: Files,
    /// Of their pixels: those of 128 and more, and those that are neither nearly black nor nearly white.
    pub lossy_high: u64,
    /// Pixels of 16 to 239 among those of lossy files.
    pub lossy_between: u64,
    /// Files with an alpha channel that says something nobody has explained.
    pub alpha: Files,
    /// Pixels without a number, and how many files have any.
    pub missing_pixels: u64,
    /// Files with a number for no data, by that number.
    #[serde(with = "pairs")]
    pub nodata: BTreeMap<i64, Files>,
    /// Pixels that objects of two values share.
    pub contested: u64,
    /// How often neighbours differ, of run lengths: in the order that is said, and in the other one.
    pub seams: [u64; 2],
}

/// How many files, and the number of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Files {
    /// How many.
    pub count: u64,
    /// The first of them, where there is one.
    pub first: usize,
}

/// How often a value occurs, and where first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueFacts {
    /// Pixels that have it.
    pub pixels: u64,
    /// Files that have it.
    pub files: Files,
    /// Row of the first pixel in the first file.
    pub row: u32,
    /// Its column.
    pub column: u32,
}

impl Files {
    const fn one(first: usize) -> Self {
        Self { count: 1, first }
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.first = match (self.count, more.count) {
            (0, _) => more.first,
            (_, 0) => self.first,
            _ => self.first.min(more.first),
        };
        self.count += more.count;
    }
}

/// Maps as lists of pairs: their keys are no texts, as those of JSON are.
mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<S: Serializer, K: Serialize, V: Serialize>(
        map: &BTreeMap<K, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, K: Deserialize<'de> + Ord, V: Deserialize<'de>>(
        from: D,
    ) -> Result<BTreeMap<K, V>, D::Error> {
        Ok(Vec::<(K, V)>::deserialize(from)?.into_iter().collect())
    }
}

impl Census {
    /// The census of one label as that of number `file` of its source, whichever number it had.
    #[must_use]
    pub fn as_of(mut self, file: usize) -> Self {
        let files = self.kinds.values_mut().chain(self.sizes.values_mut()).chain(self.lone.values_mut());
        let files = files.chain(self.palettes.values_mut()).chain(self.nodata.values_mut());
        let files = files.chain(self.values.values_mut().map(|value| &mut value.files));
        files
            .chain([&mut self.lossy, &mut self.alpha])
            .filter(|files| files.count > 0)
            .for_each(|f| f.first = file);
        self
    }

    /// The census of one label, which is number `file` of its source.
    pub fn of(file: usize, label: &RawLabel) -> Self {
        let own = Files::one(file);
        let facts = &label.facts;
        let mut census = Self {
            files: 1,
            pixels: label.values.len() as u64,
            kinds: [(facts.kind.clone(), own)].into(),
            sizes: [((label.size.height, label.size.width), own)].into(),
            contested: facts.contested,
            seams: facts.seams,
            ..Self::default()
        };
        census.missing_pixels = label.missing.iter().filter(|&&missing| missing).count() as u64;
        if let Some(palette) = &facts.palette {
            census.palettes.insert(palette.clone(), own);
        }
        if facts.alpha_varies {
            census.alpha = own;
        }
        // What is not a number is no value of a class.
        if let Some(nodata) = facts.nodata.filter(|nodata| nodata.is_finite()) {
            census.nodata.insert(nodata as i64, own);
        }
        if facts.lossy {
            census.lossy = own;
            for &value in &label.values {
                let value = level(value, facts.coloured);
                census.lossy_high += u64::from(value >= 128);
                census.lossy_between += u64::from(BETWEEN.contains(&value));
            }
        } else {
            census.count_values(own, label);
            let mut others = census.values.keys().filter(|value| !value.is_zero());
            if let (Some(&only), None) = (others.next(), others.next()) {
                census.lone.insert(only, own);
            }
        }
        census
    }

    fn count_values(&mut self, own: Files, label: &RawLabel) {
        let width = label.size.width.max(1) as usize;
        // Most numbers are small, and most labels have all of their pixels: these are counted without a search.
        let mut small: [Option<(u64, usize)>; 256] = [None; 256];
        let mut at = 0;
        while at < label.values.len() {
            let start = at;
            at += run_length(&label.values[at..]);
            let (first, pixels) = if self.missing_pixels == 0 {
                (start, (at - start) as u64)
            } else {
                let flags = &label.missing[start..at];
                let Some(first) = flags.iter().position(|&missing| !missing) else { continue };
                (start + first, flags.iter().filter(|&&missing| !missing).count() as u64)
            };
            match small.get_mut(label.values[start] as usize) {
                Some(counted) => counted.get_or_insert((0, first)).0 += pixels,
                None => self.count_value(own, label.facts.value(label.values[start]), pixels, (first, width)),
            }
        }
        for (number, counted) in small.iter().enumerate() {
            if let &Some((pixels, first)) = counted {
                self.count_value(own, label.facts.value(number as u32), pixels, (first, width));
            }
        }
    }

    /// `place` is that of the first pixel, and the length of a row.
    fn count_value(&mut self, own: Files, value: Value, pixels: u64, (place, width): (usize, usize)) {
        if self.values.len() >= VALUES_MAX && !self.values.contains_key(&value) {
            self.too_many_values = true;
            return;
        }
        let (row, column) = ((place / width) as u32, (place % width) as u32);
        self.values.entry(value).or_insert(ValueFacts { pixels: 0, files: own, row, column }).pixels +=
            pixels;
    }

    /// Adds the census of other files.
    pub fn merge(&mut self, other: Self) {
        self.files += other.files;
        self.pixels += other.pixels;
        merge_files(&mut self.kinds, other.kinds, usize::MAX);
        merge_files(&mut self.sizes, other.sizes, usize::MAX);
        merge_files(&mut self.lone, other.lone, VALUES_MAX);
        merge_files(&mut self.palettes, other.palettes, PALETTES_MAX);
        merge_files(&mut self.nodata, other.nodata, usize::MAX);
        self.too_many_values |= other.too_many_values;
        for (value, more) in other.values {
            if self.values.len() >= VALUES_MAX && !self.values.contains_key(&value) {
                self.too_many_values = true;
                continue;
            }
            let own = self.values.entry(value).or_insert(ValueFacts {
                pixels: 0,
                files: Files { count: 0, first: more.files.first },
                ..more
            });
            if more.files.first < own.files.first {
                (own.row, own.column) = (more.row, more.column);
            }
            own.pixels += more.pixels;
            own.files.add(more.files);
        }
        self.lossy.add(other.lossy);
        self.lossy_high += other.lossy_high;
        self.lossy_between += other.lossy_between;
        self.alpha.add(other.alpha);
        self.missing_pixels += other.missing_pixels;
        self.contested += other.contested;
        self.seams.iter_mut().zip(other.seams).for_each(|(sum, n)| *sum += n);
    }
}

fn merge_files<K: Ord>(own: &mut BTreeMap<K, Files>, other: BTreeMap<K, Files>, max: usize) {
    for (key, more) in other {
        if own.len() < max || own.contains_key(&key) {
            own.entry(key).or_default().add(more);
        }
    }
}

/// How bright a value is, 0 to 255 for files of eight bits.
pub(crate) const fn level(value: u32, coloured: bool) -> u32 {
    if coloured {
        let [_, red, green, blue] = value.to_be_bytes();
        (red as u32 + green as u32 + blue as u32) / 3
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::LabelFacts;
    use marquetry_geometry::Size;

    fn label(values: &[u32], missing: &[usize]) -> RawLabel {
        let flags = (0..values.len()).map(|at| missing.contains(&at)).collect();
        let facts = LabelFacts { kind: "PNG, grey".into(), ..LabelFacts::default() };
        RawLabel {
            size: Size::new(values.len() as u32 / 4, 4),
            values: values.to_vec(),
            missing: flags,
            facts,
            ..RawLabel::default()
        }
    }

    #[test]
    fn the_first_place_is_of_the_first_file_whatever_the_order() {
        let a = Census::of(0, &label(&[0, 0, 0, 0, 0, 7, 7, 1], &[5]));
        let b = Census::of(1, &label(&[7, 7, 7, 0], &[]));
        let mut forth = a.clone();
        forth.merge(b.clone());
        let mut back = b;
        back.merge(a);
        assert_eq!(forth, back);
        assert_eq!((forth.files, forth.pixels, forth.missing_pixels), (2, 12, 1));
        let files = Files { count: 2, first: 0 };
        assert_eq!(forth.values[&Value::Number(7)], ValueFacts { pixels: 4, files, row: 1, column: 2 });
        assert_eq!(forth.values[&Value::Number(1)].files, Files::one(0));
        assert_eq!(forth.sizes.len(), 2);
        assert_eq!(forth.lone, [(Value::Number(7), Files::one(1))].into(), "the first has 1 as well");
    }

    #[test]
    fn no_data_that_is_no_number_is_no_value() {
        let mut file = label(&[0, 1, 0, 1], &[2]);
        file.facts.nodata = Some(f64::NAN);
        assert!(Census::of(0, &file).nodata.is_empty());
        file.facts.nodata = Some(0.0);
        assert_eq!(Census::of(0, &file).nodata.len(), 1);
    }

    #[test]
    fn photographs_are_found_out() {
        let many: Vec<u32> = (0..8000).collect();
        let census = Census::of(0, &label(&many, &[]));
        assert!(census.too_many_values && census.values.len() == VALUES_MAX);
    }

    #[test]
    fn lossy_files_are_counted_by_brightness() {
        let mut lossy = label(&[0, 3, 120, 128, 200, 240, 255, 16], &[]);
        lossy.facts.lossy = true;
        let census = Census::of(0, &lossy);
        assert_eq!((census.lossy_high, census.lossy_between, census.values.len()), (4, 4, 0));
    }
}
