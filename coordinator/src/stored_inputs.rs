//! What tasks and images of a job read that its coordinator has stored: put there before anything is sent, and again where
//! something has taken it away since.

use crate::planning::{PlanTruthError, PlannedRegions, PlannedTruth};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use marquetry_failure::{Classify, FailureClass};
use marquetry_job::{Plan, PlannedImage, key};
use marquetry_spec::JobSpec;
use marquetry_transport::{ObjectStore, StoreError, StoreErrorKind};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// So many objects are stored side by side.
const AT_ONCE: usize = 16;

/// Why something that a job reads cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum StoredInputsError {
    /// The store is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A label cannot be read any more, or is another one by now.
    #[error(transparent)]
    Label(#[from] PlanTruthError),
    /// A thread that was to read a label is lost.
    #[error("reading a label: {0}")]
    Thread(#[source] io::Error),
}

impl Classify for StoredInputsError {
    fn class(&self) -> FailureClass {
        match self {
            Self::Store(error) => error.class(),
            Self::Label(_) => FailureClass::Passing,
            Self::Thread(_) => FailureClass::Bug,
        }
    }
}

/// The plan, the job file, and of each image its truth and its region, where masks say it.
#[derive(Debug)]
pub struct StoredInputs {
    job: String,
    plan: (String, Bytes),
    spec: (String, Bytes),
    truth: Option<Arc<PlannedTruth>>,
    regions: Option<Arc<PlannedRegions>>,
}

/// What is stored under a key.
enum Source {
    Bytes(Bytes),
    /// The labels of this name.
    Truth(Arc<PlannedTruth>, String),
    File(PathBuf),
}

impl StoredInputs {
    /// Those of a plan, whose decisions and outputs `spec` says and `outputs` names.
    pub fn new(plan: &Plan, spec: &JobSpec, outputs: &str) -> Self {
        let job = plan.job.clone();
        let spec = (key::spec(&job, outputs), Bytes::from(spec.to_yaml()));
        let plan = (key::plan(&job, &plan.hash()), Bytes::from(plan.to_bytes()));
        Self { job, plan, spec, truth: None, regions: None }
    }

    /// The same, with labels that are right.
    #[must_use]
    pub fn with_truth(self, truth: Option<Arc<PlannedTruth>>) -> Self {
        Self { truth, ..self }
    }

    /// The same, with regions that masks say.
    #[must_use]
    pub fn with_regions(self, regions: Option<Arc<PlannedRegions>>) -> Self {
        Self { regions, ..self }
    }

    /// Stores all that is not there yet.
    pub(crate) async fn put_all(
        &self,
        store: &dyn ObjectStore,
        images: &[PlannedImage],
    ) -> Result<(), StoredInputsError> {
        for (key, bytes) in [&self.plan, &self.spec] {
            store.put(key, bytes.clone()).await?;
        }
        // Two images may have one truth, and one content.
        let of_images: BTreeMap<String, Source> = images.iter().flat_map(|image| self.of(image)).collect();
        if of_images.is_empty() {
            return Ok(());
        }
        let there = self.there(store).await?;
        let new = of_images.into_iter().filter(|(key, source)| !source.is(there.get(key).copied()));
        let put = |(key, source): (String, Source)| put(store, key, source);
        stream::iter(new).map(put).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Stores again what an image's tasks read and what is not there any more, or not as it was; the keys of that.
    pub(crate) async fn put_missing(
        &self,
        store: &dyn ObjectStore,
        image: &PlannedImage,
    ) -> Result<Vec<String>, StoredInputsError> {
        let own = [&self.plan, &self.spec].map(|(key, bytes)| (key.clone(), Source::Bytes(bytes.clone())));
        let mut missing = Vec::new();
        for (key, source) in own.into_iter().chain(self.of(image)) {
            let source = source.read().await?;
            match store.get(&key).await {
                Ok(found) if source.holds(&found) => {}
                Err(error) if error.kind != StoreErrorKind::NotFound => return Err(error.into()),
                _ => {
                    put(store, key.clone(), source).await?;
                    missing.push(key);
                }
            }
        }
        Ok(missing)
    }

    /// What is stored of an image.
    fn of(&self, image: &PlannedImage) -> Vec<(String, Source)> {
        let truth = self.truth.as_ref().zip(image.truth.as_ref()).map(|(truth, name)| {
            (key::truth(&self.job, name), Source::Truth(Arc::clone(truth), name.clone()))
        });
        let region = self
            .regions
            .as_ref()
            .map(|regions| (key::region(&self.job, image.content_key()), Source::File(regions.file(image))));
        truth.into_iter().chain(region).collect()
    }

    /// The truths and regions that are stored, and how long they are, bytes.
    async fn there(&self, store: &dyn ObjectStore) -> Result<HashMap<String, u64>, StoreError> {
        let mut there = HashMap::new();
        let folders = [
            self.truth.as_ref().map(|_| key::truths(&self.job)),
            self.regions.as_ref().map(|_| key::all_regions(&self.job)),
        ];
        for folder in folders.into_iter().flatten() {
            there.extend(store.list(&folder).await?.into_iter().map(|meta| (meta.key, meta.size_bytes)));
        }
        Ok(there)
    }
}

impl Source {
    /// The same, as bytes or a file: labels that are remembered are read only here.
    async fn read(self) -> Result<Self, StoredInputsError> {
        let Self::Truth(truth, name) = self else { return Ok(self) };
        let file = tokio::task::spawn_blocking(move || truth.file(&name)).await;
        Ok(Self::File(file.map_err(|lost| StoredInputsError::Thread(io::Error::other(lost)))??))
    }

    /// Whether these bytes are this.
    fn holds(&self, found: &[u8]) -> bool {
        match self {
            Self::Bytes(bytes) => found == bytes,
            Self::File(file) => std::fs::read(file).is_ok_and(|bytes| bytes == found),
            Self::Truth(..) => false,
        }
    }

    /// Whether an object of so many bytes is this, as far as its length tells.
    fn is(&self, found: Option<u64>) -> bool {
        let Some(found) = found else { return false };
        match self {
            Self::Bytes(bytes) => found == bytes.len() as u64,
            // How long they are is known once they are read, which is not done where nothing speaks against what is there.
            Self::Truth(..) => found > 0,
            Self::File(file) => std::fs::metadata(file).is_ok_and(|meta| meta.len() == found),
        }
    }
}

async fn put(store: &dyn ObjectStore, key: String, source: Source) -> Result<(), StoredInputsError> {
    match source.read().await? {
        Source::Bytes(bytes) => store.put(&key, bytes).await?,
        Source::File(file) => store.put_file(&key, &file).await?,
        Source::Truth(..) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_plans::{images, plan};
    use marquetry_transport::FolderStore;

    const SPEC: &str =
        "version: 1\nimages: i\nclasses: [a, b]\nmembers: [{onnx: m.onnx}]\noutputs: [{masks: png}]\n";

    #[tokio::test]
    async fn what_is_gone_or_damaged_is_put_again_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::open(folder.path()).unwrap();
        let (plan, images) = (plan(), images(2));
        let inputs = StoredInputs::new(&plan, &JobSpec::parse(SPEC).unwrap(), "o");
        inputs.put_all(&store, &images).await.unwrap();
        assert_eq!(inputs.put_missing(&store, &images[0]).await.unwrap(), Vec::<String>::new());
        let key = key::plan(&plan.job, &plan.hash());
        store.delete(&key).await.unwrap();
        assert_eq!(inputs.put_missing(&store, &images[0]).await.unwrap(), std::slice::from_ref(&key));
        assert_eq!(store.get(&key).await.unwrap(), plan.to_bytes());
        let spec = key::spec(&plan.job, "o");
        let mut other = store.get(&spec).await.unwrap().to_vec();
        other[20] ^= 1;
        store.put(&spec, Bytes::from(other)).await.unwrap();
        assert_eq!(inputs.put_missing(&store, &images[1]).await.unwrap(), [spec]);
    }
}
