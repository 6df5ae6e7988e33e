//! The scorer that shows views, brings them back and merges them in code: one network for each member and size.

use super::gate::GateRunner;
use super::{GateRequest, ScoreRequest, ScoreSink, Scorer, ScorerSource};
use crate::Failure;
use crate::context::{MemberContext, SizeContext, plan_windows_together};
use crate::network::{NetworkSource, Networks};
use crate::prepare::Prepared;
use marquetry_ensemble::{ModelOutput, OutputActivation, View, WindowScores, resize_labels, resize_planes};
use marquetry_geometry::{D4, Rect, Size, WindowSpec};
use marquetry_job::{Fit, Group, IoContract, Member, StageSeconds};
use marquetry_telemetry::Metrics;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Scorers that run networks of a [`NetworkSource`].
pub struct HostScorers {
    networks: Arc<dyn NetworkSource>,
    metrics: Metrics,
}

impl HostScorers {
    /// Scorers whose networks come from `networks`; their runs are counted in `metrics`.
    pub fn new(networks: Arc<dyn NetworkSource>, metrics: Metrics) -> Self {
        Self { networks, metrics }
    }
}

impl ScorerSource for HostScorers {
    fn open(&self, model_bytes: u64) -> Result<Box<dyn Scorer>, Failure> {
        Ok(Box::new(HostScorer::new(Arc::clone(&self.networks), self.metrics.clone(), model_bytes)))
    }

    fn fetch(&self, members: &[Member]) -> Result<(), Failure> {
        members.iter().try_for_each(|member| self.networks.fetch(member))
    }

    /// As many as fill the plan's batch with their views: with fewer every run would be filled up with nothing, and with
    /// more there is nothing to gain.
    fn windows_together(&self, group: &Group) -> u64 {
        plan_windows_together(group)
    }
}

/// Memory that is kept from one request to the next, and the networks of one lane.
pub(super) struct HostScorer {
    networks: Networks,
    metrics: Metrics,
    windows: Vec<Window>,
    /// What is in the batch.
    items: Vec<BatchItem>,
    /// `[batch, channels, H, W]`.
    batch: Vec<f32>,
    /// For each window what the views of one member said so far.
    scores: Vec<WindowScores>,
    gate: GateRunner,
}

/// The pixels of one window as a model's channels, for all members that want them alike.
struct Window {
    prepared: Prepared,
    /// Which way of preparing ([`SizeContext::preparation`]); none if nothing is there.
    preparation: Option<usize>,
}

/// One view of one window, waiting in a batch.
struct BatchItem {
    window: usize,
    view: usize,
}

/// What is the same for all runs of one member at one size.
struct MemberRun<'a> {
    group: &'a Group,
    /// The member's place in the group.
    at: usize,
    member: &'a Member,
    context: &'a MemberContext,
    signature: &'a IoContract,
    size: &'a SizeContext,
}

impl MemberRun<'_> {
    /// Numbers in one view of one window.
    fn input_len(&self) -> usize {
        self.signature.channels as usize * self.signature.size.area() as usize
    }

    fn view(&self, item: &BatchItem) -> View {
        self.group.views[item.view]
    }

    fn failed(&self, reason: &str) -> String {
        format!("member {}: {reason}", self.member.name)
    }
}

impl Scorer for HostScorer {
    fn score(
        &mut self,
        request: &mut ScoreRequest<'_>,
        sink: &mut ScoreSink<'_>,
    ) -> Result<StageSeconds, Failure> {
        let mut seconds = StageSeconds::default();
        self.start(request);
        for at in request.members() {
            self.score_member(at, request, sink, &mut seconds)?;
        }
        Ok(seconds)
    }

    fn score_image(&mut self, request: &mut GateRequest<'_>) -> Result<(Vec<f32>, StageSeconds), Failure> {
        let (probabilities, seconds) = self.gate.run(request, &mut self.networks)?;
        self.metrics.inference_duration.observe_duration(Duration::from_secs_f64(seconds.infer.max(0.0)));
        self.metrics.inference_batch.observe(1.0);
        Ok((probabilities, seconds))
    }
}

impl HostScorer {
    pub(super) fn new(networks: Arc<dyn NetworkSource>, metrics: Metrics, model_bytes: u64) -> Self {
        Self {
            networks: Networks::new(networks, model_bytes),
            metrics,
            windows: Vec::new(),
            items: Vec::new(),
            batch: Vec::new(),
            scores: Vec::new(),
            gate: GateRunner::new(),
        }
    }

    /// Scores all windows of the request with one of its members.
    pub(super) fn score_member(
        &mut self,
        at: usize,
        request: &mut ScoreRequest<'_>,
        sink: &mut ScoreSink<'_>,
        seconds: &mut StageSeconds,
    ) -> Result<(), Failure> {
        let (group, context) = (request.group(), request.context());
        let (member, context) = (&group.members[at], &context.members[at]);
        self.scores.iter_mut().for_each(WindowScores::reset);
        for (signature, size) in member.signatures.iter().zip(&context.sizes) {
            let run = MemberRun { group, at, member, context, signature, size };
            self.run_size(&run, request, sink, seconds)?;
        }
        Ok(())
    }

    /// A window as it is, as a member's first signature wants it: `[C, H, W]`.
    pub(super) fn shown(
        &mut self,
        at: usize,
        request: &mut ScoreRequest<'_>,
        window: usize,
        seconds: &mut StageSeconds,
    ) -> Result<&[f32], Failure> {
        let (group, context) = (request.group(), request.context());
        let (member, context) = (&group.members[at], &context.members[at]);
        let (signature, size) = (&member.signatures[0], &context.sizes[0]);
        let run = MemberRun { group, at, member, context, signature, size };
        self.prepare(&run, request, window, seconds)?;
        Ok(self.windows[window].prepared.unchanged(View::IDENTITY).unwrap_or(&[]))
    }

    /// Makes room for the request, and forgets the one before.
    pub(super) fn start(&mut self, request: &ScoreRequest<'_>) {
        let (inference, size) = (request.inference(), request.group().window.inner);
        let (classes, merge) = (inference.classes.len(), inference.view_merge);
        let new = || Window { prepared: Prepared::new(), preparation: None };
        self.windows.resize_with(request.windows(), new);
        self.windows.iter_mut().for_each(|window| window.preparation = None);
        self.scores.retain(|s| (s.size(), s.classes(), s.merge()) == (size, classes, merge));
        self.scores.resize_with(request.windows(), || WindowScores::new(size, classes, merge));
        // A request that failed may have left some.
        self.items.clear();
    }

    /// All views that the model sees at one size, in batches of one fixed shape.
    fn run_size(
        &mut self,
        run: &MemberRun<'_>,
        request: &mut ScoreRequest<'_>,
        sink: &mut ScoreSink<'_>,
        seconds: &mut StageSeconds,
    ) -> Result<(), Failure> {
        let (batch, input_len) = (run.signature.batch as usize, run.input_len());
        for window in 0..request.windows() {
            self.prepare(run, request, window, seconds)?;
            for &view in &run.size.views {
                self.items.push(BatchItem { window, view });
                let prepared = &self.windows[window].prepared;
                let unchanged = prepared.unchanged(run.group.views[view]).is_some();
                if !(unchanged && batch == 1) {
                    let started = Instant::now();
                    self.batch.resize(batch * input_len, 0.0);
                    let at = (self.items.len() - 1) * input_len;
                    prepared.view(run.group.views[view], &mut self.batch[at..at + input_len]);
                    seconds.prepare += started.elapsed().as_secs_f64();
                }
                if self.items.len() == batch {
                    self.infer(run, request, sink, seconds)?;
                }
            }
        }
        if !self.items.is_empty() {
            // The shape stays the same, so the last batch is filled up; what the filling says is not used.
            self.batch[self.items.len() * input_len..].fill(0.0);
            self.infer(run, request, sink, seconds)?;
        }
        Ok(())
    }

    /// Reads and normalises a window, unless a member before wanted the same.
    fn prepare(
        &mut self,
        run: &MemberRun<'_>,
        request: &mut ScoreRequest<'_>,
        window: usize,
        seconds: &mut StageSeconds,
    ) -> Result<(), Failure> {
        let Window { prepared, preparation } = &mut self.windows[window];
        if *preparation == Some(run.size.preparation) {
            return Ok(());
        }
        *preparation = None;
        let (image, input, channels) = (request.image(), &run.member.input, run.signature.channels);
        let samples = request.samples(window, input.padding)?;
        let started = Instant::now();
        prepared.normalise(samples, run.group.shown_size(), image, input, channels, &run.group.views)?;
        *preparation = Some(run.size.preparation);
        seconds.prepare += started.elapsed().as_secs_f64();
        Ok(())
    }

    /// Runs what is in the batch, and merges what comes out.
    fn infer(
        &mut self,
        run: &MemberRun<'_>,
        request: &ScoreRequest<'_>,
        sink: &mut ScoreSink<'_>,
        seconds: &mut StageSeconds,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        let network = self.networks.get(run.size.network, run.member, run.signature)?;
        // Opening a model may take seconds, and is no part of running it.
        seconds.read += started.elapsed().as_secs_f64();
        let started = Instant::now();
        let input_slice = match &self.items[..] {
            [item] if run.signature.batch == 1 => {
                self.windows[item.window].prepared.unchanged(run.view(item))
            }
            _ => None,
        };
        let output = network.run(input_slice.unwrap_or(&self.batch)).map_err(|e| {
            let failure = Failure::from(e);
            Failure { reason: run.failed(&failure.reason), ..failure }
        })?;
        seconds.infer += started.elapsed().as_secs_f64();
        self.metrics.inference_duration.observe_duration(started.elapsed());
        self.metrics.inference_batch.observe(self.items.len() as f64);
        let started = Instant::now();
        let len = run.signature.classes as usize * run.signature.output_size.area() as usize;
        for (item, planes) in self.items.iter().zip(output.chunks_exact(len)) {
            let view = run.view(item);
            let (planes, size, part) =
                invert_view(planes, run.signature, run.member, &run.group.window, view.d4);
            let raw = ModelOutput { planes: &planes, size, part };
            merge(run, request, sink, &mut self.scores[item.window], item, &raw)?;
        }
        self.items.clear();
        seconds.stitch += started.elapsed().as_secs_f64();
        Ok(())
    }
}

/// Merges a view into its window's `scores`; with the last one the member's scores go to the sink.
fn merge(
    run: &MemberRun<'_>,
    request: &ScoreRequest<'_>,
    sink: &mut ScoreSink<'_>,
    scores: &mut WindowScores,
    item: &BatchItem,
    raw: &ModelOutput<'_>,
) -> Result<(), Failure> {
    let view = run.view(item);
    let (transform, to) = (run.context.transforms.of(view.d4), &request.context().to_merge_space);
    let merged = if scores.views() + 1 < run.group.views.len() {
        scores.add(raw, view.d4, transform)
    } else {
        let mut rows = |first: usize, rows: &[f32]| sink.add(item.window, run.at, first, rows);
        scores.finish(raw, view.d4, transform, to, &mut rows)
    };
    merged.map_err(|error| {
        let Rect { top, left, .. } = request.rect(item.window);
        // A window may begin before the image does.
        let (row, column) = (top.max(0), left.max(0));
        let reason = format!("{error} in the window at row {row}, column {column}, view {view}");
        Failure::reject(run.failed(&reason))
    })
}

/// A view's planes at the window's own resolution, their size, and the part that is kept.
fn invert_view<'a>(
    planes: &'a [f32],
    signature: &IoContract,
    member: &Member,
    window: &WindowSpec,
    d4: D4,
) -> (Cow<'a, [f32]>, Size, Rect) {
    let inner = d4.apply_to_size(window.inner);
    let outer = d4.apply_to_size(window.outer());
    let margin = d4.apply_to_size(window.margin);
    let part = Rect::new(i64::from(margin.height), i64::from(margin.width), inner);
    let output = signature.output_size;
    let resized = |planes: &[f32], from: Size| {
        if member.applied == OutputActivation::Labels {
            resize_labels(planes, from, outer)
        } else {
            resize_planes(planes, from, outer)
        }
    };
    match member.fit {
        Fit::Crop if signature.size == outer => (planes.into(), output, part),
        Fit::Crop => {
            // A view of another scale: the part that it was shown, brought back to the window's resolution.
            let shown = crop_planes(planes, output, signature.size);
            (resized(&shown, signature.size).into(), outer, part)
        }
        Fit::Centre if output != outer => {
            // What the model leaves out, or says too much, is the same on both sides; so is the job's own margin.
            let beyond = |output: u32, inner: u32| i64::from(output.saturating_sub(inner) / 2);
            let at = [beyond(output.height, inner.height), beyond(output.width, inner.width)];
            (planes.into(), output, Rect::new(at[0], at[1], inner))
        }
        _ if output == outer => (planes.into(), outer, part),
        _ => (resized(planes, output).into(), outer, part),
    }
}

/// The first `to` px of planes of `from` px, which is no smaller.
fn crop_planes(planes: &[f32], from: Size, to: Size) -> Vec<f32> {
    let rows = planes.chunks_exact(from.area() as usize).flat_map(|plane| {
        plane.chunks_exact(from.width as usize).take(to.height as usize).map(|row| &row[..to.width as usize])
    });
    rows.flatten().copied().collect()
}
