//! What finished images left behind, read once for all tables and the report.

use crate::{Evaluated, Finished, TableError};
use futures_util::{StreamExt, stream};
use marquetry_aggregator::{ImageResult, ImageResultError};
use marquetry_job::key;
use marquetry_transport::{ObjectStore, StoreErrorKind};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Results that are read ahead: each is a request that mostly waits.
const AHEAD_MAX: usize = 32;
/// Most bytes of results that are read ahead; one that is larger is read alone.
const AHEAD_BYTES: u32 = 64 << 20;

/// The results of all finished images.
#[derive(Debug)]
pub struct CollectedResults {
    /// For each image of the job, in its order: its result, but for the rows of tables; nothing if it was given up.
    pub images: Vec<Option<ImageResult>>,
    /// What the images add to the tables.
    pub table_rows: TableRows,
    /// What was counted of them beside their truth, if the job evaluates them.
    pub evaluated: Option<Evaluated>,
}

/// What images add to each table. Tables have orders of their own, so the texts lie in temporary files.
#[derive(Debug)]
pub struct TableRows {
    /// The places of images by their ids.
    places: HashMap<String, usize>,
    /// One file for each table, by the output's number among the job's outputs.
    files: BTreeMap<usize, RowFile>,
}

/// The texts of one table, one after the other.
#[derive(Debug)]
struct RowFile {
    file: BufWriter<File>,
    end: u64,
    /// Where the text of each image lies.
    spans: Vec<Option<Range<u64>>>,
}

impl CollectedResults {
    /// Reads the results of all images of a finished job; `tables` are the numbers of outputs that are tables. Large things
    /// lie in `scratch`.
    ///
    /// # Errors
    /// When the store is away, or a result in it is damaged.
    pub async fn read(
        store: Arc<dyn ObjectStore>,
        finished: &Finished<'_>,
        tables: &[usize],
        scratch: &Path,
    ) -> Result<Self, TableError> {
        let (images, results) = (finished.images, stored_results(&*store, finished).await?);
        let places = images.iter().enumerate().map(|(place, image)| (image.id.clone(), place));
        let new_file = |number: &usize| Ok((*number, RowFile::new(scratch, results.len())?));
        let files = tables.iter().map(new_file).collect::<io::Result<_>>()?;
        let mut table_rows = TableRows { places: places.collect(), files };
        let mut evaluated = Evaluated::new(finished);
        let runtime = Handle::current();
        let work = move || {
            let images = read_all(&*store, &runtime, results, |place, result| {
                for (number, file) in &mut table_rows.files {
                    if let Some(text) = result.table_rows.remove(number) {
                        file.push(place, &text)?;
                    }
                }
                result.table_rows.clear();
                if let Some(evaluated) = &mut evaluated {
                    evaluated.add(place, result);
                }
                Ok(())
            })?;
            Ok(Self { images, table_rows, evaluated })
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|lost| Err(io::Error::other(lost).into()))
    }
}

/// The results of a job's images, in its order: keys and bytes of those that are stored.
async fn stored_results(
    store: &dyn ObjectStore,
    finished: &Finished<'_>,
) -> Result<Vec<Option<(String, u64)>>, TableError> {
    let Finished { plan, images, outputs, .. } = *finished;
    // How large they are is known before they are read.
    let stored = store.list(&key::parts(&plan.job, outputs)).await?;
    let mut stored: HashMap<String, u64> = stored.into_iter().map(|m| (m.key, m.size_bytes)).collect();
    let mut gone = Vec::new();
    let results = images.iter().map(|image| {
        let key = key::part(&plan.job, outputs, &image.result_name());
        let found = stored.remove_entry(&key);
        gone.extend((found.is_none() && finished.has_finished(image)).then_some(key));
        found
    });
    let results = results.collect();
    TableError::if_gone(gone)?;
    Ok(results)
}

/// Folds the results of all images of a pass into `sum`, one after the other.
pub(crate) async fn each_result<S: Send + 'static>(
    store: Arc<dyn ObjectStore>,
    finished: &Finished<'_>,
    mut sum: S,
    mut each: impl FnMut(&mut S, ImageResult) -> Result<(), TableError> + Send + 'static,
) -> Result<S, TableError> {
    let results = stored_results(&*store, finished).await?;
    let runtime = Handle::current();
    let work = move || {
        read_all(&*store, &runtime, results, |_, result| {
            each(&mut sum, std::mem::replace(result, ImageResult::new("")))
        })?;
        Ok(sum)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|lost| Err(io::Error::other(lost).into()))
}

/// Reads `results`, each a key and its bytes, in their order, some ahead.
fn read_all(
    store: &dyn ObjectStore,
    runtime: &Handle,
    results: Vec<Option<(String, u64)>>,
    mut each: impl FnMut(usize, &mut ImageResult) -> Result<(), TableError>,
) -> Result<Vec<Option<ImageResult>>, TableError> {
    // Whoever came first is let in first, so the next one in order never waits for a later one.
    let room = Semaphore::new(AHEAD_BYTES as usize);
    let mut images = Vec::with_capacity(results.len());
    let read = async |result: Option<(String, u64)>| match result {
        Some((key, bytes)) => read_one(store, &room, &key, bytes).await.map(Some),
        None => Ok(None),
    };
    let mut ahead = pin!(stream::iter(results).map(read).buffered(AHEAD_MAX));
    while let Some(read) = runtime.block_on(ahead.next()) {
        let mut read = read?;
        if let Some((result, _room)) = &mut read {
            each(images.len(), result)?;
        }
        images.push(read.map(|(result, _room)| result));
    }
    Ok(images)
}

async fn read_one<'a>(
    store: &dyn ObjectStore,
    room: &'a Semaphore,
    key: &str,
    bytes: u64,
) -> Result<(ImageResult, SemaphorePermit<'a>), TableError> {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(AHEAD_BYTES);
    let permit = room.acquire_many(bytes).await.map_err(io::Error::other)?;
    match store.get(key).await {
        Ok(bytes) => {
            let key = key.to_owned();
            match ImageResult::from_bytes(&bytes) {
                Ok(result) => Ok((result, permit)),
                Err(source @ ImageResultError::Version(_)) => Err(TableError::ImageResult { key, source }),
                // Were it to stay, each run would take its image for finished.
                Err(_) => {
                    store.delete(&key).await?;
                    Err(TableError::Damaged { key })
                }
            }
        }
        Err(error) if error.kind == StoreErrorKind::NotFound => {
            Err(TableError::Gone { key: key.to_owned(), count: 1 })
        }
        Err(error) => Err(error.into()),
    }
}

impl TableRows {
    /// What the image with this id adds to output `number`; nothing if it was given up.
    pub(crate) fn get(&mut self, number: usize, id: &str) -> io::Result<Option<String>> {
        match (self.places.get(id), self.files.get_mut(&number)) {
            (Some(&place), Some(file)) => file.get(place),
            _ => Ok(None),
        }
    }
}

impl RowFile {
    fn new(scratch: &Path, images: usize) -> io::Result<Self> {
        let file = BufWriter::new(tempfile::tempfile_in(scratch)?);
        Ok(Self { file, end: 0, spans: vec![None; images] })
    }

    fn push(&mut self, place: usize, text: &str) -> io::Result<()> {
        let start = self.end;
        self.end += text.len() as u64;
        self.spans[place] = Some(start..self.end);
        self.file.write_all(text.as_bytes())
    }

    fn get(&mut self, place: usize) -> io::Result<Option<String>> {
        let Some(span) = self.spans[place].clone() else { return Ok(None) };
        // What is still in the buffer is written by this.
        self.file.seek(SeekFrom::Start(span.start))?;
        let mut text = vec![0; (span.end - span.start) as usize];
        self.file.get_mut().read_exact(&mut text)?;
        String::from_utf8(text).map(Some).map_err(io::Error::other)
    }
}

#[cfg(test)]
#[path = "collected_results_tests.rs"]
mod tests;
