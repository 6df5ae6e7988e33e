//! The table that names the images of a job.

use marquetry_failure::{Classify, FailureClass};
use std::collections::{BTreeMap, HashMap};

/// One row of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRow {
    /// Unique in the manifest.
    pub image_id: String,
    /// Where the image is, as written.
    pub path: String,
    /// The other columns (`fold`, `label`, …); empty cells are left out.
    pub tags: BTreeMap<String, String>,
}

/// Why a manifest cannot be read. Lines are counted from 1, the header being the first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The first line does not name the columns.
    #[error("line 1: the header is `{given}`; needed are the columns image_id and path, each name once")]
    Header {
        /// What it is.
        given: String,
    },
    /// A line that is no row of this table.
    #[error("line {line}: {message}")]
    Row {
        /// Which line.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// Two images with one id.
    #[error(
        "line {line}: image_id `{id}` ({path}) is that of line {first} ({first_path}) too; ids are unique"
    )]
    Duplicate {
        /// The id.
        id: String,
        /// The line of the second image.
        line: u64,
        /// The path of the second image.
        path: String,
        /// The line of the first image.
        first: u64,
        /// The path of the first image.
        first_path: String,
    },
    /// A header and nothing else.
    #[error("the manifest names no image")]
    Empty,
}

impl Classify for ManifestError {
    fn class(&self) -> FailureClass {
        FailureClass::Input
    }
}

/// Reads a manifest: CSV with a header, columns `image_id` and `path` in any place, all others tags. A byte order mark
/// and spaces around cells are taken off.
///
/// # Errors
/// When the header lacks a column or names one twice, a row has too few or too many cells or an empty id or path, two
/// rows have one id, or there is no row.
pub fn parse_manifest(text: &str) -> Result<Vec<ManifestRow>, ManifestError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| row_error(text, &e))?.clone();
    let columns = Columns::new(&header)?;
    let mut rows: Vec<ManifestRow> = Vec::new();
    let mut seen: HashMap<String, (u64, usize)> = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(|e| row_error(text, &e))?;
        let byte = record.position().map_or(0, csv::Position::byte);
        let row = columns
            .row(&record)
            .map_err(|message| ManifestError::Row { line: line_at(text, byte), message })?;
        if let Some(&(first, index)) = seen.get(&row.image_id) {
            return Err(ManifestError::Duplicate {
                line: line_at(text, byte),
                path: row.path,
                first: line_at(text, first),
                first_path: rows[index].path.clone(),
                id: row.image_id,
            });
        }
        seen.insert(row.image_id.clone(), (byte, rows.len()));
        rows.push(row);
    }
    if rows.is_empty() { Err(ManifestError::Empty) } else { Ok(rows) }
}

struct Columns<'a> {
    id: usize,
    path: usize,
    header: &'a csv::StringRecord,
}

impl<'a> Columns<'a> {
    fn new(header: &'a csv::StringRecord) -> Result<Self, ManifestError> {
        let bad = || ManifestError::Header { given: header.iter().collect::<Vec<_>>().join(",") };
        let place = |name| header.iter().position(|column| column == name).ok_or_else(bad);
        let mut names: Vec<&str> = header.iter().collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(bad());
        }
        Ok(Self { id: place("image_id")?, path: place("path")?, header })
    }

    fn row(&self, record: &csv::StringRecord) -> Result<ManifestRow, String> {
        let cell = |column: usize| match record.get(column) {
            Some(cell) if !cell.is_empty() => Ok(cell.to_owned()),
            _ => Err(format!("{} is empty", &self.header[column])),
        };
        let is_tag =
            |(column, cell): &(usize, &str)| *column != self.id && *column != self.path && !cell.is_empty();
        let tags = record.iter().enumerate().filter(is_tag);
        Ok(ManifestRow {
            image_id: cell(self.id)?,
            path: cell(self.path)?,
            tags: tags.map(|(column, cell)| (self.header[column].to_owned(), cell.to_owned())).collect(),
        })
    }
}

/// The line of the record that starts at `byte`, after any empty lines, which the reader counts to the record.
fn line_at(text: &str, byte: u64) -> u64 {
    let start = text.len().min(byte as usize);
    let blank = text.as_bytes()[start..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let before = text.get(..start + blank).unwrap_or(text);
    1 + before.matches('\n').count() as u64
}

fn row_error(text: &str, error: &csv::Error) -> ManifestError {
    let line = line_at(text, error.position().map_or(0, csv::Position::byte));
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} cells where the header has {expected_len}; quote cells that hold commas")
        }
        other => format!("cannot be read as CSV ({other:?})"),
    };
    ManifestError::Row { line, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse_manifest(text).unwrap_err().to_string()
    }

    #[test]
    fn rows_have_tags() {
        let text =
            "\u{feff}path, image_id ,fold,label\r\na/1.png,one,0,\"x, y\"\r\n\r\n\"b/2.png\",two,,\r\n";
        let rows = parse_manifest(text).unwrap();
        assert_eq!((rows[0].image_id.as_str(), rows[0].path.as_str()), ("one", "a/1.png"));
        let tags: Vec<_> = rows[0].tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(tags, [("fold", "0"), ("label", "x, y")]);
        assert_eq!((rows[1].image_id.as_str(), rows[1].tags.len()), ("two", 0));
    }

    #[test]
    fn faults_name_their_line() {
        let header = "needed are the columns image_id and path, each name once";
        assert_eq!(error("id,path\na,b\n"), format!("line 1: the header is `id,path`; {header}"));
        assert_eq!(
            error("image_id,path,path\na,b,c\n"),
            format!("line 1: the header is `image_id,path,path`; {header}")
        );
        assert_eq!(error(""), format!("line 1: the header is ``; {header}"));
        assert_eq!(error("image_id,path\n"), "the manifest names no image");
        assert_eq!(
            error("image_id,path\na,b\nc,d,e\n"),
            "line 3: 3 cells where the header has 2; quote cells that hold commas"
        );
        assert_eq!(error("image_id,path\na,b\n\n , d\n"), "line 4: image_id is empty");
        assert_eq!(error("image_id,path\na,\n"), "line 2: path is empty");
        assert_eq!(
            error("image_id,path\na,x.png\nb,y.png\na,z.png\n"),
            "line 4: image_id `a` (z.png) is that of line 2 (x.png) too; ids are unique"
        );
    }
}
