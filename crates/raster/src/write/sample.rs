//! How a sample submission is understood: which column is which, and what each row speaks of.

use super::error::{Result, WriteError};
use super::submission::{SubmissionClass, SubmissionColumns, called};
use std::collections::HashMap;

pub(super) const SAMPLE: &str = "the sample submission";

/// How the rows of a sample are understood.
pub(super) struct Reading<'a> {
    pub(super) images: &'a ImagesById<'a>,
    pub(super) tokens: HashMap<String, u16>,
    pub(super) id_column: usize,
    pub(super) class_column: Option<usize>,
}

/// The places of images by what rows may call them.
pub(super) struct ImagesById<'a> {
    /// By their ids.
    ids: HashMap<&'a str, usize>,
    /// What the job says stands in the first column, for each image and each of its classes.
    said: HashMap<String, (usize, Option<u16>)>,
    /// By ids without an ending, where ids have one and one image alone is called so.
    stems: HashMap<&'a str, Option<usize>>,
}

/// An id without the ending of an image's file, if it has one.
fn stem(id: &str) -> Option<&str> {
    const ENDINGS: [&str; 16] = [
        "png", "jpg", "jpeg", "jfif", "tif", "tiff", "bmp", "webp", "pgm", "ppm", "pbm", "pnm", "gif", "dcm",
        "npy", "jp2",
    ];
    let (stem, ending) = id.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?;
    ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending)).then_some(stem)
}

impl<'a> ImagesById<'a> {
    /// Of `images`, whose ids must differ. `id` is what stands in the first column: `{image}`, `{class}` and `{index}` in it
    /// stand for an image's id, a class's name and its index.
    pub(super) fn new(ids: HashMap<&'a str, usize>, id: &str, classes: &[SubmissionClass]) -> Self {
        let mut said = HashMap::new();
        for (image, &place) in ids.iter().filter(|_| id != "{image}") {
            if !id.contains("{class}") && !id.contains("{index}") {
                said.insert(called(id, image, None), (place, None));
                continue;
            }
            for class in classes {
                said.insert(called(id, image, Some(class)), (place, Some(class.class)));
            }
        }
        let mut stems: HashMap<&str, Option<usize>> = HashMap::new();
        for (image, &place) in &ids {
            if let Some(stem) = stem(image) {
                stems.entry(stem).and_modify(|found| *found = None).or_insert(Some(place));
            }
        }
        Self { ids, said, stems }
    }

    /// The image that is called `id`: by its own id, by that with the ending of its file, or without one.
    fn find(&self, id: &str) -> Option<usize> {
        let exact = |id: &str| self.ids.get(id).copied();
        exact(id).or_else(|| exact(stem(id)?)).or_else(|| self.stems.get(id).copied().flatten())
    }
}

impl Reading<'_> {
    /// The image and class that a row speaks of.
    pub(super) fn key(&self, record: &[String]) -> Option<(usize, Option<u16>)> {
        let id = record[self.id_column].as_str();
        let said = self.images.said.get(id).copied();
        if let Some(column) = self.class_column {
            let image = said.map(|(image, _)| image).or_else(|| self.images.find(id))?;
            return Some((image, Some(*self.tokens.get(&record[column])?)));
        }
        if let Some(whole) = said.or_else(|| Some((self.images.find(id)?, None))) {
            return Some(whole);
        }
        // Both an image's id and a class's name may have underscores of their own.
        let split = |(at, _)| Some((self.images.find(&id[..at])?, Some(*self.tokens.get(&id[at + 1..])?)));
        id.match_indices('_').find_map(split)
    }

    /// Why nothing answers a row, and what to do, as words that go on.
    pub(super) fn hint(&self, record: &[String]) -> String {
        let id = record[self.id_column].as_str();
        let class = match self.class_column {
            Some(column) => self.images.find(id).map(|_| record[column].as_str()),
            None => {
                id.match_indices('_').find_map(|(at, _)| self.images.find(&id[..at]).map(|_| &id[at + 1..]))
            }
        };
        if let Some(class) = class {
            let known = self.tokens.keys().find(|known| known.eq_ignore_ascii_case(class));
            let mut names: Vec<&str> = self.tokens.keys().map(String::as_str).collect();
            names.sort_unstable();
            let all = some(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
            return known.map_or_else(
                || format!("; its images are there, and the job has no class `{class}`, but {all}"),
                |known| {
                    format!("; its images are there, and its class `{class}` is `{known}` in the job: write it as the sample does")
                },
            );
        }
        let below = self.images.ids.keys().find(|known| {
            let name = known.rsplit('/').next().unwrap_or(known);
            known.contains('/') && [Some(name), stem(name)].contains(&Some(stem(id).unwrap_or(id)))
        });
        if let Some(below) = below {
            return format!(
                "; the job has an image `{below}`: ids are paths below the folder of images.from; name the folder in which the \
                 files lie, or say with `id` what stands in the first column"
            );
        }
        let mut ids: Vec<&str> = self.images.ids.keys().copied().collect();
        ids.sort_unstable();
        ids.first().map_or_else(String::new, |first| {
            format!("; the job's ids are like `{first}`: `id: \"{{image}}…\"` says what stands in the sample's first column")
        })
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
