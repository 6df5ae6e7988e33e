//! Roles that end, or stop answering, without a word.

use crate::harness::{Cluster, Made, Options, Script, Seeds, Worker, check, image, job_of, schedules};
use marquetry_transport::{Drain, TaskQueue, Topic, consume};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};

/// Nothing is late in one process, as `marquetry run` has it.
const IN_ONE_PROCESS: Options =
    Options { attempts_max: 3, keep_tiles: false, overdue_after: Duration::from_hours(24), tables: false };

/// A worker with the loop that all consumers share, whose handling of the first message panics.
async fn worker_with_a_bug(cluster: Arc<Cluster>) {
    let store = cluster.view("worker");
    let worker = Worker::new("worker", Script::Healthy, Arc::clone(&cluster), store);
    let (worker, panicked) = (Arc::new(Mutex::new(worker)), Arc::new(AtomicBool::new(false)));
    let subscription = cluster.queue.subscribe(Topic::Tasks, "workers").await.expect("the queue is open");
    let handle = |payload: bytes::Bytes, admitted| {
        let (worker, panicked) = (Arc::clone(&worker), Arc::clone(&panicked));
        async move {
            assert!(panicked.swap(true, Ordering::Relaxed), "a bug that this test has on purpose");
            worker.lock().await.handle(&payload).await;
            drop(admitted);
            true
        }
    };
    let ended = consume(subscription, Arc::new(Semaphore::new(1)), &Drain::never(), handle).await;
    ended.expect("the queue is open");
}

/// Whoever is in one process with a worker hears of a bug in it: the task comes back, or the worker ends.
#[test]
#[ignore = "not yet: a message whose handling panicked is neither answered nor given back"]
fn a_panic_while_a_message_is_handled_is_heard_of() {
    schedules(&Seeds::first(1), |cluster| async move {
        let working = tokio::spawn(worker_with_a_bug(Arc::clone(&cluster)));
        cluster.aggregator("aggregator", Made::Well);
        let job = job_of(&[1.0], vec![image("a", 3)]);
        let coordinator = cluster.coordinator("coordinator", &job, IN_ONE_PROCESS);
        tokio::select! {
            end = coordinator.end() => check(&cluster, &job, &end.done()?).await,
            _ended = working => Ok(()),
        }
    });
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
