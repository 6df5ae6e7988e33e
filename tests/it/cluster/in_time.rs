//! `coordinate --finish-in`: rounds on a cluster are plain jobs too.

use crate::cluster::setup::{Cluster, Kept};
use crate::fixture::same_files;

/// With time for all members it is the plain job of these; what earlier rounds have made is gone, but for the names that keep
/// late messages from being worked on.
fn rounds_on_a_cluster_end_in_the_plain_job(kept: Kept) {
    let Some(mut cluster) = Cluster::start(kept) else { return };
    cluster.job("job.yaml", "tiles: {per: member}\n");
    let text =
        String::from_utf8(std::fs::read(cluster.place.path("job.yaml")).expect("a job")).expect("UTF-8");
    let store = format!("store: {}", cluster.uri);
    cluster.place.write("plain.yaml", text.replace(&store, "store: plain"));
    cluster.place.run("plain.yaml").ends_with(0);

    let _roles = [cluster.worker(), cluster.worker(), cluster.aggregator()];
    let ran = cluster.coordinator_with("job.yaml", &["--finish-in", "1h"]).end().ends_with(0);
    let summary = ran.json();
    assert_eq!(summary["finish_in"]["rounds"], 2, "{summary}");
    let job = summary["job"].as_str().expect("a job");
    same_files(&cluster.place.outputs("plain"), &cluster.outputs_of(job));
    let objects = crate::cluster::view::objects(&*cluster.store(), "");
    let of_others = objects.keys().filter(|key| key.starts_with("jobs/") && !key.contains(job));
    assert!(of_others.clone().all(|key| key.ends_with("/run")), "{:?}", of_others.collect::<Vec<_>>());
    assert!(!objects.keys().any(|key| key.starts_with("tiles/")), "no tile is asked for");
}

#[test]
fn rounds_on_a_folder_end_in_the_plain_job() {
    rounds_on_a_cluster_end_in_the_plain_job(Kept::InFolder);
}

#[test]
fn rounds_on_s3_end_in_the_plain_job() {
    rounds_on_a_cluster_end_in_the_plain_job(Kept::InBucket);
}
