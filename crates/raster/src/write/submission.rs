//! A submission in CSV: which rows it has, in which order, and what is written in them.

use super::error::{Result, WriteError};
use super::fragment::Fragment;
use super::sample::{ImagesById, Reading, SAMPLE, find_columns, position, some};
use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};

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

impl SubmissionColumns {
    /// These names if a sample has all of them, else none: what is not there is guessed.
    #[must_use]
    pub fn found_in(self, sample: &[u8]) -> Self {
        let mut reader = csv::ReaderBuilder::new().from_reader(sample);
        let header = reader.headers().cloned().unwrap_or_default();
        let known = |name: &Option<String>| name.as_ref().is_none_or(|name| header.iter().any(|h| h == name));
        if known(&self.id) && known(&self.class) && known(&self.text) { self } else { Self::default() }
    }
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
    /// of `columns`. No classes: one text for each image that speaks of all of them. In the first column stands `id`, in
    /// which `{image}` is the image's id, `{class}` the class's name and `{index}` its index.
    ///
    /// # Errors
    /// When an image is there twice, rows for images alone have more than one class, or two rows would be called the same.
    pub fn plain(
        layout: SubmissionLayout,
        columns: &SubmissionColumns,
        id: &str,
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
        for (image, image_id) in images.iter().enumerate() {
            if classes.is_empty() {
                let first = called(id, image_id, None);
                rows.push(Row { cells: vec![first, String::new()], image, class: None });
            }
            for class in classes {
                let first = called(id, image_id, Some(class));
                let mut cells = match layout {
                    SubmissionLayout::Image | SubmissionLayout::Joined => vec![first],
                    SubmissionLayout::ImageAndClass => vec![first, class.name.clone()],
                };
                cells.push(String::new());
                rows.push(Row { cells, image, class: Some(class.class) });
            }
        }
        let submission = Self { text_column: names.len() - 1, header: names, images: images.to_vec(), rows };
        submission.told_apart(id, classes)?;
        Ok(submission)
    }

    /// No two rows are called the same: `a` with class `b_c` and `a_b` with class `c` would both be `a_b_c`.
    fn told_apart(&self, id: &str, classes: &[SubmissionClass]) -> Result<()> {
        let mut seen: HashMap<&[String], usize> = HashMap::with_capacity(self.rows.len());
        for (place, row) in self.rows.iter().enumerate() {
            let key = &row.cells[..self.text_column];
            let Some(first) = seen.insert(key, place) else { continue };
            let speaks_of = |row: &Row| {
                let image = &self.images[row.image];
                let class = classes.iter().find(|class| Some(class.class) == row.class);
                class.map_or_else(
                    || format!("image `{image}`"),
                    |c| format!("image `{image}`, class `{}`", c.name),
                )
            };
            return Err(WriteError::impossible(
                WHAT,
                format!(
                    "its rows of {} and of {} would both be called `{}` (`id: \"{id}\"`): give it an `id` that tells \
                     them apart, such as `id: \"{{image}}:{{class}}\"`, or a column for the class with three `columns`, or \
                     name images or classes otherwise",
                    speaks_of(&self.rows[first]),
                    speaks_of(row),
                    key.join(",")
                ),
            ));
        }
        Ok(())
    }

    /// The rows, their order and all cells but the text are those of a sample submission.
    ///
    /// A row's class stands in a column of its own or in the id, after the image's and a `_`, as a name or an index; or rows
    /// are called as `id` says (see [`plain`](Self::plain)). The ending of an image's file may stand behind its id, or be
    /// missing there. No classes: one text for each image that speaks of all of them.
    ///
    /// # Errors
    /// When the sample is no CSV, lacks a named column, has a row twice or one that no image (and class) of the job
    /// answers, or lacks a row for one of the job's.
    pub fn like(
        sample: impl Read,
        columns: &SubmissionColumns,
        id: &str,
        images: &[String],
        classes: &[SubmissionClass],
    ) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new().has_headers(true).from_reader(sample);
        let fault = |error: csv::Error| WriteError::unparsed(SAMPLE, error);
        let cells = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
        let header = cells(reader.headers().map_err(fault)?);
        let records = reader.records().map(|record| record.map(|record| cells(&record)));
        let records = records.collect::<Result<Vec<_>, _>>().map_err(fault)?;
        let [id_column, text_column] = find_columns(&header, columns)?;
        let class_column = columns.class.as_ref().map(|name| position(&header, name)).transpose()?;

        let images_by_id = ImagesById::new(index_of(images)?, id, classes);
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
            let hint = reading.hint(strange[0]);
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
            let apart = self.apart(twice[0], classes);
            let found = format!("{} rows are there twice: {}{apart}", keys.len(), some(&keys));
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

    /// What tells a row from the one before it that speaks of the same, as words that go on: a class that is none of the job's.
    fn apart(&self, twice: &Row, classes: &[SubmissionClass]) -> String {
        let same = |row: &&Row| (row.image, row.class) == (twice.image, twice.class);
        let first = self.rows.iter().find(same).unwrap_or(twice);
        let differs =
            |column: &usize| *column != self.text_column && first.cells[*column] != twice.cells[*column];
        let Some(column) = (0..self.header.len()).find(differs) else { return String::new() };
        let names: Vec<String> = classes.iter().map(|class| class.name.clone()).collect();
        format!(
            "; column {} tells them apart ({}, {}) and holds other names than the job's classes: {}",
            self.header[column],
            first.cells[column],
            twice.cells[column],
            some(&names)
        )
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

    /// The images of which [`write`](Self::write) asks for a fragment, in its order.
    pub fn asks_for(&self) -> impl Iterator<Item = &str> {
        let change = |at: &usize| *at == 0 || self.rows[*at].image != self.rows[at - 1].image;
        (0..self.rows.len()).filter(change).map(|at| self.images[self.rows[at].image].as_str())
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

/// What a row is called as `id` says: names are filled in once, also where they hold `{class}` themselves.
pub(super) fn called(id: &str, image: &str, class: Option<&SubmissionClass>) -> String {
    let filled = |part: &str| match class {
        Some(SubmissionClass { class, name }) => {
            let named = part.split("{class}").map(|part| part.replace("{index}", &class.to_string()));
            named.collect::<Vec<_>>().join(name)
        }
        None => part.to_owned(),
    };
    id.split("{image}").map(filled).collect::<Vec<_>>().join(image)
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

#[cfg(test)]
#[path = "submission_tests.rs"]
mod tests;
