//! The tags of a TIFF file's images.

use crate::read::error::ReadFault;
use crate::read::file::Source;
use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet};

/// The tags that are looked at.
pub(crate) mod tag {
    pub(crate) const NEW_SUBFILE_TYPE: u16 = 254;
    pub(crate) const SUBFILE_TYPE: u16 = 255;
    pub(crate) const WIDTH: u16 = 256;
    pub(crate) const HEIGHT: u16 = 257;
    pub(crate) const BITS_PER_SAMPLE: u16 = 258;
    pub(crate) const COMPRESSION: u16 = 259;
    pub(crate) const PHOTOMETRIC: u16 = 262;
    pub(crate) const FILL_ORDER: u16 = 266;
    pub(crate) const DESCRIPTION: u16 = 270;
    pub(crate) const STRIP_OFFSETS: u16 = 273;
    pub(crate) const ORIENTATION: u16 = 274;
    pub(crate) const SAMPLES_PER_PIXEL: u16 = 277;
    pub(crate) const ROWS_PER_STRIP: u16 = 278;
    pub(crate) const STRIP_BYTE_COUNTS: u16 = 279;
    pub(crate) const MAX_SAMPLE_VALUE: u16 = 281;
    pub(crate) const PLANAR: u16 = 284;
    pub(crate) const PREDICTOR: u16 = 317;
    pub(crate) const COLOUR_MAP: u16 = 320;
    pub(crate) const TILE_WIDTH: u16 = 322;
    pub(crate) const TILE_HEIGHT: u16 = 323;
    pub(crate) const TILE_OFFSETS: u16 = 324;
    pub(crate) const TILE_BYTE_COUNTS: u16 = 325;
    pub(crate) const EXTRA_SAMPLES: u16 = 338;
    pub(crate) const SAMPLE_FORMAT: u16 = 339;
    pub(crate) const JPEG_TABLES: u16 = 347;
    pub(crate) const PIXEL_SCALE: u16 = 33550;
    pub(crate) const TIE_POINTS: u16 = 33922;
    pub(crate) const TRANSFORMATION: u16 = 34264;
    pub(crate) const GEO_KEYS: u16 = 34735;
    pub(crate) const GEO_DOUBLES: u16 = 34736;
    pub(crate) const GEO_TEXTS: u16 = 34737;
    pub(crate) const GDAL_NODATA: u16 = 42113;
}

/// The order of bytes in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endian {
    Little,
    Big,
}

impl Endian {
    /// Whether it is the machine's own.
    pub(crate) const fn is_native(self) -> bool {
        matches!(self, Self::Big) == cfg!(target_endian = "big")
    }

    /// The unsigned number in at most eight bytes.
    fn number(self, bytes: &[u8]) -> u64 {
        let join = |all: u64, &byte: &u8| all << 8 | u64::from(byte);
        match self {
            Self::Big => bytes.iter().fold(0, join),
            Self::Little => bytes.iter().rev().fold(0, join),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: u16,
    count: u64,
    /// Where the values are in the file.
    at: u64,
}

impl Entry {
    /// Bytes of one value, for the types that are known.
    const fn value_bytes(self) -> Option<u64> {
        match self.kind {
            1 | 2 | 6 | 7 => Some(1),
            3 | 8 => Some(2),
            4 | 9 | 11 | 13 => Some(4),
            5 | 10 | 12 | 16 | 17 | 18 => Some(8),
            _ => None,
        }
    }
}

/// How a file writes its numbers, and where its first directory is.
#[derive(Debug, Clone, Copy)]
struct Form {
    endian: Endian,
    /// Bytes of an offset, and of a count of values.
    word: u64,
    /// Bytes of the number of entries.
    number: u64,
    first: u64,
}

impl Form {
    fn of(source: &Source) -> Result<Self, ReadFault> {
        let head = source.bytes(0, 8)?;
        let endian = if head.starts_with(b"MM") { Endian::Big } else { Endian::Little };
        let big = endian.number(&head[2..4]) == 43;
        let (word, number) = if big { (8, 8) } else { (4, 2) };
        let first = if big { endian.number(&source.bytes(8, 8)?) } else { endian.number(&head[4..8]) };
        Ok(Self { endian, word, number, first })
    }
}

/// A TIFF or `BigTIFF` directory. Values are read when they are asked for.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) endian: Endian,
    entries: BTreeMap<u16, Entry>,
    /// Tags that it has more than once. As in libtiff, the first of each counts.
    pub(crate) repeated: BTreeSet<u16>,
}

impl Directory {
    /// The first directory of the file: the full image in every pyramid.
    pub(crate) fn first(source: &Source) -> Result<Self, ReadFault> {
        let form = Form::of(source)?;
        Ok(Self::at(source, form, form.first)?.0)
    }

    /// The first directories of the file, at most `max`, and whether there are more. One that is damaged ends the list,
    /// unless it is the first.
    pub(crate) fn all(source: &Source, max: usize) -> Result<(Vec<Self>, bool), ReadFault> {
        let form = Form::of(source)?;
        let (first, mut next) = Self::at(source, form, form.first)?;
        let (mut all, mut seen) = (vec![first], BTreeSet::from([form.first]));
        while next != 0 && seen.insert(next) {
            if all.len() == max {
                return Ok((all, true));
            }
            let Ok((directory, after)) = Self::at(source, form, next) else { break };
            all.push(directory);
            next = after;
        }
        Ok((all, false))
    }

    /// The directory at `first`, and where the next one is; 0 if there is none.
    fn at(source: &Source, form: Form, first: u64) -> Result<(Self, u64), ReadFault> {
        let Form { endian, word, number, .. } = form;
        let entry_count = endian.number(&source.bytes(first, number)?);
        if entry_count > u64::from(u16::MAX) {
            return Err(ReadFault::unreadable(format!("its directory claims {entry_count} entries")));
        }
        let entry_bytes = 4 + 2 * word;
        // Read in one go: in a bucket each read may be a request. A file may end with its last entry.
        let table_bytes = entry_count * entry_bytes;
        let (table, next) = match source.bytes(first + number, table_bytes + word) {
            Ok(mut table) => {
                let next = table.split_off(table_bytes as usize);
                (table, endian.number(&next))
            }
            Err(_) => (source.bytes(first + number, table_bytes)?, 0),
        };
        let (mut entries, mut repeated) = (BTreeMap::new(), BTreeSet::new());
        for (index, bytes) in table.chunks_exact(entry_bytes as usize).enumerate() {
            let (head, value) = bytes.split_at(4 + word as usize);
            let kind = endian.number(&head[2..4]) as u16;
            let mut entry = Entry { kind, count: endian.number(&head[4..]), at: 0 };
            let fits = entry.value_bytes().is_some_and(|each| each.saturating_mul(entry.count) <= word);
            // Values that fit stand in the entry itself.
            let inside = first + number + index as u64 * entry_bytes + 4 + word;
            entry.at = if fits { inside } else { endian.number(value) };
            let tag = endian.number(&head[..2]) as u16;
            match entries.entry(tag) {
                MapEntry::Vacant(place) => drop(place.insert(entry)),
                MapEntry::Occupied(_) => drop(repeated.insert(tag)),
            }
        }
        Ok((Self { endian, entries, repeated }, next))
    }

    pub(crate) fn has(&self, tag: u16) -> bool {
        self.entries.contains_key(&tag)
    }

    /// The bytes of a tag's values; at most `max` values are accepted.
    pub(crate) fn bytes(&self, source: &Source, tag: u16, max: u64) -> Result<Option<Vec<u8>>, ReadFault> {
        let Some(entry) = self.entries.get(&tag) else { return Ok(None) };
        let each = entry.value_bytes().ok_or_else(|| {
            ReadFault::unreadable(format!("its tag {tag} has the unknown type {}", entry.kind))
        })?;
        if entry.count > max {
            return Err(ReadFault::unreadable(format!(
                "its tag {tag} has {} values, {max} at most make sense",
                entry.count
            )));
        }
        source.bytes(entry.at, entry.count * each).map(Some)
    }

    /// A tag's values, which must be unsigned integers; at most `max`.
    pub(crate) fn integers(
        &self,
        source: &Source,
        tag: u16,
        max: u64,
    ) -> Result<Option<Vec<u64>>, ReadFault> {
        let Some(entry) = self.entries.get(&tag) else { return Ok(None) };
        let (Some(each), 1 | 3 | 4 | 7 | 13 | 16 | 18) = (entry.value_bytes(), entry.kind) else {
            return Err(ReadFault::unreadable(format!(
                "its tag {tag} holds no integers but type {}",
                entry.kind
            )));
        };
        let bytes = self.bytes(source, tag, max)?.unwrap_or_default();
        Ok(Some(bytes.chunks_exact(each as usize).map(|value| self.endian.number(value)).collect()))
    }

    /// The first of a tag's values, at most `max`, which must be unsigned integers; none if it is not there.
    pub(crate) fn first_integers(&self, source: &Source, tag: u16, max: u64) -> Result<Vec<u64>, ReadFault> {
        let Some(&entry) = self.entries.get(&tag) else { return Ok(Vec::new()) };
        let first = Entry { count: entry.count.min(max), ..entry };
        let entries = BTreeMap::from([(tag, first)]);
        let shortened = Self { endian: self.endian, entries, repeated: BTreeSet::new() };
        Ok(shortened.integers(source, tag, max)?.unwrap_or_default())
    }

    /// A tag's values, which must be numbers: floats, fractions or integers; at most `max`.
    pub(crate) fn numbers(&self, source: &Source, tag: u16, max: u64) -> Result<Option<Vec<f64>>, ReadFault> {
        let Some(entry) = self.entries.get(&tag) else { return Ok(None) };
        let (Some(each), 3..=5 | 8..=13 | 16..=18) = (entry.value_bytes(), entry.kind) else {
            return Err(ReadFault::unreadable(format!(
                "its tag {tag} holds no numbers but type {}",
                entry.kind
            )));
        };
        let bytes = self.bytes(source, tag, max)?.unwrap_or_default();
        let half = |bytes: &[u8], signed: bool| {
            let number = self.endian.number(bytes) as u32;
            if signed { f64::from(number as i32) } else { f64::from(number) }
        };
        let number = |value: &[u8]| {
            let bits = self.endian.number(value);
            match entry.kind {
                5 | 10 => half(&value[..4], entry.kind == 10) / half(&value[4..], entry.kind == 10),
                8 => f64::from(bits as i16),
                9 => f64::from(bits as i32),
                11 => f64::from(f32::from_bits(bits as u32)),
                12 => f64::from_bits(bits),
                17 => bits as i64 as f64,
                _ => bits as f64,
            }
        };
        Ok(Some(bytes.chunks_exact(each as usize).map(number).collect()))
    }

    /// A tag's only, or first, value.
    pub(crate) fn integer(&self, source: &Source, tag: u16) -> Result<Option<u64>, ReadFault> {
        Ok(self.integers(source, tag, u64::from(u16::MAX))?.and_then(|values| values.first().copied()))
    }

    /// A side or a count that must be there and fit 32 bits.
    pub(crate) fn side(&self, source: &Source, tag: u16) -> Result<u32, ReadFault> {
        let value = self
            .integer(source, tag)?
            .ok_or_else(|| ReadFault::unreadable(format!("its tag {tag} is missing")))?;
        u32::try_from(value).map_err(|_| ReadFault::unreadable(format!("its tag {tag} is {value}")))
    }
}
