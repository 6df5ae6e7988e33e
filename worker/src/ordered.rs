//! The turns in which lanes add to one canvas, and the end of a task.

use crate::Failure;
use crate::block::Unit;
use marquetry_ensemble::{Band, Canvas, WindowSums};
use marquetry_job::tile::Frame;
use marquetry_job::{StageSeconds, TileError};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// What came of a task: the frames of its tile, and where the time went.
pub(crate) type Outcome = Result<(Vec<Frame>, StageSeconds), Failure>;

/// A canvas and whose turn it is.
#[derive(Debug)]
pub(crate) struct Fold {
    units: u64,
    state: Mutex<State>,
    turn_changed: Condvar,
    /// Only the unit whose turn it is adds to it: nobody waits for this lock.
    canvas: Mutex<Canvas>,
}

#[derive(Debug)]
struct State {
    turn: u64,
    /// What was computed before its turn.
    handed: BTreeMap<u64, Handed>,
    /// Memory of what was handed over.
    spare: Vec<Vec<WindowSums>>,
    frames: Vec<Option<Frame>>,
    seconds: StageSeconds,
    failure: Option<Failure>,
    done: Option<oneshot::Sender<Outcome>>,
}

#[derive(Debug)]
struct Handed {
    unit: Unit,
    result: Result<StageSeconds, Failure>,
    sums: Vec<WindowSums>,
}

impl Fold {
    /// For `units` units; `done` hears what came of them.
    pub(crate) fn new(canvas: Canvas, units: u64, done: oneshot::Sender<Outcome>) -> Self {
        let state = State {
            turn: 0,
            handed: BTreeMap::new(),
            spare: Vec::new(),
            frames: vec![None; canvas.bands()],
            seconds: StageSeconds::default(),
            failure: None,
            done: Some(done),
        };
        Self { units, state: Mutex::new(state), turn_changed: Condvar::new(), canvas: Mutex::new(canvas) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn canvas(&self) -> MutexGuard<'_, Canvas> {
        self.canvas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all units before `seq` were added.
    pub(crate) fn is_turn(&self, seq: u64) -> bool {
        self.state().turn == seq
    }

    /// See [`BlockTask::settle`](crate::block::BlockTask::settle). `add` adds a unit's sums to the canvas; `bottom` says
    /// above which row nothing comes after a unit.
    #[expect(clippy::too_many_arguments, reason = "a unit is all of these things")]
    pub(crate) fn settle(
        &self,
        unit: Unit,
        result: Result<StageSeconds, Failure>,
        mut straight: bool,
        sums: &mut Vec<WindowSums>,
        handed_max: usize,
        add: impl Fn(&mut Canvas, &Unit, &[WindowSums]),
        bottom: impl Fn(&Unit) -> i64,
    ) -> Vec<Band> {
        let mut state = self.state();
        while state.turn != unit.seq {
            if state.handed.len() < handed_max {
                let spare = state.spare.pop().unwrap_or_default();
                let sums = std::mem::replace(sums, spare);
                state.handed.insert(unit.seq, Handed { unit, result, sums });
                return Vec::new();
            }
            state = self.turn_changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut bands = Vec::new();
        let mut now = Handed { unit, result, sums: std::mem::take(sums) };
        loop {
            let failed = state.failure.is_some();
            drop(state);
            let Handed { unit, result, sums: used } = now;
            let started = Instant::now();
            if result.is_ok() && !failed {
                let mut canvas = self.canvas();
                if !straight {
                    add(&mut canvas, &unit, &used);
                }
                bands.extend(canvas.take_above(bottom(&unit)));
            }
            state = self.state();
            state.seconds.stitch += started.elapsed().as_secs_f64();
            match result {
                Ok(seconds) => state.seconds += seconds,
                Err(failure) => _ = state.failure.get_or_insert(failure),
            }
            state.turn += 1;
            let turn = state.turn;
            let Some(next) = state.handed.remove(&turn) else {
                *sums = used;
                break;
            };
            state.spare.push(used);
            (now, straight) = (next, false);
        }
        if state.turn == self.units {
            state.give_up();
        }
        drop(state);
        self.turn_changed.notify_all();
        bands
    }

    /// Keeps frame number `index` of the tile; the last one ends the task.
    pub(crate) fn keep(&self, index: usize, frame: Result<Frame, TileError>, seconds: f64) {
        let mut state = self.state();
        state.seconds.store += seconds;
        match frame {
            Ok(frame) => state.frames[index] = Some(frame),
            Err(error) => {
                state.failure.get_or_insert(Failure::reject(error.to_string()));
                if state.turn == self.units {
                    state.give_up();
                }
            }
        }
        if state.frames.iter().all(Option::is_some)
            && let Some(done) = state.done.take()
        {
            let frames = std::mem::take(&mut state.frames).into_iter().flatten().collect();
            // Nobody waits any more if the worker is being stopped.
            let _ = done.send(Ok((frames, state.seconds)));
        }
    }
}

impl State {
    /// Ends a task that failed.
    fn give_up(&mut self) {
        if let Some(failure) = &self.failure
            && let Some(done) = self.done.take()
        {
            let _ = done.send(Err(failure.clone()));
        }
    }
}
