//! `marquetry tune --windows` and `--views`: settings of a job, each run as a plain job, beside their seconds.

mod asked;
mod judging;
mod timing;
mod told;
mod trial;

pub(crate) use asked::SweepArgs;

use crate::args::Format;
use crate::coordination::unavailable;
use crate::exit::{Exit, Fatal};
use crate::job::{JobFile, StoredMemory, load_runtime, start_tokio};
use crate::run::InProcessCluster;
use crate::run_folder::RunFolder;
use crate::say;
use crate::threads::Threads;
use crate::tune::{TuneArgs, WRITTEN, check_output, failed, place_of_output};
use judging::Common;
use marquetry_coordinator::{Planned, Shown, judging_job, sweep_page, view_changes, window_changes};
use marquetry_spec::JobSpec;
use marquetry_telemetry::Metrics;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use told::{Told, json, text};
use trial::{Setting, Trials};

/// The folder of a job's store where settings are run, apart from the job's own results.
const FOLDER: &str = "tune";

pub(crate) fn run(args: &TuneArgs) -> Result<Exit, Fatal> {
    let output = place_of_output(args)?;
    check_output(&output, WRITTEN)?;
    let page = place_of_page(&output)?;
    let tokio = start_tokio()?;
    let threads = Threads::choose(args.lanes.lanes, args.lanes.threads);
    threads.require()?;
    let storage = args.storage.open(&tokio, Duration::ZERO, &Metrics::new()).written_behind();
    let mut job = JobFile::read(&args.job, &storage.files)?;
    let asked = job.spec.clone();
    job.spec = judging_job(&asked).map_err(failed)?;
    // What is tried is a part; the job that is written is whole again.
    args.subset.apply(&mut job.spec)?;
    let runtime = load_runtime(args.common.onnxruntime.as_deref())?;
    let device = args.device.settle(&mut job, &runtime)?;
    let threads = threads.on(device, args.lanes.lanes);
    let store = format!("{}/{FOLDER}", job.store()?.trim_end_matches('/'));
    let place = RunFolder::open(&store, &storage, &tokio)?;
    let memory = StoredMemory { store: Arc::clone(&place.store), runtime: tokio.handle().clone() };
    let mut planned = job.plan_for(&memory, &storage.files, &runtime, place.scratch.clone())?;
    with_truth(&mut planned)?;
    let local = InProcessCluster {
        storage: storage.clone(),
        scratch: place.scratch.clone(),
        runtime,
        device,
        threads,
        models_mb: args.lanes.models_mb,
    };
    let trials = Trials {
        tokio: &tokio,
        local,
        place: &place,
        memory,
        base: job.base.clone(),
        hardware: job.hardware.clone(),
        metric: args.metric(),
        started: Instant::now(),
        said: RefCell::new(planned.findings.warnings.iter().map(|warning| warning.text.clone()).collect()),
    };
    let exit = sweep(args, &trials, (&asked, &job, &planned), (&output, &page))?;
    drop(trials);
    tokio.block_on(storage.stores.settle()).map_err(unavailable)?;
    tokio.shutdown_timeout(Duration::from_secs(1));
    Ok(exit)
}

/// Tries settings of `job`, writes the job `asked` with the one that is chosen, and tells what they came to.
fn sweep(
    args: &TuneArgs,
    trials: &Trials<'_>,
    (asked, job, planned): (&JobSpec, &JobFile, &Planned),
    (output, page): (&Path, &Path),
) -> Result<Exit, Fatal> {
    let shown = Shown::of(planned);
    if let Some(words) = untried(args, &job.spec, &shown) {
        say::note(&format!("note: {words}"));
    }
    let changes = match (&args.sweep.windows, &args.sweep.views) {
        (Some(asked), _) => window_changes(asked.0.as_ref(), &job.spec, &shown, &planned.images),
        (None, asked) => view_changes(asked.as_ref().and_then(|asked| asked.0.as_deref()), &job.spec),
    };
    let (settings, left_out) = trials.settings((job, planned), &shown, changes)?;
    say::note(&announced(&settings, planned, &trials.place.uri));
    let outcomes = trials.run_all(&settings)?;
    let common = Common::of(planned, &outcomes)?;
    let seconds = trials.seconds(&settings, &common.ids())?;
    let megapixels = planned.images.iter().map(|image| image.size.area() as f64).sum::<f64>() / 1e6;
    let (ran, measured) = ((settings.as_slice(), outcomes), (seconds.as_slice(), megapixels));
    let table = common.table(ran, measured, args.metric(), left_out);
    let tuned = trials.whole(job, (asked, &shown), &settings[table.chosen].change)?;
    write(output, &(format!("{WRITTEN}{}\n", args.job) + &tuned.to_yaml()))?;
    let Threads { lanes, each } = trials.local.threads;
    let told = Told {
        table: &table,
        changes: settings.iter().map(|setting| &setting.change).collect(),
        machine: format!("this machine, {lanes} lanes × {each} threads"),
        without: &common.without,
        output,
        page,
    };
    let mark = format!("{PAGE_WRITTEN}{}", args.job);
    let title = format!("{}: {}", asked.name, if args.sweep.windows.is_some() { "windows" } else { "views" });
    write(page, &sweep_page(&table, &title, (&mark, &told.machine, &output.display().to_string())))?;
    match args.common.format {
        Format::Text => say::data(&text(&told)),
        Format::Json => say::data(&json(&told)),
    }
    let is_whole = common.without.is_empty() && planned.rejected.is_empty();
    Ok(if is_whole { Exit::Done } else { Exit::Partial })
}

/// How a page begins, after what makes it a comment.
const PAGE_WRITTEN: &str = "Written by marquetry tune, of ";

/// The page beside the tuned job.
fn place_of_page(output: &Path) -> Result<PathBuf, Fatal> {
    let page = output.with_extension("html");
    if page == output {
        let reason =
            format!("-o {}: the page of the settings is called so; take another name", output.display());
        return Err(Fatal::new(Exit::Usage, reason));
    }
    check_output(&page, &format!("<!-- {PAGE_WRITTEN}"))?;
    Ok(page)
}

fn write(path: &Path, text: &str) -> Result<(), Fatal> {
    std::fs::write(path, text)
        .map_err(|error| Fatal::new(Exit::Unavailable, format!("cannot write {}: {error}", path.display())))
}

/// Leaves the images that have a truth.
fn with_truth(planned: &mut Planned) -> Result<(), Fatal> {
    let all = planned.images.len();
    planned.images.retain(|image| image.truth.is_some());
    if planned.images.is_empty() {
        let reason = "truth: no image of the job has one; there is nothing to judge settings by";
        return Err(Fatal::new(Exit::BadJob, reason));
    }
    if planned.images.len() < all {
        let (used, all) = (say::count(planned.images.len() as u64), say::count(all as u64));
        say::note(&format!("note: {used} of {all} images have a truth; the others are left out"));
    }
    Ok(())
}

/// What will be done, before it begins.
fn announced(settings: &[Setting], planned: &Planned, store: &str) -> String {
    let names: Vec<&str> = settings.iter().skip(1).map(|setting| setting.name.as_str()).collect();
    let forwards: u64 = settings.iter().map(|setting| setting.cost.forwards).sum();
    let work: f64 = settings.iter().map(|setting| setting.cost.work).sum();
    format!(
        "beside the job as it is: {}\n{} forwards over {} images, about {:.1} times the work of the job as it is; what is stored \
         of it in {store} is not run again",
        names.join("; "),
        say::count(forwards),
        say::count(planned.images.len() as u64),
        work / settings[0].cost.work.max(f64::MIN_POSITIVE)
    )
}

/// What there is to say of members that `--members` leaves out of what is tried. Views are of the whole job.
fn untried(args: &TuneArgs, spec: &JobSpec, shown: &Shown) -> Option<String> {
    let others: Vec<&str> = spec
        .members
        .iter()
        .enumerate()
        .filter(|(entry, _)| !shown.knows(*entry))
        .map(|(_, member)| member.onnx.as_str())
        .collect();
    (args.sweep.windows.is_some() && !others.is_empty()).then(|| {
        format!(
            "windows of these are not tried, and left as they are in the job that is written: {}",
            others.join(", ")
        )
    })
}
