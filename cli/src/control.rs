//! `marquetry status`, `cancel` and `retry`: jobs seen, and stopped, from anywhere.

use crate::args::{CancelArgs, Format, RetryArgs, StatusArgs};
use crate::coordination::unavailable;
use crate::exit::{Exit, Fatal};
use crate::process::{Process, ProcessArgs};
use crate::say;
use marquetry_coordinator::{JobState, LossShown, Status, cancel, retry, unix_now};
use marquetry_failure::gist;
use marquetry_transport::{ObjectStore, StoreErrorKind};
use std::time::Duration;

/// A job that is at work writes every few seconds; after so long without a word nobody is at work on it.
const SILENT_SECONDS: u64 = 30;
/// Whoever waits for a job that nobody is at work on for so long is told that it is to be started again.
const ORPHANED_SECONDS: u64 = 5 * 60;
/// Between two looks at a job that is waited for: at first, and at most.
const WAIT_FIRST: Duration = Duration::from_millis(250);
const WAIT_MOST: Duration = Duration::from_secs(10);

pub(crate) fn status(args: &StatusArgs) -> Result<Exit, Fatal> {
    let process = Process::start(&ProcessArgs::default(), &args.storage, Duration::ZERO)?;
    let store = process.store(&args.store)?;
    process.block_on(async {
        let jobs = match &args.job {
            Some(job) if args.wait => vec![wait(&*store, job).await?],
            Some(job) => vec![find(&*store, job).await?],
            None => all(&*store).await?,
        };
        match args.format {
            Format::Json => say::data(&serde_json::to_string_pretty(&jobs).unwrap_or_default()),
            Format::Text if jobs.is_empty() => say::note("there is no job in this store"),
            Format::Text => say::data(&jobs.iter().map(text).collect::<Vec<_>>().join("\n")),
        }
        Ok(if args.wait { jobs.first().map_or(Exit::Done, exit_of) } else { Exit::Done })
    })
}

/// The status of a job that has ended. One that nobody is at work on is waited for a while: whoever watches over coordinators may
/// start one again.
async fn wait(store: &dyn ObjectStore, job: &str) -> Result<Status, Fatal> {
    let (mut told, mut pause) = (false, WAIT_FIRST);
    loop {
        let status = find(store, job).await?;
        let silent = unix_now().saturating_sub(status.updated);
        if !status.state.is_open() || silent > ORPHANED_SECONDS {
            return Ok(status);
        }
        if silent >= SILENT_SECONDS && !std::mem::replace(&mut told, true) {
            say::note(&format!("job {job}: {}", state(&status)));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(WAIT_MOST);
    }
}

/// What the coordinator of this job has ended with.
fn exit_of(status: &Status) -> Exit {
    match status.state {
        JobState::Done => Exit::Done,
        JobState::Partial => Exit::Partial,
        JobState::Failed => status.failure.class.map_or(Exit::Failed, Exit::from),
        // Stopped, or lost.
        JobState::Cancelled | JobState::Running | JobState::Finishing | JobState::Cleaning => Exit::TryAgain,
    }
}

pub(crate) fn run_cancel(args: &CancelArgs) -> Result<Exit, Fatal> {
    let process = Process::start(&ProcessArgs::default(), &args.storage, Duration::ZERO)?;
    let store = process.store(&args.store)?;
    process.block_on(async {
        let status = find(&*store, &args.job).await?;
        if !matches!(status.state, JobState::Running | JobState::Finishing) {
            let why = if status.state == JobState::Cleaning {
                "there is nothing to cancel"
            } else {
                "it is not at work"
            };
            say::note(&format!("job {}: {why}, it is {}", args.job, state(&status)));
            return Ok(Exit::Done);
        }
        cancel(&*store, &status.run.job).await.map_err(unavailable)?;
        say::note(&format!(
            "job {} is cancelled: workers finish the task they are at; `coordinate` goes on with it",
            args.job
        ));
        Ok(Exit::Done)
    })
}

pub(crate) fn run_retry(args: &RetryArgs) -> Result<Exit, Fatal> {
    let process = Process::start(&ProcessArgs::default(), &args.storage, Duration::ZERO)?;
    let store = process.store(&args.store)?;
    process.block_on(async {
        let status = find(&*store, &args.job).await?;
        if status.losses == 0 {
            say::note(&format!("nothing of job {} was dead-lettered", args.job));
            return Ok(Exit::Done);
        }
        if !is_at_work(&status) {
            let message = format!(
                "no coordinator is at work on job {}: run `marquetry coordinate` with its job file again, which tries \
                 everything again that was dead-lettered",
                args.job
            );
            return Err(Fatal::new(Exit::TryAgain, message));
        }
        let queue = args.broker.connect().await?;
        retry(&*queue, &status.run).await.map_err(crate::broker::lost_queue)?;
        say::note(&format!("asked for another try of {} of job {}", status.losses, args.job));
        Ok(Exit::Done)
    })
}

async fn find(store: &dyn ObjectStore, job: &str) -> Result<Status, Fatal> {
    let missing = |what: String| Fatal::new(Exit::Usage, what);
    match Status::read(store, job).await {
        Ok(Some(status)) => Ok(status),
        Ok(None) => {
            Err(missing(format!("the status of job {job} was written by another version of Marquetry")))
        }
        Err(error) if error.kind == StoreErrorKind::NotFound => {
            let known = Status::jobs(store).await.map_err(unavailable)?;
            let known = if known.is_empty() { "no job".into() } else { known.join(", ") };
            Err(missing(format!("there is no job `{job}` in {}; it has {known}", store.name())))
        }
        Err(error) => Err(unavailable(error)),
    }
}

async fn all(store: &dyn ObjectStore) -> Result<Vec<Status>, Fatal> {
    let mut found = Vec::new();
    for job in Status::jobs(store).await.map_err(unavailable)? {
        if let Some(status) = Status::read(store, &job).await.map_err(unavailable)? {
            found.push(status);
        }
    }
    Ok(found)
}

fn is_at_work(status: &Status) -> bool {
    status.state.is_open() && unix_now().saturating_sub(status.updated) < SILENT_SECONDS
}

fn state(status: &Status) -> String {
    match status.state {
        JobState::Running if is_at_work(status) => "running".into(),
        JobState::Finishing if is_at_work(status) => {
            "finishing: tables and the report are being written".into()
        }
        JobState::Cleaning if is_at_work(status) => {
            "done; tiles that nobody needs any more are being deleted".into()
        }
        JobState::Running | JobState::Finishing | JobState::Cleaning => format!(
            "without a coordinator since {}: run `marquetry coordinate` again, it goes on",
            say::seconds(unix_now().saturating_sub(status.updated) as f64)
        ),
        JobState::Done => "done".into(),
        JobState::Partial => "done, but some images failed".into(),
        JobState::Failed => match &status.failure.reason {
            Some(reason) => format!("failed: {reason}"),
            None => "failed".into(),
        },
        JobState::Cancelled => "cancelled; what is finished is kept".into(),
    }
}

fn text(status: &Status) -> String {
    let progress = status.progress;
    let share = 100.0 * status.forwards_done as f64 / (status.forwards.max(1)) as f64;
    let mut rows = vec![
        ("job", status.run.job.clone()),
        ("state", state(status)),
        ("blocks", format!("{} of {}", say::count(progress.tasks_done), say::count(progress.tasks))),
        ("images", format!("{} of {}", say::count(progress.images_done), say::count(progress.images))),
    ];
    // How many of them a region or a cascade left out, or an earlier run did, is not known at the end.
    if status.forwards_done == status.forwards || progress.tasks_done < progress.tasks {
        let done = say::count(status.forwards_done);
        rows.insert(2, ("forwards", format!("{done} of {} ({share:.0} %)", say::count(status.forwards))));
    }
    if is_at_work(status) {
        let eta = status.eta_seconds.map_or_else(|| "unknown".into(), say::seconds);
        rows.push(("rate", format!("{:.1} forwards/s, eta {eta}", status.forwards_per_second)));
        if let Some(seconds) = status.silent_seconds {
            let silence = say::seconds(seconds as f64);
            rows.push((
                "silence",
                format!("nobody has answered for {silence}: are workers and aggregators there?"),
            ));
        }
        let names: Vec<String> = status.workers.iter().map(|(name, n)| format!("{name} ({n})")).collect();
        rows.push(("last seen", if names.is_empty() { "no worker yet".into() } else { names.join(", ") }));
    }
    if status.retries + status.resent > 0 {
        rows.push(("retries", format!("{} after a failure, {} overdue", status.retries, status.resent)));
    }
    if let Some(words) = &status.too_large {
        rows.push(("too large", words.clone()));
    }
    for sick in &status.sick_workers {
        rows.push((
            "sick worker",
            format!("{}: {} failures in a row: {}", sick.name, sick.failures, sick.reason),
        ));
    }
    if status.losses > 0 {
        rows.push(("dead-lettered", format!("{} blocks or images", say::count(status.losses))));
    }
    let mut text: String = rows.iter().map(|(name, value)| format!("{name:<13}  {value}\n")).collect();
    text += &losses(&status.losses_shown);
    text
}

/// What was given up: each reason once, with the first images that it hit. What only follows from these is left out.
fn losses(shown: &[LossShown]) -> String {
    let mut kinds: Vec<(String, Vec<&LossShown>)> = Vec::new();
    for loss in shown.iter().filter(|loss| loss.attempts > 0) {
        let gist = gist(&loss.reason);
        match kinds.iter_mut().find(|(known, _)| *known == gist) {
            Some((_, of_kind)) => of_kind.push(loss),
            None => kinds.push((gist, vec![loss])),
        }
    }
    let line = |(_, losses): (String, Vec<&LossShown>)| {
        let LossShown { image, what, attempts, reason, from } = losses[0];
        let tries = if *attempts == 1 { "1 try".to_owned() } else { format!("{attempts} tries") };
        let from = if from.is_empty() { String::new() } else { format!(", last on {from}") };
        let more = match losses.len() {
            1 => String::new(),
            n => format!("; {} more like this", say::count(n as u64 - 1)),
        };
        format!("  image {image}, {what}: {reason} ({tries}{from}{more})\n")
    };
    kinds.into_iter().map(line).collect()
}
