//! What a store refuses, what takes long, what is lost on its way: to all, to some, for good.

use crate::cluster::job::{self, IMAGES};
use crate::cluster::listen::Listener;
use crate::cluster::role::{LOOK_EVERY, Role, until};
use crate::cluster::ruled_s3::{Rule, RuledS3};
use crate::cluster::setup::{Cluster, Kept, tally};
use crate::cluster::view::wait;
use marquetry_job::Event;
use marquetry_transport::{TaskQueue, Topic};
use std::collections::BTreeSet;
use std::time::Duration;

/// Starts what `start` starts with its view of the store through `proxy`.
pub(super) fn through<T>(cluster: &mut Cluster, proxy: &RuledS3, start: impl FnOnce(&mut Cluster) -> T) -> T {
    let direct = std::mem::replace(&mut cluster.s3, proxy.url.clone());
    let started = start(cluster);
    cluster.s3 = direct;
    started
}

#[test]
fn a_store_that_lets_no_worker_write_stops_the_job_in_its_own_words() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let denied = Rule::refuse("PUT", "/tiles/", 403, "AccessDenied");
    let proxy = RuledS3::new(&cluster.services.s3, vec![denied]);
    let worker = through(&mut cluster, &proxy, Cluster::worker);
    let _aggregator = cluster.aggregator();
    let told =
        cluster.coordinate("job.yaml").ends_with(78).says(&["AccessDenied", &worker.name, "all"]).json();
    assert_eq!((&told["state"], &told["exit"]["retry"]), (&"failed".into(), &false.into()), "{told}");
    worker.end().ends_with(78).says(&["AccessDenied", "times in a row", "its test of itself"]);
    let status = cluster.status()[0].clone();
    assert_eq!(status["state"], "failed", "{status}");
    assert!(status["reason"].as_str().is_some_and(|why| why.contains("AccessDenied")), "{status}");
    let id = status["job"].as_str().expect("a name");
    cluster.control(&["status", "--wait", id]).ends_with(78).prints(&["AccessDenied"]);
    assert!(proxy.refused() <= 50, "{} tiles were computed in vain", proxy.refused());
}

#[test]
fn a_key_that_a_store_never_takes_is_not_waited_for() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let too_long = Rule::refuse("PUT", "/tiles/", 400, "KeyTooLongError");
    let proxy = RuledS3::new(&cluster.services.s3, vec![too_long]);
    let _roles = (through(&mut cluster, &proxy, Cluster::worker), cluster.aggregator());
    cluster.coordinate("job.yaml").ends_with(78).says(&["KeyTooLongError"]);
}

#[test]
fn one_worker_without_rights_costs_no_image() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let expired = Rule::refuse("PUT", "/tiles/", 403, "ExpiredToken");
    let proxy = RuledS3::new(&cluster.services.s3, vec![expired]);
    let sick = through(&mut cluster, &proxy, Cluster::worker);
    let roles = [cluster.worker(), cluster.worker(), cluster.aggregator()];
    cluster.until_all_take_tasks(&[&sick, &roles[0], &roles[1]]);
    let summary = cluster.coordinate("job.yaml").ends_with(0).json();
    assert_eq!(summary["whole"], true, "{summary}");
    cluster.has_the_same_bytes();
    sick.end().ends_with(78).says(&["ExpiredToken"]);
}

#[test]
fn no_right_to_delete_withholds_nothing() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let proxy = RuledS3::new(&cluster.services.s3, vec![Rule::refuse("DELETE", "", 403, "AccessDenied")]);
    let _roles = through(&mut cluster, &proxy, |cluster| [cluster.worker(), cluster.aggregator()]);
    for _ in 0..2 {
        let ran = through(&mut cluster, &proxy, |cluster| cluster.coordinate("job.yaml"));
        ran.ends_with(0);
        assert_eq!(cluster.status()[0]["state"], "done");
        cluster.has_the_same_bytes();
    }
    assert!(proxy.refused() > 0, "something was to be deleted");
}

/// A job whose models lie in the bucket; they take longer to fetch than a task may take to compute.
#[test]
fn a_model_that_takes_long_to_fetch_costs_no_try() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let text = std::fs::read_to_string(cluster.place.path("job.yaml")).expect("the job");
    let mut job = text;
    for (name, seed) in [("one.onnx", 1), ("two.onnx", 2)] {
        let key = format!("models/{name}");
        wait(cluster.store().put(&key, job::model(seed).bytes().into())).expect("a model");
        job = job.replace(name, &format!("{}/{key}", cluster.uri));
    }
    cluster.place.write("far.yaml", job);
    let slow = Rule::delay("GET", "/models/", Duration::from_secs(6));
    let proxy = RuledS3::new(&cluster.services.s3, vec![slow]);
    let cache = cluster.place.path("cache").display().to_string();
    let with = ["--deadline-seconds", "3", "--cache", &cache];
    let mut worker = through(&mut cluster, &proxy, |cluster| cluster.worker_with(&with));
    let _aggregator = cluster.aggregator();
    let job = cluster.coordinator_with("far.yaml", &["--late-seconds", "300"]);
    let summary = job.end().ends_with(0).json();
    assert_eq!((tally(&summary, "retries"), summary["whole"].as_bool()), (0, Some(true)), "{summary}");
    assert!(worker.is_running(), "it was not too late for anything");
    cluster.has_the_same_bytes();
}

#[test]
fn tasks_that_the_queue_has_lost_are_sent_again() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let mut job = cluster.coordinator_with("job.yaml", &["--late-seconds", "5"]);
    // As if their retention was over: read by nobody who does them.
    let queue = cluster.queue();
    wait(async {
        let mut tasks = queue.subscribe(Topic::Tasks, "workers").await.expect("a group");
        for _ in 0..50 {
            let task = tasks.receive().await.expect("a task");
            tasks.acknowledge(task.token).await.expect("acknowledged");
        }
        tasks.leave().await;
    });
    job.until_it_says("sending them again");
    let _roles = [cluster.worker(), cluster.aggregator()];
    job.end().ends_with(0);
    cluster.has_the_same_bytes();
}

/// An image that kills every worker that begins with it: here it is the test that kills them, when they say so.
#[test]
fn an_image_that_kills_its_workers_is_given_up_and_no_other() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let heard = Listener::new(&cluster);
    // Long enough for the test to see a task begin before it is done.
    let slow = Rule::delay("PUT", "/tiles/", Duration::from_secs(4));
    let proxy = RuledS3::new(&cluster.services.s3, vec![slow]);
    let _aggregator = cluster.aggregator();
    let mut job = cluster.coordinator_with("job.yaml", &["--late-seconds", "300"]);
    let start = |cluster: &mut Cluster| through(cluster, &proxy, Cluster::worker);
    let mut workers: Vec<Role> = (0..2).map(|_| start(&mut cluster)).collect();
    until("a task begins", || heard.count(|said| matches!(said.event, Event::TaskBegun { .. })) > 0);
    let deadly = heard.first(|event| match event {
        Event::TaskBegun { task, .. } => Some(task.clone()),
        _ => None,
    });
    let (mut killed, mut lives) = (BTreeSet::new(), 2);
    while job.is_running() {
        for worker in &mut workers {
            let has_it = |said: &marquetry_job::ResultMessage| {
                said.from == worker.name
                    && matches!(&said.event, Event::TaskBegun { task, .. } if *task == deadly)
            };
            if !killed.contains(&worker.name) && heard.count(has_it) > 0 {
                worker.kill9();
                killed.insert(worker.name.clone());
                *worker = start(&mut cluster);
                lives += 1;
            }
        }
        std::thread::sleep(LOOK_EVERY);
        assert!(lives < 20, "{lives} workers were started, and it is not given up");
    }
    let summary = job.end().ends_with(1).json();
    assert_eq!((&summary["failed_images"], tally(&summary, "losses_total")), (&1.into(), 1), "{summary}");
    let why = summary["tally"]["losses"][0]["reason"].as_str().unwrap_or_default();
    assert!(why.contains("no worker survived it") && why.contains("started"), "{why}");
    assert_eq!(summary["tally"]["progress"]["images"], IMAGES, "{summary}");
}
