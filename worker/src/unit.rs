//! A run of neighbouring windows through one member: read, prepare, infer, bring back.

use crate::Failure;
use crate::block::{BlockTask, Unit};
use crate::network::Networks;
use crate::prepare::Prepared;
use crate::read::WindowReader;
use marquetry_ensemble::{Raw, Transfer, WindowScores, resize_planes};
use marquetry_geometry::{Rect, Size};
use marquetry_job::{Fit, Member, Signature, StageSeconds};
use std::time::Instant;

/// What a lane keeps from one unit to the next.
pub(crate) struct UnitRunner {
    reader: WindowReader,
    samples: Vec<f32>,
    prepared: Prepared,
    batch: Vec<f32>,
    pub(crate) scores: Vec<WindowScores>,
}

/// One view of one window of the unit, waiting in a batch.
struct Item {
    window: usize,
    view: usize,
}

impl UnitRunner {
    pub(crate) fn new() -> Self {
        Self {
            reader: WindowReader::default(),
            samples: Vec::new(),
            prepared: Prepared::new(),
            batch: Vec::new(),
            scores: Vec::new(),
        }
    }

    /// Computes the unit's windows into `scores`, one for each window.
    pub(crate) fn run(
        &mut self,
        task: &BlockTask,
        unit: &Unit,
        networks: &mut Networks,
    ) -> Result<StageSeconds, Failure> {
        let mut seconds = StageSeconds::default();
        let (scoring, group) = (&task.context.plan.scoring, task.group());
        let member = &group.members[unit.member];
        let size = group.window.inner;
        let fits = |s: &WindowScores| s.size() == size;
        let windows = unit.windows.clone().count();
        if self.scores.len() != windows || !self.scores.iter().all(fits) {
            let new = || WindowScores::new(size, scoring.classes.len(), scoring.view_merge);
            self.scores = std::iter::repeat_with(new).take(windows).collect();
        }
        self.scores.iter_mut().for_each(WindowScores::reset);
        for signature in &member.signatures {
            self.run_size(task, unit, member, signature, networks, &mut seconds)?;
        }
        let started = Instant::now();
        let transfer = &task.group_context().to_merge_space;
        for scores in &mut self.scores {
            scores.finish(transfer).map_err(|e| Failure::reject(format!("member {}: {e}", member.name)))?;
        }
        seconds.stitch += started.elapsed().as_secs_f64();
        Ok(seconds)
    }

    /// All views that the model sees at one size, in batches of one fixed shape.
    fn run_size(
        &mut self,
        task: &BlockTask,
        unit: &Unit,
        member: &Member,
        signature: &Signature,
        networks: &mut Networks,
        seconds: &mut StageSeconds,
    ) -> Result<(), Failure> {
        let group = task.group();
        let outer = group.window.outer();
        let views: Vec<usize> =
            (0..group.views.len()).filter(|&v| group.views[v].input_size(outer) == signature.size).collect();
        let item_len = signature.channels as usize * signature.size.area() as usize;
        self.batch.resize(signature.batch as usize * item_len, 0.0);
        let mut items: Vec<Item> = Vec::new();
        for (window, place) in unit.windows.clone().enumerate() {
            let started = Instant::now();
            let rect = task.window(place).grown(group.window.margin);
            let padding = member.input.padding;
            self.reader.read(&task.image, task.grid.image(), rect, padding, &mut self.samples)?;
            seconds.read += started.elapsed().as_secs_f64();
            let started = Instant::now();
            self.prepared.normalise(&self.samples, outer, &task.image, &member.input, signature.channels)?;
            seconds.prepare += started.elapsed().as_secs_f64();
            for &view in &views {
                let started = Instant::now();
                let at = items.len() * item_len;
                self.prepared.view(group.views[view], &mut self.batch[at..at + item_len]);
                items.push(Item { window, view });
                seconds.prepare += started.elapsed().as_secs_f64();
                if items.len() == signature.batch as usize {
                    self.infer(task, unit, member, signature, networks, &items, seconds)?;
                    items.clear();
                }
            }
        }
        if !items.is_empty() {
            // The shape stays the same, so the last batch is filled up; what the filling says is not used.
            self.batch[items.len() * item_len..].fill(0.0);
            self.infer(task, unit, member, signature, networks, &items, seconds)?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one batch is all of these things")]
    fn infer(
        &mut self,
        task: &BlockTask,
        unit: &Unit,
        member: &Member,
        signature: &Signature,
        networks: &mut Networks,
        items: &[Item],
        seconds: &mut StageSeconds,
    ) -> Result<(), Failure> {
        let failed = |what: String| Failure::reject(format!("member {}: {what}", member.name));
        let started = Instant::now();
        let network = networks.get(member, signature)?;
        let said = network.run(&self.batch).map_err(|e| {
            let failure = Failure::from(e);
            Failure { reason: format!("member {}: {}", member.name, failure.reason), ..failure }
        })?;
        seconds.infer += started.elapsed().as_secs_f64();
        let started = Instant::now();
        let transfers = &task.group_context().transfers[unit.member];
        let len = signature.classes as usize * signature.output_size.area() as usize;
        for (item, planes) in items.iter().zip(said.chunks_exact(len)) {
            let view = task.group().views[item.view];
            let transfer = transfers.of(view.d4);
            let back = bring_back(planes, signature, member.fit, task, view.d4);
            let raw = Raw { planes: &back.0, size: back.1, part: back.2 };
            self.scores[item.window].add(&raw, view.d4, transfer).map_err(|e| {
                let place = task.window(unit.windows.start + item.window as u64);
                failed(format!("{e} in the window at row {}, column {}, view {view}", place.top, place.left))
            })?;
        }
        seconds.stitch += started.elapsed().as_secs_f64();
        Ok(())
    }
}

/// A view's planes at the window's own resolution, their size, and the part that is kept.
fn bring_back<'a>(
    planes: &'a [f32],
    signature: &Signature,
    fit: Fit,
    task: &BlockTask,
    d4: marquetry_geometry::D4,
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

/// The transfers of one member: for views that keep left and right, and for those that swap them.
#[derive(Debug)]
pub(crate) struct Transfers {
    pub(crate) upright: Transfer,
    pub(crate) mirrored: Transfer,
}

impl Transfers {
    const fn of(&self, d4: marquetry_geometry::D4) -> &Transfer {
        if d4.is_reflection() { &self.mirrored } else { &self.upright }
    }
}
