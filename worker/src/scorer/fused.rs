//! The scorer that has views, activation, their inverses and the mean over views in one graph with each model.

use super::device::{Answer, Devices, Done, FusedModel, nobody_answers};
use super::fused_spec::fused_spec;
use super::host::HostScorer;
use super::{GateRequest, ScoreRequest, ScoreSink, Scorer, ScorerSource};
use crate::Failure;
use crate::context::plan_windows_together;
use crate::network::{NetworkSource, RuntimeSource};
use marquetry_job::{Group, IoContract, Member, Precision, StageSeconds, TileDtype};
use marquetry_model::{MergedScores, Runtime, SessionOptions};
use marquetry_telemetry::Metrics;
use marquetry_transport::Files;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// Members whose windows are on their way to the device while another's scores are awaited.
const AHEAD: usize = 1;
/// Rows that go to the sink together: some kilobytes of each class.
const ROWS: usize = 8;

/// How fused models are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FusedOptions {
    /// Threads that use the device. With two, copies of one run while the other computes.
    pub threads: usize,
    /// Bytes of models that each of these threads keeps open, about.
    pub model_bytes: u64,
    /// In which precision scores come back.
    pub returned: Returned,
}

/// In which precision scores come back from a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// In single.
    Single,
    /// In single where the plan has the member computed in single, or tiles are in it; else as `Half`.
    AsPlanned,
    /// Probabilities in half: half as much to copy, and 2.5e-4 from what they were at most. Logits in single all the same.
    Half,
}

impl Default for FusedOptions {
    /// Two threads, 2 GiB each, scores as the plan has them.
    fn default() -> Self {
        Self { threads: 2, model_bytes: 2 << 30, returned: Returned::AsPlanned }
    }
}

/// Scorers that run each model in one graph with what is done around it, on threads that own the device.
///
/// A window goes to the device once and its scores come back once, whatever the number of views. What a graph cannot do
/// (views of other scales or light, other merges than the mean, labels, classes that are sums of channels, models that
/// run on one image at a time), the gate, and scores that hold what is no number are left to the host scorer, which then
/// says what is wrong. Members keep their order.
pub struct FusedScorers {
    source: Arc<RuntimeSource>,
    devices: Arc<Devices>,
    returned: Returned,
}

impl FusedScorers {
    /// Scorers whose sessions run on `runtime` as `session` says, of models that are read from `files`; their runs are
    /// counted in `metrics`.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub fn new(
        runtime: Runtime,
        session: SessionOptions,
        files: Files,
        metrics: Metrics,
        options: FusedOptions,
    ) -> std::io::Result<Self> {
        let source = Arc::new(RuntimeSource::new(runtime, session, files, metrics));
        let devices = Arc::new(Devices::start(&source, options.threads, options.model_bytes)?);
        Ok(Self { source, devices, returned: options.returned })
    }
}

impl ScorerSource for FusedScorers {
    /// `model_bytes` is for what is left to the host scorer.
    fn open(&self, model_bytes: u64) -> Result<Box<dyn Scorer>, Failure> {
        let networks = Arc::clone(&self.source) as Arc<dyn NetworkSource>;
        let host = HostScorer::new(networks, self.source.metrics.clone(), model_bytes);
        Ok(Box::new(FusedScorer {
            host,
            devices: Arc::clone(&self.devices),
            returned: self.returned,
            sent: None,
        }))
    }

    fn fetch(&self, members: &[Member]) -> Result<(), Failure> {
        members.iter().try_for_each(|member| self.source.fetch(member))
    }

    /// As many as fill the plan's batch with their views: so many are in one run of a graph.
    fn windows_together(&self, group: &Group) -> u64 {
        plan_windows_together(group)
    }
}

struct FusedScorer {
    host: HostScorer,
    devices: Arc<Devices>,
    returned: Returned,
    /// What was sent last in this request, for members that want the same.
    sent: Option<Sent>,
}

/// The windows of a request as some members see them.
struct Sent {
    /// Which way of preparing, and how many windows are in each run.
    wanted: (usize, usize),
    runs: Vec<Run>,
}

/// Windows of one run of a graph.
struct Run {
    /// `[N, C, H, W]`.
    windows: Arc<Vec<f32>>,
    /// How many of them are no filling.
    count: usize,
}

/// A member whose scores are on their way, in pieces; none of a member that is left to the host scorer.
struct Awaited {
    at: usize,
    pieces: Vec<Piece>,
}

/// The scores of one run, on their way.
struct Piece {
    answer: Receiver<Result<Done, Failure>>,
    /// Windows that are no filling.
    count: usize,
}

impl Scorer for FusedScorer {
    fn score(
        &mut self,
        request: &mut ScoreRequest<'_>,
        sink: &mut ScoreSink<'_>,
    ) -> Result<StageSeconds, Failure> {
        let mut seconds = StageSeconds::default();
        self.host.start(request);
        self.sent = None;
        let mut awaited = VecDeque::new();
        for at in request.members() {
            awaited.push_back(self.send(at, request, &mut seconds)?);
            if awaited.len() > AHEAD
                && let Some(first) = awaited.pop_front()
            {
                self.take(&first, request, sink, &mut seconds)?;
            }
        }
        awaited.iter().try_for_each(|member| self.take(member, request, sink, &mut seconds))?;
        Ok(seconds)
    }

    fn score_image(&mut self, request: &mut GateRequest<'_>) -> Result<(Vec<f32>, StageSeconds), Failure> {
        self.host.score_image(request)
    }
}

impl FusedScorer {
    /// Sends all windows of the request to a member, if that is one graph with what is done around it.
    fn send(
        &mut self,
        at: usize,
        request: &mut ScoreRequest<'_>,
        seconds: &mut StageSeconds,
    ) -> Result<Awaited, Failure> {
        let (inference, group, context) = (request.inference(), request.group(), request.context());
        let member = &group.members[at];
        let mut awaited = Awaited { at, pieces: Vec::new() };
        let half = match self.returned {
            Returned::Single => false,
            Returned::AsPlanned => {
                let is_exact = |s: &IoContract| s.backend.precision == Precision::F32;
                inference.tile == TileDtype::F16 && !member.signatures.iter().all(is_exact)
            }
            Returned::Half => true,
        };
        let spec = match fused_spec(inference, group, context, at, half) {
            Ok(spec) => spec,
            Err(reason) => {
                self.devices.refuse(member, &reason);
                return Ok(awaited);
            }
        };
        let (size, windows) = (&context.members[at].sizes[0], spec.windows as usize);
        let key = format!("{:?} {spec:?}", size.network);
        let model = Arc::new(FusedModel { key, member: member.clone(), spec });
        let wanted = (size.preparation, windows);
        if self.sent.as_ref().is_none_or(|sent| sent.wanted != wanted) {
            self.sent = None;
            let runs = self.runs(at, windows, request, seconds)?;
            self.sent = Some(Sent { wanted, runs });
        }
        for Run { windows, count } in self.sent.iter().flat_map(|sent| &sent.runs) {
            let Some(answer) = self.devices.send(&model, windows, *count) else {
                awaited.pieces.clear();
                break;
            };
            awaited.pieces.push(Piece { answer, count: *count });
        }
        Ok(awaited)
    }

    /// The windows of the request as a member sees them, in runs of `together`, the last one filled up with 0.
    fn runs(
        &mut self,
        at: usize,
        together: usize,
        request: &mut ScoreRequest<'_>,
        seconds: &mut StageSeconds,
    ) -> Result<Vec<Run>, Failure> {
        let mut runs = Vec::new();
        for first in (0..request.windows()).step_by(together) {
            let count = together.min(request.windows() - first);
            let mut run = Vec::new();
            for window in first..first + count {
                let shown = self.host.shown(at, request, window, seconds)?;
                run.reserve_exact(shown.len() * together - run.len());
                run.extend_from_slice(shown);
            }
            run.resize(run.len() / count * together, 0.0);
            runs.push(Run { windows: Arc::new(run), count });
        }
        Ok(runs)
    }

    /// Waits for a member's scores and gives them to the sink; the host scorer computes what did not come to numbers.
    fn take(
        &mut self,
        member: &Awaited,
        request: &mut ScoreRequest<'_>,
        sink: &mut ScoreSink<'_>,
        seconds: &mut StageSeconds,
    ) -> Result<(), Failure> {
        let scores = Self::scores(member, seconds)?;
        if scores.len() < member.pieces.len() || member.pieces.is_empty() {
            return self.host.score_member(member.at, request, sink, seconds);
        }
        let started = std::time::Instant::now();
        let (mut window, mut rows) = (0, Vec::new());
        for (scores, count) in &scores {
            let [_, _, height, _] = scores.dims();
            for k in 0..*count {
                for first in (0..height).step_by(ROWS) {
                    scores.rows(k, first, ROWS.min(height - first), &mut rows);
                    sink.add(window, member.at, first, &rows);
                }
                window += 1;
            }
        }
        seconds.stitch += started.elapsed().as_secs_f64();
        Ok(())
    }

    /// All of a member's scores, with the number of windows of each piece; fewer where it is refused, or where they hold
    /// what is no number.
    fn scores(member: &Awaited, seconds: &mut StageSeconds) -> Result<Vec<(MergedScores, usize)>, Failure> {
        let mut all = Vec::with_capacity(member.pieces.len());
        for Piece { answer, count } in &member.pieces {
            let done = answer.recv().map_err(|_| nobody_answers())??;
            // Opening a model may take seconds, and is no part of running it.
            seconds.read += done.opening;
            seconds.infer += done.running;
            match done.answer {
                Answer::Scores(scores) if scores.is_finite(*count) => all.push((scores, *count)),
                Answer::Scores(_) => {
                    tracing::debug!(
                        member = member.at,
                        "scores hold what is no number: asking the host scorer"
                    );
                }
                Answer::Refused => {}
            }
        }
        Ok(all)
    }
}
