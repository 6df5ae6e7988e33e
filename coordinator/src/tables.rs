//! The tables of a job: submissions and lists that are made of all images, once these are finished.

use crate::TableRows;
use crate::corrected_labels::write_corrected_labels;
use crate::kept_labels::write_pseudo_labels;
use crate::label_next::write_ranking;
use crate::label_quality::{LabelQualityFiles, Labelled};
use bytes::Bytes;
use marquetry_aggregator::ImageResultError;
use marquetry_aggregator::legend;
use marquetry_geometry::Size;
use marquetry_job::{PlannedImage, hash, key};
use marquetry_raster::write::{
    CocoImage, Fragment, FragmentText, Submission, SubmissionClass, SubmissionColumns, SubmissionLayout,
    WriteError, join_coco, numbers_of_ids, renumbered, write_coco_dataset,
};
use marquetry_spec::{ClassCsv, Coco, CocoForm, JobSpec, KaggleRle, Output, Ranking, RleRows};
use marquetry_transport::uri::join;
use marquetry_transport::{FileError, Files, ObjectStore, StoreError};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Why a table cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The sample submission cannot be read.
    #[error("outputs[{output}].sample: {source}")]
    Sample {
        /// Place in the job file.
        output: usize,
        /// What was found.
        source: FileError,
    },
    /// The rows cannot be laid out.
    #[error("outputs[{output}]: {source}")]
    Layout {
        /// Place in the job file.
        output: usize,
        /// What was found.
        source: WriteError,
    },
    /// The table cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The result of an image is damaged.
    #[error("{key}: {source}")]
    ImageResult {
        /// Where it lies in the store.
        key: String,
        /// What was found.
        source: ImageResultError,
    },
    /// The result of an image was damaged.
    #[error("{key} was damaged, and is deleted now: the same command makes it again")]
    Damaged {
        /// Where it lay in the store.
        key: String,
    },
    /// What finished images have stored is there no more.
    #[error(
        "{key} has gone from the store since it was written ({count} so in all): nothing but Marquetry may delete below jobs/; the \
         same command makes them again"
    )]
    Gone {
        /// Where the first of them was.
        key: String,
        /// How many there are.
        count: usize,
    },
    /// The store is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The temporary folder is in trouble.
    #[error("the temporary folder: {0}")]
    Io(#[from] std::io::Error),
}

impl TableError {
    /// Fails where there are such keys.
    pub(crate) fn if_gone(mut keys: Vec<String>) -> Result<(), Self> {
        match keys.len() {
            0 => Ok(()),
            count => Err(Self::Gone { key: keys.swap_remove(0), count }),
        }
    }
}

enum Table {
    Csv { file: String, submission: Submission, empty: Vec<FragmentText> },
    Coco { coco: Coco, categories: Vec<(u64, String)> },
    PseudoLabels { file: String },
    Ranking(Ranking),
    CorrectedLabels { file: String },
}

/// Where images lie, by their ids.
type Uris = HashMap<String, String>;

/// A table, or a page with its tables.
enum Made {
    Table(Table),
    LabelQuality(Labelled),
}

/// What was written of all images together.
#[derive(Debug, Default)]
pub struct WrittenTables {
    /// The names of files, below the job's outputs.
    pub names: Vec<String>,
    /// What there is to tell.
    pub told: Vec<String>,
}

/// All tables of a job. Made, and checked against sample submissions, before anything is run.
pub struct Tables {
    list: Vec<(usize, Made)>,
    /// All ids, also of images that cannot be used, in the order of plain tables.
    ids: Vec<String>,
    /// Names the content of sample submissions.
    samples: String,
}

impl Tables {
    /// The tables that `spec` asks for, for images `ids`, of which those that have one have these `labels`. Relative paths are
    /// relative to `base`.
    ///
    /// # Errors
    /// When a sample submission cannot be read or does not go with the images and classes.
    pub fn prepare(
        spec: &JobSpec,
        base: &str,
        files: &Files,
        ids: Vec<String>,
        labels: &BTreeMap<String, String>,
    ) -> Result<Self, TableError> {
        let (mut list, mut samples) = (Vec::new(), String::new());
        for (number, output) in spec.outputs.iter().enumerate() {
            let table = match output {
                Output::KaggleRle(rle) => run_lengths(spec, rle, number, (files, base), &ids, &mut samples)?,
                Output::ClassCsv(csv) => class_ids(spec, csv, number, &ids)?,
                Output::Coco(coco) => {
                    let named = |class: u16| {
                        let class = usize::from(class);
                        (u64::from(spec.labels[class]), spec.classes[class].name.clone())
                    };
                    let categories = legend::objects(spec).into_iter().map(named).collect();
                    Table::Coco { coco: coco.clone(), categories }
                }
                Output::Ranking(ranking) => Table::Ranking(ranking.clone()),
                Output::PseudoLabels(pseudo) => Table::PseudoLabels { file: pseudo.file.clone() },
                // A first pass leaves findings, and no table.
                Output::CorrectedLabels(corrected) => Table::CorrectedLabels { file: corrected.file.clone() },
                Output::LabelQuality(quality) => {
                    let classes = spec.class_names();
                    let legend = legend::legend(spec);
                    let legend = legend.map_err(|source| TableError::Layout { output: number, source })?;
                    let labelled = Labelled {
                        classes,
                        labels: labels.clone(),
                        colours: legend.colours().to_vec(),
                        shown: quality.shown as usize,
                    };
                    list.push((number, Made::LabelQuality(labelled)));
                    continue;
                }
                Output::Masks(_)
                | Output::Probabilities(_)
                | Output::Polygons(_)
                | Output::SoftLabels(_)
                | Output::Uncertainty(_)
                | Output::Evaluation(_)
                | Output::Probes(_)
                | Output::Report => continue,
            };
            list.push((number, Made::Table(table)));
        }
        Ok(Self { list, ids, samples })
    }

    /// Whether there is no table.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Names the content of sample submissions: a table has their columns and order.
    pub fn samples(&self) -> &str {
        &self.samples
    }

    /// The numbers of the outputs that are tables, among the job's outputs.
    pub fn outputs(&self) -> Vec<usize> {
        self.list.iter().map(|(number, _)| *number).collect()
    }

    /// Writes every table of `job`, whose images that can be used are `images`. Images without rows get empty ones.
    ///
    /// # Errors
    /// When rows cannot be read, or a table cannot be written.
    pub async fn write(
        self,
        mut rows: TableRows,
        images: &[PlannedImage],
        store: Arc<dyn ObjectStore>,
        job: &str,
        temp: &Path,
    ) -> Result<WrittenTables, TableError> {
        let sizes: HashMap<_, _> =
            images.iter().map(|image| (image.id.clone(), (file_name(image), image.size))).collect();
        // Not from what is stored of an image: it may have moved since.
        let uris: Uris = images.iter().map(|image| (image.id.clone(), image.uri.clone())).collect();
        let (job, temp, runtime) = (job.to_owned(), temp.to_path_buf(), Handle::current());
        let work = move || {
            let mut written = WrittenTables::default();
            for (number, made) in &self.list {
                let rows = |id: &str| rows.get(*number, id);
                match made {
                    Made::Table(table) => {
                        let path = tempfile::NamedTempFile::new_in(&temp)?.into_temp_path();
                        let out = BufWriter::new(File::create(&path)?);
                        let name = table.write(out, &self.ids, (&sizes, &uris), rows)?;
                        runtime.block_on(store.put_file(&key::out(&job, &name), &path))?;
                        written.names.push(name);
                    }
                    Made::LabelQuality(labelled) => {
                        let LabelQualityFiles { files, told } =
                            labelled.files(&job, &self.ids, &sizes, rows)?;
                        for (name, bytes) in files {
                            runtime.block_on(store.put(&key::out(&job, &name), Bytes::from(bytes)))?;
                            written.names.push(name);
                        }
                        written.told.push(told);
                    }
                }
            }
            Ok(written)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(std::io::Error::other(e).into()))
    }
}

impl Table {
    /// Writes the table; `rows` has what an image adds to it.
    fn write(
        &self,
        out: BufWriter<File>,
        ids: &[String],
        (images, uris): (&HashMap<String, (String, Size)>, &Uris),
        mut rows: impl FnMut(&str) -> std::io::Result<Option<String>>,
    ) -> Result<String, TableError> {
        let uri = |id: &str| uris.get(id).map_or("", String::as_str);
        match self {
            Self::Csv { file, submission, empty } => {
                submission.write(out, |id| match rows(id)? {
                    Some(json) => Ok::<_, TableError>(Fragment::from_json(json.as_bytes())?),
                    None => Ok(Fragment::new(id, empty.clone())),
                })?;
                Ok(file.clone())
            }
            Self::Ranking(ranking) => {
                write_ranking(out, ranking, ids, uri, rows)?;
                Ok(ranking.file.clone())
            }
            Self::PseudoLabels { file } => {
                write_pseudo_labels(out, file, ids, uri, rows)?;
                Ok(file.clone())
            }
            Self::CorrectedLabels { file } => {
                write_corrected_labels(out, file, ids, rows)?;
                Ok(file.clone())
            }
            Self::Coco { coco, categories } => {
                let known = numbers_of_ids(ids.iter().map(String::as_str));
                let numbers = match (coco.form, known) {
                    (CocoForm::Dataset, None) => Some((1..=ids.len() as u64).collect()),
                    (_, known) => known,
                };
                let annotations = ids.iter().enumerate().map(|(place, id)| {
                    let lines = rows(id)?.unwrap_or_default().into_bytes();
                    let number = numbers.as_ref().map(|numbers: &Vec<u64>| numbers[place]);
                    Ok(number.map_or_else(|| lines.clone(), |number| renumbered(&lines, id, number)))
                });
                if coco.form == CocoForm::Results {
                    join_coco::<TableError>(out, annotations)?;
                    return Ok(coco.file.clone());
                }
                let image = |(id, number): (&String, &u64)| {
                    let (file_name, Size { height, width }) = images.get(id)?.clone();
                    Some(CocoImage { id: *number, file_name, width, height })
                };
                let listed: Vec<_> = ids.iter().zip(numbers.iter().flatten()).filter_map(image).collect();
                let categories: Vec<_> = categories.iter().map(|(id, name)| (*id, name.as_str())).collect();
                write_coco_dataset::<TableError>(out, &listed, &categories, annotations)?;
                Ok(coco.file.clone())
            }
        }
    }
}

/// The way from the folder of `file`, a path below the job's outputs, up to that of all of them.
pub(crate) fn up_to_outputs(file: &str) -> String {
    "../".repeat(file.matches('/').count())
}

/// A number of a table with six digits after the point: of a share that is more than a pixel in a million.
pub(crate) fn number(value: f64) -> String {
    format!("{value:.6}")
}

/// The name of an image's file below the folder of all images, as far as its id tells; else its own name.
fn file_name(image: &PlannedImage) -> String {
    let name = image.uri.rsplit('/').next().unwrap_or(&image.uri);
    let (stem, ending) = image.uri.rsplit_once('.').unwrap_or((&image.uri, ""));
    let is_below = stem.strip_suffix(&image.id).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
    if is_below { format!("{}.{ending}", image.id) } else { name.to_owned() }
}

fn run_lengths(
    spec: &JobSpec,
    rle: &KaggleRle,
    output: usize,
    (files, base): (&Files, &str),
    ids: &[String],
    samples: &mut String,
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
            let text = text.map_err(|source| TableError::Sample { output, source })?;
            samples.push_str(&hash(&[&text]));
            let columns = columns.found_in(&text);
            Submission::like(&text[..], &columns, &rle.id, ids, &classes)
        }
    };
    let submission = submission.map_err(|source| TableError::Layout { output, source })?;
    let empty =
        classes.iter().map(|c| FragmentText { class: Some(c.class), text: rle.empty.clone() }).collect();
    Ok(Table::Csv { file: rle.file.clone(), submission, empty })
}

fn class_ids(spec: &JobSpec, csv: &ClassCsv, output: usize, ids: &[String]) -> Result<Table, TableError> {
    let columns = SubmissionColumns::default();
    let submission = Submission::plain(SubmissionLayout::Image, &columns, "{image}", ids, &[])
        .map_err(|source| TableError::Layout { output, source })?;
    // An image without rows shows nothing but background.
    let background = spec.labels.get(spec.decide.background.unwrap_or(0)).copied().unwrap_or(0).to_string();
    let text = vec![background.as_str(); csv.size.area() as usize].join(" ");
    let empty = vec![FragmentText { class: None, text }];
    Ok(Table::Csv { file: csv.file.clone(), submission, empty })
}
