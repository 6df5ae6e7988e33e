//! `marquetry coordinate`: plans a job, sends its tasks to the workers of a cluster, and follows it to the end.

use crate::args::CoordinateArgs;
use crate::coordination::{Coordination, Followed, stop, stopped};
use crate::exit::{Exit, Fatal};
use crate::in_time::{InRounds, Roles, Workplace};
use crate::job::{JobFile, StoredMemory, load_runtime};
use crate::process::Process;
use crate::progress::Progress;
use crate::summary::LastSeen;
use marquetry_telemetry::Metrics;
use marquetry_transport::TaskQueue;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

pub(crate) fn run(args: &CoordinateArgs) -> Result<Exit, Fatal> {
    let mut seen = LastSeen::default();
    coordinate(args, &mut seen).inspect_err(|fatal| seen.print(fatal, args.common.format))
}

fn coordinate(args: &CoordinateArgs, seen: &mut LastSeen) -> Result<Exit, Fatal> {
    let started = Instant::now();
    let mut process = Process::start(&args.process, &args.storage, Duration::ZERO)?;
    let mut job = JobFile::read(&args.job, process.files())?;
    args.subset.apply(&mut job.spec)?;
    let runtime = load_runtime(args.common.onnxruntime.as_deref())?;
    let uri = job.store_uri()?;
    let store = process.store(&uri)?;
    let memory = StoredMemory { store: Arc::clone(&store), runtime: process.runtime() };
    let overdue_after = Duration::from_secs(args.late_seconds);
    let (files, scratch) = (process.files().clone(), process.scratch().to_path_buf());
    let machine =
        vec![("ONNX Runtime".to_owned(), runtime.version().to_owned()), ("Store".to_owned(), uri.clone())];
    let planned = if let Some(time) = args.time.finish_in {
        let at = Workplace { files, runtime, memory, uri, store, scratch, started, overdue_after };
        ToFollow::Rounds(Box::new(InRounds::plan(job, at, time)?))
    } else {
        let planned = job.plan_for(&memory, &files, &runtime, scratch.clone())?;
        let place = (uri, store);
        let coordination =
            Coordination::prepare(job, planned, &files, place, scratch, started, overdue_after)?;
        seen.job = Some((coordination.planned.plan.job.clone(), coordination.folder()));
        ToFollow::Job(Box::new(coordination))
    };
    let (ready, metrics) = (process.readiness(), process.metrics().clone());
    let last_look = process.last_look(Duration::from_secs(args.linger_seconds));
    process.block_on(async {
        let queue = args.broker.connect().await?;
        ready();
        let exit = match planned {
            ToFollow::Rounds(rounds) => {
                let roles = Roles::Cluster(queue, metrics.clone());
                Box::pin(rounds.run(roles, machine, (seen, args.common.format))).await?
            }
            ToFollow::Job(coordination) => {
                let ended = follow(&coordination, queue, &metrics, seen, std::future::pending()).await?;
                coordination.finish(ended, machine).await?.print(args.common.format)
            }
        };
        if exit == Exit::Done {
            metrics.job_last_success.set_time(SystemTime::now());
        }
        last_look.await;
        Ok(exit)
    })
}

/// What is planned.
enum ToFollow {
    /// A plain job.
    Job(Box<Coordination>),
    /// A job in rounds.
    Rounds(Box<InRounds>),
}

/// Follows a job on its cluster to the end, until the process is asked to stop, or `broken_off` ends with a reason.
pub(crate) async fn follow(
    coordination: &Coordination,
    queue: Arc<dyn TaskQueue>,
    metrics: &Metrics,
    seen: &mut LastSeen,
    broken_off: impl Future<Output = Fatal>,
) -> Result<Followed, Fatal> {
    let progress = Progress::new(coordination.planned.forwards());
    let forwards = Arc::clone(&seen.forwards);
    let following = Box::pin(coordination.follow(queue, metrics, |tally| {
        seen.note(tally);
        forwards.store(tally.forwards, Ordering::Relaxed);
        progress.follow(tally);
        progress.forwards(tally.forwards);
    }));
    tokio::select! {
        ended = following => ended,
        reason = broken_off => Err(reason),
        () = stop() => Err(stopped()),
    }
}
