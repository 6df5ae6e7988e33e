//! NumPy's array files (`.npy`, `.npz`) as labels.

use crate::error::LabelError;
use crate::raw::{LabelFacts, RawLabel};
use marquetry_geometry::Size;
use std::borrow::Cow;
use std::io::{Read, Seek};
use std::path::Path;

/// Most bytes that a header may have; real ones have about 120.
const HEADER_MAX: usize = 1 << 16;

/// An array's form.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Header {
    number: Number,
    is_column_major: bool,
    /// Lengths of axes, those of length 1 left out.
    axes: Vec<usize>,
}

/// How a number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number {
    /// `b` for truth values, `u`, `i` or `f`.
    kind: u8,
    bytes: usize,
    is_big_endian: bool,
}

/// Which axis of an array counts classes, one of which is 1 at each pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Classes {
    None,
    First(usize),
    Last(usize),
}

/// A file that holds an array.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArrayFile<'a> {
    pub(crate) path: &'a Path,
    /// Which array of an archive of several (`.npz`) it is.
    pub(crate) name: Option<&'a str>,
    /// Most bytes that it may take.
    pub(crate) memory_bytes: u64,
}

/// The size of a label, px; of three axes, only the values say which counts classes.
///
/// # Errors
/// When the file cannot be read, or is no label.
pub(crate) fn size(array: ArrayFile<'_>) -> Result<Option<Size>, LabelError> {
    let mut file = open(array)?;
    let fault = |found| LabelError::meaning(&array.path.display(), found);
    let header = header(&mut file).map_err(fault)?;
    if header.axes.len() == 3 {
        return Ok(None);
    }
    sides(&header.axes).map(Some).map_err(fault)
}

/// Reads a label: `[H, W]`, or `[C, H, W]` and `[H, W, C]` of 0 and 1 with one 1 at each pixel. Axes of length 1 do not
/// count. A number that is not (NaN) is missing.
///
/// # Errors
/// When the file cannot be read or is no label, in words; pickled objects are never loaded.
pub(crate) fn read(array: ArrayFile<'_>, out: &mut RawLabel) -> Result<(), LabelError> {
    let ArrayFile { path, memory_bytes, .. } = array;
    let fault = |found: String| LabelError::meaning(&path.display(), found);
    let mut file = open(array)?;
    let header = header(&mut file).map_err(&fault)?;
    let count = header.axes.iter().try_fold(1_usize, |all, &axis| all.checked_mul(axis));
    let bytes = count.and_then(|count| count.checked_mul(header.number.bytes));
    let Some(bytes) = bytes.filter(|&bytes| bytes as u64 <= memory_bytes) else {
        return Err(fault(format!("an array of {:?} takes more memory than is allowed", header.axes)));
    };
    let mut data = Vec::new();
    let taken = file.take(bytes as u64).read_to_end(&mut data);
    taken.map_err(|source| LabelError::Io { path: path.to_owned(), doing: "reading the array", source })?;
    if data.len() < bytes {
        return Err(fault(format!("it ends after {} of {bytes} bytes", data.len())));
    }
    let array = Array { header: &header, data: &data };
    out.missing.clear();
    let classes = match header.axes.as_slice() {
        [_, _] => Classes::None,
        &[first, ..] if array.is_one_hot(Classes::First(first)) && header.axes.len() == 3 => {
            Classes::First(first)
        }
        &[_, _, last] if array.is_one_hot(Classes::Last(last)) => Classes::Last(last),
        axes => {
            return Err(fault(format!(
                "an array of {axes:?} is no label: it has two axes, or a third one of classes with one 1 at each pixel \
                 (votes of several people must be made one label)"
            )));
        }
    };
    array.label(classes, out).map_err(&fault)?;
    out.facts = LabelFacts { kind: "NumPy array".to_owned(), ..LabelFacts::default() };
    Ok(())
}

fn open(array: ArrayFile<'_>) -> Result<Box<dyn Read>, LabelError> {
    let ArrayFile { path, name, memory_bytes } = array;
    let failed = |source| LabelError::Io { path: path.to_owned(), doing: "reading the array", source };
    let file = std::io::BufReader::new(std::fs::File::open(path).map_err(failed)?);
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz")) {
        return Ok(Box::new(file));
    }
    member(file, name, memory_bytes)
        .map(|bytes| Box::new(std::io::Cursor::new(bytes)) as Box<dyn Read>)
        .map_err(|found| LabelError::meaning(&path.display(), found))
}

/// The array of an archive that is the label, as a `.npy` file.
fn member(file: impl Read + Seek, name: Option<&str>, bytes_max: u64) -> Result<Vec<u8>, String> {
    let none = |error| format!("it is no ZIP archive that can be read, which an .npz is: {error}");
    let mut archive = zip::ZipArchive::new(file).map_err(none)?;
    let names: Result<Vec<String>, _> = archive.file_names().map(|name| name.map(Cow::into_owned)).collect();
    let names = names.map_err(none)?;
    let name = chosen(&names, name)?;
    let damaged = |error: &dyn std::fmt::Display| format!("its member {name} cannot be read: {error}");
    let member = archive.by_name(name).map_err(|error| damaged(&error))?;
    let bytes = member.size();
    if bytes.max(member.compressed_size()) > bytes_max {
        return Err(format!("its member {name} takes more memory than is allowed"));
    }
    let mut content = Vec::new();
    // One byte more than is said is too many; the checksum is looked at with the end.
    member.take(bytes + 1).read_to_end(&mut content).map_err(|error| damaged(&error))?;
    if content.len() as u64 == bytes { Ok(content) } else { Err(damaged(&"its length is another")) }
}

/// The array of an archive that is the label: the one that is named, or the only one.
fn chosen<'a>(members: &'a [String], name: Option<&str>) -> Result<&'a str, String> {
    let own = |member: &'a String| member.trim_end_matches(".npy");
    let listed = || members.iter().map(own).collect::<Vec<_>>().join(", ");
    match (name, members) {
        (None, [only]) => Ok(only),
        (None, _) => {
            Err(format!("it holds {} arrays ({}); say which `array` is the label", members.len(), listed()))
        }
        (Some(name), _) => members
            .iter()
            .find(|member| own(member) == name)
            .map(String::as_str)
            .ok_or_else(|| format!("it holds no array called `{name}`, but {}", listed())),
    }
}

fn header(file: &mut impl Read) -> Result<Header, String> {
    let none = |_| "it is no array of NumPy (.npy)".to_owned();
    let mut start = [0; 8];
    file.read_exact(&mut start).map_err(none)?;
    let mut length = [0; 4];
    let digits = if start[6] == 1 { 2 } else { 4 };
    file.read_exact(&mut length[..digits]).map_err(none)?;
    let length = u32::from_le_bytes(length) as usize;
    if start[..6] != *b"\x93NUMPY" || length > HEADER_MAX {
        return Err("it is no array of NumPy (.npy)".to_owned());
    }
    let mut text = vec![0; length];
    file.read_exact(&mut text).map_err(none)?;
    let text = String::from_utf8_lossy(&text);
    let after = |key: &str| text.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let missing = |key: &str| format!("its header does not say `{key}`");
    let descr = after("descr").ok_or_else(|| missing("descr"))?;
    let quoted = descr.split('\'').nth(1).filter(|_| descr.starts_with('\''));
    let number = quoted.and_then(number).ok_or_else(|| {
        let kind = descr.split([',', '}']).next().unwrap_or_default();
        format!(
            "its numbers are of type {kind}; truth values, whole numbers and floats are read, objects never"
        )
    })?;
    let is_column_major = after("fortran_order").ok_or_else(|| missing("fortran_order"))?.starts_with("True");
    let shape = after("shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')'));
    let (shape, _) = shape.ok_or_else(|| missing("shape"))?;
    let axes = shape.split(',').map(str::trim).filter(|axis| !axis.is_empty()).map(str::parse);
    let mut axes: Vec<usize> =
        axes.collect::<Result<_, _>>().map_err(|_| format!("its shape is ({shape})"))?;
    axes.retain(|&axis| axis != 1);
    Ok(Header { number, is_column_major, axes })
}

/// Reads `<i4`, `|u1` and the like.
fn number(text: &str) -> Option<Number> {
    let mut letters = text.bytes();
    let (order, kind) = (letters.next()?, letters.next()?);
    let bytes = text.get(2..)?.parse().ok()?;
    let known = matches!((kind, bytes), (b'b', 1) | (b'u' | b'i', 1 | 2 | 4 | 8) | (b'f', 4 | 8));
    known.then_some(Number { kind, bytes, is_big_endian: order == b'>' })
}

fn sides(axes: &[usize]) -> Result<Size, String> {
    let side = |axis: usize| u32::try_from(axis).ok().filter(|&side| side > 0);
    // An axis of length 1 has been left out, and one of the label's may be that long.
    let (height, width) = match axes {
        &[height, width] => (side(height), side(width)),
        _ => (None, None),
    };
    let size = height.zip(width).map(|(height, width)| Size::new(height, width));
    size.ok_or_else(|| format!("an array of {axes:?} is no label"))
}

/// An array in memory.
struct Array<'a> {
    header: &'a Header,
    data: &'a [u8],
}

impl Array<'_> {
    /// The value at a place, by its indices.
    fn at(&self, place: &[usize]) -> f64 {
        let axes = &self.header.axes;
        let index = if self.header.is_column_major {
            place.iter().zip(axes).rev().fold(0, |index, (&at, &axis)| index * axis + at)
        } else {
            place.iter().zip(axes).fold(0, |index, (&at, &axis)| index * axis + at)
        };
        let Number { kind, bytes, is_big_endian } = self.header.number;
        let mut word = [0; 8];
        word[..bytes].copy_from_slice(&self.data[index * bytes..(index + 1) * bytes]);
        if is_big_endian {
            word[..bytes].reverse();
        }
        let bits = u64::from_le_bytes(word);
        let unused = 64 - 8 * bytes as u32;
        match (kind, bytes) {
            (b'f', 4) => f64::from(f32::from_bits(bits as u32)),
            (b'f', _) => f64::from_bits(bits),
            (b'i', _) => ((bits << unused).cast_signed() >> unused) as f64,
            _ => bits as f64,
        }
    }

    /// Where the value of a class at a pixel is.
    fn class_at(&self, classes: Classes, class: usize, y: usize, x: usize) -> f64 {
        match classes {
            Classes::None => self.at(&[y, x]),
            Classes::First(_) => self.at(&[class, y, x]),
            Classes::Last(_) => self.at(&[y, x, class]),
        }
    }

    fn plane(&self, classes: Classes) -> [usize; 2] {
        match (classes, self.header.axes.as_slice()) {
            (Classes::First(_), &[_, height, width]) | (_, &[height, width, ..]) => [height, width],
            _ => [0, 0],
        }
    }

    /// Whether each pixel has one 1 along the axis of classes, and 0 otherwise.
    fn is_one_hot(&self, classes: Classes) -> bool {
        let (Classes::First(number) | Classes::Last(number)) = classes else { return false };
        let [height, width] = self.plane(classes);
        (0..height).all(|y| {
            (0..width).all(|x| {
                let mut values = (0..number).map(|class| self.class_at(classes, class, y, x));
                let mut ones = 0;
                values.all(|value| {
                    ones += usize::from(value == 1.0);
                    value == 0.0 || value == 1.0
                }) && ones == 1
            })
        })
    }

    fn label(&self, classes: Classes, out: &mut RawLabel) -> Result<(), String> {
        let [height, width] = self.plane(classes);
        out.size = sides(&[height, width])?;
        out.values.clear();
        for y in 0..height {
            for x in 0..width {
                let value = match classes {
                    Classes::None => self.at(&[y, x]),
                    Classes::First(number) | Classes::Last(number) => {
                        let class = (0..number).find(|&class| self.class_at(classes, class, y, x) == 1.0);
                        class.unwrap_or_default() as f64
                    }
                };
                let is_number =
                    value.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value);
                if !is_number && !value.is_nan() {
                    return Err(format!(
                        "{value} at row {y}, column {x} is no label: those are whole numbers of 32 bits"
                    ));
                }
                out.values.push((value as i32).cast_unsigned());
                out.missing.push(value.is_nan());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An array as NumPy writes it.
    fn npy(descr: &str, column_major: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let order = if column_major { "True" } else { "False" };
        let text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.bytes());
        bytes.extend(data);
        bytes
    }

    fn read_bytes(bytes: &[u8]) -> Result<RawLabel, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read_file(file.path(), None)
    }

    fn read_file(path: &Path, name: Option<&str>) -> Result<RawLabel, String> {
        let mut label = RawLabel::default();
        let array = ArrayFile { path, name, memory_bytes: 1 << 20 };
        read(array, &mut label).map_err(|error| error.to_string())?;
        assert!(size(array).unwrap().is_none_or(|size| size == label.size));
        Ok(label)
    }

    /// An archive as `numpy.savez` writes it, and as `numpy.savez_compressed` does where `deflated`.
    fn npz(deflated: bool, arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
        use std::io::Write as _;
        let method = if deflated { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
        let options = zip::write::SimpleFileOptions::default().compression_method(method).large_file(true);
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, array) in arrays {
            archive.start_file(format!("{name}.npy"), options).unwrap();
            archive.write_all(array).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn archives_hold_one_label_or_say_which() {
        let folder = tempfile::TempDir::new().unwrap();
        let read = |bytes: &[u8], name: Option<&str>| {
            let path = folder.path().join("a.NPZ");
            std::fs::write(&path, bytes).unwrap();
            read_file(&path, name)
        };
        let mask = npy("|u1", false, "(2, 3)", &[0, 1, 2, 3, 4, 5]);
        for deflated in [false, true] {
            let one = npz(deflated, &[("arr_0", mask.clone())]);
            assert_eq!(read(&one, None).unwrap().values, [0, 1, 2, 3, 4, 5]);
            let other = npy("|u1", false, "(1, 2, 2)", &[9; 4]);
            let two = npz(deflated, &[("image", other), ("mask", mask.clone())]);
            assert_eq!(read(&two, Some("mask")).unwrap().values, [0, 1, 2, 3, 4, 5]);
            let error = read(&two, None).unwrap_err();
            assert!(error.contains("2 arrays (image, mask)"), "{error}");
            assert!(
                read(&two, Some("label")).unwrap_err().contains("no array called `label`, but image, mask")
            );
            let mut damaged = one.clone();
            let at = damaged.windows(4).position(|window| window == [0, 1, 2, 3]).unwrap_or(80);
            damaged[at] ^= 3;
            let error = read(&damaged, None).unwrap_err();
            assert!(error.contains("damaged") || error.contains("cannot be read"), "{error}");
            let cut = read(&one[..one.len() - 30], None).unwrap_err();
            assert!(cut.contains("ZIP archive"), "{cut}");
        }
    }

    #[test]
    fn arrays_of_every_type_and_order() {
        let size = Size::new(2, 3);
        let label = read_bytes(&npy("|u1", false, "(2, 3)", &[0, 1, 2, 3, 4, 5])).unwrap();
        assert_eq!((label.size, &label.values[..]), (size, &[0, 1, 2, 3, 4, 5][..]));
        let label = read_bytes(&npy("|b1", true, "(2, 3)", &[0, 1, 1, 0, 0, 1])).unwrap();
        assert_eq!(label.values, [0, 1, 0, 1, 0, 1], "down the columns");
        let ints: Vec<u8> = [0_i32, 7, 70_000].iter().flat_map(|n| n.to_le_bytes()).collect();
        assert!(read_bytes(&npy("<i4", false, "(1, 3, 1)", &ints)).unwrap_err().contains("[3]"));
        let ints: Vec<u8> = [0_i32, 7, 70_000, 1].iter().flat_map(|n| n.to_be_bytes()).collect();
        assert_eq!(read_bytes(&npy(">i4", false, "(2, 2, 1)", &ints)).unwrap().values, [0, 7, 70_000, 1]);
        let floats: Vec<u8> = [0.0_f32, f32::NAN, 2.0, 1.0].iter().flat_map(|n| n.to_le_bytes()).collect();
        let label = read_bytes(&npy("<f4", false, "(2, 2)", &floats)).unwrap();
        assert_eq!((label.values[2], label.missing), (2, vec![false, true, false, false]));
    }

    #[test]
    fn one_hot_arrays_are_their_classes() {
        let planes = npy("|u1", false, "(3, 1, 2, 2)", &[1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1]);
        assert_eq!(read_bytes(&planes).unwrap().values, [0, 1, 2, 2]);
        let last = npy("|u1", false, "(2, 2, 3)", &[1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1]);
        assert_eq!(read_bytes(&last).unwrap().values, [0, 1, 2, 2]);
    }

    #[test]
    fn numbers_below_0_are_kept() {
        let label = read_bytes(&npy("|i1", false, "(2, 2)", &[0, 0, 255, 128])).unwrap();
        let values: Vec<i32> = label.values.iter().map(|value| value.cast_signed()).collect();
        assert_eq!(values, [0, 0, -1, -128]);
    }

    #[test]
    fn what_is_no_label_is_said() {
        for (bytes, word) in [
            (b"PNG".to_vec(), "no array of NumPy"),
            (npy("|O", false, "(2, 2)", &[]), "objects never"),
            (npy("|u1", false, "(2, 2, 2)", &[1; 8]), "votes of several people"),
            (npy("|u1", false, "(2, 2)", &[1; 3]), "3 of 4 bytes"),
            (npy("<u4", false, "(1, 2, 2)", &[255; 16]), "4294967295 at row 0, column 0"),
            (npy("<f8", false, "(1000000, 1000000)", &[]), "more memory"),
        ] {
            let error = read_bytes(&bytes).unwrap_err();
            assert!(error.contains(word), "`{word}` is not in {error}");
        }
    }
}
