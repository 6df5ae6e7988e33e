//! Which results the files among a job's outputs belong to.

use marquetry_aggregator::expected_of;
use marquetry_job::{PlannedImage, hash, key};
use marquetry_spec::JobSpec;
use marquetry_transport::{ObjectMeta, ObjectStore, StoreError, StoreErrorKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// For which decisions, outputs and contents the files were made last, and what they were when a run ended.
///
/// A result that is stored says that an image's files are there. One that came late (a slow request of a process that had lost the
/// job) may say so of files that another run has made since, and a late file may lie where another is meant: neither is
/// believed where this tells otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MadeFiles {
    /// Names the decisions and outputs.
    outputs: String,
    /// By the ids of the images.
    images: BTreeMap<String, Made>,
}

/// The files of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    /// The result that they belong to.
    result: String,
    /// Names their contents; empty where the store has no such names, and while they are being made.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    contents: String,
}

/// Objects that are there, by their keys.
pub(crate) type Listed<'a> = HashMap<&'a str, &'a ObjectMeta>;

/// Those of them that are not empty: no output is, so one of no bytes was cut off by whatever came over the store.
pub(crate) fn whole(listed: &[ObjectMeta]) -> Listed<'_> {
    let whole = listed.iter().filter(|object| object.size_bytes > 0);
    whole.map(|object| (object.key.as_str(), object)).collect()
}

/// The files of an image, as a run with these decisions and outputs makes them.
pub(crate) struct Files<'a> {
    pub(crate) job: &'a str,
    pub(crate) spec: &'a JobSpec,
    pub(crate) outputs: &'a str,
}

impl Files<'_> {
    /// What names the contents of an image's files, if all are there; empty where the store has no such names.
    pub(crate) fn contents(&self, image: &PlannedImage, listed: &Listed<'_>) -> Option<String> {
        let mut contents = Some(Vec::new());
        for file in expected_of(self.spec, self.outputs, image) {
            let found = listed.get(key::out(self.job, &file).as_str())?;
            match (found.content(), &mut contents) {
                (Some(content), Some(contents)) => contents.push(content),
                _ => contents = None,
            }
        }
        let of_all = |contents: Vec<String>| hash(&contents.iter().map(String::as_bytes).collect::<Vec<_>>());
        Some(contents.map(of_all).unwrap_or_default())
    }
}

impl MadeFiles {
    /// What is known; nothing where nobody has noted it.
    pub(crate) async fn read(store: &dyn ObjectStore, job: &str) -> Result<Self, StoreError> {
        match store.get(&key::files_made_for(job)).await {
            // What cannot be read is noted anew.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(error) if error.kind == StoreErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// For a run with these decisions and outputs, which makes the files of `images`; with what names their contents, empty while
    /// they are being made.
    pub(crate) fn of<'a>(outputs: &str, images: impl Iterator<Item = (&'a PlannedImage, String)>) -> Self {
        let made = |(image, contents): (&PlannedImage, _)| {
            (image.id.clone(), Made { result: image.result_name(), contents })
        };
        Self { outputs: outputs.to_owned(), images: images.map(made).collect() }
    }

    /// Whether files with these contents belong to the result of an image for `outputs`, as far as is known.
    pub(crate) fn belong(&self, outputs: &str, image: &PlannedImage, contents: &str) -> bool {
        if self.outputs.is_empty() {
            return true;
        }
        let known = |made: &Made| {
            let is_named = !made.contents.is_empty() && !contents.is_empty();
            made.result == image.result_name() && (!is_named || made.contents == contents)
        };
        self.outputs == outputs && self.images.get(&image.id).is_none_or(known)
    }

    /// Notes it.
    pub(crate) async fn write(&self, store: &dyn ObjectStore, job: &str) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(self).expect("texts become JSON");
        store.put(&key::files_made_for(job), bytes.into()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_plans::images;
    use bytes::Bytes;
    use marquetry_transport::MemoryStore;

    #[tokio::test]
    async fn files_belong_to_the_result_that_they_were_made_for_as_long_as_they_are_what_they_were() {
        let store = MemoryStore::new();
        let text = "version: 1\nname: j\nimages: i\nclasses: [a, b]\ndefaults: {window: {size: 64}}\nmembers: [{onnx: m.onnx}]\n\
                    outputs: [{masks: png}]\n";
        let spec = JobSpec::parse(text).unwrap();
        let image = images(1).remove(0);
        let files = Files { job: "j-1", spec: &spec, outputs: "o" };
        let mask = key::out("j-1", &expected_of(&spec, "o", &image)[0]);
        let put = async |bytes: &'static [u8]| store.put(&mask, Bytes::from_static(bytes)).await.unwrap();
        let contents = async || {
            let listed = store.list("jobs/").await.unwrap();
            files.contents(&image, &whole(&listed))
        };
        assert_eq!(contents().await, None, "there is no file");
        put(b"").await;
        assert_eq!(contents().await, None, "it was cut off");
        put(b"a mask").await;
        let first = contents().await.unwrap();
        let nothing_known = MadeFiles::read(&store, "j-1").await.unwrap();
        assert!(nothing_known.belong("o", &image, &first));
        MadeFiles::of("o", [(&image, first.clone())].into_iter()).write(&store, "j-1").await.unwrap();
        let known = MadeFiles::read(&store, "j-1").await.unwrap();
        assert!(known.belong("o", &image, &first));
        put(b"another mask").await;
        assert!(!known.belong("o", &image, &contents().await.unwrap()), "written over");
        assert!(!known.belong("p", &image, &first), "of other decisions");
        let mut changed = image.clone();
        changed.key = PlannedImage::key_of(&image.id, "another content", None);
        assert!(!known.belong("o", &changed, &first), "of another content");
        let mut new = image.clone();
        new.id = "new".into();
        assert!(known.belong("o", &new, &first), "nothing is known of it");
        assert!(known.belong("o", &image, ""), "a store without such names");
    }
}
