//! A submission in CSV: which rows it has, in which order, and what is written in them.

use super::error::{Result, WriteError};
use super::fragment::Fragment;
use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::path::Path;

const SAMPLE: &str = "the sample submission";
const WHAT: &str = "a submission";

/// What a row speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubmissionLayout {
    /// One row for each image: `image_id, text`.
    Image,
    /// One row for each image and class, in columns of their own: `image_id, class, text`.
    ImageAndClass,
    /// One row for each image and class in one id: `image_class, text`.
    Joined,
}

/// A class that a submission has rows for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionClass {
    /// Its index among the job's classes.
    pub class: u16,
    /// Its name.
    pub name: String,
}

/// The names of columns, where they are not to be guessed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubmissionColumns {
    /// The image's id. Guessed: the first column.
    pub id: Option<String>,
    /// The class. Guessed: the first other column that holds nothing but names, or nothing but indices, of classes.
    pub class: Option<String>,
    /// What is to be filled in. Guessed: the first column that is called like a mask (`EncodedPixels`, `rle`,
    /// `segmentation`, `PredictionString`, …), else the last.
    pub text: Option<String>,
}

/// The rows of a submission, before anything is filled in.
///
/// It is made, and so checked against the sample, before the first image is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    header: Vec<String>,
    text_column: usize,
    images: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    /// All cells; that of the text is replaced.
    cells: Vec<String>,
    image: usize,
    class: Option<u16>,
}

impl Submission {
    /// Rows in the order of `images`, then of `classes`, under the headers `image_id`, `class` and `rle`, or those
    /// of `columns`. No classes: one text for each image that speaks of all of them. Ids join with `_` and the class's
    /// name.
    ///
    /// # Errors
    /// When an image is there twice, or rows for images alone have more than one class.
    pub fn plain(
        layout: SubmissionLayout,
        columns: &SubmissionColumns,
        images: &[String],
        classes: &[SubmissionClass],
    ) -> Result<Self> {
        index_of(images)?;
        let fits = match layout {
            SubmissionLayout::Image => classes.len() <= 1,
            SubmissionLayout::ImageAndClass | SubmissionLayout::Joined => !classes.is_empty(),
        };
        if !fits {
            let found = format!("{} classes do not go with rows of {layout:?}", classes.len());
            return Err(WriteError::impossible(WHAT, found));
        }
        let header =
            |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
        let mut names = vec![header(&columns.id, "image_id")];
        if layout == SubmissionLayout::ImageAndClass {
            names.push(header(&columns.class, "class"));
        }
        names.push(header(&columns.text, if classes.is_empty() { "PredictionString" } else { "rle" }));
        let mut rows = Vec::new();
        for (image, id) in images.iter().enumerate() {
            if classes.is_empty() {
                rows.push(Row { cells: vec![id.clone(), String::new()], image, class: None });
            }
            for SubmissionClass { class, name } in classes {
                let mut cells = match layout {
                    SubmissionLayout::Image => vec![id.clone()],
                    SubmissionLayout::ImageAndClass => vec![id.clone(), name.clone()],
                    SubmissionLayout::Joined => vec![format!("{id}_{name}")],
                };
                cells.push(String::new());
                rows.push(Row { cells, image, class: Some(*class) });
            }
        }
        Ok(Self { text_column: names.len() - 1, header: names, images: images.to_vec(), rows })
    }

    /// The rows, their order and all cells but the text are those of a sample submission.
    ///
    /// A row's class stands in a column of its own or in the id, after the image's and a `_`, as a name or an index. No
    /// classes: one text for each image that speaks of all of them.
    ///
    /// # Errors
    /// When the sample is no CSV, lacks a named column, has a row twice or one that no image (and class) of the job
    /// answers, or lacks a row for one of the job's.
    pub fn like(
        sample: impl Read,
        columns: &SubmissionColumns,
        images: &[String],
        classes: &[SubmissionClass],
    ) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new().has_headers(true).from_reader(sample);
        let fault = |error: csv::Error| WriteError::malformed(SAMPLE, error.to_string());
        let cells = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
        let header = cells(reader.headers().map_err(fault)?);
        let records = reader.records().map(|record| record.map(|record| cells(&record)));
        let records = records.collect::<Result<Vec<_>, _>>().map_err(fault)?;
        let [id_column, text_column] = find_columns(&header, columns)?;
        let class_column = columns.class.as_ref().map(|name| position(&header, name)).transpose()?;

        let images_by_id = index_of(images)?;
        let reading = |by_name: bool| {
            let token =
                |class: &SubmissionClass| if by_name { class.name.clone() } else { class.class.to_string() };
            let tokens: HashMap<_, _> = classes.iter().map(|class| (token(class), class.class)).collect();
            let all_tokens = |&column: &usize| {
                column != id_column
                    && column != text_column
                    && records.iter().all(|record| tokens.contains_key(&record[column]))
            };
            let guess = || (0..header.len()).find(all_tokens).filter(|_| !records.is_empty());
            let class_column = class_column.or_else(guess);
            Reading { images: &images_by_id, tokens, id_column, class_column }
        };
        let (by_name, by_index) = (reading(true), reading(false));
        let faults = |reading: &Reading<'_>| {
            let strange = records.iter().filter(|record| reading.key(record).is_none()).count();
            (strange, reading.class_column.is_none())
        };
        let reading = if faults(&by_index) < faults(&by_name) { by_index } else { by_name };

        let strange: Vec<_> = records.iter().filter(|record| reading.key(record).is_none()).collect();
        if !strange.is_empty() {
            let keys = strange.iter().map(|record| reading.written(record)).collect::<Vec<_>>();
            let hint = extension_hint(&strange[0][id_column], &images_by_id);
            let found = format!(
                "{} of its rows are of no image and class of the job: {}{hint}",
                keys.len(),
                some(&keys)
            );
            return Err(WriteError::malformed(SAMPLE, found));
        }
        let row = |cells: Vec<String>| {
            let (image, class) = reading.key(&cells).expect("every row's key was found above");
            let class = class.or(if let [only] = classes { Some(only.class) } else { None });
            Row { cells, image, class }
        };
        let rows = records.iter().cloned().map(row).collect();
        let submission = Self { header, text_column, images: images.to_vec(), rows };
        submission.check(classes)?;
        Ok(submission)
    }

    /// Every image and class has one row.
    fn check(&self, classes: &[SubmissionClass]) -> Result<()> {
        let mut seen = HashSet::new();
        let twice: Vec<_> = self.rows.iter().filter(|row| !seen.insert((row.image, row.class))).collect();
        if !twice.is_empty() {
            let keys: Vec<_> = twice.iter().map(|row| self.name(row.image, row.class)).collect();
            let found = format!("{} rows are there twice: {}", keys.len(), some(&keys));
            return Err(WriteError::malformed(SAMPLE, found));
        }
        let wanted: Vec<_> = if classes.is_empty() {
            vec![None]
        } else {
            classes.iter().map(|class| Some(class.class)).collect()
        };
        let pairs = (0..self.images.len()).flat_map(|image| wanted.iter().map(move |&class| (image, class)));
        let missing: Vec<_> =
            pairs.filter(|pair| !seen.remove(pair)).map(|(image, class)| self.name(image, class)).collect();
        if !missing.is_empty() {
            let found = format!(
                "it has no row for {} images or classes of the job: {}; leave them out of the job, or take the right \
                 sample",
                missing.len(),
                some(&missing)
            );
            return Err(WriteError::malformed(SAMPLE, found));
        }
        if seen.is_empty() {
            return Ok(());
        }
        let found =
            format!("its rows speak of images alone, the job has {} classes; choose one", classes.len());
        Err(WriteError::malformed(SAMPLE, found))
    }

    /// An image, and a class if there is one, as a text for people.
    fn name(&self, image: usize, class: Option<u16>) -> String {
        let id = &self.images[image];
        class.map_or_else(|| id.clone(), |class| format!("{id} (class {class})"))
    }

    /// Rows without the header.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row at all.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the submission. `fragment` is asked for the fragment of an image whenever a row speaks of another one
    /// than the row before: once for each image, unless the sample mixes them. One fragment is kept at a time.
    ///
    /// # Errors
    /// When a fragment cannot be had, is of another image or lacks a text, or the file cannot be written.
    pub fn write<E: From<WriteError>>(
        &self,
        out: impl Write,
        mut fragment: impl FnMut(&str) -> Result<Fragment, E>,
    ) -> Result<(), E> {
        let mut writer = csv::WriterBuilder::new().from_writer(out);
        let failed = |error: csv::Error| {
            WriteError::io(WHAT)(match error.into_kind() {
                csv::ErrorKind::Io(source) => source,
                other => std::io::Error::other(format!("{other:?}")),
            })
        };
        writer.write_record(&self.header).map_err(failed)?;
        let mut last: Option<(usize, Fragment)> = None;
        for row in &self.rows {
            if last.as_ref().is_none_or(|(image, _)| *image != row.image) {
                last = Some((row.image, fragment(&self.images[row.image])?));
            }
            let found = last.as_ref().map(|(_, fragment)| fragment);
            let text = found
                .filter(|fragment| fragment.image_id == self.images[row.image])
                .and_then(|fragment| fragment.texts.iter().find(|text| text.class == row.class))
                .ok_or_else(|| {
                    let found =
                        format!("the fragment given for {} lacks it", self.name(row.image, row.class));
                    WriteError::malformed("a submission fragment", found)
                })?;
            let cell = |(column, cell)| if column == self.text_column { &text.text } else { cell };
            writer.write_record(row.cells.iter().enumerate().map(cell)).map_err(failed)?;
        }
        Ok(writer.flush().map_err(WriteError::io(WHAT))?)
    }
}

/// How the rows of a sample are understood.
struct Reading<'a> {
    images: &'a HashMap<&'a str, usize>,
    tokens: HashMap<String, u16>,
    id_column: usize,
    class_column: Option<usize>,
}

impl Reading<'_> {
    /// The image and class that a row speaks of.
    fn key(&self, record: &[String]) -> Option<(usize, Option<u16>)> {
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

    fn written(&self, record: &[String]) -> String {
        let id = &record[self.id_column];
        self.class_column.map_or_else(|| id.clone(), |column| format!("{id} (class {})", record[column]))
    }
}

/// The positions of the images' ids, which must differ.
fn index_of(images: &[String]) -> Result<HashMap<&str, usize>> {
    let mut positions = HashMap::new();
    for (index, id) in images.iter().enumerate() {
        if positions.insert(id.as_str(), index).is_some() {
            return Err(WriteError::impossible(
                WHAT,
                format!("two images have the id {id:?}; ids must differ"),
            ));
        }
    }
    Ok(positions)
}

fn position(header: &[String], name: &str) -> Result<usize> {
    header.iter().position(|found| found == name).ok_or_else(|| {
        WriteError::malformed(SAMPLE, format!("it has no column {name:?}, but {}", header.join(", ")))
    })
}

/// The columns of the id and of the text.
fn find_columns(header: &[String], columns: &SubmissionColumns) -> Result<[usize; 2]> {
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
fn some(keys: &[String]) -> String {
    let shown = keys.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    if keys.len() > 5 { shown + ", …" } else { shown }
}

/// The commonest reason why no id is known.
fn extension_hint(id: &str, images: &HashMap<&str, usize>) -> &'static str {
    let stem = |id: &str| Path::new(id).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    if stem(id).is_some_and(|stem| images.contains_key(stem.as_str())) {
        "; its ids have a file extension, the job's have none"
    } else if images.keys().any(|&image| stem(image).as_deref() == Some(id)) {
        "; the job's ids have a file extension, its ids have none"
    } else {
        ""
    }
}

#[cfg(test)]
#[path = "submission_tests.rs"]
mod tests;
