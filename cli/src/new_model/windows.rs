//! Windows of a job, as its one kind of member is shown them.

use super::Bench;
use crate::exit::{Exit, Fatal};
use crate::job::{JobFile, Silent};
use crate::threads::Threads;
use marquetry_coordinator::{PlanMemory, Planned};
use marquetry_failure::Classify;
use marquetry_job::IoContract;
use marquetry_model::{Device, ModelError, SessionOptions};
use marquetry_spec::Folds;
use marquetry_worker::{Failure, ImageOptions, PlannedWindows, WindowBuffers, WindowPlace};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Some windows of a job, evenly spread over all of them.
pub(crate) struct Windows {
    pub(crate) planned: Planned,
    options: ImageOptions,
    places: Vec<WindowPlace>,
}

/// What was found in a window, or why it could not be read.
pub(crate) type OfWindow<T> = Result<T, Failure>;

/// The one kind of member that a job has, and `job` with nothing but that: its images, windows and how pixels become input.
pub(crate) fn with_one_member(mut job: JobFile, said: &str, model: &Path) -> Result<JobFile, Fatal> {
    let seen =
        |m: &marquetry_spec::MemberSpec| (m.input.clone(), m.output.clone(), m.window, m.scale, m.batch);
    let mut members = job.spec.members.drain(..);
    let first = members.next();
    let Some(mut member) = first else {
        return Err(Fatal::new(Exit::BadJob, format!("{said} has no member")));
    };
    if let Some(other) = members.find(|other| seen(other) != seen(&member)) {
        return Err(Fatal::new(
            Exit::BadJob,
            format!(
                "{said} has members of several kinds: {} and {} differ in their input, output, window, scale or batch. Give a \
                 job with one member entry, that of the models that are worked on here",
                member.onnx, other.onnx
            ),
        ));
    }
    drop(members);
    member.onnx = model.display().to_string();
    job.spec.members = vec![member];
    job.spec.folds = Folds::All;
    // In rounds of views a member stands in both, and looks at some windows only.
    job.spec.cascade = None;
    Ok(job)
}

impl Windows {
    /// At most `most` windows of a job of one member. With `tell`, what there is to say of its images is said.
    pub(crate) fn plan(bench: &Bench<'_>, mut job: JobFile, most: usize, tell: bool) -> Result<Self, Fatal> {
        job.spec.truth = None;
        let memory = PlanMemory::default();
        let (scratch, memory) = (bench.scratch.to_path_buf(), Some(&memory));
        let files = &bench.storage.files;
        let planned = if tell {
            job.plan(files, bench.runtime, scratch, memory)?
        } else {
            job.plan_with(files, bench.runtime, scratch, memory, &Silent)?
        };
        let options = ImageOptions {
            pixels_max: job.spec.limits.image_pixels,
            memory_bytes: job.spec.limits.image_bytes(),
            scratch_dir: bench.scratch.to_path_buf(),
            files: files.clone(),
            planned_here: true,
        };
        let places = PlannedWindows::new(&planned.plan, &planned.images, &options).places();
        let places = places.map_err(|failure| Fatal::new(failure.class().into(), &failure.reason))?;
        Ok(Self { planned, options, places: spread(&places, most) })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// How many images they are of.
    pub(crate) fn images(&self) -> usize {
        let mut images: Vec<usize> = self.places.iter().map(|place| place.image).collect();
        images.dedup();
        images.len()
    }

    /// The image of one of them.
    pub(crate) fn image(&self, window: usize) -> &str {
        &self.planned.images[self.places[window].image].id
    }

    /// What `run` finds in each of `most` windows, in their order, whichever lane had them: so the same comes out. `open` makes what runs
    /// them. A model that fails, fails at every window; an image that cannot be read is for the caller to pass over. `what` is
    /// done, for messages.
    pub(crate) fn each<S, T: Send>(
        &self,
        what: &str,
        most: usize,
        open: impl Fn(&IoContract, &SessionOptions) -> Result<S, ModelError> + Sync,
        run: impl Fn(&mut S, &IoContract, &[f32]) -> Result<T, ModelError> + Sync,
    ) -> Result<Vec<OfWindow<T>>, Fatal> {
        let threads = Threads::choose(None, None);
        let windows = PlannedWindows::new(&self.planned.plan, &self.planned.images, &self.options);
        let places = spread(&self.places, most);
        let next = AtomicUsize::new(0);
        let lane = || -> Result<Vec<(usize, OfWindow<T>)>, ModelError> {
            let options = SessionOptions::on(Device::Cpu, threads.each);
            let mut buffers = WindowBuffers::default();
            let mut sessions: Vec<(IoContract, S)> = Vec::new();
            let mut found = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(place) = places.get(at) else { return Ok(found) };
                let of_window = windows.read(*place, &mut buffers, |contract, window| {
                    let known = sessions.iter().position(|(of, _)| of == contract);
                    let known = if let Some(known) = known {
                        known
                    } else {
                        sessions.push((contract.clone(), open(contract, &options)?));
                        sessions.len() - 1
                    };
                    run(&mut sessions[known].1, contract, window)
                });
                found.push((at, of_window.map_or_else(|failure| Ok(Err(failure)), |found| found.map(Ok))?));
            }
        };
        let lanes: Vec<_> = std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..threads.lanes).map(|_| scope.spawn(lane)).collect();
            lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|_| Ok(Vec::new()))).collect()
        });
        let mut all = Vec::new();
        for lane in lanes {
            all.extend(
                lane.map_err(|error| Fatal::new(error.class().into(), format!("{what} failed: {error}")))?,
            );
        }
        if all.len() < places.len() {
            return Err(Fatal::new(Exit::Bug, format!("a bug: a thread panicked ({what})")));
        }
        all.sort_by_key(|(at, _)| *at);
        Ok(all.into_iter().map(|(_, found)| found).collect())
    }
}

/// So many of them at most, evenly spread.
fn spread(places: &[WindowPlace], most: usize) -> Vec<WindowPlace> {
    let count = places.len();
    if count <= most {
        return places.to_vec();
    }
    (0..most).map(|n| places[n * count / most]).collect()
}

/// Where a model that is worked on stands while that lasts.
pub(crate) fn put_aside(folder: &Path, onnx: &[u8], name: &str) -> Result<PathBuf, Fatal> {
    let path = folder.join(name);
    std::fs::write(&path, onnx).map_err(|error| {
        Fatal::new(Exit::Unavailable, format!("cannot write {}: {error}", path.display()))
    })?;
    Ok(path)
}
