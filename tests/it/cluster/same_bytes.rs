//! A cluster makes what one process makes, byte for byte.

use crate::cluster::job::IMAGES;
use crate::cluster::setup::{Cluster, Kept, tally};

fn a_cluster_makes_the_same_bytes(kept: Kept) {
    let Some(mut cluster) = Cluster::start(kept) else { return };
    let _roles = [cluster.worker(), cluster.worker(), cluster.aggregator(), cluster.aggregator()];
    let summary = cluster.coordinate("job.yaml").ends_with(0).json();
    assert!(tally(&summary, "tasks_computed") > 40, "{summary}");
    assert_eq!((tally(&summary, "retries"), summary["whole"].as_bool()), (0, Some(true)), "{summary}");
    cluster.has_the_same_bytes();

    let again = cluster.coordinate("job.yaml").ends_with(0).json();
    assert_eq!((tally(&again, "images_found"), tally(&again, "tasks_computed")), (IMAGES, 0), "{again}");
    cluster.has_the_same_bytes();
}

#[test]
fn a_cluster_on_a_folder_makes_the_same_bytes() {
    a_cluster_makes_the_same_bytes(Kept::InFolder);
}

#[test]
fn a_cluster_on_s3_makes_the_same_bytes() {
    a_cluster_makes_the_same_bytes(Kept::InBucket);
}
