//! Stores that are slow, flaky, killed.

use crate::cluster::listen::Listener;
use crate::cluster::own_s3::OwnS3;
use crate::cluster::proxies::Toxic;
use crate::cluster::ruled_s3::{Rule, RuledS3};
use crate::cluster::services::{free_port, host};
use crate::cluster::setup::{Cluster, Kept, tally};

#[test]
fn a_store_that_is_killed_is_waited_for() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let Some(mut own) = OwnS3::start(&cluster.services.bucket) else { return };
    (cluster.s3, cluster.services.s3) = (own.url(), own.url());
    let heard = Listener::new(&cluster);
    let mut worker = cluster.worker();
    let _others = [cluster.worker(), cluster.aggregator()];
    let job = cluster.coordinator("job.yaml");
    heard.until_tiles(8);
    own.kill9();
    worker.until_it_says("trying again until the store is back");
    // One that starts meanwhile waits too.
    let mut late = cluster.worker();
    late.until_it_says("trying again until the store is back");
    own.start_again();
    worker.until_it_says("is back");
    let summary = job.end().ends_with(0).json();
    assert_eq!((tally(&summary, "retries"), summary["whole"].as_bool()), (0, Some(true)), "{summary}");
    cluster.has_the_same_bytes();
}

#[test]
fn a_store_that_refuses_each_tenth_request_loses_nothing() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let slow_down = Rule::refuse("", "", 503, "SlowDown").every(10);
    let flaky = RuledS3::new(&cluster.services.s3, vec![slow_down]);
    cluster.s3.clone_from(&flaky.url);
    let _roles = [cluster.worker(), cluster.worker(), cluster.aggregator()];
    let summary = cluster.coordinate("job.yaml").ends_with(0).json();
    assert_eq!(summary["whole"], true, "{summary}");
    assert!(flaky.refused() > 20, "{} requests were refused", flaky.refused());
    cluster.has_the_same_bytes();
}

#[test]
fn a_store_that_is_slow_and_drops_connections_loses_nothing() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let proxy = Toxic::new(&cluster.services.toxiproxy, &cluster.prefix, host(&cluster.services.s3));
    cluster.s3 = format!("http://127.0.0.1:{}", proxy.port);
    proxy.delay(60, 50);
    proxy.reset(0.1);
    let _roles = [cluster.worker(), cluster.worker(), cluster.aggregator()];
    let summary = cluster.coordinate("job.yaml").ends_with(0).json();
    assert_eq!(summary["whole"], true, "{summary}");
    cluster.has_the_same_bytes();
}

#[test]
fn a_store_that_is_not_there_is_named() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    cluster.services.s3 = format!("http://127.0.0.1:{}", free_port());
    let url = cluster.services.s3.clone();
    cluster.control(&["status"]).ends_with(69).says(&[&url, "cannot be reached"]);
    // A bucket that is not there does not come by waiting.
    cluster.uri = "s3://no-such-bucket/x".into();
    cluster.job("job.yaml", "");
    cluster.coordinate("job.yaml").ends_with(65).says(&["no-such-bucket"]);
}
