//! `marquetry coordinate`: plans a job, sends its tasks to the workers of a cluster, and follows it to the end.

use crate::args::CoordinateArgs;
use crate::coordination::{Coordination, stop, stopped};
use crate::exit::{Exit, Fatal};
use crate::job::{JobFile, StoredMemory, load_runtime};
use crate::process::Process;
use crate::progress::Progress;
use crate::summary::LastSeen;
use std::sync::Arc;
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
    let planned = job.plan_for(&memory, process.files(), &runtime, process.scratch().to_path_buf())?;
    let overdue_after = Duration::from_secs(args.late_seconds);
    let scratch = process.scratch().to_path_buf();
    let (files, place) = (process.files(), (uri.clone(), store));
    let coordination = Coordination::prepare(job, planned, files, place, scratch, started, overdue_after)?;
    seen.job = Some((coordination.planned.plan.job.clone(), coordination.folder()));
    let (ready, metrics) = (process.readiness(), process.metrics().clone());
    let last_look = process.last_look(Duration::from_secs(args.linger_seconds));
    process.block_on(async {
        let queue = args.broker.connect().await?;
        ready();
        let progress = Progress::new(coordination.planned.forwards());
        let following = coordination.follow(queue, &metrics, |tally| {
            seen.note(tally);
            progress.follow(tally);
            progress.forwards(tally.forwards);
        });
        let ended = tokio::select! {
            ended = following => ended?,
            () = stop() => return Err(stopped()),
        };
        drop(progress);
        let machine =
            vec![("ONNX Runtime".to_owned(), runtime.version().to_owned()), ("Store".to_owned(), uri)];
        let exit = coordination.finish(ended, machine, Some(args.common.format)).await?;
        if exit == Exit::Done {
            metrics.job_last_success.set_time(SystemTime::now());
        }
        last_look.await;
        Ok(exit)
    })
}
