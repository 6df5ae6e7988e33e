//! Objects of a job that something else deletes while it runs, such as a bucket's rules for old ones.

use crate::cluster::role::{Signal, until};
use crate::cluster::setup::{Cluster, Kept};
use crate::cluster::view::wait;

/// Deletes all objects whose key begins so; how many there were.
fn delete_all(cluster: &Cluster, prefix: &str) -> usize {
    let store = cluster.store();
    let all = wait(store.list(prefix)).expect("a list");
    all.iter().for_each(|object| wait(store.delete(&object.key)).expect("deleted"));
    all.len()
}

#[test]
fn what_tasks_read_is_stored_again() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let mut job = cluster.coordinator("job.yaml");
    until("the job is begun", || !cluster.status().is_empty());
    for what in ["plans", "specs", "truth"] {
        let folder = format!("jobs/{}/{what}/", cluster.jobs()[0]);
        assert!(delete_all(&cluster, &folder) > 0, "{folder}");
    }
    let _roles = [cluster.worker(), cluster.aggregator()];
    job.until_it_says("stored again");
    job.end().ends_with(0);
    cluster.has_the_same_bytes();

    cluster.move_to("cut");
    let mut job = cluster.coordinator("job.yaml");
    let store = cluster.store();
    until("the job is begun", || !cluster.status().is_empty());
    for object in wait(store.list("jobs/")).expect("a list") {
        if object.key.contains("/plans/") || object.key.contains("/truth/") {
            let bytes = wait(store.get(&object.key)).expect("an object");
            wait(store.put(&object.key, bytes.slice(..bytes.len() / 2))).expect("put");
        }
    }
    job.until_it_says("stored again");
    job.end().ends_with(0);
    cluster.has_the_same_bytes();
}

/// Tables without the rows of an image, and a job that is done without its masks, would be wrong in silence.
#[test]
fn results_that_are_deleted_are_not_left_out_of_tables() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let _aggregator = cluster.aggregator();
    let mut worker = cluster.worker();
    for what in ["parts/", "out/masks/"] {
        let mut job = cluster.coordinator("job.yaml");
        let store = cluster.store();
        let folder = || Some(format!("jobs/{}/{what}", cluster.jobs().first()?));
        until("an image is finished", || {
            let is_there = |folder: String| !wait(store.list(&folder)).expect("a list").is_empty();
            assert!(job.is_running(), "the job is over");
            folder().is_some_and(is_there)
        });
        worker.signal(Signal::STOP);
        assert!(delete_all(&cluster, &folder().expect("a job")) > 0);
        worker.signal(Signal::CONT);
        let ran = job.end().ends_with(75).says(&["has gone from the store", what]);
        assert_eq!(ran.json()["exit"]["retry"], true, "{}", ran.stdout);
        cluster.coordinate("job.yaml").ends_with(0);
        cluster.has_the_same_bytes();
        assert!(delete_all(&cluster, "") > 0, "for the next");
    }
}
