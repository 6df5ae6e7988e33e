//! Messages that come twice, late, in another order, or make no sense.

use crate::cluster::job::alone;
use crate::cluster::role::{Role, until};
use crate::cluster::setup::{Cluster, Kept, tally};
use crate::cluster::view::{spawn, wait};
use crate::fixture::same_files;
use bytes::Bytes;
use marquetry_transport::{KafkaQueue, TaskQueue, Topic};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// What is held back before it is said again, the last first.
const HELD: usize = 5;

/// Says every message of a topic a second time, in another order.
struct Echo {
    heard: Arc<Mutex<HashSet<Bytes>>>,
    echoing: JoinHandle<()>,
}

impl Echo {
    fn new(queue: &KafkaQueue, topic: Topic) -> Self {
        let mut feed = wait(queue.follow(topic)).expect("a feed");
        let (queue, heard) = (queue.clone(), Arc::new(Mutex::new(HashSet::new())));
        let shared = Arc::clone(&heard);
        let echoing = spawn(async move {
            let mut held = Vec::new();
            loop {
                let next = tokio::time::timeout(Duration::from_millis(700), feed.next()).await;
                if let Ok(Ok(payload)) = &next
                    && shared.lock().expect("no test panics here").insert(payload.clone())
                {
                    held.push(payload.clone());
                }
                if next.is_err() || held.len() >= HELD {
                    while let Some(payload) = held.pop() {
                        let key = format!("again {}", held.len());
                        queue.publish(topic, &key, payload).await.expect("published");
                    }
                }
            }
        });
        Self { heard, echoing }
    }

    fn all(&self) -> Vec<Bytes> {
        self.heard.lock().expect("no test panics here").iter().cloned().collect()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.echoing.abort();
    }
}

const TOPICS: [Topic; 3] = [Topic::Tasks, Topic::Results, Topic::Aggregate];

#[test]
fn messages_that_come_twice_late_or_make_no_sense_change_nothing() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let queue = cluster.queue();
    let echoes = TOPICS.map(|topic| Echo::new(&queue, topic));
    let say = |topic, payload: Bytes| wait(queue.publish(topic, "x", payload)).expect("published");
    for topic in TOPICS {
        for nonsense in [&b""[..], b"\xff\xfe", b"[]", b"{\"version\": 99}", b"{\"v\": 1, \"job\": \"x\"}"] {
            say(topic, Bytes::from_static(nonsense));
        }
    }
    let mut roles = [cluster.worker(), cluster.worker(), cluster.aggregator(), cluster.aggregator()];
    let summary = cluster.coordinate("job.yaml").ends_with(0).json();
    assert_eq!((tally(&summary, "retries"), summary["whole"].as_bool()), (0, Some(true)), "{summary}");
    same_files(alone(), &cluster.outputs());

    // What was said in one run is said again in the next one, which begins anew and hears it as news.
    let job = cluster.jobs()[0].clone();
    let folder = cluster.place.path(&format!("store/jobs/{job}"));
    // Not at once: somebody may still be at work on what came twice.
    until("the job goes", || std::fs::remove_dir_all(&folder).is_ok());
    let mut job = cluster.coordinator("job.yaml");
    for (topic, echo) in TOPICS.into_iter().zip(&echoes) {
        echo.all().into_iter().for_each(|payload| say(topic, payload));
    }
    let mut said = 0;
    while job.is_running() && said < 5 {
        std::thread::sleep(Duration::from_millis(200));
        for (topic, echo) in TOPICS.into_iter().zip(&echoes) {
            echo.all().into_iter().take(40).for_each(|payload| say(topic, payload));
        }
        said += 1;
    }
    job.end().ends_with(0);
    same_files(alone(), &cluster.outputs());
    assert!(roles.iter_mut().all(Role::is_running), "nobody has given up");
}
