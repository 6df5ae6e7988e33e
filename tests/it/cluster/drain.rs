//! Roles that are asked to stop.

use crate::cluster::listen::Listener;
use crate::cluster::setup::{Cluster, Kept, tally};

/// Nothing is sent again for being late here: what a role that stops does not hand back would be missed.
const NEVER: [&str; 2] = ["--late-seconds", "3600"];

#[test]
fn a_worker_that_is_asked_to_stop_finishes_what_it_has_and_hands_the_rest_back() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let heard = Listener::new(&cluster);
    let (patient, hasty) = (cluster.worker(), cluster.worker_with(&["--grace-seconds", "0"]));
    let (first, second) = (cluster.aggregator(), cluster.aggregator());
    let job = cluster.coordinator_with("job.yaml", &NEVER);
    heard.until_tiles(6);
    // Else it may have done all the rest before the others have come and gone.
    let slowed = hasty.slow_down();
    let name = patient.name.clone();
    let said = patient.drain().ends_with(0);
    assert!(!said.stderr.contains("goes to others"), "a minute is enough for a few tasks: {}", said.stderr);
    let (before, tiles) = (heard.tiles_of(&name), heard.tiles());
    first.drain().ends_with(0);
    let _last = cluster.worker();
    heard.until_tiles(tiles + 6);
    drop(slowed);
    hasty.drain().ends_with(0);
    let summary = job.end().ends_with(0).json();
    assert_eq!((tally(&summary, "retries"), tally(&summary, "resent")), (0, 0), "{summary}");
    assert_eq!(heard.tiles_of(&name), before, "it has left");
    cluster.has_the_same_bytes();
    second.drain().ends_with(0);
}

#[test]
fn a_coordinator_that_is_asked_to_stop_says_how_to_go_on() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let heard = Listener::new(&cluster);
    let _roles = [cluster.worker(), cluster.worker(), cluster.aggregator()];
    let job = cluster.coordinator_with("job.yaml", &NEVER);
    heard.until_tiles(12);
    job.drain().ends_with(75).says(&["the same command goes on"]);
    let summary = cluster.coordinator_with("job.yaml", &NEVER).end().ends_with(0).json();
    assert!(tally(&summary, "forwards_found") > 0, "{summary}");
    assert_eq!(tally(&summary, "resent"), 0, "{summary}");
    cluster.has_the_same_bytes();
}
