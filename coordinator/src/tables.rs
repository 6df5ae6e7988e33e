//! The tables of a job: submissions and lists that are made of all images, once these are finished.

use futures_util::{StreamExt, stream};
use marquetry_aggregator::legend;
use marquetry_aggregator::{Part, PartError};
use marquetry_job::{Plan, key};
use marquetry_raster::write::{
    Fragment, FragmentText, Submission, SubmissionClass, SubmissionColumns, SubmissionLayout, WriteError,
    join_coco,
};
use marquetry_spec::{ClassCsv, JobSpec, KaggleRle, Output, RleRows};
use marquetry_transport::uri::join;
use marquetry_transport::{FileError, Files, ObjectStore, StoreError, StoreErrorKind};
use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use tokio::runtime::Handle;

/// Parts that are read ahead.
const AHEAD: usize = 32;

/// Why a table cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The sample submission cannot be read.
    #[error("outputs[{output}].sample: {error}")]
    Sample {
        /// Place in the job file.
        output: usize,
        /// Why.
        error: FileError,
    },
    /// The rows cannot be laid out.
    #[error("outputs[{output}]: {error}")]
    Layout {
        /// Place in the job file.
        output: usize,
        /// Why.
        error: WriteError,
    },
    /// The table cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// An image's part cannot be had.
    #[error(transparent)]
    Part(#[from] PartError),
    /// The store is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The temporary folder is in trouble.
    #[error("the temporary folder: {0}")]
    Io(#[from] std::io::Error),
}

enum Table {
    Csv { file: String, submission: Submission, empty: Vec<FragmentText> },
    Coco { file: String },
}

/// All tables of a job. Made, and checked against sample submissions, before anything is run.
pub struct Tables {
    list: Vec<(usize, Table)>,
    /// All ids, also of images that cannot be used, in the order of plain tables.
    ids: Vec<String>,
}

impl Tables {
    /// The tables that `spec` asks for, for images `ids`. Relative paths are relative to `base`.
    ///
    /// # Errors
    /// When a sample submission cannot be read or does not go with the images and classes.
    pub fn prepare(spec: &JobSpec, base: &str, files: &Files, ids: Vec<String>) -> Result<Self, TableError> {
        let mut list = Vec::new();
        for (number, output) in spec.outputs.iter().enumerate() {
            let table = match output {
                Output::KaggleRle(rle) => run_lengths(spec, rle, number, (files, base), &ids)?,
                Output::ClassCsv(csv) => class_ids(csv, number, &ids)?,
                Output::Coco(coco) => Table::Coco { file: coco.file.clone() },
                Output::Masks(_) | Output::Probabilities(_) | Output::Polygons | Output::Report => continue,
            };
            list.push((number, table));
        }
        Ok(Self { list, ids })
    }

    /// Writes every table and gives their names. Images without a part get empty rows.
    ///
    /// # Errors
    /// When a part or a table cannot be read or written.
    pub async fn write(
        self,
        store: std::sync::Arc<dyn ObjectStore>,
        plan: &Plan,
        outputs: &str,
        temp: &Path,
    ) -> Result<Vec<String>, TableError> {
        let keys: HashMap<String, String> =
            plan.images.iter().map(|i| (i.id.clone(), key::part(&plan.job, outputs, &i.key))).collect();
        let (job, temp, runtime) = (plan.job.clone(), temp.to_path_buf(), Handle::current());
        let work = move || {
            let stored = Stored { store: &*store, runtime: &runtime, keys: &keys };
            let mut names = Vec::new();
            for (number, table) in &self.list {
                let path = tempfile::NamedTempFile::new_in(&temp)?.into_temp_path();
                let out = BufWriter::new(File::create(&path)?);
                let name = table.write(out, &stored, *number, &self.ids)?;
                runtime.block_on(store.put_file(&key::out(&job, &name), &path))?;
                names.push(name);
            }
            Ok(names)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(std::io::Error::other(e).into()))
    }
}

/// The parts of finished images, in the store.
struct Stored<'a> {
    store: &'a dyn ObjectStore,
    runtime: &'a Handle,
    keys: &'a HashMap<String, String>,
}

impl<'a> Stored<'a> {
    /// What the images `ids` add to output `number`, in this order; `None` for those that were given up. Some are read
    /// ahead: each is a request that mostly waits.
    fn pieces(
        &self,
        ids: impl Iterator<Item = &'a str> + 'a,
        number: usize,
    ) -> impl Iterator<Item = Result<Option<String>, TableError>> + 'a {
        let (store, runtime, keys) = (self.store, self.runtime, self.keys);
        let read = async move |id| match keys.get(id) {
            Some(key) => part(store, key).await,
            None => Ok(None),
        };
        let mut parts = Box::pin(stream::iter(ids).map(read).buffered(AHEAD));
        std::iter::from_fn(move || runtime.block_on(parts.next()))
            .map(move |part| Ok(part?.and_then(|mut part| part.pieces.remove(&number))))
    }
}

async fn part(store: &dyn ObjectStore, key: &str) -> Result<Option<Part>, TableError> {
    match store.get(key).await {
        Ok(bytes) => Ok(Some(Part::from_bytes(&bytes)?)),
        Err(error) if error.kind == StoreErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Table {
    fn write(
        &self,
        out: BufWriter<File>,
        stored: &Stored<'_>,
        number: usize,
        ids: &[String],
    ) -> Result<String, TableError> {
        match self {
            Self::Csv { file, submission, empty } => {
                let mut pieces = stored.pieces(submission.asks_for(), number);
                submission.write(out, |id| match pieces.next().transpose()?.flatten() {
                    Some(json) => Ok::<_, TableError>(Fragment::from_json(json.as_bytes())?),
                    None => Ok(Fragment::new(id, empty.clone())),
                })?;
                Ok(file.clone())
            }
            Self::Coco { file } => {
                let pieces = stored.pieces(ids.iter().map(String::as_str), number);
                join_coco::<TableError>(
                    out,
                    pieces.map(|piece| Ok(piece?.unwrap_or_default().into_bytes())),
                )?;
                Ok(file.clone())
            }
        }
    }
}

fn run_lengths(
    spec: &JobSpec,
    rle: &KaggleRle,
    output: usize,
    (files, base): (&Files, &str),
    ids: &[String],
) -> Result<Table, TableError> {
    let classes: Vec<SubmissionClass> = match rle.rows {
        // The union of several classes is one object to the table.
        RleRows::Image => vec![SubmissionClass { class: legend::UNION, name: "object".into() }],
        RleRows::ImageClass => rle
            .classes
            .iter()
            .map(|&c| SubmissionClass { class: c as u16, name: spec.classes[c].name.clone() })
            .collect(),
    };
    let layout = match (rle.rows, rle.columns.len()) {
        (RleRows::Image, _) => SubmissionLayout::Image,
        (RleRows::ImageClass, 3) => SubmissionLayout::ImageAndClass,
        (RleRows::ImageClass, _) => SubmissionLayout::Joined,
    };
    let columns = match rle.columns.as_slice() {
        [id, class, text] => [Some(id), Some(class), Some(text)],
        [id, text] => [Some(id), None, Some(text)],
        _ => [None; 3],
    };
    let [id, class, text] = columns.map(Option::<&String>::cloned);
    let columns = SubmissionColumns { id, class, text };
    let submission = match &rle.sample {
        None => Submission::plain(layout, &columns, &rle.id, ids, &classes),
        Some(sample) => {
            let text = files.read(&join(base, sample));
            let text = text.map_err(|error| TableError::Sample { output, error })?;
            let columns = columns.found_in(&text);
            Submission::like(&text[..], &columns, ids, &classes)
        }
    };
    let submission = submission.map_err(|error| TableError::Layout { output, error })?;
    let empty =
        classes.iter().map(|c| FragmentText { class: Some(c.class), text: rle.empty.clone() }).collect();
    Ok(Table::Csv { file: rle.file.clone(), submission, empty })
}

fn class_ids(csv: &ClassCsv, output: usize, ids: &[String]) -> Result<Table, TableError> {
    let columns = SubmissionColumns::default();
    let submission = Submission::plain(SubmissionLayout::Image, &columns, "{image}", ids, &[])
        .map_err(|error| TableError::Layout { output, error })?;
    let zeros = vec!["0"; csv.size.area() as usize].join(" ");
    let empty = vec![FragmentText { class: None, text: zeros }];
    Ok(Table::Csv { file: csv.file.clone(), submission, empty })
}
