use super::*;
use crate::test_plans::{images, plan};
use crate::{Findings, Tally};
use bytes::Bytes;
use marquetry_job::{Plan, PlannedImage};
use marquetry_spec::JobSpec;
use marquetry_transport::FolderStore;

const OUTPUTS: &str = "o";
const IMAGES: usize = 100;

/// A job of many images.
struct Job {
    plan: Plan,
    images: Vec<PlannedImage>,
    spec: JobSpec,
    tally: Tally,
    findings: Findings,
}

impl Job {
    fn new() -> Self {
        let spec = "version: 1\nname: j\nimages: i\nclasses: [a, b]\nmembers: [{onnx: m.onnx}]\noutputs: [{masks: png}]\n";
        let spec = JobSpec::parse(spec).unwrap();
        let images = images(IMAGES);
        let given_up = images.iter().enumerate().filter(|(n, _)| n % 10 == 3);
        let unfinished = given_up.map(|(_, image)| image.key.clone()).collect();
        let tally = Tally { unfinished, ..Tally::default() };
        Self { plan: plan(), images, spec, tally, findings: Findings::default() }
    }

    fn finished(&self) -> Finished<'_> {
        let Self { plan, images, spec, tally, findings } = self;
        let (asked, outputs, rejected) = (spec, OUTPUTS, &[]);
        Finished { plan, images, spec, asked, outputs, tally, rejected, findings, truth: None }
    }
}

/// What image `n` adds to output `output`.
fn text(n: usize, output: usize) -> String {
    format!("{n}:{output};").repeat(n % 7 * 100)
}

async fn store(folder: &Path, job: &Job) -> Arc<dyn ObjectStore> {
    let store = FolderStore::open(folder).unwrap();
    for (n, image) in job.images.iter().enumerate().filter(|(n, _)| n % 10 != 3) {
        let mut result = ImageResult::new(&image.id);
        result.missing_pixels = n as u64;
        result.table_rows = [1, 2].map(|output| (output, text(n, output))).into();
        let key = key::part(&job.plan.job, OUTPUTS, &image.key);
        store.put(&key, Bytes::from(result.to_bytes())).await.unwrap();
    }
    Arc::new(store)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_finds_its_rows_in_any_order() {
    let (folder, job) = (tempfile::tempdir().unwrap(), Job::new());
    let store = store(&folder.path().join("store"), &job).await;
    let read = CollectedResults::read(store, &job.finished(), &[1, 2], folder.path()).await.unwrap();
    for (n, result) in read.images.iter().enumerate() {
        assert_eq!(result.as_ref().map(|r| r.missing_pixels), (n % 10 != 3).then_some(n as u64));
        assert!(result.as_ref().is_none_or(|result| result.table_rows.is_empty()), "rows lie in files");
    }
    let mut rows = read.table_rows;
    for n in (0..IMAGES).rev().chain([5, 5, 99]) {
        for output in [2, 1] {
            let found = rows.get(output, &format!("image {n}")).unwrap();
            assert_eq!(found, (n % 10 != 3).then(|| text(n, output)), "image {n}");
        }
    }
    assert_eq!(rows.get(1, "who").unwrap(), None);
    assert_eq!(rows.get(7, "image 1").unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_result_is_an_error_and_goes() {
    let (folder, job) = (tempfile::tempdir().unwrap(), Job::new());
    let store = store(&folder.path().join("store"), &job).await;
    store
        .put(&key::part(&job.plan.job, OUTPUTS, &job.images[50].key), Bytes::from_static(b"{}"))
        .await
        .unwrap();
    let read = CollectedResults::read(Arc::clone(&store), &job.finished(), &[1], folder.path()).await;
    assert!(matches!(read, Err(TableError::Damaged { .. })));
    // It would be found by each run again.
    let read = CollectedResults::read(store, &job.finished(), &[1], folder.path()).await;
    assert!(matches!(read, Err(TableError::Gone { .. })));
}

/// Tables without the rows of an image that is finished would be wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_gone_is_an_error() {
    let (folder, job) = (tempfile::tempdir().unwrap(), Job::new());
    let store = store(&folder.path().join("store"), &job).await;
    let gone = key::part(&job.plan.job, OUTPUTS, &job.images[50].key);
    store.delete(&gone).await.unwrap();
    let read = CollectedResults::read(store, &job.finished(), &[1], folder.path()).await;
    assert!(matches!(read, Err(TableError::Gone { key, count: 1 }) if key == gone));
}

/// Results that are larger than all room together come one at a time, and none waits for ever.
#[tokio::test]
async fn room_is_bounded_and_nobody_starves() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::open(folder.path()).unwrap();
    store.put("x", Bytes::from(ImageResult::new("x").to_bytes())).await.unwrap();
    let room = Semaphore::new(AHEAD_BYTES as usize);
    let first = read_one(&store, &room, "x", u64::MAX).await.unwrap();
    assert_eq!(room.available_permits(), 0);
    let second = read_one(&store, &room, "x", 10);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(20), second).await.is_err());
    drop(first);
    assert_eq!(read_one(&store, &room, "x", 10).await.unwrap().0.image_id, "x");
    assert_eq!(room.available_permits(), AHEAD_BYTES as usize);
    assert!(matches!(read_one(&store, &room, "gone", 10).await, Err(TableError::Gone { .. })));
}
