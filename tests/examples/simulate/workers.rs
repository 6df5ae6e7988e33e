//! Workers and an aggregator that speak the real protocol and compute nothing.

use crate::store::Touched;
use anyhow::Result;
use bytes::Bytes;
use marquetry_job::{AggregateMessage, Event, ResultMessage, StageSeconds, TaskMessage, message};
use marquetry_transport::{Drain, KafkaQueue, S3, TaskQueue, Topic, consume};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;

/// What is simulated.
#[derive(Clone, Copy)]
pub(crate) struct Simulated {
    pub(crate) workers: usize,
    /// Members of the consumer group. Each stands for so many workers as there are of them for one.
    pub(crate) members: usize,
    pub(crate) task_ms: u64,
    /// How long a member stays on average, as on spot machines, s; 0: to the end.
    pub(crate) spot_seconds: u64,
    /// Bytes of a tile; 0: the store is not touched.
    pub(crate) tile_bytes: usize,
}

/// What all members have in common.
#[derive(Clone)]
struct Shared {
    queue: Arc<KafkaQueue>,
    touched: Arc<Touched>,
    busy: Arc<Busy>,
    started: Instant,
}

/// How busy the workers were.
#[derive(Default)]
struct Busy {
    tasks: AtomicU64,
    /// Tasks begun, of which some came to no end with their member, or were somebody else's too.
    begun: AtomicU64,
    /// Members that went away and came back.
    gone: AtomicU64,
    working_us: AtomicU64,
    /// When the first task came and when the last was done, µs since the start.
    first_us: AtomicU64,
    last_us: AtomicU64,
}

/// Works until the standard input is closed, then says how busy it was.
pub(crate) async fn run(brokers: &str, prefix: &str, s3: S3, simulated: Simulated) -> Result<()> {
    let Simulated { workers, members: all, .. } = simulated;
    let queue = super::queue_of(brokers, prefix, all).await?;
    let touched = Arc::new(Touched::new(s3, simulated.tile_bytes));
    let busy = Arc::new(Busy { first_us: AtomicU64::new(u64::MAX), ..Busy::default() });
    let started = Instant::now();
    let mut members = tokio::task::JoinSet::new();
    for member in 0..all {
        let own = workers / all + usize::from(member < workers % all);
        let simulated = Simulated { workers: own, ..simulated };
        let all = Shared {
            queue: Arc::clone(&queue),
            touched: Arc::clone(&touched),
            busy: Arc::clone(&busy),
            started,
        };
        members.spawn(come_and_go(all, member, simulated));
    }
    members.spawn(aggregate(Arc::clone(&queue), touched));
    let mut nothing = Vec::new();
    tokio::io::stdin().read_to_end(&mut nothing).await?;
    members.abort_all();
    let (first, last) = (busy.first_us.load(Ordering::Relaxed), busy.last_us.load(Ordering::Relaxed));
    let span = last.saturating_sub(first) as f64 * workers as f64;
    let share = 100.0 * busy.working_us.load(Ordering::Relaxed) as f64 / span.max(1.0);
    let tasks = busy.tasks.load(Ordering::Relaxed);
    println!(
        "workers:     {tasks} tasks done by {workers} workers in {all} members, busy {share:.1} % of the time from first to last"
    );
    let begun = busy.begun.load(Ordering::Relaxed);
    println!(
        "             {} members went and came back; {begun} tasks begun, {} of them in vain",
        busy.gone.load(Ordering::Relaxed),
        begun.saturating_sub(tasks)
    );
    Ok(())
}

/// A member that is cut off now and then, with what it has in hand, and comes back as another.
async fn come_and_go(shared: Shared, member: usize, simulated: Simulated) -> Result<()> {
    loop {
        let work = pretend(shared.clone(), member, simulated);
        if simulated.spot_seconds == 0 {
            return work.await;
        }
        let stays = Duration::from_secs(simulated.spot_seconds).mul_f64(0.5 + fastrand::f64());
        tokio::select! {
            ended = work => return ended,
            () = tokio::time::sleep(stays) => { shared.busy.gone.fetch_add(1, Ordering::Relaxed); }
        }
    }
}

async fn pretend(
    Shared { queue, touched, busy, started }: Shared,
    member: usize,
    Simulated { workers, task_ms, .. }: Simulated,
) -> Result<()> {
    let process = fastrand::u64(..);
    let subscription = queue.subscribe(Topic::Tasks, "workers").await?;
    let turn = Arc::new(AtomicUsize::new(0));
    // As in a real worker: the next task waits at hand, and what is done is told while the next one is being computed.
    let slots = Arc::new(Semaphore::new(workers));
    // And stored; who has one tile to store still does not compute another.
    let storing = Arc::new(Semaphore::new(workers));
    let work = |payload: Bytes, admitted| {
        let (queue, busy, slots) = (Arc::clone(&queue), Arc::clone(&busy), Arc::clone(&slots));
        let (touched, storing) = (Arc::clone(&touched), Arc::clone(&storing));
        let name = format!("worker-{member}-{}", turn.fetch_add(1, Ordering::Relaxed) % workers.max(1));
        async move {
            let Ok(task) = message::decode::<TaskMessage>(&payload) else { return true };
            let Ok(slot) = slots.acquire_owned().await else { return false };
            drop(admitted);
            let (id, attempt) = (task.id(), task.attempt);
            let begins = Event::TaskBegun { task: id, attempt, process, takes: None };
            let begins = ResultMessage { run: task.run.clone(), from: name.clone(), event: begins };
            if !say(&queue, begins, &task.image.key).await {
                return false;
            }
            busy.begun.fetch_add(1, Ordering::Relaxed);
            let begun = started.elapsed().as_micros() as u64;
            busy.first_us.fetch_min(begun, Ordering::Relaxed);
            if task_ms > 0 {
                tokio::time::sleep(Duration::from_millis(task_ms).mul_f64(0.5 + fastrand::f64())).await;
            }
            let computed = started.elapsed().as_micros() as u64;
            busy.working_us.fetch_add(computed - begun, Ordering::Relaxed);
            let Ok(_stored) = storing.acquire_owned().await else { return false };
            drop(slot);
            if touched.store_tile(&task).await.is_err() {
                return false;
            }
            busy.tasks.fetch_add(1, Ordering::Relaxed);
            busy.last_us.fetch_max(started.elapsed().as_micros() as u64, Ordering::Relaxed);
            let (forwards, seconds) = (1, StageSeconds::default());
            let event = Event::TaskDone { task: task.id(), stored_bytes: 1, forwards, seconds };
            say(&queue, ResultMessage { run: task.run, from: name, event }, &task.image.key).await
        }
    };
    Ok(consume(subscription, Arc::new(Semaphore::new(1)), &Drain::never(), work).await?)
}

async fn aggregate(queue: Arc<KafkaQueue>, touched: Arc<Touched>) -> Result<()> {
    let subscription = queue.subscribe(Topic::Aggregate, "aggregators").await?;
    let work = |payload: Bytes, _admitted| {
        let (queue, touched) = (Arc::clone(&queue), Arc::clone(&touched));
        async move {
            let Ok(wanted) = message::decode::<AggregateMessage>(&payload) else { return true };
            let image = wanted.image.key.clone();
            let event = Event::ImageBegun { image: image.clone(), attempt: wanted.attempt, process: 0 };
            let begins = ResultMessage { run: wanted.run.clone(), from: "aggregator".into(), event };
            if !say(&queue, begins, &image).await {
                return false;
            }
            if touched.put_together(&wanted).await.is_err() {
                return false;
            }
            let event =
                Event::Image { image: image.clone(), partial: wanted.partial, seconds: 0.0, unread: None };
            say(&queue, ResultMessage { run: wanted.run, from: "aggregator".into(), event }, &image).await
        }
    };
    Ok(consume(subscription, Arc::new(Semaphore::new(64)), &Drain::never(), work).await?)
}

async fn say(queue: &KafkaQueue, said: ResultMessage, image: &str) -> bool {
    queue.publish(Topic::Results, image, Bytes::from(message::encode(&said))).await.is_ok()
}
