//! Machines that are not fit to work, and stores that are none of a worker's business.

use crate::cluster::listen::Listener;
use crate::cluster::role::until;
use crate::cluster::setup::{Cluster, Kept};
use crate::cluster::view::wait;
use bytes::Bytes;
use marquetry_failure::FailureClass;
use marquetry_job::{Event, message};
use marquetry_transport::{TaskQueue, Topic};

#[test]
fn a_worker_that_is_not_fit_says_why_and_takes_nothing() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let cache = cluster.worker_with(&["--cache", "/proc/no-cache"]).end().ends_with(69);
    let cache = cache.says(&["not fit to work", "the cache folder", "/proc/no-cache"]);
    assert!(!cache.stderr.contains("is ready"), "{}", cache.stderr);
    let store = cluster.worker_with(&["--store", "s3://no-such-bucket/x"]).end().ends_with(78);
    store.says(&["not fit to work", "no-such-bucket"]);
    let store = cluster.role("aggregate", &["--store", "s3://no-such-bucket/x"]).end().ends_with(78);
    store.says(&["not fit to work", "no-such-bucket"]);
    // Where all is well, what was written to try it is gone.
    let uri = cluster.uri.clone();
    let mut well = cluster.worker_with(&["--store", &uri]);
    well.until_it_says("is ready");
    let left = wait(cluster.store().list("")).expect("a list");
    assert!(left.is_empty(), "{left:?}");
}

/// The topics are there with 8 partitions: whoever counts on more is told, and whoever does not is not.
#[test]
fn fewer_partitions_than_wanted_are_said() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let mut first = cluster.worker();
    first.until_it_says("is ready");
    cluster.partitions = 12;
    let mut second = cluster.aggregator();
    for topic in ["tasks", "aggregate"] {
        second.until_it_says(&format!(
            "topic {}.{topic} has 8 partitions, fewer than --partitions 12",
            cluster.prefix
        ));
    }
    second.until_it_says("is ready");
    assert!(!first.said().contains("fewer than --partitions"), "{}", first.said());
}

/// The job takes its images, and the only worker does not: that is said before the first of them is refused, and shown.
#[test]
fn images_that_no_worker_takes_are_said() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let small = cluster.worker_with(&["--image-megapixels", "0"]);
    let ran = cluster.coordinate("job.yaml");
    assert_ne!(ran.code, Some(0), "{}", ran.stderr);
    let at =
        |words: &str| ran.stderr.find(words).unwrap_or_else(|| panic!("`{words}` is not in\n{}", ran.stderr));
    assert!(at("start workers with --image-megapixels 1 ") < at("gave up"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("no worker takes images of 1 megapixels").count(), 1, "{}", ran.stderr);
    let told = |cluster: &Cluster| cluster.status()[0]["too_large"].as_str().map(str::to_owned);
    assert!(
        told(&cluster).is_some_and(|words| words.contains("--image-megapixels 1 ")),
        "{:?}",
        told(&cluster)
    );
    small.drain().ends_with(0);
    let _roles = [cluster.worker(), cluster.aggregator()];
    cluster.coordinate("job.yaml").ends_with(0);
    assert_eq!(told(&cluster), None, "there is one that does");
    cluster.has_the_same_bytes();
}

/// Messages name the store to work in: a worker makes no folder for them, and opens only what it was started for.
#[test]
fn a_message_opens_no_store_that_a_worker_was_not_started_for() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let (heard, queue) = (Listener::new(&cluster), cluster.queue());
    let uri = cluster.uri.clone();
    let trusting = cluster.worker_with(&["--store", &uri]);
    let evil = cluster.place.path("evil").display().to_string();
    let run = marquetry_job::RunId { job: "j-01234567".into(), store: evil.clone(), run: "r".into() };
    let image = marquetry_job::PlannedImage {
        id: "a".into(),
        uri: "nowhere.png".into(),
        sidecars: Vec::new(),
        version: String::new(),
        key: "0123456789abcdef".into(),
        content: None,
        size: marquetry_geometry::Size::new(8, 8),
        bands: 3,
        tags: std::collections::BTreeMap::new(),
        members: None,
        truth: None,
    };
    let (task, plan) = (marquetry_job::TaskKind::Block { group: 0, block: 0 }, "p".to_owned());
    let task =
        marquetry_job::TaskMessage { run, plan, image, task, attempt: 1, replace: false, alone: false };
    let say =
        |payload: Vec<u8>| wait(queue.publish(Topic::Tasks, "x", Bytes::from(payload))).expect("published");
    say(message::encode(&task));
    until("it is refused", || {
        heard.count(|said| match &said.event {
            Event::TaskFailed { class, reason, .. } => {
                *class == FailureClass::Input && reason.contains("--store")
            }
            _ => false,
        }) > 0
    });
    assert!(!cluster.place.path("evil").exists(), "a folder was made for a message");
    drop(trusting);

    let mut plain = cluster.worker();
    plain.until_it_says("is ready");
    say(message::encode(&task));
    until("it fails", || {
        heard.count(|said| said.from == plain.name && matches!(said.event, Event::TaskFailed { .. })) > 0
    });
    assert!(!cluster.place.path("evil").exists(), "a folder was made for a message");
}

/// A task of another version is kept, and both sides learn of it.
#[test]
fn a_message_of_another_version_is_kept_and_said() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let (heard, queue) = (Listener::new(&cluster), cluster.queue());
    let mut letters = wait(queue.follow(Topic::Dead)).expect("a feed");
    let mut worker = cluster.worker();
    let foreign = br#"{"v":99,"job":"x"}"#;
    wait(queue.publish(Topic::Tasks, "x", Bytes::from_static(foreign))).expect("published");
    assert_eq!(wait(letters.next()).expect("a letter"), foreign.as_slice());
    worker.until_it_says("version 99");
    until("the worker says so to whoever listens", || {
        heard.count(|said| matches!(&said.event, Event::Unread { reason } if reason.contains("version 99")))
            > 0
    });
}
