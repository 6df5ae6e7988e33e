//! What tasks ask for, each kind of them: computed and stored.

use super::{Done, KIB, STUCK, Worked, Worker, region};
use crate::Failure;
use crate::block::{BlockRegion, BlockSpec};
use crate::context::PlanContext;
use crate::image::OpenImage;
use crate::lane::words;
use bytes::Bytes;
use marquetry_failure::chain;
use marquetry_geometry::{Rect, Size};
use marquetry_job::tile::{self, Frame, MissingPixels};
use marquetry_job::{
    ImageStatistics, Measure, Member, PlannedImage, StageSeconds, TaskKind, TaskMessage, TileHeader,
    UnreadPart, key,
};
use marquetry_transport::uri::is_uri;
use marquetry_transport::{ObjectStore, StoreErrorKind, waiting};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Images of no more pixels are small: one block, mostly, and decoded in milliseconds.
const SMALL_PX: u64 = 1 << 20;

impl Worker {
    /// Does what a task asks for, unless it is done already.
    pub(super) async fn compute(
        &self,
        message: &TaskMessage,
        store: &Arc<dyn ObjectStore>,
        admitted: OwnedSemaphorePermit,
    ) -> Result<Worked, Failure> {
        let known = async {
            let context = self.plans.get(message, &**store).await?;
            let key = produced(message, &context)?;
            let found = if message.replace { None } else { stored(&**store, &key).await? };
            Ok::<_, Failure>((context, found))
        };
        let (begun, known) = tokio::join!(self.begin(message), known);
        let (context, found) = known?;
        if let Some(stored_bytes) = found {
            // Someone else was faster, or another run: nothing is left to do but to say so.
            return Ok(Worked::Found(Done { stored_bytes, ..Done::default() }));
        }
        if !begun {
            return Ok(Worked::NotBegun);
        }
        match message.task {
            TaskKind::Block { group, block } => {
                let place = BlockPlace { context, group, block };
                self.compute_block(message, place, store, admitted).await
            }
            TaskKind::Region => {
                let rule = context.inference.region.ok_or_else(|| no_such_task(message))?;
                let image = self.open(message, &context).await?;
                drop(admitted);
                self.find_region(message, &image, rule, &**store).await.map(Worked::Stored)
            }
            TaskKind::Gate if context.gate.is_empty() => Err(no_such_task(message)),
            TaskKind::Gate => {
                let image = self.open(message, &context).await?;
                drop(admitted);
                let done = self.find_gate(message, &context, &image, &**store).await?;
                Ok(done.map_or(Worked::NotBegun, Worked::Stored))
            }
            TaskKind::Unsure => {
                let image = self.open(message, &context).await?;
                drop(admitted);
                self.do_unsure(message, &context, &image, store).await.map(Worked::Stored)
            }
            TaskKind::Statistics => {
                let image = self.open(message, &context).await?;
                drop(admitted);
                self.measure(message, &image, measures(context.inference.models()), &**store)
                    .await
                    .map(Worked::Stored)
            }
        }
    }

    async fn open(&self, message: &TaskMessage, context: &PlanContext) -> Result<Arc<OpenImage>, Failure> {
        let (images, wanted) = (Arc::clone(&self.images), message.image.clone());
        let reading = context.inference.reading.clone();
        self.read(&message.image, move || images.open(&wanted, &reading)).await?
    }

    /// Runs work on an image away from the threads that drive messages. Small ones of this machine are for a few threads: such work
    /// waits for nothing. What is fetched, and what takes long to decode, keeps nobody waiting.
    async fn read<T: Send + 'static>(
        &self,
        image: &PlannedImage,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let is_small = image.size.area() <= SMALL_PX && !is_uri(&image.uri);
        if !is_small {
            return blocking(work).await;
        }
        let done = self.readers.run(work).await;
        done.map_err(|panic| Failure::bug(format!("a bug: {}", words(&*panic))))
    }

    /// Checks that what was computed was computed of the planned image: it may have been replaced meanwhile.
    pub(super) async fn check(&self, message: &TaskMessage) -> Result<(), Failure> {
        let (images, wanted) = (Arc::clone(&self.images), message.image.clone());
        blocking(move || images.check(&wanted)).await?
    }

    async fn compute_block(
        &self,
        message: &TaskMessage,
        BlockPlace { context, group, block }: BlockPlace,
        store: &Arc<dyn ObjectStore>,
        admitted: OwnedSemaphorePermit,
    ) -> Result<Worked, Failure> {
        let planned = &message.image;
        let unknown = || no_such_task(message);
        let (grid, blocks) = context.layout(planned.size, group).ok_or_else(unknown)?;
        let block = blocks.get(block).ok_or_else(unknown)?;
        let extent = block.extent(&grid);
        let inference = &context.inference;
        let classes = inference.classes.len();
        let kib = (extent.size.area() * classes as u64 * 4).div_ceil(KIB);
        let share = u32::try_from(kib).unwrap_or(u32::MAX).clamp(1, self.canvas_kib);
        let permit = self.canvases.acquire_many(share).await.map_err(|e| Failure::passing(e.to_string()))?;
        drop(admitted);

        let started = Instant::now();
        let image = self.open(message, &context).await?;
        let members = &inference.groups[group as usize].members;
        let region = match inference.region {
            _ if context.is_later(group) => Some(self.unsure_of(message, &context, &image, store).await?),
            Some(rule) => Some(self.region_of(message, &image, rule, &**store).await?),
            None => None,
        };
        let of_block = region.as_ref().map(|region| BlockRegion::new(Arc::clone(region), &grid, &block));
        let skipped = of_block.as_ref().is_some_and(BlockRegion::is_empty);
        let wanted = if skipped { Vec::new() } else { measures(members) };
        if !wanted.is_empty() {
            self.fetch_statistics(message, &image, measures(inference.models()), &wanted, &**store).await?;
        }
        let open_seconds = started.elapsed().as_secs_f64();

        let header = TileHeader {
            scores: context.scores[group as usize].clone(),
            image: planned.content_key().to_owned(),
            block: block.index,
            extent,
            classes: classes as u32,
            space: inference.tile_space,
            dtype: inference.tile,
            models: members.iter().map(Member::content_hash).collect(),
            missing: None,
            unread: Vec::new(),
            skipped,
        };
        let part = covered(extent, grid.image(), planned.size);
        let source = Arc::clone(&image);
        let span = tracing::debug_span!("task", image = %planned.id, group, block = block.index);
        let (context_of, group) = (Arc::clone(&context), group as usize);
        let spec = BlockSpec { context: context_of, image, grid, group, block, region: of_block, span };
        let Some((frames, mut seconds, forwards)) = self.score(spec, skipped).await? else {
            return Ok(Worked::NotBegun);
        };
        let started = Instant::now();
        let (images, wanted) = (Arc::clone(&self.images), planned.clone());
        let finish = move || {
            let missing = region::missing(&source, part, region.as_deref())?;
            // All of the image that this hangs on was read by now.
            images.check_opened(&wanted, &source)?;
            finished_tile(header, frames, missing, &wanted.uri)
        };
        let (tile, read) = self.read(planned, finish).await??;
        seconds.read += open_seconds + read.duration_since(started).as_secs_f64();
        let key = produced(message, &context)?;
        let stored_bytes = tile.len() as u64;
        store.put(&key, tile).await?;
        seconds.store += read.elapsed().as_secs_f64();
        drop(permit);
        Ok(Worked::Stored(Done { stored_bytes, forwards, seconds }))
    }

    /// Has the lanes compute a block: the frames of its tile, where the time went, and model runs; none of a block that is
    /// skipped. `None` where the lanes do not come back.
    async fn score(
        &self,
        spec: BlockSpec,
        skipped: bool,
    ) -> Result<Option<(Vec<Frame>, StageSeconds, u64)>, Failure> {
        if skipped {
            return Ok(Some((Vec::new(), StageSeconds::default(), 0)));
        }
        // Before the deadline begins: a model may take longer to fetch than a task to compute.
        let (scorers, context, group) = (Arc::clone(&self.scorers), Arc::clone(&spec.context), spec.group);
        if !context.groups[group].is_fetched.load(Ordering::Relaxed) {
            blocking(move || scorers.fetch(&context.inference.groups[group].members)).await??;
            spec.context.groups[group].is_fetched.store(true, Ordering::Relaxed);
        }
        let (task, outcome) = self.lanes.submit(spec);
        let forwards = task.forwards();
        let stopped = |_| Failure::passing("the worker was stopped");
        let Some(outcome) = self.in_time(task.begun(), || task.abandon(), outcome).await.map_err(stopped)?
        else {
            return Ok(None);
        };
        let (frames, seconds) = outcome?;
        Ok(Some((frames, seconds, forwards)))
    }

    /// Makes the statistics of an image known to its tasks, where those that are `wanted` are not: those that are stored,
    /// or, where there are none that can be used, new ones of all that the job measures.
    pub(super) async fn fetch_statistics(
        &self,
        message: &TaskMessage,
        image: &Arc<OpenImage>,
        all: Vec<Measure>,
        wanted: &[Measure],
        store: &dyn ObjectStore,
    ) -> Result<(), Failure> {
        let known = || wanted.iter().all(|measure| image.statistics(measure).is_some());
        if known() {
            return Ok(());
        }
        match store.get(&key::statistics(&message.run.job, &message.image.key)).await {
            Ok(bytes) => match ImageStatistics::from_bytes(&bytes, &message.image.key) {
                Ok(statistics) => {
                    image.set_statistics(&statistics);
                    if known() {
                        return Ok(());
                    }
                }
                Err(error) => tracing::warn!("computing statistics again: {}", chain(&error)),
            },
            Err(error) if error.kind == StoreErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        self.measure(message, image, all, store).await.map(drop)
    }

    /// Computes and stores the statistics of an image.
    async fn measure(
        &self,
        message: &TaskMessage,
        image: &Arc<OpenImage>,
        measures: Vec<Measure>,
        store: &dyn ObjectStore,
    ) -> Result<Done, Failure> {
        let started = Instant::now();
        let opened = Arc::clone(image);
        let measured = blocking(move || opened.measure(measures)).await??;
        self.check(message).await?;
        let read = started.elapsed().as_secs_f64();
        let statistics = ImageStatistics::new(&message.image.key, measured);
        let bytes = Bytes::from(statistics.to_bytes());
        let stored_bytes = bytes.len() as u64;
        store.put(&key::statistics(&message.run.job, &message.image.key), bytes).await?;
        image.set_statistics(&statistics);
        let seconds = StageSeconds { read, ..StageSeconds::default() };
        Ok(Done { stored_bytes, forwards: 0, seconds })
    }
}

/// The key of the object that a task stores.
fn produced(message: &TaskMessage, context: &PlanContext) -> Result<String, Failure> {
    let key = message.task.produces(&message.run.job, &message.image, &context.scores);
    key.ok_or_else(|| no_such_task(message))
}

fn no_such_task(message: &TaskMessage) -> Failure {
    let (job, image, task) = (&message.run.job, &message.image.id, message.task);
    Failure::reject(format!("there is no {task} of image {image} in job {job}"))
}

/// The pixels of an image of `image` px that a block covers, whose `extent` is of the same image at `scaled` px.
fn covered(extent: Rect, scaled: Size, image: Size) -> Rect {
    let along = |from: i64, to: i64, scaled: u32, image: u32| {
        let (scaled, image) = (i64::from(scaled.max(1)), i64::from(image));
        let first = (from.max(0) * image).div_euclid(scaled);
        let end = (to.max(0) * image + scaled - 1).div_euclid(scaled).min(image);
        (first, end.saturating_sub(first).max(0) as u32)
    };
    let (top, height) = along(extent.top, extent.bottom(), scaled.height, image.height);
    let (left, width) = along(extent.left, extent.right(), scaled.width, image.width);
    Rect::new(top, left, Size::new(height, width))
}

/// What is to be measured of a whole image for these members, each way once.
pub(super) fn measures<'a>(members: impl IntoIterator<Item = &'a Member>) -> Vec<Measure> {
    let mut measures: Vec<Measure> = Vec::new();
    for measure in members.into_iter().filter_map(|member| member.input.wants()) {
        if !measures.contains(&measure) {
            measures.push(measure);
        }
    }
    measures
}

/// A block of a plan.
struct BlockPlace {
    context: Arc<PlanContext>,
    group: u32,
    block: u32,
}

impl Worker {
    /// What comes of a task before its deadline, which does not run while the task waits for others. After that its
    /// windows that are not begun are left out; a lane that is still in the middle of one a while later will not come
    /// back, and what waits for the lanes is `None`.
    pub(super) async fn in_time<T>(
        &self,
        begun: impl Future<Output = ()>,
        abandon: impl FnOnce(),
        mut outcome: oneshot::Receiver<Result<T, Failure>>,
    ) -> Result<Option<Result<T, Failure>>, oneshot::error::RecvError> {
        let Some(deadline) = self.deadline else { return outcome.await.map(Some) };
        tokio::select! {
            biased;
            () = begun => {}
            () = self.stuck.cancelled() => return Ok(None),
        }
        if let Ok(in_time) = tokio::time::timeout(deadline, &mut outcome).await {
            return in_time.map(Some);
        }
        abandon();
        if tokio::time::timeout(STUCK, outcome).await.is_err() {
            tracing::error!("a model run does not come back; this worker ends");
            self.stuck.cancel();
        }
        Ok(Some(Err(Failure::passing(format!(
            "it was not done within {} s (the worker's --deadline-seconds): a model hangs on these pixels, the machine \
             is too slow, or blocks are too large (limits.block_mb)",
            deadline.as_secs()
        )))))
    }
}

/// Bytes of the tile under `key`, if there is one.
async fn stored(store: &dyn ObjectStore, key: &str) -> Result<Option<u64>, Failure> {
    match store.head(key).await {
        Ok(meta) => Ok(Some(meta.size_bytes)),
        Err(error) if error.kind == StoreErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The bytes of a tile of which these pixels are missing and these parts of the image at `uri` cannot be read; and when it was
/// begun with.
fn finished_tile(
    mut header: TileHeader,
    mut frames: Vec<Frame>,
    (missing, unread): (Option<MissingPixels>, Vec<UnreadPart>),
    uri: &str,
) -> Result<(Bytes, Instant), Failure> {
    let begun = Instant::now();
    if let Some(missing) = missing {
        let reason = UnreadPart::in_words(&unread, uri, "no pixel of this block is left");
        if let Some(reason) = reason.filter(|_| missing.all()) {
            return Err(Failure::reject(reason));
        }
        header.missing = Some(missing.rect());
        frames.push(tile::encode_missing(&missing)?);
    }
    header.unread = unread;
    Ok((Bytes::from(tile::assemble(&header, &frames)?), begun))
}

/// Runs work that takes a while away from the threads that drive messages.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    waiting(work).await.map_err(|e| Failure::bug(format!("a bug: {e}")))
}
