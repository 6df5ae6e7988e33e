//! Many jobs at once on the same topics.

use crate::cluster::job::alone;
use crate::cluster::role::until;
use crate::cluster::setup::{Cluster, Kept, tally};
use crate::fixture::same_files;

#[test]
fn many_jobs_share_workers_and_aggregators() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let _workers = [(); 3].map(|()| cluster.worker());
    let _aggregators = [cluster.aggregator(), cluster.aggregator()];
    let stores = ["a", "b", "c"];
    let mut jobs = Vec::new();
    for store in stores {
        cluster.move_to(store);
        // A file for each: a coordinator reads its own when it comes to that.
        let file = format!("{store}.yaml");
        cluster.job(&file, "");
        jobs.push(cluster.coordinator(&file));
    }
    // Two jobs in one store are told apart by what they compute.
    let text = std::fs::read_to_string(cluster.place.path("job.yaml")).expect("the job");
    cluster.place.write("other.yaml", text.replace("[hflip]", "[vflip]"));
    jobs.push(cluster.coordinator("other.yaml"));
    for job in jobs {
        let summary = job.end().ends_with(0).json();
        assert_eq!((tally(&summary, "retries"), summary["whole"].as_bool()), (0, Some(true)), "{summary}");
    }
    let status = cluster.status();
    assert_eq!(status.len(), 2, "{status:?}");
    assert!(status.iter().all(|s| s["state"] == "done"), "{status:?}");
    let names = cluster.jobs();
    let same = names.iter().filter(|name| cluster.outputs_of(name) == *alone()).count();
    assert_eq!(same, 1, "one of {names:?} is the job of the other stores");
    for store in &stores[..2] {
        cluster.move_to(store);
        same_files(alone(), &cluster.outputs());
    }
}

#[test]
fn a_second_coordinator_takes_the_job_over() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let first = cluster.coordinator("job.yaml");
    until("the first one is at work", || !cluster.status().is_empty());
    let second = cluster.coordinator("job.yaml");
    first.end().ends_with(75).says(&["another coordinator has taken this job over"]);
    let _roles = [cluster.worker(), cluster.worker(), cluster.aggregator()];
    second.end().ends_with(0);
    cluster.has_the_same_bytes();
}
