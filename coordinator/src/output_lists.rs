//! What there is to tell of the files among a job's outputs, in files beside them.

use crate::made_files::{Files, MadeFiles, whole};
use crate::{Finished, TableError};
use bytes::Bytes;
use marquetry_aggregator::{expected, expected_of, renamed_outputs};
use marquetry_failure::{Classify, FailureClass};
use marquetry_job::key::NIGHT_LABELS;
use marquetry_job::{PlannedImage, key};
use marquetry_spec::{NAME_LIST, Output, STALE_LIST};
use marquetry_transport::{ObjectMeta, ObjectStore, StoreError};
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
    /// When the store is in trouble, or something that an image has stored is gone.
    pub async fn write(store: &dyn ObjectStore, finished: &Finished<'_>) -> Result<Self, TableError> {
        let job = &finished.plan.job;
        let Stored { parts, listed } = Stored::of_whole_images(store, finished).await?;
        let done: HashSet<&str> = parts.iter().filter_map(|part| key::image_of_part(&part.key)).collect();
        let images = finished.images.iter().filter(|image| done.contains(image.result_name().as_str()));
        let images: Vec<&PlannedImage> = images.collect();

        let renamed = images.iter().flat_map(|image| {
            renamed_outputs(finished.spec, &image.id).into_iter().map(|path| [image.id.clone(), path])
        });
        let renamed: Vec<[String; 2]> = renamed.collect();
        let stale = self::stale(&listed, &key::out(job, ""), finished, &images);
        let is_there = |name: &str| listed.iter().any(|object| object.key == key::out(job, name));
        let rows = stale.iter().map(|file| [file.as_str()]);
        for (name, table) in
            [(NAME_LIST, table(&["image_id", "file"], renamed.iter())), (STALE_LIST, table(&["file"], rows))]
        {
            let place = key::out(job, name);
            match table {
                Some(bytes) => store.put(&place, bytes).await?,
                None if is_there(name) => forget(store, &place).await?,
                None => {}
            }
        }
        Ok(Self { renamed: renamed.len(), stale })
    }

    /// Looks whether all that images have stored is still there, once everything else is written, and notes what it is: a later run finds
    /// what was changed since.
    ///
    /// # Errors
    /// When the store is in trouble, or something is gone.
    pub async fn look_again(store: &dyn ObjectStore, finished: &Finished<'_>) -> Result<(), TableError> {
        let Finished { plan, spec, outputs, images, .. } = *finished;
        let Stored { listed, .. } = Stored::of_whole_images(store, finished).await?;
        if spec.subset.sample < 1.0 {
            // The files of the other images stay what they were.
            return Ok(());
        }
        let (files, listed) = (Files { job: &plan.job, spec, outputs }, whole(&listed));
        let contents = |image: &PlannedImage| {
            finished.has_finished(image).then(|| files.contents(image, &listed)).flatten().unwrap_or_default()
        };
        let made = MadeFiles::of(outputs, images.iter().map(|image| (image, contents(image))));
        Ok(made.write(store, &plan.job).await?)
    }

    /// The names of the lists that were written.
    pub fn files(&self) -> Vec<&'static str> {
        let names = (self.renamed > 0).then_some(NAME_LIST);
        names.into_iter().chain((!self.stale.is_empty()).then_some(STALE_LIST)).collect()
    }
}

/// Results and outputs that are in the store.
struct Stored {
    parts: Vec<ObjectMeta>,
    listed: Vec<ObjectMeta>,
}

impl Stored {
    /// Fails unless those of all finished images are there.
    async fn of_whole_images(store: &dyn ObjectStore, finished: &Finished<'_>) -> Result<Self, TableError> {
        let job = &finished.plan.job;
        let parts = store.list(&key::parts(job, finished.outputs)).await?;
        let done: HashSet<&str> = parts.iter().filter_map(|part| key::image_of_part(&part.key)).collect();
        let listed = store.list(&key::out(job, "")).await?;
        TableError::if_gone(gone(&listed, finished, &done))?;
        Ok(Self { parts, listed })
    }
}

/// Keys of what finished images have stored and what is not among the outputs that are `listed`, or the results of images
/// that are `done`.
fn gone(listed: &[ObjectMeta], finished: &Finished<'_>, done: &HashSet<&str>) -> Vec<String> {
    let job = &finished.plan.job;
    // No output is empty.
    let whole = listed.iter().filter(|object| object.size_bytes > 0);
    let there: HashSet<&str> = whole.map(|object| object.key.as_str()).collect();
    let of_image = |image: &PlannedImage| {
        let result = image.result_name();
        let files = expected_of(finished.spec, finished.outputs, image).into_iter();
        let files = files.map(|file| key::out(job, &file)).filter(|key| !there.contains(key.as_str()));
        let result = (!done.contains(result.as_str())).then(|| key::part(job, finished.outputs, &result));
        result.into_iter().chain(files).collect::<Vec<_>>()
    };
    finished.images.iter().filter(|image| finished.has_finished(image)).flat_map(of_image).collect()
}

fn stale(
    listed: &[ObjectMeta],
    folder: &str,
    finished: &Finished<'_>,
    images: &[&PlannedImage],
) -> Vec<String> {
    let mut own: HashSet<String> = [NAME_LIST, STALE_LIST].map(str::to_owned).into();
    own.extend(finished.spec.outputs.iter().flat_map(Output::places));
    for image in images {
        // Of an array the one file stands for all.
        own.extend(
            expected(finished.spec, &image.id, image.truth.is_some())
                .into_iter()
                .map(|file| unit(&file).to_owned()),
        );
    }
    let files = listed.iter().filter_map(|object| object.key.strip_prefix(folder));
    let mut stale: Vec<String> = files
        .map(unit)
        .filter(|file| !own.contains(*file) && !is_hidden(file) && !file.starts_with(NIGHT_LABELS))
        .map(str::to_owned)
        .collect();
    stale.dedup();
    stale
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

/// A table of these rows; without rows, there is none.
fn table<const N: usize>(
    header: &[&str; N],
    rows: impl Iterator<Item = impl IntoIterator<Item = impl AsRef<[u8]>>>,
) -> Option<Bytes> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let (mut some, written) = (false, "a table in memory takes any row");
    table.write_record(header).expect(written);
    for row in rows {
        some = true;
        table.write_record(row).expect(written);
    }
    table.into_inner().ok().filter(|_| some).map(Bytes::from)
}

/// Takes an older list away. A store that does not let us is warned about: outputs are not withheld for it.
async fn forget(store: &dyn ObjectStore, place: &str) -> Result<(), StoreError> {
    match store.delete(place).await {
        Err(error) if error.class() == FailureClass::Config => {
            tracing::warn!(%error, "a list of an earlier run is left behind, and is not of this one");
            Ok(())
        }
        deleted => deleted,
    }
}
