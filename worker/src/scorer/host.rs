//! A run of neighbouring windows through some members: read, prepare, infer, bring back, sum.

use crate::Failure;
use crate::block::{BlockTask, Unit};
use crate::network::Networks;
use crate::prepare::Prepared;
use crate::read::WindowReader;
use marquetry_ensemble::{Raw, WindowScores, WindowSums, resize_planes};
use marquetry_geometry::{D4, Padding, Rect, Size};
use marquetry_job::{Fit, Input, Member, Signature, StageSeconds};
use marquetry_telemetry::Metrics;
use std::time::Instant;

/// What a lane keeps from one unit to the next.
pub(crate) struct UnitRunner {
    metrics: Metrics,
    reader: WindowReader,
    windows: Vec<Window>,
    batch: Vec<f32>,
    scores: Vec<WindowScores>,
    /// For each window, what its members have said so far.
    pub(crate) sums: Vec<WindowSums>,
    /// Whether the unit's windows went to the canvas as they came, and not to `sums`.
    pub(crate) straight: bool,
}

/// The pixels of one window, for all members that want them alike.
struct Window {
    samples: Vec<f32>,
    padding: Option<Padding>,
    prepared: Prepared,
    prepared_for: Option<(Input, u32)>,
}

/// One view of one window of the unit, waiting in a batch.
struct Item {
    window: usize,
    view: usize,
}

/// What is the same for all runs of one member at one size.
struct Turn<'a> {
    task: &'a BlockTask,
    unit: &'a Unit,
    at: usize,
    member: &'a Member,
    signature: &'a Signature,
}

impl UnitRunner {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            metrics: metrics.clone(),
            reader: WindowReader::default(),
            windows: Vec::new(),
            batch: Vec::new(),
            scores: Vec::new(),
            sums: Vec::new(),
            straight: false,
        }
    }

    /// Computes the unit's windows into `sums`, one for each window, or `straight` into the canvas.
    pub(crate) fn run(
        &mut self,
        task: &BlockTask,
        unit: &Unit,
        networks: &mut Networks,
    ) -> Result<StageSeconds, Failure> {
        let mut seconds = StageSeconds::default();
        self.start(task, unit);
        for at in unit.members.clone() {
            let member = &task.group().members[at];
            self.scores.iter_mut().for_each(WindowScores::reset);
            for signature in &member.signatures {
                let turn = Turn { task, unit, at, member, signature };
                self.run_size(&turn, networks, &mut seconds)?;
            }
        }
        Ok(seconds)
    }

    /// Makes room for the unit, and forgets the one before.
    fn start(&mut self, task: &BlockTask, unit: &Unit) {
        let (scoring, size) = (&task.context.plan.scoring, task.group().window.inner);
        let (windows, classes) = (unit.windows.clone().count(), scoring.classes.len());
        self.straight = false;
        self.windows.resize_with(windows, || Window {
            samples: Vec::new(),
            padding: None,
            prepared: Prepared::new(),
            prepared_for: None,
        });
        for window in &mut self.windows {
            (window.padding, window.prepared_for) = (None, None);
        }
        let fits =
            |s: &WindowScores| (s.size(), s.classes(), s.merge()) == (size, classes, scoring.view_merge);
        if self.scores.len() != windows || !self.scores.iter().all(fits) {
            let new = || WindowScores::new(size, classes, scoring.view_merge);
            self.scores = std::iter::repeat_with(new).take(windows).collect();
        }
        if self.sums.len() != windows || !self.sums.iter().all(|s| (s.size(), s.classes()) == (size, classes))
        {
            let new = || WindowSums::new(size, classes);
            self.sums = std::iter::repeat_with(new).take(windows).collect();
        }
        self.sums.iter_mut().for_each(WindowSums::reset);
    }

    /// All views that the model sees at one size, in batches of one fixed shape.
    fn run_size(
        &mut self,
        turn: &Turn<'_>,
        networks: &mut Networks,
        seconds: &mut StageSeconds,
    ) -> Result<(), Failure> {
        let (group, signature) = (turn.task.group(), turn.signature);
        let outer = group.window.outer();
        let views: Vec<usize> =
            (0..group.views.len()).filter(|&v| group.views[v].input_size(outer) == signature.size).collect();
        let item_len = signature.channels as usize * signature.size.area() as usize;
        let mut items: Vec<Item> = Vec::new();
        for (window, place) in turn.unit.windows.clone().enumerate() {
            self.prepare(turn, window, place, seconds)?;
            for &view in &views {
                items.push(Item { window, view });
                let unchanged = self.windows[window].prepared.unchanged(group.views[view]).is_some();
                if !(unchanged && signature.batch == 1) {
                    let started = Instant::now();
                    self.batch.resize(signature.batch as usize * item_len, 0.0);
                    let at = (items.len() - 1) * item_len;
                    let to = &mut self.batch[at..at + item_len];
                    self.windows[window].prepared.view(group.views[view], to);
                    seconds.prepare += started.elapsed().as_secs_f64();
                }
                if items.len() == signature.batch as usize {
                    self.infer(turn, networks, &items, seconds)?;
                    items.clear();
                }
            }
        }
        if !items.is_empty() {
            // The shape stays the same, so the last batch is filled up; what the filling says is not used.
            self.batch[items.len() * item_len..].fill(0.0);
            self.infer(turn, networks, &items, seconds)?;
        }
        Ok(())
    }

    /// Reads and normalises a window, unless a member before wanted the same.
    fn prepare(
        &mut self,
        turn: &Turn<'_>,
        window: usize,
        place: u64,
        seconds: &mut StageSeconds,
    ) -> Result<(), Failure> {
        let (task, member, group) = (turn.task, turn.member, turn.task.group());
        let (input, channels) = (&member.input, turn.signature.channels);
        let window = &mut self.windows[window];
        if window.padding != Some(input.padding) {
            let started = Instant::now();
            let rect = task.window(place).grown(group.window.margin);
            self.reader.read(&task.image, task.grid.image(), rect, input.padding, &mut window.samples)?;
            window.padding = Some(input.padding);
            window.prepared_for = None;
            seconds.read += started.elapsed().as_secs_f64();
        }
        if !window.prepared_for.as_ref().is_some_and(|(i, c)| (i, *c) == (input, channels)) {
            let started = Instant::now();
            let outer = group.window.outer();
            let Window { samples, prepared, .. } = window;
            prepared.normalise(samples, outer, &task.image, input, channels, &group.views)?;
            window.prepared_for = Some((input.clone(), channels));
            seconds.prepare += started.elapsed().as_secs_f64();
        }
        Ok(())
    }

    fn infer(
        &mut self,
        turn: &Turn<'_>,
        networks: &mut Networks,
        items: &[Item],
        seconds: &mut StageSeconds,
    ) -> Result<(), Failure> {
        let Turn { task, member, signature, .. } = *turn;
        let failed = |reason: String| format!("member {}: {reason}", member.name);
        let started = Instant::now();
        let network = networks.get(member, signature)?;
        let view = |item: &Item| task.group().views[item.view];
        let as_it_is = match items {
            [item] if signature.batch == 1 => self.windows[item.window].prepared.unchanged(view(item)),
            _ => None,
        };
        let said = network.run(as_it_is.unwrap_or(&self.batch)).map_err(|e| {
            let failure = Failure::from(e);
            Failure { reason: failed(failure.reason), ..failure }
        })?;
        seconds.infer += started.elapsed().as_secs_f64();
        self.metrics.inference_duration.observe_duration(started.elapsed());
        self.metrics.inference_batch.observe(items.len() as f64);
        let started = Instant::now();
        let len = signature.classes as usize * signature.output_size.area() as usize;
        for (item, planes) in items.iter().zip(said.chunks_exact(len)) {
            let d4 = view(item).d4;
            let (planes, size, part) = bring_back(planes, signature, member.fit, task, d4);
            self.add(turn, item, &Raw { planes: &planes, size, part }, d4)
                .map_err(|e| Failure::reject(failed(format!("{e}, view {}", view(item)))))?;
        }
        seconds.stitch += started.elapsed().as_secs_f64();
        Ok(())
    }

    /// Merges a view in. The last view of the last member goes straight to the canvas, if its turn has come by then.
    fn add(&mut self, turn: &Turn<'_>, item: &Item, raw: &Raw<'_>, d4: D4) -> Result<(), String> {
        let Turn { task, unit, at, member, .. } = *turn;
        let context = task.group_context();
        let (transfer, to) = (context.transfers[at].of(d4), &context.to_merge_space);
        let window = |k: usize| task.window(unit.windows.start + k as u64);
        let scores = &mut self.scores[item.window];
        let failed = |e| {
            let place = window(item.window);
            format!("{e} in the window at row {}, column {}", place.top, place.left)
        };
        if scores.views() + 1 < task.group().views.len() {
            return scores.add(raw, d4, transfer).map_err(failed);
        }
        let canvas = if at + 1 == unit.members.end { task.canvas_for(unit) } else { None };
        let Some(mut canvas) = canvas else {
            let sums = &mut self.sums[item.window];
            let mut add = |first: usize, rows: &[f32]| sums.add(first, &member.weights, rows);
            return scores.finish(raw, d4, transfer, to, &mut add).map_err(failed);
        };
        if !self.straight {
            // Windows before this one came too early.
            for (k, sums) in self.sums[..item.window].iter().enumerate() {
                canvas.add(window(k), &context.importance, sums);
            }
            self.straight = true;
        }
        let (place, sums) = (window(item.window), &self.sums[item.window]);
        let mut add = |first: usize, rows: &[f32]| {
            canvas.add_rows(place, &context.importance, sums, &member.weights, first, rows);
        };
        scores.finish(raw, d4, transfer, to, &mut add).map_err(failed)
    }
}

/// A view's planes at the window's own resolution, their size, and the part that is kept.
fn bring_back<'a>(
    planes: &'a [f32],
    signature: &Signature,
    fit: Fit,
    task: &BlockTask,
    d4: D4,
) -> (std::borrow::Cow<'a, [f32]>, Size, Rect) {
    let window = &task.group().window;
    let inner = d4.apply_to_size(window.inner);
    let outer = d4.apply_to_size(window.outer());
    let margin = d4.apply_to_size(window.margin);
    let part = Rect::new(i64::from(margin.height), i64::from(margin.width), inner);
    if signature.output_size == outer {
        // With `Centre` too: the model leaves nothing out, so the margin is the job's own.
        (planes.into(), outer, part)
    } else if fit == Fit::Centre {
        (planes.into(), signature.output_size, Rect::whole(inner))
    } else {
        (resize_planes(planes, signature.output_size, outer).into(), outer, part)
    }
}
