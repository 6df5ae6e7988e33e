//! Statistics of batch normalisation, measured anew on the images of a job.

use super::workshop::fatal;
use crate::exit::{Exit, Fatal};
use crate::job::JobFile;
use crate::job::Silent;
use crate::say;
use crate::threads::Threads;
use marquetry_coordinator::{PlanMemory, Planned};
use marquetry_failure::{Classify, counted};
use marquetry_job::IoContract;
use marquetry_model::{Activations, Device, ModelError, Runtime, SessionOptions};
use marquetry_onnx::{BatchNorm, Model, Moments, batch_norms, giving, with_numbers};
use marquetry_spec::{Folds, MemberSpec};
use marquetry_transport::Files;
use marquetry_worker::{Failure, ImageOptions, PlannedWindows, WindowBuffers, WindowPlace};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) windows: usize,
    pub(crate) images: usize,
    pub(crate) layers: usize,
    /// Pixels of each channel of the layer that saw fewest.
    pub(crate) pixels: u64,
    /// How far a mean moved at most, in standard deviations.
    pub(crate) moved: f64,
}

/// The job of which the images are, with the model that is measured as its one member.
pub(crate) struct Source<'a> {
    pub(crate) job: JobFile,
    pub(crate) files: &'a Files,
    pub(crate) runtime: &'a Runtime,
    pub(crate) scratch: &'a Path,
    /// Most windows.
    pub(crate) windows_max: usize,
    /// Whether what there is to say of images is said: once is enough.
    pub(crate) tell: bool,
}

/// The one kind of member that a job has, and `job` with nothing but that: its images, windows and how pixels become input.
pub(crate) fn with_one_member(mut job: JobFile, said: &str, model: &Path) -> Result<JobFile, Fatal> {
    let seen = |m: &MemberSpec| (m.input.clone(), m.output.clone(), m.window, m.scale, m.batch);
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
                 job with one member entry, that of the models that are averaged",
                member.onnx, other.onnx
            ),
        ));
    }
    drop(members);
    member.onnx = model.display().to_string();
    job.spec.members = vec![member];
    job.spec.folds = Folds::All;
    Ok(job)
}

impl Source<'_> {
    /// `onnx` with statistics of these images: layer by layer, in the order in which they hang on each other, since what one
    /// layer gives hangs on the statistics of those before it. Layers of one depth are measured together.
    pub(crate) fn measure(mut self, onnx: &[u8]) -> Result<(Vec<u8>, Measured), Fatal> {
        self.job.spec.truth = None;
        let memory = PlanMemory::default();
        let (scratch, memory) = (self.scratch.to_path_buf(), Some(&memory));
        let planned = if self.tell {
            self.job.plan(self.files, self.runtime, scratch, memory)?
        } else {
            self.job.plan_with(self.files, self.runtime, scratch, memory, &Silent)?
        };
        let options = ImageOptions {
            pixels_max: self.job.spec.limits.image_pixels,
            memory_bytes: self.job.spec.limits.image_bytes(),
            scratch_dir: self.scratch.to_path_buf(),
            files: self.files.clone(),
            planned_here: true,
        };
        let windows = PlannedWindows::new(&planned.plan, &planned.images, &options);
        let places = spread(windows.places().map_err(|failure| of_window(&failure))?, self.windows_max);
        let layers = layers(onnx)?;
        let depths = layers.iter().map(|layer| layer.depth).max().map_or(0, |depth| depth + 1);
        let (mut onnx, mut pixels, mut moved) = (onnx.to_vec(), u64::MAX, 0.0_f64);
        for depth in 0..depths {
            let level: Vec<&BatchNorm> = layers.iter().filter(|layer| layer.depth == depth).collect();
            let found = self.level(&onnx, &level, &windows, &places, &planned)?;
            let mut numbers = BTreeMap::new();
            for (layer, channels) in level.iter().zip(&found) {
                pixels = pixels.min(channels.iter().map(|channel| channel.count).min().unwrap_or(0));
                let before =
                    marquetry_onnx::numbers_at(&onnx, layer.mean()).map_err(|error| fatal(&error))?;
                for (channel, before) in channels.iter().zip(before) {
                    let sigma = channel.variance().sqrt();
                    if sigma > 0.0 {
                        moved = moved.max((channel.mean - before).abs() / sigma);
                    }
                }
                numbers.insert(layer.mean(), channels.iter().map(|channel| channel.mean).collect());
                numbers.insert(layer.variance(), channels.iter().map(|c| c.variance()).collect());
            }
            onnx = with_numbers(&onnx, &numbers).map_err(|error| fatal(&error))?;
        }
        let mut images: Vec<usize> = places.iter().map(|place| place.image).collect();
        images.dedup();
        let measured =
            Measured { windows: places.len(), images: images.len(), layers: layers.len(), pixels, moved };
        Ok((onnx, measured))
    }

    /// Of each layer of one depth and each channel the moments of what it normalises.
    fn level(
        &self,
        onnx: &[u8],
        level: &[&BatchNorm],
        windows: &PlannedWindows<'_>,
        places: &[WindowPlace],
        planned: &Planned,
    ) -> Result<Vec<Vec<Moments>>, Fatal> {
        let mut names: Vec<&str> = level.iter().map(|layer| layer.input.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let tapped = giving(onnx, &names).map_err(|error| fatal(&error))?;
        let (mut sums, mut failures) = (vec![Vec::new(); names.len()], Vec::new());
        for (place, moments) in places.iter().zip(self.in_lanes(&tapped, &names, windows, places)?) {
            match moments {
                Ok(moments) => {
                    for (sum, moments) in sums.iter_mut().zip(moments) {
                        sum.resize(moments.len(), Moments::default());
                        sum.iter_mut().zip(moments).for_each(|(sum, more)| *sum = sum.joined(more));
                    }
                }
                Err(failure) => failures.push((&planned.images[place.image].id, failure)),
            }
        }
        if let Some((id, failure)) = failures.first() {
            let reason = format!("image {id}: {}", failure.reason);
            if sums.iter().any(Vec::is_empty) {
                return Err(Fatal::new(
                    failure.class().into(),
                    format!("BatchNorm cannot be measured: {reason}"),
                ));
            }
            say::note(&format!("warning: {} passed over, {reason}", counted(failures.len(), "window")));
        }
        let place = |layer: &&BatchNorm| names.iter().position(|name| *name == layer.input).unwrap_or(0);
        Ok(level.iter().map(|layer| sums[place(layer)].clone()).collect())
    }

    /// The moments of each window, in their order, whichever lane had them: so the same bytes come out. A model that fails,
    /// fails at every window; an image that cannot be read is for the caller to pass over.
    fn in_lanes(
        &self,
        tapped: &[u8],
        names: &[&str],
        windows: &PlannedWindows<'_>,
        places: &[WindowPlace],
    ) -> Result<Vec<OfWindow>, Fatal> {
        let threads = Threads::choose(None, None);
        let next = AtomicUsize::new(0);
        let lane = || -> Result<Vec<(usize, OfWindow)>, ModelError> {
            let options = SessionOptions { intra_threads: threads.each, device: Device::Cpu };
            let mut buffers = WindowBuffers::default();
            let mut sessions: Vec<(IoContract, Activations)> = Vec::new();
            let mut found = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(place) = places.get(at) else { return Ok(found) };
                let moments = windows.read(*place, &mut buffers, |contract, window| {
                    if sessions.iter().all(|(of, _)| of != contract) {
                        let session = Activations::open(self.runtime, tapped, contract, names, &options)?;
                        sessions.push((contract.clone(), session));
                    }
                    let session = sessions.iter_mut().find(|(of, _)| of == contract);
                    session.map_or_else(
                        || Ok(Vec::new()),
                        |(_, session)| moments(session, contract, window, names.len()),
                    )
                });
                found.push((at, moments.map_or_else(|failure| Ok(Err(failure)), |found| found.map(Ok))?));
            }
        };
        let lanes: Vec<_> = std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..threads.lanes).map(|_| scope.spawn(lane)).collect();
            lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|_| Ok(Vec::new()))).collect()
        });
        let mut all = Vec::new();
        for lane in lanes {
            all.extend(lane.map_err(|error| {
                Fatal::new(error.class().into(), format!("BatchNorm cannot be measured: {error}"))
            })?);
        }
        if all.len() < places.len() {
            return Err(Fatal::new(Exit::Bug, "a bug: a thread that measures BatchNorm panicked"));
        }
        all.sort_by_key(|(at, _)| *at);
        Ok(all.into_iter().map(|(_, moments)| moments).collect())
    }
}

/// Of each value and each channel the moments in one window, or why that could not be read.
type OfWindow = Result<Vec<Vec<Moments>>, Failure>;

/// Of each value and each channel the moments in one window.
fn moments(
    session: &mut Activations,
    contract: &IoContract,
    window: &[f32],
    values: usize,
) -> Result<Vec<Vec<Moments>>, ModelError> {
    let mut found = vec![Vec::new(); values];
    // A model of a fixed batch sees the window so many times, and the first counts.
    session.run(&window.repeat(contract.batch as usize), |place, output| {
        let channels = output.dims.get(1).copied().unwrap_or(1) as usize;
        let area = output.dims.iter().skip(2).product::<u64>() as usize;
        found[place] = output.numbers.chunks(area.max(1)).take(channels).map(Moments::of).collect();
    })?;
    Ok(found)
}

/// So many of them at most, evenly spread.
fn spread(places: Vec<WindowPlace>, most: usize) -> Vec<WindowPlace> {
    let count = places.len();
    if count <= most {
        return places;
    }
    (0..most).map(|n| places[n * count / most]).collect()
}

fn layers(onnx: &[u8]) -> Result<Vec<BatchNorm>, Fatal> {
    Model::read(onnx).map(|model| batch_norms(&model.graph)).map_err(|error| fatal(&error))
}

fn of_window(failure: &Failure) -> Fatal {
    Fatal::new(failure.class().into(), &failure.reason)
}

/// Where the model that is measured stands while that lasts.
pub(crate) fn put_aside(folder: &Path, onnx: &[u8], name: &str) -> Result<PathBuf, Fatal> {
    let path = folder.join(name);
    std::fs::write(&path, onnx).map_err(|error| {
        Fatal::new(Exit::Unavailable, format!("cannot write {}: {error}", path.display()))
    })?;
    Ok(path)
}
