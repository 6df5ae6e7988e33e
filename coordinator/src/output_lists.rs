//! What there is to tell of the files among a job's outputs, in files beside them.

use crate::Finished;
use bytes::Bytes;
use marquetry_aggregator::{expected, renamed_outputs};
use marquetry_job::{PlannedImage, key};
use marquetry_spec::{NAME_LIST, STALE_LIST};
use marquetry_transport::{ObjectStore, StoreError};
use std::collections::HashSet;

/// Ends the folder of an array, all files of which are one output.
const ARRAY: &str = ".zarr";

/// The lists that were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLists {
    /// Outputs that are not called as their images are.
    pub renamed: usize,
    /// Files, and folders of arrays, among the outputs that this run has not made: of images that have left the job or
    /// failed now, of outputs that are not asked for any more, or somebody else's.
    pub stale: Vec<String>,
}

impl OutputLists {
    /// Looks at the outputs of a job whose images are finished, and writes the lists that are not empty. Nothing but an older
    /// list is deleted: what an earlier run has made may have taken long.
    ///
    /// # Errors
    /// When the store is in trouble.
    pub async fn write(store: &dyn ObjectStore, finished: &Finished<'_>) -> Result<Self, StoreError> {
        let job = &finished.plan.job;
        let parts = store.list(&key::parts(job, finished.outputs)).await?;
        let done: HashSet<&str> = parts.iter().filter_map(|part| key::image_of_part(&part.key)).collect();
        let images = finished.images.iter().filter(|image| done.contains(image.key.as_str()));
        let images: Vec<&PlannedImage> = images.collect();

        let renamed = images.iter().flat_map(|image| {
            renamed_outputs(finished.spec, &image.id).into_iter().map(|path| [image.id.clone(), path])
        });
        let renamed: Vec<[String; 2]> = renamed.collect();
        let stale = self::stale(store, finished, &images).await?;
        let rows = stale.iter().map(|file| [file.as_str()]);
        put(store, job, NAME_LIST, &["image_id", "file"], renamed.iter()).await?;
        put(store, job, STALE_LIST, &["file"], rows).await?;
        Ok(Self { renamed: renamed.len(), stale })
    }

    /// The names of the lists that were written.
    pub fn files(&self) -> Vec<&'static str> {
        let names = (self.renamed > 0).then_some(NAME_LIST);
        names.into_iter().chain((!self.stale.is_empty()).then_some(STALE_LIST)).collect()
    }
}

async fn stale(
    store: &dyn ObjectStore,
    finished: &Finished<'_>,
    images: &[&PlannedImage],
) -> Result<Vec<String>, StoreError> {
    let folder = key::out(&finished.plan.job, "");
    let mut own: HashSet<String> = [NAME_LIST, STALE_LIST].map(str::to_owned).into();
    own.extend(finished.spec.outputs.iter().map(marquetry_spec::Output::path_pattern));
    for image in images {
        // Of an array the one file stands for all.
        own.extend(expected(finished.spec, &image.id).into_iter().map(|file| unit(&file).to_owned()));
    }
    let listed = store.list(&folder).await?;
    let files = listed.iter().filter_map(|object| object.key.strip_prefix(&folder));
    let mut stale: Vec<String> =
        files.map(unit).filter(|file| !own.contains(*file) && !is_hidden(file)).map(str::to_owned).collect();
    stale.dedup();
    Ok(stale)
}

/// The output that a file is, or is a part of.
fn unit(file: &str) -> &str {
    let array = file.match_indices('/').map(|(at, _)| &file[..at]).find(|folder| folder.ends_with(ARRAY));
    array.unwrap_or(file)
}

/// Whether a file's name begins with a dot: what file managers leave behind.
fn is_hidden(file: &str) -> bool {
    file.rsplit('/').next().is_some_and(|name| name.starts_with('.'))
}

/// Writes a table; without rows, there is none.
async fn put<const N: usize>(
    store: &dyn ObjectStore,
    job: &str,
    name: &str,
    header: &[&str; N],
    rows: impl Iterator<Item = impl IntoIterator<Item = impl AsRef<[u8]>>>,
) -> Result<(), StoreError> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let (mut some, written) = (false, "a table in memory takes any row");
    table.write_record(header).expect(written);
    for row in rows {
        some = true;
        table.write_record(row).expect(written);
    }
    let place = key::out(job, name);
    match table.into_inner() {
        Ok(bytes) if some => store.put(&place, Bytes::from(bytes)).await,
        _ => store.delete(&place).await,
    }
}
