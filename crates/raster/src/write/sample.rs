//! How a sample submission is understood: which column is which, and what each row speaks of.

use super::error::{Result, WriteError};
use super::submission::SubmissionColumns;
use std::collections::HashMap;
use std::path::Path;

pub(super) const SAMPLE: &str = "the sample submission";

/// How the rows of a sample are understood.
pub(super) struct Reading<'a> {
    pub(super) images: &'a HashMap<&'a str, usize>,
    pub(super) tokens: HashMap<String, u16>,
    pub(super) id_column: usize,
    pub(super) class_column: Option<usize>,
}

impl Reading<'_> {
    /// The image and class that a row speaks of.
    pub(super) fn key(&self, record: &[String]) -> Option<(usize, Option<u16>)> {
        let id = record[self.id_column].as_str();
        let image = |id: &str| self.images.get(id).copied();
        if let Some(column) = self.class_column {
            return Some((image(id)?, Some(*self.tokens.get(&record[column])?)));
        }
        if let Some(whole) = image(id) {
            return Some((whole, None));
        }
        // Both an image's id and a class's name may have underscores of their own.
        let split = |(at, _)| Some((image(&id[..at])?, Some(*self.tokens.get(&id[at + 1..])?)));
        id.match_indices('_').find_map(split)
    }

    pub(super) fn written(&self, record: &[String]) -> String {
        let id = &record[self.id_column];
        self.class_column.map_or_else(|| id.clone(), |column| format!("{id} (class {})", record[column]))
    }
}

/// The column of a name.
pub(super) fn position(header: &[String], name: &str) -> Result<usize> {
    header.iter().position(|found| found == name).ok_or_else(|| {
        WriteError::malformed(SAMPLE, format!("it has no column {name:?}, but {}", header.join(", ")))
    })
}

/// The columns of the id and of the text.
pub(super) fn find_columns(header: &[String], columns: &SubmissionColumns) -> Result<[usize; 2]> {
    const WORDS: [&str; 7] = [
        "rle",
        "encodedpixels",
        "encoded_pixels",
        "predictionstring",
        "prediction_string",
        "segmentation",
        "mask",
    ];
    let like_mask = |name: &String| {
        let name = name.to_lowercase();
        WORDS.iter().any(|word| name.contains(word))
    };
    let id = columns.id.as_ref().map_or(Ok(0), |name| position(header, name))?;
    let guess = || {
        let named = (0..header.len()).find(|&column| column != id && like_mask(&header[column]));
        named.unwrap_or(header.len().saturating_sub(1))
    };
    let text = columns.text.as_ref().map_or_else(|| Ok(guess()), |name| position(header, name))?;
    if id == text {
        let found = format!("its columns {} have no two for ids and texts", header.join(", "));
        return Err(WriteError::malformed(SAMPLE, found));
    }
    Ok([id, text])
}

/// The first few of a list.
pub(super) fn some(keys: &[String]) -> String {
    let shown = keys.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    if keys.len() > 5 { shown + ", …" } else { shown }
}

/// The commonest reason why no id is known.
pub(super) fn extension_hint(id: &str, images: &HashMap<&str, usize>) -> &'static str {
    let stem = |id: &str| Path::new(id).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    if stem(id).is_some_and(|stem| images.contains_key(stem.as_str())) {
        "; its ids have a file extension, the job's have none"
    } else if images.keys().any(|&image| stem(image).as_deref() == Some(id)) {
        "; the job's ids have a file extension, its ids have none"
    } else {
        ""
    }
}
