//! Roles that end, or stop answering, without a word.

use crate::harness::{Cluster, Made, Options, Script, Seeds, Worker, check, image, job_of, schedules};
use marquetry_transport::{Drain, TaskQueue, Topic, consume};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};

/// Nothing is late in one process, as `marquetry run` has it.
const IN_ONE_PROCESS: Options =
    Options { attempts_max: 3, keep_tiles: false, overdue_after: Duration::from_hours(24), tables: false };

/// A worker with the loop that all consumers share, whose handling of its first message after `well` others panics.
async fn worker_with_a_bug(cluster: Arc<Cluster>, well: u32) {
    let store = cluster.view("buggy");
    let worker = Worker::new("buggy", Script::Healthy, Arc::clone(&cluster), store);
    let (worker, handled) = (Arc::new(Mutex::new(worker)), Arc::new(AtomicU32::new(0)));
    let subscription = cluster.queue.subscribe(Topic::Tasks, "workers").await.expect("the queue is open");
    let handle = |payload: bytes::Bytes, admitted| {
        let (worker, handled) = (Arc::clone(&worker), Arc::clone(&handled));
        async move {
            assert!(handled.fetch_add(1, Ordering::Relaxed) < well, "a bug that this test has on purpose");
            worker.lock().await.handle(&payload).await;
            drop(admitted);
            true
        }
    };
    let ended = consume(subscription, Arc::new(Semaphore::new(1)), &Drain::never(), handle).await;
    ended.expect("the queue is open");
}

/// A role whose handler panics ends with that panic, so that whoever is in one process with it hears of it; what it had
/// goes to others at once, though nothing is sent again for being late.
#[test]
fn a_panic_while_a_message_is_handled_ends_its_role() {
    for well in [0, 2] {
        schedules(&Seeds::first(3), |cluster| async move {
            cluster.aggregator("aggregator", Made::Well);
            let job = job_of(&[1.0], vec![image("a", 5)]);
            let coordinator = cluster.coordinator("coordinator", &job, IN_ONE_PROCESS);
            let buggy = worker_with_a_bug(Arc::clone(&cluster), well);
            let ended = tokio::time::timeout(Duration::from_mins(1), tokio::spawn(buggy)).await;
            match ended {
                Ok(Err(ended)) if ended.is_panic() => {}
                other => return Err(format!("the worker has a bug, and ended so: {other:?}")),
            }
            if coordinator.has_ended() {
                return Err("the job has ended without the task that nobody did".to_owned());
            }
            cluster.worker("worker", Script::Healthy);
            check(&cluster, &job, &coordinator.end().await.done()?).await
        });
    }
}

/// A worker that goes away with a task in hand, and one that never answers: others do what they had.
#[test]
fn what_a_worker_had_in_hand_is_done_by_others() {
    for script in [Script::Dies(2), Script::Hangs(2), Script::Hangs(0)] {
        schedules(&Seeds::first(10), |cluster| {
            let script = script.clone();
            async move {
                cluster.worker("lost", script);
                cluster.worker("worker", Script::Healthy);
                cluster.aggregator("lost aggregator", Made::UntilItDies(0));
                cluster.aggregator("aggregator", Made::Well);
                let job = job_of(&[1.0, 0.5], vec![image("a", 6), image("b", 5)]);
                let end = cluster.coordinator("coordinator", &job, Options::default()).end().await;
                check(&cluster, &job, &end.done()?).await
            }
        });
    }
}
